//! The default alert rules, on a day of a real machine and on simulated faults.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::Arc;
use std::time::Duration;

use sysmon_alerts::Transition;
use sysmon_alerts::engine::{Engine, HostCheck, HostRow, SeriesKeys};
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

/// Seconds between rows, to save time; the durations of rules are longer.
const STEP: i64 = 5;

const DAY: i64 = 86_400;

fn engine() -> Engine {
    let rules = DEFAULTS.iter().map(|rule| rule.parse().unwrap());
    Engine::new(rules.collect(), Vec::new())
}

fn observe(engine: &mut Engine, keys: &SeriesKeys, second: i64, values: &[i64]) -> Vec<Transition> {
    engine.observe(HostRow {
        id: HostId(0),
        name: &Label::new("db-1"),
        tags: &[],
        keys,
        time: UnixMs(1_700_000_000_000 + second * 1000),
        values,
    })
}

fn pressure(resource: &str) -> SeriesKey {
    PRESSURE_TIME.series(&[
        ("linux.pressure.resource", resource),
        ("linux.pressure.scope", "some"),
    ])
}

struct TestHost {
    keys: SeriesKeys,
    /// Counters: cpu, memory and io pressure, OOM kills, dropped rows, spool errors, disk and filesystem errors.
    counters: [i64; 8],
}

#[derive(Clone, Copy)]
struct Values {
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
    /// Of a disk with a critical limit of 85 °C.
    disk_degrees: i64,
    disk_errors: i64,
    fs_errors: i64,
    disks_missing: i64,
}

const ORDINARY: Values = Values {
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

impl TestHost {
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
            pressure("cpu"),
            pressure("memory"),
            pressure("io"),
            OOM_KILLS.series(&[]),
            AGENT_ROWS_DROPPED.series(&[]),
            AGENT_SPOOL_ERRORS.series(&[]),
            disk(DISK_ERRORS),
            disk(FS_ERRORS),
        ];
        Self {
            keys: keys.map(Arc::new).to_vec().into(),
            counters: [0; 8],
        }
    }

    fn row(&mut self, values: &Values) -> Vec<i64> {
        let [cpu, memory, io] = values.stalled.map(|permille| permille * 1_000 * STEP);
        let more = [
            cpu,
            memory,
            io,
            values.kills,
            values.dropped,
            values.spool_errors,
            values.disk_errors,
            values.fs_errors,
        ];
        for (counter, more) in self.counters.iter_mut().zip(more) {
            *counter += more;
        }
        let gauges = [
            values.cpu,
            8,
            values.load,
            values.memory,
            values.root,
            values.data,
            1,
            values.read_only,
            values.unreachable,
            values.degrees * 1000,
            values.disk_degrees * 1000,
            85_000,
            values.disks_missing,
        ];
        gauges.into_iter().chain(self.counters).collect()
    }

    /// The transitions while the host has these values for `seconds`: rule, and whether it fires or resolves.
    fn transitions(
        &mut self,
        engine: &mut Engine,
        seconds: i64,
        values: impl Fn(i64) -> Values,
    ) -> Vec<(String, bool)> {
        let mut transitions = Vec::new();
        for second in (0..seconds).step_by(STEP as usize) {
            let row = self.row(&values(second));
            transitions.extend(observe(engine, &self.keys, second, &row));
        }
        transitions
            .into_iter()
            .map(|t| (t.alert.rule, t.firing))
            .collect()
    }
}

#[test]
fn a_day_of_the_recorded_machine_fires_nothing() {
    let tape = Tape::new(&Recording::load().unwrap(), None).unwrap();
    let keys: Vec<_> = tape.keys().iter().cloned().map(Arc::new).collect();
    let keys = SeriesKeys::from(keys);
    let (mut position, mut row) = (tape.start(0), vec![0; keys.len()]);
    let mut engine = engine();
    for second in 0..DAY {
        tape.play(&mut position, &mut row);
        if second % STEP == 0 {
            let transitions = observe(&mut engine, &keys, second, &row);
            assert!(transitions.is_empty(), "at {second}: {transitions:?}");
        }
    }
}

/// An hour of compiling, a two-hour backup, logs that grow and are rotated, a cache that fills the memory, a
/// temporary build directory, a warm afternoon.
#[test]
fn a_day_of_ordinary_work_fires_nothing() {
    let (mut host, mut engine) = (TestHost::new(), engine());
    let transitions = host.transitions(&mut engine, DAY, |second| {
        let (hour, minute) = (second / 3600, second / 60);
        let logs = (second % 43_200) * 60 / 43_200;
        let mut values = Values {
            root: 480 + logs + minute % 2,
            // Unsupported commands to the disk, every half hour.
            disk_errors: i64::from(second % 1_800 == 60) * 5,
            ..ORDINARY
        };
        match hour {
            // Compiling: more runnable tasks than processors.
            3 => {
                values.cpu = 1000;
                values.load = 1_200;
                values.stalled[0] = 550;
                values.root += 60 * (second % 3600) / 3600;
            }
            // A backup.
            10 | 11 => {
                values.disk_degrees = 78;
                values.stalled[2] = 600;
                values.memory = 930;
                values.cpu = 400;
            }
            // A release build of twenty minutes, cleaned up later.
            15 if second % 3600 < 1_200 => values.data += 150 * (second % 1_200) / 1_200,
            15 if second % 3600 < 2_400 => values.data += 150,
            14..=17 => values.degrees = 88,
            // Short memory pressure.
            20 if second % 3600 < 60 => values.stalled[1] = 400,
            _ => {}
        }
        values
    });
    assert_eq!(transitions, []);
}

#[test]
fn every_fault_fires_its_rule_once_and_resolves_once() {
    type Fault = fn(&mut Values, i64);
    // Rule, duration and values of each fault, which starts after an hour and a half.
    let faults: [(&str, i64, Fault); 13] = [
        ("disk-full", 1_800, |values, _| values.root = 970),
        ("disk-filling", 7_200, |values, second| {
            values.data = 720 + second * 220 / 7_200;
        }),
        ("disk-unreachable", 600, |values, _| values.unreachable = 1),
        ("read-only", 600, |values, _| values.read_only = 1),
        ("memory-stalls", 600, |values, _| values.stalled[1] = 450),
        ("oom-kill", 5, |values, _| values.kills = 1),
        ("cpu-saturated", 3_600, |values, _| {
            values.stalled[0] = 850;
            values.load = 2_600;
        }),
        ("disk-stalls", 3_600, |values, _| values.stalled[2] = 950),
        ("hot", 600, |values, _| values.degrees = 97),
        ("near-critical", 600, |values, _| values.disk_degrees = 82),
        ("disk-errors", 1_800, |values, _| values.disk_errors = 1),
        ("filesystem-errors", 5, |values, _| values.fs_errors = 1),
        ("raid-degraded", 600, |values, _| values.disks_missing = 1),
    ];
    for (rule, duration, fault) in faults {
        let (mut host, mut engine) = (TestHost::new(), engine());
        let start = 5_400;
        let transitions = host.transitions(&mut engine, start + duration + 7_200, |second| {
            let mut values = ORDINARY;
            if (start..start + duration).contains(&second) {
                fault(&mut values, second - start);
            }
            values
        });
        let expected = [(rule.to_owned(), true), (rule.to_owned(), false)];
        assert_eq!(transitions, expected, "{rule}");
    }
}

#[test]
fn dropped_rows_and_spool_errors_fire() {
    let (mut host, mut engine) = (TestHost::new(), engine());
    let transitions = host.transitions(&mut engine, 1_800, |second| Values {
        dropped: i64::from(second == 600) * 20,
        spool_errors: i64::from(second == 900),
        ..ORDINARY
    });
    let fired: Vec<_> = transitions
        .iter()
        .filter(|(_, firing)| *firing)
        .map(|(rule, _)| rule.as_str())
        .collect();
    assert_eq!(fired, ["rows-dropped", "spool-errors"]);
    assert_eq!(transitions.len(), 4);
}

#[test]
fn a_silent_host_and_a_wrong_clock_fire() {
    let mut engine = engine();
    let name = Label::new("db-1");
    let mut transitions = Vec::new();
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
        transitions.extend(
            engine
                .check(check)
                .into_iter()
                .map(|t| (t.alert.rule, t.firing, second)),
        );
    }
    let transitions: Vec<_> = transitions
        .iter()
        .map(|(rule, firing, at)| (rule.as_str(), *firing, *at))
        .collect();
    assert_eq!(
        transitions,
        [
            ("silent", true, 80),
            ("silent", false, 100),
            ("clock-off", true, 260),
            ("clock-off", false, 300)
        ]
    );
}
