//! Significant changes: series and processes ranked by how much a minute differs from the ten minutes before it. Pure.
//!
//! A series' values of both windows are compared by the two-sample Kolmogorov–Smirnov statistic, the
//! largest distance between their distributions: 0 where they are alike, 1 where they do not overlap. It
//! does not say how far apart they are, so it is multiplied by the distance of the medians on a scale
//! that fits the unit.

use std::collections::{HashMap, HashSet};

use sysmon_series::{ChunkError, Table, rate};
use sysmon_wire::limits::FRAME_BYTES_MAX;
use sysmon_wire::message::Change;
use sysmon_wire::metrics::{LOAD_1M, LOAD_5M, LOAD_15M, UPTIME, unscale};
use sysmon_wire::{ABSENT, Kind, Label, ProcessIdentity, SeriesKey, UnixMs};

use crate::fleet::HostView;
use crate::host::Host;

pub const AFTER_MS: i64 = 60_000;

pub const BEFORE_MS: i64 = 600_000;

/// How far back rows are read, with room for the row that makes the first rate.
pub const REACH_MS: i64 = AFTER_MS + BEFORE_MS + 60_000;

const VALUES_MIN: usize = 5;

const SCORE_MIN: f64 = 0.1;

/// The end of the minute, in which a change shows that is too recent for its median.
const RECENT_MS: i64 = 5_000;

/// Score that such a change needs; besides, none of its values may have occurred before, because one short outlier
/// in each series would make many changes.
const RECENT_SCORE_MIN: f64 = 0.3;

/// The windows that are compared: `before` until `split`, then until `to`.
#[derive(Clone, Copy, Debug)]
struct Windows {
    from: UnixMs,
    split: UnixMs,
    to: UnixMs,
}

#[derive(Debug, Default)]
struct Values {
    points: Vec<(i64, f64)>,
}

/// The most significant changes of a host in the minute before `at`, the highest score first.
pub fn of_host(host: HostView<'_>, at: UnixMs, limit: usize) -> Result<Vec<Change>, ChunkError> {
    let windows = Windows {
        from: at - AFTER_MS - BEFORE_MS,
        split: at - AFTER_MS,
        to: at,
    };
    let series = host.series_since(windows.from);
    let table = host.read(&series, windows.from, windows.to)?;
    let mut changes = Vec::new();
    for (index, column) in series.iter().zip(&table.columns) {
        let key = host.keys().get(*index as usize);
        let Some(key) = key.filter(|key| is_comparable(key)) else {
            continue;
        };
        let values = Values::of_series(key, &table.times, column);
        changes.extend(values.change(
            windows,
            &shown_unit(&key.metric),
            Subject::Series(key),
            &host,
        ));
    }
    let repeated = metrics_of_devices(&changes);
    changes.retain(|change| device(change).is_some() || !repeated.contains(&change.metric));
    changes.extend(of_processes(&host, &series, &table, windows));
    Ok(ranked(changes, limit))
}

pub fn ranked(mut changes: Vec<Change>, limit: usize) -> Vec<Change> {
    changes.sort_by(|a, b| b.score.total_cmp(&a.score));
    changes.truncate(limit);
    changes
}

pub fn fitting(mut changes: Vec<Change>) -> Vec<Change> {
    let mut bytes = 0;
    let fit = changes.iter().take_while(|change| {
        bytes += bytes_of(change);
        bytes <= FRAME_BYTES_MAX / 4 * 3
    });
    let fit = fit.count();
    changes.truncate(fit);
    changes
}

fn bytes_of(change: &Change) -> usize {
    const REST: usize = 100;
    let attributes = change
        .attributes
        .iter()
        .flat_map(|(name, value)| [name, value]);
    let process = change.process.iter();
    let process = process.flat_map(|process| [&process.user, &process.command, &process.cgroup]);
    let texts = [&change.host, &change.metric, &change.unit];
    let texts = texts.into_iter().chain(attributes).chain(process);
    REST + texts.map(|text| text.as_str().len() + 3).sum::<usize>()
}

/// Whether a series is worth comparing by itself. Ranks of processes are compared as processes, single processors
/// follow from the total, the longer load averages from the shortest, the agent's own figures say nothing about the
/// host, and uptime always rises.
fn is_comparable(key: &SeriesKey) -> bool {
    let name = key.metric.name.as_str();
    let is_part = ["sysmon.rank", "cpu.logical_number"]
        .iter()
        .any(|attribute| key.attribute(attribute).is_some());
    let is_smoothed = [LOAD_5M.name, LOAD_15M.name].contains(&name);
    !is_part && !is_smoothed && !name.starts_with("sysmon.") && name != UPTIME.name
}

/// The device that a change is about, such as a disk or interface.
fn device(change: &Change) -> Option<&Label> {
    const DEVICES: [&str; 4] = [
        "system.device",
        "network.interface.name",
        "system.filesystem.mountpoint",
        "hw.name",
    ];
    let is_device = |name: &Label| DEVICES.contains(&name.as_str());
    change
        .attributes
        .iter()
        .find(|(name, _)| is_device(name))
        .map(|(_, value)| value)
}

/// Metrics with a change of a device, whose total would only repeat it.
fn metrics_of_devices(changes: &[Change]) -> HashSet<Label> {
    let of_devices = changes.iter().filter(|change| device(change).is_some());
    of_devices.map(|change| change.metric.clone()).collect()
}

#[derive(Clone, Copy)]
enum Subject<'a> {
    Series(&'a SeriesKey),
    Process(&'a ProcessIdentity, &'a str),
}

fn shown_unit(metric: &sysmon_wire::MetricDef) -> String {
    match metric.kind {
        Kind::Gauge => metric.unit.to_string(),
        Kind::Counter => format!("{}{}", metric.unit, sysmon_series::RATE_UNIT_SUFFIX),
    }
}

impl Values {
    fn of_series(key: &SeriesKey, times: &[i64], column: &[i64]) -> Self {
        let metric = &key.metric;
        let mut points = Vec::new();
        let mut before = (0, ABSENT);
        for (&time, &value) in times.iter().zip(column) {
            match metric.kind {
                Kind::Gauge if value != ABSENT => {
                    points.push((time, unscale(value, metric.scale)));
                }
                Kind::Gauge => {}
                Kind::Counter => {
                    let rate = rate(before, (time, value));
                    points.extend(rate.map(|rate| (time, rate * 10f64.powi(metric.scale.into()))));
                }
            }
            before = (time, value);
        }
        Self { points }
    }

    /// The change of the minute against the time before; `None` without a change or with too few values.
    fn change(
        &self,
        windows: Windows,
        unit: &str,
        subject: Subject<'_>,
        host: &Host,
    ) -> Option<Change> {
        let part = |from: UnixMs, to: UnixMs| self.sorted(from, to);
        let old = part(windows.from - 1, windows.split);
        let step = |new: &[f64]| {
            if old.len() < VALUES_MIN || new.len() < VALUES_MIN {
                return None;
            }
            let (was, is) = (median(&old), median(new));
            let weight = match subject {
                Subject::Series(key) if key.metric.name == LOAD_1M.name => {
                    weight(CORES, was, is, host)
                }
                _ => weight(unit, was, is, host),
            };
            let distance = distance(&old, new);
            Some((was, is, distance, distance * weight))
        };
        let minute = step(&part(windows.split, windows.to));
        let minute = minute.filter(|(_, _, _, score)| *score >= SCORE_MIN);
        // A change in the last seconds does not move the median of the minute yet.
        let is_clear = |(_, _, distance, score): &(f64, f64, f64, f64)| {
            *distance >= 1.0 && *score >= RECENT_SCORE_MIN
        };
        let recent = || step(&part(windows.to - RECENT_MS, windows.to)).filter(is_clear);
        let (was, is, _, score) = minute.or_else(recent)?;
        let (name, attributes, process) = match subject {
            Subject::Series(key) => (key.metric.name.clone(), key.attributes.clone(), None),
            Subject::Process(process, metric) => {
                (Label::new(metric), Vec::new(), Some(process.clone()))
            }
        };
        Some(Change {
            host: host.name.clone(),
            metric: name,
            attributes,
            process,
            unit: Label::new(unit),
            before: was,
            after: is,
            began: self.began(was, is),
            score,
        })
    }

    fn sorted(&self, after: UnixMs, to: UnixMs) -> Vec<f64> {
        let upto = |moment: UnixMs| self.points.partition_point(|(time, _)| *time <= moment.0);
        let part = self.points.get(upto(after)..upto(to)).unwrap_or_default();
        let mut values: Vec<f64> = part.iter().map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// Since when values have been nearer to `is` than to `was`: the moment after which the majority that is so is
    /// largest, so that an outlier does not end the change.
    fn began(&self, was: f64, is: f64) -> UnixMs {
        let (mut sum, mut most, mut began) = (0i64, i64::MIN, UnixMs(0));
        for (time, value) in self.points.iter().rev() {
            let is_new = (value - is).abs() < (value - was).abs();
            sum += if is_new { 1 } else { -1 };
            if is_new && sum >= most {
                (most, began) = (sum, UnixMs(*time));
            }
        }
        began
    }
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let (mut at_a, mut at_b, mut largest) = (0usize, 0usize, 0.0f64);
    while let (Some(x), Some(y)) = (a.get(at_a), b.get(at_b)) {
        let step = x.min(*y);
        while a.get(at_a).is_some_and(|x| *x <= step) {
            at_a += 1;
        }
        while b.get(at_b).is_some_and(|y| *y <= step) {
            at_b += 1;
        }
        let share = |at: usize, all: usize| at as f64 / all as f64;
        largest = largest.max((share(at_a, a.len()) - share(at_b, b.len())).abs());
    }
    largest
}

/// The significance of a difference in this unit, from 0 to 1.
///
/// Ratios and stall times are their own scale. Processor time is relative to the host's processors. Everything else
/// counts by the factor by which it grew or shrank, above the noise of its unit.
fn weight(unit: &str, was: f64, is: f64, host: &Host) -> f64 {
    let difference = (is - was).abs();
    let noise = match unit {
        "1" | "s/s" => return difference.min(1.0),
        CORES => return (difference / f64::from(host.facts.cpus.max(1)) * 2.0).min(1.0),
        "Cel" => return (difference / 40.0).min(1.0),
        "By" => (host.facts.memory_bytes as f64 / 50.0).max(1e6),
        "By/s" => 1e6,
        _ => 100.0,
    };
    let (most, least) = (was.abs().max(is.abs()), was.abs().min(is.abs()));
    // 1 for a factor of 100, 0.5 for a factor of 10.
    let times = ((most + noise) / (least + noise)).log10() / 2.0;
    times.clamp(0.0, 1.0)
}

pub const CORES: &str = "{cpu}";

const OF_PROCESSES: [(&str, &str, f64); 4] = [
    ("cpu", CORES, 0.001),
    ("mem", "By", 1.0),
    ("disk.read", "By/s", 1.0),
    ("disk.write", "By/s", 1.0),
];

/// Changes of the processes that were among the busiest; where one was not, it counts as 0.
fn of_processes(host: &Host, read: &[u32], table: &Table, windows: Windows) -> Vec<Change> {
    let mut known: HashMap<i64, (ProcessIdentity, [Values; 4])> = HashMap::new();
    let series = host.processes.series();
    let places: Vec<Option<usize>> = series
        .iter()
        .map(|index| read.binary_search(index).ok())
        .collect();
    let mut values = vec![ABSENT; series.len()];
    for (row, &time) in table.times.iter().enumerate() {
        for (value, place) in values.iter_mut().zip(&places) {
            let column = place.and_then(|place| table.columns.get(place));
            *value = column.and_then(|c| c.get(row)).copied().unwrap_or(ABSENT);
        }
        for process in host.processes.of_values(&values).processes {
            let id = process.identity.id();
            let (_, of) = known
                .entry(id)
                .or_insert_with(|| (process.identity.clone(), Default::default()));
            let numbers = [
                f64::from(process.cpu_permille),
                process.memory_bytes as f64,
                process.read_bytes_per_s as f64,
                process.write_bytes_per_s as f64,
            ];
            for ((values, number), (_, _, one)) in of.iter_mut().zip(numbers).zip(OF_PROCESSES) {
                values.points.push((time, number * one));
            }
        }
    }
    let mut changes = Vec::new();
    for (identity, of) in known.into_values() {
        for (values, (metric, unit, _)) in of.into_iter().zip(OF_PROCESSES) {
            let values = values.filled(&table.times);
            let subject = Subject::Process(&identity, metric);
            changes.extend(values.change(windows, unit, subject, host));
        }
    }
    changes
}

impl Values {
    fn filled(self, times: &[i64]) -> Self {
        let mut given = self.points.into_iter().peekable();
        let point = |&time: &i64| {
            let here = given.next_if(|(at, _)| *at <= time);
            (time, here.map_or(0.0, |(_, value)| value))
        };
        Self {
            points: times.iter().map(point).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostKind;
    use sysmon_series::Ring;
    use sysmon_wire::metrics::{
        CPU_UTILIZATION, MEMORY_UTILIZATION, NET_IO, PROCESS_CPU, PROCESS_IDENTITY,
    };

    fn process(pid: u32, command: &str) -> ProcessIdentity {
        ProcessIdentity {
            pid,
            start: UnixMs(1),
            user: "u".into(),
            command: command.into(),
            cgroup: "".into(),
        }
    }

    /// Eleven minutes; in the last two the processor and the network become busy because of a process.
    fn host() -> Host {
        let mut host = Host::new("h".into(), HostKind::Machine, Ring::new());
        host.facts.cpus = 4;
        let rank = ("sysmon.rank", "0");
        let keys = [
            CPU_UTILIZATION.series(&[]),
            MEMORY_UTILIZATION.series(&[]),
            NET_IO.series(&[("network.io.direction", "receive")]),
            UPTIME.series(&[]),
            PROCESS_IDENTITY.series(&[rank]),
            PROCESS_CPU.series(&[rank]),
        ];
        for key in keys {
            host.series_index(key.into(), 0).unwrap();
        }
        let busy = process(7, "rustc");
        host.name_processes(vec![busy.clone()], UnixMs(0), false);
        let mut received = 0;
        for second in 0..660i64 {
            let is_busy = second >= 540;
            received += if is_busy { 50_000_000 } else { 10_000 };
            let (id, cpu) = if is_busy {
                (busy.id(), 3_500)
            } else {
                (ABSENT, ABSENT)
            };
            let noise = second * 7919 % 13;
            let values = [
                if is_busy { 900 } else { 40 } + noise,
                300 + noise,
                received,
                second,
                id,
                cpu,
            ];
            host.ring.append(UnixMs(second * 1000), &values).unwrap();
        }
        host
    }

    #[test]
    fn only_changes_are_listed_and_each_with_its_beginning() {
        let changes = of_host((&host()).into(), UnixMs(659_000), 20).unwrap();
        let told: Vec<_> = changes
            .iter()
            .map(|c| (c.metric.as_str(), c.began.0))
            .collect();
        let wanted = [
            ("cpu", 540_000),
            ("system.network.io", 540_000),
            ("system.cpu.utilization", 540_000),
        ];
        for change in wanted {
            assert!(told.contains(&change), "{change:?} in {told:?}");
        }
        assert_eq!(told.len(), 3, "{told:?}");
        let of_process = changes.iter().find(|c| c.process.is_some()).unwrap();
        assert_eq!((of_process.before, of_process.after), (0.0, 3.5));
        assert_eq!(of_process.process.as_ref().unwrap().command, "rustc");
        assert!(changes.is_sorted_by(|a, b| a.score >= b.score));
    }

    #[test]
    fn a_change_is_seen_after_five_seconds_and_not_after_two() {
        let seen = |second: i64| {
            let changes = of_host((&host()).into(), UnixMs(second * 1000), 20).unwrap();
            changes
                .iter()
                .map(|c| (c.metric.to_string(), c.began.0))
                .collect::<Vec<_>>()
        };
        assert_eq!(seen(541), []);
        let young = seen(544);
        assert!(young.contains(&("cpu".to_owned(), 540_000)), "{young:?}");
        assert!(young.contains(&("system.cpu.utilization".to_owned(), 540_000)));
    }

    #[test]
    fn one_value_that_strays_does_not_move_the_beginning() {
        let beginning = |strays: &[i64]| {
            let value = |time: i64| {
                let is_new = time >= 540 && !strays.contains(&time);
                (time, if is_new { 3.5 } else { 0.0 })
            };
            let points = (0..600).map(value).collect();
            Values { points }.began(0.0, 3.5).0
        };
        assert_eq!(beginning(&[]), 540);
        assert_eq!(beginning(&[570]), 540);
        // It was not among the busiest in the newest row.
        assert_eq!(beginning(&[598, 599]), 540);
    }

    #[test]
    fn a_quiet_time_has_no_changes_and_too_little_is_not_judged() {
        assert!(
            of_host((&host()).into(), UnixMs(500_000), 20)
                .unwrap()
                .is_empty()
        );
        assert!(
            of_host((&host()).into(), UnixMs(3_000), 20)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn the_statistic_is_that_of_kolmogorov_and_smirnov() {
        assert_eq!(distance(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        assert_eq!(distance(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert_eq!(distance(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0, 6.0]), 0.5);
    }
}
