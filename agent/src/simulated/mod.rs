//! Simulated hosts with realistic load, for demonstrations and load tests.
//!
//! Every host has a role, which determines its size, and a demand that swings over the day, drifts from second
//! to second, and sometimes bursts. The metrics follow from the demand as they do on real machines. The same
//! host number always produces the same sequence.

mod checks;
mod processes;
mod roles;

use std::f64::consts::TAU;
use std::time::Duration;

use sysmon_certs::PeerName;
use sysmon_wire::metrics::{
    CPU_UTILIZATION, DISK_IO, DISK_IO_TIME, FS_LIMIT, FS_USAGE, FS_UTILIZATION, LOAD_1M, LOAD_5M,
    LOAD_15M, MEMORY_LIMIT, MEMORY_USAGE, MEMORY_UTILIZATION, NET_IO, PRESSURE_TIME, PROCESS_COUNT,
    TEMPERATURE, UPTIME,
};
use sysmon_wire::{HostFacts, Label, Process, ProcessArguments, UnixMs};

use crate::VERSION;
use crate::board::{Board, Slot};
use crate::run::Source;
use crate::sample::Sample;
use crate::spool::SpoolHealth;
use checks::Checks;
use processes::{Load, Processes};
use roles::{ROLES, Role};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
const DAY_MS: f64 = 86_400_000.0;

#[derive(Debug)]
pub struct Simulated {
    role: &'static Role,
    number: u64,
    past: Duration,
    random: fastrand::Rng,
    board: Board,
    slots: Slots,
    checks: Checks,
    processes: Processes,
    boot: UnixMs,
    last: Option<UnixMs>,
    drift: f64,
    burst_until: UnixMs,
    /// What goes wrong on this host, and since when.
    trouble: Option<(Trouble, UnixMs)>,
    stalled_us: [f64; 3],
    loads: [f64; 3],
    memory: f64,
    degrees: f64,
    bytes: [f64; 4],
    io_time_ms: f64,
}

/// Something that goes wrong on a host with a past, so that a demonstration has something to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// A job asks for several times its processors.
    Job,
    /// A filesystem fills up.
    Filling,
}

/// The troubles begin so long before the past ends.
const TROUBLE_LASTS_MS: i64 = 5 * 60_000;

/// What a job asks for, relative to the processors.
const JOB_DEMAND: f64 = 2.9;

/// How much of its whole a filesystem with trouble fills in an hour.
const FILLING_AN_HOUR: f64 = 0.03;

/// Mount points besides the root: their size relative to its, and how full they are.
const MOUNTS: [(&str, f64, f64); 2] = [("/boot", 0.004, 0.31), ("/var/lib", 2.4, 0.64)];

#[derive(Debug)]
struct Slots {
    cpu: Slot,
    modes: [Slot; 3],
    cores: Vec<Slot>,
    loads: [Slot; 3],
    memory: [Slot; 5],
    pressure: [Slot; 3],
    mounts: Vec<[Slot; 4]>,
    traffic: [Slot; 4],
    device_traffic: [Slot; 4],
    io_time: Slot,
    filesystem: [Slot; 5],
    degrees: [Slot; 2],
    processes: Slot,
    uptime: Slot,
}

const DIRECTIONS: [(&str, &str); 4] = [
    ("network.io.direction", "receive"),
    ("network.io.direction", "transmit"),
    ("disk.io.direction", "read"),
    ("disk.io.direction", "write"),
];

impl Slots {
    fn new(board: &mut Board, cpus: u32) -> Self {
        let mut slot = |metric: &sysmon_wire::metrics::Metric, attributes: &[(&str, &str)]| {
            board.slot(metric.series(attributes))
        };
        let metric = |at: usize| if at < 2 { NET_IO } else { DISK_IO };
        let device = |at: usize| {
            if at < 2 {
                ("network.interface.name", "eth0")
            } else {
                ("system.device", "nvme0n1")
            }
        };
        let root = ("system.filesystem.mountpoint", "/");
        let core = |n: u32| n.to_string();
        let memory_state = |state| ("system.memory.state", state);
        let fs_state = |state| ("system.filesystem.state", state);
        let some = ("linux.pressure.scope", "some");
        let resource = |name| ("linux.pressure.resource", name);
        Self {
            cpu: slot(&CPU_UTILIZATION, &[]),
            modes: ["user", "system", "iowait"].map(|m| slot(&CPU_UTILIZATION, &[("cpu.mode", m)])),
            cores: (0..cpus)
                .map(|n| slot(&CPU_UTILIZATION, &[("cpu.logical_number", &core(n))]))
                .collect(),
            loads: [&LOAD_1M, &LOAD_5M, &LOAD_15M].map(|metric| slot(metric, &[])),
            memory: [
                slot(&MEMORY_LIMIT, &[]),
                slot(&MEMORY_UTILIZATION, &[]),
                slot(&MEMORY_USAGE, &[memory_state("used")]),
                slot(&MEMORY_USAGE, &[memory_state("cached")]),
                slot(&MEMORY_USAGE, &[memory_state("free")]),
            ],
            pressure: ["cpu", "memory", "io"]
                .map(|name| slot(&PRESSURE_TIME, &[resource(name), some])),
            mounts: MOUNTS
                .iter()
                .map(|(mount, ..)| {
                    let mount = ("system.filesystem.mountpoint", *mount);
                    [
                        slot(&FS_UTILIZATION, &[mount]),
                        slot(&FS_LIMIT, &[mount]),
                        slot(&FS_USAGE, &[mount, fs_state("used")]),
                        slot(&FS_USAGE, &[mount, fs_state("free")]),
                    ]
                })
                .collect(),
            traffic: [0, 1, 2, 3].map(|at| slot(&metric(at), &DIRECTIONS[at..=at])),
            device_traffic: [0, 1, 2, 3].map(|at| slot(&metric(at), &[device(at), DIRECTIONS[at]])),
            io_time: slot(&DISK_IO_TIME, &[("system.device", "nvme0n1")]),
            filesystem: [
                slot(&FS_UTILIZATION, &[]),
                slot(&FS_UTILIZATION, &[root]),
                slot(&FS_LIMIT, &[root]),
                slot(&FS_USAGE, &[root, fs_state("used")]),
                slot(&FS_USAGE, &[root, fs_state("free")]),
            ],
            degrees: [
                slot(&TEMPERATURE, &[]),
                slot(&TEMPERATURE, &[("hw.name", "package")]),
            ],
            processes: slot(&PROCESS_COUNT, &[]),
            uptime: slot(&UPTIME, &[]),
        }
    }
}

impl Simulated {
    /// The same number produces the same host.
    pub fn new(number: u64) -> Self {
        let role = &ROLES[(number % ROLES.len() as u64) as usize];
        let mut random =
            fastrand::Rng::with_seed(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
        let mut board = Board::new();
        let slots = Slots::new(&mut board, role.cpus);
        let boot = UnixMs(1_700_000_000_000 + random.i64(0..60 * 86_400) * 1000);
        Self {
            slots,
            processes: Processes::new(role.programs, boot, &mut board),
            checks: Checks::new(role.name, number, &mut board),
            boot,
            last: None,
            drift: 0.0,
            burst_until: UnixMs(0),
            trouble: None,
            stalled_us: [0.0; 3],
            loads: [role.demand.0 * f64::from(role.cpus); 3],
            memory: role.memory + (random.f64() - 0.5) * 0.1,
            degrees: role.idle_degrees,
            bytes: [0; 4].map(|_: i32| random.f64() * 1e12),
            io_time_ms: 0.0,
            role,
            number,
            past: Duration::ZERO,
            random,
            board,
        }
    }

    /// The same with rows of the time before it starts; in their last minutes something goes wrong on two hosts.
    pub fn with_past(self, past: Duration) -> Self {
        Self { past, ..self }
    }

    /// What goes wrong on it, from its first sample on.
    fn plan_trouble(&mut self, first: UnixMs) {
        let trouble = match self.name().as_str() {
            "db-2" => Trouble::Job,
            "nas-1" => Trouble::Filling,
            _ => return,
        };
        let past = i64::try_from(self.past.as_millis()).unwrap_or(i64::MAX);
        if past > TROUBLE_LASTS_MS {
            let from = match trouble {
                Trouble::Job => first + past - TROUBLE_LASTS_MS,
                Trouble::Filling => first,
            };
            self.trouble = Some((trouble, from));
        }
    }

    fn is_in(&self, trouble: Trouble, now: UnixMs) -> bool {
        self.trouble
            .is_some_and(|(which, from)| which == trouble && now >= from)
    }

    /// Its role and a number within the role, such as `db-2`.
    pub fn name(&self) -> PeerName {
        let ordinal = self.number / ROLES.len() as u64 + 1;
        PeerName::nearest(&format!("{}-{ordinal}", self.role.name))
    }

    /// Runnable work relative to the processors: 1 uses all of them, more queues.
    fn demand(&mut self, now: UnixMs, elapsed_s: f64) -> f64 {
        let role = self.role;
        let phase = self.number as f64 * 0.05;
        let of_day = (now.0 as f64 / DAY_MS + phase).fract();
        // An Ornstein-Uhlenbeck process that reverts within about a minute.
        let noise = self.random.f64() + self.random.f64() + self.random.f64() - 1.5;
        self.drift +=
            -self.drift * (elapsed_s / 40.0).min(1.0) + role.volatility * noise * elapsed_s.sqrt();
        if now > self.burst_until && self.random.f64() < elapsed_s / role.burst_period_s {
            self.burst_until = now + self.random.i64(5_000..60_000);
        }
        let burst = if now <= self.burst_until { 0.85 } else { 0.0 };
        let job = if self.is_in(Trouble::Job, now) {
            self.burst_until = now + 1_000;
            JOB_DEMAND
        } else {
            0.0
        };
        let average = role.demand.0 + role.demand.1 * (of_day * TAU).sin();
        (average + self.drift + burst + job).max(0.01)
    }

    fn sample_processors(&mut self, demand: f64, elapsed_s: f64) {
        let role = self.role;
        let busy = demand.min(1.0);
        let disk = (role.throughput[2] + role.throughput[3]) / 2e9;
        let iowait = disk * busy * self.random.f64();
        self.board.set(self.slots.cpu, permille(busy));
        let shares = [busy * 0.74, busy * 0.26, iowait.min(1.0 - busy)];
        for (slot, share) in self.slots.modes.into_iter().zip(shares) {
            self.board.set(slot, permille(share));
        }
        // Load differs between processors, and the differences change slowly.
        for (at, slot) in self.slots.cores.iter().enumerate() {
            let bias = (at as f64 * 1.7 + self.number as f64).sin() * 0.5 + 1.0;
            let share = (bias * busy + (self.random.f64() - 0.5) * 0.1).clamp(0.0, 1.0);
            self.board.set(*slot, permille(share));
        }
        let runnable = demand * f64::from(role.cpus);
        let windows_s = [60.0, 300.0, 900.0];
        let loads = self.loads.iter_mut().zip(self.slots.loads);
        for ((load, slot), window_s) in loads.zip(windows_s) {
            *load += (runnable - *load) * (elapsed_s / window_s).min(1.0);
            self.board.set(slot, (*load * 100.0).round() as i64);
        }
    }

    fn sample_memory(&mut self, busy: f64, elapsed_s: f64) {
        let role = self.role;
        let target = (role.memory + 0.08 * (busy - role.demand.0)).clamp(0.02, 0.985);
        self.memory += (target - self.memory) * (elapsed_s / 120.0).min(1.0);
        let total = role.memory_gib * GIB;
        let values = [
            whole_pages(total),
            permille(self.memory),
            whole_pages(total * self.memory),
            whole_pages(total * (1.0 - self.memory) * 0.8),
            whole_pages(total * (1.0 - self.memory) * 0.2),
        ];
        for (slot, value) in self.slots.memory.into_iter().zip(values) {
            self.board.set(slot, value);
        }
    }

    fn sample_traffic(&mut self, busy: f64, elapsed_s: f64) {
        let role = self.role;
        for at in 0..4 {
            let rate = role.throughput[at] * busy * (0.5 + self.random.f64());
            self.bytes[at] += rate * elapsed_s;
            let total = self.bytes[at] as i64;
            self.board.set(self.slots.traffic[at], total);
            self.board.set(self.slots.device_traffic[at], total);
        }
        let disk = (role.throughput[2] + role.throughput[3]) * busy;
        self.io_time_ms += (disk / 600e6).min(1.0) * elapsed_s * 1000.0;
        self.board.set(self.slots.io_time, self.io_time_ms as i64);
    }

    /// Work waits as far as there is more of it than processors, disks or memory.
    fn sample_pressure(&mut self, demand: f64, elapsed_s: f64) {
        let disk = (self.role.throughput[2] + self.role.throughput[3]) * demand.min(1.0) / 600e6;
        let memory = (self.memory - 0.9).max(0.0) * 2.0;
        let shares = [(demand - 0.8) * 0.45, memory, disk * 0.4];
        let stalled = self.stalled_us.iter_mut().zip(shares);
        for ((stalled, share), slot) in stalled.zip(self.slots.pressure) {
            let jitter = 0.8 + self.random.f64() * 0.4;
            *stalled += (share * jitter).clamp(0.0, 0.98) * elapsed_s * 1e6;
            self.board.set(slot, *stalled as i64);
        }
    }

    fn sample_filesystem(&mut self, now: UnixMs) {
        let limit = self.role.disk_gib * GIB;
        let filled = match self.trouble {
            Some((Trouble::Filling, from)) => (now - from) as f64 / 3_600_000.0 * FILLING_AN_HOUR,
            // A thousandth within each day.
            _ => (now.0 as f64 / DAY_MS).fract() * 0.001,
        };
        let used = (self.role.disk + filled).min(1.0);
        let values = [
            permille(used),
            permille(used),
            whole_pages(limit),
            whole_pages(limit * used),
            whole_pages(limit * (1.0 - used)),
        ];
        for (slot, value) in self.slots.filesystem.into_iter().zip(values) {
            self.board.set(slot, value);
        }
        for (slots, (_, size, used)) in self.slots.mounts.iter().zip(MOUNTS) {
            let limit = limit * size;
            let values = [
                permille(used),
                whole_pages(limit),
                whole_pages(limit * used),
                whole_pages(limit * (1.0 - used)),
            ];
            for (slot, value) in slots.iter().zip(values) {
                self.board.set(*slot, value);
            }
        }
    }
}

fn whole_pages(bytes: f64) -> i64 {
    (bytes / 4096.0) as i64 * 4096
}

fn permille(share: f64) -> i64 {
    (share * 1000.0).round() as i64
}

impl Source for Simulated {
    fn facts(&self) -> HostFacts {
        HostFacts {
            os: Label::new("Debian GNU/Linux 13 (simulated)"),
            kernel: Label::new("6.12.0"),
            arch: Label::new("x86_64"),
            cpu_model: Label::new("Simulated"),
            cpus: self.role.cpus,
            memory_bytes: (self.role.memory_gib * GIB) as u64,
            boot: self.boot,
            agent_version: Label::new(VERSION),
            tags: vec![Label::new(self.role.tag), Label::new("demo")],
            ..HostFacts::unknown()
        }
    }

    fn past(&self) -> Duration {
        self.past
    }

    fn sample(&mut self, now: UnixMs, _spool: SpoolHealth) {
        let role = self.role;
        let elapsed_s = self
            .last
            .map_or(1.0, |last| ((now - last) as f64 / 1000.0).clamp(0.0, 60.0));
        if self.last.replace(now).is_none() {
            self.plan_trouble(now);
        }
        let demand = self.demand(now, elapsed_s);
        let busy = demand.min(1.0);
        self.checks.sample(now, demand, &mut self.board);
        self.sample_processors(demand, elapsed_s);
        self.sample_memory(busy, elapsed_s);
        self.sample_traffic(busy, elapsed_s);
        self.sample_pressure(demand, elapsed_s);
        self.sample_filesystem(now);
        self.degrees +=
            (role.idle_degrees + 38.0 * busy - self.degrees) * (elapsed_s / 20.0).min(1.0);
        for slot in self.slots.degrees {
            // Real sensors report whole degrees, in thousandths.
            self.board.set(slot, self.degrees.round() as i64 * 1000);
        }
        let load = Load {
            now,
            burst_until: (now <= self.burst_until).then_some(self.burst_until),
            busy_permille: busy * f64::from(role.cpus) * 1000.0,
            memory_bytes: role.memory_gib * GIB * self.memory,
            disk: [role.throughput[2] * busy, role.throughput[3] * busy],
        };
        self.processes
            .sample(&load, &mut self.random, &mut self.board);
        let processes = 120 + i64::from(role.cpus) * 12 + (busy * 40.0) as i64;
        self.board.set(self.slots.processes, processes);
        let uptime_s = ((now - self.boot) / 1000).max(0);
        self.board.set(self.slots.uptime, uptime_s);
    }

    fn row(&self) -> Sample<'_> {
        Sample {
            table: self.board.table(),
            series: self.board.keys(),
            values: self.board.values(),
            processes: self.processes.identities(),
        }
    }

    fn take_arguments(&mut self, again: bool) -> Vec<ProcessArguments> {
        self.processes.take_arguments(again)
    }

    fn processes(&self) -> Vec<Process> {
        self.processes.all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::metrics::alias;

    #[test]
    fn every_role_produces_plausible_values_and_hosts_differ() {
        let mut loads = Vec::new();
        for number in 0..16 {
            let mut host = Simulated::new(number);
            let mut before = None;
            for second in 0..3600 {
                host.sample(
                    UnixMs(1_800_000_000_000 + second * 1000),
                    SpoolHealth::default(),
                );
                let Sample { series, values, .. } = host.row();
                let value = |name: &str| {
                    let alias = alias(name).unwrap();
                    values[series.iter().position(|key| alias.is(key)).unwrap()]
                };
                assert!((0..=1000).contains(&value("cpu")) && (0..=1000).contains(&value("mem")));
                assert!((20_000..=100_000).contains(&value("temp.max")));
                let counters = ["net.rx", "net.tx", "disk.read", "disk.write"].map(value);
                if let Some(before) = before.replace(counters) {
                    assert!(
                        counters
                            .iter()
                            .zip(before)
                            .all(|(now, before)| *now >= before)
                    );
                }
            }
            loads.push(host.loads[0]);
        }
        loads.sort_by(f64::total_cmp);
        assert!(loads[15] > loads[0] * 4.0, "{loads:?}");
        assert_eq!(Simulated::new(9).name().as_str(), "db-2");
    }
}
