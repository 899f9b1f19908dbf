//! Processes of one host: which are shown, their order, and which one is selected.

use std::cmp::Ordering;

use sysmon_wire::{Process, UnixMs};

use super::arrange::{Arrangement, container, grouped, tree};
use crate::model::pattern::Pattern;
use crate::model::process::{ProcessSort, program};
use crate::widgets::process_list::{Column, Field, Listed, MIDDLE, WIDE};

#[derive(Clone, Debug, Default)]
pub struct Processes {
    /// The moment; `None` until the first list arrives.
    pub time: Option<UnixMs>,
    /// Whether these are all processes, or only the busiest.
    pub all: bool,
    pub arrangement: Arrangement,
    received: Vec<Process>,
    rows: Vec<Process>,
    /// Places in `rows` of those shown, in the order shown, and how deep they lie below others.
    order: Vec<(usize, u16)>,
    pub sort: ProcessSort,
    pub reverse: bool,
    pub filter: Pattern,
    selected: Option<u32>,
    /// Selected as soon as a list contains it.
    wanted: Option<u32>,
    /// The process whose details are shown, as last received.
    pub open: Option<Process>,
    /// Whether the newest list contains it.
    pub is_open_current: bool,
    pub top: usize,
}

impl Processes {
    /// Forgets the processes, for another host; how they are shown stays.
    pub fn clear(&mut self) {
        self.time = None;
        self.received.clear();
        self.rows.clear();
        self.order.clear();
        self.selected = None;
        self.wanted = None;
        self.open = None;
        self.top = 0;
    }

    /// Selects a process as soon as a list contains it, and clears the filter.
    pub fn want(&mut self, pid: u32) {
        self.filter = Pattern::default();
        if self.is_grouped() {
            self.arrangement = Arrangement::List;
        }
        self.wanted = Some(pid);
    }

    pub fn set(&mut self, time: UnixMs, all: bool, rows: Vec<Process>) {
        (self.time, self.all, self.received) = (Some(time), all, rows);
        self.reorder();
        if let Some(open) = &mut self.open {
            let is_same = |process: &&Process| {
                let (a, b) = (&process.identity, &open.identity);
                (a.pid, a.start) == (b.pid, b.start)
            };
            let received = self.received.iter().find(is_same).cloned();
            self.is_open_current = received.is_some();
            *open = received.unwrap_or_else(|| open.clone());
        }
        let is_there = |pid: &u32| self.shown().any(|process| process.identity.pid == *pid);
        if let Some(pid) = self.wanted.filter(is_there) {
            self.selected = Some(pid);
            self.wanted = None;
        }
    }

    /// Whether a row is a group of processes.
    pub fn is_grouped(&self) -> bool {
        matches!(
            self.arrangement,
            Arrangement::Programs | Arrangement::Containers
        )
    }

    /// Shows the details of the selected process, or lists the members of the selected group; whether
    /// there are details now.
    pub fn open_selected(&mut self) -> bool {
        let Some(process) = self.selected().cloned() else {
            return false;
        };
        let members = match self.arrangement {
            Arrangement::List | Arrangement::Tree => {
                self.open = Some(process);
                self.is_open_current = true;
                return true;
            }
            Arrangement::Programs => {
                let name = process.identity.command.as_str();
                name.rsplit_once(" (").map_or(name, |(name, _)| name)
            }
            Arrangement::Containers => container(&process),
        };
        self.filter = Pattern::ending(members);
        self.arrangement = Arrangement::List;
        self.reorder();
        false
    }

    pub fn by_pid(&self, pid: u32) -> Option<&Process> {
        self.received
            .iter()
            .find(|process| process.identity.pid == pid)
    }

    pub fn children_of(&self, pid: u32) -> impl Iterator<Item = &Process> {
        let is_child = move |process: &&Process| process.parent == pid && pid > 0;
        self.received.iter().filter(is_child)
    }

    pub fn reorder(&mut self) {
        self.rows = match self.arrangement {
            Arrangement::List | Arrangement::Tree => self.received.clone(),
            Arrangement::Programs => grouped(&self.received, |process| program(process).to_owned()),
            Arrangement::Containers => {
                grouped(&self.received, |process| container(process).to_owned())
            }
        };
        let matches = |process: &Process| self.filter.finds_process(process);
        let rows = &self.rows;
        let of = |at: usize| rows.get(at);
        let mut order: Vec<usize> = (0..rows.len())
            .filter(|&at| of(at).is_some_and(matches))
            .collect();
        order.sort_by(|&a, &b| match (of(a), of(b)) {
            (Some(a), Some(b)) if self.reverse => self.sort.compare(("", b), ("", a)),
            (Some(a), Some(b)) => self.sort.compare(("", a), ("", b)),
            _ => Ordering::Equal,
        });
        self.order = match self.arrangement {
            Arrangement::Tree => tree(&self.rows, &order),
            _ => order.into_iter().map(|at| (at, 0)).collect(),
        };
        if self.selected_at().is_none() {
            self.select_at(0);
        }
    }

    pub fn shown(&self) -> impl Iterator<Item = &Process> {
        self.order.iter().filter_map(|&(at, _)| self.rows.get(at))
    }

    /// How deep the process at a place among those shown lies below others, in the tree.
    pub fn depth(&self, at: usize) -> u16 {
        self.order.get(at).map_or(0, |(_, depth)| *depth)
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn selected(&self) -> Option<&Process> {
        let pid = self.selected?;
        self.shown().find(|process| process.identity.pid == pid)
    }

    fn select_at(&mut self, at: usize) {
        let at = at.min(self.order.len().saturating_sub(1));
        let pid = self.shown().nth(at).map(|process| process.identity.pid);
        self.selected = pid;
    }
}

impl Listed for Processes {
    const COLUMNS: &'static [Column] = &[
        (Field::Pid, "PID", 7, Some(ProcessSort::Pid), 0),
        (Field::User, "USER", 10, None, MIDDLE),
        (Field::State, "S", 1, None, WIDE),
        (Field::Threads, "THR", 4, None, WIDE),
        (Field::Cpu, "CPU%", 5, Some(ProcessSort::Cpu), 0),
        (Field::Memory, "MEM", 5, Some(ProcessSort::Memory), 0),
        (Field::Read, "READ", 5, Some(ProcessSort::Disk), MIDDLE),
        (Field::Written, "WRITE", 5, Some(ProcessSort::Disk), MIDDLE),
    ];
    const SORTS: &'static [ProcessSort] = &[
        ProcessSort::Cpu,
        ProcessSort::Memory,
        ProcessSort::Disk,
        ProcessSort::Pid,
        ProcessSort::Command,
    ];

    fn sort(&self) -> ProcessSort {
        self.sort
    }

    fn sort_by(&mut self, sort: ProcessSort) {
        (self.sort, self.reverse) = (sort, false);
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
        let pid = self.selected?;
        self.shown().position(|process| process.identity.pid == pid)
    }

    fn select(&mut self, at: usize) {
        self.wanted = None;
        self.select_at(at);
    }

    fn top(&mut self) -> &mut usize {
        &mut self.top
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::process;

    fn processes() -> Processes {
        let mut processes = Processes::default();
        let rows = vec![
            process(1, "/sbin/init", 0, 12),
            process(20, "/usr/bin/postgres", 700, 900),
            process(3, "/usr/bin/cc1", 990, 200),
        ];
        processes.set(UnixMs(1000), true, rows);
        processes
    }

    fn pids(processes: &Processes) -> Vec<u32> {
        processes
            .shown()
            .map(|process| process.identity.pid)
            .collect()
    }

    #[test]
    fn they_are_sorted_and_filtered() {
        let mut processes = processes();
        assert_eq!(pids(&processes), [3, 20, 1]);
        processes.sort = ProcessSort::Memory;
        processes.reorder();
        assert_eq!(pids(&processes), [20, 3, 1]);
        processes.filter = "bin/p|x".into();
        processes.reorder();
        assert_eq!(pids(&processes), [20]);
        processes.filter = "1".into();
        processes.reorder();
        assert_eq!(pids(&processes), [3, 1], "a pid, or in a name");
    }

    #[test]
    fn a_wanted_process_is_selected_on_arrival_unless_another_was_selected_meanwhile() {
        let mut processes = processes();
        processes.filter = "init".into();
        processes.want(77);
        processes.set(UnixMs(2000), false, vec![process(20, "x", 1, 1)]);
        let rows = || vec![process(20, "x", 9, 1), process(77, "y", 1, 1)];
        processes.set(UnixMs(3000), true, rows());
        assert_eq!(processes.selected().unwrap().identity.pid, 77);
        processes.want(20);
        processes.move_by(0);
        processes.set(UnixMs(4000), true, rows());
        assert_eq!(processes.selected().unwrap().identity.pid, 77);
    }

    #[test]
    fn details_follow_their_process_and_stay_when_it_is_gone() {
        let mut processes = processes();
        assert!(processes.open_selected());
        processes.set(UnixMs(2000), true, vec![process(3, "/usr/bin/cc1", 5, 1)]);
        let open = |processes: &Processes| processes.open.as_ref().unwrap().cpu_permille;
        assert_eq!((open(&processes), processes.is_open_current), (5, true));
        let mut another = process(3, "/usr/bin/cc1", 7, 1);
        another.identity.start = UnixMs(2);
        processes.set(UnixMs(3000), true, vec![another]);
        assert_eq!((open(&processes), processes.is_open_current), (5, false));
    }

    #[test]
    fn a_group_is_opened_as_its_members() {
        let mut processes = processes();
        let rows = vec![
            process(5, "/opt/postgres", 1, 1),
            process(6, "/usr/bin/postgres", 1, 1),
            process(7, "/usr/bin/postgres-backup", 0, 1),
        ];
        processes.set(UnixMs(2000), true, rows);
        processes.arrangement = Arrangement::Programs;
        processes.reorder();
        assert!(!processes.open_selected());
        assert_eq!(pids(&processes), [5, 6]);
    }

    #[test]
    fn the_selection_follows_its_process() {
        let mut processes = processes();
        processes.move_by(1);
        assert_eq!(processes.selected().unwrap().identity.pid, 20);
        processes.sort = ProcessSort::Pid;
        processes.reorder();
        assert_eq!(processes.selected_at(), Some(2));
        processes.set(UnixMs(2000), true, vec![process(1, "init", 0, 1)]);
        assert_eq!(processes.selected().unwrap().identity.pid, 1);
    }
}
