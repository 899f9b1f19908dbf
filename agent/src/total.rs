//! A host-wide counter over devices that change.

use crate::board::{Board, Slot};

/// The sum of what each device counted while it was present: a device that disappears subtracts nothing, and
/// one that returns or restarts its counter adds nothing by that alone.
#[derive(Debug)]
pub(crate) struct Total {
    slot: Slot,
    sum: u64,
    /// Devices of the first sample count in full, so that the total starts at the kernel's own value.
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

    /// Adds a device's counter; `before` is its value in the previous sample, if it was present then.
    pub(crate) fn add(&mut self, before: Option<u64>, now: u64) {
        let increase = match before {
            Some(before) => now.saturating_sub(before),
            None if self.started => 0,
            None => now,
        };
        self.sum = self.sum.saturating_add(increase);
    }

    pub(crate) fn publish(&mut self, board: &mut Board) {
        self.started = true;
        board.set_u64(self.slot, self.sum);
    }
}
