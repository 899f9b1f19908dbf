//! The rules that every hub begins with, tried on a day of a real machine and on faults that were made up.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::Arc;
use std::time::Duration;

use sysmon_alerts::Transition;
use sysmon_alerts::engine::{Engine, HostCheck, HostRow};
use sysmon_alerts::rule::DEFAULTS;
use sysmon_bench::recording::Recording;
use sysmon_bench::tape::Tape;
use sysmon_hub::fleet::HostId;
use sysmon_wire::metrics::{
    AGENT_ROWS_DROPPED, AGENT_SPOOL_ERRORS, CPU_COUNT, CPU_UTILIZATION, DISK_ERRORS, FS_ERRORS,
    FS_READ_ONLY, FS_UNREACHABLE, FS_UTILIZATION, LOAD_5M, MEMORY_UTILIZATION, OOM_KILLS,
    PRESSURE_TIME, RAID_MISSING, TEMPERATURE, TEMPERATURE_LIMIT,
};
use sysmon_wire::{Label, SeriesKey, UnixMs};

/// Seconds between rows, so that a day takes no time; rules hold for longer than that.
const STEP: i64 = 5;

const DAY: i64 = 86_400;

fn engine() -> Engine {
    let rules = DEFAULTS.iter().map(|rule| rule.parse().unwrap());
    Engine::new(rules.collect(), Vec::new())
}

fn observe(
    engine: &mut Engine,
    keys: &[Arc<SeriesKey>],
    second: i64,
    values: &[i64],
) -> Vec<Transition> {
    engine.observe(HostRow {
        id: HostId(0),
        name: &Label::new("db-1"),
        tags: &[],
        keys,
        time: UnixMs(1_700_000_000_000 + second * 1000),
        values,
    })
}

fn stalls(resource: &str) -> SeriesKey {
    PRESSURE_TIME.series(&[
        ("linux.pressure.resource", resource),
        ("linux.pressure.scope", "some"),
    ])
}

/// A host, all of whose values are ordinary but those that a test makes otherwise.
struct Made {
    keys: Vec<Arc<SeriesKey>>,
    /// Counters so far: cpu, memory and io stalled, kills, rows dropped, spool errors, errors of the disk and of
    /// its filesystem.
    counted: [i64; 8],
}

/// What a host does at a second.
#[derive(Clone, Copy)]
struct Doing {
    cpu: i64,
    load: i64,
    memory: i64,
    /// Permille of time stalled for cpu, memory and io.
    stalled: [i64; 3],
    root: i64,
    data: i64,
    read_only: i64,
    unreachable: i64,
    degrees: i64,
    kills: i64,
    dropped: i64,
    spool_errors: i64,
    /// Of a disk that bears 85 °C.
    disk_degrees: i64,
    disk_errors: i64,
    fs_errors: i64,
    disks_missing: i64,
}

const ORDINARY: Doing = Doing {
    cpu: 150,
    load: 90,
    memory: 550,
    stalled: [20, 0, 15],
    root: 480,
    data: 720,
    read_only: 0,
    unreachable: 0,
    degrees: 55,
    kills: 0,
    dropped: 0,
    spool_errors: 0,
    disk_degrees: 60,
    disk_errors: 0,
    fs_errors: 0,
    disks_missing: 0,
};

impl Made {
    fn new() -> Self {
        let of = |metric: sysmon_wire::metrics::Metric, mount| {
            metric.series(&[("system.filesystem.mountpoint", mount)])
        };
        let disk =
            |metric: sysmon_wire::metrics::Metric| metric.series(&[("system.device", "sda")]);
        let nvme = |metric: sysmon_wire::metrics::Metric| metric.series(&[("hw.name", "nvme")]);
        let keys = [
            CPU_UTILIZATION.series(&[]),
            CPU_COUNT.series(&[]),
            LOAD_5M.series(&[]),
            MEMORY_UTILIZATION.series(&[]),
            of(FS_UTILIZATION, "/"),
            of(FS_UTILIZATION, "/data"),
            // A snap, a CD, or whatever is meant to be so.
            of(FS_READ_ONLY, "/snap"),
            of(FS_READ_ONLY, "/data"),
            of(FS_UNREACHABLE, "/data"),
            TEMPERATURE.series(&[]),
            nvme(TEMPERATURE),
            nvme(TEMPERATURE_LIMIT),
            disk(RAID_MISSING),
            stalls("cpu"),
            stalls("memory"),
            stalls("io"),
            OOM_KILLS.series(&[]),
            AGENT_ROWS_DROPPED.series(&[]),
            AGENT_SPOOL_ERRORS.series(&[]),
            disk(DISK_ERRORS),
            disk(FS_ERRORS),
        ];
        Self {
            keys: keys.map(Arc::new).to_vec(),
            counted: [0; 8],
        }
    }

    fn row(&mut self, doing: &Doing) -> Vec<i64> {
        let [cpu, memory, io] = doing.stalled.map(|permille| permille * 1_000 * STEP);
        let more = [
            cpu,
            memory,
            io,
            doing.kills,
            doing.dropped,
            doing.spool_errors,
            doing.disk_errors,
            doing.fs_errors,
        ];
        for (counted, more) in self.counted.iter_mut().zip(more) {
            *counted += more;
        }
        let gauges = [
            doing.cpu,
            8,
            doing.load,
            doing.memory,
            doing.root,
            doing.data,
            1,
            doing.read_only,
            doing.unreachable,
            doing.degrees * 1000,
            doing.disk_degrees * 1000,
            85_000,
            doing.disks_missing,
        ];
        gauges.into_iter().chain(self.counted).collect()
    }

    /// What is told while a host does something for so many seconds: rules, and whether they fire.
    fn tells(
        &mut self,
        engine: &mut Engine,
        seconds: i64,
        doing: impl Fn(i64) -> Doing,
    ) -> Vec<(String, bool)> {
        let mut told = Vec::new();
        for second in (0..seconds).step_by(STEP as usize) {
            let row = self.row(&doing(second));
            told.extend(observe(engine, &self.keys, second, &row));
        }
        told.into_iter().map(|t| (t.alert.rule, t.firing)).collect()
    }
}

#[test]
fn a_day_of_the_recorded_machine_is_quiet() {
    let tape = Tape::new(&Recording::load().unwrap(), None).unwrap();
    let keys: Vec<_> = tape.keys().iter().cloned().map(Arc::new).collect();
    let (mut place, mut row) = (tape.start(0), vec![0; keys.len()]);
    let mut engine = engine();
    for second in 0..DAY {
        tape.play(&mut place, &mut row);
        if second % STEP == 0 {
            let told = observe(&mut engine, &keys, second, &row);
            assert!(told.is_empty(), "at {second}: {told:?}");
        }
    }
}

/// A compile of an hour, a backup that reads and writes for two, logs that grow and are rotated, a cache that
/// fills the memory, a build directory that comes and goes, a warm afternoon.
#[test]
fn a_day_of_ordinary_work_is_quiet() {
    let (mut made, mut engine) = (Made::new(), engine());
    let told = made.tells(&mut engine, DAY, |second| {
        let (hour, minute) = (second / 3600, second / 60);
        let logs = (second % 43_200) * 60 / 43_200;
        let mut doing = Doing {
            root: 480 + logs + minute % 2,
            // Somebody asks the disk for what it does not know, every half hour.
            disk_errors: i64::from(second % 1_800 == 60) * 5,
            ..ORDINARY
        };
        match hour {
            // A compile: everything is busy, and there is more to do than processors.
            3 => {
                doing.cpu = 1000;
                doing.load = 1_200;
                doing.stalled[0] = 550;
                doing.root += 60 * (second % 3600) / 3600;
            }
            // A backup.
            10 | 11 => {
                doing.disk_degrees = 78;
                doing.stalled[2] = 600;
                doing.memory = 930;
                doing.cpu = 400;
            }
            // A release is built in twenty minutes, and cleaned up.
            15 if second % 3600 < 1_200 => doing.data += 150 * (second % 1_200) / 1_200,
            15 if second % 3600 < 2_400 => doing.data += 150,
            14..=17 => doing.degrees = 88,
            // A short squeeze.
            20 if second % 3600 < 60 => doing.stalled[1] = 400,
            _ => {}
        }
        doing
    });
    assert_eq!(told, []);
}

#[test]
fn every_fault_is_told_once_by_its_rule_and_over_once() {
    type Fault = fn(&mut Doing, i64);
    // What is done to a host, an hour and a half after its start; for how long; what tells of it.
    let faults: [(&str, i64, Fault); 13] = [
        ("disk-full", 1_800, |doing, _| doing.root = 970),
        ("disk-filling", 7_200, |doing, second| {
            doing.data = 720 + second * 220 / 7_200;
        }),
        ("disk-unreachable", 600, |doing, _| doing.unreachable = 1),
        ("read-only", 600, |doing, _| doing.read_only = 1),
        ("memory-stalls", 600, |doing, _| doing.stalled[1] = 450),
        ("oom-kill", 5, |doing, _| doing.kills = 1),
        ("cpu-saturated", 3_600, |doing, _| {
            doing.stalled[0] = 850;
            doing.load = 2_600;
        }),
        ("disk-stalls", 3_600, |doing, _| doing.stalled[2] = 950),
        ("hot", 600, |doing, _| doing.degrees = 97),
        ("near-critical", 600, |doing, _| doing.disk_degrees = 82),
        ("disk-errors", 1_800, |doing, _| doing.disk_errors = 1),
        ("filesystem-errors", 5, |doing, _| doing.fs_errors = 1),
        ("raid-degraded", 600, |doing, _| doing.disks_missing = 1),
    ];
    for (rule, lasts, fault) in faults {
        let (mut made, mut engine) = (Made::new(), engine());
        let start = 5_400;
        let told = made.tells(&mut engine, start + lasts + 7_200, |second| {
            let mut doing = ORDINARY;
            if (start..start + lasts).contains(&second) {
                fault(&mut doing, second - start);
            }
            doing
        });
        let expected = [(rule.to_owned(), true), (rule.to_owned(), false)];
        assert_eq!(told, expected, "{rule}");
    }
}

#[test]
fn an_agent_that_loses_rows_or_cannot_write_is_told() {
    let (mut made, mut engine) = (Made::new(), engine());
    let told = made.tells(&mut engine, 1_800, |second| Doing {
        dropped: i64::from(second == 600) * 20,
        spool_errors: i64::from(second == 900),
        ..ORDINARY
    });
    let fired: Vec<_> = told
        .iter()
        .filter(|(_, firing)| *firing)
        .map(|(rule, _)| rule.as_str())
        .collect();
    assert_eq!(fired, ["rows-dropped", "spool-errors"]);
    assert_eq!(told.len(), 4);
}

#[test]
fn a_silent_host_and_one_whose_clock_is_off_are_told() {
    let mut engine = engine();
    let name = Label::new("db-1");
    let mut told = Vec::new();
    for second in 0..400 {
        let check = HostCheck {
            id: HostId(0),
            name: &name,
            tags: &[],
            silence: Duration::from_secs(if (20..100).contains(&second) {
                second - 20
            } else {
                0
            }),
            clock_offset_ms: if (200..300).contains(&second) {
                -2_500
            } else {
                40
            },
            now: UnixMs(second as i64 * 1000),
        };
        told.extend(
            engine
                .check(check)
                .into_iter()
                .map(|t| (t.alert.rule, t.firing, second)),
        );
    }
    let told: Vec<_> = told
        .iter()
        .map(|(rule, firing, at)| (rule.as_str(), *firing, *at))
        .collect();
    assert_eq!(
        told,
        [
            ("silent", true, 80),
            ("silent", false, 100),
            ("clock-off", true, 260),
            ("clock-off", false, 300)
        ]
    );
}
