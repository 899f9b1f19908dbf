//! The table of hosts: by id and by name.

use std::collections::HashMap;

use sysmon_wire::Label;

use super::HostId;
use crate::host::{Host, HostKind};

/// Hosts are never removed, so an id is an index.
#[derive(Debug, Default)]
pub(super) struct HostTable {
    hosts: Vec<Host>,
    by_name: HashMap<Label, HostId>,
    /// How many are machines rather than hubs.
    pub(super) machines: usize,
}

impl HostTable {
    pub(super) fn next_id(&self) -> HostId {
        HostId(self.hosts.len() as u32)
    }

    pub(super) fn insert(&mut self, host: Host) -> HostId {
        let id = self.next_id();
        self.machines += usize::from(host.kind == HostKind::Machine);
        self.by_name.insert(host.name.clone(), id);
        self.hosts.push(host);
        id
    }

    pub(super) fn find(&self, name: &str) -> Option<HostId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn get(&self, id: HostId) -> Option<&Host> {
        self.hosts.get(id.0 as usize)
    }

    pub(super) fn get_mut(&mut self, id: HostId) -> Option<&mut Host> {
        self.hosts.get_mut(id.0 as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (HostId, &Host)> {
        let ids = (0..).map(HostId);
        ids.zip(&self.hosts)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (HostId, &mut Host)> {
        let ids = (0..).map(HostId);
        ids.zip(&mut self.hosts)
    }
}
