//! Linux: kept-open files of `/proc` and `/sys`, read with `pread` and parsed in place.
//!
//! Each collector is a file: a pure parser over bytes, tested with recorded samples, and a thin
//! reader. In the steady state a sample allocates nothing.

mod background;
mod battery;
mod cgroups;
mod clock;
mod container_names;
mod containers;
mod cpu;
mod custom;
mod disks;
mod facts;
mod faults;
mod file;
mod filesystems;
mod frequency;
mod gpu;
mod hwmon;
mod interfaces;
mod load;
mod memory;
mod misc;
mod mounts;
mod network;
mod parse;
mod powercap;
mod pressure;
pub mod processes;
mod prometheus;
mod ranked;
mod sessions;
#[cfg(test)]
mod testing;
mod vmstat;

use std::path::PathBuf;
use std::time::Duration;

use sysmon_wire::metrics::{AGENT_READ_ERRORS, PROCESS_COUNT};
use sysmon_wire::{HostFacts, Process, ProcessIdentity, UnixMs};

use crate::board::{Board, Slot};
use background::Background;

pub use file::{KeptFile, ReadBuffer};

/// Where the kernel's files are; elsewhere in tests.
#[derive(Clone, Debug)]
pub struct Roots {
    /// Usually `/proc`.
    pub proc: PathBuf,
    /// Usually `/sys`.
    pub sys: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
        }
    }
}

/// Samples between two looks at what changes slowly; such groups take turns.
const SLOW_EVERY: u64 = 5;

/// Samples between two looks for devices that came or went.
const SCAN_EVERY: u64 = 30;

/// When between two such looks it is asked for faults: early, so that the first is soon.
const FAULTS_AT: u64 = 2;

/// Samples between two looks for containers.
const CONTAINERS_EVERY: u64 = 10;

/// Metrics that the owner adds.
#[derive(Clone, Debug, Default)]
pub struct OwnMetrics {
    /// A directory of `*.prom` files.
    pub textfiles: Option<PathBuf>,
    /// Commands, each with the time between two runs.
    pub commands: Vec<(Duration, String)>,
}

/// What all collectors share while a sample is taken.
#[derive(Debug)]
pub struct Context<'a> {
    /// Where values go.
    pub board: &'a mut Board,
    /// Files are read into this.
    pub buffer: &'a mut ReadBuffer,
    /// When the sample is taken.
    pub now: UnixMs,
}

/// All collectors of a Linux host.
#[derive(Debug)]
pub struct LinuxCollector {
    roots: Roots,
    cpu: cpu::Cpu,
    load: load::Load,
    memory: memory::Memory,
    vmstat: vmstat::VmStat,
    pressure: pressure::Pressure,
    disks: disks::Disks,
    faults: faults::Faults,
    filesystems: filesystems::Filesystems,
    interfaces: interfaces::Interfaces,
    network: network::Network,
    hwmon: hwmon::Hwmon,
    powercap: powercap::PowerCap,
    battery: battery::Battery,
    misc: misc::Misc,
    clock: clock::Clock,
    processes: processes::Processes,
    ranked: ranked::RankedSeries,
    cgroups: cgroups::Cgroups,
    cards: gpu::Cards,
    frequency: frequency::Frequency,
    sessions: sessions::Sessions,
    background: Vec<Background>,
    notes: Vec<String>,
    process_count: Slot,
    read_errors: Slot,
    buffer: ReadBuffer,
    samples: u64,
}

impl LinuxCollector {
    /// Opens what there is; what is missing costs nothing afterwards.
    pub fn new(roots: Roots, own: &OwnMetrics, board: &mut Board) -> Self {
        let files = own.textfiles.clone().map(custom::files);
        let commands = own.commands.iter();
        let commands = commands.map(|(period, line)| custom::command(line.clone(), *period));
        let background = files.into_iter().chain(commands);
        let background = background.chain(gpu::nvidia(&roots));
        let background = background.chain(sessions::units_in_trouble()).collect();
        Self {
            cgroups: cgroups::Cgroups::new(&roots, board),
            cards: gpu::Cards::new(&roots, board),
            frequency: frequency::Frequency::new(&roots, board),
            sessions: sessions::Sessions::new(board),
            background,
            notes: Vec::new(),
            cpu: cpu::Cpu::new(&roots, board),
            load: load::Load::new(&roots, board),
            memory: memory::Memory::new(&roots, board),
            vmstat: vmstat::VmStat::new(&roots, board),
            pressure: pressure::Pressure::new(&roots, board),
            disks: disks::Disks::new(&roots, board),
            faults: faults::Faults::new(&roots),
            filesystems: filesystems::Filesystems::new(&roots, board),
            interfaces: interfaces::Interfaces::new(&roots, board),
            network: network::Network::new(&roots, board),
            hwmon: hwmon::Hwmon::new(&roots, board),
            powercap: powercap::PowerCap::new(&roots, board),
            battery: battery::Battery::new(&roots, board),
            misc: misc::Misc::new(&roots, board),
            clock: clock::Clock::new(board),
            processes: processes::Processes::new(&roots.proc),
            ranked: ranked::RankedSeries::new(board),
            process_count: board.slot(PROCESS_COUNT.series(&[])),
            read_errors: board.slot(AGENT_READ_ERRORS.series(&[])),
            buffer: ReadBuffer::default(),
            roots,
            samples: 0,
        }
    }

    /// Takes a sample onto the board; with `all_processes` every process is looked at.
    pub fn sample(&mut self, now: UnixMs, all_processes: bool, board: &mut Board) {
        self.processes.refresh(now, all_processes);
        self.ranked.collect(&self.processes, board);
        board.set(self.process_count, self.processes.count() as i64);
        let context = &mut Context {
            board,
            buffer: &mut self.buffer,
            now,
        };
        self.cpu.collect(context);
        self.load.collect(context);
        self.memory.collect(context);
        self.vmstat.collect(context);
        self.pressure.collect(context);
        self.disks.collect(context);
        self.interfaces.collect(context);
        self.network.collect(context);
        self.filesystems.collect(context);
        self.powercap.collect(context);
        self.cgroups.collect(context);
        self.cards.collect(context);
        for source in &mut self.background {
            source.collect(context.board, &mut self.notes);
        }
        // What changes slowly takes turns, so that no second is heavy; the first sample has all.
        let turn = |group: u64| self.samples < 2 || self.samples % SLOW_EVERY == group;
        if turn(0) {
            self.hwmon.collect(context);
        }
        if turn(1) {
            self.misc.collect(context);
        }
        if turn(2) {
            self.battery.collect(context);
            self.clock.collect(context);
        }
        if turn(3) {
            self.network.collect_slow(context);
            self.interfaces.collect_slow(context);
        }
        if turn(4) {
            self.frequency.collect(context);
            self.sessions.collect(context);
        }
        if self.samples % SCAN_EVERY == FAULTS_AT {
            self.faults.collect(context);
        }
        if self.samples % CONTAINERS_EVERY == CONTAINERS_EVERY - 1 {
            self.cgroups.scan(context.board);
        }
        if self.samples % SCAN_EVERY == SCAN_EVERY - 1 {
            self.hwmon.scan(&self.roots, context.board);
            self.battery.scan(&self.roots, context.board);
        }
        self.samples += 1;
        let errors = self.buffer.errors();
        board.set_u64(self.read_errors, errors);
    }

    /// The processes that the last sample names.
    pub fn ranked(&self) -> &[ProcessIdentity] {
        self.ranked.holders()
    }

    /// All processes as of the last sample.
    pub fn processes(&self) -> Vec<Process> {
        self.processes.all()
    }

    /// What could not be seen and why, each once.
    pub fn notes(&mut self) -> Vec<String> {
        self.notes.append(&mut self.processes.notes());
        std::mem::take(&mut self.notes)
    }

    /// What the host is.
    pub fn facts(&self) -> HostFacts {
        facts::facts(&self.roots)
    }
}
