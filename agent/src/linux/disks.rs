//! Disks: `/proc/diskstats` (Documentation/admin-guide/iostats.rst).

use std::path::PathBuf;

use sysmon_wire::Label;
use sysmon_wire::metrics::{
    DISK_IO, DISK_IO_TIME, DISK_MERGED, DISK_OPERATION_TIME, DISK_OPERATIONS, DISK_PENDING,
    DISK_WEIGHTED_IO_TIME, Metric,
};

use super::parse::{lines, numbers, words};
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};
use crate::total::Total;

/// Disks with series of their own; further ones still count towards the total.
const DISKS_MAX: usize = 128;

/// Columns read of a line, after the name; kernels since 4.18 and 5.5 have more.
const COLUMNS: usize = 11;

/// The kernel counts in sectors of this size, regardless of the disk's own.
const SECTOR_BYTES: u64 = 512;

const DIRECTION: &str = "disk.io.direction";

/// Column of the file, its metric and direction, and the factor to the metric's unit.
const COUNTERS: [(usize, Metric, Option<&str>, u64); 10] = [
    (0, DISK_OPERATIONS, Some("read"), 1),
    (1, DISK_MERGED, Some("read"), 1),
    (2, DISK_IO, Some("read"), SECTOR_BYTES),
    (3, DISK_OPERATION_TIME, Some("read"), 1),
    (4, DISK_OPERATIONS, Some("write"), 1),
    (5, DISK_MERGED, Some("write"), 1),
    (6, DISK_IO, Some("write"), SECTOR_BYTES),
    (7, DISK_OPERATION_TIME, Some("write"), 1),
    (9, DISK_IO_TIME, None, 1),
    (10, DISK_WEIGHTED_IO_TIME, None, 1),
];

const READ: usize = 2;
const PENDING: usize = 8;
const WRITTEN: usize = 6;

#[derive(Debug)]
struct Disk {
    name: Vec<u8>,
    /// Whether it has series: partitions, loop devices and RAM disks do not.
    has_series: bool,
    /// Whether it counts towards the host's total: not disks that are built from others.
    physical: bool,
    counters: [Slot; COUNTERS.len()],
    pending: Slot,
    before: Option<[u64; 2]>,
    seen: bool,
}

#[derive(Debug)]
pub(super) struct Disks {
    file: KernelFile,
    blocks: PathBuf,
    disks: Vec<Disk>,
    read: Total,
    written: Total,
}

impl Disks {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let mut total =
            |direction: &str| Total::new(board.slot(DISK_IO.series(&[(DIRECTION, direction)])));
        Self {
            file: KernelFile::open(&roots.proc.join("diskstats")),
            blocks: roots.sys.join("block"),
            disks: Vec::new(),
            read: total("read"),
            written: total("write"),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        let Some(text) = self.file.read(context.buffer) else {
            return;
        };
        self.parse(text, context.board);
    }

    fn parse(&mut self, text: &[u8], board: &mut Board) {
        for (at, line) in lines(text).enumerate() {
            let mut words = words(line).skip(2);
            let Some(name) = words.next() else { continue };
            let (columns, count) = numbers::<COLUMNS>(words);
            if count < COLUMNS {
                continue;
            }
            // The order of lines hardly ever changes, so the index of the last sample is tried first.
            let found = match self.disks.get(at) {
                Some(disk) if disk.name == name => Some(at),
                _ => self.disks.iter().position(|disk| disk.name == name),
            };
            let index = match found {
                Some(index) => index,
                None => {
                    let disk = self.new_disk(name, board);
                    self.disks.push(disk);
                    self.disks.len() - 1
                }
            };
            let Some(disk) = self.disks.get_mut(index) else {
                continue;
            };
            disk.update(&columns, board, &mut self.read, &mut self.written);
        }
        for disk in self.disks.iter_mut().filter(|disk| disk.has_series) {
            if !std::mem::take(&mut disk.seen) && disk.before.take().is_some() {
                disk.counters.iter().for_each(|slot| board.clear(*slot));
                board.clear(disk.pending);
            }
        }
        self.read.publish(board);
        self.written.publish(board);
    }

    fn new_disk(&self, name: &[u8], board: &mut Board) -> Disk {
        let label = Label::from_bytes(name);
        let text = label.as_str();
        let virtual_disk = ["loop", "ram", "zram", "fd", "sr"]
            .iter()
            .any(|p| text.starts_with(p));
        // In the names of sysfs directories, the kernel replaces / by !.
        let whole = self.blocks.join(text.replace('/', "!")).is_dir();
        let series_before = self.disks.iter().filter(|disk| disk.has_series).count();
        let has_series = whole && !virtual_disk && series_before < DISKS_MAX;
        let mut slot = |metric: Metric, direction: Option<&str>| {
            if !has_series {
                return Slot::NONE;
            }
            let direction = direction.map(|d| (DIRECTION, d));
            let attributes: Vec<_> = direction
                .into_iter()
                .chain([("system.device", text)])
                .collect();
            board.slot(metric.series(&attributes))
        };
        Disk {
            counters: COUNTERS.map(|(_, metric, direction, _)| slot(metric, direction)),
            pending: slot(DISK_PENDING, None),
            name: name.to_vec(),
            has_series,
            physical: whole && !virtual_disk && !text.starts_with("dm-") && !text.starts_with("md"),
            before: None,
            seen: false,
        }
    }
}

impl Disk {
    fn update(
        &mut self,
        columns: &[u64; COLUMNS],
        board: &mut Board,
        read: &mut Total,
        written: &mut Total,
    ) {
        if !self.has_series && !self.physical {
            return;
        }
        self.seen = true;
        for (slot, (column, _, _, factor)) in self.counters.iter().zip(COUNTERS) {
            let value = columns.get(column).copied().unwrap_or(0);
            board.set_u64(*slot, value.saturating_mul(factor));
        }
        board.set_u64(self.pending, columns.get(PENDING).copied().unwrap_or(0));
        let bytes = |column: usize| {
            columns
                .get(column)
                .copied()
                .unwrap_or(0)
                .saturating_mul(SECTOR_BYTES)
        };
        let now = [bytes(READ), bytes(WRITTEN)];
        let before = self.before.replace(now);
        if self.physical {
            read.add(before.map(|b| b[0]), now[0]);
            written.add(before.map(|b| b[1]), now[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::{collector_roots, value};
    use proptest::prelude::*;
    use sysmon_wire::ABSENT;

    fn disks(names: &[&str], board: &mut Board) -> (Disks, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::create_dir_all(dir.path().join("block").join(name)).unwrap();
        }
        let roots = Roots {
            sys: dir.path().to_owned(),
            ..collector_roots()
        };
        (Disks::new(&roots, board), dir)
    }

    #[test]
    fn whole_disks_have_series_and_physical_ones_are_the_total() {
        let mut board = Board::new();
        let (mut disks, _dir) = disks(&["sda", "dm-0", "loop0"], &mut board);
        let text = b"   8  0 sda 10 1 100 5 20 2 200 6 3 70 80\n   8  1 sda1 9 1 90 5 20 2 200 6 0 70 80\n 253 0 dm-0 10 1 100 5 20 2 200 6 0 70 80\n 7 0 loop0 1 1 1 1 1 1 1 1 1 1 1\n";
        disks.parse(text, &mut board);
        assert_eq!(value(&board, "system.disk.io", &["sda", "read"]), 51_200);
        assert_eq!(value(&board, "system.disk.io", &["dm-0", "write"]), 102_400);
        assert_eq!(value(&board, "system.disk.io", &["sda1", "read"]), ABSENT);
        assert_eq!(value(&board, "system.disk.io_time", &["sda"]), 70);
        assert_eq!(value(&board, "system.disk.pending_operations", &["sda"]), 3);
        assert_eq!(
            value(&board, "system.disk.io", &["read"]),
            51_200,
            "the total starts at the kernel's own value"
        );
    }

    #[test]
    fn the_total_does_not_jump_when_a_disk_is_removed_or_added() {
        let mut board = Board::new();
        let (mut disks, _dir) = disks(&["sda", "sdb"], &mut board);
        let both = b"8 0 sda 0 0 100 0 0 0 0 0 0 0 0\n8 16 sdb 0 0 1000 0 0 0 0 0 0 0 0\n";
        let total = |board: &Board| value(board, "system.disk.io", &["read"]) / 512;
        disks.parse(both, &mut board);
        assert_eq!(total(&board), 1100);
        disks.parse(b"8 0 sda 0 0 105 0 0 0 0 0 0 0 0\n", &mut board);
        assert_eq!(total(&board), 1105);
        assert_eq!(value(&board, "system.disk.io", &["sdb", "read"]), ABSENT);
        disks.parse(both, &mut board);
        assert_eq!(
            total(&board),
            1105,
            "sda restarted its counter and sdb returned: neither is new traffic"
        );
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(text in "(( [0-9]{1,3}){2} sd[ab]( [0-9]{1,22}){0,16}\n){0,4}") {
            let mut board = Board::new();
            let (mut disks, _dir) = disks(&["sda"], &mut board);
            disks.parse(text.as_bytes(), &mut board);
            disks.parse(text.as_bytes(), &mut board);
        }
    }
}
