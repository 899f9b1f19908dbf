//! What lists of processes share: names, orders, texts and records.

use std::cmp::Ordering;

use serde_json::{Value, json};
use sysmon_wire::Process;
use sysmon_wire::message::TopBy;

use crate::format::{amount, size};

/// Shown instead of processes where only minutes or hours are stored.
pub const NOT_STORED: &str = "not stored for that long";

named! {
    #[derive(Default)]
    pub enum ProcessSort: name {
        #[default]
        Cpu = "cpu",
        Memory = "memory",
        Disk = "disk",
        Host = "host",
        Pid = "pid",
        Command = "command",
    }
}

impl ProcessSort {
    pub fn next(self, all: &[Self]) -> Self {
        let at = all.iter().position(|sort| *sort == self);
        let next = (at.unwrap_or(0) + 1) % all.len().max(1);
        all.get(next).copied().unwrap_or_default()
    }

    /// What the hub ranks by, if it can.
    pub fn rank(self) -> Option<TopBy> {
        match self {
            Self::Cpu => Some(TopBy::Cpu),
            Self::Memory => Some(TopBy::Memory),
            Self::Disk => Some(TopBy::Disk),
            Self::Host | Self::Pid | Self::Command => None,
        }
    }

    /// Compares two processes and the names of their hosts: numbers from the highest, names from the first.
    pub fn compare(self, a: (&str, &Process), b: (&str, &Process)) -> Ordering {
        let (p, q) = (a.1, b.1);
        let by = |by: TopBy| by.of(q).cmp(&by.of(p));
        let names = || a.0.cmp(b.0).then(p.identity.pid.cmp(&q.identity.pid));
        let usage = || by(TopBy::Cpu).then(by(TopBy::Memory)).then_with(names);
        match self {
            Self::Cpu => usage(),
            Self::Memory => by(TopBy::Memory).then_with(usage),
            Self::Disk => by(TopBy::Disk).then_with(usage),
            Self::Host => a.0.cmp(b.0).then_with(usage),
            Self::Pid => p.identity.pid.cmp(&q.identity.pid),
            Self::Command => p.identity.command.cmp(&q.identity.command).then_with(names),
        }
    }
}

/// The program's name without its folders. What a program calls itself may contain slashes, but does not begin with one.
pub fn program(process: &Process) -> &str {
    file_name(process.identity.command.as_str())
}

/// The last part of an absolute path; another text as it is.
pub fn file_name(command: &str) -> &str {
    match command.strip_prefix('/') {
        Some(path) => path.rsplit('/').next().unwrap_or(path),
        None => command,
    }
}

/// Thousandths of a processor as percent, with a decimal below a hundred.
pub fn cpu_percent(permille: u32) -> String {
    if permille < 1000 {
        format!("{}.{}", permille / 10, permille % 10)
    } else {
        (permille / 10).to_string()
    }
}

pub fn rate(bytes: u64) -> String {
    amount(Some(bytes as f64))
}

pub fn memory(process: &Process) -> String {
    size(Some(process.memory_bytes as f64))
}

pub fn text(process: &Process) -> String {
    let identity = &process.identity;
    format!(
        "{}  {}  {}  cpu {}.{}%  memory {}  read {}B/s  written {}B/s",
        identity.pid,
        identity.user,
        identity.command,
        process.cpu_permille / 10,
        process.cpu_permille % 10,
        memory(process),
        rate(process.read_bytes_per_s),
        rate(process.write_bytes_per_s),
    )
}

/// What a process uses, for records: `cpu`, `memory`, `disk.read`, `disk.write`.
pub fn usage(process: &Process) -> [Value; 4] {
    [
        json!(f64::from(process.cpu_permille) / 1000.0),
        json!(process.memory_bytes),
        json!(process.read_bytes_per_s),
        json!(process.write_bytes_per_s),
    ]
}
