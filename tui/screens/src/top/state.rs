//! The busiest processes of all hosts: their order, and which one is selected.

use std::cmp::Ordering;

use sysmon_wire::message::{HostProcess, TopBy};
use sysmon_wire::{Label, UnixMs};

use crate::model::pattern::Pattern;
use crate::model::process::ProcessSort;
use crate::widgets::process_list::{Column, Field, Listed, MIDDLE, NARROW, WIDE};

#[derive(Clone, Debug, Default)]
pub struct Top {
    /// The moment; `None` until the first list arrives.
    pub time: Option<UnixMs>,
    pub hosts: u32,
    /// Of how many from the first none is missing; none if that is so of all.
    pub complete_to: Option<u32>,
    /// What the hub ranks by.
    pub by: TopBy,
    pub sort: ProcessSort,
    pub reverse: bool,
    pub filter: Pattern,
    pub top: usize,
    pub refused: Option<Label>,
    received: Vec<HostProcess>,
    /// Places in `received` of those shown, in the order shown.
    order: Vec<usize>,
    selected: Option<(Label, u32)>,
}

impl Top {
    pub fn set(&mut self, time: UnixMs, hosts: u32, processes: Vec<HostProcess>) {
        (self.time, self.hosts, self.received) = (Some(time), hosts, processes);
        self.refused = None;
        self.reorder();
    }

    pub fn reorder(&mut self) {
        let received = &self.received;
        let fits = |row: &HostProcess| {
            self.filter.finds_process(&row.process) || self.filter.finds(row.host.as_str())
        };
        let mut order: Vec<usize> = (0..received.len())
            .filter(|&at| received.get(at).is_some_and(fits))
            .collect();
        let compare = |a: &HostProcess, b: &HostProcess| {
            let a = (a.host.as_str(), &a.process);
            self.sort.compare(a, (b.host.as_str(), &b.process))
        };
        order.sort_by(|&a, &b| match (received.get(a), received.get(b)) {
            (Some(a), Some(b)) if self.reverse => compare(b, a),
            (Some(a), Some(b)) => compare(a, b),
            _ => Ordering::Equal,
        });
        self.order = order;
        if self.selected_at().is_none() {
            self.select(0);
        }
    }

    pub fn shown(&self) -> impl Iterator<Item = &HostProcess> {
        self.order.iter().filter_map(|&at| self.received.get(at))
    }

    pub fn len(&self) -> usize {
        self.received.len()
    }

    pub fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    pub fn selected(&self) -> Option<&HostProcess> {
        self.shown().nth(self.selected_at()?)
    }
}

impl Listed for Top {
    const COLUMNS: &'static [Column] = &[
        (Field::Host, "HOST", 14, Some(ProcessSort::Host), 0),
        (Field::Pid, "PID", 7, None, MIDDLE),
        (Field::Cpu, "CPU%", 5, Some(ProcessSort::Cpu), 0),
        (Field::Memory, "MEM", 5, Some(ProcessSort::Memory), NARROW),
        (Field::Read, "READ", 5, Some(ProcessSort::Disk), MIDDLE),
        (Field::Written, "WRITE", 5, Some(ProcessSort::Disk), MIDDLE),
        (Field::User, "USER", 10, None, WIDE),
    ];
    const SORTS: &'static [ProcessSort] = &[
        ProcessSort::Cpu,
        ProcessSort::Memory,
        ProcessSort::Disk,
        ProcessSort::Host,
        ProcessSort::Command,
    ];

    fn sort(&self) -> ProcessSort {
        self.sort
    }

    fn sort_by(&mut self, sort: ProcessSort) {
        (self.sort, self.reverse) = (sort, false);
        self.by = sort.rank().unwrap_or(self.by);
        self.reorder();
    }

    fn reverse(&mut self) {
        self.reverse = !self.reverse;
        self.reorder();
    }

    fn shown_len(&self) -> usize {
        self.order.len()
    }

    fn selected_at(&self) -> Option<usize> {
        let (host, pid) = self.selected.as_ref()?;
        self.shown()
            .position(|row| row.host == *host && row.process.identity.pid == *pid)
    }

    fn select(&mut self, at: usize) {
        let at = at.min(self.order.len().saturating_sub(1));
        let chosen = self.shown().nth(at);
        self.selected = chosen.map(|row| (row.host.clone(), row.process.identity.pid));
    }

    fn top(&mut self) -> &mut usize {
        &mut self.top
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::process;

    fn row(host: &str, pid: u32, command: &str, cpu: u32, memory: u64) -> HostProcess {
        HostProcess {
            host: host.into(),
            process: process(pid, command, cpu, memory),
        }
    }

    fn list() -> Top {
        let mut top = Top::default();
        let rows = vec![
            row("a", 1, "init", 5, 10),
            row("b", 1, "postgres", 900, 70),
            row("a", 9, "cc1", 990, 30),
        ];
        top.set(UnixMs(1), 2, rows);
        top
    }

    fn shown(top: &Top) -> Vec<(&str, u32)> {
        let name = |row: &HostProcess| row.process.identity.pid;
        top.shown()
            .map(|row| (row.host.as_str(), name(row)))
            .collect()
    }

    #[test]
    fn sorting_by_name_keeps_what_the_hub_ranks_by() {
        let mut top = list();
        assert_eq!(shown(&top), [("a", 9), ("b", 1), ("a", 1)]);
        top.sort_by(ProcessSort::Memory);
        assert_eq!(shown(&top), [("b", 1), ("a", 9), ("a", 1)]);
        top.sort_by(ProcessSort::Host);
        assert_eq!((top.by, shown(&top)[0]), (TopBy::Memory, ("a", 9)));
        top.reverse = true;
        top.reorder();
        assert_eq!(shown(&top)[0], ("b", 1));
    }

    #[test]
    fn hosts_are_found_too_and_the_selection_follows_its_process() {
        let mut top = list();
        top.select(1);
        top.set(
            UnixMs(2),
            1,
            vec![row("a", 1, "init", 5, 1), row("b", 1, "postgres", 1, 1)],
        );
        assert_eq!(
            top.selected().unwrap().host,
            "b",
            "not a's process of the same number"
        );
        top.filter = "^a$".into();
        top.reorder();
        assert_eq!(shown(&top), [("a", 1)]);
        assert_eq!(top.selected_at(), Some(0));
    }
}
