//! The fleet as the hub shows it, and the last hours of it. Pure.

mod history;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};
use sysmon_wire::alerts::AlertState;
use sysmon_wire::message::{AlertLine, FleetUpdate, HostState, HostTick};
use sysmon_wire::metrics::{ALIASES, Alias, SUMMARY, unscale};
use sysmon_wire::{ABSENT, Label, UnixMs};

use history::History;
pub use history::{POINTS_MAX, STEP_MS};

/// Which fields the JSON has.
const SCHEMA: u32 = 1;

/// Hosts an edge shows.
const HOSTS_MAX: usize = 1_000;

/// Alerts of one host: more than anybody reads.
const ALERTS_MAX: usize = 32;

/// A hub that has said nothing for this long is away, connected or not.
const AWAY_MS: i64 = 15_000;

/// How far a host's clock may be ahead of the hub's for its values to be kept.
const AHEAD_MS_MAX: i64 = 60_000;

/// Steps of the small picture of a value beside a host, and milliseconds each stands for: a quarter of an hour.
const SPARK_POINTS: i64 = 30;
const SPARK_STEP_MS: i64 = 30_000;

/// One host.
#[derive(Clone, Debug)]
struct Host {
    state: HostState,
    time: UnixMs,
    values: Vec<i64>,
    alerts: Vec<AlertLine>,
    /// Of which of them somebody takes care: rule, since when it is bad, and since when somebody does.
    cared: Vec<(Label, UnixMs, UnixMs)>,
    history: Vec<History>,
    /// Up to when the history has values of the present.
    recorded: UnixMs,
}

/// The fleet as the hub shows it.
#[derive(Debug, Default)]
pub struct Mirror {
    hosts: BTreeMap<Label, Host>,
    /// Hosts by their index in the hub's present stream.
    indices: HashMap<u32, Label>,
    /// Which stream is the present one.
    stream: Stream,
    /// The hub's clock when it last spoke.
    as_of: UnixMs,
    /// Our own clock then.
    heard: UnixMs,
    /// Rises with every change.
    pub generation: u64,
}

/// A stream on which a hub tells everything; the newest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream(u64);

/// A newer stream has taken over.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a newer connection of the hub took over")]
pub struct Superseded;

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
    /// A hub begins to tell everything anew, and what an older stream says counts no more.
    pub fn begin(&mut self) -> Stream {
        self.indices.clear();
        self.care_for_nothing();
        self.stream.0 += 1;
        self.stream
    }

    fn check(&self, stream: Stream) -> Result<(), Superseded> {
        if stream == self.stream {
            Ok(())
        } else {
            Err(Superseded)
        }
    }

    /// It has told everything: hosts it did not name are no longer shown.
    pub fn complete(&mut self, stream: Stream) -> Result<(), Superseded> {
        self.check(stream)?;
        let shown: std::collections::HashSet<_> = self.indices.values().collect();
        self.hosts.retain(|name, _| shown.contains(name));
        self.generation += 1;
        Ok(())
    }

    /// Takes what the hub says at `now`.
    pub fn apply(
        &mut self,
        stream: Stream,
        update: FleetUpdate,
        now: UnixMs,
    ) -> Result<(), Superseded> {
        self.check(stream)?;
        self.generation += 1;
        (self.as_of, self.heard) = (update.now, now);
        for mut line in update.lines {
            if self.hosts.len() >= HOSTS_MAX && !self.hosts.contains_key(&line.name) {
                continue;
            }
            self.indices.insert(line.index, line.name.clone());
            let host = self.hosts.entry(line.name).or_default();
            line.alerts.truncate(ALERTS_MAX);
            host.alerts = line.alerts;
        }
        for tick in update.ticks {
            if let Some(host) = self.by_index(tick.index) {
                host.take(tick, update.now);
            }
        }
        for spark in update.sparks {
            let host = self.by_index(spark.index);
            let history = host.and_then(|host| host.history.get_mut(usize::from(spark.alias)));
            if let Some(history) = history {
                history.fill(&spark, update.now);
            }
        }
        Ok(())
    }

    /// Takes of which alerts somebody takes care.
    pub fn care(&mut self, stream: Stream, alerts: &[AlertState]) -> Result<(), Superseded> {
        self.check(stream)?;
        self.generation += 1;
        self.care_for_nothing();
        for alert in alerts {
            let host = self.hosts.get_mut(&alert.host);
            let host = host.filter(|host| host.cared.len() < ALERTS_MAX);
            if let (Some(host), Some(acknowledged)) = (host, &alert.acknowledged) {
                let care = (alert.rule.clone(), alert.since, acknowledged.at);
                host.cared.push(care);
            }
        }
        Ok(())
    }

    fn care_for_nothing(&mut self) {
        for host in self.hosts.values_mut() {
            host.cared.clear();
        }
    }

    fn by_index(&mut self, index: u32) -> Option<&mut Host> {
        self.hosts.get_mut(self.indices.get(&index)?)
    }

    /// Whether the hub speaks.
    pub fn is_live(&self, now: UnixMs) -> bool {
        now - self.heard < AWAY_MS
    }

    /// The hub's clock when it last spoke.
    pub fn as_of(&self) -> UnixMs {
        self.as_of
    }

    /// How many alerts fire.
    pub fn firing(&self) -> usize {
        self.hosts.values().map(|host| host.alerts.len()).sum()
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
            "metrics": self.metrics(),
            "hosts": self.hosts.iter().map(|(name, host)| host.json(name)).collect::<Vec<_>>(),
        })
    }

    /// One host.
    pub fn host(&self, name: &str) -> Result<Value, Unknown> {
        let (name, host) = self.find(name)?;
        Ok(host.json(name))
    }

    fn metric(name: &str) -> Result<(usize, &'static Alias), Unknown> {
        let mut aliases = ALIASES.iter().take(SUMMARY).enumerate();
        let found = aliases.find(|(_, alias)| alias.alias == name);
        found.ok_or(Unknown::Metric)
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
        let (place, alias) = Self::metric(metric)?;
        if from >= to || step_ms < 1 {
            return Err(Unknown::Range);
        }
        let kept = POINTS_MAX as i64 * STEP_MS;
        let (from, to) = (history::step(from.max(to - kept)), history::step(to));
        let each = (step_ms.min(kept) + STEP_MS - 1).div_euclid(STEP_MS);
        let history = host.history.get(place).ok_or(Unknown::Metric)?;
        let first = from.div_euclid(each) * each;
        let points = (0..)
            .map(|n| first + n * each)
            .take_while(|step| *step <= to);
        let point = |step: i64| {
            let mean = history.mean(step, step + each);
            json!([
                step * STEP_MS,
                mean.map(|mean| shown(mean, alias.metric.scale))
            ])
        };
        Ok(json!({
            "schema": SCHEMA,
            "host": name,
            "metric": metric,
            "step_ms": each * STEP_MS,
            "points": points.map(point).collect::<Vec<_>>(),
        }))
    }

    /// Metrics of which anything is known of any host.
    pub fn metrics(&self) -> Vec<&'static str> {
        let is_known = |place: usize| {
            let mut histories = self.hosts.values().map(|host| host.history.get(place));
            histories.any(|history| history.is_some_and(History::is_known))
        };
        let aliases = ALIASES.iter().take(SUMMARY).enumerate();
        let known = aliases.filter(|(place, _)| is_known(*place));
        known.map(|(_, alias)| alias.alias).collect()
    }

    /// The last quarter of an hour of one metric of all hosts.
    pub fn sparks(&self, metric: &str) -> Result<Value, Unknown> {
        let (place, alias) = Self::metric(metric)?;
        let each = SPARK_STEP_MS / STEP_MS;
        let last = history::step(self.as_of).div_euclid(each);
        let points = |host: &Host| -> Vec<Value> {
            let history = host.history.get(place);
            let mean = |at: i64| history?.mean(at * each, (at + 1) * each);
            let shown = |at: i64| mean(at).map_or(Value::Null, |v| shown(v, alias.metric.scale));
            (last - SPARK_POINTS + 1..=last).map(shown).collect()
        };
        let hosts: Map<String, Value> = self
            .hosts
            .iter()
            .map(|(name, host)| (name.to_string(), json!(points(host))))
            .collect();
        Ok(json!({
            "schema": SCHEMA,
            "metric": metric,
            "end_ms": last * SPARK_STEP_MS,
            "step_ms": SPARK_STEP_MS,
            "hosts": hosts,
        }))
    }

    /// All alerts that fire.
    pub fn alerts(&self) -> Value {
        let alerts = self.hosts.iter().flat_map(|(name, host)| {
            host.alerts.iter().map(move |alert| {
                let mut json = host.alert(alert);
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

impl Default for Host {
    fn default() -> Self {
        Self {
            state: HostState::Offline,
            time: UnixMs(0),
            values: vec![ABSENT; SUMMARY],
            alerts: Vec::new(),
            cared: Vec::new(),
            history: vec![History::default(); SUMMARY],
            recorded: UnixMs(0),
        }
    }
}

impl Host {
    fn take(&mut self, mut tick: HostTick, now: UnixMs) {
        let kept = now - POINTS_MAX as i64 * STEP_MS;
        if tick.time > self.recorded.max(kept) && tick.time <= now + AHEAD_MS_MAX {
            self.recorded = tick.time;
            for (history, value) in self.history.iter_mut().zip(&tick.values) {
                history.add(tick.time, *value);
            }
        }
        tick.values.resize(SUMMARY, ABSENT);
        (self.state, self.time, self.values) = (tick.state, tick.time, tick.values);
    }

    fn alert(&self, alert: &AlertLine) -> Value {
        let mut json = json!({ "rule": alert.rule, "severity": alert.severity.as_str(), "since_ms": alert.since.0 });
        let mut cared = self.cared.iter();
        let care = cared.find(|(rule, since, _)| (rule, *since) == (&alert.rule, alert.since));
        if let Some(object) = json.as_object_mut() {
            if !alert.summary.as_str().is_empty() {
                object.insert("summary".to_owned(), json!(alert.summary));
            }
            if let Some((_, _, at)) = care {
                object.insert("acknowledged_ms".to_owned(), json!(at.0));
            }
        }
        json
    }

    fn json(&self, name: &Label) -> Value {
        let is_live = self.state == HostState::Live;
        let metrics: Map<String, Value> = ALIASES
            .iter()
            .take(SUMMARY)
            .zip(&self.values)
            .map(|(alias, value)| {
                let known =
                    (*value != ABSENT && is_live).then(|| shown(*value as f64, alias.metric.scale));
                (alias.alias.to_owned(), json!(known))
            })
            .collect();
        json!({
            "name": name,
            "state": self.state.as_str(),
            "last_sample_ms": if self.time.0 > 0 { json!(self.time.0) } else { Value::Null },
            "metrics": metrics,
            "alerts": self.alerts.iter().map(|alert| self.alert(alert)).collect::<Vec<_>>(),
        })
    }
}

/// A value in its unit, without digits that nobody measured.
fn shown(value: f64, scale: i8) -> Value {
    let real = match scale {
        0.. => value.round() * unscale(1, scale),
        _ => (value * 10.0).round() / 10.0 / 10f64.powi(-i32::from(scale)),
    };
    if real.fract() == 0.0 && real.abs() < 9e15 {
        json!(real as i64)
    } else {
        json!(real)
    }
}

#[cfg(test)]
mod tests;
