//! The past beyond the hub's own, read back from an engine: for operators only, by the minute.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sysmon_export::destination::DestinationOptions;
use sysmon_export::engines::HubIdentity;
use sysmon_export::read_back::{Question, ReadBack, ReadBackError, SeriesPast};
use sysmon_series::{Bucket, Buckets, Chunk, ChunkError, Unscaled, rows_from_buckets};
use sysmon_store::Tier;
use sysmon_store::store::{PART_SERIES, TierBuckets};
use sysmon_wire::timeline::Timeline;
use sysmon_wire::{Label, SeriesKey, UnixMs};
use tokio::sync::oneshot;

use super::Hub;
use super::history::{Borrowed, COVER_HOSTS_MAX, mark};
use super::incomplete::{Incomplete, Stored, coarsest};
use crate::query::Plan;

/// Where the past can be read back from.
#[derive(Debug, Default)]
pub(super) struct Beyond {
    reader: Option<ReadBack>,
    /// Why it cannot be asked, where the setting is wrong.
    problem: Option<String>,
}

impl Beyond {
    pub(super) fn start(options: &DestinationOptions, hub: &HubIdentity) -> Self {
        match ReadBack::start(options, hub) {
            Ok(reader) => Self {
                reader: Some(reader),
                problem: None,
            },
            Err(error) => Self::failed(&error.to_string()),
        }
    }

    /// One that cannot be asked, which every answer says.
    pub(super) fn failed(reason: &str) -> Self {
        let problem = format!("[hub] history_beyond: {reason}");
        tracing::error!(problem, "the past cannot be read back");
        Self {
            reader: None,
            problem: Some(problem),
        }
    }

    pub(super) fn is_set(&self) -> bool {
        self.reader.is_some() || self.problem.is_some()
    }

    /// The engine's address.
    pub(super) fn address(&self) -> Label {
        let address = self.reader.as_ref().map_or("", ReadBack::address);
        Label::new(address)
    }

    async fn past(&self, question: Question) -> Result<Vec<SeriesPast>, String> {
        let reader = self.reader()?;
        let (answer, answered) = oneshot::channel();
        reader.past(question, |found| drop(answer.send(found)));
        told(answered.await)
    }

    pub(super) async fn oldest(
        &self,
        hosts: Vec<Label>,
        within: (UnixMs, UnixMs),
    ) -> Result<Option<UnixMs>, String> {
        let reader = self.reader()?;
        let (answer, answered) = oneshot::channel();
        reader.oldest(hosts, within, |found| drop(answer.send(found)));
        told(answered.await)
    }

    fn reader(&self) -> Result<&ReadBack, String> {
        let problem = || self.problem.clone().unwrap_or_default();
        self.reader.as_ref().ok_or_else(problem)
    }
}

fn told<T>(
    answered: Result<Result<T, ReadBackError>, oneshot::error::RecvError>,
) -> Result<T, String> {
    match answered {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the thread that reads from the engine has ended".to_owned()),
    }
}

/// The buckets of series in the order in which they were asked for, and then of the others.
#[derive(Default)]
pub(super) struct Found {
    pub(super) buckets: TierBuckets,
    /// Series that were not asked for by their key.
    pub(super) others: Vec<SeriesKey>,
}

impl Hub {
    /// Rows of a moment from an engine, where the hub has of no host more than hours.
    pub(super) async fn borrow_beyond(
        self: &Arc<Self>,
        hosts: &Arc<Vec<Incomplete>>,
        rows: i64,
        at: UnixMs,
    ) -> Result<Option<Borrowed>, String> {
        if !self.beyond.is_set() {
            return Ok(None);
        }
        let asked = Arc::clone(hosts);
        let stored = self.read_history(move |reader| coarsest(reader, &asked, at));
        if let Some(Stored::Rows | Stored::Buckets(Tier::Minute)) = stored.await {
            return Ok(None);
        }
        let step_ms = Tier::Minute.step_ms();
        let from = at.floor(step_ms) - (rows + 1).saturating_mul(step_ms);
        let chunks = self.rows_beyond(hosts, (from, at)).await?;
        let address = self.beyond.address();
        Ok((!chunks.is_empty()).then(|| Borrowed::from_beyond(chunks, address)))
    }

    /// Marks in a timeline when an engine has something from before it.
    pub(super) async fn cover_beyond(
        self: &Arc<Self>,
        host: Option<Label>,
        timeline: &mut Timeline,
    ) {
        let steps = timeline.covered.0.len() as i64;
        let end = timeline.from + steps.saturating_mul(timeline.step_ms);
        let to = timeline.oldest.min(end);
        if !self.beyond.is_set() || timeline.from >= to {
            return;
        }
        let hosts = match host {
            Some(host) => vec![host],
            None => {
                let core = self.core();
                let machines = core.fleet.machines().take(COVER_HOSTS_MAX as usize);
                machines.map(|(_, host)| host.name.clone()).collect()
            }
        };
        match self.beyond.oldest(hosts, (timeline.from, to)).await {
            Ok(Some(first)) => mark(timeline, first, to),
            Ok(None) => {}
            Err(error) => tracing::warn!(error, "a timeline lacks what is beyond the history"),
        }
    }

    /// The past of a metric of one host from an engine; nothing if that cannot be asked, which is logged.
    pub(super) async fn buckets_beyond(
        self: &Arc<Self>,
        host: &Label,
        keys: &[SeriesKey],
        plan: &Plan,
        (from, to): (UnixMs, UnixMs),
    ) -> Found {
        if !self.beyond.is_set() || from >= to {
            return Found::default();
        }
        let question = Question {
            hosts: vec![host.clone()],
            keys: keys.iter().cloned().map(Arc::new).collect(),
            metric: Some(Label::new(plan.metric())),
            from,
            to,
            step_ms: plan.resample.step_ms,
        };
        let past = match self.beyond.past(question).await {
            Ok(past) => past,
            Err(error) => {
                tracing::warn!(
                    error,
                    "a query is answered without what is beyond the history"
                );
                return Found::default();
            }
        };
        let mut places: HashMap<&SeriesKey, usize> = keys.iter().zip(0..).collect();
        let mut others = Vec::new();
        let mut series = vec![Vec::new(); keys.len()];
        for past in past.iter().filter(|past| plan.wants(&past.key)) {
            let place = *places.entry(&past.key).or_insert_with(|| {
                others.push((*past.key).clone());
                series.push(Vec::new());
                series.len() - 1
            });
            if let Some(series) = series.get_mut(place) {
                *series = buckets_of(past);
            }
        }
        match tier_buckets(&series) {
            Ok(buckets) => Found { buckets, others },
            Err(error) => {
                tracing::warn!(%error, "what is beyond the history cannot be used");
                Found::default()
            }
        }
    }

    /// Rows made from an engine's minutes, up to a moment, by host; or why there are none.
    pub(super) async fn rows_beyond(
        self: &Arc<Self>,
        hosts: &[Incomplete],
        (from, at): (UnixMs, UnixMs),
    ) -> Result<Vec<(Label, Chunk)>, String> {
        let step_ms = Tier::Minute.step_ms();
        let mut keys: Vec<Arc<SeriesKey>> = Vec::new();
        for host in hosts {
            for key in host.keys() {
                if !keys.contains(key) {
                    keys.push(Arc::clone(key));
                }
            }
        }
        let question = Question {
            hosts: hosts.iter().map(|host| host.name().clone()).collect(),
            keys,
            metric: None,
            from: from.floor(step_ms),
            to: at.floor(step_ms) + step_ms,
            step_ms,
        };
        let mut by_host: BTreeMap<Label, Vec<SeriesPast>> = BTreeMap::new();
        for past in self.beyond.past(question).await? {
            by_host.entry(past.host.clone()).or_default().push(past);
        }
        let mut chunks = Vec::new();
        for host in hosts {
            let Some(past) = by_host.get(host.name()) else {
                continue;
            };
            let rows = rows(host, past, (from, at)).map_err(|error| error.to_string())?;
            chunks.extend(rows.map(|rows| (host.name().clone(), rows)));
        }
        Ok(chunks)
    }
}

fn buckets_of(past: &SeriesPast) -> Vec<(i64, Bucket)> {
    let minutes = past.minutes.iter();
    let bucket = |minute: &sysmon_export::Minute| {
        let values = Unscaled {
            min: minute.min,
            mean: minute.mean,
            max: minute.max,
            last: minute.last,
            count: minute.count,
        };
        Some((minute.time, Bucket::of_unscaled(&past.key.metric, &values)?))
    };
    minutes.filter_map(bucket).collect()
}

/// A chunk of buckets of series, at all times that any has.
fn chunk(series: &[Vec<(i64, Bucket)>]) -> Result<Option<Chunk>, ChunkError> {
    let times = series.iter().flatten().map(|(time, _)| *time);
    let mut times: Vec<i64> = times.collect();
    times.sort_unstable();
    times.dedup();
    let row = |buckets: &Vec<(i64, Bucket)>| {
        let mut row = vec![None; times.len()];
        for (time, bucket) in buckets {
            let place = times.binary_search(time).ok();
            if let Some(place) = place.and_then(|at| row.get_mut(at)) {
                *place = Some(*bucket);
            }
        }
        row
    };
    let rows: Vec<_> = series.iter().map(row).collect();
    Buckets::of_series(times, &rows).seal()
}

fn tier_buckets(series: &[Vec<(i64, Bucket)>]) -> Result<TierBuckets, ChunkError> {
    let mut found = TierBuckets {
        numbers: (0..series.len()).map(Some).collect(),
        parts: Vec::new(),
    };
    for (part, series) in series.chunks(PART_SERIES).enumerate() {
        found
            .parts
            .extend(chunk(series)?.map(|chunk| (part, chunk)));
    }
    Ok(found)
}

fn rows(
    host: &Incomplete,
    past: &[SeriesPast],
    span: (UnixMs, UnixMs),
) -> Result<Option<Chunk>, ChunkError> {
    let series: Vec<_> = past.iter().map(buckets_of).collect();
    let places: Vec<Option<usize>> = past.iter().map(|past| host.place(&past.key)).collect();
    let Some(chunk) = chunk(&series)? else {
        return Ok(None);
    };
    let place = |number: usize| places.get(number).copied().flatten();
    rows_from_buckets(&[(0, chunk)], place, &host.kinds(), span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::metrics::LOAD_1M;

    #[test]
    fn series_are_found_in_the_part_that_they_are_in() {
        let bucket = |value| Bucket {
            count: 1,
            min: value,
            max: value,
            sum: value,
            last: value,
        };
        let series: Vec<_> = (0..PART_SERIES as i64 + 2)
            .map(|n| vec![(60_000 * (n % 3), bucket(n))])
            .collect();
        let found = tier_buckets(&series).unwrap();
        for (at, series) in series.iter().enumerate() {
            let of_series: Vec<_> = found
                .of(at)
                .flat_map(|(chunk, place)| {
                    let buckets = Buckets::from_chunk(chunk).unwrap();
                    buckets.of(place).collect::<Vec<_>>()
                })
                .collect();
            assert_eq!(of_series, *series);
        }
        assert!(tier_buckets(&[]).unwrap().parts.is_empty());
    }

    #[test]
    fn numbers_that_no_metric_can_have_are_left_out() {
        let minute = |mean, count| sysmon_export::Minute {
            time: 0,
            min: 1.0,
            mean,
            max: 2.0,
            last: 1.5,
            count,
        };
        let past = SeriesPast {
            host: "a".into(),
            key: Arc::new(LOAD_1M.series(&[])),
            minutes: vec![
                minute(1.5, 2),
                minute(f64::NAN, 2),
                minute(1e300, 2),
                minute(1.0, 0),
            ],
        };
        assert_eq!(buckets_of(&past).len(), 1);
    }
}
