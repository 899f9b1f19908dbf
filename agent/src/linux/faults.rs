//! Hardware and filesystem faults, readable without privileges: commands that a SCSI or SATA disk failed
//! (`ioerr_cnt`), errors found by ext4 (Documentation/ABI/testing/sysfs-fs-ext4), and disks missing from RAID
//! arrays (`/proc/mdstat`, md(4)).

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sysmon_wire::Label;
use sysmon_wire::metrics::{DISK_ERRORS, FS_ERRORS, Metric, RAID_MISSING};

use super::parse::{lines, words};
use super::{Context, Roots};
use crate::board::Slot;

const DEVICES_MAX: usize = 128;

/// Bytes read of one file: an array takes about 200.
const BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct Faults {
    blocks: PathBuf,
    ext4: PathBuf,
    arrays: PathBuf,
    /// The series of present devices, and whether this reading has found them.
    slots: HashMap<(&'static str, Label), (Slot, bool)>,
}

impl Faults {
    pub(super) fn new(roots: &Roots) -> Self {
        Self {
            blocks: roots.sys.join("block"),
            ext4: roots.sys.join("fs/ext4"),
            arrays: roots.proc.join("mdstat"),
            slots: HashMap::new(),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        self.slots.values_mut().for_each(|(_, seen)| *seen = false);
        for (name, path) in devices(&self.blocks) {
            if let Some(count) = number(&path.join("device/ioerr_cnt")) {
                self.set(DISK_ERRORS, name, count, context);
            }
        }
        for (name, path) in devices(&self.ext4) {
            if let Some(count) = number(&path.join("errors_count")) {
                self.set(FS_ERRORS, name, count, context);
            }
        }
        for (name, count) in missing(&content(&self.arrays).unwrap_or_default()) {
            self.set(RAID_MISSING, name, count, context);
        }
        self.slots.retain(|_, (slot, seen)| {
            if !*seen {
                context.board.release(*slot);
            }
            *seen
        });
    }

    fn set(&mut self, metric: Metric, device: Label, count: u64, context: &mut Context<'_>) {
        let key = (metric.name, device);
        let series = metric.series(&[("system.device", key.1.as_str())]);
        let (slot, seen) = self
            .slots
            .entry(key)
            .or_insert_with(|| (context.board.slot(series), true));
        *seen = true;
        context.board.set_u64(*slot, count);
    }
}

fn devices(dir: &Path) -> Vec<(Label, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let entries = entries.take(8 * DEVICES_MAX).map(|entry| {
        let name = entry.file_name();
        (Label::from_bytes(name.as_encoded_bytes()), entry.path())
    });
    // Loop devices and RAM disks are numerous and have no faults of their own.
    let is_physical = |name: &Label| {
        !["loop", "ram", "zram"]
            .iter()
            .any(|of| name.as_str().starts_with(of))
    };
    let mut devices: Vec<_> = entries.filter(|(name, _)| is_physical(name)).collect();
    devices.sort();
    devices.truncate(DEVICES_MAX);
    devices
}

fn content(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn number(path: &Path) -> Option<u64> {
    parse_number(&content(path)?)
}

/// Decimal, or hexadecimal after `0x`.
fn parse_number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The number of missing disks of each array. Arrays without redundancy are not listed.
fn missing(text: &[u8]) -> Vec<(Label, u64)> {
    let mut arrays: Vec<(Label, u64)> = Vec::new();
    let mut present: Option<Label> = None;
    for line in lines(text) {
        let mut words = words(line);
        let first = words.next().unwrap_or_default();
        if !line.starts_with(b" ") {
            let is_array = words.next() == Some(b":") && first.starts_with(b"md");
            present = is_array.then(|| Label::from_bytes(first));
            continue;
        }
        let Some((wanted, there)) = words.find_map(members) else {
            continue;
        };
        if let Some(name) = present.take().filter(|_| arrays.len() < DEVICES_MAX) {
            arrays.push((name, wanted.saturating_sub(there)));
        }
    }
    arrays
}

/// `[2/1]`: the array has two disks, one is present.
fn members(word: &[u8]) -> Option<(u64, u64)> {
    let inner = word.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let (wanted, there) = std::str::from_utf8(inner).ok()?.split_once('/')?;
    Some((wanted.parse().ok()?, there.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Board;
    use crate::linux::ReadBuffer;
    use crate::linux::testing::value;
    use proptest::prelude::*;
    use sysmon_wire::{ABSENT, UnixMs};

    /// From md(4) and two machines.
    const MDSTAT: &[u8] = b"Personalities : [raid1] [raid6] [raid5] [raid4] [raid0]\n\
md1 : active raid5 sdd1[3](F) sdc1[2] sdb1[1] sda1[0]\n      \
1953260544 blocks super 1.2 level 5, 512k chunk, algorithm 2 [4/3] [UUU_]\n      \
[==>..................]  recovery = 12.6% (37043392/292945152) finish=127.5min speed=33440K/sec\n      \
bitmap: 0/8 pages [0KB], 65536KB chunk\n\n\
md0 : active raid1 sdb2[1] sda2[0]\n      \
523712 blocks super 1.2 [2/2] [UU]\n\n\
md127 : active raid0 sdf[1] sde[0]\n      \
1000 blocks super 1.2 512k chunks\n\nunused devices: <none>\n";

    #[test]
    fn missing_disks_of_arrays_are_counted() {
        assert_eq!(missing(MDSTAT), [("md1".into(), 1), ("md0".into(), 0)]);
        let none = b"Personalities : \nunused devices: <none>\n";
        assert_eq!(missing(none), []);
    }

    #[test]
    fn faults_are_counted_until_their_device_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let roots = Roots {
            proc: root.join("proc"),
            sys: root.join("sys"),
            rootfs: "/nonexistent".into(),
        };
        let write = |path: &str, text: &[u8]| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/mdstat", MDSTAT);
        write("sys/block/sda/device/ioerr_cnt", b"0x1f\n");
        write("sys/block/nvme0n1/size", b"7\n");
        write("sys/block/sdb/device/ioerr_cnt", &[0xff; 200_000]);
        write("sys/fs/ext4/dm-1/errors_count", b"3\n");
        write("sys/fs/ext4/features/lazy_itable_init", b"supported\n");
        let (mut board, mut buffer) = (Board::new(), ReadBuffer::default());
        let mut faults = Faults::new(&roots);
        let mut read = |faults: &mut Faults, board: &mut Board| {
            faults.collect(&mut Context {
                board,
                buffer: &mut buffer,
                now: UnixMs(0),
            });
        };
        read(&mut faults, &mut board);
        assert_eq!(value(&board, "system.linux.disk.errors", &["sda"]), 31);
        assert_eq!(
            value(&board, "system.linux.filesystem.errors", &["dm-1"]),
            3
        );
        assert_eq!(value(&board, "system.linux.raid.missing", &["md1"]), 1);
        assert_eq!(value(&board, "system.linux.raid.missing", &["md0"]), 0);
        assert_eq!(board.keys().len(), 4);
        std::fs::remove_dir_all(root.join("sys/block/sda")).unwrap();
        read(&mut faults, &mut board);
        assert_eq!(value(&board, "system.linux.disk.errors", &["sda"]), ABSENT);
        assert_eq!(faults.slots.len(), 3, "what is gone takes no room");
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "(md[0-9] : a|  b \\[[0-9]{1,30}/[0-9]\\]|\n){0,20}",
        ) {
            let _ = (missing(&bytes), parse_number(&bytes), missing(text.as_bytes()));
        }
    }
}
