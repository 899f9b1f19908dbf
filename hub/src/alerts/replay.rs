//! What a rule would have told of the past, found by the same engine that looks at the present. Pure.

use std::sync::Arc;

use sysmon_wire::message::Points;
use sysmon_wire::metrics::metric;
use sysmon_wire::{ABSENT, Kind, Label, MetricDef, SeriesKey, UnixMs};

use super::engine::{Engine, Observed, Transition, Whole};
use super::rule::{Bound, Condition, Measure, MetricName, Rule};
use crate::fleet::HostId;

/// What was recorded of one host, in steps.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The host.
    pub host: Label,
    /// Words it is filed under.
    pub tags: Vec<Label>,
    /// Its series, all with the same steps.
    pub series: Vec<Points>,
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

/// Metrics that have to be known to play a rule again, and whether the largest or smallest value of a step
/// is to be looked at rather than the mean, because one bad value is enough.
pub fn needs(rule: &Rule, step_ms: i64) -> Vec<(MetricName, Option<bool>)> {
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
