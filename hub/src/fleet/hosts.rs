//! The table of hosts: by id and by name.

use std::collections::HashMap;

use sysmon_wire::Label;

use super::HostId;
use crate::host::{Host, HostKind};

/// An id is an index, and is never used again.
#[derive(Debug, Default)]
pub(super) struct HostTable {
    hosts: Vec<Slot>,
    by_name: HashMap<Label, HostId>,
    /// How many are machines rather than hubs.
    pub(super) machines: usize,
}

#[derive(Debug)]
enum Slot {
    Host(Box<Host>),
    /// Forgotten at this generation of the fleet.
    Gone(u64),
}

impl Slot {
    fn host(&self) -> Option<&Host> {
        match self {
            Self::Host(host) => Some(host),
            Self::Gone(_) => None,
        }
    }

    fn host_mut(&mut self) -> Option<&mut Host> {
        match self {
            Self::Host(host) => Some(host),
            Self::Gone(_) => None,
        }
    }
}

impl HostTable {
    pub(super) fn remove(&mut self, id: HostId, generation: u64) -> Option<Host> {
        let slot = self.hosts.get_mut(id.0 as usize)?;
        let Slot::Host(host) = std::mem::replace(slot, Slot::Gone(generation)) else {
            return None;
        };
        self.machines -= usize::from(host.kind == HostKind::Machine);
        self.by_name.remove(&host.name);
        Some(*host)
    }

    /// Hosts that were forgotten after a generation of the fleet.
    pub(super) fn gone_since(&self, generation: u64) -> impl Iterator<Item = HostId> {
        let slots = (0..).map(HostId).zip(&self.hosts);
        let is_gone = move |slot: &Slot| matches!(slot, Slot::Gone(at) if *at > generation);
        slots
            .filter(move |(_, slot)| is_gone(slot))
            .map(|(id, _)| id)
    }

    pub(super) fn next_id(&self) -> HostId {
        HostId(self.hosts.len() as u32)
    }

    pub(super) fn insert(&mut self, host: Host) -> HostId {
        let id = self.next_id();
        self.machines += usize::from(host.kind == HostKind::Machine);
        self.by_name.insert(host.name.clone(), id);
        self.hosts.push(Slot::Host(Box::new(host)));
        id
    }

    pub(super) fn find(&self, name: &str) -> Option<HostId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn get(&self, id: HostId) -> Option<&Host> {
        self.hosts.get(id.0 as usize)?.host()
    }

    pub(super) fn get_mut(&mut self, id: HostId) -> Option<&mut Host> {
        self.hosts.get_mut(id.0 as usize)?.host_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (HostId, &Host)> {
        let ids = (0..).map(HostId);
        ids.zip(&self.hosts)
            .filter_map(|(id, slot)| Some((id, slot.host()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (HostId, &mut Host)> {
        let ids = (0..).map(HostId);
        ids.zip(&mut self.hosts)
            .filter_map(|(id, slot)| Some((id, slot.host_mut()?)))
    }
}
