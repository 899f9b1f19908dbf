//! What the agent tells agrees with what the system's own tools tell on the running machine.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "what could not be compared is told")]

use std::process::Command;
use std::time::{Duration, SystemTime};

use sysmon_agent::run::Source;
use sysmon_agent::sample::Sample;
use sysmon_agent::sampler::Sampler;
use sysmon_agent::spool::SpoolHealth;
use sysmon_config::AgentConfig;
use sysmon_wire::metrics::unscale;
use sysmon_wire::{ABSENT, UnixMs};

struct Measured(Sampler);

impl Measured {
    fn now() -> Self {
        let mut sampler = Sampler::new(&AgentConfig::default());
        let now = || UnixMs::from_system(SystemTime::now());
        sampler.sample(now(), SpoolHealth::default());
        // Filesystems are looked at on a thread of their own.
        std::thread::sleep(Duration::from_millis(300));
        sampler.sample(now(), SpoolHealth::default());
        sampler.sample(now(), SpoolHealth::default());
        Self(sampler)
    }

    fn value(&self, metric: &str, attributes: &[&str]) -> Option<f64> {
        let Sample { series, values, .. } = self.0.row();
        let at = series.iter().position(|key| {
            key.metric.name == metric
                && key.attributes.len() == attributes.len()
                && attributes
                    .iter()
                    .all(|a| key.attributes.iter().any(|(_, v)| v == a))
        })?;
        (values[at] != ABSENT).then(|| unscale(values[at], series[at].metric.scale))
    }
}

/// What a tool prints; none, and a word about it, where it is not installed.
fn tool(name: &str, args: &[&str]) -> Option<String> {
    match Command::new(name).args(args).env("LC_ALL", "C").output() {
        Ok(output) if output.status.success() => {
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        _ => {
            eprintln!("NOT RUN: `{name}` is not installed");
            None
        }
    }
}

fn near(ours: f64, theirs: f64, share: f64, what: &str) {
    let distance = (ours - theirs).abs();
    assert!(
        distance <= theirs.abs() * share + 1.0,
        "{what}: {ours} and {theirs}"
    );
}

fn numbers(line: &str) -> Vec<f64> {
    line.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

#[test]
fn memory_is_what_free_says() {
    let Some(text) = tool("free", &["-b"]) else {
        return;
    };
    let measured = Measured::now();
    let memory = numbers(text.lines().find(|line| line.starts_with("Mem:")).unwrap());
    let of = |metric: &str, attributes: &[&str]| measured.value(metric, attributes).unwrap();
    near(of("system.memory.limit", &[]), memory[0], 0.0, "total");
    near(
        of("system.linux.memory.available", &[]),
        memory[5],
        0.05,
        "available",
    );
    near(
        of("system.memory.usage", &["free"]),
        memory[2],
        0.10,
        "free",
    );
    let swap = numbers(text.lines().find(|line| line.starts_with("Swap:")).unwrap());
    near(of("system.paging.limit", &[]), swap[0], 0.0, "swap");
}

#[test]
fn filesystems_are_what_df_says() {
    let (Some(blocks), Some(inodes)) = (
        tool("df", &["-P", "-B1", "/"]),
        tool("df", &["-P", "-i", "/"]),
    ) else {
        return;
    };
    let measured = Measured::now();
    let line = |text: &str| numbers(text.lines().last().unwrap());
    // Filesystem, size, used, available, share, mount point.
    let (blocks, inodes) = (line(&blocks), line(&inodes));
    let Sample { series, .. } = measured.0.row();
    let root = series.iter().find(|key| {
        key.metric.name == "system.filesystem.limit"
            && key.attributes.iter().any(|(_, v)| *v == "/")
    });
    let device = root.unwrap().attribute("system.device").unwrap().clone();
    let of = |metric: &str, more: &[&str]| {
        measured
            .value(metric, &[&["/", device.as_str()], more].concat())
            .unwrap()
    };
    near(of("system.filesystem.limit", &[]), blocks[0], 0.0, "size");
    near(
        of("system.filesystem.usage", &["used"]),
        blocks[1],
        0.02,
        "used",
    );
    near(
        of("system.filesystem.inodes.limit", &[]),
        inodes[0],
        0.0,
        "inodes",
    );
    near(
        of("system.filesystem.inodes.usage", &["used"]),
        inodes[1],
        0.02,
        "inodes used",
    );
}

#[test]
fn interfaces_are_what_ip_says() {
    let Some(text) = tool("ip", &["-s", "link", "show", "lo"]) else {
        return;
    };
    let measured = Measured::now();
    // The line after each heading: bytes, packets, errors, dropped, …
    let after = |heading: &str| {
        let mut lines = text
            .lines()
            .skip_while(|line| !line.trim_start().starts_with(heading));
        numbers(lines.nth(1).unwrap())
    };
    let (rx, tx) = (after("RX:"), after("TX:"));
    let of = |metric: &str, direction: &str| measured.value(metric, &["lo", direction]);
    near(
        of("system.network.io", "receive").unwrap(),
        rx[0],
        0.05,
        "bytes in",
    );
    near(
        of("system.network.io", "transmit").unwrap(),
        tx[0],
        0.05,
        "bytes out",
    );
    near(
        of("system.network.packet.count", "receive").unwrap(),
        rx[1],
        0.05,
        "packets in",
    );
    near(
        of("system.network.errors", "receive").unwrap(),
        rx[2],
        0.0,
        "errors in",
    );
    near(
        of("system.network.packet.dropped", "receive").unwrap(),
        rx[3],
        0.0,
        "drops in",
    );
}

#[test]
fn disks_are_what_the_kernel_says_since_boot() {
    // iostat reads the same file, but rounds to kilobytes.
    let text = std::fs::read_to_string("/proc/diskstats").unwrap();
    let measured = Measured::now();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let of = |metric: &str, direction: &str| measured.value(metric, &[words[2], direction]);
        if let Some(read) = of("system.disk.io", "read") {
            let sectors: f64 = words[5].parse().unwrap();
            near(read, sectors * 512.0, 0.05, words[2]);
            let reads: f64 = words[3].parse().unwrap();
            near(
                of("system.disk.operations", "read").unwrap(),
                reads,
                0.05,
                words[2],
            );
        }
    }
    if let Some(text) = tool("iostat", &["-d", "-k"]) {
        for line in text.lines().skip(3).filter(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().unwrap();
            // tps, kB_read/s, kB_wrtn/s, kB_dscd/s, kB_read, kB_wrtn, kB_dscd
            let columns = numbers(line);
            if let (Some(read), [_, _, _, _, kilobytes, ..]) = (
                measured.value("system.disk.io", &[name, "read"]),
                &columns[..],
            ) {
                near(read, kilobytes * 1024.0, 0.05, name);
            }
        }
    }
}

#[test]
fn sockets_are_what_ss_says() {
    let Some(text) = tool("ss", &["-s"]) else {
        return;
    };
    let measured = Measured::now();
    let line = text.lines().find(|line| line.starts_with("TCP:")).unwrap();
    // "TCP:   12 (estab 3, closed 2, orphaned 0, timewait 2)"
    let estab = line
        .split("estab ")
        .nth(1)
        .and_then(|rest| rest.split(',').next()?.parse::<f64>().ok());
    let ours = measured.value("system.network.connection.count", &["tcp", "established"]);
    if let (Some(ours), Some(theirs)) = (ours, estab) {
        // Other tests connect and leave meanwhile.
        assert!((ours - theirs).abs() <= 20.0, "{ours} and {theirs}");
    }
}

#[test]
fn load_and_uptime_are_the_kernels() {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap();
    let measured = Measured::now();
    let loads = numbers(&text);
    near(
        measured.value("system.cpu.load_average.15m", &[]).unwrap(),
        loads[2],
        0.2,
        "load",
    );
    let uptime = numbers(&std::fs::read_to_string("/proc/uptime").unwrap())[0];
    near(
        measured.value("system.uptime", &[]).unwrap(),
        uptime,
        0.0,
        "uptime",
    );
}
