//! All hosts: rows go in here, and every picture comes out of here.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sysmon_series::{Chunk, ChunkError, Ring};
use sysmon_wire::limits::{
    FUTURE_MS_MAX, HOSTS_MAX, NOTES_PER_HOST_MAX, SERIES_PER_HOST_MAX, TAGS_PER_HOST_MAX,
};
use sysmon_wire::message::{HostState, RunId};
use sysmon_wire::timeline::{Event, EventKind};
use sysmon_wire::{ABSENT, HostFacts, Label, Process, ProcessIdentity, Row, SeriesKey, UnixMs};
use thiserror::Error;

pub use sysmon_alerts::HostId;

use crate::events::Events;
use crate::host::Host;
use crate::own;
use sysmon_alerts::baseline::Baseline;
use sysmon_alerts::engine::{Engine, HostCheck, HostRow};
use sysmon_alerts::rule::Rule;
use sysmon_alerts::{Alert, Transition};
use sysmon_store::{Batch, LoadedHost};

/// Time without a look at the hosts after which the hub itself was away.
const OUTAGE_MS: i64 = 10_000;

/// A clock that is found to be off by this much more than before is an event.
const CLOCK_EVENT_MS: i64 = 2_000;

/// What the fleet is told by the configuration.
#[derive(Clone, Copy, Debug)]
pub struct FleetOptions {
    /// Silence after which a host is stale.
    pub stale_after: Duration,
    /// Silence after which it is offline.
    pub offline_after: Duration,
    /// How long rows are kept.
    pub retention: Duration,
    /// Bytes all rings together may take.
    pub memory_bytes: u64,
}

/// Why something is refused to a host.
#[derive(Debug, Error)]
pub enum FleetError {
    /// Too many hosts.
    #[error("this hub already has {HOSTS_MAX} hosts, its limit")]
    TooManyHosts,
    /// Too many series.
    #[error("host {0} has more than {SERIES_PER_HOST_MAX} series, the limit")]
    TooManySeries(Label),
    /// The row cannot be kept.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is kept.
    Kept,
    /// It was here before.
    Duplicate,
    /// It is from the future, or from before the retention.
    Refused,
}

/// Every host the hub knows.
#[derive(Debug)]
pub struct Fleet {
    options: FleetOptions,
    hosts: Vec<Host>,
    /// How many of them stand for hubs.
    own_hosts: usize,
    by_name: HashMap<Label, HostId>,
    /// Each series key once, for hosts have mostly the same ones.
    keys: HashSet<Arc<SeriesKey>>,
    generation: u64,
    rows_total: u64,
    values_total: u64,
    ring_bytes: u64,
    /// From when on all that was on disk at the start is in memory; none while it is still read.
    restored_from: Option<UnixMs>,
    /// Bytes of sealed rows that the history has not been told of.
    unsaved_bytes: u64,
    /// Hosts the history has not been told everything of, if there is a history.
    unsaved: Option<BTreeSet<HostId>>,
    events: Events,
    alerts: Engine,
    /// When it was last looked at how long hosts have been silent, and when that began after an outage of ours.
    reviewed: Option<(UnixMs, UnixMs)>,
    /// What became of alerts, for those who tell of it.
    transitions: Vec<Transition>,
}

impl Fleet {
    /// A fleet without hosts.
    pub fn new(options: FleetOptions) -> Self {
        Self {
            options,
            hosts: Vec::new(),
            own_hosts: 0,
            by_name: HashMap::new(),
            keys: HashSet::new(),
            generation: 0,
            rows_total: 0,
            values_total: 0,
            ring_bytes: 0,
            restored_from: Some(UnixMs(i64::MIN)),
            unsaved_bytes: 0,
            unsaved: None,
            events: Events::default(),
            alerts: Engine::new(Vec::new(), Vec::new()),
            reviewed: None,
            transitions: Vec::new(),
        }
    }

    /// Watches for what these rules say; `firing` are alerts that were told of before.
    pub fn watch(&mut self, rules: Vec<Rule>, firing: Vec<Alert>) {
        self.alerts = Engine::new(rules, firing);
    }

    /// Watches for what other rules say, without forgetting what those that stay have found.
    pub fn rewatch(&mut self, rules: Vec<Rule>) {
        let over = self.alerts.replace(rules);
        self.transitions.extend(over);
        for at in 0..self.hosts.len() {
            let id = HostId(at as u32);
            let Some(host) = self.hosts.get_mut(at) else {
                continue;
            };
            let alerts = self.alerts.of_host(id, &host.name);
            if host.alerts != alerts {
                host.alerts = alerts;
                self.touch_line(id);
            }
        }
    }

    /// Every alert that fires.
    #[cfg(test)]
    pub(crate) fn firing(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.firing()
    }

    /// Has the rules look at what is in memory of a host since `from`, as if the hub had not been started anew.
    pub fn recall(&mut self, id: HostId, from: UnixMs) -> Result<(), ChunkError> {
        let host = self.hosts.get(id.0 as usize);
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
        let series = self.alerts.used_series(row);
        let table = host.ring.read(&series, from, UnixMs(i64::MAX))?;
        for (at, time) in table.times.iter().enumerate() {
            for (index, column) in series.iter().zip(&table.columns) {
                if let Some(place) = values.get_mut(*index as usize) {
                    *place = column.get(at).copied().unwrap_or(ABSENT);
                }
            }
            self.alerts.recall(HostRow {
                time: UnixMs(*time),
                values: &values,
                ..row
            });
        }
        let newest = table.times.last().map_or(from, |time| UnixMs(*time));
        let fires = self.alerts.recalled(id);
        self.take_transitions(id, fires, newest);
        Ok(())
    }

    /// Up to so many hosts of which rules ask what was usual in an hour of earlier weeks.
    pub fn missing_baselines(&self, hour: i64, hosts_max: usize) -> Vec<(HostId, Vec<u32>)> {
        self.alerts.missing_baselines(hour, hosts_max)
    }

    /// Takes what is usual of a series in an hour; none if nobody knows.
    pub fn set_baseline(&mut self, id: HostId, series: u32, hour: i64, usual: Option<Baseline>) {
        self.alerts.set_baseline(id, series, hour, usual);
    }

    /// Keeps hosts otherwise from now on; what is too old or too much by that goes at once.
    pub fn set_options(&mut self, options: FleetOptions, now: UnixMs) {
        self.options = options;
        let horizon = now - self.retention_ms();
        for host in &mut self.hosts {
            host.ring.evict_before(horizon);
        }
        self.ring_bytes = self.hosts.iter().map(|host| host.ring.bytes() as u64).sum();
        self.keep_budget();
    }

    /// Transitions of alerts since the last call.
    pub fn take_news(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    fn take_transitions(&mut self, id: HostId, transitions: Vec<Transition>, time: UnixMs) {
        if transitions.is_empty() {
            return;
        }
        for Transition { alert, firing, .. } in &transitions {
            let (kind, time) = match firing {
                true => (EventKind::Fired(alert.severity), alert.since),
                false => (EventKind::Resolved(alert.severity), time),
            };
            self.note(id, time, kind, &alert.summary);
        }
        self.transitions.extend(transitions);
        if let Some(host) = self.hosts.get_mut(id.0 as usize) {
            host.alerts = self.alerts.of_host(id, &host.name);
        }
        self.touch_line(id);
    }

    /// What happened.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Takes back what the history knew to have happened.
    pub fn restore_event(&mut self, event: Event) {
        self.events.restore(event);
    }

    fn note(&mut self, id: HostId, time: UnixMs, kind: EventKind, text: &str) {
        let host = self.hosts.get_mut(id.0 as usize);
        let Some(host) = host.filter(|host| !own::is_own(&host.name)) else {
            return;
        };
        if !host.counts_event() {
            return;
        }
        let host = host.name.clone();
        let text = Label::new(text);
        self.events.push(Event {
            time,
            host,
            kind,
            text,
        });
    }

    /// Remembers from now on what changes, for [`Fleet::take_batch`].
    pub fn record(&mut self) {
        self.events.record();
        self.unsaved = Some(BTreeSet::new());
        self.restored_from = None;
    }

    /// Takes from when on all that the history knew at the start is in memory.
    pub fn set_restored_from(&mut self, from: UnixMs) {
        self.restored_from = Some(from);
    }

    /// Whether all rows of a host from `from` on are in memory.
    pub fn is_whole_from(&self, id: HostId, from: UnixMs) -> bool {
        let is_restored = self.restored_from.is_some_and(|restored| restored <= from);
        is_restored
            && self
                .host(id)
                .is_none_or(|host| host.ring.has_all_since(from))
    }

    /// Has sealed rows of the past in memory while `look` looks at them.
    pub fn with_past<T>(&mut self, past: &[(Label, Chunk)], look: impl FnOnce(&Self) -> T) -> T {
        let mut lent = Vec::new();
        for (name, chunk) in past {
            let id = self.by_name.get(name).map(|id| id.0 as usize);
            let Some((at, host)) = id.and_then(|at| Some((at, self.hosts.get_mut(at)?))) else {
                continue;
            };
            if host.ring.restore_chunk(chunk.clone()) {
                lent.push((at, chunk));
            }
        }
        let seen = look(self);
        for (at, chunk) in lent {
            if let Some(host) = self.hosts.get_mut(at) {
                host.ring.remove(chunk);
            }
        }
        seen
    }

    /// The time before which rows are not kept.
    pub fn horizon(&self, now: UnixMs) -> UnixMs {
        now - self.retention_ms()
    }

    fn changed(&mut self, id: HostId) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.insert(id);
        }
    }

    /// Whether so much waits for the history that no more rows should be taken. What waits stays in memory
    /// whatever the limit for the rings says, so it gets a quarter of that.
    pub fn is_unsaved_full(&self) -> bool {
        self.unsaved_bytes > self.options.memory_bytes / 4
    }

    /// Everything that changed since the last call.
    pub fn take_batch(&mut self, now: UnixMs) -> Batch {
        let unsaved = self
            .unsaved
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default();
        self.unsaved_bytes = 0;
        let hosts = &mut self.hosts;
        let batch = |id: HostId| Some(hosts.get_mut(id.0 as usize)?.take_unsaved());
        Batch {
            generation: self.generation,
            hosts: unsaved.into_iter().filter_map(batch).collect(),
            events: self.events.take_unsaved(),
            now,
        }
    }

    /// Takes back a host that the history knew.
    pub fn restore(&mut self, kept: LoadedHost) {
        let Ok(id) = self.host_id(&kept.name) else {
            return;
        };
        let mut kept = kept;
        let keys = std::mem::take(&mut kept.series);
        let keys = keys.into_iter().map(|key| self.shared_key(key)).collect();
        if let Some(host) = self.hosts.get_mut(id.0 as usize) {
            let before = host.ring.bytes() as u64;
            host.restore(kept, keys);
            self.ring_bytes = self.ring_bytes + host.ring.bytes() as u64 - before;
        }
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.remove(&id);
        }
        self.touch_line(id);
    }

    /// Takes back sealed rows that the history knew; false if there is no memory for them.
    pub fn restore_chunk(&mut self, name: &Label, chunk: Chunk) -> bool {
        if self.ring_bytes + chunk.bytes() as u64 > self.options.memory_bytes {
            return false;
        }
        let id = self.by_name.get(name).copied();
        let Some((id, host)) = id.and_then(|id| Some((id, self.hosts.get_mut(id.0 as usize)?)))
        else {
            return true;
        };
        let before = host.ring.bytes() as u64;
        let is_new = host.ring.restore_chunk(chunk);
        self.ring_bytes = self.ring_bytes + host.ring.bytes() as u64 - before;
        if is_new {
            self.touch_line(id);
            self.past_came(id);
        }
        true
    }

    fn retention_ms(&self) -> i64 {
        i64::try_from(self.options.retention.as_millis()).unwrap_or(i64::MAX)
    }

    fn shared_key(&mut self, key: SeriesKey) -> Arc<SeriesKey> {
        match self.keys.get(&key) {
            Some(known) => Arc::clone(known),
            None => {
                let key = Arc::new(key);
                self.keys.insert(Arc::clone(&key));
                key
            }
        }
    }

    /// The host called `name`, made if it is new.
    pub fn host_id(&mut self, name: &Label) -> Result<HostId, FleetError> {
        if let Some(&id) = self.by_name.get(name) {
            return Ok(id);
        }
        // What the hub tells of itself takes no host's place.
        let is_own = own::is_own(name);
        if !is_own && self.hosts.len() - self.own_hosts >= HOSTS_MAX {
            return Err(FleetError::TooManyHosts);
        }
        self.own_hosts += usize::from(is_own);
        let id = HostId(self.hosts.len() as u32);
        let ring = match self.unsaved {
            Some(_) => Ring::recording(),
            None => Ring::new(),
        };
        let mut ring = ring;
        ring.stagger(id.0);
        let mut host = Host::new(name.clone(), ring);
        host.alerts = self.alerts.of_host(id, name);
        self.ring_bytes += host.ring.bytes() as u64;
        self.hosts.push(host);
        self.by_name.insert(name.clone(), id);
        self.changed(id);
        self.touch_line(id);
        Ok(id)
    }

    /// The host called `name`.
    pub fn find(&self, name: &str) -> Option<HostId> {
        self.by_name.get(name).copied()
    }

    /// A host.
    pub fn host(&self, id: HostId) -> Option<&Host> {
        self.hosts.get(id.0 as usize)
    }

    /// All hosts in the order they came.
    pub fn hosts(&self) -> impl Iterator<Item = (HostId, &Host)> {
        self.hosts
            .iter()
            .enumerate()
            .map(|(at, host)| (HostId(at as u32), host))
    }

    /// The hosts that people watch: all but those that stand for hubs.
    pub fn watched_hosts(&self) -> impl Iterator<Item = (HostId, &Host)> {
        self.hosts().filter(|(_, host)| !own::is_own(&host.name))
    }

    /// How many hosts there are.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Rises with every change.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes what an agent says its host is.
    pub fn set_facts(&mut self, id: HostId, mut facts: HostFacts) {
        facts.tags.truncate(TAGS_PER_HOST_MAX);
        let host = self.hosts.get_mut(id.0 as usize);
        if host.is_some_and(|host| host.take_facts(facts)) {
            self.changed(id);
            self.touch_line(id);
        }
    }

    /// Takes how far a host's clock is ahead.
    pub fn set_clock_offset(&mut self, id: HostId, offset_ms: i64, now: UnixMs) {
        let Some(host) = self.hosts.get_mut(id.0 as usize) else {
            return;
        };
        let before = std::mem::replace(&mut host.clock_offset_ms, offset_ms);
        if (offset_ms - before).abs() >= CLOCK_EVENT_MS {
            let text = match offset_ms {
                0.. => format!("{:.1} s ahead", offset_ms as f64 / 1000.0),
                _ => format!("{:.1} s behind", offset_ms as f64 / -1000.0),
            };
            self.note(id, now, EventKind::Clock, &text);
        }
        self.touch_line(id);
    }

    /// The indices that `keys` have in the host, made if they are new.
    pub fn series(&mut self, id: HostId, keys: Vec<SeriesKey>) -> Result<Vec<u32>, FleetError> {
        let keys: Vec<_> = keys.into_iter().map(|key| self.shared_key(key)).collect();
        let Some(host) = self.hosts.get_mut(id.0 as usize) else {
            return Ok(Vec::new());
        };
        let before = host.keys().len();
        let mut indices = Vec::with_capacity(keys.len());
        for key in keys {
            let index = host.series_index(key, SERIES_PER_HOST_MAX);
            indices.push(index.ok_or_else(|| FleetError::TooManySeries(host.name.clone()))?);
        }
        if host.keys().len() != before {
            self.changed(id);
            self.touch_line(id);
        }
        Ok(indices)
    }

    /// Takes names of processes that rows of the host will refer to.
    pub fn name_processes(&mut self, id: HostId, processes: Vec<ProcessIdentity>, now: UnixMs) {
        let record = self.unsaved.is_some();
        if let Some(host) = self.hosts.get_mut(id.0 as usize) {
            host.name_processes(processes, now, record);
            self.changed(id);
        }
    }

    /// Takes all processes of a host.
    pub fn take_processes(&mut self, id: HostId, time: UnixMs, processes: Vec<Process>) {
        self.generation += 1;
        if let Some(host) = self.hosts.get_mut(id.0 as usize) {
            host.processes.take_table(time, processes);
        }
    }

    /// Forgets all processes of a host, when nobody looks at them any more.
    pub fn forget_processes(&mut self, id: HostId) {
        if let Some(host) = self.hosts.get_mut(id.0 as usize) {
            host.processes.forget_table();
        }
    }

    /// Takes what an agent cannot see.
    pub fn set_notes(&mut self, id: HostId, notes: Vec<Label>) {
        if let Some(host) = self.hosts.get_mut(id.0 as usize) {
            host.notes = notes;
            host.notes.truncate(NOTES_PER_HOST_MAX);
            self.touch_line(id);
        }
    }

    /// Takes a row whose values are in the order of the host's series.
    pub fn apply(
        &mut self,
        id: HostId,
        run: RunId,
        row: &Row,
        now: UnixMs,
    ) -> Result<Applied, FleetError> {
        let retention_ms = self.retention_ms();
        let Some(host) = self.hosts.get_mut(id.0 as usize) else {
            return Ok(Applied::Refused);
        };
        host.arrived(now);
        let is_first = host.ring.rows() == 0;
        let is_another_run = !is_first && !host.knows_run(run);
        if !host.is_new(run, row.seq) {
            return Ok(Applied::Duplicate);
        }
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.insert(id);
        }
        if row.time - now > FUTURE_MS_MAX || now - row.time > retention_ms {
            host.refuse();
            return Ok(Applied::Refused);
        }
        let (before, unsaved) = (host.ring.bytes() as u64, host.ring.unsaved_bytes() as u64);
        host.ring.append(row.time, &row.values)?;
        host.ring.evict_before(now - retention_ms);
        self.ring_bytes = self.ring_bytes + host.ring.bytes() as u64 - before;
        self.unsaved_bytes += host.ring.unsaved_bytes() as u64 - unsaved;
        let is_newest = host.is_newest(run, row, now);
        if is_newest {
            host.observe(row.time, Some((run, row.seq)), &row.values);
        }
        let transitions = if is_newest {
            self.alerts.observe(HostRow {
                id,
                name: &host.name,
                tags: &host.facts.tags,
                keys: host.keys(),
                time: row.time,
                values: &row.values,
            })
        } else {
            Vec::new()
        };
        host.rows_taken += 1;
        if !own::is_own(&host.name) {
            self.rows_total += 1;
            self.values_total += row.values.len() as u64;
        }
        self.generation += 1;
        host.changed = self.generation;
        host.state = HostState::Live;
        let was_away = std::mem::take(&mut host.is_away);
        if is_first {
            self.note(id, row.time, EventKind::Joined, "");
        } else if was_away {
            self.note(id, now, EventKind::Online, "");
        } else if is_another_run && is_newest {
            self.note(id, row.time, EventKind::Restarted, "");
        }
        self.take_transitions(id, transitions, row.time);
        self.keep_budget();
        Ok(Applied::Kept)
    }

    /// Notes that rows of the past came, so that what was shown of it is no longer all.
    pub fn past_came(&mut self, id: HostId) {
        if let Some(host) = self.hosts.get_mut(id.0 as usize) {
            host.past_changed = self.generation;
        }
    }

    /// Drops the oldest sealed rows of all until the rings fit their budget.
    fn keep_budget(&mut self) {
        while self.ring_bytes > self.options.memory_bytes {
            let oldest = self
                .hosts
                .iter_mut()
                .filter_map(|host| Some((host.ring.oldest_sealed()?, host)))
                .min_by_key(|(oldest, _)| *oldest);
            // What is not sealed stays, however little memory there is.
            let Some((_, host)) = oldest else { return };
            let before = host.ring.bytes() as u64;
            host.ring.evict_oldest();
            self.ring_bytes -= before - host.ring.bytes() as u64;
        }
    }

    /// Seals what will hardly get more rows: late ones of which none came since the last call, and all of a
    /// host that has been silent for half an hour. To be called once in a while.
    pub fn settle(&mut self, now: UnixMs) {
        for at in 0..self.hosts.len() {
            let id = HostId(at as u32);
            let Some(host) = self.hosts.get_mut(at) else {
                return;
            };
            let before = host.ring.bytes() as u64;
            let result = host.settle(now);
            self.ring_bytes = self.ring_bytes + host.ring.bytes() as u64 - before;
            match result {
                Ok(true) => self.changed(id),
                Ok(false) => {}
                Err(error) => tracing::error!("rows cannot be sealed: {error}"),
            }
        }
    }

    /// Looks at how long each host has been silent; true if any host's state changed.
    pub fn review_states(&mut self, now: UnixMs) -> bool {
        if self.is_unsaved_full() {
            // No rows are taken meanwhile, so that no silence means anything.
            return false;
        }
        // Who does not look for a while has heard nobody, however they spoke.
        let back = match self.reviewed {
            Some((before, back)) if (0..OUTAGE_MS).contains(&(now - before)) => back,
            _ => now,
        };
        self.reviewed = Some((now, back));
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        let (stale_ms, offline_ms) = (ms(self.options.stale_after), ms(self.options.offline_after));
        let mut any = false;
        let (mut found, mut left) = (Vec::new(), Vec::new());
        for (at, host) in self.hosts.iter_mut().enumerate() {
            // Of its own silence a hub cannot tell.
            let is_own = own::is_own(&host.name);
            let judged = host.last_arrival().filter(|_| !is_own);
            if let Some(silence) = host.silence(now, back).filter(|_| !is_own) {
                let id = HostId(at as u32);
                let transitions = self.alerts.check(HostCheck {
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
            let silence = host
                .last_arrival()
                .map_or(i64::MAX, |arrival| now - arrival);
            let state = match silence {
                s if s >= offline_ms => HostState::Offline,
                s if s >= stale_ms => HostState::Stale,
                _ => HostState::Live,
            };
            if state == HostState::Offline && !host.is_away && judged.is_some() {
                host.is_away = true;
                left.extend(judged.map(|arrival| (HostId(at as u32), arrival)));
            }
            if state != host.state {
                host.state = state;
                self.generation += 1;
                host.changed = self.generation;
                any = true;
            }
        }
        any |= !found.is_empty();
        for (id, arrival) in left {
            self.note(id, arrival, EventKind::Offline, "");
        }
        for (id, transitions) in found {
            self.take_transitions(id, transitions, now);
        }
        any
    }

    /// Rows of watched hosts kept since the start, and the values in them.
    pub fn totals(&self) -> (u64, u64) {
        (self.rows_total, self.values_total)
    }

    /// Bytes the rings take, and the values they hold.
    pub fn ring_size(&self) -> (u64, u64) {
        (
            self.ring_bytes,
            self.hosts.iter().map(|host| host.ring.values()).sum(),
        )
    }

    /// Bytes of those that rows take which are not sealed yet.
    pub fn head_bytes(&self) -> u64 {
        let heads = self.hosts.iter().map(|host| host.ring.head_bytes() as u64);
        heads.sum()
    }

    fn touch_line(&mut self, id: HostId) {
        self.generation += 1;
        if let Some(host) = self.hosts.get_mut(id.0 as usize) {
            host.changed = self.generation;
            host.line_changed = self.generation;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use sysmon_wire::metrics::CPU_UTILIZATION;

    pub(crate) fn options() -> FleetOptions {
        FleetOptions {
            stale_after: Duration::from_secs(5),
            offline_after: Duration::from_secs(30),
            retention: Duration::from_secs(3600),
            memory_bytes: 1 << 30,
        }
    }

    pub(crate) fn fleet() -> Fleet {
        Fleet::new(options())
    }

    pub(crate) fn host_with_cpu(fleet: &mut Fleet, name: &str) -> HostId {
        let id = fleet.host_id(&name.into()).unwrap();
        fleet.series(id, vec![CPU_UTILIZATION.series(&[])]).unwrap();
        id
    }

    pub(crate) fn row(seq: u64, time: i64, cpu: i64) -> Row {
        Row {
            seq,
            time: UnixMs(time),
            values: vec![cpu],
        }
    }

    #[test]
    fn a_row_is_taken_once_however_often_it_comes() {
        let mut fleet = fleet();
        let id = host_with_cpu(&mut fleet, "a");
        let now = UnixMs(10_000);
        assert_eq!(
            fleet.apply(id, RunId(1), &row(1, 9000, 5), now).unwrap(),
            Applied::Kept
        );
        for _ in 0..3 {
            let again = fleet.apply(id, RunId(1), &row(1, 9000, 5), now).unwrap();
            assert_eq!(again, Applied::Duplicate);
        }
        assert_eq!(fleet.host(id).unwrap().ring.rows(), 1);
    }

    #[test]
    fn after_an_outage_of_the_hub_hosts_have_time_to_come_back_before_they_are_silent() {
        let mut fleet = fleet();
        let rule = || vec!["silent: silent for 60s critical".parse().unwrap()];
        fleet.watch(rule(), Vec::new());
        let (a, b) = (
            host_with_cpu(&mut fleet, "a"),
            host_with_cpu(&mut fleet, "b"),
        );
        let told = |fleet: &mut Fleet, now: i64| {
            fleet.review_states(UnixMs(now));
            let told = fleet.take_news().into_iter();
            told.map(|t| (t.alert.host, t.firing)).collect::<Vec<_>>()
        };
        for id in [a, b] {
            fleet
                .apply(id, RunId(1), &row(1, 100_000, 5), UnixMs(100_000))
                .unwrap();
        }
        assert!(told(&mut fleet, 100_500).is_empty());
        // The hub was stopped for ten minutes; b does not come back.
        assert!(told(&mut fleet, 700_000).is_empty());
        fleet
            .apply(a, RunId(1), &row(2, 720_000, 5), UnixMs(720_000))
            .unwrap();
        for now in (700_500..759_000).step_by(500) {
            assert!(told(&mut fleet, now).is_empty(), "{now}");
        }
        for now in (759_000..760_000).step_by(500) {
            assert!(told(&mut fleet, now).is_empty(), "{now}");
        }
        assert_eq!(told(&mut fleet, 760_000), [("b".to_owned(), true)]);
        // What fired before a restart goes on until the host is heard, however short the hub has run.
        let firing = fleet.alerts.firing().cloned().collect();
        fleet.watch(rule(), firing);
        assert!(told(&mut fleet, 3_000_000).is_empty() && told(&mut fleet, 3_000_500).is_empty());
        fleet
            .apply(b, RunId(1), &row(3, 3_001_000, 5), UnixMs(3_001_000))
            .unwrap();
        assert_eq!(told(&mut fleet, 3_001_000), [("b".to_owned(), false)]);
    }

    #[test]
    fn a_clock_that_is_set_by_an_hour_loses_no_row_and_the_newest_is_shown() {
        let mut fleet = fleet();
        let id = host_with_cpu(&mut fleet, "a");
        let hour = 3_600_000;
        let now = UnixMs(10 * hour);
        let mut seq = 0;
        for step in [0, -hour + 60_000, 0, hour - 60_000, 0] {
            for n in 0..20i64 {
                seq += 1;
                let now = now + seq as i64 * 1000;
                let row = row(seq, now.0 + step, n);
                assert_eq!(fleet.apply(id, RunId(1), &row, now).unwrap(), Applied::Kept);
                let host = fleet.host(id).unwrap();
                assert_eq!((host.present().0, host.present().1[0]), (row.time, n));
            }
        }
        // An agent that starts anew after its clock was an hour ahead.
        let now = now + 200_000;
        let ahead = row(200, now.0 + hour - 1, 7);
        fleet.apply(id, RunId(1), &ahead, now).unwrap();
        fleet.apply(id, RunId(2), &row(1, now.0, 8), now).unwrap();
        let host = fleet.host(id).unwrap();
        assert_eq!(host.present().1[0], 8);
        let all = host.ring.read(&[0], UnixMs(0), now + 2 * hour).unwrap();
        assert_eq!(all.times.len() as u64, seq + 2);
        assert!(all.times.is_sorted());
    }

    #[test]
    fn an_agent_that_starts_again_within_a_second_has_both_its_rows() {
        let mut fleet = fleet();
        let id = host_with_cpu(&mut fleet, "a");
        for (run, seq, time, cpu) in [
            (1, 1, 8_000, 1),
            (1, 2, 9_000, 2),
            (2, 1, 9_000, 3),
            (2, 2, 10_000, 4),
        ] {
            let applied = fleet.apply(id, RunId(run), &row(seq, time, cpu), UnixMs(time + 5));
            assert_eq!(applied.unwrap(), Applied::Kept);
        }
        let host = fleet.host(id).unwrap();
        let table = host.ring.read(&[0], UnixMs(0), UnixMs(20_000)).unwrap();
        assert_eq!(table.times, [8_000, 9_000, 9_000, 10_000]);
        assert_eq!(table.columns[0], [1, 2, 3, 4]);
        assert_eq!(host.health().missing_rows, 0);
    }

    #[test]
    fn a_host_that_starts_again_and_again_fills_no_list_of_what_happened() {
        let mut fleet = fleet();
        let id = host_with_cpu(&mut fleet, "a");
        for n in 1..=1_000i64 {
            let run = RunId(n as u64);
            let row = row(1, n, 5);
            fleet.apply(id, run, &row, UnixMs(n)).unwrap();
        }
        let all = |fleet: &Fleet| {
            fleet
                .events()
                .between(None, UnixMs(0), UnixMs(i64::MAX))
                .len()
        };
        let noted = all(&fleet);
        assert!((2..500).contains(&noted), "{noted}");
        let later = UnixMs(2 * 3_600_000);
        let (run, row) = (RunId(2_000), row(1, later.0, 5));
        fleet.apply(id, run, &row, later).unwrap();
        assert!(all(&fleet) > noted, "an hour later they are noted again");
    }

    #[test]
    fn rows_from_the_future_and_from_before_retention_are_refused_and_counted() {
        let mut fleet = fleet();
        let id = host_with_cpu(&mut fleet, "a");
        let now = UnixMs(10_000_000);
        for (seq, time) in [(1, now.0 + FUTURE_MS_MAX + 1), (2, now.0 - 3_600_001)] {
            let applied = fleet.apply(id, RunId(1), &row(seq, time, 5), now).unwrap();
            assert_eq!(applied, Applied::Refused);
        }
        assert_eq!(fleet.host(id).unwrap().health().refused_rows, 2);
    }

    #[test]
    fn a_silent_host_is_stale_then_offline_then_live_again() {
        let mut fleet = fleet();
        let id = host_with_cpu(&mut fleet, "a");
        let state_at = |fleet: &mut Fleet, now: i64| {
            fleet.review_states(UnixMs(now));
            fleet.host(id).unwrap().state
        };
        fleet
            .apply(id, RunId(1), &row(1, 1000, 5), UnixMs(1000))
            .unwrap();
        assert_eq!(fleet.host(id).unwrap().state, HostState::Live, "at once");
        assert_eq!(state_at(&mut fleet, 2000), HostState::Live);
        assert_eq!(state_at(&mut fleet, 6000), HostState::Stale);
        assert_eq!(state_at(&mut fleet, 31_000), HostState::Offline);
        fleet
            .apply(id, RunId(1), &row(2, 32_000, 5), UnixMs(32_000))
            .unwrap();
        assert_eq!(state_at(&mut fleet, 32_000), HostState::Live);
    }

    #[test]
    fn what_happens_to_a_host_is_noted_with_its_moment() {
        let mut fleet = fleet();
        let id = host_with_cpu(&mut fleet, "a");
        let take = |fleet: &mut Fleet, run, seq, at| {
            fleet
                .apply(id, RunId(run), &row(seq, at, 5), UnixMs(at + 10))
                .unwrap();
        };
        take(&mut fleet, 1, 1, 1_000);
        take(&mut fleet, 1, 2, 2_000);
        fleet.review_states(UnixMs(40_000));
        fleet.review_states(UnixMs(41_000));
        take(&mut fleet, 1, 3, 50_000);
        take(&mut fleet, 2, 1, 51_000);
        // Of an earlier run, that its agent kept.
        let early = row(1, 45_000, 5);
        fleet.apply(id, RunId(3), &early, UnixMs(51_500)).unwrap();
        fleet.set_clock_offset(id, -2_500, UnixMs(52_000));
        let events = fleet.events().between(None, UnixMs(0), UnixMs(99_000));
        let told: Vec<_> = events
            .iter()
            .map(|event| (event.time.0, event.kind, event.text.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (1_000, EventKind::Joined, ""),
                (2_010, EventKind::Offline, ""),
                (50_010, EventKind::Online, ""),
                (51_000, EventKind::Restarted, ""),
                (52_000, EventKind::Clock, "2.5 s behind"),
            ]
        );
    }

    #[test]
    fn other_options_count_from_now_on() {
        let mut fleet = fleet();
        let id = host_with_cpu(&mut fleet, "a");
        for n in 0..3_000 {
            let row = row(n as u64 + 1, n * 1000, n * 7919 % 997);
            fleet.apply(id, RunId(1), &row, UnixMs(n * 1000)).unwrap();
        }
        let now = UnixMs(3_000_000);
        let options = FleetOptions {
            stale_after: Duration::from_secs(60),
            retention: Duration::from_secs(600),
            ..fleet.options
        };
        fleet.set_options(options, now);
        let host = fleet.host(id).unwrap();
        assert!(host.ring.rows() < 2_000, "{}", host.ring.rows());
        assert_eq!(fleet.ring_size().0, host.ring.bytes() as u64);
        fleet.review_states(now + 20_000);
        assert_eq!(fleet.host(id).unwrap().state, HostState::Live);
    }

    #[test]
    fn what_waits_for_a_disk_that_takes_nothing_is_bounded() {
        let mut fleet = fleet();
        fleet.options.memory_bytes = 40_000;
        fleet.record();
        let id = host_with_cpu(&mut fleet, "a");
        let mut rows = 0;
        while !fleet.is_unsaved_full() {
            rows += 1;
            let row = row(rows as u64, rows * 1000, (rows * rows * 7919) % 100_003);
            fleet
                .apply(id, RunId(1), &row, UnixMs(rows * 1000))
                .unwrap();
            assert!(rows < 20_000, "never full");
        }
        let batch = fleet.take_batch(UnixMs(rows * 1000));
        assert!(!fleet.is_unsaved_full());
        let told: usize = batch.hosts[0].ring.chunks.iter().map(Chunk::rows).sum();
        assert!(
            told > 2_000 && told as i64 <= rows,
            "all are told, dropped from memory or not"
        );
    }

    #[test]
    fn one_host_larger_than_the_budget_keeps_its_newest_rows() {
        let mut fleet = fleet();
        fleet.options.memory_bytes = 1;
        let id = host_with_cpu(&mut fleet, "a");
        let other = host_with_cpu(&mut fleet, "silent");
        fleet
            .apply(other, RunId(1), &row(1, 0, 5), UnixMs(0))
            .unwrap();
        for n in 1..2_000 {
            let row = row(n as u64, n * 1000, n * 7919 % 997);
            fleet.apply(id, RunId(1), &row, UnixMs(n * 1000)).unwrap();
        }
        let ring = &fleet.host(id).unwrap().ring;
        assert!(ring.rows() < 512 && ring.newest() == Some(UnixMs(1_999_000)));
        assert_eq!(fleet.host(other).unwrap().ring.rows(), 1);
        assert!(!fleet.is_whole_from(id, UnixMs(0)));
    }

    #[test]
    fn over_the_memory_budget_the_oldest_chunks_go() {
        let mut fleet = fleet();
        fleet.options.memory_bytes = 20_000;
        let id = host_with_cpu(&mut fleet, "a");
        for n in 0..40_000 {
            // Hard to compress on purpose.
            let value = (n * n * 7919) % 100_003;
            let row = row(n as u64 + 1, n * 10, value);
            fleet.apply(id, RunId(1), &row, UnixMs(n * 10)).unwrap();
        }
        let host = fleet.host(id).unwrap();
        let (bytes, rows) = (host.ring.bytes(), host.ring.rows());
        assert!(bytes <= 20_000 && rows > 2000, "{bytes} bytes, {rows} rows");
        assert_eq!(fleet.ring_size().0, host.ring.bytes() as u64);
        assert_eq!(host.ring.newest(), Some(UnixMs(399_990)));
    }
}
