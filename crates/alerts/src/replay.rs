//! What a rule would have told of the past, found by the same engine that looks at the present. Pure.

use std::sync::Arc;

use sysmon_wire::message::{Aggregate, Points, Query};
use sysmon_wire::metrics::metric;
use sysmon_wire::{ABSENT, Kind, Label, MetricDef, SeriesKey, UnixMs};

use super::engine::{Engine, Observed, Transition, Whole};
use super::rule::{Bound, Condition, Measure, MetricName, Rule};
use super::week::{HOUR_MS, SLOT_MS, Usual, hour, windows};
use crate::HostId;

/// What was recorded of one host, in steps.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The host.
    pub host: Label,
    /// Words it is filed under.
    pub tags: Vec<Label>,
    /// Its series, all with the same steps.
    pub series: Vec<Points>,
    /// What those were before that are compared with earlier weeks, in means of [`SLOT_MS`] or longer.
    pub before: Vec<Points>,
}

/// Once that an alert would have fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// The host.
    pub host: String,
    /// Which of its devices.
    pub what: String,
    /// When it would have been told.
    pub fired: UnixMs,
    /// When it was over; none if it still fires.
    pub over: Option<UnixMs>,
    /// What would have been told.
    pub summary: String,
}

/// Steps in which a rule is replayed, by the longest span that they are used for: as fine as an answer has room for.
const STEPS_MS: [(i64, i64); 3] = [
    (6 * 3_600_000, 1_000),
    (86_400_000, 10_000),
    (30 * 86_400_000, 60_000),
];

/// Milliseconds of a step in a replay of `span_ms`.
pub fn step_ms(span_ms: i64) -> i64 {
    let step = STEPS_MS.iter().find(|(span, _)| span_ms <= *span);
    step.map_or(3_600_000, |(_, step)| *step)
}

/// The queries whose answers make a [`Recorded`] host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queries {
    /// For [`Recorded::series`].
    pub series: Vec<Query>,
    /// For [`Recorded::before`].
    pub before: Vec<Query>,
}

/// What has to be asked of a host to replay a rule between two moments.
pub fn queries(rule: &Rule, host: &Label, from: UnixMs, to: UnixMs) -> Queries {
    let query = |metric: &MetricName, from: UnixMs, step_ms: i64| Query {
        host: Some(host.clone()),
        ..Query::new(Label::new(&metric.to_string()), from, to, step_ms)
    };
    let step_ms = step_ms(to - from);
    let series = needs(rule, step_ms)
        .into_iter()
        .map(|(metric, extreme)| Query {
            aggregate: match extreme {
                None => Aggregate::Mean,
                Some(true) => Aggregate::Max,
                Some(false) => Aggregate::Min,
            },
            ..query(&metric, from, step_ms)
        });
    let oldest = windows(hour(from)).map(|(oldest, _)| oldest).min();
    let before = rule
        .of_week()
        .map(|metric| query(metric, oldest.unwrap_or(from), SLOT_MS));
    Queries {
        series: series.collect(),
        before: before.collect(),
    }
}

/// Metrics that have to be known to play a rule again, and whether the largest or smallest value of a step
/// is to be looked at rather than the mean, because one bad value is enough.
fn needs(rule: &Rule, step_ms: i64) -> Vec<(MetricName, Option<bool>)> {
    let Condition::All(terms) = &rule.condition else {
        // Whatever every host has.
        return vec![(MetricName::Alias("cpu"), None)];
    };
    let is_at_once = rule.hold.as_millis() < u128::from(step_ms.unsigned_abs());
    let mut needs: Vec<(MetricName, Option<bool>)> = Vec::new();
    for term in terms {
        let extreme = is_at_once && matches!(term.measure, Measure::Value | Measure::Turn);
        needs.push((term.metric.clone(), extreme.then_some(term.above)));
        if let Bound::Of(_, other) = &term.threshold {
            needs.push((other.clone(), None));
        }
    }
    // Of a metric that is needed twice one is looked at.
    let mut seen: Vec<MetricName> = Vec::new();
    needs.retain(|(name, _)| {
        let is_new = !seen.contains(name);
        seen.push(name.clone());
        is_new
    });
    needs
}

/// Whether a rule looks at something that is not kept.
pub fn is_unknown_later(rule: &Rule) -> bool {
    matches!(rule.condition, Condition::ClockOff(_))
}

/// Plays a rule again over what was recorded of a host.
pub fn replay(rule: &Rule, recorded: &Recorded) -> Vec<Episode> {
    let mut engine = Engine::new(vec![rule.clone()], Vec::new());
    let mut columns: Vec<Column<'_>> = recorded.series.iter().map(Column::new).collect();
    let keys: Vec<Arc<SeriesKey>> = columns
        .iter()
        .map(|column| Arc::clone(&column.key))
        .collect();
    let Some(first) = recorded.series.first() else {
        return Vec::new();
    };
    let mut episodes = Vec::new();
    let mut heard = None;
    let steps = recorded
        .series
        .iter()
        .map(|points| points.values.len())
        .max();
    for step in 0..steps.unwrap_or(0) {
        // A step is known when it is over.
        let time = first.start + first.step_ms.saturating_mul(step as i64 + 1);
        let values: Vec<i64> = columns.iter_mut().map(|column| column.next(step)).collect();
        if values.iter().any(|value| *value != ABSENT) {
            heard = Some(time);
            let row = Observed {
                id: HostId(0),
                name: &recorded.host,
                tags: &recorded.tags,
                keys: &keys,
                time,
                values: &values,
            };
            note(&mut episodes, engine.observe(row), time);
            look_up_weeks(&mut engine, recorded, &keys, hour(time));
        }
        if let Some(heard) = heard {
            let silence = std::time::Duration::from_millis((time - heard).unsigned_abs());
            let whole = Whole {
                id: HostId(0),
                name: &recorded.host,
                tags: &recorded.tags,
                silence,
                clock_offset_ms: 0,
                now: time,
            };
            note(&mut episodes, engine.look_at(whole), time);
        }
    }
    episodes
}

/// Tells the engine what is usual in an hour, as far as it asks.
fn look_up_weeks(engine: &mut Engine, recorded: &Recorded, keys: &[Arc<SeriesKey>], hour: i64) {
    for (id, series) in engine.lacking_week(hour, 1) {
        for index in series {
            let key = keys.get(index as usize);
            let usual = key.and_then(|key| usual(recorded, key, hour));
            engine.take_week(id, index, hour, usual);
        }
    }
}

/// What is usual of a series in an hour.
fn usual(recorded: &Recorded, key: &SeriesKey, hour: i64) -> Option<Usual> {
    let is_it =
        |points: &&Points| points.metric == key.metric.name && points.attributes == key.attributes;
    let points = recorded.before.iter().find(is_it)?;
    let step_ms = points.step_ms.max(1);
    // Hours alone tell of the hour only.
    let margin = if step_ms < HOUR_MS { 0 } else { SLOT_MS };
    let week = |(from, to): (UnixMs, UnixMs)| {
        let (from, to) = (from + margin, to - margin);
        let first = (from - points.start + step_ms - 1).div_euclid(step_ms);
        let end = (to - points.start).div_euclid(step_ms);
        let range = first.max(0) as usize..end.max(0) as usize;
        points.values.get(range).unwrap_or_default().to_vec()
    };
    let weeks: Vec<Vec<f64>> = windows(hour).map(week).collect();
    Usual::of(&weeks, &key.metric)
}

/// Whether a rule compares with earlier weeks and too little of them is known to say anything of the end.
pub fn is_silent(rule: &Rule, recorded: &Recorded) -> bool {
    let mut names = rule.of_week();
    names.any(|name| {
        let columns = recorded.series.iter().map(Column::new);
        let mut keys = columns
            .map(|column| column.key)
            .filter(|key| name.matches(key));
        let end = recorded.series.first().map_or(0, |points| {
            hour(points.start + points.step_ms * points.values.len().saturating_sub(1) as i64)
        });
        keys.all(|key| usual(recorded, &key, end).is_none())
    })
}

fn note(episodes: &mut Vec<Episode>, transitions: Vec<Transition>, time: UnixMs) {
    for Transition { alert, firing } in transitions {
        if firing {
            episodes.push(Episode {
                host: alert.host,
                what: alert.what,
                fired: time,
                over: None,
                summary: alert.summary,
            });
            continue;
        }
        let open = episodes.iter_mut().rev();
        let mut open = open.filter(|episode| episode.over.is_none());
        if let Some(episode) = open.find(|episode| episode.what == alert.what) {
            episode.over = Some(time);
        }
    }
}

/// A series of the past, as the numbers an agent would have sent.
struct Column<'a> {
    key: Arc<SeriesKey>,
    points: &'a Points,
    /// What a counter has come to.
    counted: f64,
}

impl<'a> Column<'a> {
    fn new(points: &'a Points) -> Self {
        let metric = match metric(points.metric.as_str()) {
            Some(known) => known.def(),
            None => own_metric(points),
        };
        Self {
            key: Arc::new(SeriesKey {
                metric,
                attributes: points.attributes.clone(),
            }),
            points,
            counted: 0.0,
        }
    }

    fn next(&mut self, step: usize) -> i64 {
        let value = self.points.values.get(step).copied().unwrap_or(f64::NAN);
        if value.is_nan() {
            return ABSENT;
        }
        let metric = &self.key.metric;
        let value = match metric.kind {
            Kind::Gauge => value,
            Kind::Counter => {
                self.counted += value * self.points.step_ms as f64 / 1000.0;
                self.counted
            }
        };
        (value / 10f64.powi(i32::from(metric.scale))).round() as i64
    }
}

/// A metric that is not ours, to a millionth.
fn own_metric(points: &Points) -> MetricDef {
    let unit = points.unit.as_str();
    let (unit, kind) = match unit.strip_suffix("/s") {
        Some(unit) => (unit, Kind::Counter),
        None => (unit, Kind::Gauge),
    };
    MetricDef {
        name: points.metric.clone(),
        unit: Label::new(unit),
        kind,
        scale: -6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sysmon_wire::metrics::{CPU_UTILIZATION, OOM_KILLS};

    fn recorded(metric: &str, step_ms: i64, values: Vec<f64>) -> Recorded {
        Recorded {
            host: Label::new("db-1"),
            tags: Vec::new(),
            series: vec![Points {
                host: Label::new("db-1"),
                metric: Label::new(metric),
                unit: Label::new("1"),
                attributes: Vec::new(),
                start: UnixMs(0),
                step_ms,
                values,
            }],
            before: Vec::new(),
        }
    }

    #[test]
    fn a_rule_is_played_over_the_past() {
        let rule = "busy: cpu > 90% for 2m".parse().unwrap();
        let mut values = vec![0.5; 30];
        values[5..10].fill(0.95);
        values[20..].fill(0.95);
        let found = replay(&rule, &recorded(CPU_UTILIZATION.name, 60_000, values));
        let times = found
            .iter()
            .map(|e| (e.fired.0 / 60_000, e.over.map(|t| t.0 / 60_000)));
        let times: Vec<_> = times.collect();
        assert_eq!(times, [(8, Some(11)), (23, None)]);
    }

    #[test]
    fn silence_and_counters_are_played_too() {
        let silent = "silent: silent for 3m".parse().unwrap();
        let mut values = vec![0.5; 20];
        values[5..10].fill(f64::NAN);
        let found = replay(&silent, &recorded(CPU_UTILIZATION.name, 60_000, values));
        let times = found
            .iter()
            .map(|e| (e.fired.0 / 60_000, e.over.map(|t| t.0 / 60_000)));
        assert_eq!(times.collect::<Vec<_>>(), [(8, Some(11))]);
        let kills = "oom: rate(system.linux.oom_kills) > 0 over 5m"
            .parse()
            .unwrap();
        let mut values = vec![0.0; 30];
        values[10] = 1.0 / 60.0;
        let found = replay(&kills, &recorded(OOM_KILLS.name, 60_000, values));
        assert_eq!((found.len(), found[0].fired), (1, UnixMs(660_000)));
        assert!(found[0].over.is_some());
    }

    /// A month in ten-minute means: half busy at daytime on weekdays, each week a little more or less.
    fn month(slot: i64) -> f64 {
        let (day, hour) = ((slot / 144) % 7, (slot / 6) % 24);
        let busy = day < 5 && (8..18).contains(&hour);
        let week = slot / 1008;
        let base = if busy { 0.5 } else { 0.05 };
        base + 0.01 * (week % 3) as f64 + 0.005 * (slot % 5) as f64
    }

    /// What is recorded of the 29th day, by the minute, with what was before.
    fn day(weeks_known: i64, value: impl Fn(i64) -> f64) -> Recorded {
        let start = 28 * 1_440;
        let values = (start..start + 1_440).map(|minute| value(minute - start));
        let mut day = recorded(CPU_UTILIZATION.name, 60_000, values.collect());
        day.series[0].start = UnixMs(start * 60_000);
        let oldest = (4 - weeks_known) * 1008;
        day.before = recorded(
            CPU_UTILIZATION.name,
            SLOT_MS,
            (oldest..4 * 1008).map(month).collect(),
        )
        .series;
        day.before[0].start = UnixMs(oldest * SLOT_MS);
        day
    }

    #[test]
    fn what_is_unlike_its_week_is_found_and_a_usual_day_is_not() {
        let rule: Rule = "odd: cpu unlike its week for 10m".parse().unwrap();
        let usual = |minute: i64| month(28 * 144 + minute / 10);
        assert_eq!(replay(&rule, &day(4, usual)), []);
        // Nothing to do from ten to eleven, and much at night.
        let odd = |minute: i64| match minute {
            600..660 => 0.02,
            1_320..1_380 => 0.5,
            _ => usual(minute),
        };
        let found = replay(&rule, &day(4, odd));
        let times: Vec<_> = found
            .iter()
            .map(|e| {
                (
                    e.fired.0 / 60_000 - 28 * 1_440,
                    e.over.map(|t| t.0 / 60_000 - 28 * 1_440),
                )
            })
            .collect();
        let [(low, Some(low_over)), (high, Some(high_over))] = times[..] else {
            panic!("{found:?}")
        };
        assert!(
            (611..=625).contains(&low) && (660..=670).contains(&low_over),
            "{times:?}"
        );
        assert!(
            (1_331..=1_345).contains(&high) && (1_380..=1_391).contains(&high_over),
            "{times:?}"
        );
        assert!(
            found[0].summary.contains("under the"),
            "{}",
            found[0].summary
        );
        assert!(
            found[1].summary.contains("over the"),
            "{}",
            found[1].summary
        );
        // What is much as well is the night alone: as the ten minutes after eleven, it has to last.
        let two = "odd: cpu unlike its week and cpu > 40% for 15m"
            .parse()
            .unwrap();
        let found = replay(&two, &day(4, odd));
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn with_less_than_two_earlier_weeks_nothing_is_unlike_them_and_it_is_known_why() {
        let rule: Rule = "odd: cpu unlike its week".parse().unwrap();
        let odd = |_| 0.99;
        assert!(replay(&rule, &day(1, odd)).is_empty() && is_silent(&rule, &day(1, odd)));
        assert!(!replay(&rule, &day(2, odd)).is_empty() && !is_silent(&rule, &day(2, odd)));
        let other = "busy: cpu > 90%".parse().unwrap();
        assert!(!is_silent(&other, &day(1, odd)));
        // Where only hours are left they do.
        let mut hours = day(4, odd);
        hours.before[0].step_ms = HOUR_MS;
        hours.before[0].values = (0..4 * 168).map(|hour| month(hour * 6)).collect();
        assert!(!replay(&rule, &hours).is_empty() && !is_silent(&rule, &hours));
    }

    #[test]
    fn what_a_rule_needs_is_known() {
        let rule = "a: cpu > 90% and load5 > 2*system.cpu.logical.count"
            .parse()
            .unwrap();
        let names = needs(&rule, 1_000)
            .into_iter()
            .map(|(name, at)| (name.to_string(), at));
        assert_eq!(
            names.collect::<Vec<_>>(),
            [
                ("cpu".to_owned(), Some(true)),
                ("load5".to_owned(), Some(true)),
                ("system.cpu.logical.count".to_owned(), None)
            ]
        );
    }

    proptest! {
        /// Live rows and their recording, whatever they are, make the same rules tell the same.
        #[test]
        fn a_replay_tells_what_was_told_live(
            permille in proptest::collection::vec(prop_oneof![0i64..1000, Just(ABSENT)], 1..300),
        ) {
            for text in [
                "busy: cpu > 90% for 3s clear 60%",
                "idle: cpu < 10%",
                "jump: rate(cpu) > 1%/s over 20s",
                "silent: silent for 4s",
            ] {
                let rule: Rule = text.parse().unwrap();
                let mut live = Engine::new(vec![rule.clone()], Vec::new());
                let keys = [Arc::new(CPU_UTILIZATION.series(&[]))];
                let name = Label::new("db-1");
                let (mut told, mut heard) = (Vec::new(), None);
                for (second, value) in (1i64..).zip(&permille) {
                    let time = UnixMs(second * 1000);
                    let mut take = |transitions: Vec<Transition>| {
                        told.extend(transitions.into_iter().map(|t| (time, t.firing)));
                    };
                    if *value != ABSENT {
                        heard = Some(time);
                        take(live.observe(Observed {
                            id: HostId(0), name: &name, tags: &[], keys: &keys, time, values: &[*value],
                        }));
                    }
                    let Some(heard) = heard else { continue };
                    let silence = std::time::Duration::from_millis((time - heard) as u64);
                    take(live.look_at(Whole {
                        id: HostId(0), name: &name, tags: &[], silence, clock_offset_ms: 0, now: time,
                    }));
                }
                let real = |value: &i64| if *value == ABSENT { f64::NAN } else { *value as f64 / 1000.0 };
                let values = permille.iter().map(real).collect();
                let mut again = Vec::new();
                for episode in replay(&rule, &recorded(CPU_UTILIZATION.name, 1000, values)) {
                    again.push((episode.fired, true));
                    again.extend(episode.over.map(|over| (over, false)));
                }
                prop_assert_eq!(&again, &told, "{}", text);
            }
        }
    }
}
