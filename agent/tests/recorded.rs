//! Recorded `/proc` files of several kernels yield the expected values.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::{Path, PathBuf};

use sysmon_agent::board::Board;
use sysmon_agent::linux::{CollectorOptions, LinuxCollector, Roots};
use sysmon_clock::Clock;
use sysmon_wire::{ABSENT, UnixMs};

fn recorded(kernel: &str) -> Board {
    let proc = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/kernels")
        .join(kernel);
    assert!(proc.join("stat").exists(), "{}", proc.display());
    // `/sys` is not recorded, but whole disks are recognized by their folder there.
    let sys = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(sys.path().join("block/vda")).unwrap();
    let mut board = Board::new();
    let roots = Roots {
        proc,
        sys: sys.path().to_owned(),
        rootfs: "/nonexistent".into(),
    };
    let mut collector = LinuxCollector::new(
        roots,
        &CollectorOptions::default(),
        &Clock::system(),
        &mut board,
    );
    collector.sample(UnixMs(1_000_000), false, &mut board);
    collector.sample(UnixMs(1_001_000), false, &mut board);
    board
}

/// The value of a series, in the scale of the metric registry.
fn value(board: &Board, metric: &str, attributes: &[(&str, &str)]) -> Option<i64> {
    let at = board.keys().iter().position(|key| {
        key.metric.name == metric
            && key.attributes.len() == attributes.len()
            && attributes
                .iter()
                .all(|(name, value)| key.attribute(name).is_some_and(|v| v == value))
    })?;
    Some(board.values()[at]).filter(|value| *value != ABSENT)
}

/// The name, attributes and value of a series, in the scale of the metric registry.
type Expected<'a> = (&'a str, &'a [(&'a str, &'a str)], i64);

fn expect(kernel: &str, expected: &[Expected<'_>]) {
    let board = recorded(kernel);
    for (metric, attributes, wanted) in expected {
        let found = value(&board, metric, attributes);
        assert_eq!(found, Some(*wanted), "{metric} {attributes:?} of {kernel}");
    }
    let errors = value(&board, "sysmon.agent.read.errors", &[]);
    assert_eq!(errors, Some(0), "{kernel}");
}

const READ: (&str, &str) = ("disk.io.direction", "read");
const RECEIVE: (&str, &str) = ("network.io.direction", "receive");

#[test]
fn linux_6_1() {
    expect(
        "6.1",
        &[
            ("system.cpu.logical.count", &[], 1),
            ("system.linux.context_switches", &[], 1611),
            ("system.process.created", &[], 98),
            ("system.memory.limit", &[], 223_620 << 10),
            ("system.linux.memory.available", &[], 197_752 << 10),
            ("system.linux.oom_kills", &[], 0),
            ("system.cpu.load_average.1m", &[], 7),
            // Six reads of 10248 sectors of 512 bytes.
            (
                "system.disk.operations",
                &[("system.device", "vda"), READ],
                6,
            ),
            (
                "system.disk.io",
                &[("system.device", "vda"), READ],
                10_248 * 512,
            ),
            (
                "system.network.io",
                &[("network.interface.name", "eth0"), RECEIVE],
                110,
            ),
        ],
    );
}

#[test]
fn linux_6_18() {
    let io = |scope| {
        [
            ("linux.pressure.resource", "io"),
            ("linux.pressure.scope", scope),
        ]
    };
    expect(
        "6.18",
        &[
            ("system.cpu.logical.count", &[], 2),
            ("system.linux.context_switches", &[], 1_191_104),
            ("system.process.created", &[], 34_370),
            ("system.memory.limit", &[], 24_683_656 << 10),
            ("system.linux.memory.dirty", &[], 41_820 << 10),
            ("system.cpu.load_average.1m", &[], 289),
            ("system.linux.pressure.time", &io("some"), 16_310_195),
            ("system.linux.pressure.time", &io("full"), 7_217_920),
            (
                "system.network.tcp.opens",
                &[("network.tcp.side", "active")],
                681,
            ),
            // 65 receive buffer errors and 412 datagrams to closed ports.
            ("system.network.udp.errors", &[], 477),
            ("system.linux.file_handles.usage", &[], 323),
        ],
    );
}

/// Truncated files stand for kernels with fewer values.
#[test]
fn truncated_files_yield_missing_values() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels/6.18");
    let files = [
        "stat",
        "meminfo",
        "vmstat",
        "diskstats",
        "loadavg",
        "net/dev",
        "net/snmp",
        "net/netstat",
        "net/sockstat",
        "pressure/io",
        "sys/fs/file-nr",
    ];
    let dir = tempfile::tempdir().unwrap();
    for part in 0..40 {
        for file in files {
            let whole = std::fs::read(source.join(file)).unwrap();
            let to = dir.path().join(file);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::write(to, &whole[..whole.len() * part / 40]).unwrap();
        }
        let mut board = Board::new();
        let roots = Roots {
            proc: dir.path().to_owned(),
            sys: PathBuf::from("/nonexistent"),
            rootfs: "/nonexistent".into(),
        };
        let mut collector = LinuxCollector::new(
            roots,
            &CollectorOptions::default(),
            &Clock::system(),
            &mut board,
        );
        collector.sample(UnixMs(1_000_000), true, &mut board);
        let memory = value(&board, "system.memory.limit", &[]);
        assert!(memory.is_none_or(|bytes| bytes <= 24_683_656 << 10));
    }
}
