//! One metric of several hosts beside each other, or of one host beside its own past.

use std::collections::BTreeMap;

use sysmon_series::quantile;
use sysmon_wire::message::{Points, Query, Request};
use sysmon_wire::metrics::{ALIASES, SUMMARY};
use sysmon_wire::{Label, UnixMs};

use crate::model::window::Window;

/// Hosts compared at most: more cannot be distinguished on any screen.
pub(super) const LINES_MAX: usize = 24;

/// Of how many hosts, those that are highest, if none is marked.
pub const UNMARKED: usize = 10;

/// How far before itself a host is compared with, and how people say it.
const AGO: [(i64, &str); 3] = [
    (86_400_000, "1 d"),
    (7 * 86_400_000, "7 d"),
    (3_600_000, "1 h"),
];

const POINTS_MAX: i64 = 300;

const STEPS_S: [i64; 18] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400,
    172_800,
];

/// A value older than this many steps, and than this, is not the current one.
const FRESH_STEPS: i64 = 3;
const FRESH_MS: i64 = 10_000;

#[derive(Clone, Debug)]
pub struct CompareLine {
    pub host: Label,
    /// How long before what is shown it was.
    pub ago_ms: i64,
    step_ms: i64,
    is_answered: bool,
    /// Values by the beginning of their step, as if they were of now.
    points: BTreeMap<i64, f64>,
}

impl CompareLine {
    fn new(host: Label, ago_ms: i64) -> Self {
        Self {
            host,
            ago_ms,
            step_ms: 1_000,
            is_answered: false,
            points: BTreeMap::new(),
        }
    }

    fn add(&mut self, part: &Points) {
        if part.step_ms != self.step_ms {
            self.points.clear();
            self.step_ms = part.step_ms.max(1);
        }
        let times = (0..).map(|n| part.start.0 + self.ago_ms + n * self.step_ms);
        for (time, value) in times.zip(&part.values) {
            if value.is_finite() {
                self.points.insert(time, *value);
            } else {
                self.points.remove(&time);
            }
        }
    }

    pub fn points(&self) -> impl Iterator<Item = (UnixMs, f64)> + '_ {
        self.points
            .iter()
            .map(|(time, value)| (UnixMs(*time), *value))
    }

    pub fn at(&self, moment: UnixMs) -> Option<f64> {
        let (time, value) = self.points.range(..=moment.0).next_back()?;
        (moment.0 - time < self.step_ms).then_some(*value)
    }

    /// The newest value, unless it is too old to be that of now.
    fn newest(&self, now: UnixMs) -> Option<f64> {
        let (time, value) = self.points.last_key_value()?;
        let fresh = (FRESH_STEPS * self.step_ms).max(FRESH_MS);
        (now.0 - time <= fresh).then_some(*value)
    }

    /// Minimum, mean, 95th percentile and maximum of the points.
    pub fn spread(&self) -> Option<[f64; 4]> {
        let mut values: Vec<f64> = self.points.values().copied().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Some([min, mean, quantile(&values, 0.95), max])
    }

    pub fn mean(&self, from: UnixMs, to: UnixMs) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0u32);
        for (_, value) in self.points.range(from.0..to.0.max(from.0)) {
            sum += value;
            count += 1;
        }
        if count == 0 {
            self.at(from)
        } else {
            Some(sum / f64::from(count))
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Requested {
    begin: UnixMs,
    from: UnixMs,
    /// The end of both, exclusive.
    to: UnixMs,
    step_ms: i64,
}

/// Lines with a colour of their own.
pub(super) const HUES: usize = 6;

#[derive(Clone, Debug, Default)]
pub struct Compare {
    /// The metric's place in [`ALIASES`].
    pub metric: usize,
    pub is_overlaid: bool,
    /// Whether the hosts were marked, and not chosen as the highest.
    pub is_marked: bool,
    pub left_out: usize,
    pub refused: Option<Label>,
    /// The place in [`AGO`], if it is of one host and its past.
    ago: Option<usize>,
    lines: Vec<CompareLine>,
    selected: usize,
    requested: Option<Requested>,
}

impl Compare {
    /// Compares hosts; those past [`LINES_MAX`] are left out.
    pub fn hosts(&mut self, names: Vec<Label>, is_marked: bool) {
        self.left_out = names.len().saturating_sub(LINES_MAX);
        self.is_marked = is_marked;
        self.ago = None;
        // As many as have a colour each are compared best in one chart.
        self.is_overlaid = names.len() <= HUES;
        let lines = names.into_iter().take(LINES_MAX);
        self.begin(lines.map(|name| CompareLine::new(name, 0)).collect());
    }

    pub fn itself(&mut self, name: Label) {
        let next = self.ago.map_or(0, |at| (at + 1) % AGO.len());
        if self.ago.is_none() {
            self.is_overlaid = true;
        }
        self.ago = Some(next);
        self.left_out = 0;
        let ago_ms = AGO.get(next).map_or(0, |(ms, _)| *ms);
        self.begin(vec![
            CompareLine::new(name.clone(), 0),
            CompareLine::new(name, ago_ms),
        ]);
    }

    pub fn set_metric(&mut self, metric: usize) {
        self.metric = metric % SUMMARY;
        let lines = self.lines.iter();
        let lines = lines.map(|line| CompareLine::new(line.host.clone(), line.ago_ms));
        self.begin(lines.collect());
    }

    fn begin(&mut self, lines: Vec<CompareLine>) {
        self.lines = lines;
        self.requested = None;
        self.refused = None;
        self.select(self.selected);
    }

    pub fn alias(&self) -> &'static str {
        ALIASES.get(self.metric).map_or("", |alias| alias.alias)
    }

    /// How long ago the host is compared with, in words; none if hosts are compared.
    pub fn ago_text(&self) -> Option<&'static str> {
        AGO.get(self.ago?).map(|(_, text)| *text)
    }

    pub fn lines(&self) -> &[CompareLine] {
        &self.lines
    }

    pub fn name(&self, line: &CompareLine) -> String {
        match self.ago_text() {
            Some(ago) if line.ago_ms > 0 => format!("{ago} before"),
            _ => line.host.to_string(),
        }
    }

    /// The value of a line at the moment shown, or the newest.
    pub fn value(&self, line: &CompareLine, now: UnixMs, at: Option<UnixMs>) -> Option<f64> {
        match at {
            Some(at) => line.at(at),
            None => line.newest(now),
        }
    }

    pub fn step_ms(&self) -> i64 {
        let known = self.lines.iter().find(|line| !line.points.is_empty());
        let requested = self.requested.map_or(1_000, |requested| requested.step_ms);
        known.map_or(requested, |line| line.step_ms)
    }

    pub fn is_answered(&self) -> bool {
        self.requested.is_some() && self.lines.iter().all(|line| line.is_answered)
    }

    /// Requests what is missing of a window: everything at first, then only new points.
    pub fn follow(&mut self, window: Window) {
        let step_ms = step_for(window.to - window.from);
        let (from, to) = (window.from.floor(step_ms), window.to.floor(step_ms));
        let known = self.requested.filter(|known| known.step_ms == step_ms);
        let begin = match known {
            Some(known) if known.from <= from && to <= known.to => return,
            Some(known) if known.from <= from && from <= known.to => {
                if !self.is_answered() {
                    return;
                }
                // Rows that arrived late belong to the steps before.
                (known.to - 2 * step_ms).max(from)
            }
            _ => from,
        };
        for line in &mut self.lines {
            let oldest = from.0 - line.step_ms;
            line.points.retain(|time, _| (oldest..=to.0).contains(time));
            line.is_answered = false;
        }
        self.requested = Some(Requested {
            begin,
            from,
            to,
            step_ms,
        });
    }

    pub fn requests(&self) -> Vec<Request> {
        let Some(requested) = self.requested else {
            return Vec::new();
        };
        let of = |line: &CompareLine| {
            let (from, to) = (
                requested.begin - line.ago_ms,
                requested.to - 1 - line.ago_ms,
            );
            Request::Query(Query {
                host: Some(line.host.clone()),
                ..Query::new(Label::new(self.alias()), from, to, requested.step_ms)
            })
        };
        self.lines.iter().map(of).collect()
    }

    pub fn forget_requested(&mut self) {
        self.requested = None;
    }

    pub fn add(&mut self, line: usize, part: &Points) {
        if let Some(line) = self.lines.get_mut(line) {
            self.refused = None;
            line.add(part);
        }
    }

    pub fn complete(&mut self, line: usize) {
        if let Some(line) = self.lines.get_mut(line) {
            line.is_answered = true;
        }
    }

    pub fn selected(&self) -> Option<&CompareLine> {
        self.lines.get(self.selected)
    }

    pub fn selected_at(&self) -> usize {
        self.selected
    }

    pub fn select(&mut self, at: usize) {
        self.selected = at.min(self.lines.len().saturating_sub(1));
    }

    pub fn move_by(&mut self, rows: isize) {
        self.select(self.selected.saturating_add_signed(rows));
    }
}

fn step_for(span_ms: i64) -> i64 {
    let fits = |seconds: &&i64| span_ms / (**seconds * 1_000) <= POINTS_MAX;
    STEPS_S.iter().find(fits).copied().unwrap_or(4 * 86_400) * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(start: i64, step_ms: i64, values: &[f64]) -> Points {
        Points {
            host: "a".into(),
            metric: "system.cpu.utilization".into(),
            unit: "1".into(),
            attributes: Vec::new(),
            start: UnixMs(start),
            step_ms,
            values: values.to_vec(),
        }
    }

    fn window(from: i64, to: i64) -> Window {
        Window {
            from: UnixMs(from),
            to: UnixMs(to),
        }
    }

    fn queries(compare: &Compare) -> Vec<Query> {
        let of = |request: Request| match request {
            Request::Query(query) => query,
            other => panic!("{other:?}"),
        };
        compare.requests().into_iter().map(of).collect()
    }

    #[test]
    fn a_line_says_minimum_mean_95th_percentile_and_maximum() {
        let mut line = CompareLine::new("a".into(), 0);
        assert_eq!(line.spread(), None);
        let values: Vec<f64> = (0..=100).rev().map(f64::from).chain([f64::NAN]).collect();
        line.add(&part(0, 1_000, &values));
        assert_eq!(line.spread(), Some([0.0, 50.0, 95.0, 100.0]));
    }

    #[test]
    fn after_the_first_answer_only_new_points_are_requested() {
        let mut compare = Compare::default();
        compare.hosts(vec!["a".into(), "b".into()], true);
        compare.follow(window(1_000, 61_500));
        let first = queries(&compare);
        assert_eq!((first[0].metric.as_str(), first[0].step_ms), ("cpu", 1_000));
        assert_eq!(
            (first.len(), first[0].host.as_ref().unwrap().as_str()),
            (2, "a")
        );
        assert_eq!(
            (first[0].from, first[0].to),
            (UnixMs(1_000), UnixMs(60_999))
        );
        compare.follow(window(1_900, 61_900));
        assert_eq!(queries(&compare), first, "no new point");
        compare.complete(0);
        compare.follow(window(2_500, 62_500));
        assert_eq!(queries(&compare), first, "one line is not answered yet");
        compare.complete(1);
        compare.follow(window(2_500, 62_500));
        let next = queries(&compare);
        assert_eq!((next[0].from, next[0].to), (UnixMs(59_000), UnixMs(61_999)));
        compare.complete(0);
        compare.complete(1);
        // Back in time, and at another zoom, everything is requested.
        compare.follow(window(0, 60_000));
        assert_eq!(queries(&compare)[0].from, UnixMs(0));
        compare.follow(window(0, 600_000));
        let wide = queries(&compare);
        assert_eq!((wide[0].step_ms, wide[0].from), (2_000, UnixMs(0)));
        compare.set_metric(1);
        assert_eq!(queries(&compare), []);
        compare.follow(window(0, 600_000));
        assert_eq!(queries(&compare)[0].metric, "mem");
    }

    #[test]
    fn values_are_at_their_time() {
        let mut compare = Compare::default();
        compare.itself("a".into());
        assert_eq!(
            (compare.ago_text(), compare.is_overlaid),
            (Some("1 d"), true)
        );
        compare.follow(window(90_000_000, 90_060_000));
        assert_eq!(queries(&compare)[1].from, UnixMs(90_000_000 - 86_400_000));
        compare.add(0, &part(90_000_000, 1_000, &[0.5, f64::NAN, 0.7]));
        compare.add(1, &part(3_600_000, 1_000, &[0.1]));
        let value = |line: usize, at: i64| {
            compare.value(&compare.lines()[line], UnixMs(0), Some(UnixMs(at)))
        };
        assert_eq!(value(0, 90_000_999), Some(0.5));
        assert_eq!(value(0, 90_001_000), None, "a gap");
        assert_eq!(value(1, 90_000_500), Some(0.1), "a day later");
        let line = &compare.lines()[0];
        assert_eq!(line.mean(UnixMs(90_000_000), UnixMs(90_003_000)), Some(0.6));
        assert_eq!(compare.value(line, UnixMs(90_005_000), None), Some(0.7));
        assert_eq!(
            compare.value(line, UnixMs(90_020_000), None),
            None,
            "too old"
        );
        compare.itself("a".into());
        assert_eq!(compare.ago_text(), Some("7 d"));
        // Where only minutes are stored the hub answers in longer steps.
        compare.follow(window(90_000_000, 90_060_000));
        compare.add(0, &part(90_000_000, 60_000, &[0.3]));
        assert_eq!(compare.lines()[0].at(UnixMs(90_059_999)), Some(0.3));
        assert_eq!(compare.step_ms(), 60_000);
    }

    #[test]
    fn too_many_hosts_are_left_out_and_counted() {
        let mut compare = Compare::default();
        let names = (0..30).map(|n| Label::new(&format!("h{n}"))).collect();
        compare.hosts(names, true);
        assert_eq!((compare.lines().len(), compare.left_out), (24, 6));
        compare.move_by(99);
        assert_eq!(compare.selected().unwrap().host, "h23");
        compare.hosts(vec!["a".into()], false);
        assert_eq!((compare.selected_at(), compare.left_out), (0, 0));
        compare.follow(window(0, 730 * 86_400_000));
        assert_eq!(queries(&compare)[0].step_ms, 4 * 86_400_000);
    }
}
