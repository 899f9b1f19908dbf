//! Between the fleet and its history: what is restored at the start, and what is unsaved since.

use std::collections::BTreeSet;
use std::sync::Arc;

use sysmon_series::{Chunk, Ring};
use sysmon_store::store::WINDOW_MS;
use sysmon_store::{BatchSeries, HostBatch, HostChange, LoadedHost, LoadedSeries};
use sysmon_wire::{Label, UnixMs};

use super::{Fleet, HostId};
use crate::host::Host;

impl Fleet {
    /// Tracks what is unsaved from now on, for [`Fleet::take_unsaved`].
    pub(crate) fn track_unsaved(&mut self) {
        self.unsaved = Some(BTreeSet::new());
        self.restored_from = None;
    }

    pub(super) fn mark_unsaved(&mut self, id: HostId) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.insert(id);
        }
    }

    /// Removes a host. An id that a stream still has finds nothing any more.
    pub(crate) fn forget(&mut self, id: HostId) {
        self.generation += 1;
        let Some(mut host) = self.hosts.remove(id, self.generation) else {
            return;
        };
        self.usage.track(&mut host, |host| host.ring = Ring::new());
        self.usage.bytes -= host.ring.bytes() as u64;
        self.usage.series_bytes -= host.series_bytes() as u64;
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.remove(&id);
            self.host_changes.push(HostChange::Forgotten(host.name));
        }
    }

    /// Gives a host another name. It also gets another number, because readers know a host by both.
    pub(crate) fn rename(&mut self, id: HostId, to: &Label) -> Option<HostId> {
        self.generation += 1;
        let mut host = self.hosts.remove(id, self.generation)?;
        let from = std::mem::replace(&mut host.name, to.clone());
        let new = self.hosts.insert(host);
        if let Some(unsaved) = &mut self.unsaved {
            if unsaved.remove(&id) {
                unsaved.insert(new);
            }
            let to = to.clone();
            self.host_changes.push(HostChange::Renamed { from, to });
        }
        self.touch_line(new);
        self.mark_past_changed(new);
        Some(new)
    }

    /// Hosts that were forgotten after a generation.
    pub fn gone_since(&self, generation: u64) -> impl Iterator<Item = HostId> {
        self.hosts.gone_since(generation)
    }

    pub(crate) fn take_host_changes(&mut self) -> Vec<HostChange> {
        std::mem::take(&mut self.host_changes)
    }

    pub(crate) fn take_unsaved(&mut self) -> Vec<HostBatch> {
        let unsaved = self.unsaved.as_mut().map(std::mem::take);
        self.usage.unsaved_bytes = 0;
        let (hosts, generation) = (&mut self.hosts, self.generation);
        let batch = |id: HostId| Some(hosts.get_mut(id)?.take_unsaved(generation));
        let unsaved = unsaved.unwrap_or_default().into_iter();
        unsaved.filter_map(batch).collect()
    }

    pub(crate) fn restore(&mut self, id: HostId, mut stored: LoadedHost) {
        let keys = std::mem::take(&mut stored.series);
        let shared = |series: LoadedSeries| {
            let key = self.shared_key(series.key);
            self.keys.insert(Arc::clone(&key));
            let idle_since = series.idle_since;
            (series.number, BatchSeries { key, idle_since })
        };
        let series = keys.into_iter().map(shared).collect();
        if let Some(host) = self.hosts.get_mut(id) {
            self.usage.track(host, |host| host.restore(stored, series));
        }
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.remove(&id);
        }
        self.touch_line(id);
    }

    /// Removes the series, processes and keys of which no row is left. Meant to be called once a minute.
    pub(super) fn forget_old(&mut self, now: UnixMs) {
        // A late row makes the history downsample the rest of its window again, so those rows still need their series.
        let horizon = self.horizon(now) - WINDOW_MS;
        let mut changed = Vec::new();
        for (id, host) in self.hosts.iter_mut() {
            host.processes.forget_before(horizon);
            let retire = |host: &mut Host| host.retire_series(horizon, now);
            if self.usage.track(host, retire) {
                changed.push(id);
            }
        }
        for id in changed {
            self.mark_unsaved(id);
            self.touch_line(id);
        }
        self.drop_unused_keys();
    }

    /// Restores sealed rows from the history; false if the memory budget has no room for them.
    pub fn restore_chunk(&mut self, name: &Label, chunk: Chunk) -> bool {
        let used = self.usage.bytes + self.usage.series_bytes;
        if used + chunk.bytes() as u64 > self.options.memory_bytes {
            return false;
        }
        let id = self.hosts.find(name.as_str());
        let Some((id, host)) = id.and_then(|id| Some((id, self.hosts.get_mut(id)?))) else {
            return true;
        };
        if self
            .usage
            .track(host, |host| host.ring.restore_chunk(chunk))
        {
            self.touch_line(id);
            self.mark_past_changed(id);
        }
        true
    }

    /// States that every stored row from `from` on is in memory.
    pub fn set_restored_from(&mut self, from: UnixMs) {
        self.restored_from = Some(from);
    }

    /// Whether every row of a host from `from` on is in memory.
    pub fn is_whole_from(&self, id: HostId, from: UnixMs) -> bool {
        let is_restored = self.restored_from.is_some_and(|restored| restored <= from);
        let is_whole = |host: &Host| host.ring.has_all_since(from);
        is_restored && self.host(id).is_none_or(is_whole)
    }
}
