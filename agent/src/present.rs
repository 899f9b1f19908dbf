//! The series of what one source lists, which are given back once it no longer does.

use std::collections::HashMap;

use sysmon_wire::SeriesKey;

use crate::board::{Board, Slot};

#[derive(Debug, Default)]
pub(crate) struct PresentSeries {
    /// Whether each was set since the last call of [`Self::release_others`].
    slots: HashMap<SeriesKey, (Slot, bool)>,
}

impl PresentSeries {
    pub(crate) fn set(&mut self, board: &mut Board, key: SeriesKey, value: i64) {
        let slot = match self.slots.get_mut(&key) {
            Some((slot, is_present)) => {
                *is_present = true;
                *slot
            }
            None => {
                let slot = board.slot(key.clone());
                self.slots.insert(key, (slot, true));
                slot
            }
        };
        board.set(slot, value);
    }

    /// Releases those that were not set since the last call.
    pub(crate) fn release_others(&mut self, board: &mut Board) {
        self.slots.retain(|_, (slot, is_present)| {
            if !*is_present {
                board.release(*slot);
            }
            std::mem::take(is_present)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::ABSENT;
    use sysmon_wire::metrics::FS_LIMIT;

    #[test]
    fn what_is_no_longer_listed_has_no_value_and_no_series() {
        let key = |point: &str| FS_LIMIT.series(&[("system.filesystem.mountpoint", point)]);
        let (mut present, mut board) = (PresentSeries::default(), Board::new());
        present.set(&mut board, key("/"), 5);
        present.set(&mut board, key("/usb"), 7);
        present.release_others(&mut board);
        assert_eq!(board.values(), [5, 7]);
        present.set(&mut board, key("/"), 6);
        present.release_others(&mut board);
        assert_eq!((board.values(), board.series()), (&[6, ABSENT][..], 1));
        present.set(&mut board, key("/usb"), 8);
        present.release_others(&mut board);
        assert_eq!((board.values(), board.series()), (&[ABSENT, 8][..], 1));
    }
}
