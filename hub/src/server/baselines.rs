//! Baselines that rules compare with, read from the history of earlier weeks.

use std::sync::Arc;
use std::time::Duration;

use sysmon_alerts::baseline::{Baseline, SLOT_MS, hour, windows};
use sysmon_series::{Resample, Steps};
use sysmon_store::Tier;
use sysmon_store::store::{Reader, StoreError};
use sysmon_wire::message::Aggregate;
use sysmon_wire::{Label, SeriesKey, UnixMs};

use super::Hub;
use crate::core::Core;
use crate::fleet::HostId;

const INTERVAL: Duration = Duration::from_secs(30);

/// The baselines of an hour are read this long before it begins.
const AHEAD_MS: i64 = 600_000;

const HOSTS_MAX: usize = 100;

#[derive(Clone, Debug)]
struct Missing {
    id: HostId,
    name: Label,
    series: Vec<(u32, Arc<SeriesKey>)>,
    hour: i64,
}

type Found = (Missing, Vec<Option<Baseline>>);

/// Reads missing baselines for as long as the hub runs. Each series is read once an hour.
pub(super) async fn keep_current(hub: &Arc<Hub>) {
    loop {
        if !read_some(hub).await {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Reads the baselines of some hosts; true if more are probably missing.
async fn read_some(hub: &Arc<Hub>) -> bool {
    let hosts = missing(&hub.core(), hub.now());
    if hosts.is_empty() {
        return false;
    }
    let is_more = hosts.len() >= HOSTS_MAX;
    let read = move |reader: &Reader| {
        let found = hosts.into_iter().map(|host| {
            let baselines = baselines(reader, &host)?;
            Ok((host, baselines))
        });
        found.collect::<Result<Vec<Found>, StoreError>>()
    };
    let Some((found, _)) = hub.page_in(read).await else {
        return false;
    };
    let mut core = hub.core();
    for (host, baselines) in found {
        for ((series, _), baseline) in host.series.iter().zip(baselines) {
            core.engine
                .set_baseline(host.id, *series, host.hour, baseline);
        }
    }
    is_more
}

fn missing(core: &Core, now: UnixMs) -> Vec<Missing> {
    let (present, soon) = (hour(now), hour(now + AHEAD_MS));
    let mut missing = core.engine.missing_baselines(present, HOSTS_MAX);
    let mut hour = present;
    if missing.is_empty() && soon != present {
        missing = core.engine.missing_baselines(soon, HOSTS_MAX);
        hour = soon;
    }
    let of_host = |(id, series): (HostId, Vec<u32>)| {
        let host = core.fleet.host(id)?;
        let key = |index: u32| Some((index, Arc::clone(host.keys().get(index as usize)?)));
        Some(Missing {
            id,
            name: host.name.clone(),
            series: series.into_iter().filter_map(key).collect(),
            hour,
        })
    };
    missing.into_iter().filter_map(of_host).collect()
}

/// The baseline of each series, from minutes; from hours for weeks whose minutes are gone.
fn baselines(reader: &Reader, host: &Missing) -> Result<Vec<Option<Baseline>>, StoreError> {
    let keys: Vec<SeriesKey> = host.series.iter().map(|(_, key)| (**key).clone()).collect();
    let mut weeks: Vec<Vec<Vec<f64>>> = vec![Vec::new(); keys.len()];
    for (from, to) in windows(host.hour) {
        let mut buckets = reader.buckets(&host.name, Tier::Minute, &keys, from, to)?;
        let (mut from, mut to) = (from, to);
        // An hour's extremes are known besides its mean.
        let mut aggregates = [Aggregate::Mean].as_slice();
        if buckets.parts.is_empty() {
            aggregates = &[Aggregate::Min, Aggregate::Mean, Aggregate::Max];
            (from, to) = (from + SLOT_MS, to - SLOT_MS);
            buckets = reader.buckets(&host.name, Tier::Hour, &keys, from, to)?;
        }
        for (at, (key, weeks)) in keys.iter().zip(&mut weeks).enumerate() {
            let mut week = Vec::new();
            for aggregate in aggregates {
                let mut steps = Steps::new(Resample::aligned(from, to - 1, SLOT_MS, *aggregate));
                for (chunk, place) in buckets.of(at) {
                    steps.add_buckets(&key.metric, chunk, place, to)?;
                }
                week.extend(steps.points(&key.metric));
            }
            weeks.push(week);
        }
    }
    let metrics = keys.iter().map(|key| &key.metric);
    let weeks = weeks.iter().zip(metrics);
    Ok(weeks
        .map(|(weeks, metric)| Baseline::of(weeks, metric))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tests::{host_with_cpu, options, row};
    use crate::fleet::FleetOptions;
    use sysmon_store::store::Store;
    use sysmon_wire::message::RunId;

    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn baselines_come_from_the_same_hour_of_earlier_weeks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        let mut core = Core::new(FleetOptions {
            retention: Duration::from_hours(24 * 40),
            ..options()
        });
        core.track_unsaved();
        core.set_rules(
            vec!["odd: cpu deviates from baseline".parse().unwrap()],
            Vec::new(),
        );
        let id = host_with_cpu(&mut core, "a");
        let mut store = Store::open(&path).unwrap();
        // Three weeks and a day, a value every five minutes: 80 % in one hour of the day, 10 % else.
        let now = UnixMs(3_000 * DAY_MS) + 12 * 3_600_000;
        let begin = now - 22 * DAY_MS;
        for (seq, at) in (1u64..).zip((begin.0..=now.0).step_by(300_000)) {
            let cpu = if hour(UnixMs(at)) % 24 == 12 {
                800
            } else {
                100
            };
            core.apply(id, RunId(7), &row(seq, at, cpu), UnixMs(at))
                .unwrap();
        }
        store.commit(&core.take_batch(now)).unwrap();
        while store.roll_up(now).unwrap() {}
        let reader = Reader::open(&path).unwrap();
        let find = |core: &Core, at: UnixMs| {
            let missing = missing(core, at);
            assert_eq!(missing.len(), 1);
            baselines(&reader, &missing[0]).unwrap()[0].unwrap()
        };
        let noon = find(&core, now + 60_000);
        assert_eq!(
            (noon.low, noon.high),
            (0.1, 0.8),
            "the ten minutes before count too"
        );
        let later = find(&core, now + 2 * 3_600_000);
        assert_eq!((later.low, later.high), (0.1, 0.1));
        core.engine.set_baseline(id, 0, hour(now), Some(noon));
        assert!(missing(&core, now + 60_000).is_empty());
        assert_eq!(
            missing(&core, now + 55 * 60_000)[0].hour,
            hour(now) + 1,
            "in advance"
        );
        // Ten days have one earlier week only.
        let early = Missing {
            hour: hour(begin + 10 * DAY_MS),
            ..missing(&core, now + 2 * 3_600_000)[0].clone()
        };
        assert_eq!(baselines(&reader, &early).unwrap(), [None]);
    }
}
