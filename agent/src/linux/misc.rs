//! Single numbers in `/proc`: open files and entropy.

use sysmon_wire::metrics::{ENTROPY, FILES_OPEN};

use super::parse::{number, words};
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

#[derive(Debug)]
pub(super) struct Misc {
    files: (KernelFile, Slot),
    entropy: (KernelFile, Slot),
}

impl Misc {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let open = |path: &str| KernelFile::open(&roots.proc.join(path));
        Self {
            files: (open("sys/fs/file-nr"), board.slot(FILES_OPEN.series(&[]))),
            entropy: (
                open("sys/kernel/random/entropy_avail"),
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
