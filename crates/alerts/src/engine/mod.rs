//! Evaluates rules against rows. Pure: the time comes with the rows.

mod host;
mod keys;
mod matching;
mod probe;
mod state;
mod summary;
mod watch;

use std::collections::HashMap;
use std::time::Duration;

use sysmon_wire::message::AlertLine;
use sysmon_wire::{Label, LimitGauge, UnixMs};

use crate::active::{AlertMark, AlertMarks};
use crate::alert::silent_summary;
use crate::baseline::Baseline;
use crate::rule::{Condition, Rule};
use crate::{Alert, HostId, Transition};
use host::Host;
pub use host::WATCHES;
pub use keys::SeriesKeys;

/// All rules, with their state on every host.
#[derive(Debug)]
pub struct Engine {
    rules: Vec<Rule>,
    hosts: HashMap<HostId, Host>,
    /// Alerts that fired before a restart, by hosts that have not reported since; they do not fire again.
    restored: HashMap<String, Vec<Alert>>,
}

/// A row of one host.
#[derive(Clone, Copy, Debug)]
pub struct HostRow<'a> {
    /// The host.
    pub id: HostId,
    /// The host's name.
    pub name: &'a Label,
    /// The host's tags.
    pub tags: &'a [Label],
    /// The series of the host by index; an index without one has a key that no rule matches.
    pub keys: &'a SeriesKeys,
    /// When the agent sampled the row.
    pub time: UnixMs,
    /// Raw values in the order of `keys`.
    pub values: &'a [i64],
}

/// What the hub knows of a host besides its rows.
#[derive(Clone, Copy, Debug)]
pub struct HostCheck<'a> {
    /// The host.
    pub id: HostId,
    /// The host's name.
    pub name: &'a Label,
    /// The host's tags.
    pub tags: &'a [Label],
    /// Time since the newest row.
    pub silence: Duration,
    /// How far the host's clock is ahead of the hub's.
    pub clock_offset_ms: i64,
    /// The hub's clock.
    pub now: UnixMs,
}

impl Engine {
    /// An engine with these rules; `firing` are the alerts that fired before a restart.
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

    /// Replaces the rules; returns the alerts that this resolves.
    ///
    /// A rule that stays keeps its state. An alert of a changed rule is evaluated as after a restart: it does not
    /// fire again if the condition still holds. An alert of a removed rule is resolved.
    pub fn replace(&mut self, rules: Vec<Rule>) -> Vec<Transition> {
        let stays = |rule: &Rule| rules.iter().position(|new| new == rule);
        let places: Vec<Option<usize>> = self.rules.iter().map(stays).collect();
        let mut removed = Vec::new();
        for host in self.hosts.values_mut() {
            host.replace(|rule| places.get(rule).copied().flatten());
            removed.extend(host.remove_without_rule(&rules));
        }
        let is_gone = |alert: &mut Alert| rules.iter().all(|rule| rule.name != alert.rule);
        for restored in self.restored.values_mut() {
            removed.extend(restored.extract_if(.., is_gone));
        }
        removed.sort_by(|a, b| a.key().cmp(&b.key()));
        self.rules = rules;
        removed.into_iter().map(Transition::resolved).collect()
    }

    /// Evaluates the rules against a row. The rows of a host have to come in the order of their times.
    pub fn observe(&mut self, row: HostRow<'_>) -> Vec<Transition> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let host = host(&mut self.hosts, &mut self.restored, row.id, row.name);
        host.observe(&self.rules, &row)
    }

    /// The counters of a host start over with its next row: it has booted.
    pub fn restart_counters(&mut self, id: HostId) {
        if let Some(host) = self.hosts.get_mut(&id) {
            host.restart_counters();
        }
    }

    /// Indices of the host's series that rules use.
    pub fn used_series(&mut self, row: HostRow<'_>) -> Vec<u32> {
        let host = host(&mut self.hosts, &mut self.restored, row.id, row.name);
        host.used_series(&self.rules, &row)
    }

    /// Evaluates a row from before a restart, so that the time for which a condition has held goes on; to be
    /// called after [`Self::used_series`], in the order of time, before any newer row.
    pub fn recall(&mut self, row: HostRow<'_>) {
        let host = host(&mut self.hosts, &mut self.restored, row.id, row.name);
        host.recall(&self.rules, &row);
    }

    /// Alerts of a host that fire after recalled rows and did not fire before the restart.
    pub fn recalled(&self, id: HostId) -> Vec<Transition> {
        let alerts = self.hosts.get(&id).into_iter().flat_map(Host::recalled);
        alerts.cloned().map(Transition::fired).collect()
    }

    /// Up to `hosts_max` hosts with the indices of their series whose baseline of `hour` is not known yet.
    pub fn missing_baselines(&self, hour: i64, hosts_max: usize) -> Vec<(HostId, Vec<u32>)> {
        if self
            .rules
            .iter()
            .all(|rule| rule.baseline_metrics().next().is_none())
        {
            return Vec::new();
        }
        let missing = self
            .hosts
            .iter()
            .map(|(id, host)| (*id, host.missing_baselines(hour).collect::<Vec<u32>>()));
        missing
            .filter(|(_, series)| !series.is_empty())
            .take(hosts_max)
            .collect()
    }

    /// Sets the baseline of a series in an hour; none if the history is too short. Until then its rules do not fire.
    pub fn set_baseline(&mut self, id: HostId, series: u32, hour: i64, baseline: Option<Baseline>) {
        if let Some(host) = self.hosts.get_mut(&id) {
            host.set_baseline(series, hour, baseline);
        }
    }

    /// Evaluates the rules about a host as a whole: `silent` and `clock off`.
    pub fn check(&mut self, check: HostCheck<'_>) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let value = match rule.condition {
                Condition::All(_) => continue,
                Condition::Silent => check.silence,
                Condition::ClockOff(_) => {
                    Duration::from_millis(check.clock_offset_ms.unsigned_abs())
                }
            };
            if !rule.hosts.include(check.name.as_str(), check.tags) {
                continue;
            }
            let host = host(&mut self.hosts, &mut self.restored, check.id, check.name);
            transitions.extend(check_host(host, at, rule, value, &check));
        }
        transitions
    }

    /// How many series of a host are watched, and how many could not be.
    pub fn watches(&self, id: HostId) -> Option<&LimitGauge> {
        self.hosts.get(&id).map(Host::limit)
    }

    /// Forgets a host; its firing alerts are resolved.
    pub fn forget(&mut self, id: HostId, name: &str) -> Vec<Transition> {
        let restored = self.restored.remove(name).unwrap_or_default();
        let host = self.hosts.remove(&id);
        let firing = host.iter().flat_map(Host::firing).cloned();
        restored
            .into_iter()
            .chain(firing)
            .map(Transition::resolved)
            .collect()
    }

    /// A host is called otherwise from now on, and has another number; its alerts go on.
    pub fn rename(&mut self, (id, from): (HostId, &str), (new, to): (HostId, &str)) {
        if let Some(mut restored) = self.restored.remove(from) {
            for alert in &mut restored {
                alert.rename_host(from, to);
            }
            self.restored.insert(to.to_owned(), restored);
        }
        if let Some(mut host) = self.hosts.remove(&id) {
            host.rename(from, to);
            self.hosts.insert(new, host);
        }
    }

    /// Resolves alerts that fired before a restart and whose host does not exist any more.
    pub fn resolve_without_host(&mut self, exists: impl Fn(&str) -> bool) -> Vec<Transition> {
        let gone = self.restored.extract_if(|name, _| !exists(name));
        gone.flat_map(|(_, alerts)| alerts)
            .map(Transition::resolved)
            .collect()
    }

    /// The names of the rules.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// Every firing alert.
    pub fn firing(&self) -> impl Iterator<Item = &Alert> {
        let seen = self.hosts.values().flat_map(Host::firing);
        seen.chain(self.restored.values().flatten())
    }

    fn metric_of(&self, rule: &str) -> &str {
        let rule = self.rules.iter().find(|known| known.name == rule);
        rule.and_then(|rule| rule.first_metric()).unwrap_or("")
    }

    /// The firing alerts of a host, the most severe first, with what operators did about them.
    pub fn of_host(&self, id: HostId, name: &Label, marks: &AlertMarks) -> Vec<AlertLine> {
        let restored = self.restored.get(name.as_str()).into_iter().flatten();
        let seen = self.hosts.get(&id).into_iter().flat_map(Host::firing);
        let mut lines: Vec<_> = restored
            .chain(seen)
            .map(|alert| {
                let AlertMark {
                    acknowledged,
                    silenced,
                } = marks.of(alert);
                AlertLine {
                    rule: Label::new(&alert.rule),
                    severity: alert.severity,
                    since: alert.since,
                    summary: Label::new(&alert.summary),
                    acknowledged,
                    silenced,
                    metric: Label::new(self.metric_of(&alert.rule)),
                }
            })
            .collect();
        lines.sort_by_key(|line| (std::cmp::Reverse(line.severity), line.since));
        lines
    }
}

/// The state of a host; a new one begins with the alerts that fired before a restart.
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

/// Evaluates one rule about a host as a whole against its value.
fn check_host(
    host: &mut Host,
    at: usize,
    rule: &Rule,
    value: Duration,
    check: &HostCheck<'_>,
) -> Option<Transition> {
    let name = check.name;
    // A silence is itself the time for which the condition has held.
    let (limit, hold, since, default) = match rule.condition {
        Condition::ClockOff(limit) => {
            let side = if check.clock_offset_ms > 0 {
                "ahead of"
            } else {
                "behind"
            };
            let off = format!("its clock is {} {side} the hub's", summary::span(value));
            (limit, rule.hold, check.now, off)
        }
        _ => {
            let ms = i64::try_from(value.as_millis()).unwrap_or(i64::MAX);
            let silent = silent_summary(name.as_str());
            (rule.hold, Duration::ZERO, check.now - ms, silent)
        }
    };
    let state = host.whole_state(at, rule)?;
    if value < limit {
        return state.clears(check.now);
    }
    state.holds(hold, check.now, || Alert {
        rule: rule.name.clone(),
        severity: rule.severity,
        host: name.to_string(),
        tags: check.tags.iter().map(Label::to_string).collect(),
        what: String::new(),
        since,
        value: None,
        summary: summary::of_host(rule, name, default, &summary::span(value)),
    })
}

#[cfg(test)]
mod tests;
