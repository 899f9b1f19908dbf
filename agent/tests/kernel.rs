//! Metrics agree with the output of the system's own tools on the running machine.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::Duration;

use sysmon_agent::run::Source;
use sysmon_agent::sample::Sample;
use sysmon_agent::sampler::Sampler;
use sysmon_agent::spool::SpoolHealth;
use sysmon_clock::Clock;
use sysmon_config::AgentConfig;
use sysmon_wire::ABSENT;
use sysmon_wire::metrics::unscale;

/// Attempts of [`Measured::wait_for`], 10 ms apart.
const ATTEMPTS_MAX: usize = 1000;

struct Measured {
    clock: Clock,
    sampler: Sampler,
}

impl Measured {
    fn now() -> Self {
        let clock = Clock::system();
        let sampler = Sampler::new(&AgentConfig::default(), &clock);
        let mut measured = Self { clock, sampler };
        measured.sample();
        measured
    }

    fn sample(&mut self) {
        let now = self.clock.now();
        self.sampler.sample(now, SpoolHealth::default());
    }

    /// Samples until a metric that is collected in the background has a value.
    fn wait_for(&mut self, metric: &str) {
        for _ in 0..ATTEMPTS_MAX {
            let Sample { series, values, .. } = self.sampler.row();
            let has_value = |(key, value): (&sysmon_wire::SeriesKey, &i64)| {
                key.metric.name == metric && *value != ABSENT
            };
            if series.iter().zip(values).any(has_value) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
            self.sample();
        }
        panic!("{metric} never has a value");
    }

    fn value(&self, metric: &str, attributes: &[&str]) -> Option<f64> {
        let Sample { series, values, .. } = self.sampler.row();
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

/// The output of a tool, which must be installed.
fn tool(name: &str, args: &[&str]) -> String {
    let output = Command::new(name).args(args).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {name}: {error}; install it"));
    assert!(output.status.success(), "{name} {args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
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
#[ignore = "needs procps"]
fn memory_agrees_with_free() {
    let text = tool("free", &["-b"]);
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
fn filesystems_agree_with_df() {
    let blocks = tool("df", &["-P", "-B1", "/"]);
    let inodes = tool("df", &["-P", "-i", "/"]);
    let mut measured = Measured::now();
    measured.wait_for("system.filesystem.limit");
    let line = |text: &str| numbers(text.lines().last().unwrap());
    // Filesystem, size, used, available, share, mount point.
    let (blocks, inodes) = (line(&blocks), line(&inodes));
    let Sample { series, .. } = measured.sampler.row();
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
#[ignore = "needs iproute2"]
fn interfaces_agree_with_ip() {
    let text = tool("ip", &["-s", "link", "show", "lo"]);
    let measured = Measured::now();
    // The line after each header: bytes, packets, errors, dropped, …
    let after = |header: &str| {
        let mut lines = text
            .lines()
            .skip_while(|line| !line.trim_start().starts_with(header));
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
fn disks_agree_with_diskstats() {
    let text = std::fs::read_to_string("/proc/diskstats").unwrap();
    let measured = Measured::now();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let of = |metric: &str, direction: &str| measured.value(metric, &[words[2], direction]);
        if let Some(read) = of("system.disk.io", "read") {
            let sectors: f64 = words[5].parse().unwrap();
            near(read, sectors * 512.0, 0.05, words[2]);
            let reads: f64 = words[3].parse().unwrap();
            let operations = of("system.disk.operations", "read").unwrap();
            near(operations, reads, 0.05, words[2]);
        }
    }
}

#[test]
#[ignore = "needs sysstat"]
fn disks_agree_with_iostat() {
    let text = tool("iostat", &["-d", "-k"]);
    let measured = Measured::now();
    for line in text.lines().skip(3).filter(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        // tps, kB_read/s, kB_wrtn/s, kB_dscd/s, kB_read, kB_wrtn, kB_dscd
        let columns = numbers(line);
        let read = measured.value("system.disk.io", &[name, "read"]);
        if let (Some(read), [_, _, _, _, kilobytes, ..]) = (read, &columns[..]) {
            near(read, kilobytes * 1024.0, 0.05, name);
        }
    }
}

#[test]
#[ignore = "needs iproute2"]
fn sockets_agree_with_ss() {
    let text = tool("ss", &["-s"]);
    let measured = Measured::now();
    let line = text.lines().find(|line| line.starts_with("TCP:")).unwrap();
    // "TCP:   12 (estab 3, closed 2, orphaned 0, timewait 2)"
    let estab = line
        .split("estab ")
        .nth(1)
        .and_then(|rest| rest.split(',').next()?.parse::<f64>().ok());
    let ours = measured.value("system.network.connection.count", &["tcp", "established"]);
    if let (Some(ours), Some(theirs)) = (ours, estab) {
        // Other processes open and close connections between the two readings.
        assert!((ours - theirs).abs() <= 20.0, "{ours} and {theirs}");
    }
}

#[test]
fn load_agrees_with_the_kernel() {
    let measured = Measured::now();
    let load = measured.value("system.cpu.load_average.15m", &[]).unwrap();
    let text = std::fs::read_to_string("/proc/loadavg").unwrap();
    near(load, numbers(&text)[2], 0.2, "load");
}

#[test]
fn uptime_agrees_with_the_kernel() {
    let uptime = || numbers(&std::fs::read_to_string("/proc/uptime").unwrap())[0];
    let before = uptime();
    let measured = Measured::now();
    let measured = measured.value("system.uptime", &[]).unwrap();
    let after = uptime();
    // The kernel's boot time has a resolution of one second.
    assert!(
        (before - 2.0..=after + 2.0).contains(&measured),
        "{before}, {measured}, {after}"
    );
}
