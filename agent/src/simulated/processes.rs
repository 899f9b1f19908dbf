//! The processes of a simulated host: the programs of its role, each with a share of the host's usage.

use sysmon_wire::metrics::{
    PROCESS_CPU, PROCESS_DISK_RATE, PROCESS_IDENTITY, PROCESS_MEMORY, PROCESS_THREADS,
};
use sysmon_wire::{Label, Process, ProcessArguments, ProcessIdentity, UnixMs};

use super::roles::Program;
use crate::board::{Board, Slot};

/// Pid of the first program, and the distance to the next.
const PIDS: (u32, u32) = (812, 67);

#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) now: UnixMs,
    pub(super) burst_until: Option<UnixMs>,
    /// In thousandths of one processor.
    pub(super) busy_permille: f64,
    pub(super) memory_bytes: f64,
    /// Bytes read and written per second.
    pub(super) disk: [f64; 2],
}

#[derive(Debug)]
struct Running {
    program: &'static Program,
    /// Identity, processor, memory, read, written, threads.
    slots: [Slot; 6],
    process: Process,
    is_running: bool,
}

#[derive(Debug)]
pub(super) struct Processes {
    running: Vec<Running>,
    identities: Vec<ProcessIdentity>,
    burst_until: Option<UnixMs>,
    /// Whether a process began whose arguments were not taken.
    has_new: bool,
}

impl Processes {
    pub(super) fn new(programs: &'static [Program], boot: UnixMs, board: &mut Board) -> Self {
        let running = |(rank, program): (usize, &'static Program)| Running {
            program,
            slots: slots(rank, board),
            process: Process {
                identity: ProcessIdentity {
                    pid: PIDS.0 + PIDS.1 * rank as u32,
                    start: boot + 9_000,
                    user: program.user.into(),
                    command: program.command.into(),
                    cgroup: "/system.slice".into(),
                },
                parent: 1,
                state: b'S',
                threads: program.threads,
                cpu_permille: 0,
                memory_bytes: 0,
                read_bytes_per_s: 0,
                write_bytes_per_s: 0,
                arguments: Label::default(),
            },
            is_running: !program.in_bursts,
        };
        let running: Vec<_> = programs.iter().enumerate().map(running).collect();
        let mut processes = Self {
            running,
            identities: Vec::new(),
            burst_until: None,
            has_new: true,
        };
        processes.update_identities();
        processes
    }

    fn update_identities(&mut self) {
        let running = self.running.iter().filter(|running| running.is_running);
        self.identities = running.map(|r| r.process.identity.clone()).collect();
    }

    pub(super) fn identities(&self) -> &[ProcessIdentity] {
        &self.identities
    }

    pub(super) fn all(&self) -> Vec<Process> {
        let running = self.running.iter().filter(|running| running.is_running);
        running.map(|running| running.process.clone()).collect()
    }

    /// The arguments of all, if one of them is new.
    pub(super) fn take_arguments(&mut self, again: bool) -> Vec<ProcessArguments> {
        if !std::mem::take(&mut self.has_new) && !again {
            return Vec::new();
        }
        let running = self.running.iter().filter(|running| running.is_running);
        let arguments = running.map(|running| ProcessArguments {
            id: running.process.identity.id(),
            arguments: arguments(running.program.command).into(),
        });
        arguments
            .filter(|one| !one.arguments.as_str().is_empty())
            .collect()
    }

    /// Divides the usage of the host among its programs. During a burst, its program uses most.
    pub(super) fn sample(&mut self, load: &Load, random: &mut fastrand::Rng, board: &mut Board) {
        let burst_changed = self.burst_until != load.burst_until;
        if burst_changed {
            self.burst_until = load.burst_until;
            for running in self.running.iter_mut().filter(|r| r.program.in_bursts) {
                running.is_running = load.burst_until.is_some();
                running.process.identity.start = load.now;
                running.process.identity.pid = 20_000 + random.u32(0..12_000);
            }
            self.update_identities();
            self.has_new = true;
        }
        let in_burst = self.running.iter().filter(|r| r.program.in_bursts);
        let burst_share: f64 = match load.burst_until {
            Some(_) => in_burst.map(|r| r.program.cpu).sum(),
            None => 0.0,
        };
        for running in &mut self.running {
            let left = if running.program.in_bursts {
                1.0
            } else {
                1.0 - burst_share
            };
            running.sample(load, left, random, board);
        }
    }
}

impl Running {
    fn sample(&mut self, load: &Load, left: f64, random: &mut fastrand::Rng, board: &mut Board) {
        if !self.is_running {
            self.slots.iter().for_each(|slot| board.clear(*slot));
            return;
        }
        let program = self.program;
        let mut of = |whole: f64, share: f64| (whole * share * (0.85 + 0.3 * random.f64())) as u64;
        let cpu = of(load.busy_permille, program.cpu * left);
        let process = &mut self.process;
        process.cpu_permille = u32::try_from(cpu).unwrap_or(u32::MAX);
        process.read_bytes_per_s = of(load.disk[0], program.disk[0]);
        process.write_bytes_per_s = of(load.disk[1], program.disk[1]);
        // Memory changes slowly, and by pages.
        process.memory_bytes = (load.memory_bytes * program.memory / 65_536.0) as u64 * 65_536;
        process.state = if cpu > 200 { b'R' } else { b'S' };
        let values = [
            cpu,
            process.memory_bytes,
            process.read_bytes_per_s,
            process.write_bytes_per_s,
            u64::from(process.threads),
        ];
        let [identity, others @ ..] = self.slots;
        board.set(identity, process.identity.id());
        for (slot, value) in others.into_iter().zip(values) {
            board.set_u64(slot, value);
        }
    }
}

/// What the programs of simulated hosts are called with.
fn arguments(command: &str) -> &'static str {
    match command {
        "nginx" => "-g daemon off;",
        "node" => "server.js --port 8080",
        "redis-server" => "*:6379",
        "rustc" => "--crate-name shop --edition 2024 src/lib.rs",
        "python3" => "-m worker --queue default",
        "smbd" => "--foreground --no-process-group",
        "syncthing" => "serve --no-browser",
        "pgbouncer" => "-d /etc/pgbouncer/shop.ini",
        _ => "",
    }
}

fn slots(rank: usize, board: &mut Board) -> [Slot; 6] {
    let rank = rank.to_string();
    let rank = ("sysmon.rank", rank.as_str());
    let disk = |direction| [rank, ("disk.io.direction", direction)];
    [
        PROCESS_IDENTITY.series(&[rank]),
        PROCESS_CPU.series(&[rank]),
        PROCESS_MEMORY.series(&[rank]),
        PROCESS_DISK_RATE.series(&disk("read")),
        PROCESS_DISK_RATE.series(&disk("write")),
        PROCESS_THREADS.series(&[rank]),
    ]
    .map(|series| board.slot(series))
}

#[cfg(test)]
mod tests {
    use super::super::roles::ROLES;
    use super::*;

    #[test]
    fn a_burst_starts_a_process_that_uses_most() {
        let mut board = Board::new();
        let mut random = fastrand::Rng::with_seed(1);
        let mut processes = Processes::new(ROLES[3].programs, UnixMs(5), &mut board);
        let load = |burst_until| Load {
            now: UnixMs(100_000),
            burst_until,
            busy_permille: 20_000.0,
            memory_bytes: 1e9,
            disk: [1e6, 1e6],
        };
        processes.sample(&load(None), &mut random, &mut board);
        let before = processes.identities().len();
        assert!(
            processes
                .all()
                .iter()
                .all(|p| p.identity.command != "rustc")
        );
        processes.sample(&load(Some(UnixMs(200_000))), &mut random, &mut board);
        assert_eq!(processes.identities().len(), before + 1);
        let all = processes.all();
        let most = all.iter().max_by_key(|p| p.cpu_permille).unwrap();
        assert_eq!(most.identity.command, "rustc");
        assert!(board.values().contains(&most.identity.id()));
        processes.sample(&load(None), &mut random, &mut board);
        assert!(!board.values().contains(&most.identity.id()));
    }
}
