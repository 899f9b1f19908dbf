//! From rows to alerts. Pure: time comes in with the rows.

mod host;
mod probe;
mod state;
mod words;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sysmon_wire::message::AlertLine;
use sysmon_wire::{Label, SeriesKey, UnixMs};

use super::rule::{Condition, Rule};
use super::week::Usual;
use crate::HostId;
use host::Host;
pub use state::Alert;

/// What becomes of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The alert.
    pub alert: Alert,
    /// Whether it fires now, or is over.
    pub firing: bool,
}

/// All rules, and what they found.
#[derive(Debug)]
pub struct Engine {
    rules: Vec<Rule>,
    hosts: HashMap<HostId, Host>,
    /// Alerts that fired before a restart, of hosts that were not seen since: they are not told again.
    restored: HashMap<String, Vec<Alert>>,
}

/// What the engine is told of a host.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The host.
    pub id: HostId,
    /// Its name.
    pub name: &'a Label,
    /// Words it is filed under.
    pub tags: &'a [Label],
    /// Its series.
    pub keys: &'a [Arc<SeriesKey>],
    /// When the row was taken.
    pub time: UnixMs,
    /// Its values.
    pub values: &'a [i64],
}

/// What the hub knows of a host beside its rows.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// The host.
    pub id: HostId,
    /// Its name.
    pub name: &'a Label,
    /// Words it is filed under.
    pub tags: &'a [Label],
    /// How long it has been silent.
    pub silence: Duration,
    /// How far its clock is ahead.
    pub clock_offset_ms: i64,
    /// The moment.
    pub now: UnixMs,
}

impl Engine {
    /// An engine with these rules; `firing` are alerts that were told of before.
    pub fn new(rules: Vec<Rule>, firing: Vec<Alert>) -> Self {
        let mut restored: HashMap<String, Vec<Alert>> = HashMap::new();
        for alert in firing {
            restored.entry(alert.host.clone()).or_default().push(alert);
        }
        Self {
            rules,
            hosts: HashMap::new(),
            restored,
        }
    }

    /// Takes other rules; what is over by that.
    ///
    /// What a rule that stays has found goes on as it is. An alert of a rule that was changed is looked at
    /// anew, as after a restart: it is not told again if it is still bad. One of a rule that is gone is over.
    pub fn replace(&mut self, rules: Vec<Rule>) -> Vec<Transition> {
        let stays = |rule: &Rule| rules.iter().position(|new| new == rule);
        let places: Vec<Option<usize>> = self.rules.iter().map(stays).collect();
        let mut over = Vec::new();
        for host in self.hosts.values_mut() {
            host.replace(|rule| places.get(rule).copied().flatten());
            over.extend(host.take_gone(&rules));
        }
        let is_gone = |alert: &mut Alert| rules.iter().all(|rule| rule.name != alert.rule);
        for restored in self.restored.values_mut() {
            over.extend(restored.extract_if(.., is_gone));
        }
        over.sort_by(|a, b| a.key().cmp(&b.key()));
        self.rules = rules;
        let end = |alert| Transition {
            alert,
            firing: false,
        };
        over.into_iter().map(end).collect()
    }

    /// Looks at a row. Rows of one host come in the order of their times.
    pub fn observe(&mut self, row: Observed<'_>) -> Vec<Transition> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let host = host(&mut self.hosts, &mut self.restored, row.id, row.name);
        host.observe(&self.rules, &row)
    }

    /// Series of a host that rules look at.
    pub fn watched(&mut self, row: Observed<'_>) -> Vec<u32> {
        let host = host(&mut self.hosts, &mut self.restored, row.id, row.name);
        host.watched(&self.rules, &row)
    }

    /// Takes a row of before a restart, so that what had begun goes on; to be called after [`Self::watched`], in
    /// the order of time, before any newer row.
    pub fn recall(&mut self, row: Observed<'_>) {
        let host = host(&mut self.hosts, &mut self.restored, row.id, row.name);
        host.recall(&self.rules, &row);
    }

    /// Alerts of a host that fire by recalled rows without having fired before the restart.
    pub fn recalled(&self, id: HostId) -> Vec<Transition> {
        let alerts = self.hosts.get(&id).into_iter().flat_map(Host::recalled);
        let fires = |alert: &Alert| Transition {
            alert: alert.clone(),
            firing: true,
        };
        alerts.map(fires).collect()
    }

    /// Up to so many hosts with series of which it is not known what is usual in an hour.
    pub fn lacking_week(&self, hour: i64, hosts_max: usize) -> Vec<(HostId, Vec<u32>)> {
        if self
            .rules
            .iter()
            .all(|rule| rule.of_week().next().is_none())
        {
            return Vec::new();
        }
        let lacking = self
            .hosts
            .iter()
            .map(|(id, host)| (*id, host.lacking_week(hour).collect::<Vec<u32>>()));
        lacking
            .filter(|(_, series)| !series.is_empty())
            .take(hosts_max)
            .collect()
    }

    /// Takes what is usual of a series in an hour; none if nobody knows. Until then its rule says nothing.
    pub fn take_week(&mut self, id: HostId, series: u32, hour: i64, usual: Option<Usual>) {
        if let Some(host) = self.hosts.get_mut(&id) {
            host.take_week(series, hour, usual);
        }
    }

    /// Looks at a host as a whole: how long it has been silent, and its clock.
    pub fn look_at(&mut self, whole: Whole<'_>) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let value = match rule.condition {
                Condition::All(_) => continue,
                Condition::Silent => whole.silence,
                Condition::ClockOff(_) => {
                    Duration::from_millis(whole.clock_offset_ms.unsigned_abs())
                }
            };
            let tags = whole.tags.iter().map(Label::as_str);
            if !rule.hosts.include(whole.name.as_str(), tags) {
                continue;
            }
            let host = host(&mut self.hosts, &mut self.restored, whole.id, whole.name);
            transitions.extend(look(host, at, rule, value, &whole));
        }
        transitions
    }

    /// Every alert that fires.
    pub fn firing(&self) -> impl Iterator<Item = &Alert> {
        let seen = self.hosts.values().flat_map(Host::firing);
        seen.chain(self.restored.values().flatten())
    }

    /// The alerts of a host, worst first.
    pub fn of_host(&self, id: HostId, name: &Label) -> Vec<AlertLine> {
        let restored = self.restored.get(name.as_str()).into_iter().flatten();
        let seen = self.hosts.get(&id).into_iter().flat_map(Host::firing);
        let mut lines: Vec<_> = restored
            .chain(seen)
            .map(|alert| AlertLine {
                rule: Label::new(&alert.rule),
                severity: alert.severity,
                since: alert.since,
                summary: Label::new(&alert.summary),
            })
            .collect();
        lines.sort_by_key(|line| (std::cmp::Reverse(line.severity), line.since));
        lines
    }
}

/// What is known of a host, with what fired before a restart.
fn host<'a>(
    hosts: &'a mut HashMap<HostId, Host>,
    restored: &mut HashMap<String, Vec<Alert>>,
    id: HostId,
    name: &Label,
) -> &'a mut Host {
    hosts
        .entry(id)
        .or_insert_with(|| Host::new(restored.remove(name.as_str()).unwrap_or_default()))
}

/// Looks at one value of a host as a whole.
fn look(
    host: &mut Host,
    at: usize,
    rule: &Rule,
    value: Duration,
    whole: &Whole<'_>,
) -> Option<Transition> {
    let name = whole.name;
    // A silence is the time it has been bad already.
    let (limit, hold, since, usual) = match rule.condition {
        Condition::ClockOff(limit) => {
            let side = if whole.clock_offset_ms > 0 {
                "ahead of"
            } else {
                "behind"
            };
            let off = format!("its clock is {} {side} the hub's", words::span(value));
            (limit, rule.hold, whole.now, off)
        }
        _ => {
            let ms = i64::try_from(value.as_millis()).unwrap_or(i64::MAX);
            let silent = format!("{name} says nothing any more");
            (rule.hold, Duration::ZERO, whole.now - ms, silent)
        }
    };
    let state = host.whole(at, rule)?;
    if value < limit {
        return state.good(whole.now);
    }
    state.bad(hold, whole.now, || Alert {
        rule: rule.name.clone(),
        severity: rule.severity,
        host: name.to_string(),
        tags: whole.tags.iter().map(Label::to_string).collect(),
        what: String::new(),
        since,
        value: None,
        summary: words::of_host(rule, name, usual, &words::span(value)),
    })
}

#[cfg(test)]
mod tests;
