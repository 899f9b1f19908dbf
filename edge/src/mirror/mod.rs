//! The redacted fleet as the hub sends it, and its last hours. Pure.

mod history;
mod services;
mod view;

use std::collections::{BTreeMap, HashMap, HashSet};

use sysmon_wire::alerts::AlertState;
use sysmon_wire::message::{AlertLine, FleetUpdate, HostState, HostTick, Services};
use sysmon_wire::metrics::{ALIASES, Alias, SUMMARY};
use sysmon_wire::{ABSENT, Label, UnixMs};

use history::History;
pub use history::{POINTS_MAX, STEP_MS};
pub use services::{IncidentView, ServiceView, ServicesView};
use view::SCHEMA;
pub use view::{AlertView, AlertsView, FleetView, HostView, SeriesView, SparksView, Value};

const HOSTS_MAX: usize = 1_000;

const ALERTS_MAX: usize = 32;

/// A hub that has sent nothing for this long counts as disconnected, even if its connection is open.
const SILENT_MS_MAX: i64 = 15_000;

/// How far a host's clock may be ahead of the hub's for its values to enter the history.
const AHEAD_MS_MAX: i64 = 60_000;

/// Points of a sparkline and the time each stands for: a quarter of an hour.
const SPARK_POINTS: i64 = 30;
const SPARK_STEP_MS: i64 = 30_000;

#[derive(Clone, Debug)]
struct Host {
    state: HostState,
    time: UnixMs,
    values: Vec<i64>,
    alerts: Vec<AlertLine>,
    acknowledged: Vec<Acknowledged>,
    /// By the place of the metric in [`ALIASES`].
    history: Vec<History>,
    recorded: UnixMs,
}

#[derive(Clone, Debug)]
struct Acknowledged {
    rule: Label,
    since: UnixMs,
    at: UnixMs,
}

#[derive(Debug, Default)]
pub struct Mirror {
    hosts: BTreeMap<Label, Host>,
    indices: HashMap<u32, Label>,
    stream: Stream,
    services: Services,
    /// The hub's clock when it last sent an update.
    as_of: UnixMs,
    /// The edge's own clock at that moment.
    updated: UnixMs,
    generation: u64,
}

/// Identifies a stream on which the hub sends the whole fleet; only the newest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream(u64);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("superseded by a newer stream of the hub")]
pub struct Superseded;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    #[error("no such host")]
    Host,
    /// The mirror has only the summary metrics.
    #[error(
        "unknown metric; one of cpu, mem, load1, net.rx, net.tx, disk.read, disk.write, fs.worst, temp.max"
    )]
    Metric,
    #[error("invalid range; from has to be before to, and step at least 1 (ms)")]
    Range,
}

impl Mirror {
    /// Begins a stream on which the hub sends the whole fleet again; older streams are superseded.
    pub fn begin(&mut self) -> Stream {
        self.indices.clear();
        self.clear_acknowledged();
        // Until the hub names those that it shares now.
        self.services = Services::default();
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

    /// The stream has named every shared host: hosts that it did not name are removed.
    pub fn complete(&mut self, stream: Stream) -> Result<(), Superseded> {
        self.check(stream)?;
        let shared: HashSet<_> = self.indices.values().collect();
        self.hosts.retain(|name, _| shared.contains(name));
        self.generation += 1;
        Ok(())
    }

    pub fn apply(
        &mut self,
        stream: Stream,
        update: FleetUpdate,
        now: UnixMs,
    ) -> Result<(), Superseded> {
        self.check(stream)?;
        self.generation += 1;
        (self.as_of, self.updated) = (update.now, now);
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
                host.apply(tick, update.now);
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

    pub fn set_acknowledged(
        &mut self,
        stream: Stream,
        alerts: &[AlertState],
    ) -> Result<(), Superseded> {
        self.check(stream)?;
        self.generation += 1;
        self.clear_acknowledged();
        for alert in alerts {
            let host = self.hosts.get_mut(&alert.host);
            let host = host.filter(|host| host.acknowledged.len() < ALERTS_MAX);
            if let (Some(host), Some(acknowledgement)) = (host, &alert.acknowledged) {
                host.acknowledged.push(Acknowledged {
                    rule: alert.rule.clone(),
                    since: alert.since,
                    at: acknowledgement.at,
                });
            }
        }
        Ok(())
    }

    pub fn set_services(&mut self, stream: Stream, services: Services) -> Result<(), Superseded> {
        self.check(stream)?;
        self.services = services::bounded(services);
        Ok(())
    }

    pub fn services(&self) -> ServicesView<'_> {
        services::view(&self.services, self.as_of)
    }

    fn clear_acknowledged(&mut self) {
        for host in self.hosts.values_mut() {
            host.acknowledged.clear();
        }
    }

    fn by_index(&mut self, index: u32) -> Option<&mut Host> {
        self.hosts.get_mut(self.indices.get(&index)?)
    }

    /// Whether the hub has sent something lately.
    pub fn is_live(&self, now: UnixMs) -> bool {
        now - self.updated < SILENT_MS_MAX
    }

    /// The hub's clock when it last sent an update; 0 if it never did.
    pub fn as_of(&self) -> UnixMs {
        self.as_of
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn firing(&self) -> usize {
        self.hosts.values().map(|host| host.alerts.len()).sum()
    }

    pub fn counts(&self) -> [(HostState, usize); 3] {
        [HostState::Live, HostState::Stale, HostState::Offline].map(|state| {
            let hosts = self.hosts.values().filter(|host| host.state == state);
            (state, hosts.count())
        })
    }

    pub fn state(&self, name: &str) -> Result<HostState, NotFound> {
        Ok(self.find(name)?.1.state)
    }

    fn metric(name: &str) -> Result<(usize, &'static Alias), NotFound> {
        let mut aliases = ALIASES.iter().take(SUMMARY).enumerate();
        let found = aliases.find(|(_, alias)| alias.alias == name);
        found.ok_or(NotFound::Metric)
    }

    fn find(&self, name: &str) -> Result<(&Label, &Host), NotFound> {
        let found = self.hosts.get_key_value(&Label::new(name));
        found.ok_or(NotFound::Host)
    }

    pub fn metrics(&self) -> Vec<&'static str> {
        let is_known = |place: usize| {
            let mut histories = self.hosts.values().map(|host| host.history.get(place));
            histories.any(|history| history.is_some_and(History::is_known))
        };
        let aliases = ALIASES.iter().take(SUMMARY).enumerate();
        let known = aliases.filter(|(place, _)| is_known(*place));
        known.map(|(_, alias)| alias.alias).collect()
    }

    pub fn fleet<'a>(&'a self, title: &'a str, now: UnixMs) -> FleetView<'a> {
        let hosts = self.hosts.iter().map(|(name, host)| host.view(name));
        FleetView {
            as_of_ms: self.as_of,
            hosts: hosts.collect(),
            live: self.is_live(now),
            metrics: self.metrics(),
            now_ms: now,
            schema: SCHEMA,
            title,
        }
    }

    pub fn host(&self, name: &str) -> Result<HostView<'_>, NotFound> {
        let (name, host) = self.find(name)?;
        Ok(host.view(name))
    }

    pub fn alerts(&self) -> AlertsView<'_> {
        let alerts = self.hosts.iter().flat_map(|(name, host)| {
            host.alerts.iter().map(move |alert| AlertView {
                host: Some(name),
                ..host.alert(alert)
            })
        });
        AlertsView {
            alerts: alerts.collect(),
            as_of_ms: self.as_of,
            schema: SCHEMA,
        }
    }

    /// One metric of a host over time, in steps of `step_ms`, or longer ones if that would be too many.
    pub fn series(
        &self,
        name: &str,
        metric: &str,
        from: UnixMs,
        to: UnixMs,
        step_ms: i64,
    ) -> Result<SeriesView<'_>, NotFound> {
        let (name, host) = self.find(name)?;
        let (place, alias) = Self::metric(metric)?;
        if from >= to || step_ms < 1 {
            return Err(NotFound::Range);
        }
        let span_max = POINTS_MAX as i64 * STEP_MS;
        let (from, to) = (history::step(from.max(to - span_max)), history::step(to));
        let each = (step_ms.min(span_max) + STEP_MS - 1).div_euclid(STEP_MS);
        let history = host.history.get(place).ok_or(NotFound::Metric)?;
        let first = from.div_euclid(each) * each;
        let steps = (0..)
            .map(|n| first + n * each)
            .take_while(|step| *step <= to);
        let point = |step: i64| {
            let mean = history.mean(step, step + each);
            let value = mean.map(|mean| Value::rounded(mean, alias.metric.scale));
            (UnixMs(step * STEP_MS), value)
        };
        Ok(SeriesView {
            host: name,
            metric: alias.alias,
            points: steps.map(point).collect(),
            schema: SCHEMA,
            step_ms: each * STEP_MS,
        })
    }

    pub fn sparks(&self, metric: &str) -> Result<SparksView<'_>, NotFound> {
        let (place, alias) = Self::metric(metric)?;
        let each = SPARK_STEP_MS / STEP_MS;
        let last = history::step(self.as_of).div_euclid(each);
        let points = |host: &Host| {
            let value = |at: i64| {
                let mean = host.history.get(place)?.mean(at * each, (at + 1) * each)?;
                Some(Value::rounded(mean, alias.metric.scale))
            };
            (last - SPARK_POINTS + 1..=last).map(value).collect()
        };
        let hosts = self.hosts.iter().map(|(name, host)| (name, points(host)));
        Ok(SparksView {
            end_ms: UnixMs(last * SPARK_STEP_MS),
            hosts: hosts.collect(),
            metric: alias.alias,
            schema: SCHEMA,
            step_ms: SPARK_STEP_MS,
        })
    }
}

impl Default for Host {
    fn default() -> Self {
        Self {
            state: HostState::Offline,
            time: UnixMs(0),
            values: vec![ABSENT; SUMMARY],
            alerts: Vec::new(),
            acknowledged: Vec::new(),
            history: vec![History::default(); SUMMARY],
            recorded: UnixMs(0),
        }
    }
}

impl Host {
    fn apply(&mut self, mut tick: HostTick, now: UnixMs) {
        let oldest = now - POINTS_MAX as i64 * STEP_MS;
        if tick.time > self.recorded.max(oldest) && tick.time <= now + AHEAD_MS_MAX {
            self.recorded = tick.time;
            for (history, value) in self.history.iter_mut().zip(&tick.values) {
                history.add(tick.time, *value);
            }
        }
        tick.values.resize(SUMMARY, ABSENT);
        (self.state, self.time, self.values) = (tick.state, tick.time, tick.values);
    }

    fn alert<'a>(&self, alert: &'a AlertLine) -> AlertView<'a> {
        let mut all = self.acknowledged.iter();
        let acknowledged = all.find(|one| (&one.rule, one.since) == (&alert.rule, alert.since));
        AlertView {
            acknowledged_ms: acknowledged.map(|one| one.at),
            host: None,
            rule: &alert.rule,
            severity: alert.severity,
            since_ms: alert.since,
            summary: &alert.summary,
        }
    }

    fn view<'a>(&'a self, name: &'a Label) -> HostView<'a> {
        let is_live = self.state == HostState::Live;
        let aliases = ALIASES.iter().take(SUMMARY);
        let metrics = aliases.zip(&self.values).map(|(alias, value)| {
            let is_known = *value != ABSENT && is_live;
            let value = is_known.then(|| Value::rounded(*value as f64, alias.metric.scale));
            (alias.alias, value)
        });
        HostView {
            alerts: self.alerts.iter().map(|alert| self.alert(alert)).collect(),
            last_sample_ms: (self.time.0 > 0).then_some(self.time),
            metrics: metrics.collect(),
            name,
            state: self.state,
        }
    }
}

#[cfg(test)]
mod tests;
