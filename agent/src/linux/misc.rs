//! Uptime, open files, entropy: single numbers in `/proc`.

use sysmon_wire::metrics::{ENTROPY, FILES_OPEN};

use super::parse::{number, words};
use super::{Context, KeptFile, Roots};
use crate::board::{Board, Slot};

#[derive(Debug)]
pub(super) struct Misc {
    files: (KeptFile, Slot),
    entropy: (KeptFile, Slot),
}

impl Misc {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let kept = |path: &str| KeptFile::open(&roots.proc.join(path));
        Self {
            files: (kept("sys/fs/file-nr"), board.slot(FILES_OPEN.series(&[]))),
            entropy: (
                kept("sys/kernel/random/entropy_avail"),
                board.slot(ENTROPY.series(&[])),
            ),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        for (file, slot) in [&mut self.files, &mut self.entropy] {
            let Some(text) = file.read(context.buffer) else {
                continue;
            };
            if let Some(value) = words(text.trim_ascii()).next().and_then(number) {
                context.board.set_u64(*slot, value);
            }
        }
    }
}
