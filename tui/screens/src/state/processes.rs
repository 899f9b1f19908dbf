//! Processes of one host: which are shown, in which order, and which is selected.

use std::cmp::Ordering;

use sysmon_wire::{Process, UnixMs};

use super::arrange::{Arrangement, container, grouped, program, tree};
use super::pattern::Pattern;

/// What processes are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Processor time, most first.
    #[default]
    Cpu,
    /// Memory, most first.
    Memory,
    /// Traffic with storage, most first.
    Disk,
    /// Process id.
    Pid,
    /// Program name.
    Command,
}

impl Sort {
    /// Every way to sort, in the order they are gone through, with its name.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Cpu, "cpu"),
        (Self::Memory, "memory"),
        (Self::Disk, "disk"),
        (Self::Pid, "pid"),
        (Self::Command, "command"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(sort, _)| *sort == self);
        known.map_or("", |(_, name)| name)
    }

    /// The way after this one.
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|(sort, _)| *sort == self);
        let next = (at.unwrap_or(0) + 1) % Self::ALL.len();
        Self::ALL.get(next).map_or(Self::Cpu, |(sort, _)| *sort)
    }
}

/// Processes of one host at one moment.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    /// The moment; none before the first came.
    pub time: Option<UnixMs>,
    /// Whether these are all, or only those that used most.
    pub all: bool,
    /// How they are arranged.
    pub arrangement: Arrangement,
    told: Vec<Process>,
    /// What there is a row for: processes, or groups of them.
    rows: Vec<Process>,
    /// Places in `rows` of those shown, in the order shown, and how deep they lie below others.
    order: Vec<(usize, u16)>,
    /// What they are sorted by.
    pub sort: Sort,
    /// Whether the order is turned around.
    pub reverse: bool,
    /// What a command, user, container or pid must be like to be shown.
    pub filter: Pattern,
    selected: Option<u32>,
    /// What is to be selected once it is told.
    wanted: Option<u32>,
    /// The process whose details are shown, as last told.
    pub open: Option<Process>,
    /// Whether that is still told.
    pub is_open_told: bool,
    /// The first row on screen.
    pub top: usize,
}

impl Processes {
    /// Forgets the processes, for another host; how they are shown stays.
    pub fn clear(&mut self) {
        self.time = None;
        self.told.clear();
        self.rows.clear();
        self.order.clear();
        self.selected = None;
        self.wanted = None;
        self.open = None;
        self.top = 0;
    }

    /// Selects a process as soon as it is told, whatever was filtered by before.
    pub fn want(&mut self, pid: u32) {
        self.filter = Pattern::default();
        if self.is_grouped() {
            self.arrangement = Arrangement::List;
        }
        self.wanted = Some(pid);
    }

    /// Takes processes. Those that used most do not take the place of all at the same moment or later.
    pub fn take(&mut self, time: UnixMs, all: bool, rows: Vec<Process>) {
        (self.time, self.all, self.told) = (Some(time), all, rows);
        self.reorder();
        if let Some(open) = &mut self.open {
            let is_same = |process: &&Process| {
                let (a, b) = (&process.identity, &open.identity);
                (a.pid, a.start) == (b.pid, b.start)
            };
            let told = self.told.iter().find(is_same).cloned();
            self.is_open_told = told.is_some();
            *open = told.unwrap_or_else(|| open.clone());
        }
        let is_there = |pid: &u32| self.shown().any(|process| process.identity.pid == *pid);
        if let Some(pid) = self.wanted.filter(is_there) {
            self.selected = Some(pid);
            self.wanted = None;
        }
    }

    /// Whether a row stands for several processes.
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
                self.is_open_told = true;
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

    /// The process that has a pid, shown or not.
    pub fn by_pid(&self, pid: u32) -> Option<&Process> {
        self.told.iter().find(|process| process.identity.pid == pid)
    }

    /// The processes whose parent has a pid, shown or not.
    pub fn children_of(&self, pid: u32) -> impl Iterator<Item = &Process> {
        let is_child = move |process: &&Process| process.parent == pid && pid > 0;
        self.told.iter().filter(is_child)
    }

    /// Puts the processes in order anew.
    pub fn reorder(&mut self) {
        self.rows = match self.arrangement {
            Arrangement::List | Arrangement::Tree => self.told.clone(),
            Arrangement::Programs => grouped(&self.told, |process| program(process).to_owned()),
            Arrangement::Containers => grouped(&self.told, |process| container(process).to_owned()),
        };
        let matches = |process: &Process| self.filter.finds_process(process);
        let rows = &self.rows;
        let of = |at: usize| rows.get(at);
        let mut order: Vec<usize> = (0..rows.len())
            .filter(|&at| of(at).is_some_and(matches))
            .collect();
        order.sort_by(|&a, &b| match (of(a), of(b)) {
            (Some(a), Some(b)) => {
                let ordering = compare(a, b, self.sort);
                if self.reverse {
                    ordering.reverse()
                } else {
                    ordering
                }
            }
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

    /// The processes shown, in order.
    pub fn shown(&self) -> impl Iterator<Item = &Process> {
        self.order.iter().filter_map(|&(at, _)| self.rows.get(at))
    }

    /// How deep the process at a place among those shown lies below others, in the tree.
    pub fn depth(&self, at: usize) -> u16 {
        self.order.get(at).map_or(0, |(_, depth)| *depth)
    }

    /// How many there are, shown or not.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The selected process.
    pub fn selected(&self) -> Option<&Process> {
        let pid = self.selected?;
        self.shown().find(|process| process.identity.pid == pid)
    }

    /// Where the selected process stands among those shown.
    pub fn selected_at(&self) -> Option<usize> {
        let pid = self.selected?;
        self.shown().position(|process| process.identity.pid == pid)
    }

    /// Selects the process at a place among those shown, or the nearest.
    pub fn select(&mut self, at: usize) {
        self.wanted = None;
        self.select_at(at);
    }

    fn select_at(&mut self, at: usize) {
        let at = at.min(self.order.len().saturating_sub(1));
        let pid = self.shown().nth(at).map(|process| process.identity.pid);
        self.selected = pid;
    }

    /// Moves the selection.
    pub fn move_by(&mut self, rows: isize) {
        let at = self.selected_at().unwrap_or(0);
        self.select(at.saturating_add_signed(rows));
    }

    /// Keeps the selected row among the `height` rows on screen.
    pub fn scroll(&mut self, height: usize) {
        let at = self.selected_at().unwrap_or(0);
        let last_top = self.order.len().saturating_sub(height);
        let lowest = (at + 1).saturating_sub(height);
        self.top = self.top.min(at).max(lowest).min(last_top);
    }
}

fn compare(a: &Process, b: &Process, sort: Sort) -> Ordering {
    let by_pid = || a.identity.pid.cmp(&b.identity.pid);
    let disk = |process: &Process| {
        process
            .read_bytes_per_s
            .saturating_add(process.write_bytes_per_s)
    };
    let by_use = || b.cpu_permille.cmp(&a.cpu_permille);
    let by_memory = || b.memory_bytes.cmp(&a.memory_bytes);
    match sort {
        Sort::Cpu => by_use().then_with(by_memory).then_with(by_pid),
        Sort::Memory => by_memory().then_with(by_pid),
        Sort::Disk => disk(b).cmp(&disk(a)).then_with(by_use).then_with(by_pid),
        Sort::Pid => by_pid(),
        Sort::Command => a
            .identity
            .command
            .cmp(&b.identity.command)
            .then_with(by_pid),
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
        processes.take(UnixMs(1000), true, rows);
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
        processes.sort = Sort::Memory;
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
    fn what_is_wanted_is_selected_when_it_comes_unless_one_chose_meanwhile() {
        let mut processes = processes();
        processes.filter = "init".into();
        processes.want(77);
        processes.take(UnixMs(2000), false, vec![process(20, "x", 1, 1)]);
        let rows = || vec![process(20, "x", 9, 1), process(77, "y", 1, 1)];
        processes.take(UnixMs(3000), true, rows());
        assert_eq!(processes.selected().unwrap().identity.pid, 77);
        processes.want(20);
        processes.move_by(0);
        processes.take(UnixMs(4000), true, rows());
        assert_eq!(processes.selected().unwrap().identity.pid, 77);
    }

    #[test]
    fn details_follow_their_process_and_stay_when_it_is_gone() {
        let mut processes = processes();
        assert!(processes.open_selected());
        processes.take(UnixMs(2000), true, vec![process(3, "/usr/bin/cc1", 5, 1)]);
        let open = |processes: &Processes| processes.open.as_ref().unwrap().cpu_permille;
        assert_eq!((open(&processes), processes.is_open_told), (5, true));
        let mut another = process(3, "/usr/bin/cc1", 7, 1);
        another.identity.start = UnixMs(2);
        processes.take(UnixMs(3000), true, vec![another]);
        assert_eq!((open(&processes), processes.is_open_told), (5, false));
    }

    #[test]
    fn a_group_is_opened_as_its_members() {
        let mut processes = processes();
        let rows = vec![
            process(5, "/opt/postgres", 1, 1),
            process(6, "/usr/bin/postgres", 1, 1),
            process(7, "/usr/bin/postgres-backup", 0, 1),
        ];
        processes.take(UnixMs(2000), true, rows);
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
        processes.sort = Sort::Pid;
        processes.reorder();
        assert_eq!(processes.selected_at(), Some(2));
        processes.take(UnixMs(2000), true, vec![process(1, "init", 0, 1)]);
        assert_eq!(processes.selected().unwrap().identity.pid, 1);
    }
}
