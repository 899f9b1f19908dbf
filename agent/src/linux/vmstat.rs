//! Paging and out-of-memory kills: `/proc/vmstat` (proc_vmstat(5)).

use sysmon_wire::metrics::{OOM_KILLS, PAGING_FAULTS, PAGING_OPERATIONS};

use super::parse::{lines, number, words};
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

#[derive(Debug)]
pub(super) struct VmStat {
    file: KernelFile,
    counters: [(&'static [u8], Slot); 4],
    /// Minor faults: all minus the major ones.
    minor: Slot,
}

impl VmStat {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let direction = "system.paging.direction";
        let kind = "system.paging.fault.type";
        let counters = [
            (&b"pgmajfault"[..], PAGING_FAULTS.series(&[(kind, "major")])),
            (b"pswpin", PAGING_OPERATIONS.series(&[(direction, "in")])),
            (b"pswpout", PAGING_OPERATIONS.series(&[(direction, "out")])),
            (b"oom_kill", OOM_KILLS.series(&[])),
        ];
        Self {
            file: KernelFile::open(&roots.proc.join("vmstat")),
            counters: counters.map(|(name, key)| (name, board.slot(key))),
            minor: board.slot(PAGING_FAULTS.series(&[(kind, "minor")])),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        let Some(text) = self.file.read(context.buffer) else {
            return;
        };
        self.parse(text, context.board);
    }

    fn parse(&self, text: &[u8], board: &mut Board) {
        let (mut all, mut major) = (None, 0);
        // The first letter of every name used: skips the other 150 lines cheaply.
        for line in lines(text).filter(|line| matches!(line.first(), Some(b'p' | b'o'))) {
            let mut words = words(line);
            let (Some(name), Some(value)) = (words.next(), words.next().and_then(number)) else {
                continue;
            };
            match name {
                b"pgfault" => all = Some(value),
                b"pgmajfault" => major = value,
                _ => {}
            }
            if let Some((_, slot)) = self.counters.iter().find(|(known, _)| *known == name) {
                board.set_u64(*slot, value);
            }
        }
        if let Some(all) = all {
            board.set_u64(self.minor, all.saturating_sub(major));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::{collector_roots, value};

    #[test]
    fn minor_faults_are_all_minus_the_major_ones() {
        let mut board = Board::new();
        let vmstat = VmStat::new(&collector_roots(), &mut board);
        vmstat.parse(
            b"nr_free_pages 9\npgfault 100\npgmajfault 3\npswpin 1\noom_kill 2\n",
            &mut board,
        );
        assert_eq!(value(&board, "system.paging.faults", &["minor"]), 97);
        assert_eq!(value(&board, "system.paging.faults", &["major"]), 3);
        assert_eq!(value(&board, "system.linux.oom_kills", &[]), 2);
    }
}
