//! Load averages: `/proc/loadavg` (proc_loadavg(5)).

use sysmon_wire::metrics::{LOAD_1M, LOAD_5M, LOAD_15M};

use super::parse::{hundredths, lines, words};
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

#[derive(Debug)]
pub(super) struct Load {
    file: KernelFile,
    slots: [Slot; 3],
}

impl Load {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let slots = [LOAD_1M, LOAD_5M, LOAD_15M].map(|metric| board.slot(metric.series(&[])));
        Self {
            file: KernelFile::open(&roots.proc.join("loadavg")),
            slots,
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        let Some(text) = self.file.read(context.buffer) else {
            return;
        };
        self.parse(text, context.board);
    }

    fn parse(&self, text: &[u8], board: &mut Board) {
        let words = lines(text).next().map(words);
        for (slot, word) in self.slots.iter().zip(words.into_iter().flatten()) {
            if let Some(load) = hundredths(word) {
                board.set_u64(*slot, load);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::{collector_roots, value};

    #[test]
    fn load_averages_are_stored_in_hundredths() {
        let mut board = Board::new();
        Load::new(&collector_roots(), &mut board).parse(b"0.52 1.00 12.34 3/411 9\n", &mut board);
        assert_eq!(value(&board, "system.cpu.load_average.1m", &[]), 52);
        assert_eq!(value(&board, "system.cpu.load_average.15m", &[]), 1234);
    }
}
