//! Processes of one host: which are shown, in which order, and which is selected.

use std::cmp::Ordering;

use sysmon_wire::{Process, UnixMs};

use super::arrange::{Arrangement, container, grouped, program, tree};

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
    /// What a command, user, container or pid must hold to be shown.
    pub filter: String,
    selected: Option<u32>,
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
        self.top = 0;
    }

    /// Takes processes. Those that used most do not take the place of all at the same moment or later.
    pub fn take(&mut self, time: UnixMs, all: bool, rows: Vec<Process>) {
        (self.time, self.all, self.told) = (Some(time), all, rows);
        self.reorder();
    }

    /// Puts the processes in order anew.
    pub fn reorder(&mut self) {
        self.rows = match self.arrangement {
            Arrangement::List | Arrangement::Tree => self.told.clone(),
            Arrangement::Programs => grouped(&self.told, |process| program(process).to_owned()),
            Arrangement::Containers => grouped(&self.told, |process| container(process).to_owned()),
        };
        let wanted = self.filter.to_lowercase();
        let holds = |text: &str| text.to_lowercase().contains(&wanted);
        let matches = |process: &Process| {
            let identity = &process.identity;
            wanted.is_empty()
                || identity.pid.to_string() == wanted
                || [&identity.command, &identity.user, &identity.cgroup]
                    .iter()
                    .any(|text| holds(text.as_str()))
        };
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
            self.select(0);
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
        processes.filter = "BIN/P".to_owned();
        processes.reorder();
        assert_eq!(pids(&processes), [20]);
        processes.filter = "1".to_owned();
        processes.reorder();
        assert_eq!(pids(&processes), [3, 1], "a pid, or in a name");
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
