//! A host's total of a counter that several devices have.

use crate::board::{Board, Slot};

/// The sum of what its devices counted while they were there: a device that goes takes nothing
/// away, and one that comes back or starts over adds nothing at once.
#[derive(Debug)]
pub(crate) struct Total {
    slot: Slot,
    sum: u64,
    /// Devices of the first sample count whole, so that the total begins where the kernel is.
    started: bool,
}

impl Total {
    pub(crate) fn new(slot: Slot) -> Self {
        Self {
            slot,
            sum: 0,
            started: false,
        }
    }

    /// Takes a device's counter, with what it was in the sample before if it was there.
    pub(crate) fn add(&mut self, before: Option<u64>, now: u64) {
        let more = match before {
            Some(before) => now.saturating_sub(before),
            None if self.started => 0,
            None => now,
        };
        self.sum = self.sum.saturating_add(more);
    }

    /// Ends a sample.
    pub(crate) fn show(&mut self, board: &mut Board) {
        self.started = true;
        board.set_u64(self.slot, self.sum);
    }
}
