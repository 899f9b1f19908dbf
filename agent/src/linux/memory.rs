//! Memory: `/proc/meminfo` (Documentation/filesystems/proc.rst, "meminfo").

use sysmon_wire::metrics::{
    MEMORY_AVAILABLE, MEMORY_COMMITTED, MEMORY_DIRTY, MEMORY_HUGEPAGES, MEMORY_LIMIT,
    MEMORY_SHARED, MEMORY_SLAB, MEMORY_USAGE, MEMORY_UTILIZATION, MEMORY_WRITEBACK, MEMORY_ZSWAP,
    PAGING_LIMIT, PAGING_USAGE, PAGING_UTILIZATION,
};

use super::parse::{lines, number, words};
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

const PLAIN: usize = 11;

const BYTES_MAX: u64 = 1 << 60;

/// Values that others are derived from.
#[derive(Debug, Default)]
struct Facts {
    total: Option<u64>,
    free: Option<u64>,
    available: Option<u64>,
    buffers: u64,
    cached: u64,
    reclaimable: u64,
    swap_total: Option<u64>,
    swap_free: u64,
    huge_total: u64,
    huge_free: u64,
    huge_size: u64,
}

#[derive(Debug)]
pub(super) struct Memory {
    file: KernelFile,
    /// Statistics of ZFS's read cache, where its module is loaded.
    arc: KernelFile,
    plain: [(&'static [u8], Slot); PLAIN],
    available: Slot,
    used: Slot,
    cached: Slot,
    utilization: Slot,
    swap_used: Slot,
    swap_utilization: Slot,
    huge_used: Slot,
    huge_free: Slot,
}

impl Memory {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let state = "system.memory.state";
        let slab = "linux.memory.slab.state";
        let paging = "system.paging.state";
        let mut slot = |metric: sysmon_wire::metrics::Metric, attributes: &[(&str, &str)]| {
            board.slot(metric.series(attributes))
        };
        Self {
            file: KernelFile::open(&roots.proc.join("meminfo")),
            arc: KernelFile::open(&roots.proc.join("spl/kstat/zfs/arcstats")),
            plain: [
                (b"MemTotal:", slot(MEMORY_LIMIT, &[])),
                (b"MemFree:", slot(MEMORY_USAGE, &[(state, "free")])),
                (b"Buffers:", slot(MEMORY_USAGE, &[(state, "buffers")])),
                (b"Dirty:", slot(MEMORY_DIRTY, &[])),
                (b"Writeback:", slot(MEMORY_WRITEBACK, &[])),
                (b"Shmem:", slot(MEMORY_SHARED, &[])),
                (
                    b"SReclaimable:",
                    slot(MEMORY_SLAB, &[(slab, "reclaimable")]),
                ),
                (
                    b"SUnreclaim:",
                    slot(MEMORY_SLAB, &[(slab, "unreclaimable")]),
                ),
                (b"Committed_AS:", slot(MEMORY_COMMITTED, &[])),
                (b"SwapTotal:", slot(PAGING_LIMIT, &[])),
                (b"SwapFree:", slot(PAGING_USAGE, &[(paging, "free")])),
            ],
            available: slot(MEMORY_AVAILABLE, &[]),
            used: slot(MEMORY_USAGE, &[(state, "used")]),
            cached: slot(MEMORY_USAGE, &[(state, "cached")]),
            utilization: slot(MEMORY_UTILIZATION, &[]),
            swap_used: slot(PAGING_USAGE, &[(paging, "used")]),
            swap_utilization: slot(PAGING_UTILIZATION, &[]),
            huge_used: slot(MEMORY_HUGEPAGES, &[(state, "used")]),
            huge_free: slot(MEMORY_HUGEPAGES, &[(state, "free")]),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        let arc = self.arc.read(context.buffer).map(reclaimable_of_arc);
        let Some(text) = self.file.read(context.buffer) else {
            return;
        };
        self.parse(text, arc.unwrap_or(0), context.board);
    }

    /// ZFS may be loaded later.
    pub(super) fn scan(&mut self) {
        self.arc.reopen();
    }

    /// `arc` is what the kernel counts as used although ZFS gives it back under pressure.
    fn parse(&self, text: &[u8], arc: u64, board: &mut Board) {
        let mut facts = Facts::default();
        for line in lines(text) {
            let mut words = words(line);
            let (Some(name), Some(value)) = (words.next(), words.next().and_then(number)) else {
                continue;
            };
            let unit = if words.next().is_some() { 1024 } else { 1 };
            let bytes = value.saturating_mul(unit).min(BYTES_MAX);
            if let Some((_, slot)) = self.plain.iter().find(|(known, _)| *known == name) {
                board.set_u64(*slot, bytes);
            }
            match name {
                b"MemTotal:" => facts.total = Some(bytes),
                b"MemFree:" => facts.free = Some(bytes),
                b"MemAvailable:" => facts.available = Some(bytes),
                b"Buffers:" => facts.buffers = bytes,
                b"Cached:" => facts.cached = bytes,
                b"SReclaimable:" => facts.reclaimable = bytes,
                b"SwapTotal:" => facts.swap_total = Some(bytes),
                b"SwapFree:" => facts.swap_free = bytes,
                b"HugePages_Total:" => facts.huge_total = bytes,
                b"HugePages_Free:" => facts.huge_free = bytes,
                b"Hugepagesize:" => facts.huge_size = bytes,
                b"Zswap:" => {
                    // Few kernels have it, so its series is created on first sight.
                    let slot = board.slot(MEMORY_ZSWAP.series(&[]));
                    board.set_u64(slot, bytes);
                }
                _ => {}
            }
        }
        self.derive(&facts, arc, board);
    }

    /// `used` as `free` of procps 4 counts it: total minus available.
    fn derive(&self, facts: &Facts, arc: u64, board: &mut Board) {
        let in_kernel = facts.cached + facts.reclaimable;
        if let (Some(total), Some(free)) = (facts.total, facts.free) {
            // Linux before 3.14 has no MemAvailable.
            let available = facts
                .available
                .unwrap_or(free + facts.buffers + in_kernel)
                .saturating_add(arc)
                .min(total);
            board.set_u64(self.available, available);
            board.set_u64(self.used, total - available);
            board.set_u64(self.cached, in_kernel.saturating_add(arc).min(total));
            set_share(board, self.utilization, total - available, total);
        }
        if let Some(total) = facts.swap_total {
            let used = total.saturating_sub(facts.swap_free);
            board.set_u64(self.swap_used, used);
            if total > 0 {
                set_share(board, self.swap_utilization, used, total);
            } else {
                board.clear(self.swap_utilization);
            }
        }
        let huge = |pages: u64| pages.saturating_mul(facts.huge_size);
        board.set_u64(self.huge_free, huge(facts.huge_free));
        board.set_u64(
            self.huge_used,
            huge(facts.huge_total.saturating_sub(facts.huge_free)),
        );
    }
}

/// What ZFS's read cache holds above its minimum (spl(4), `arcstats`: a name, a type and a value a line).
fn reclaimable_of_arc(text: &[u8]) -> u64 {
    let value = |name: &[u8]| {
        let line = lines(text).find(|line| words(line).next() == Some(name));
        line.and_then(|line| words(line).nth(2).and_then(number))
    };
    let size = value(b"size").unwrap_or(0).min(BYTES_MAX);
    size.saturating_sub(value(b"c_min").unwrap_or(size))
}

pub(super) fn set_share(board: &mut Board, slot: Slot, part: u64, whole: u64) {
    if whole > 0 {
        let permille = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole);
        board.set(slot, i64::try_from(permille).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::{collector_roots, value};
    use proptest::prelude::*;
    use sysmon_wire::ABSENT;

    fn parsed(text: &[u8]) -> Board {
        let mut board = Board::new();
        Memory::new(&collector_roots(), &mut board).parse(text, 0, &mut board);
        board
    }

    #[test]
    fn used_memory_is_total_minus_available() {
        let board = parsed(
            b"MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     400 kB\n\
              Buffers:           50 kB\nCached:           200 kB\nSReclaimable:      30 kB\n\
              SwapTotal:        800 kB\nSwapFree:         600 kB\nHugePages_Total:       4\n\
              HugePages_Free:        1\nHugepagesize:       2048 kB\n",
        );
        assert_eq!(value(&board, "system.memory.usage", &["used"]), 600 * 1024);
        assert_eq!(
            value(&board, "system.memory.usage", &["cached"]),
            230 * 1024
        );
        assert_eq!(value(&board, "system.memory.utilization", &[]), 600);
        assert_eq!(value(&board, "system.paging.utilization", &[]), 250);
        assert_eq!(
            value(&board, "system.linux.memory.hugepages.usage", &["used"]),
            3 << 21
        );
    }

    #[test]
    fn available_memory_is_estimated_for_kernels_without_it() {
        // Linux 2.6.32, shortened.
        let board = parsed(b"MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 250 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
        assert_eq!(value(&board, "system.memory.utilization", &[]), 600);
        assert_eq!(value(&board, "system.paging.utilization", &[]), ABSENT);
    }

    #[test]
    fn the_read_cache_of_zfs_is_not_used_memory() {
        let gib = 1u64 << 30;
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: String| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let kib = gib >> 10;
        write(
            "meminfo",
            format!(
                "MemTotal: {} kB\nMemFree: {} kB\nMemAvailable: {} kB\nCached: {kib} kB\n",
                32 * kib,
                2 * kib,
                3 * kib
            ),
        );
        let roots = Roots {
            proc: dir.path().to_owned(),
            ..collector_roots()
        };
        let mut board = Board::new();
        let mut memory = Memory::new(&roots, &mut board);
        let mut buffer = crate::linux::ReadBuffer::default();
        let mut collect = |memory: &mut Memory, board: &mut Board| {
            memory.collect(&mut Context {
                board,
                buffer: &mut buffer,
                now: sysmon_wire::UnixMs(0),
            });
            value(board, "system.memory.utilization", &[])
        };
        assert_eq!(collect(&mut memory, &mut board), 906);
        write(
            "spl/kstat/zfs/arcstats",
            format!(
                "9 1 0x01 147 39984 6 7\nname type data\nhits 4 1\nc_min 4 {gib}\nsize 4 {}\n",
                22 * gib
            ),
        );
        memory.scan();
        assert_eq!(collect(&mut memory, &mut board), 250);
        let bytes = |metric: &str, state: &[&str]| value(&board, metric, state) as u64 / gib;
        assert_eq!(bytes("system.linux.memory.available", &[]), 24);
        assert_eq!(bytes("system.memory.usage", &["cached"]), 22);
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(text in "((MemTotal|MemFree|MemAvailable|SwapFree|SwapTotal|Cached): [0-9]{0,20}( kB)?\n){0,8}") {
            parsed(text.as_bytes());
            let _ = reclaimable_of_arc(text.as_bytes());
        }
    }
}
