//! Disks: `/proc/diskstats` (Documentation/admin-guide/iostats.rst).

use std::path::{Path, PathBuf};

use sysmon_wire::metrics::{
    DISK_IO, DISK_IO_TIME, DISK_MERGED, DISK_OPERATION_TIME, DISK_OPERATIONS, DISK_PENDING,
    DISK_WEIGHTED_IO_TIME, Metric,
};
use sysmon_wire::{Label, LimitState};

use super::listing::ListLimit;
use super::parse::{lines, numbers, words};
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};
use crate::total::Total;

/// Disks with series of their own; further ones still count towards the total.
const DISKS_MAX: usize = 128;

/// Disks and partitions that are considered.
const COUNTED_MAX: usize = 4096;

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
    layer: Layer,
    /// None for partitions, loop devices and RAM disks.
    series: Option<([Slot; COUNTERS.len()], Slot)>,
    /// Bytes read and written in the sample before.
    before: Option<[u64; 2]>,
    columns: [u64; COLUMNS],
    seen: bool,
}

/// Where a disk is in the kernel's topology: `/sys/block` (Documentation/ABI/testing/sysfs-block).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// A device of a bus.
    Physical,
    /// Without a device, and not known to be built from other disks: a remote disk, a zvol, a DRBD.
    Virtual,
    /// Built from other disks (`slaves`), in memory, or from a file: its bytes are counted elsewhere.
    Derived,
    Partition,
}

impl Layer {
    fn of(blocks: &Path, name: &str) -> Self {
        // In the names of sysfs directories, the kernel replaces / by !.
        let folder = blocks.join(name.replace('/', "!"));
        if !folder.is_dir() {
            return Self::Partition;
        }
        if folder.join("device").exists() {
            return Self::Physical;
        }
        let slaves = std::fs::read_dir(folder.join("slaves"));
        let is_built = slaves.is_ok_and(|mut slaves| slaves.next().is_some());
        if is_built || is_memory_or_file(name) {
            Self::Derived
        } else {
            Self::Virtual
        }
    }
}

/// Loop devices and RAM disks, which sysfs does not tell from other virtual disks.
fn is_memory_or_file(name: &str) -> bool {
    ["loop", "ram", "zram"]
        .iter()
        .any(|kind| name.starts_with(kind))
}

#[derive(Debug)]
pub(super) struct Disks {
    file: KernelFile,
    blocks: PathBuf,
    disks: Vec<Disk>,
    limit: ListLimit,
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
            limit: ListLimit::new("disks", DISKS_MAX),
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

    /// Reads again how the disks are stacked: an array may have been assembled since.
    pub(super) fn scan(&mut self) {
        for disk in &mut self.disks {
            disk.layer = Layer::of(&self.blocks, &String::from_utf8_lossy(&disk.name));
        }
    }

    fn parse(&mut self, text: &[u8], board: &mut Board) {
        let mut changed = false;
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
                None if self.disks.len() >= COUNTED_MAX => continue,
                None => {
                    changed = true;
                    self.disks.push(Disk::new(&self.blocks, name));
                    self.disks.len() - 1
                }
            };
            if let Some(disk) = self.disks.get_mut(index) {
                disk.update(&columns, board);
            }
        }
        self.disks.retain_mut(|disk| {
            let seen = std::mem::take(&mut disk.seen);
            if let (false, Some((counters, pending))) = (seen, &disk.series) {
                counters.iter().for_each(|slot| board.release(*slot));
                board.release(*pending);
            }
            changed |= !seen;
            seen
        });
        if changed {
            self.show(board);
        }
        self.publish(board);
    }

    /// Gives series to disks, as far as there is room.
    fn show(&mut self, board: &mut Board) {
        let mut present = self.disks.iter().filter(|d| d.series.is_some()).count();
        for disk in self.disks.iter_mut().filter(|d| d.series.is_none()) {
            let name = String::from_utf8_lossy(&disk.name);
            let is_removable = ["fd", "sr"].iter().any(|kind| name.starts_with(kind));
            if disk.layer == Layer::Partition || is_memory_or_file(&name) || is_removable {
                continue;
            }
            if present < DISKS_MAX {
                disk.series = Some(series(&Label::from_bytes(&disk.name), board));
                disk.show(board);
            }
            present += 1;
        }
        self.limit.set_present(present);
    }

    pub(super) fn limit(&self) -> LimitState {
        self.limit.state()
    }

    /// Sums the physical disks, or the virtual ones where there are none: each byte reaches one of them.
    fn publish(&mut self, board: &mut Board) {
        let has = |layer: Layer| self.disks.iter().any(|disk| disk.layer == layer);
        let counted = if has(Layer::Physical) {
            Layer::Physical
        } else {
            Layer::Virtual
        };
        for disk in &mut self.disks {
            let now = disk.bytes();
            let before = disk.before.replace(now);
            if disk.layer == counted {
                self.read.add(before.map(|b| b[0]), now[0]);
                self.written.add(before.map(|b| b[1]), now[1]);
            }
        }
        self.read.publish(board);
        self.written.publish(board);
    }
}

fn series(name: &Label, board: &mut Board) -> ([Slot; COUNTERS.len()], Slot) {
    let mut slot = |metric: Metric, direction: Option<&str>| {
        let direction = direction.map(|d| (DIRECTION, d));
        let device = [("system.device", name.as_str())];
        let attributes: Vec<_> = direction.into_iter().chain(device).collect();
        board.slot(metric.series(&attributes))
    };
    let counters = COUNTERS.map(|(_, metric, direction, _)| slot(metric, direction));
    (counters, slot(DISK_PENDING, None))
}

impl Disk {
    fn new(blocks: &Path, name: &[u8]) -> Self {
        Self {
            name: name.to_vec(),
            layer: Layer::of(blocks, &String::from_utf8_lossy(name)),
            series: None,
            before: None,
            columns: [0; COLUMNS],
            seen: false,
        }
    }

    fn update(&mut self, columns: &[u64; COLUMNS], board: &mut Board) {
        self.seen = true;
        self.columns = *columns;
        self.show(board);
    }

    fn show(&self, board: &mut Board) {
        if let Some((counters, pending)) = &self.series {
            for (slot, (at, _, _, factor)) in counters.iter().zip(COUNTERS) {
                let value = self.columns.get(at).copied().unwrap_or(0);
                board.set_u64(*slot, value.saturating_mul(factor));
            }
            board.set_u64(*pending, self.columns[PENDING]);
        }
    }

    /// Bytes read and written.
    fn bytes(&self) -> [u64; 2] {
        [READ, WRITTEN].map(|at| {
            let sectors = self.columns.get(at).copied().unwrap_or(0);
            sectors.saturating_mul(SECTOR_BYTES)
        })
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
            std::fs::create_dir_all(dir.path().join("block").join(name).join("device")).unwrap();
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
        let (mut disks, _dir) = disks(&["sda"], &mut board);
        for other in ["dm-0/slaves/sda", "loop0"] {
            std::fs::create_dir_all(disks.blocks.join(other)).unwrap();
        }
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

    /// The bytes that the host read, where every disk of these read one sector; a path is a folder below `/sys/block`.
    fn total_of(paths: &[&str]) -> i64 {
        let mut board = Board::new();
        let (mut all, dir) = disks(&[], &mut board);
        let mut names: Vec<&str> = Vec::new();
        for path in paths {
            std::fs::create_dir_all(dir.path().join("block").join(path)).unwrap();
            names.extend(path.split('/').next());
        }
        names.dedup();
        let line = |name: &&str| format!("8 0 {name} 0 0 1 0 0 0 0 0 0 0 0\n");
        let text: String = names.iter().map(line).collect();
        all.parse(text.as_bytes(), &mut board);
        value(&board, "system.disk.io", &["read"]) / 512
    }

    #[test]
    fn each_byte_is_counted_once_in_any_stack_of_disks() {
        let layers = [
            "sda/device",
            "nvme0n1/device",
            "md7/slaves/sda",
            "bcache0/slaves/md7",
            "dm-0/slaves/bcache0",
            "drbd0",
            "zd0",
            "loop0",
            "zram0",
        ];
        assert_eq!(total_of(&layers), 2);
        // A machine that has its disks over the network only.
        assert_eq!(total_of(&["nbd0", "dm-0/slaves/nbd0", "ram1", "loop3"]), 1);
    }

    #[test]
    fn disks_of_the_past_take_no_room() {
        let mut board = Board::new();
        let (mut all, dir) = disks(&[], &mut board);
        for number in 0..2 * DISKS_MAX {
            let name = format!("sd{number}");
            std::fs::create_dir_all(dir.path().join("block").join(&name).join("device")).unwrap();
            all.parse(
                format!("8 0 {name} 0 0 7 0 0 0 0 0 0 0 0\n").as_bytes(),
                &mut board,
            );
            board.tidy();
            let read = value(&board, "system.disk.io", &[&name, "read"]);
            assert_eq!((read, all.disks.len()), (7 * 512, 1));
        }
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
