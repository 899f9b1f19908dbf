//! The processes that use most, as series with places: which process is where, and what it uses.
//!
//! A process keeps its place while it is among them, so that its values change little from row to row.

use sysmon_wire::ProcessIdentity;
use sysmon_wire::limits::RANKED_PROCESSES;
use sysmon_wire::metrics::{
    PROCESS_CPU, PROCESS_DISK_RATE, PROCESS_IDENTITY, PROCESS_MEMORY, PROCESS_THREADS,
};

use super::processes::Processes;
use crate::board::{Board, Slot};

#[derive(Debug)]
struct Place {
    holder: Option<ProcessIdentity>,
    id: i64,
    identity: Slot,
    /// As in [`super::processes::Ranked::values`].
    values: [Slot; 5],
    taken: bool,
}

/// The places.
#[derive(Debug)]
pub(super) struct RankedSeries {
    places: Vec<Place>,
    holders: Vec<ProcessIdentity>,
    left_over: Vec<usize>,
}

impl RankedSeries {
    pub(super) fn new(board: &mut Board) -> Self {
        let place = |rank: usize| {
            let rank = rank.to_string();
            let rank = ("sysmon.rank", rank.as_str());
            let disk = |direction| [rank, ("disk.io.direction", direction)];
            Place {
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
                taken: false,
            }
        };
        Self {
            places: (0..RANKED_PROCESSES).map(place).collect(),
            holders: Vec::new(),
            left_over: Vec::new(),
        }
    }

    /// Who is in a place now.
    pub(super) fn holders(&self) -> &[ProcessIdentity] {
        &self.holders
    }

    pub(super) fn collect(&mut self, processes: &Processes, board: &mut Board) {
        for place in &mut self.places {
            place.taken = false;
        }
        self.left_over.clear();
        for (at, ranked) in processes.ranked().enumerate() {
            let Some(id) = ranked.id() else { continue };
            let held = |place: &&mut Place| place.holder.is_some() && place.id == id;
            match self.places.iter_mut().find(held) {
                Some(place) => place.set(&ranked.values(), board),
                None => self.left_over.push(at),
            }
        }
        let mut changed = false;
        for &at in &self.left_over {
            let (Some(ranked), Some(place)) = (
                processes.ranked().nth(at),
                self.places.iter_mut().find(|place| !place.taken),
            ) else {
                continue;
            };
            let identity = ranked.identity();
            place.id = identity.id();
            place.holder = Some(identity);
            board.set(place.identity, place.id);
            place.set(&ranked.values(), board);
            changed = true;
        }
        for place in self.places.iter_mut().filter(|place| !place.taken) {
            if place.holder.take().is_some() {
                changed = true;
                board.clear(place.identity);
                place.values.iter().for_each(|slot| board.clear(*slot));
            }
        }
        if changed {
            let holders = self.places.iter().filter_map(|place| place.holder.clone());
            self.holders = holders.collect();
        }
    }
}

impl Place {
    fn set(&mut self, values: &[u64; 5], board: &mut Board) {
        self.taken = true;
        for (slot, value) in self.values.iter().zip(values) {
            board.set_u64(*slot, *value);
        }
    }
}
