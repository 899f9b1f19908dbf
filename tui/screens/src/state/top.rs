//! The busiest processes of all hosts: in which order, and which is selected.

use std::cmp::Ordering;

use sysmon_wire::message::{HostProcess, TopBy};
use sysmon_wire::{Label, UnixMs};

use super::pattern::Pattern;

/// What the list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Processor time, most first.
    #[default]
    Cpu,
    /// Memory, most first.
    Memory,
    /// Traffic with storage, most first.
    Disk,
    /// The host's name.
    Host,
    /// The program's name.
    Command,
}

impl Sort {
    /// Every way to sort, in the order they are gone through, with its name.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Cpu, "cpu"),
        (Self::Memory, "memory"),
        (Self::Disk, "disk"),
        (Self::Host, "host"),
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

    /// What the hub is asked for: by names the same processes are sorted as before.
    fn by(self) -> Option<TopBy> {
        match self {
            Self::Cpu => Some(TopBy::Cpu),
            Self::Memory => Some(TopBy::Memory),
            Self::Disk => Some(TopBy::Disk),
            Self::Host | Self::Command => None,
        }
    }
}

/// The list at one moment.
#[derive(Clone, Debug, Default)]
pub struct Top {
    /// The moment; none before the first list came.
    pub time: Option<UnixMs>,
    /// Of how many hosts.
    pub hosts: u32,
    /// What the busiest are by.
    pub by: TopBy,
    /// What they are sorted by.
    pub sort: Sort,
    /// Whether the order is turned around.
    pub reverse: bool,
    /// What a host, command, user, container or pid must be like to be shown.
    pub filter: Pattern,
    /// The first row on screen.
    pub top: usize,
    /// What the hub was last asked for: the moment, and what the busiest are by.
    pub asked: Option<(Option<UnixMs>, TopBy)>,
    /// Why the hub does not tell it, if it does not.
    pub refused: Option<Label>,
    told: Vec<HostProcess>,
    /// Places in `told` of those shown, in the order shown.
    order: Vec<usize>,
    selected: Option<(Label, u32)>,
}

impl Top {
    /// Takes a list in place of the one before.
    pub fn take(&mut self, time: UnixMs, hosts: u32, processes: Vec<HostProcess>) {
        (self.time, self.hosts, self.told) = (Some(time), hosts, processes);
        self.refused = None;
        self.reorder();
    }

    /// Sorts in another way.
    pub fn sort_by(&mut self, sort: Sort) {
        (self.sort, self.reverse) = (sort, false);
        self.by = sort.by().unwrap_or(self.by);
        self.reorder();
    }

    /// Puts the processes in order anew.
    pub fn reorder(&mut self) {
        let told = &self.told;
        let fits = |row: &HostProcess| {
            self.filter.finds_process(&row.process) || self.filter.finds(row.host.as_str())
        };
        let mut order: Vec<usize> = (0..told.len())
            .filter(|&at| told.get(at).is_some_and(fits))
            .collect();
        order.sort_by(|&a, &b| match (told.get(a), told.get(b)) {
            (Some(a), Some(b)) if self.reverse => compare(b, a, self.sort),
            (Some(a), Some(b)) => compare(a, b, self.sort),
            _ => Ordering::Equal,
        });
        self.order = order;
        if self.selected_at().is_none() {
            self.select(0);
        }
    }

    /// The processes shown, in order.
    pub fn shown(&self) -> impl Iterator<Item = &HostProcess> {
        self.order.iter().filter_map(|&at| self.told.get(at))
    }

    /// How many are shown.
    pub fn shown_len(&self) -> usize {
        self.order.len()
    }

    /// How many there are, shown or not.
    pub fn len(&self) -> usize {
        self.told.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// The selected process.
    pub fn selected(&self) -> Option<&HostProcess> {
        self.shown().nth(self.selected_at()?)
    }

    /// Where the selected process stands among those shown.
    pub fn selected_at(&self) -> Option<usize> {
        let (host, pid) = self.selected.as_ref()?;
        self.shown()
            .position(|row| row.host == *host && row.process.identity.pid == *pid)
    }

    /// Selects the process at a place among those shown, or the nearest.
    pub fn select(&mut self, at: usize) {
        let at = at.min(self.order.len().saturating_sub(1));
        let chosen = self.shown().nth(at);
        self.selected = chosen.map(|row| (row.host.clone(), row.process.identity.pid));
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

fn compare(a: &HostProcess, b: &HostProcess, sort: Sort) -> Ordering {
    let (p, q) = (&a.process, &b.process);
    let by = |by: TopBy| by.of(q).cmp(&by.of(p));
    let alike = || {
        by(TopBy::Cpu)
            .then_with(|| a.host.as_str().cmp(b.host.as_str()))
            .then_with(|| p.identity.pid.cmp(&q.identity.pid))
    };
    match sort {
        Sort::Cpu => alike(),
        Sort::Memory => by(TopBy::Memory).then_with(alike),
        Sort::Disk => by(TopBy::Disk).then_with(alike),
        Sort::Host => a.host.as_str().cmp(b.host.as_str()).then_with(alike),
        Sort::Command => p.identity.command.cmp(&q.identity.command).then_with(alike),
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
        top.take(UnixMs(1), 2, rows);
        top
    }

    fn shown(top: &Top) -> Vec<(&str, u32)> {
        let name = |row: &HostProcess| row.process.identity.pid;
        top.shown()
            .map(|row| (row.host.as_str(), name(row)))
            .collect()
    }

    #[test]
    fn sorted_by_names_the_busiest_stay_the_same() {
        let mut top = list();
        assert_eq!(shown(&top), [("a", 9), ("b", 1), ("a", 1)]);
        top.sort_by(Sort::Memory);
        assert_eq!(shown(&top), [("b", 1), ("a", 9), ("a", 1)]);
        top.sort_by(Sort::Host);
        assert_eq!((top.by, shown(&top)[0]), (TopBy::Memory, ("a", 9)));
        top.reverse = true;
        top.reorder();
        assert_eq!(shown(&top)[0], ("b", 1));
    }

    #[test]
    fn hosts_are_found_too_and_the_selection_follows_its_process() {
        let mut top = list();
        top.select(1);
        top.take(
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
