//! Processor frequencies: `cpufreq` (Documentation/admin-guide/pm/cpufreq.rst).

use std::collections::BTreeMap;
use std::path::PathBuf;

use sysmon_wire::metrics::CPU_FREQUENCY;

use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

/// Processors per host; on larger machines the first ones are representative.
const PROCESSORS_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct Frequency {
    folder: PathBuf,
    /// By number: processors may be missing in between, offline, and added later.
    processors: BTreeMap<u32, (KernelFile, Slot)>,
}

impl Frequency {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let mut frequency = Self {
            folder: roots.sys.join("devices/system/cpu"),
            processors: BTreeMap::new(),
        };
        frequency.scan(board);
        frequency
    }

    pub(super) fn scan(&mut self, board: &mut Board) {
        let entries = std::fs::read_dir(&self.folder);
        let entries = entries.into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix("cpu")?.parse();
            let file = entry.path().join("cpufreq/scaling_cur_freq");
            Some((number.ok()?, file)).filter(|(_, file)| file.exists())
        });
        let present: BTreeMap<u32, PathBuf> = numbers.collect();
        self.processors.retain(|number, (_, slot)| {
            let is_present = present.contains_key(number);
            if !is_present {
                board.release(*slot);
            }
            is_present
        });
        for (number, path) in present {
            if self.processors.len() >= PROCESSORS_MAX || self.processors.contains_key(&number) {
                continue;
            }
            let text = number.to_string();
            let slot = board.slot(CPU_FREQUENCY.series(&[("cpu.logical_number", &text)]));
            let file = KernelFile::open_each_time(path);
            self.processors.insert(number, (file, slot));
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        for (file, slot) in self.processors.values_mut() {
            let kilohertz = file.read_i64(context.buffer);
            let megahertz = kilohertz.map(|kilohertz| kilohertz / 1000);
            context.board.set_or_clear(*slot, megahertz);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::ReadBuffer;
    use crate::linux::testing::{collector_roots, value};
    use std::fs;
    use sysmon_wire::{ABSENT, UnixMs};

    #[test]
    fn processors_that_are_offline_or_added_later_do_not_hide_others() {
        let dir = tempfile::tempdir().unwrap();
        let cpus = dir.path().join("devices/system/cpu");
        let policy = |number: u32| cpus.join(format!("cpu{number}/cpufreq"));
        let set = |number: u32, kilohertz: u32| {
            fs::create_dir_all(policy(number)).unwrap();
            fs::write(
                policy(number).join("scaling_cur_freq"),
                kilohertz.to_string(),
            )
            .unwrap();
        };
        set(0, 3_000_000);
        fs::create_dir_all(cpus.join("cpu1")).unwrap();
        set(2, 3_200_000);
        set(700, 1_800_000);
        let roots = Roots {
            sys: dir.path().to_owned(),
            ..collector_roots()
        };
        let mut board = Board::new();
        let mut all = Frequency::new(&roots, &mut board);
        let collect = |all: &mut Frequency, board: &mut Board| {
            all.collect(&mut Context {
                board,
                buffer: &mut ReadBuffer::default(),
                now: UnixMs(0),
            });
            [0, 1, 2, 700].map(|n| value(board, "system.cpu.frequency", &[&n.to_string()]))
        };
        assert_eq!(collect(&mut all, &mut board), [3000, ABSENT, 3200, 1800]);
        set(1, 3_100_000);
        fs::remove_dir_all(policy(2)).unwrap();
        assert_eq!(collect(&mut all, &mut board)[2], ABSENT, "at once");
        all.scan(&mut board);
        assert_eq!(collect(&mut all, &mut board), [3000, 3100, ABSENT, 1800]);
    }
}
