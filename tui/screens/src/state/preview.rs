//! The selected host's last minutes, below the table of hosts.

use sysmon_wire::{Label, Process, UnixMs};

use super::host::HostView;

/// What is shown of a host, and of which moment.
#[derive(Debug)]
pub struct Preview {
    /// Its rows.
    pub host: HostView,
    /// The moment; none to follow it live.
    pub at: Option<UnixMs>,
    /// The processes that used most, by what they used of processors.
    pub processes: Vec<Process>,
    /// When those were asked for.
    pub asked: UnixMs,
}

impl Preview {
    /// Of a host of which nothing is known yet.
    pub fn new(name: Label, at: Option<UnixMs>, now: UnixMs) -> Self {
        Self {
            host: HostView::new(name),
            at,
            processes: Vec::new(),
            asked: now,
        }
    }

    /// Whether it is of this host at this moment.
    pub fn is_of(&self, name: &Label, at: Option<UnixMs>) -> bool {
        self.host.name == *name && self.at == at
    }

    /// Takes the processes that used most.
    pub fn take_processes(&mut self, mut processes: Vec<Process>) {
        processes.sort_by_key(|process| std::cmp::Reverse(process.cpu_permille));
        self.processes = processes;
    }
}
