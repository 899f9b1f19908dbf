//! The fleet, its events and its alerts as one state: rows go in here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sysmon_alerts::active::AlertMarks;
use sysmon_alerts::engine::{Engine, HostCheck, HostRow};
use sysmon_alerts::rule::Rule;
use sysmon_alerts::{Alert, HostId, Transition};
use sysmon_series::ChunkError;
use sysmon_store::{Batch, LoadedHost};
use sysmon_wire::message::{HostState, RunId};
use sysmon_wire::timeline::{Event, EventKind};
use sysmon_wire::{ABSENT, Label, Row, UnixMs};

use crate::events::EventLog;
use crate::fleet::{Appended, Fleet, FleetError, FleetOptions};
use crate::host::{HostKind, RETURN_MS};

/// Time without a review of silent hosts after which the hub itself was stopped.
const OUTAGE_MS: i64 = 10_000;

const CLOCK_EVENT_MS: i64 = 2_000;

#[derive(Debug)]
pub struct Core {
    /// Hosts and their rows. Rows are appended by [`Core::apply`], which evaluates the rules too.
    pub fleet: Fleet,
    pub engine: Engine,
    pub events: EventLog,
    /// When silent hosts were last reviewed, and since when the hub has been running without an outage.
    reviewed: Option<(UnixMs, UnixMs)>,
    transitions: Vec<Transition>,
    /// Hosts whose certificates were revoked: their silence is no problem.
    revoked: BTreeSet<String>,
    /// What operators did about firing alerts.
    marks: AlertMarks,
}

impl Core {
    pub fn new(options: FleetOptions) -> Self {
        Self {
            fleet: Fleet::new(options),
            engine: Engine::new(Vec::new(), Vec::new()),
            events: EventLog::default(),
            reviewed: None,
            transitions: Vec::new(),
            revoked: BTreeSet::new(),
            marks: AlertMarks::default(),
        }
    }

    /// The agents of the register, each with whether its certificates are revoked: then its silence is no problem. One
    /// that is no longer in the register has no valid certificate either, and stays as it was.
    pub fn set_revoked(&mut self, agents: &BTreeMap<String, bool>) {
        self.revoked.retain(|name| agents.get(name) != Some(&false));
        let revoked = agents.iter().filter(|(_, is_revoked)| **is_revoked);
        self.revoked.extend(revoked.map(|(name, _)| name.clone()));
        let fleet = &self.fleet;
        self.revoked.retain(|name| fleet.find(name).is_some());
    }

    /// Machines that have been gone for longer than the retention, of those with nothing in the history.
    pub fn gone_hosts(&self, emptied: Option<&[Label]>, now: UnixMs) -> Vec<Label> {
        let horizon = self.fleet.horizon(now);
        let is_before = |time: Option<UnixMs>| time.is_none_or(|time| time < horizon);
        let hosts = self.fleet.machines().map(|(_, host)| host);
        let gone = hosts.filter(|host| {
            host.state == HostState::Offline
                && is_before(host.ring.newest())
                && is_before(host.last_arrival)
                && emptied.is_none_or(|names| names.contains(&host.name))
        });
        gone.map(|host| host.name.clone()).collect()
    }

    /// Removes a host with its alerts; its history goes with the next commit. False if there is none, or it is live.
    pub fn forget(&mut self, name: &str) -> bool {
        let id = self.fleet.find(name);
        let Some((id, host)) = id.and_then(|id| Some((id, self.fleet.host(id)?))) else {
            return false;
        };
        if host.state == HostState::Live {
            return false;
        }
        let resolved = self.engine.forget(id, name);
        self.transitions.extend(resolved);
        self.fleet.forget(id);
        true
    }

    /// Gives a host another name: its rows, events and alerts go on under it. False if there is no such host, or it is
    /// live; the new name must be free.
    pub fn rename(&mut self, from: &str, to: &Label) -> bool {
        let id = self.fleet.find(from);
        let Some((id, host)) = id.and_then(|id| Some((id, self.fleet.host(id)?))) else {
            return false;
        };
        if host.state == HostState::Live {
            return false;
        }
        let from = host.name.clone();
        let Some(new) = self.fleet.rename(id, to) else {
            return false;
        };
        self.engine.rename((id, from.as_str()), (new, to.as_str()));
        self.events.rename_host(&from, to);
        let alerts = self.engine.of_host(new, to, &self.marks);
        if let Some(host) = self.fleet.host_mut(new) {
            host.alerts = alerts;
        }
        true
    }

    /// Evaluates these rules from now on; `firing` are alerts that were firing before a restart.
    pub fn set_rules(&mut self, rules: Vec<Rule>, firing: Vec<Alert>) {
        self.engine = Engine::new(rules, firing);
    }

    pub fn replace_rules(&mut self, rules: Vec<Rule>) {
        self.transitions.extend(self.engine.replace(rules));
        self.renew_alerts();
    }

    /// What operators did about firing alerts from now on.
    pub fn set_marks(&mut self, marks: AlertMarks) {
        if self.marks != marks {
            self.marks = marks;
            self.renew_alerts();
        }
    }

    fn renew_alerts(&mut self) {
        let of_host =
            |(id, name): (HostId, &Label)| (id, self.engine.of_host(id, name, &self.marks));
        let hosts = self.fleet.hosts().map(|(id, host)| (id, &host.name));
        let alerts: Vec<_> = hosts.map(of_host).collect();
        for (id, alerts) in alerts {
            if let Some(host) = self.fleet.host_mut(id)
                && host.alerts != alerts
            {
                host.alerts = alerts;
                self.fleet.touch_line(id);
            }
        }
    }

    /// Evaluates the rules for what is in memory of a host since `from`, as if the hub had not restarted.
    pub fn recall(&mut self, id: HostId, from: UnixMs) -> Result<(), ChunkError> {
        let host = self.fleet.host(id);
        let Some(host) = host.filter(|host| host.ring.newest() >= Some(from)) else {
            return Ok(());
        };
        let mut values = vec![ABSENT; host.keys().len()];
        let row = HostRow {
            id,
            name: &host.name,
            tags: &host.facts.tags,
            keys: host.keys(),
            time: from,
            values: &[],
        };
        let series = self.engine.used_series(row);
        let table = host.ring.read(&series, from, UnixMs(i64::MAX))?;
        for (at, time) in table.times.iter().enumerate() {
            for (index, column) in series.iter().zip(&table.columns) {
                if let Some(value) = values.get_mut(*index as usize) {
                    *value = column.get(at).copied().unwrap_or(ABSENT);
                }
            }
            self.engine.recall(HostRow {
                time: UnixMs(*time),
                values: &values,
                ..row
            });
        }
        let newest = table.times.last().map_or(from, |time| UnixMs(*time));
        let firing = self.engine.recalled(id);
        self.add_transitions(id, firing, newest);
        Ok(())
    }

    pub fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    fn add_transitions(&mut self, id: HostId, transitions: Vec<Transition>, time: UnixMs) {
        if transitions.is_empty() {
            return;
        }
        for Transition { alert, firing, .. } in &transitions {
            let (kind, time) = match firing {
                true => (EventKind::Fired(alert.severity), alert.since),
                false => (EventKind::Resolved(alert.severity), time),
            };
            self.add_event(id, time, kind, &alert.summary);
        }
        self.transitions.extend(transitions);
        if let Some(host) = self.fleet.host_mut(id) {
            host.alerts = self.engine.of_host(id, &host.name, &self.marks);
        }
        self.fleet.touch_line(id);
    }

    fn add_event(&mut self, id: HostId, time: UnixMs, kind: EventKind, text: &str) {
        let host = self.fleet.host_mut(id);
        let Some(host) = host.filter(|host| host.kind == HostKind::Machine) else {
            return;
        };
        if host.counts_event() {
            self.events.push(Event {
                time,
                host: host.name.clone(),
                kind,
                text: Label::new(text),
            });
        }
    }

    /// Records what an operator did: as an event of the host `name`, or of the hub itself, whose host is `hub`, where
    /// it is about several.
    pub fn add_operation(
        &mut self,
        name: &str,
        hub: Label,
        time: UnixMs,
        kind: EventKind,
        text: &str,
    ) {
        if let Some(id) = self.fleet.find(name) {
            return self.add_event(id, time, kind, text);
        }
        self.events.push(Event {
            time,
            host: hub,
            kind,
            text: Label::new(text),
        });
    }

    pub fn host_id(&mut self, name: &Label) -> Result<HostId, FleetError> {
        if let Some(id) = self.fleet.find(name.as_str()) {
            return Ok(id);
        }
        let id = self.fleet.add(name)?;
        if let Some(host) = self.fleet.host_mut(id) {
            host.alerts = self.engine.of_host(id, name, &self.marks);
        }
        Ok(id)
    }

    pub fn set_clock_offset(&mut self, id: HostId, offset_ms: i64, now: UnixMs) {
        let Some(before) = self.fleet.set_clock_offset(id, offset_ms) else {
            return;
        };
        if (offset_ms - before).abs() >= CLOCK_EVENT_MS {
            let direction = if offset_ms >= 0 { "ahead" } else { "behind" };
            let seconds = offset_ms.abs() as f64 / 1000.0;
            let text = format!("{seconds:.1} s {direction}");
            self.add_event(id, now, EventKind::Clock, &text);
        }
    }

    /// Appends a row whose values are in the order of the host's series, and evaluates the rules.
    pub fn apply(
        &mut self,
        id: HostId,
        run: RunId,
        row: &Row,
        now: UnixMs,
    ) -> Result<Appended, FleetError> {
        let appended = self.fleet.append(id, run, row, now)?;
        let Appended::Stored(stored) = appended else {
            return Ok(appended);
        };
        if let Some((time, kind)) = stored.event {
            self.add_event(id, time, kind, "");
        }
        if stored.is_another_boot {
            self.engine.restart_counters(id);
        }
        if let Some(host) = self.fleet.host(id).filter(|_| stored.is_newest) {
            let transitions = self.engine.observe(HostRow {
                id,
                name: &host.name,
                tags: &host.facts.tags,
                keys: host.keys(),
                time: row.time,
                values: &row.values,
            });
            self.add_transitions(id, transitions, row.time);
            if let (Some(watches), Some(host)) = (self.engine.watches(id), self.fleet.host_mut(id))
            {
                host.limits.watches = watches.clone();
            }
        }
        self.fleet.enforce_budget();
        Ok(appended)
    }

    /// Reviews how long each host has been silent; true if a host's state or an alert changed.
    pub fn review_silence(&mut self, now: UnixMs) -> bool {
        if self.fleet.is_unsaved_full() {
            // The hub accepts no rows meanwhile, so silence means nothing.
            return false;
        }
        let since = self.running_since(now);
        let (left, mut any) = self.fleet.review_states(now);
        let mut found = Vec::new();
        for (id, host) in self.fleet.machines() {
            // The silence of a host that may not connect ends, however long it is gone.
            let silence = match self.revoked.contains(host.name.as_str()) {
                true => Some(Duration::ZERO),
                false => host.silence(now, since),
            };
            let Some(silence) = silence else { continue };
            let transitions = self.engine.check(HostCheck {
                id,
                name: &host.name,
                tags: &host.facts.tags,
                silence,
                clock_offset_ms: host.clock_offset_ms,
                now,
            });
            if !transitions.is_empty() {
                found.push((id, transitions));
            }
        }
        any |= !found.is_empty();
        if now - since >= RETURN_MS {
            // Every host that exists has come back by now.
            let fleet = &self.fleet;
            let gone = self
                .engine
                .resolve_without_host(|name| fleet.find(name).is_some());
            any |= !gone.is_empty();
            self.transitions.extend(gone);
        }
        for (id, arrival) in left {
            self.add_event(id, arrival, EventKind::Offline, "");
        }
        for (id, transitions) in found {
            self.add_transitions(id, transitions, now);
        }
        any
    }

    /// Since when the hub has been running without an outage: during one it hears no host, whatever they send.
    fn running_since(&mut self, now: UnixMs) -> UnixMs {
        let since = match self.reviewed {
            Some((last, since)) if (0..OUTAGE_MS).contains(&(now - last)) => since,
            _ => now,
        };
        self.reviewed = Some((now, since));
        since
    }

    /// Tracks what is unsaved from now on, for [`Core::take_batch`].
    pub fn track_unsaved(&mut self) {
        self.events.track_unsaved();
        self.fleet.track_unsaved();
    }

    pub fn take_batch(&mut self, now: UnixMs) -> Batch {
        Batch {
            generation: self.fleet.generation(),
            hosts: self.fleet.take_unsaved(),
            events: self.events.take_unsaved(),
            host_changes: self.fleet.take_host_changes(),
            now,
        }
    }

    /// Restores a host from the history; one beyond the limit of hosts is left out.
    pub fn restore(&mut self, stored: LoadedHost) {
        if let Ok(id) = self.host_id(&stored.name) {
            self.fleet.restore(id, stored);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
