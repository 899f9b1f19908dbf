//! Reading the fleet together with chunks that were read from disk for one answer. Nothing is changed by it.

use std::collections::HashMap;
use std::ops::Deref;

use sysmon_series::{Chunk, ChunkError, Table};
use sysmon_wire::metrics::SUMMARY;
use sysmon_wire::{Label, UnixMs};

use super::{Fleet, HostId};
use crate::host::Host;
use crate::processes::RankedProcesses;

#[derive(Debug)]
pub struct FleetView<'a> {
    fleet: &'a Fleet,
    borrowed: HashMap<HostId, Vec<&'a Chunk>>,
    step_ms: i64,
}

const ROW_MS: i64 = 1_000;

impl Fleet {
    pub fn view(&self) -> FleetView<'_> {
        self.view_with(&[], ROW_MS)
    }

    /// What is in memory, with further chunks of some hosts whose rows are `step_ms` apart.
    pub fn view_with<'a>(&'a self, chunks: &'a [(Label, Chunk)], step_ms: i64) -> FleetView<'a> {
        let mut borrowed: HashMap<HostId, Vec<&Chunk>> = HashMap::new();
        for (name, chunk) in chunks {
            if let Some(id) = self.find(name.as_str()) {
                borrowed.entry(id).or_default().push(chunk);
            }
        }
        FleetView {
            fleet: self,
            borrowed,
            step_ms,
        }
    }
}

impl FleetView<'_> {
    pub fn host(&self, id: HostId) -> Option<HostView<'_>> {
        self.fleet.host(id).map(|host| self.of(id, host))
    }

    pub fn machines(&self) -> impl Iterator<Item = (HostId, HostView<'_>)> {
        let machines = self.fleet.machines();
        machines.map(|(id, host)| (id, self.of(id, host)))
    }

    fn of<'b>(&'b self, id: HostId, host: &'b Host) -> HostView<'b> {
        HostView {
            host,
            borrowed: self.borrowed.get(&id).map_or(&[], Vec::as_slice),
            step_ms: self.step_ms,
        }
    }
}

impl Deref for FleetView<'_> {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        self.fleet
    }
}

/// A host whose rows are read from its ring and from borrowed chunks alike.
#[derive(Clone, Copy, Debug)]
pub struct HostView<'a> {
    host: &'a Host,
    borrowed: &'a [&'a Chunk],
    step_ms: i64,
}

impl<'a> From<&'a Host> for HostView<'a> {
    fn from(host: &'a Host) -> Self {
        Self {
            host,
            borrowed: &[],
            step_ms: ROW_MS,
        }
    }
}

impl Deref for HostView<'_> {
    type Target = Host;

    fn deref(&self) -> &Host {
        self.host
    }
}

impl HostView<'_> {
    /// Milliseconds between rows: more than a second where rows were made from minutes or hours.
    pub fn step_ms(&self) -> i64 {
        self.step_ms
    }

    pub fn read(&self, series: &[u32], from: UnixMs, to: UnixMs) -> Result<Table, ChunkError> {
        self.host.ring.read_with(self.borrowed, series, from, to)
    }

    pub fn newest(&self) -> Option<UnixMs> {
        let borrowed = self.borrowed.iter().map(|chunk| chunk.last()).max();
        self.host.ring.newest().max(borrowed)
    }

    /// Rows of the summary's series; a series that the host lacks is absent in all of them.
    pub fn summary_rows(&self, from: UnixMs, to: UnixMs) -> Option<Table> {
        let series: [u32; SUMMARY] = self.host.summary.map(|slot| slot.unwrap_or(u32::MAX));
        self.read(&series, from, to).ok()
    }

    /// The processes that used most at a past moment, from the newest row within `reach_ms` before it.
    pub fn processes_at(&self, at: UnixMs, reach_ms: i64) -> Option<(UnixMs, RankedProcesses)> {
        let (processes, ring) = (&self.host.processes, &self.host.ring);
        let row = ring.at_with(self.borrowed, &processes.series(), at - reach_ms, at);
        let (time, values) = row.ok()??;
        Some((time, processes.of_values(&values)))
    }
}
