//! All hosts with their rows, states and series.

mod budget;
mod hosts;
mod persistence;
mod view;

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sysmon_series::{ChunkError, Ring};
use sysmon_store::HostChange;
use sysmon_wire::limits::{FUTURE_MS_MAX, HOSTS_MAX, NOTES_PER_HOST_MAX, TAGS_PER_HOST_MAX};
use sysmon_wire::message::{HostLimit, HostState, RunId};
use sysmon_wire::timeline::EventKind;
use sysmon_wire::{
    HostFacts, Label, LimitGauge, LimitState, Process, ProcessArguments, ProcessIdentity, Row,
    SeriesKey, UnixMs,
};
use thiserror::Error;

pub use sysmon_alerts::HostId;

use crate::host::{Host, HostKind};
use budget::RingUsage;
use hosts::HostTable;
pub use view::{FleetView, HostView};

#[derive(Clone, Copy, Debug)]
pub struct FleetOptions {
    pub stale_after: Duration,
    pub offline_after: Duration,
    pub retention: Duration,
    pub memory_bytes: u64,
}

#[derive(Debug, Error)]
pub enum FleetError {
    #[error("this hub already has {HOSTS_MAX} hosts, its limit")]
    TooManyHosts,
    #[error(transparent)]
    Chunk(#[from] ChunkError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    Stored(Stored),
    /// A row of the same run and sequence number came before.
    Duplicate,
    /// The row is from the future, or from before the retention.
    Refused,
}

impl Appended {
    pub fn is_stored(self) -> bool {
        matches!(self, Self::Stored(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// No row of the host is newer.
    pub is_newest: bool,
    /// The machine has booted since the row before.
    pub is_another_boot: bool,
    /// An event that the row shows, and when it happened.
    pub event: Option<(UnixMs, EventKind)>,
}

#[derive(Debug)]
pub struct Fleet {
    options: FleetOptions,
    hosts: HostTable,
    /// Each series key once: most hosts have the same ones.
    keys: HashSet<Arc<SeriesKey>>,
    generation: u64,
    rows_total: u64,
    values_total: u64,
    usage: RingUsage,
    /// Every row that was on disk at the start is in memory from here on; none while they are being restored.
    restored_from: Option<UnixMs>,
    /// Hosts with changes that the history has not got yet; none without a history.
    unsaved: Option<BTreeSet<HostId>>,
    /// Hosts that the history has to forget or rename.
    host_changes: Vec<HostChange>,
    hosts_limit: LimitGauge,
}

impl Fleet {
    pub fn new(options: FleetOptions) -> Self {
        Self {
            options,
            hosts: HostTable::default(),
            keys: HashSet::new(),
            generation: 0,
            rows_total: 0,
            values_total: 0,
            usage: RingUsage::default(),
            restored_from: Some(UnixMs(i64::MIN)),
            unsaved: None,
            host_changes: Vec::new(),
            hosts_limit: LimitGauge::new("hosts", HOSTS_MAX),
        }
    }

    pub fn set_options(&mut self, options: FleetOptions, now: UnixMs) {
        self.options = options;
        let horizon = self.horizon(now);
        for (_, host) in self.hosts.iter_mut() {
            self.usage
                .track(host, |host| host.ring.evict_before(horizon));
        }
        self.enforce_budget();
    }

    pub fn horizon(&self, now: UnixMs) -> UnixMs {
        now - i64::try_from(self.options.retention.as_millis()).unwrap_or(i64::MAX)
    }

    /// The key as other hosts have it, so that it is in memory once.
    pub fn shared_key(&self, key: SeriesKey) -> Arc<SeriesKey> {
        let known = self.keys.get(&key).map(Arc::clone);
        known.unwrap_or_else(|| Arc::new(key))
    }

    /// Different keys of all hosts.
    pub fn known_keys(&self) -> usize {
        self.keys.len()
    }

    /// Drops keys that no host has any more.
    pub(super) fn drop_unused_keys(&mut self) {
        self.keys.retain(|key| Arc::strong_count(key) > 1);
    }

    pub(crate) fn add(&mut self, name: &Label) -> Result<HostId, FleetError> {
        let kind = HostKind::of_name(name);
        // The hub's own figures use up no machine's slot.
        if kind == HostKind::Machine && !self.hosts_limit.admits(self.hosts.machines) {
            return Err(FleetError::TooManyHosts);
        }
        let mut ring = match self.unsaved {
            Some(_) => Ring::recording(),
            None => Ring::new(),
        };
        ring.stagger(self.hosts.next_id().0);
        self.usage.bytes += ring.bytes() as u64;
        let id = self.hosts.insert(Host::new(name.clone(), kind, ring));
        self.hosts_limit.set_current(self.hosts.machines);
        self.mark_unsaved(id);
        self.touch_line(id);
        Ok(id)
    }

    /// Whether another machine can be added.
    pub fn has_room(&self) -> bool {
        self.hosts.machines < HOSTS_MAX
    }

    pub fn find(&self, name: &str) -> Option<HostId> {
        self.hosts.find(name)
    }

    /// Whether there is a host of this name, in whatever case.
    pub fn has_name(&self, name: &str) -> bool {
        let mut hosts = self.hosts();
        hosts.any(|(_, host)| host.name.as_str().eq_ignore_ascii_case(name))
    }

    pub fn host(&self, id: HostId) -> Option<&Host> {
        self.hosts.get(id)
    }

    pub(crate) fn host_mut(&mut self, id: HostId) -> Option<&mut Host> {
        self.hosts.get_mut(id)
    }

    pub fn hosts(&self) -> impl Iterator<Item = (HostId, &Host)> {
        self.hosts.iter()
    }

    /// Every host but those that stand for hubs: what screens list and counts count.
    pub fn machines(&self) -> impl Iterator<Item = (HostId, &Host)> {
        self.hosts()
            .filter(|(_, host)| host.kind == HostKind::Machine)
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn set_facts(&mut self, id: HostId, mut facts: HostFacts) {
        facts.tags.truncate(TAGS_PER_HOST_MAX);
        let host = self.hosts.get_mut(id);
        if host.is_some_and(|host| host.set_facts(facts)) {
            self.mark_unsaved(id);
            self.touch_line(id);
        }
    }

    /// Sets how far a host's clock is ahead of the hub's; returns the offset before.
    pub(crate) fn set_clock_offset(&mut self, id: HostId, offset_ms: i64) -> Option<i64> {
        let host = self.hosts.get_mut(id)?;
        let before = std::mem::replace(&mut host.clock_offset_ms, offset_ms);
        self.touch_line(id);
        Some(before)
    }

    /// The index of a series of a host, which is added if it is new; none if the host has too many. The row that it is for
    /// has values of `present` other series.
    pub fn series_index(
        &mut self,
        id: HostId,
        key: &Arc<SeriesKey>,
        present: usize,
    ) -> Option<u32> {
        let host = self.hosts.get_mut(id)?;
        if let Some(index) = host.known_series(key) {
            return Some(index);
        }
        let index = self
            .usage
            .track(host, |host| host.series_index(Arc::clone(key), present))?;
        self.keys.insert(Arc::clone(key));
        self.mark_unsaved(id);
        self.touch_line(id);
        Some(index)
    }

    /// The indices of `keys` among the host's series; new series are added, surplus ones left out.
    pub fn series(&mut self, id: HostId, keys: Vec<SeriesKey>) -> Vec<Option<u32>> {
        let index = |key| {
            let key = self.shared_key(key);
            self.series_index(id, &key, 0)
        };
        keys.into_iter().map(index).collect()
    }

    pub fn name_processes(&mut self, id: HostId, processes: Vec<ProcessIdentity>, now: UnixMs) {
        let has_history = self.unsaved.is_some();
        if let Some(host) = self.hosts.get_mut(id) {
            host.name_processes(processes, now, has_history);
            self.mark_unsaved(id);
        }
    }

    pub fn set_processes(&mut self, id: HostId, time: UnixMs, processes: Vec<Process>) {
        self.generation += 1;
        if let Some(host) = self.hosts.get_mut(id) {
            host.processes.set_table(time, processes);
        }
    }

    /// What processes of a host were called with. Nobody waits for it: a list of processes follows.
    pub fn set_arguments(&mut self, id: HostId, arguments: Vec<ProcessArguments>) {
        if let Some(host) = self.hosts.get_mut(id) {
            host.processes.set_arguments(arguments);
        }
    }

    /// Drops a host's process table, which is out of date once nobody asks for it.
    pub fn drop_processes(&mut self, id: HostId) {
        if let Some(host) = self.hosts.get_mut(id) {
            host.processes.table = None;
        }
    }

    pub fn set_limits(&mut self, id: HostId, limits: Vec<LimitState>) {
        if let Some(host) = self.hosts.get_mut(id) {
            host.limits.report(limits);
            self.touch_line(id);
        }
    }

    /// Notes that a machine at `address` has a copy of a host's identity and was refused.
    pub fn note_copy(&mut self, name: &Label, address: SocketAddr, now: UnixMs) {
        if let Some(id) = self.find(name.as_str())
            && let Some(host) = self.hosts.get_mut(id)
        {
            host.limits.copies.refused(address, now);
            self.touch_line(id);
        }
    }

    /// Ends the notes on copies that have stopped trying.
    pub fn forget_copies(&mut self, now: UnixMs) {
        let hosts = self.hosts.iter_mut();
        let ended = hosts.filter_map(|(id, host)| host.limits.copies.end(now).then_some(id));
        for id in ended.collect::<Vec<_>>() {
            self.touch_line(id);
        }
    }

    pub fn set_notes(&mut self, id: HostId, mut notes: Vec<Label>) {
        notes.truncate(NOTES_PER_HOST_MAX);
        if let Some(host) = self.hosts.get_mut(id) {
            host.notes = notes;
            self.touch_line(id);
        }
    }

    /// Appends a row whose values are in the order of the host's series.
    pub(crate) fn append(
        &mut self,
        id: HostId,
        run: RunId,
        row: &Row,
        now: UnixMs,
    ) -> Result<Appended, FleetError> {
        let horizon = self.horizon(now);
        let Some(host) = self.hosts.get_mut(id) else {
            return Ok(Appended::Refused);
        };
        host.last_arrival = Some(now);
        let is_first = host.ring.rows() == 0;
        let is_another_run = !is_first && !host.knows_run(run);
        if !host.is_new(run, row.seq) {
            return Ok(Appended::Duplicate);
        }
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.insert(id);
        }
        if row.time - now > FUTURE_MS_MAX || row.time < horizon {
            host.refused_rows += 1;
            return Ok(Appended::Refused);
        }
        let is_newest = host.is_newest(run, row, now);
        host.note_late(row.time);
        let is_another_boot = is_another_run && is_newest && host.is_of_another_boot(row);
        self.usage.track(host, |host| {
            if is_another_boot {
                host.end_boot(row)?;
            }
            host.ring.append(row.time, &row.values)?;
            host.ring.evict_before(horizon);
            Ok::<_, ChunkError>(())
        })?;
        host.note_values(row.time, &row.values);
        if is_newest {
            host.observe(row.time, Some((run, row.seq)), &row.values);
        }
        host.rows_stored += 1;
        if host.kind == HostKind::Machine {
            self.rows_total += 1;
            self.values_total += row.values.len() as u64;
        }
        self.generation += 1;
        host.changed = self.generation;
        host.state = HostState::Live;
        let was_away = std::mem::take(&mut host.is_away);
        let event = match (is_first, was_away, is_another_run && is_newest) {
            (true, _, _) => Some((row.time, EventKind::Joined)),
            (_, true, _) => Some((now, EventKind::Online)),
            (_, _, true) => Some((row.time, EventKind::Restarted)),
            _ => None,
        };
        Ok(Appended::Stored(Stored {
            is_newest,
            is_another_boot,
            event,
        }))
    }

    /// Whether a host has a row of the same moment with the same values; counted if so.
    pub(crate) fn repeats(&mut self, id: HostId, row: &Row) -> bool {
        let host = self.hosts.get_mut(id);
        host.is_some_and(|host| host.repeats(row))
    }

    /// Notes that rows of the past arrived, so that subscribers read the past again.
    pub fn mark_past_changed(&mut self, id: HostId) {
        let generation = self.generation;
        if let Some(host) = self.hosts.get_mut(id) {
            host.past_changed = generation;
        }
    }

    /// Sets each host's state by its silence; returns the machines that went offline since the last call with
    /// the moment they were last heard, and whether any state changed.
    pub(crate) fn review_states(&mut self, now: UnixMs) -> (Vec<(HostId, UnixMs)>, bool) {
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        let (stale_ms, offline_ms) = (ms(self.options.stale_after), ms(self.options.offline_after));
        let (mut left, mut any) = (Vec::new(), false);
        for (id, host) in self.hosts.iter_mut() {
            let heard = host.last_arrival;
            let state = match host.silent_ms(now).unwrap_or(i64::MAX) {
                silence if silence >= offline_ms => HostState::Offline,
                silence if silence >= stale_ms => HostState::Stale,
                _ => HostState::Live,
            };
            let is_gone = state == HostState::Offline && !host.is_away;
            if let Some(arrival) = heard.filter(|_| is_gone && host.kind == HostKind::Machine) {
                host.is_away = true;
                left.push((id, arrival));
            }
            if state != host.state {
                host.state = state;
                self.generation += 1;
                host.changed = self.generation;
                any = true;
            }
        }
        (left, any)
    }

    /// Rows of machines stored since the start, and the values in them.
    pub fn totals(&self) -> (u64, u64) {
        (self.rows_total, self.values_total)
    }

    /// The fleet's limits, and those of hosts at which the hub left something out.
    pub fn limits(&self) -> Vec<HostLimit> {
        let own = HostLimit {
            host: None,
            state: self.hosts_limit.state(),
        };
        let of_hosts = self.hosts().flat_map(|(_, host)| {
            let limit = |state| HostLimit {
                host: Some(host.name.clone()),
                state,
            };
            host.limits.enforced().map(limit)
        });
        std::iter::once(own).chain(of_hosts).collect()
    }

    /// The limits that agents reported as reached.
    pub fn reported_limits(&self) -> impl Iterator<Item = HostLimit> {
        self.hosts().flat_map(|(_, host)| {
            let limit = |state| HostLimit {
                host: Some(host.name.clone()),
                state,
            };
            host.limits.reported().map(limit)
        })
    }

    /// Marks everything that a fleet's line shows of a host as changed.
    pub(crate) fn touch_line(&mut self, id: HostId) {
        self.generation += 1;
        let generation = self.generation;
        if let Some(host) = self.hosts.get_mut(id) {
            host.changed = generation;
            host.line_changed = generation;
        }
    }
}
