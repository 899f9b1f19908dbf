//! Linux: files of `/proc` and `/sys`, kept open, read with `pread` and parsed in place.
//!
//! Each collector is a file: a pure parser over bytes, tested with recorded samples, and a thin reader. In the
//! steady state a sample allocates nothing.

mod battery;
mod cgroups;
mod child;
mod clock;
mod container_engine;
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
mod health;
mod hwmon;
mod interfaces;
mod links;
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
mod scales;
mod sessions;
mod space;
#[cfg(test)]
mod testing;
mod updates;
mod ups;
mod uptime;
mod vmstat;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sysmon_clock::Clock;
use sysmon_config::{Arguments, UpsSource};
use sysmon_wire::metrics::{AGENT_READ_ERRORS, PROCESS_COUNT, PROCESS_WATCHED};
use sysmon_wire::{HostFacts, LimitState, Process, ProcessArguments, ProcessIdentity, UnixMs};

use crate::background::{self, Background};
use crate::board::{Board, Slot};
use crate::listing;

pub(crate) use child::{Bounds, output};
pub use file::{KernelFile, ReadBuffer};

/// Where the host's files are: elsewhere than usual for an agent in a container.
#[derive(Clone, Debug)]
pub struct Roots {
    pub proc: PathBuf,
    pub sys: PathBuf,
    pub rootfs: PathBuf,
}

impl Roots {
    /// Whether the host's files are in their usual places.
    fn are_usual(&self) -> bool {
        self.proc == Path::new("/proc") && self.rootfs == Path::new("/")
    }

    /// A file of the host, by its absolute path there.
    fn host_file(&self, path: &str) -> PathBuf {
        self.rootfs.join(path.trim_start_matches('/'))
    }

    /// The folder with network statistics. `/proc/net` is that of the process that reads it, so of the container.
    fn net(&self) -> PathBuf {
        let init = self.proc.join("1/net");
        match !self.are_usual() && init.exists() {
            true => init,
            false => self.proc.join("net"),
        }
    }
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
            rootfs: "/".into(),
        }
    }
}

/// Samples per reading of slowly changing values; their groups alternate, so that no second is heavy.
const SLOW_EVERY: u64 = 5;

const SCAN_EVERY: u64 = 30;

/// The sample, of [`SCAN_EVERY`], that reads error counters: an early one, so that the first is soon.
const FAULTS_AT: u64 = 2;

const CONTAINERS_EVERY: u64 = 10;

const OUT_OF_FILES: &str = "some sources cannot be read: too many open files; raise the agent's limit \
    (LimitNOFILE of its unit, or ulimit -n)";

#[derive(Clone, Debug, Default)]
pub struct CollectorOptions {
    /// Types of filesystems to collect besides those that store data.
    pub filesystems: Vec<String>,
    pub textfiles: Option<PathBuf>,
    /// Shell commands, each with the time between two runs.
    pub commands: Vec<(Duration, String)>,
    /// Which arguments of processes are shown.
    pub arguments: Arguments,
    /// Names of programs that have to run, and systemd units that have to be active.
    pub processes: Vec<String>,
    pub units: Vec<String>,
    /// Servers that know of uninterruptible power supplies.
    pub ups: Vec<UpsSource>,
    /// Whether updates of packages are counted.
    pub updates: bool,
}

fn watched(names: &[String], board: &mut Board) -> Vec<(String, Slot)> {
    let slot = |name: &String| {
        let of = [("process.executable.name", name.as_str())];
        (name.clone(), board.slot(PROCESS_WATCHED.series(&of)))
    };
    names.iter().map(slot).collect()
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
    clock: Clock,
    uptime: uptime::Uptime,
    kernel_boot: uptime::BootTime,
    cpu: cpu::Cpu,
    load: load::Load,
    memory: memory::Memory,
    vmstat: vmstat::VmStat,
    pressure: pressure::Pressure,
    disks: disks::Disks,
    faults: faults::Faults,
    disk_health: health::DiskHealth,
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
    process_count: Slot,
    /// Programs that have to run, each with its slot.
    watched: Vec<(String, Slot)>,
    read_errors: Slot,
    buffer: ReadBuffer,
    samples: u64,
    /// The newest sample that lacked something because too many files were open.
    out_of_files_at: Option<u64>,
}

impl LinuxCollector {
    /// Opens the files that exist; missing ones cost nothing afterwards.
    pub fn new(roots: Roots, options: &CollectorOptions, clock: &Clock, board: &mut Board) -> Self {
        let files = options
            .textfiles
            .clone()
            .map(|dir| custom::files(dir, clock.clone()));
        let commands = options.commands.iter();
        let commands =
            commands.map(|(period, line)| custom::command(line.clone(), *period, clock.clone()));
        let background = files.into_iter().chain(commands);
        let background = background.chain(gpu::nvidia(&roots));
        let background = background.chain(sessions::units(&roots, &options.units, clock));
        let background = background.chain(ups::supplies(&options.ups, clock));
        let updates = options.updates.then(|| updates::pending(&roots, clock));
        let background = background.chain(updates.flatten()).collect();
        let mut kernel_boot = uptime::BootTime::default();
        kernel_boot.update(clock.now(), uptime::kernel_uptime_ms());
        let mut collector = Self {
            cgroups: cgroups::Cgroups::new(&roots, clock, board),
            cards: gpu::Cards::new(&roots, board),
            frequency: frequency::Frequency::new(&roots, board),
            sessions: sessions::Sessions::new(&roots, board),
            background,
            cpu: cpu::Cpu::new(&roots, board),
            load: load::Load::new(&roots, board),
            memory: memory::Memory::new(&roots, board),
            vmstat: vmstat::VmStat::new(&roots, board),
            pressure: pressure::Pressure::new(&roots, board),
            disks: disks::Disks::new(&roots, board),
            faults: faults::Faults::new(&roots),
            disk_health: health::DiskHealth::new(&roots),
            filesystems: filesystems::Filesystems::new(
                &roots,
                options.filesystems.clone(),
                clock,
                board,
            ),
            interfaces: interfaces::Interfaces::new(&roots, board),
            network: network::Network::new(&roots, board),
            hwmon: hwmon::Hwmon::new(&roots, board),
            powercap: powercap::PowerCap::new(&roots, board),
            battery: battery::Battery::new(&roots, board),
            misc: misc::Misc::new(&roots, board),
            clock_status: clock::ClockStatus::new(board),
            processes: processes::Processes::new(
                &roots.proc,
                roots.host_file("/etc/passwd"),
                kernel_boot.time(),
                options.arguments,
            ),
            ranked: ranked::RankedSeries::new(board),
            process_count: board.slot(PROCESS_COUNT.series(&[])),
            watched: watched(&options.processes, board),
            read_errors: board.slot(AGENT_READ_ERRORS.series(&[])),
            buffer: ReadBuffer::default(),
            uptime: uptime::Uptime::new(&roots, board),
            kernel_boot,
            clock: clock.clone(),
            roots,
            samples: 0,
            out_of_files_at: None,
        };
        collector.read_uptime(board);
        collector
    }

    fn read_uptime(&mut self, board: &mut Board) {
        // The time of a row may be up to an interval before the present.
        let now = self.clock.now();
        self.uptime.collect(&mut Context {
            board,
            buffer: &mut self.buffer,
            now,
        });
        if self.kernel_boot.update(now, uptime::kernel_uptime_ms()) {
            self.processes.set_boot(self.kernel_boot.time());
        }
    }

    /// Samples onto the board; with `all_processes` every process is read.
    pub fn sample(&mut self, now: UnixMs, all_processes: bool, board: &mut Board) {
        self.read_uptime(board);
        self.processes.refresh(now, all_processes);
        self.ranked.collect(&self.processes, board);
        board.set(self.process_count, self.processes.count() as i64);
        for (name, slot) in &self.watched {
            let count = self.processes.count_named(name);
            board.set(*slot, count as i64);
        }
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
            source.collect(context.board);
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
            self.disk_health.collect(context);
        }
        if self.samples % CONTAINERS_EVERY == CONTAINERS_EVERY - 1 {
            self.cgroups.scan(context.board);
        }
        if self.samples % SCAN_EVERY == SCAN_EVERY - 1 {
            self.hwmon.scan(&self.roots, context.board);
            self.battery.scan(&self.roots, context.board);
            self.frequency.scan(context.board);
            self.cards.scan(context.board);
            self.powercap.scan(context.board);
            self.memory.scan();
            self.disks.scan();
            self.interfaces.scan();
        }
        self.samples += 1;
        let out_of_files = self.buffer.take_out_of_files();
        if self.processes.take_out_of_files() || out_of_files {
            self.out_of_files_at = Some(self.samples);
        }
        let errors = self.buffer.errors();
        board.set_u64(self.read_errors, errors);
    }

    /// The processes that the last sample refers to.
    pub fn ranked(&self) -> &[ProcessIdentity] {
        self.ranked.holders()
    }

    pub fn take_arguments(&mut self, again: bool) -> Vec<ProcessArguments> {
        self.processes.take_arguments(again)
    }

    pub fn processes(&self) -> Vec<Process> {
        self.processes.all()
    }

    /// Every limit on what is listed, as it stands.
    pub fn limits(&self) -> impl Iterator<Item = LimitState> {
        [
            self.cpu.limit(),
            self.disks.limit(),
            self.filesystems.limit(),
            self.interfaces.limit(),
            self.hwmon.limit(),
            self.cgroups.limit(),
            self.processes.limit(),
            self.cards.limit(),
            self.powercap.limit(),
            Background::limit("metrics of one source", &self.background),
        ]
        .into_iter()
    }

    /// Everything that cannot be collected now.
    pub fn notes(&self) -> Vec<String> {
        // Sources of every group have been read since.
        let is_recent = |at: u64| self.samples - at <= SCAN_EVERY;
        let out_of_files = self.out_of_files_at.is_some_and(is_recent);
        let out_of_files = out_of_files.then(|| OUT_OF_FILES.to_owned());
        let background = self.background.iter().flat_map(Background::notes).cloned();
        let own = self.processes.notes().chain(self.cgroups.note());
        let disks = self.disk_health.notes(self.clock.now());
        own.chain(out_of_files)
            .chain(disks)
            .chain(background)
            .collect()
    }

    pub fn facts(&self) -> HostFacts {
        facts::facts(&self.roots, self.uptime.boot())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_open_files_are_noted_while_something_is_missing_because_of_them() {
        let mut board = Board::new();
        let mut collector = LinuxCollector::new(
            testing::collector_roots(),
            &CollectorOptions::default(),
            &Clock::system(),
            &mut board,
        );
        let mut noted_after = |collector: &mut LinuxCollector, samples: u64| {
            for _ in 0..samples {
                collector.sample(UnixMs(0), false, &mut board);
            }
            let notes = collector.notes();
            notes.iter().filter(|note| *note == OUT_OF_FILES).count()
        };
        assert_eq!(noted_after(&mut collector, 1), 0);
        for _ in 0..3 {
            collector.buffer.note_failure(rustix::io::Errno::MFILE);
            assert_eq!(noted_after(&mut collector, 1), 1, "once");
        }
        assert_eq!(noted_after(&mut collector, SCAN_EVERY - 1), 1);
        assert_eq!(noted_after(&mut collector, 2), 0);
    }
}
