//! Linux: files of `/proc` and `/sys`, kept open, read with `pread` and parsed in place.
//!
//! Each collector is a file: a pure parser over bytes, tested with recorded samples, and a thin reader. In the
//! steady state a sample allocates nothing.

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

use sysmon_clock::Clock;
use sysmon_wire::metrics::{AGENT_READ_ERRORS, PROCESS_COUNT};
use sysmon_wire::{HostFacts, Process, ProcessIdentity, UnixMs};

use crate::board::{Board, Slot};
use background::Background;

pub use file::{KernelFile, ReadBuffer};

#[derive(Clone, Debug)]
pub struct Roots {
    pub proc: PathBuf,
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

/// Samples per reading of slowly changing values; their groups alternate, so that no second is heavy.
const SLOW_EVERY: u64 = 5;

const SCAN_EVERY: u64 = 30;

/// The sample, of [`SCAN_EVERY`], that reads error counters: an early one, so that the first is soon.
const FAULTS_AT: u64 = 2;

const CONTAINERS_EVERY: u64 = 10;

#[derive(Clone, Debug, Default)]
pub struct CustomMetrics {
    pub textfiles: Option<PathBuf>,
    /// Shell commands, each with the time between two runs.
    pub commands: Vec<(Duration, String)>,
}

#[derive(Debug)]
pub struct Context<'a> {
    pub board: &'a mut Board,
    pub buffer: &'a mut ReadBuffer,
    pub now: UnixMs,
}

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
    clock_status: clock::ClockStatus,
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
    /// Opens the files that exist; missing ones cost nothing afterwards.
    pub fn new(roots: Roots, custom: &CustomMetrics, clock: &Clock, board: &mut Board) -> Self {
        let files = custom
            .textfiles
            .clone()
            .map(|dir| custom::files(dir, clock.clone()));
        let commands = custom.commands.iter();
        let commands =
            commands.map(|(period, line)| custom::command(line.clone(), *period, clock.clone()));
        let background = files.into_iter().chain(commands);
        let background = background.chain(gpu::nvidia(&roots));
        let background = background.chain(sessions::failing_units()).collect();
        Self {
            cgroups: cgroups::Cgroups::new(&roots, clock, board),
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
            filesystems: filesystems::Filesystems::new(&roots, clock, board),
            interfaces: interfaces::Interfaces::new(&roots, board),
            network: network::Network::new(&roots, board),
            hwmon: hwmon::Hwmon::new(&roots, board),
            powercap: powercap::PowerCap::new(&roots, board),
            battery: battery::Battery::new(&roots, board),
            misc: misc::Misc::new(&roots, board),
            clock_status: clock::ClockStatus::new(board),
            processes: processes::Processes::new(&roots.proc),
            ranked: ranked::RankedSeries::new(board),
            process_count: board.slot(PROCESS_COUNT.series(&[])),
            read_errors: board.slot(AGENT_READ_ERRORS.series(&[])),
            buffer: ReadBuffer::default(),
            roots,
            samples: 0,
        }
    }

    /// Samples onto the board; with `all_processes` every process is read.
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
        // The first samples read every group.
        let is_turn = |group: u64| self.samples < 2 || self.samples % SLOW_EVERY == group;
        if is_turn(0) {
            self.hwmon.collect(context);
        }
        if is_turn(1) {
            self.misc.collect(context);
        }
        if is_turn(2) {
            self.battery.collect(context);
            self.clock_status.collect(context);
        }
        if is_turn(3) {
            self.network.collect_slow(context);
            self.interfaces.collect_slow(context);
        }
        if is_turn(4) {
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

    /// The processes that the last sample refers to.
    pub fn ranked(&self) -> &[ProcessIdentity] {
        self.ranked.holders()
    }

    pub fn processes(&self) -> Vec<Process> {
        self.processes.all()
    }

    pub fn notes(&mut self) -> Vec<String> {
        self.notes.append(&mut self.processes.notes());
        std::mem::take(&mut self.notes)
    }

    pub fn facts(&self) -> HostFacts {
        facts::facts(&self.roots)
    }
}
