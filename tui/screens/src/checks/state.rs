//! What is known of every check, and which one is selected.

use std::collections::BTreeMap;

use sysmon_wire::message::{Aggregate, Points, Query, Request};
use sysmon_wire::metrics::{CHECK_CERTIFICATE_EXPIRY, CHECK_DURATION, CHECK_UP, Metric};
use sysmon_wire::{Label, UnixMs};

use crate::model::pattern::Pattern;
use crate::model::window::Window;

/// Steps of the past of a check.
const STEPS: i64 = 60;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A state older than this many steps is not that of now.
const FRESH_STEPS: usize = 3;

/// Its place among the requests.
const UP: usize = 0;
const TOOK: usize = 1;
const EXPIRY: usize = 2;
const DAY: usize = 3;
const MONTH: usize = 4;

/// A check as one host sees it.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub name: Label,
    pub host: Label,
    /// Seconds left to the certificate.
    pub expiry: Option<f64>,
    /// The share of the last day, and of the last thirty, in which it was up.
    pub day: Option<f64>,
    pub month: Option<f64>,
    /// For each step, the first first: the lowest state, and the mean time of an answer.
    pub up: Vec<Option<f64>>,
    pub took: Vec<Option<f64>>,
    first: UnixMs,
    step_ms: i64,
}

impl Row {
    /// Whether it is up now; none if nothing is known of now.
    pub fn is_up(&self) -> Option<bool> {
        let fresh = self.up.iter().rev().take(FRESH_STEPS);
        fresh.flatten().next().map(|up| *up > 0.0)
    }

    pub fn took(&self) -> Option<f64> {
        let fresh = self.took.iter().rev().take(FRESH_STEPS);
        fresh.flatten().next().copied()
    }

    /// Since when it is down, as far as the steps reach.
    pub fn down_since(&self) -> Option<UnixMs> {
        let is_down = |state: &&Option<f64>| state.is_none_or(|up| up <= 0.0);
        let steps = self.up.iter().rev().take_while(is_down).count();
        let is_known = self.is_up() == Some(false);
        let before = i64::try_from(self.up.len() - steps).unwrap_or(0);
        is_known.then(|| self.first + before * self.step_ms)
    }

    /// Down, unknown, up.
    fn rank(&self) -> u8 {
        match self.is_up() {
            Some(false) => 0,
            None => 1,
            Some(true) => 2,
        }
    }
}

type Key = (Label, Label);

#[derive(Clone, Debug, Default)]
pub struct Checks {
    pub filter: Pattern,
    pub top: usize,
    pub refused: Option<Label>,
    rows: Vec<Row>,
    selected: Option<Key>,
    window: Option<Window>,
    /// What has arrived of each request, and what it is when complete.
    arriving: [Vec<Points>; 5],
    complete: [Vec<Points>; 5],
    is_answered: bool,
}

impl Checks {
    /// Requests what a window shows; again only when a step has passed.
    pub fn follow(&mut self, window: Window) {
        let step_ms = ((window.to - window.from) / STEPS).max(1_000);
        self.window = Some(Window {
            from: window.from.floor(step_ms),
            to: window.to.floor(step_ms),
        });
    }

    pub fn forget_requested(&mut self) {
        self.window = None;
    }

    pub fn requests(&self) -> Vec<Request> {
        let Some(Window { from, to }) = self.window else {
            return Vec::new();
        };
        let step_ms = ((to - from) / STEPS).max(1_000);
        // Shares and certificates change slowly.
        let (minute, hour) = (to.floor(MINUTE_MS), to.floor(HOUR_MS));
        [
            query(CHECK_UP, (from, to), step_ms, Aggregate::Min),
            query(CHECK_DURATION, (from, to), step_ms, Aggregate::Mean),
            query(
                CHECK_CERTIFICATE_EXPIRY,
                (minute - 10 * MINUTE_MS, minute),
                MINUTE_MS,
                Aggregate::Last,
            ),
            query(
                CHECK_UP,
                (minute - DAY_MS, minute),
                10 * MINUTE_MS,
                Aggregate::Mean,
            ),
            query(
                CHECK_UP,
                (hour - 30 * DAY_MS, hour),
                6 * HOUR_MS,
                Aggregate::Mean,
            ),
        ]
        .to_vec()
    }

    pub fn begin(&mut self, at: usize) {
        if let Some(arriving) = self.arriving.get_mut(at) {
            arriving.clear();
        }
    }

    pub fn add(&mut self, at: usize, part: Points) {
        if let Some(arriving) = self.arriving.get_mut(at) {
            arriving.push(part);
        }
    }

    /// All of a request has arrived.
    pub fn complete(&mut self, at: usize) {
        if let (Some(arriving), Some(complete)) =
            (self.arriving.get_mut(at), self.complete.get_mut(at))
        {
            *complete = std::mem::take(arriving);
        }
        if at == UP {
            self.is_answered = true;
            self.refused = None;
        }
        self.combine();
    }

    fn combine(&mut self) {
        let window = self.window;
        let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
        let of = |at: usize| self.complete.get(at).into_iter().flatten();
        let whole = of(UP).filter_map(|part| Some((key(part)?, part)));
        for (key, part) in whole {
            let row = rows.entry(key.clone()).or_default();
            (row.name, row.host) = key;
            let begin = window.map_or(part.start, |window| window.from);
            (row.first, row.step_ms) = (begin, part.step_ms.max(1));
            place(&mut row.up, part, begin);
        }
        for part in of(TOOK) {
            if let Some(row) = key(part).and_then(|key| rows.get_mut(&key)) {
                place(&mut row.took, part, row.first);
            }
        }
        for (at, of_row) in [
            (EXPIRY, Row::expiry_mut as fn(&mut Row) -> &mut Option<f64>),
            (DAY, Row::day_mut),
            (MONTH, Row::month_mut),
        ] {
            let mut sums: BTreeMap<Key, (f64, u32, f64)> = BTreeMap::new();
            for part in of(at) {
                let Some(key) = key(part) else { continue };
                for value in part.values.iter().filter(|value| value.is_finite()) {
                    let (sum, count, last) = sums.entry(key.clone()).or_default();
                    (*sum, *count, *last) = (*sum + value, *count + 1, *value);
                }
            }
            for (key, (sum, count, last)) in sums {
                let value = if at == EXPIRY {
                    last
                } else {
                    sum / f64::from(count)
                };
                if let Some(row) = rows.get_mut(&key) {
                    *of_row(row) = Some(value);
                }
            }
        }
        self.rows = rows.into_values().collect();
        self.rows.sort_by_key(Row::rank);
        self.move_by(0);
    }

    /// Whether the hub has answered at all.
    pub fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// Those that the filter finds, what is down first.
    pub fn shown(&self) -> impl Iterator<Item = &Row> {
        let finds = |row: &&Row| {
            self.filter.is_empty()
                || self.filter.finds(row.name.as_str())
                || self.filter.finds(row.host.as_str())
        };
        self.rows.iter().filter(finds)
    }

    pub fn shown_len(&self) -> usize {
        self.shown().count()
    }

    /// How many there are, and how many of them are down.
    pub fn counts(&self) -> (usize, usize) {
        let down = self.rows.iter().filter(|row| row.is_up() == Some(false));
        (self.rows.len(), down.count())
    }

    pub fn selected_at(&self) -> usize {
        let selected = self.selected.as_ref();
        let is_selected =
            |row: &Row| selected.is_some_and(|(name, host)| row.name == *name && row.host == *host);
        self.shown().position(is_selected).unwrap_or(0)
    }

    pub fn selected(&self) -> Option<&Row> {
        self.shown().nth(self.selected_at())
    }

    pub fn select(&mut self, at: usize) {
        let at = at.min(self.shown_len().saturating_sub(1));
        let chosen = self.shown().nth(at);
        self.selected = chosen.map(|row| (row.name.clone(), row.host.clone()));
    }

    pub fn move_by(&mut self, rows: isize) {
        self.select(self.selected_at().saturating_add_signed(rows));
    }

    pub fn scroll_to_selected(&mut self, height: usize) {
        let selected = self.selected_at();
        let least = (selected + 1).saturating_sub(height.max(1));
        self.top = self.top.clamp(least, selected.max(least));
    }
}

impl Row {
    fn expiry_mut(&mut self) -> &mut Option<f64> {
        &mut self.expiry
    }

    fn day_mut(&mut self) -> &mut Option<f64> {
        &mut self.day
    }

    fn month_mut(&mut self) -> &mut Option<f64> {
        &mut self.month
    }
}

fn query(
    metric: Metric,
    (from, to): (UnixMs, UnixMs),
    step_ms: i64,
    aggregate: Aggregate,
) -> Request {
    Request::Query(Query {
        aggregate,
        ..Query::new(Label::new(metric.name), from, to - 1, step_ms)
    })
}

/// The check and its host; none for a phase of a check.
fn key(part: &Points) -> Option<Key> {
    match part.attributes.as_slice() {
        [(attribute, name)] if attribute == "sysmon.check.name" => {
            Some((name.clone(), part.host.clone()))
        }
        _ => None,
    }
}

/// Puts a part of a series at its place in the steps that begin at `begin`.
fn place(steps: &mut Vec<Option<f64>>, part: &Points, begin: UnixMs) {
    let steps_max = usize::try_from(2 * STEPS).unwrap_or(0);
    let offset = (part.start - begin).div_euclid(part.step_ms.max(1));
    for (value, at) in part.values.iter().zip(offset..) {
        let Some(at) = usize::try_from(at).ok().filter(|at| *at < steps_max) else {
            continue;
        };
        if steps.len() <= at {
            steps.resize(at + 1, None);
        }
        if let Some(step) = steps.get_mut(at) {
            *step = value.is_finite().then_some(*value);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn points(host: &str, check: &str, values: &[f64]) -> Points {
        Points {
            host: host.into(),
            metric: CHECK_UP.name.into(),
            unit: "1".into(),
            attributes: vec![("sysmon.check.name".into(), check.into())],
            start: UnixMs(60_000),
            step_ms: 5_000,
            values: values.to_vec(),
        }
    }

    /// Two checks, of which the second is down for two steps.
    pub(in super::super) fn filled() -> Checks {
        let mut checks = Checks::default();
        checks.follow(Window {
            from: UnixMs(60_000),
            to: UnixMs(360_000),
        });
        let nan = f64::NAN;
        for (at, host, check, values) in [
            (UP, "a", "db", vec![1.0; 60]),
            (UP, "b", "shop", [vec![1.0; 58], vec![0.0, 0.0]].concat()),
            (TOOK, "a", "db", vec![0.012; 60]),
            (TOOK, "b", "shop", [vec![0.2; 58], vec![nan, nan]].concat()),
            (EXPIRY, "b", "shop", vec![nan, 86_400.0 * 20.0]),
            (DAY, "b", "shop", vec![1.0, 0.9]),
            (MONTH, "b", "shop", vec![0.999]),
        ] {
            checks.add(at, points(host, check, &values));
        }
        let mut phase = points("a", "db", &[9.0]);
        phase
            .attributes
            .push(("sysmon.check.phase".into(), "dns".into()));
        checks.add(TOOK, phase);
        for at in 0..5 {
            checks.complete(at);
        }
        checks
    }

    #[test]
    fn what_is_down_is_first_and_each_row_has_its_own_values() {
        let checks = filled();
        let rows: Vec<&Row> = checks.shown().collect();
        assert_eq!(
            (rows[0].name.as_str(), rows[0].host.as_str()),
            ("shop", "b")
        );
        assert_eq!(rows[0].is_up(), Some(false));
        assert_eq!(rows[0].down_since(), Some(UnixMs(60_000 + 58 * 5_000)));
        assert_eq!(
            (rows[0].expiry, rows[0].day),
            (Some(1_728_000.0), Some(0.95))
        );
        assert_eq!((rows[1].is_up(), rows[1].took()), (Some(true), Some(0.012)));
        assert_eq!((rows[1].down_since(), rows[1].month), (None, None));
        assert_eq!(checks.counts(), (2, 1));
    }

    #[test]
    fn a_request_is_repeated_only_when_a_step_has_passed() {
        let mut checks = Checks::default();
        let mut at = |to: i64| {
            checks.follow(Window {
                from: UnixMs(to - 300_000),
                to: UnixMs(to),
            });
            checks.requests()
        };
        assert_eq!(at(1_000_000), at(1_004_999));
        assert_ne!(at(1_000_000), at(1_005_000));
        assert_eq!(at(1_000_000)[4], at(1_500_000)[4]);
    }

    #[test]
    fn the_filter_finds_names_and_hosts_and_the_selection_follows_its_check() {
        let mut checks = filled();
        checks.select(1);
        checks.filter = "shop".into();
        assert_eq!(checks.selected().unwrap().name, "shop");
        checks.filter = "".into();
        checks.select(1);
        checks.complete(UP);
        assert!(
            checks.selected().is_none(),
            "an empty answer leaves nothing"
        );
    }
}
