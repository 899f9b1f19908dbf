//! Processors: `/proc/stat` (proc_stat(5), Documentation/filesystems/proc.rst).

use std::collections::BTreeMap;

use sysmon_wire::LimitState;
use sysmon_wire::metrics::{
    CONTEXT_SWITCHES, CPU_COUNT, CPU_UTILIZATION, INTERRUPTS, PROCESS_COUNT, PROCESSES_CREATED,
};

use super::listing::ListLimit;
use super::parse::{lines, number, numbers, words};
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

/// Processors with series of their own.
const CORES_MAX: usize = 256;

/// Columns read of a `cpu` line, after its name.
const COLUMNS: usize = 8;

/// Columns with their OpenTelemetry mode names. `iowait`, like `idle`, is not busy time.
const MODES: [(usize, &str); 7] = [
    (0, "user"),
    (1, "nice"),
    (2, "system"),
    (4, "iowait"),
    (5, "interrupt"),
    (6, "softirq"),
    (7, "steal"),
];

const IDLE: usize = 3;
const IOWAIT: usize = 4;

/// Upper bound of plausible ticks between two samples: centuries of a thousand processors.
const TICKS_MAX: u64 = 1 << 40;

type Ticks = [u64; COLUMNS];

#[derive(Debug)]
struct Processor {
    busy: Slot,
    modes: [Slot; MODES.len()],
    before: Option<Ticks>,
    seen: bool,
}

impl Processor {
    fn new(board: &mut Board, number: Option<u64>) -> Self {
        let number = number.map(|n| n.to_string());
        let mut slot = |mode: Option<&str>| {
            let core = number.as_deref().map(|n| ("cpu.logical_number", n));
            let mode = mode.map(|mode| ("cpu.mode", mode));
            let attributes: Vec<_> = core.into_iter().chain(mode).collect();
            board.slot(CPU_UTILIZATION.series(&attributes))
        };
        Self {
            busy: slot(None),
            modes: MODES.map(|(_, mode)| slot(Some(mode))),
            before: None,
            seen: false,
        }
    }

    fn update(&mut self, board: &mut Board, ticks: Ticks) {
        self.seen = true;
        let Some(before) = self.before.replace(ticks) else {
            return;
        };
        let mut spent = [0; COLUMNS];
        for ((spent, now), before) in spent.iter_mut().zip(ticks).zip(before) {
            // iowait may decrease (proc_stat(5)): counted as no time spent.
            *spent = now.saturating_sub(before).min(TICKS_MAX);
        }
        let total: u64 = spent.iter().sum();
        if total == 0 {
            return;
        }
        let permille = |ticks: u64| ((ticks * 1000 + total / 2) / total) as i64;
        let idle = spent.get(IDLE).copied().unwrap_or(0) + spent.get(IOWAIT).copied().unwrap_or(0);
        board.set(self.busy, permille(total - idle));
        for (slot, (column, _)) in self.modes.iter().zip(MODES) {
            board.set(*slot, permille(spent.get(column).copied().unwrap_or(0)));
        }
    }

    fn release(&self, board: &mut Board) {
        board.release(self.busy);
        self.modes.iter().for_each(|slot| board.release(*slot));
    }
}

#[derive(Debug)]
pub(super) struct Cpu {
    file: KernelFile,
    all: Processor,
    /// By number, of which some may be missing.
    cores: BTreeMap<u64, Processor>,
    limit: ListLimit,
    count: Slot,
    switches: Slot,
    interrupts: Slot,
    created: Slot,
    running: Slot,
    blocked: Slot,
}

impl Cpu {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        Self {
            file: KernelFile::open(&roots.proc.join("stat")),
            all: Processor::new(board, None),
            cores: BTreeMap::new(),
            limit: ListLimit::new("processors", CORES_MAX),
            count: board.slot(CPU_COUNT.series(&[])),
            switches: board.slot(CONTEXT_SWITCHES.series(&[])),
            interrupts: board.slot(INTERRUPTS.series(&[])),
            created: board.slot(PROCESSES_CREATED.series(&[])),
            running: board.slot(PROCESS_COUNT.series(&[("process.state", "running")])),
            blocked: board.slot(PROCESS_COUNT.series(&[("process.state", "blocked")])),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        if let Some(text) = self.file.read(context.buffer) {
            self.parse(text, context.board);
        }
    }

    pub(super) fn limit(&self) -> LimitState {
        self.limit.state()
    }

    fn parse(&mut self, text: &[u8], board: &mut Board) {
        let mut count = 0;
        for line in lines(text) {
            let mut words = words(line);
            let Some(name) = words.next() else { continue };
            match name {
                b"cpu" => {
                    let (ticks, columns) = numbers::<COLUMNS>(words);
                    if columns > IDLE {
                        self.all.update(board, ticks);
                    }
                }
                b"intr" => set(board, self.interrupts, words.next()),
                b"ctxt" => set(board, self.switches, words.next()),
                b"processes" => set(board, self.created, words.next()),
                b"procs_running" => set(board, self.running, words.next()),
                b"procs_blocked" => set(board, self.blocked, words.next()),
                _ => {
                    let Some(core) = name.strip_prefix(b"cpu").and_then(number) else {
                        continue;
                    };
                    let (ticks, columns) = numbers::<COLUMNS>(words);
                    count += 1;
                    let has_room = self.cores.len() < CORES_MAX || self.cores.contains_key(&core);
                    if columns > IDLE && has_room {
                        let entry = self.cores.entry(core);
                        let processor = entry.or_insert_with(|| Processor::new(board, Some(core)));
                        processor.update(board, ticks);
                    }
                }
            }
        }
        board.set(self.count, count as i64);
        self.limit.set_present(count);
        // Offline processors are missing from the file.
        self.cores.retain(|_, core| {
            let seen = std::mem::take(&mut core.seen);
            if !seen {
                core.release(board);
            }
            seen
        });
    }
}

fn set(board: &mut Board, slot: Slot, word: Option<&[u8]>) {
    if let Some(value) = word.and_then(number) {
        board.set_u64(slot, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::{collector_roots, value};
    use proptest::prelude::*;
    use sysmon_wire::ABSENT;

    fn cpu(board: &mut Board) -> Cpu {
        Cpu::new(&collector_roots(), board)
    }

    #[test]
    fn idle_and_iowait_are_not_busy_time() {
        let mut board = Board::new();
        let mut cpu = cpu(&mut board);
        cpu.parse(
            b"cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0 0 0\nctxt 5\n",
            &mut board,
        );
        assert_eq!(value(&board, "system.cpu.utilization", &[]), ABSENT);
        cpu.parse(
            b"cpu  130 0 110 850 10 0 0 0 0 0\ncpu0 130 0 110 850 10 0 0 0 0 0\nctxt 9\n",
            &mut board,
        );
        assert_eq!(value(&board, "system.cpu.utilization", &[]), 400);
        assert_eq!(value(&board, "system.cpu.utilization", &["user"]), 300);
        assert_eq!(value(&board, "system.cpu.utilization", &["iowait"]), 100);
        assert_eq!(value(&board, "system.cpu.utilization", &["0"]), 400);
        assert_eq!(value(&board, "system.linux.context_switches", &[]), 9);
    }

    #[test]
    fn old_kernels_have_fewer_columns_and_new_ones_more() {
        // Linux 2.4 had four columns.
        for (first, then) in [
            (&b"cpu 1 1 1 97\n"[..], &b"cpu 51 1 1 147\n"[..]),
            (
                b"cpu 1 1 1 97 0 0 0 0 0 0 7 8\n",
                b"cpu 51 1 1 147 0 0 0 0 0 0 9 9\n",
            ),
        ] {
            let mut board = Board::new();
            let mut cpu = cpu(&mut board);
            cpu.parse(first, &mut board);
            cpu.parse(then, &mut board);
            assert_eq!(value(&board, "system.cpu.utilization", &[]), 500);
        }
    }

    #[test]
    fn a_processor_taken_offline_has_no_value() {
        let mut board = Board::new();
        let mut cpu = cpu(&mut board);
        cpu.parse(b"cpu0 1 0 0 1\ncpu1 1 0 0 1\n", &mut board);
        cpu.parse(b"cpu0 2 0 0 2\ncpu1 2 0 0 2\n", &mut board);
        assert_eq!(value(&board, "system.cpu.utilization", &["1"]), 500);
        cpu.parse(b"cpu0 2 0 0 2\n", &mut board);
        assert_eq!(value(&board, "system.cpu.utilization", &["1"]), ABSENT);
        assert_eq!(value(&board, "system.cpu.logical.count", &[]), 1);
    }

    #[test]
    fn processors_with_gaps_in_their_numbers_are_shown_and_return_with_new_values() {
        let mut board = Board::new();
        let mut cpu = cpu(&mut board);
        let busy = |board: &Board| value(board, "system.cpu.utilization", &["700"]);
        cpu.parse(b"cpu0 1 0 0 1\ncpu700 1 0 0 1\n", &mut board);
        cpu.parse(b"cpu0 2 0 0 2\ncpu700 2 0 0 2\n", &mut board);
        assert_eq!(busy(&board), 500);
        cpu.parse(b"cpu0 3 0 0 3\n", &mut board);
        cpu.parse(b"cpu0 4 0 0 4\ncpu700 9 0 0 2\n", &mut board);
        assert_eq!(busy(&board), ABSENT, "no utilization of the time offline");
        cpu.parse(b"cpu0 5 0 0 5\ncpu700 9 0 0 6\n", &mut board);
        assert_eq!(busy(&board), 0);
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(
            texts in proptest::collection::vec("(cpu[0-9]{0,4} ([0-9]{0,22} ){0,12}\n|\\PC{0,30}\n){0,6}", 2)
        ) {
            let mut board = Board::new();
            let mut cpu = cpu(&mut board);
            texts.iter().for_each(|text| cpu.parse(text.as_bytes(), &mut board));
        }
    }
}
