//! Hosts that do not exist, with loads such as real ones have: for demonstrations and load tests.
//!
//! Every host has a role, from which its size and habits follow, and a demand that swings over the
//! day, wanders from second to second, and now and then bursts. What is measured follows from the
//! demand the way it does on real machines.

mod processes;
mod roles;

use std::f64::consts::TAU;
use std::time::Duration;

use sysmon_certs::PeerName;
use sysmon_wire::metrics::{
    CPU_UTILIZATION, DISK_IO, DISK_IO_TIME, FS_LIMIT, FS_USAGE, FS_UTILIZATION, LOAD_1M, LOAD_5M,
    LOAD_15M, MEMORY_LIMIT, MEMORY_USAGE, MEMORY_UTILIZATION, NET_IO, PROCESS_COUNT, TEMPERATURE,
    UPTIME,
};
use sysmon_wire::{HostFacts, Label, Process, UnixMs};

use crate::VERSION;
use crate::board::{Board, Slot};
use crate::run::Source;
use crate::sample::Sample;
use crate::spool::SpoolHealth;
use processes::{Load, Processes};
use roles::{ROLES, Role};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
const DAY_MS: f64 = 86_400_000.0;

/// One such host.
#[derive(Debug)]
pub struct Simulated {
    role: &'static Role,
    number: u64,
    past: Duration,
    random: fastrand::Rng,
    board: Board,
    slots: Slots,
    processes: Processes,
    boot: UnixMs,
    last: Option<UnixMs>,
    /// How far the demand has wandered from its average.
    drift: f64,
    burst_until: UnixMs,
    loads: [f64; 3],
    memory: f64,
    degrees: f64,
    bytes: [f64; 4],
    busy_ms: f64,
}

#[derive(Debug)]
struct Slots {
    cpu: Slot,
    modes: [Slot; 3],
    cores: Vec<Slot>,
    loads: [Slot; 3],
    memory: [Slot; 4],
    flow: [Slot; 4],
    device_flow: [Slot; 4],
    io_time: Slot,
    filesystem: [Slot; 4],
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
            ],
            flow: [0, 1, 2, 3].map(|at| slot(&metric(at), &DIRECTIONS[at..=at])),
            device_flow: [0, 1, 2, 3].map(|at| slot(&metric(at), &[device(at), DIRECTIONS[at]])),
            io_time: slot(&DISK_IO_TIME, &[("system.device", "nvme0n1")]),
            filesystem: [
                slot(&FS_UTILIZATION, &[]),
                slot(&FS_UTILIZATION, &[root]),
                slot(&FS_LIMIT, &[root]),
                slot(&FS_USAGE, &[root, ("system.filesystem.state", "used")]),
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
    /// The host of this number; the same number makes the same host.
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
            boot,
            last: None,
            drift: 0.0,
            burst_until: UnixMs(0),
            loads: [role.demand.0 * f64::from(role.cpus); 3],
            memory: role.memory + (random.f64() - 0.5) * 0.1,
            degrees: role.cool,
            bytes: [0; 4].map(|_: i32| random.f64() * 1e12),
            busy_ms: 0.0,
            role,
            number,
            past: Duration::ZERO,
            random,
            board,
        }
    }

    /// The same host, which also tells what was before the start.
    pub fn with_past(self, past: Duration) -> Self {
        Self { past, ..self }
    }

    /// Its name: its role, and which one of them.
    pub fn name(&self) -> PeerName {
        let which = self.number / ROLES.len() as u64 + 1;
        PeerName::nearest(&format!("{}-{which}", self.role.name))
    }

    /// Share of its processors that its work asks for, 1 for all of them; `elapsed_s` since the last
    /// sample.
    fn demand(&mut self, now: UnixMs, elapsed_s: f64) -> f64 {
        let role = self.role;
        let phase = self.number as f64 * 0.05;
        let of_day = (now.0 as f64 / DAY_MS + phase).fract();
        // An Ornstein-Uhlenbeck walk: wanders, and comes back within a minute or so.
        let noise = self.random.f64() + self.random.f64() + self.random.f64() - 1.5;
        self.drift +=
            -self.drift * (elapsed_s / 40.0).min(1.0) + role.restless * noise * elapsed_s.sqrt();
        if now > self.burst_until && self.random.f64() < elapsed_s / role.burst_every {
            self.burst_until = now + self.random.i64(5_000..60_000);
        }
        let burst = if now <= self.burst_until { 0.85 } else { 0.0 };
        let average = role.demand.0 + role.demand.1 * (of_day * TAU).sin();
        (average + self.drift + burst).max(0.01)
    }

    fn cores(&mut self, busy: f64) {
        // Some processors do more than others, and which ones they are changes slowly.
        for at in 0..self.slots.cores.len() {
            let lean = ((at as f64 * 1.7 + self.number as f64).sin() * 0.5 + 1.0) * busy;
            let share = (lean + (self.random.f64() - 0.5) * 0.1).clamp(0.0, 1.0);
            if let Some(slot) = self.slots.cores.get(at) {
                self.board.set(*slot, permille(share));
            }
        }
    }
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
        self.last = Some(now);
        let demand = self.demand(now, elapsed_s);
        let busy = demand.min(1.0);
        let iowait = (role.flow[2] + role.flow[3]) / 2e9 * busy * self.random.f64();
        self.board.set(self.slots.cpu, permille(busy));
        let shares = [busy * 0.74, busy * 0.26, iowait.min(1.0 - busy)];
        for (slot, share) in self.slots.modes.into_iter().zip(shares) {
            self.board.set(slot, permille(share));
        }
        self.cores(busy);
        let runnable = demand * f64::from(role.cpus);
        for ((load, slot), window_s) in self
            .loads
            .iter_mut()
            .zip(self.slots.loads)
            .zip([60.0, 300.0, 900.0])
        {
            *load += (runnable - *load) * (elapsed_s / window_s).min(1.0);
            self.board.set(slot, (*load * 100.0).round() as i64);
        }
        let wanted = (role.memory + 0.08 * (busy - role.demand.0)).clamp(0.02, 0.985);
        self.memory += (wanted - self.memory) * (elapsed_s / 120.0).min(1.0);
        let total = role.memory_gib * GIB;
        let page = |bytes: f64| (bytes / 4096.0) as i64 * 4096;
        let memory = [
            page(total),
            permille(self.memory),
            page(total * self.memory),
            page(total * (1.0 - self.memory) * 0.8),
        ];
        for (slot, value) in self.slots.memory.into_iter().zip(memory) {
            self.board.set(slot, value);
        }
        for at in 0..4 {
            let flow = role.flow[at] * busy * (0.5 + self.random.f64());
            self.bytes[at] += flow * elapsed_s;
            self.board.set(self.slots.flow[at], self.bytes[at] as i64);
            self.board
                .set(self.slots.device_flow[at], self.bytes[at] as i64);
        }
        let disk_busy = ((role.flow[2] + role.flow[3]) * busy / 600e6).min(1.0);
        self.busy_ms += disk_busy * elapsed_s * 1000.0;
        self.board.set(self.slots.io_time, self.busy_ms as i64);
        let limit = role.disk_gib * GIB;
        // Fills by a thousandth a day.
        let disk = (role.disk + (now.0 as f64 / DAY_MS).fract() * 0.001).min(1.0);
        let filesystem = [
            permille(disk),
            permille(disk),
            page(limit),
            page(limit * disk),
        ];
        for (slot, value) in self.slots.filesystem.into_iter().zip(filesystem) {
            self.board.set(slot, value);
        }
        self.degrees += (role.cool + 38.0 * busy - self.degrees) * (elapsed_s / 20.0).min(1.0);
        for slot in self.slots.degrees {
            // Sensors tell whole degrees, in thousandths.
            self.board.set(slot, self.degrees.round() as i64 * 1000);
        }
        let load = Load {
            now,
            burst_until: (now <= self.burst_until).then_some(self.burst_until),
            busy_permille: busy * f64::from(role.cpus) * 1000.0,
            memory_bytes: total * self.memory,
            disk: [role.flow[2] * busy, role.flow[3] * busy],
        };
        self.processes
            .sample(&load, &mut self.random, &mut self.board);
        self.board.set(
            self.slots.processes,
            120 + i64::from(role.cpus) * 12 + (busy * 40.0) as i64,
        );
        self.board
            .set(self.slots.uptime, ((now - self.boot) / 1000).max(0));
    }

    fn row(&self) -> Sample<'_> {
        Sample {
            series: self.board.keys(),
            values: self.board.values(),
            processes: self.processes.identities(),
        }
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
    fn every_role_stays_within_what_is_possible_and_hosts_differ() {
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
