//! What rules compare with earlier weeks: read from the history on a thread that nobody waits for.

use std::sync::Arc;
use std::time::Duration;

use sysmon_series::{Resample, Steps};
use sysmon_wire::message::Aggregate;
use sysmon_wire::{Label, MetricDef, UnixMs};

use super::{Hub, now};
use crate::fleet::{Fleet, HostId};
use sysmon_alerts::baseline::{Baseline, SLOT_MS, hour, windows};
use sysmon_store::Tier;
use sysmon_store::store::{PART_SERIES, Reader, StoreError};

/// Time between two looks for what is not known yet.
const INTERVAL: Duration = Duration::from_secs(30);

/// An hour is read this long before it begins.
const AHEAD_MS: i64 = 600_000;

/// Hosts read of at once.
const HOSTS_MAX: usize = 100;

/// A host of which something is not known.
#[derive(Clone, Debug)]
struct Lacking {
    id: HostId,
    name: Label,
    series: Vec<(u32, MetricDef)>,
    hour: i64,
}

/// What was found of a host.
type Found = (Lacking, Vec<Option<Baseline>>);

/// Looks again and again for what rules ask of earlier weeks. Each series is read once an hour.
pub(super) async fn learn(hub: &Arc<Hub>) {
    loop {
        if !learn_some(hub).await {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Reads of some hosts; whether there are likely more.
async fn learn_some(hub: &Arc<Hub>) -> bool {
    let lacking = lacking(&hub.fleet(), now());
    let Some(path) = hub.history_path().filter(|_| !lacking.is_empty()) else {
        return false;
    };
    let is_more = lacking.len() >= HOSTS_MAX;
    let permit = Arc::clone(&hub.paging).acquire_owned().await;
    let readers = Arc::clone(&hub.readers);
    let read = move || {
        readers.with(&path, |reader| {
            let found = lacking.into_iter().map(|host| {
                let usual = usual(reader, &host)?;
                Ok((host, usual))
            });
            found.collect::<Result<Vec<Found>, StoreError>>()
        })
    };
    let found = tokio::task::spawn_blocking(read).await;
    drop(permit);
    match found {
        Ok(Ok(found)) => {
            let mut fleet = hub.fleet();
            for (host, usual) in found {
                for ((series, _), usual) in host.series.iter().zip(usual) {
                    fleet.set_baseline(host.id, *series, host.hour, usual);
                }
            }
            is_more
        }
        Ok(Err(error)) => {
            tracing::warn!("earlier weeks cannot be read: {error}");
            false
        }
        Err(_) => false,
    }
}

/// Hosts of which something is not known that rules ask now or soon.
fn lacking(fleet: &Fleet, now: UnixMs) -> Vec<Lacking> {
    let (present, soon) = (hour(now), hour(now + AHEAD_MS));
    let mut lacking = fleet.missing_baselines(present, HOSTS_MAX);
    let mut hour = present;
    if lacking.is_empty() && soon != present {
        lacking = fleet.missing_baselines(soon, HOSTS_MAX);
        hour = soon;
    }
    let of_host = |(id, series): (HostId, Vec<u32>)| {
        let host = fleet.host(id)?;
        let metric = |index: u32| Some((index, host.keys().get(index as usize)?.metric.clone()));
        Some(Lacking {
            id,
            name: host.name.clone(),
            series: series.into_iter().filter_map(metric).collect(),
            hour,
        })
    };
    lacking.into_iter().filter_map(of_host).collect()
}

/// What is usual of each series, from minutes; of weeks that have none any more from hours.
fn usual(reader: &Reader, host: &Lacking) -> Result<Vec<Option<Baseline>>, StoreError> {
    let indices: Vec<u32> = host.series.iter().map(|(index, _)| *index).collect();
    let mut weeks: Vec<Vec<Vec<f64>>> = vec![Vec::new(); indices.len()];
    for (from, to) in windows(host.hour) {
        let mut buckets = reader.buckets(&host.name, Tier::Minute, &indices, from, to)?;
        let (mut from, mut to) = (from, to);
        // Of hours it is known between what they were, too.
        let mut aggregates = [Aggregate::Mean].as_slice();
        if buckets.is_empty() {
            aggregates = &[Aggregate::Min, Aggregate::Mean, Aggregate::Max];
            (from, to) = (from + SLOT_MS, to - SLOT_MS);
            buckets = reader.buckets(&host.name, Tier::Hour, &indices, from, to)?;
        }
        for ((index, metric), weeks) in host.series.iter().zip(&mut weeks) {
            let (part, place) = (*index as usize / PART_SERIES, *index as usize % PART_SERIES);
            let mut week = Vec::new();
            for aggregate in aggregates {
                let mut steps = Steps::new(Resample::aligned(from, to - 1, SLOT_MS, *aggregate));
                for (_, chunk) in buckets.iter().filter(|(of, _)| *of == part) {
                    steps.add_buckets(metric, chunk, place, to)?;
                }
                week.extend(steps.points(metric));
            }
            weeks.push(week);
        }
    }
    let metrics = host.series.iter().map(|(_, metric)| metric);
    let usual = weeks.iter().zip(metrics);
    Ok(usual
        .map(|(weeks, metric)| Baseline::of(weeks, metric))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::FleetOptions;
    use crate::fleet::tests::{host_with_cpu, options, row};
    use sysmon_store::store::Store;
    use sysmon_wire::message::RunId;

    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn the_same_hour_of_earlier_weeks_is_found_in_the_history() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        let mut fleet = Fleet::new(FleetOptions {
            retention: Duration::from_hours(24 * 40),
            ..options()
        });
        fleet.record();
        fleet.watch(
            vec!["odd: cpu unlike its week".parse().unwrap()],
            Vec::new(),
        );
        let id = host_with_cpu(&mut fleet, "a");
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
            fleet
                .apply(id, RunId(7), &row(seq, at, cpu), UnixMs(at))
                .unwrap();
        }
        store.commit(&fleet.take_batch(now)).unwrap();
        while store.roll_up(now).unwrap() {}
        let reader = Reader::open(&path).unwrap();
        let find = |fleet: &Fleet, at: UnixMs| {
            let lacking = lacking(fleet, at);
            assert_eq!(lacking.len(), 1);
            usual(&reader, &lacking[0]).unwrap()[0].unwrap()
        };
        let noon = find(&fleet, now + 60_000);
        assert_eq!(
            (noon.low, noon.high),
            (0.1, 0.8),
            "ten minutes before are usual too"
        );
        let later = find(&fleet, now + 2 * 3_600_000);
        assert_eq!((later.low, later.high), (0.1, 0.1));
        fleet.set_baseline(id, 0, hour(now), Some(noon));
        assert!(lacking(&fleet, now + 60_000).is_empty());
        assert_eq!(
            lacking(&fleet, now + 55 * 60_000)[0].hour,
            hour(now) + 1,
            "in advance"
        );
        // Ten days have one earlier week only.
        let early = Lacking {
            hour: hour(begin + 10 * DAY_MS),
            ..lacking(&fleet, now + 2 * 3_600_000)[0].clone()
        };
        assert_eq!(usual(&reader, &early).unwrap(), [None]);
    }
}
