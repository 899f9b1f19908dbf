//! The processes that use most resources, as series per rank: the identity of a process and its usage.
//!
//! A process keeps its rank while it is among them, so that values change little from row to row.

use sysmon_wire::ProcessIdentity;
use sysmon_wire::limits::RANKED_PROCESSES;
use sysmon_wire::metrics::{
    PROCESS_CPU, PROCESS_DISK_RATE, PROCESS_IDENTITY, PROCESS_MEMORY, PROCESS_RANKED,
    PROCESS_THREADS,
};

use super::processes::Processes;
use crate::board::{Board, Slot};

#[derive(Debug)]
struct Rank {
    holder: Option<ProcessIdentity>,
    id: i64,
    identity: Slot,
    /// As in [`super::processes::Ranked::values`].
    values: [Slot; 5],
    used: bool,
}

#[derive(Debug)]
pub(super) struct RankedSeries {
    ranks: Vec<Rank>,
    /// How deep the list is by processor, memory and disk.
    depths: [Slot; 3],
    holders: Vec<ProcessIdentity>,
    unplaced: Vec<usize>,
}

impl RankedSeries {
    pub(super) fn new(board: &mut Board) -> Self {
        let rank = |number: usize| {
            let number = number.to_string();
            let rank = ("sysmon.rank", number.as_str());
            let disk = |direction| [rank, ("disk.io.direction", direction)];
            Rank {
                holder: None,
                id: 0,
                identity: board.slot(PROCESS_IDENTITY.series(&[rank])),
                values: [
                    board.slot(PROCESS_CPU.series(&[rank])),
                    board.slot(PROCESS_MEMORY.series(&[rank])),
                    board.slot(PROCESS_DISK_RATE.series(&disk("read"))),
                    board.slot(PROCESS_DISK_RATE.series(&disk("write"))),
                    board.slot(PROCESS_THREADS.series(&[rank])),
                ],
                used: false,
            }
        };
        let ranks = (0..RANKED_PROCESSES).map(rank).collect();
        let depth =
            |measure| board.slot(PROCESS_RANKED.series(&[("sysmon.process.measure", measure)]));
        Self {
            depths: ["cpu", "memory", "disk"].map(depth),
            ranks,
            holders: Vec::new(),
            unplaced: Vec::new(),
        }
    }

    pub(super) fn holders(&self) -> &[ProcessIdentity] {
        &self.holders
    }

    pub(super) fn collect(&mut self, processes: &Processes, board: &mut Board) {
        for (slot, depth) in self.depths.iter().zip(processes.ranked_depths()) {
            board.set_u64(*slot, depth as u64);
        }
        for rank in &mut self.ranks {
            rank.used = false;
        }
        self.unplaced.clear();
        for (at, ranked) in processes.ranked().enumerate() {
            let Some(id) = ranked.id() else { continue };
            let is_holder = |rank: &&mut Rank| rank.holder.is_some() && rank.id == id;
            match self.ranks.iter_mut().find(is_holder) {
                Some(rank) => rank.set(&ranked.values(), board),
                None => self.unplaced.push(at),
            }
        }
        let mut changed = false;
        for &at in &self.unplaced {
            let (Some(ranked), Some(rank)) = (
                processes.ranked().nth(at),
                self.ranks.iter_mut().find(|rank| !rank.used),
            ) else {
                continue;
            };
            let identity = ranked.identity();
            rank.id = identity.id();
            rank.holder = Some(identity);
            board.set(rank.identity, rank.id);
            rank.set(&ranked.values(), board);
            changed = true;
        }
        for rank in self.ranks.iter_mut().filter(|rank| !rank.used) {
            if rank.holder.take().is_some() {
                changed = true;
                board.clear(rank.identity);
                rank.values.iter().for_each(|slot| board.clear(*slot));
            }
        }
        if changed {
            let holders = self.ranks.iter().filter_map(|rank| rank.holder.clone());
            self.holders = holders.collect();
        }
    }
}

impl Rank {
    fn set(&mut self, values: &[u64; 5], board: &mut Board) {
        self.used = true;
        for (slot, value) in self.values.iter().zip(values) {
            board.set_u64(*slot, *value);
        }
    }
}
