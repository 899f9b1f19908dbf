//! Evaluates a rule against the past, with the engine that evaluates the present. Pure.

use std::sync::Arc;

use sysmon_wire::message::{Aggregate, Points, Query};
use sysmon_wire::metrics::metric;
use sysmon_wire::{ABSENT, Kind, Label, MetricDef, SeriesKey, UnixMs};

use crate::baseline::{Baseline, HOUR_MS, SLOT_MS, hour, windows};
use crate::engine::{Engine, HostCheck, HostRow, SeriesKeys};
use crate::rule::{Bound, Condition, Measure, MetricName, Rule};
use crate::{HostId, Transition};

/// The recorded series of one host.
#[derive(Clone, Debug)]
pub struct RecordedHost {
    /// The host's name.
    pub host: Label,
    /// The host's tags.
    pub tags: Vec<Label>,
    /// The series that the rule uses, all with the same steps.
    pub series: Vec<Points>,
    /// The end of the replay: the present.
    pub until: UnixMs,
    /// The series that the rule compares with their baseline, from earlier weeks on, in means of [`SLOT_MS`] or longer.
    pub before: Vec<Points>,
}

/// A time for which the alert would have fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// The host's name.
    pub host: String,
    /// Which of its devices.
    pub what: String,
    /// When the alert would have fired.
    pub fired: UnixMs,
    /// When it would have been resolved; none if it still fires.
    pub resolved: Option<UnixMs>,
    /// The alert's summary.
    pub summary: String,
}

/// Milliseconds of a step by the longest span that it is used for: as fine as the reply to a query has room for.
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

/// The queries whose replies make a [`RecordedHost`] host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queries {
    /// For [`RecordedHost::series`].
    pub series: Vec<Query>,
    /// For [`RecordedHost::before`].
    pub before: Vec<Query>,
}

/// The queries about a host that a replay of a rule needs.
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
        .baseline_metrics()
        .map(|metric| query(metric, oldest.unwrap_or(from), SLOT_MS));
    Queries {
        series: series.collect(),
        before: before.collect(),
    }
}

/// The metrics that a replay of a rule needs. Where one value within a step is enough to fire, its largest (true) or
/// smallest value is needed rather than the mean.
fn needs(rule: &Rule, step_ms: i64) -> Vec<(MetricName, Option<bool>)> {
    let Condition::All(terms) = &rule.condition else {
        // A metric that every host reports.
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
    // A metric is queried only once.
    let mut seen: Vec<MetricName> = Vec::new();
    needs.retain(|(name, _)| {
        let is_new = !seen.contains(name);
        seen.push(name.clone());
        is_new
    });
    needs
}

/// Whether the history has everything that a rule needs; clock offsets are not recorded.
pub fn is_replayable(rule: &Rule) -> bool {
    !matches!(rule.condition, Condition::ClockOff(_))
}

/// Evaluates a rule against the recorded series of a host.
pub fn replay(rule: &Rule, recorded: &RecordedHost) -> Vec<Episode> {
    let mut engine = Engine::new(vec![rule.clone()], Vec::new());
    let mut columns: Vec<RawSeries<'_>> = recorded.series.iter().map(RawSeries::new).collect();
    let keys: Vec<Arc<SeriesKey>> = columns
        .iter()
        .map(|column| Arc::clone(&column.key))
        .collect();
    let keys = SeriesKeys::from(keys);
    let Some(first) = recorded.series.first() else {
        return Vec::new();
    };
    let mut episodes = Vec::new();
    let mut last_row = None;
    let steps = recorded
        .series
        .iter()
        .map(|points| points.values.len())
        .max();
    for step in 0..steps.unwrap_or(0) {
        let begin = first.start + first.step_ms.saturating_mul(step as i64);
        if begin >= recorded.until {
            break;
        }
        // A step's values are known at its end; the last one has not ended yet.
        let time = (begin + first.step_ms).min(recorded.until);
        let values: Vec<i64> = columns.iter_mut().map(|column| column.next(step)).collect();
        if values.iter().any(|value| *value != ABSENT) {
            last_row = Some(time);
            let row = HostRow {
                id: HostId(0),
                name: &recorded.host,
                tags: &recorded.tags,
                keys: &keys,
                time,
                values: &values,
            };
            add(&mut episodes, engine.observe(row), time);
            set_baselines(&mut engine, recorded, &keys, hour(time));
        }
        if let Some(last_row) = last_row {
            let silence = std::time::Duration::from_millis((time - last_row).unsigned_abs());
            let check = HostCheck {
                id: HostId(0),
                name: &recorded.host,
                tags: &recorded.tags,
                silence,
                clock_offset_ms: 0,
                now: time,
            };
            add(&mut episodes, engine.check(check), time);
        }
    }
    episodes
}

/// Sets the baselines that the engine misses in an hour.
fn set_baselines(engine: &mut Engine, recorded: &RecordedHost, keys: &[Arc<SeriesKey>], hour: i64) {
    for (id, series) in engine.missing_baselines(hour, 1) {
        for index in series {
            let key = keys.get(index as usize);
            let baseline = key.and_then(|key| baseline(recorded, key, hour));
            engine.set_baseline(id, index, hour, baseline);
        }
    }
}

fn baseline(recorded: &RecordedHost, key: &SeriesKey, hour: i64) -> Option<Baseline> {
    let is_it =
        |points: &&Points| points.metric == key.metric.name && points.attributes == key.attributes;
    let points = recorded.before.iter().find(is_it)?;
    let step_ms = points.step_ms.max(1);
    // Means of an hour cover the hour only, without its margins.
    let margin = if step_ms < HOUR_MS { 0 } else { SLOT_MS };
    let week = |(from, to): (UnixMs, UnixMs)| {
        let (from, to) = (from + margin, to - margin);
        let first = (from - points.start + step_ms - 1).div_euclid(step_ms);
        let end = (to - points.start).div_euclid(step_ms);
        let range = first.max(0) as usize..end.max(0) as usize;
        points.values.get(range).unwrap_or_default().to_vec()
    };
    let weeks: Vec<Vec<f64>> = windows(hour).map(week).collect();
    Baseline::of(&weeks, &key.metric)
}

/// The moments between which the host has values for the rule; none if it has no value at all.
pub fn recorded_span(recorded: &RecordedHost) -> Option<(UnixMs, UnixMs)> {
    let spans = recorded.series.iter().filter_map(|points| {
        let is_value = |value: &f64| !value.is_nan();
        let first = points.values.iter().position(is_value)?;
        let last = points.values.iter().rposition(is_value)?;
        let begin = points.start + points.step_ms * first as i64;
        let end = points.start + points.step_ms * (last as i64 + 1);
        Some((begin, end.min(recorded.until)))
    });
    spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// Whether the rule compares with a baseline that the history is too short for at the end of the replay.
pub fn lacks_baseline(rule: &Rule, recorded: &RecordedHost) -> bool {
    let mut names = rule.baseline_metrics();
    names.any(|name| {
        let columns = recorded.series.iter().map(RawSeries::new);
        let mut keys = columns
            .map(|column| column.key)
            .filter(|key| name.matches(key));
        let end = recorded.series.first().map_or(0, |points| {
            hour(points.start + points.step_ms * points.values.len().saturating_sub(1) as i64)
        });
        keys.all(|key| baseline(recorded, &key, end).is_none())
    })
}

fn add(episodes: &mut Vec<Episode>, transitions: Vec<Transition>, time: UnixMs) {
    for Transition { alert, firing } in transitions {
        if firing {
            episodes.push(Episode {
                host: alert.host,
                what: alert.what,
                fired: time,
                resolved: None,
                summary: alert.summary,
            });
            continue;
        }
        let open = episodes.iter_mut().rev();
        let mut open = open.filter(|episode| episode.resolved.is_none());
        if let Some(episode) = open.find(|episode| episode.what == alert.what) {
            episode.resolved = Some(time);
        }
    }
}

/// A recorded series as the raw values that the agent sent.
struct RawSeries<'a> {
    key: Arc<SeriesKey>,
    points: &'a Points,
    /// The sum of a counter's rates so far.
    total: f64,
}

impl<'a> RawSeries<'a> {
    fn new(points: &'a Points) -> Self {
        let metric = match metric(points.metric.as_str()) {
            Some(known) => known.def(),
            None => custom_metric(points),
        };
        Self {
            key: Arc::new(SeriesKey {
                metric,
                attributes: points.attributes.clone(),
            }),
            points,
            total: 0.0,
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
                self.total += value * self.points.step_ms as f64 / 1000.0;
                self.total
            }
        };
        (value / 10f64.powi(i32::from(metric.scale))).round() as i64
    }
}

/// The definition of a custom metric, with a resolution of a millionth.
fn custom_metric(points: &Points) -> MetricDef {
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

    fn recorded(metric: &str, step_ms: i64, values: Vec<f64>) -> RecordedHost {
        RecordedHost {
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
            until: UnixMs(i64::MAX),
        }
    }

    #[test]
    fn nothing_fires_after_the_present_and_only_recorded_time_counts() {
        let rule = "busy: cpu > 90%".parse().unwrap();
        let mut values = vec![f64::NAN; 24];
        values[20..24].fill(0.95);
        let mut host = recorded(CPU_UTILIZATION.name, 3_600_000, values);
        // The last hour has only begun.
        host.until = UnixMs(23 * 3_600_000 + 60_000);
        let found = replay(&rule, &host);
        assert!(
            found.iter().all(|episode| episode.fired <= host.until),
            "{found:?}"
        );
        assert_eq!(found[0].fired, UnixMs(21 * 3_600_000));
        assert_eq!(
            recorded_span(&host),
            Some((UnixMs(20 * 3_600_000), host.until))
        );
        host.until = UnixMs(20 * 3_600_000 + 1);
        assert_eq!(replay(&rule, &host)[0].fired, host.until);
        let silent = "silent: silent for 2m".parse().unwrap();
        let mut gone = recorded(
            CPU_UTILIZATION.name,
            60_000,
            vec![0.5, f64::NAN, f64::NAN, f64::NAN],
        );
        gone.until = UnixMs(119_000);
        assert_eq!(
            replay(&silent, &gone),
            [],
            "it has not been silent for two minutes yet"
        );
        let nothing = recorded(CPU_UTILIZATION.name, 60_000, vec![f64::NAN; 3]);
        assert_eq!(recorded_span(&nothing), None);
    }

    #[test]
    fn a_rule_is_evaluated_against_the_past() {
        let rule = "busy: cpu > 90% for 2m".parse().unwrap();
        let mut values = vec![0.5; 30];
        values[5..10].fill(0.95);
        values[20..].fill(0.95);
        let found = replay(&rule, &recorded(CPU_UTILIZATION.name, 60_000, values));
        let times = found
            .iter()
            .map(|e| (e.fired.0 / 60_000, e.resolved.map(|t| t.0 / 60_000)));
        let times: Vec<_> = times.collect();
        assert_eq!(times, [(8, Some(11)), (23, None)]);
    }

    #[test]
    fn silent_hosts_and_counters_are_replayed() {
        let silent = "silent: silent for 3m".parse().unwrap();
        let mut values = vec![0.5; 20];
        values[5..10].fill(f64::NAN);
        let found = replay(&silent, &recorded(CPU_UTILIZATION.name, 60_000, values));
        let times = found
            .iter()
            .map(|e| (e.fired.0 / 60_000, e.resolved.map(|t| t.0 / 60_000)));
        assert_eq!(times.collect::<Vec<_>>(), [(8, Some(11))]);
        let kills = "oom: rate(system.linux.oom_kills) > 0 over 5m"
            .parse()
            .unwrap();
        let mut values = vec![0.0; 30];
        values[10] = 1.0 / 60.0;
        let found = replay(&kills, &recorded(OOM_KILLS.name, 60_000, values));
        assert_eq!((found.len(), found[0].fired), (1, UnixMs(660_000)));
        assert!(found[0].resolved.is_some());
    }

    /// A month in ten-minute means: half busy at daytime on weekdays, each week a little more or less.
    fn month(slot: i64) -> f64 {
        let (day, hour) = ((slot / 144) % 7, (slot / 6) % 24);
        let busy = day < 5 && (8..18).contains(&hour);
        let week = slot / 1008;
        let base = if busy { 0.5 } else { 0.05 };
        base + 0.01 * (week % 3) as f64 + 0.005 * (slot % 5) as f64
    }

    /// The 29th day by the minute, with the weeks before.
    fn day(weeks_known: i64, value: impl Fn(i64) -> f64) -> RecordedHost {
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
    fn deviations_from_the_baseline_are_found_and_a_usual_day_fires_nothing() {
        let rule: Rule = "odd: cpu deviates from baseline for 10m".parse().unwrap();
        let usual = |minute: i64| month(28 * 144 + minute / 10);
        assert_eq!(replay(&rule, &day(4, usual)), []);
        // Idle from ten to eleven, and busy at night.
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
                    e.resolved.map(|t| t.0 / 60_000 - 28 * 1_440),
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
            found[0].summary.contains("under the baseline"),
            "{}",
            found[0].summary
        );
        assert!(
            found[1].summary.contains("over the baseline"),
            "{}",
            found[1].summary
        );
        // Only the night is above 40 % as well; the ten minutes after eleven are too short.
        let two = "odd: cpu deviates from baseline and cpu > 40% for 15m"
            .parse()
            .unwrap();
        let found = replay(&two, &day(4, odd));
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn without_two_earlier_weeks_nothing_fires_and_the_baseline_is_reported_missing() {
        let rule: Rule = "odd: cpu deviates from baseline".parse().unwrap();
        let odd = |_| 0.99;
        assert!(replay(&rule, &day(1, odd)).is_empty() && lacks_baseline(&rule, &day(1, odd)));
        assert!(!replay(&rule, &day(2, odd)).is_empty() && !lacks_baseline(&rule, &day(2, odd)));
        let other = "busy: cpu > 90%".parse().unwrap();
        assert!(!lacks_baseline(&other, &day(1, odd)));
        // Means of an hour are enough.
        let mut hours = day(4, odd);
        hours.before[0].step_ms = HOUR_MS;
        hours.before[0].values = (0..4 * 168).map(|hour| month(hour * 6)).collect();
        assert!(!replay(&rule, &hours).is_empty() && !lacks_baseline(&rule, &hours));
    }

    #[test]
    fn a_replay_needs_every_metric_of_the_rule() {
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
        /// Live rows and their recording make the same alerts.
        #[test]
        fn a_replay_finds_the_transitions_that_were_found_live(
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
                let keys = SeriesKeys::from(vec![Arc::new(CPU_UTILIZATION.series(&[]))]);
                let name = Label::new("db-1");
                let (mut found, mut last_row) = (Vec::new(), None);
                for (second, value) in (1i64..).zip(&permille) {
                    let time = UnixMs(second * 1000);
                    let mut add = |transitions: Vec<Transition>| {
                        found.extend(transitions.into_iter().map(|t| (time, t.firing)));
                    };
                    if *value != ABSENT {
                        last_row = Some(time);
                        add(live.observe(HostRow {
                            id: HostId(0), name: &name, tags: &[], keys: &keys, time, values: &[*value],
                        }));
                    }
                    let Some(last_row) = last_row else { continue };
                    let silence = std::time::Duration::from_millis((time - last_row) as u64);
                    add(live.check(HostCheck {
                        id: HostId(0), name: &name, tags: &[], silence, clock_offset_ms: 0, now: time,
                    }));
                }
                let real = |value: &i64| if *value == ABSENT { f64::NAN } else { *value as f64 / 1000.0 };
                let values = permille.iter().map(real).collect();
                let mut again = Vec::new();
                for episode in replay(&rule, &recorded(CPU_UTILIZATION.name, 1000, values)) {
                    again.push((episode.fired, true));
                    again.extend(episode.resolved.map(|over| (over, false)));
                }
                prop_assert_eq!(&again, &found, "{}", text);
            }
        }
    }
}
