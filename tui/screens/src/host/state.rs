//! The panes of the host screen: which one is focused, and how a maximized one is sorted.

use sysmon_wire::message::Request;
use sysmon_wire::{Label, Process, UnixMs};

use crate::context::Context;
use crate::model::host_rows::WINDOW_MS;
use crate::model::long_history::HistoryRequests;
use crate::model::process::ProcessSort;

const BUSIEST_MAX: usize = 60;

#[derive(Debug, Default)]
pub struct HostScreen {
    pub panes: Panes,
    /// The selected one of the busiest processes.
    pub selected: Option<usize>,
    pub busiest: Vec<Process>,
    requested: Option<Requested>,
    pub(super) history: HistoryRequests,
}

#[derive(Debug)]
struct Requested {
    host: Label,
    from: UnixMs,
    until: Option<UnixMs>,
    heard: Option<UnixMs>,
}

impl HostScreen {
    pub fn request(&mut self, context: &Context) {
        // The charts of a silent host end when it was heard last.
        let heard = context.host_heard.filter(|_| context.at.is_none());
        self.requested = context.host_name().map(|host| Requested {
            host: host.clone(),
            from: heard.unwrap_or(context.moment()) - WINDOW_MS,
            until: context.at,
            heard,
        });
    }

    pub fn reset(&mut self) {
        *self = Self::default();
    }

    pub fn set_processes(&mut self, processes: &[Process]) {
        let mut busiest: Vec<&Process> = processes.iter().collect();
        busiest.sort_by(|a, b| ProcessSort::Cpu.compare(("", a), ("", b)));
        self.busiest = busiest.into_iter().take(BUSIEST_MAX).cloned().collect();
    }

    pub(super) fn requests(&self) -> Option<(Request, Request)> {
        let Requested {
            host,
            from,
            until,
            heard,
        } = self.requested.as_ref()?;
        let (from, until) = (*from, *until);
        let rows = Request::Host {
            host: host.clone(),
            from,
            until,
        };
        let processes = Request::Processes {
            host: host.clone(),
            at: until.or(*heard),
        };
        Some((rows, processes))
    }
}

named! {
    /// The parts of the host screen, in the order in which the focus goes through them.
    pub enum Pane: title {
        Cpu = "CPU",
        Memory = "MEMORY",
        Network = "NETWORK",
        Disk = "DISK",
        Processes = "PROCESSES",
        Cores = "PROCESSORS",
        /// Time spent waiting for processor, memory and disks.
        Pressure = "PRESSURE",
        Filesystems = "FILESYSTEMS",
        Interfaces = "INTERFACES",
        Disks = "DISKS",
        /// What disks say of their own health.
        DiskHealth = "DISK HEALTH",
        /// Temperatures, fans, power and batteries.
        Sensors = "SENSORS",
        /// Uninterruptible power supplies.
        Ups = "UPS",
        Gpus = "GPUS",
        Containers = "CONTAINERS",
        /// Units that failed or wait to be started again, and what has to run.
        Units = "UNITS",
        /// Services that the host tries to reach, and heartbeats.
        Checks = "CHECKS",
        /// How complete the rows are, and what the agent cannot see.
        Record = "RECORD",
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Panes {
    pub focus: Pane,
    pub scroll: u16,
    /// The column that its table is sorted by; `None` for the host's order.
    pub sort: Option<usize>,
    pub reverse: bool,
    /// The moment that its charts are read at.
    pub cursor: Option<UnixMs>,
}

impl Default for Panes {
    fn default() -> Self {
        Self {
            focus: Pane::Processes,
            scroll: 0,
            sort: None,
            reverse: false,
            cursor: None,
        }
    }
}

impl Panes {
    pub fn go(&mut self, pane: Pane) {
        *self = Self {
            focus: pane,
            ..Self::default()
        };
    }

    pub fn step(&mut self, there: &[Pane], is_back: bool) {
        let place = |pane: Pane| Pane::ALL.iter().position(|p| *p == pane);
        let here = place(self.focus);
        let next = if is_back {
            let before = there.iter().rev().find(|p| place(**p) < here);
            before.or(there.last())
        } else {
            there.iter().find(|p| place(**p) > here).or(there.first())
        };
        if let Some(pane) = next {
            self.go(*pane);
        }
    }

    /// Sorts by the next of so many columns; after the last in the host's order.
    pub fn sort_next(&mut self, columns: usize) {
        let next = self.sort.map_or(0, |at| at + 1);
        self.sort = (next < columns).then_some(next);
        self.reverse = false;
        self.scroll = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_focus_goes_around_those_that_are_there() {
        let mut panes = Panes::default();
        let there = [Pane::Cpu, Pane::Disk, Pane::Units];
        for wanted in [Pane::Units, Pane::Cpu, Pane::Disk, Pane::Units] {
            panes.step(&there, false);
            assert_eq!(panes.focus, wanted);
        }
        for wanted in [Pane::Disk, Pane::Cpu, Pane::Units] {
            panes.step(&there, true);
            assert_eq!(panes.focus, wanted);
        }
        panes.step(&[], false);
        assert_eq!(panes.focus, Pane::Units);
    }

    #[test]
    fn after_the_last_column_the_order_is_the_hosts() {
        let mut panes = Panes::default();
        let sorts = [Some(0), Some(1), None, Some(0)];
        for wanted in sorts {
            panes.sort_next(2);
            assert_eq!(panes.sort, wanted);
        }
    }
}
