//! The fleet as the hub shows it, and the last hours of it. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Map, Value, json};
use sysmon_wire::message::{AlertLine, FleetUpdate, HostState, HostTick, Spark};
use sysmon_wire::metrics::{ALIASES, SUMMARY, unscale};
use sysmon_wire::{ABSENT, Label, UnixMs};

/// Which fields the JSON has.
const SCHEMA: u32 = 1;

/// Milliseconds a point of history stands for, and how many are kept: six hours.
pub const STEP_MS: i64 = 10_000;
const POINTS_MAX: usize = 2_160;

/// Hosts an edge shows.
const HOSTS_MAX: usize = 1_000;

/// A hub that has said nothing for this long is away, connected or not.
const AWAY_MS: i64 = 15_000;

/// One host.
#[derive(Clone, Debug)]
struct Host {
    state: HostState,
    time: UnixMs,
    values: Vec<i64>,
    alerts: Vec<AlertLine>,
    history: Vec<History>,
}

/// Means of one value over steps of time, the newest still filling.
#[derive(Clone, Debug, Default)]
struct History {
    /// Beginning of the first step, in steps.
    first: i64,
    /// Sum and count of each step.
    steps: VecDeque<(i64, u32)>,
}

impl History {
    fn add(&mut self, time: UnixMs, value: i64) {
        let step = time.0.div_euclid(STEP_MS);
        if value == ABSENT {
            return;
        }
        if self.steps.is_empty() {
            self.first = step;
        }
        let Some(at) = self.place(step) else { return };
        if let Some((sum, count)) = self.steps.get_mut(at) {
            *sum = sum.saturating_add(value);
            *count += 1;
        }
    }

    /// Where a step is, making room for it; none if it is too old.
    fn place(&mut self, step: i64) -> Option<usize> {
        let last = self.first + self.steps.len() as i64 - 1;
        if step - last > POINTS_MAX as i64 {
            self.steps.clear();
            self.first = step;
        }
        while self.first > step && self.steps.len() < POINTS_MAX {
            self.steps.push_front((0, 0));
            self.first -= 1;
        }
        let at = usize::try_from(step - self.first).ok()?;
        while self.steps.len() <= at {
            self.steps.push_back((0, 0));
        }
        while self.steps.len() > POINTS_MAX {
            self.steps.pop_front();
            self.first += 1;
        }
        usize::try_from(step - self.first).ok()
    }

    /// Fills steps of which nothing is known.
    fn fill(&mut self, spark: &Spark) {
        for (back, &value) in spark.points.iter().rev().enumerate() {
            let time = spark.end - back as i64 * STEP_MS;
            let step = time.0.div_euclid(STEP_MS);
            if value == ABSENT {
                continue;
            }
            if self.steps.is_empty() {
                self.first = step;
            }
            let Some(at) = self.place(step) else { continue };
            if let Some(known) = self.steps.get_mut(at).filter(|known| known.1 == 0) {
                *known = (value, 1);
            }
        }
    }

    fn mean(&self, step: i64) -> Option<i64> {
        let at = usize::try_from(step - self.first).ok()?;
        let (sum, count) = self.steps.get(at)?;
        (*count > 0).then(|| sum / i64::from(*count))
    }
}

/// The fleet as the hub shows it.
#[derive(Debug, Default)]
pub struct Mirror {
    hosts: BTreeMap<Label, Host>,
    /// Hosts by their index in the hub's present stream.
    indices: HashMap<u32, Label>,
    /// The hub's clock when it last spoke.
    as_of: UnixMs,
    /// Rises with every change.
    pub generation: u64,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No such host.
    Host,
    /// No such metric.
    Metric,
    /// A range or step that makes no sense.
    Range,
}

impl Mirror {
    /// A hub begins to tell everything anew.
    pub fn begin(&mut self) {
        self.indices.clear();
    }

    /// It has told everything: hosts it did not name are no longer shown.
    pub fn complete(&mut self) {
        let shown: Vec<_> = self.indices.values().cloned().collect();
        self.hosts.retain(|name, _| shown.contains(name));
        self.generation += 1;
    }

    /// Takes what the hub says.
    pub fn apply(&mut self, update: FleetUpdate) {
        self.generation += 1;
        self.as_of = self.as_of.max(update.now);
        for line in update.lines {
            if self.hosts.len() >= HOSTS_MAX && !self.hosts.contains_key(&line.name) {
                continue;
            }
            self.indices.insert(line.index, line.name.clone());
            let host = self.hosts.entry(line.name).or_insert_with(|| Host {
                state: HostState::Offline,
                time: UnixMs(0),
                values: vec![ABSENT; SUMMARY],
                alerts: Vec::new(),
                history: vec![History::default(); SUMMARY],
            });
            host.alerts = line.alerts;
        }
        for tick in update.ticks {
            if let Some(host) = self
                .indices
                .get(&tick.index)
                .and_then(|name| self.hosts.get_mut(name))
            {
                host.take(tick);
            }
        }
        for spark in update.sparks {
            let host = self
                .indices
                .get(&spark.index)
                .and_then(|name| self.hosts.get_mut(name));
            let history = host.and_then(|host| host.history.get_mut(usize::from(spark.alias)));
            if let Some(history) = history {
                history.fill(&spark);
            }
        }
    }

    /// Whether the hub speaks.
    pub fn is_live(&self, now: UnixMs) -> bool {
        now - self.as_of < AWAY_MS
    }

    /// Names of the hosts.
    pub fn names(&self) -> impl Iterator<Item = &Label> {
        self.hosts.keys()
    }

    /// The whole fleet.
    pub fn fleet(&self, title: &str, now: UnixMs) -> Value {
        json!({
            "schema": SCHEMA,
            "title": title,
            "now_ms": now.0,
            "as_of_ms": self.as_of.0,
            "live": self.is_live(now),
            "hosts": self.hosts.iter().map(|(name, host)| host.json(name)).collect::<Vec<_>>(),
        })
    }

    /// One host.
    pub fn host(&self, name: &str) -> Result<Value, Unknown> {
        let (name, host) = self.find(name)?;
        Ok(host.json(name))
    }

    fn find(&self, name: &str) -> Result<(&Label, &Host), Unknown> {
        self.hosts
            .get_key_value(&Label::new(name))
            .ok_or(Unknown::Host)
    }

    /// One metric of a host over time, in steps of `step_ms` that are made longer if there would be too many.
    pub fn series(
        &self,
        name: &str,
        metric: &str,
        from: UnixMs,
        to: UnixMs,
        step_ms: i64,
    ) -> Result<Value, Unknown> {
        let (name, host) = self.find(name)?;
        let place = ALIASES
            .iter()
            .take(SUMMARY)
            .position(|alias| alias.alias == metric);
        let place = place.ok_or(Unknown::Metric)?;
        if from >= to || step_ms < 1 {
            return Err(Unknown::Range);
        }
        let kept = POINTS_MAX as i64 * STEP_MS;
        let from = from.max(to - kept).0.div_euclid(STEP_MS);
        let to = to.0.div_euclid(STEP_MS);
        let each = (step_ms + STEP_MS - 1)
            .div_euclid(STEP_MS)
            .clamp(1, POINTS_MAX as i64);
        let (Some(history), Some(alias)) = (host.history.get(place), ALIASES.get(place)) else {
            return Err(Unknown::Metric);
        };
        let first = from.div_euclid(each) * each;
        let points = (0..)
            .map(|n| first + n * each)
            .take_while(|step| *step <= to);
        let point = |step: i64| {
            let means: Vec<i64> = (step..step + each)
                .filter_map(|step| history.mean(step))
                .collect();
            let count = means.len() as i64;
            let mean =
                (count > 0).then(|| unscale(means.iter().sum::<i64>() / count, alias.metric.scale));
            json!([step * STEP_MS, mean])
        };
        Ok(json!({
            "schema": SCHEMA,
            "host": name,
            "metric": metric,
            "step_ms": each * STEP_MS,
            "points": points.map(point).collect::<Vec<_>>(),
        }))
    }

    /// All alerts that fire.
    pub fn alerts(&self) -> Value {
        let alerts = self.hosts.iter().flat_map(|(name, host)| {
            host.alerts.iter().map(move |alert| {
                let mut json = alert_json(alert);
                if let Some(object) = json.as_object_mut() {
                    object.insert("host".to_owned(), json!(name));
                }
                json
            })
        });
        json!({ "schema": SCHEMA, "as_of_ms": self.as_of.0, "alerts": alerts.collect::<Vec<_>>() })
    }

    /// How many hosts are in each state.
    pub fn counts(&self) -> [(HostState, usize); 3] {
        [HostState::Live, HostState::Stale, HostState::Offline].map(|state| {
            (
                state,
                self.hosts
                    .values()
                    .filter(|host| host.state == state)
                    .count(),
            )
        })
    }

    /// The state of a host.
    pub fn state(&self, name: &str) -> Result<HostState, Unknown> {
        Ok(self.find(name)?.1.state)
    }
}

impl Host {
    fn take(&mut self, tick: HostTick) {
        if tick.time > self.time {
            for (history, value) in self.history.iter_mut().zip(&tick.values) {
                history.add(tick.time, *value);
            }
        }
        self.state = tick.state;
        self.time = tick.time;
        self.values = tick.values;
    }

    fn json(&self, name: &Label) -> Value {
        let is_live = self.state == HostState::Live;
        let metrics: Map<String, Value> = ALIASES
            .iter()
            .take(SUMMARY)
            .zip(&self.values)
            .map(|(alias, value)| {
                let known =
                    (*value != ABSENT && is_live).then(|| unscale(*value, alias.metric.scale));
                (alias.alias.to_owned(), json!(known))
            })
            .collect();
        json!({
            "name": name,
            "state": self.state.as_str(),
            "last_sample_ms": if self.time.0 > 0 { json!(self.time.0) } else { Value::Null },
            "metrics": metrics,
            "alerts": self.alerts.iter().map(alert_json).collect::<Vec<_>>(),
        })
    }
}

fn alert_json(alert: &AlertLine) -> Value {
    json!({ "rule": alert.rule, "severity": alert.severity.as_str(), "since_ms": alert.since.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sysmon_wire::HostFacts;
    use sysmon_wire::message::{HostHealth, HostLine};

    fn line(index: u32, name: &str) -> HostLine {
        HostLine {
            index,
            name: name.into(),
            facts: HostFacts::unknown(),
            health: HostHealth::default(),
            notes: Vec::new(),
            alerts: Vec::new(),
        }
    }

    fn tick(index: u32, time: i64, cpu: i64) -> HostTick {
        let mut values = vec![ABSENT; SUMMARY];
        values[0] = cpu;
        HostTick {
            index,
            state: HostState::Live,
            time: UnixMs(time),
            values,
        }
    }

    fn update(
        now: i64,
        lines: Vec<HostLine>,
        ticks: Vec<HostTick>,
        sparks: Vec<Spark>,
    ) -> FleetUpdate {
        FleetUpdate {
            now: UnixMs(now),
            lines,
            ticks,
            sparks,
        }
    }

    fn spark(end: i64, points: &[i64]) -> Spark {
        Spark {
            index: 0,
            alias: 0,
            end: UnixMs(end),
            points: points.to_vec(),
        }
    }

    fn points(mirror: &Mirror, from: i64, to: i64) -> Value {
        mirror
            .series("a", "cpu", UnixMs(from), UnixMs(to), 1)
            .unwrap()["points"]
            .clone()
    }

    #[test]
    fn what_the_hub_says_is_shown_and_a_gap_is_filled_when_it_comes_back() {
        let mut mirror = Mirror::default();
        mirror.begin();
        let sparks = vec![spark(100_000, &[100, 200, 300])];
        mirror.apply(update(
            105_000,
            vec![line(0, "a"), line(1, "b")],
            vec![tick(0, 105_000, 500)],
            sparks,
        ));
        mirror.complete();
        assert_eq!(
            points(&mirror, 80_000, 109_000),
            json!([[80_000, 0.1], [90_000, 0.2], [100_000, 0.5]])
        );
        assert!(mirror.is_live(UnixMs(110_000)) && !mirror.is_live(UnixMs(130_000)));
        // Ten steps away; then the hub tells what was.
        mirror.begin();
        let sparks = vec![spark(200_000, &[700; 10])];
        mirror.apply(update(
            205_000,
            vec![line(0, "a")],
            vec![tick(0, 205_000, 900)],
            sparks,
        ));
        mirror.complete();
        let all = points(&mirror, 100_000, 200_000);
        assert_eq!(all[0], json!([100_000, 0.5]), "what was known stays");
        assert_eq!(
            (&all[1], &all[9]),
            (&json!([110_000, 0.7]), &json!([190_000, 0.7]))
        );
        assert_eq!(
            mirror.names().collect::<Vec<_>>(),
            ["a"],
            "b is not shown any more"
        );
        let fleet = mirror.fleet("t", UnixMs(206_000));
        assert_eq!(
            (&fleet["live"], &fleet["hosts"][0]["metrics"]["cpu"]),
            (&json!(true), &json!(0.9))
        );
    }

    #[test]
    fn questions_without_an_answer_are_told_apart() {
        let mut mirror = Mirror::default();
        mirror.apply(update(1, vec![line(0, "a")], Vec::new(), Vec::new()));
        let ask = |host: &str, metric: &str, from, to, step| {
            mirror
                .series(host, metric, UnixMs(from), UnixMs(to), step)
                .unwrap_err()
        };
        assert_eq!(ask("x", "cpu", 0, 1, 1), Unknown::Host);
        assert_eq!(ask("a", "uptime", 0, 1, 1), Unknown::Metric);
        assert_eq!(ask("a", "cpu", 1, 1, 1), Unknown::Range);
        assert_eq!(ask("a", "cpu", 0, 1, 0), Unknown::Range);
        let all = mirror.series("a", "cpu", UnixMs(0), UnixMs(i64::MAX / 2), i64::MAX / 4);
        assert!(all.unwrap()["points"].as_array().unwrap().len() <= POINTS_MAX + 1);
    }

    proptest! {
        #[test]
        fn nothing_a_hub_says_makes_it_grow_or_panic(
            ticks in proptest::collection::vec((any::<i64>(), any::<i64>()), 0..50),
            end in any::<i64>(),
        ) {
            let mut mirror = Mirror::default();
            mirror.apply(update(0, vec![line(0, "a")], Vec::new(), vec![spark(end / 4, &[5; 100])]));
            for (time, value) in ticks {
                mirror.apply(update(time, Vec::new(), vec![tick(0, time / 4, value)], Vec::new()));
            }
            prop_assert!(mirror.hosts.values().all(|host| host.history.iter().all(|h| h.steps.len() <= POINTS_MAX)));
        }
    }
}
