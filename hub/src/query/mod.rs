//! One metric over time, of one host or of all. Pure.
//!
//! A query is planned once, answered host by host so that rows are accepted meanwhile, and its series are then
//! grouped or ranked by [`combine`].

mod combine;

use sysmon_series::{Chunk, ChunkError, RATE_UNIT_SUFFIX, Resample, Steps};
use sysmon_wire::limits::{ATTRIBUTES_PER_SERIES_MAX, POINTS_PER_FRAME_MAX, QUERY_POINTS_MAX};
use sysmon_wire::message::{Aggregate, Points, Query};
use sysmon_wire::metrics::{ALIASES, ALL, Alias, alias};
use sysmon_wire::{Kind, Label, SeriesKey, UnixMs};
use thiserror::Error;

use crate::fleet::{Fleet, HostId, HostView};
use crate::host::{Host, HostKind};
use combine::HOST;
pub use combine::combine;
use sysmon_config::suggest;
use sysmon_store::store::TierBuckets;
use sysmon_store::{Limits, Tier};
use sysmon_wire::message::HUB_HOST;

/// How far before the first step a row may lie to count for the first rate.
pub const RATE_REACH_MS: i64 = 60_000;

/// Steps from which on buckets are read although there are rows: they are read much faster.
pub const TIER_FROM_MS: i64 = 240_000;

const HOSTS_LISTED_MAX: usize = 12;

/// Time that a query may be under way.
const LATE_MS: i64 = 60_000;

/// Points that may be computed for an answer that groups or ranks series.
const POINTS_MAX: usize = 4 * QUERY_POINTS_MAX;

#[derive(Clone, Debug)]
pub struct Plan {
    pub resample: Resample,
    pub to: UnixMs,
    pub hosts: Vec<(HostId, Vec<u32>)>,
    metric: Label,
}

/// A host's buckets for the part of a query where they replace its rows.
#[derive(Clone, Debug, Default)]
pub struct Past {
    pub rows_from: UnixMs,
    /// Buckets before that, of the plan's series of the host and then of those that are gone.
    pub buckets: TierBuckets,
    /// The same from before the oldest of these, from an engine.
    pub beyond: TierBuckets,
    /// Series of the host that have buckets but no rows any more.
    pub gone: Vec<SeriesKey>,
}

impl Past {
    fn is_empty(&self) -> bool {
        self.buckets.parts.is_empty() && self.beyond.parts.is_empty()
    }

    /// The chunks with buckets of the `at`th series, and its place in each, oldest first.
    fn of(&self, at: usize) -> impl Iterator<Item = (&Chunk, usize)> {
        self.beyond.of(at).chain(self.buckets.of(at))
    }
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum QueryError {
    #[error("no host has a metric {0:?}{1}")]
    UnknownMetric(Label, String),
    #[error("there is no host {0:?}{1}")]
    UnknownHost(Label, String),
    #[error("the series of {0:?} have no attribute {1:?} to group by; they have {2}")]
    UnknownAttribute(Label, Label, String),
    #[error("the time range is empty: it ends before it begins")]
    EmptyRange,
    #[error("the step must be at least 1 ms")]
    BadStep,
    #[error(
        "{0} points are over the limit of {QUERY_POINTS_MAX}; use a longer step or a shorter range"
    )]
    TooManyPoints(usize),
    #[error("quantiles need rows, which are stored for {0} hours; choose a later start")]
    RowsGone(u64),
    #[error("series can be grouped by mean, min, max, sum or a quantile")]
    BadAcross,
    #[error("a quantile must be between 0 and 1000 permille")]
    BadQuantile,
    #[error("series can be grouped by {ATTRIBUTES_PER_SERIES_MAX} attributes at most")]
    TooManyAttributes,
    #[error("{0}")]
    Damaged(String),
}

impl From<ChunkError> for QueryError {
    fn from(error: ChunkError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl Plan {
    /// Plans a query at `now`, for a hub that stores as much of the past as `limits` say.
    pub fn new(
        query: &Query,
        fleet: &Fleet,
        limits: &Limits,
        now: UnixMs,
    ) -> Result<Plan, QueryError> {
        check(query)?;
        let alias = alias(query.metric.as_str());
        let wanted = |id: HostId| {
            let series = fleet
                .host(id)
                .map(|host| series(host, alias, &query.metric, query.from));
            (id, series.unwrap_or_default())
        };
        let hosts: Vec<_> = hosts(fleet, query.host.as_ref())?
            .into_iter()
            .map(wanted)
            .collect();
        let series_count: usize = hosts.iter().map(|(_, series)| series.len()).sum();
        if series_count == 0 && !is_known(&query.metric) {
            return Err(QueryError::UnknownMetric(
                query.metric.clone(),
                suggestion(&query.metric),
            ));
        }
        check_attributes(query, fleet, &hosts)?;
        let coarsest = coarsest(query, limits, now)?;
        let step_ms = match query.step_ms.rem_euclid(coarsest) {
            0 => query.step_ms,
            over => query.step_ms.saturating_add(coarsest - over),
        };
        let step_ms = match step_ms >= TIER_FROM_MS && !is_of_rows(query) {
            // Rounded to whole buckets: 420 seconds instead of 432.
            true => {
                UnixMs(step_ms.saturating_add(Tier::Minute.step_ms() / 2))
                    .floor(Tier::Minute.step_ms())
                    .0
            }
            false => step_ms,
        };
        let resample = Resample::aligned(query.from, query.to, step_ms, query.aggregate);
        let points = resample.points().saturating_mul(series_count);
        let points_max = match (&query.group, query.top) {
            (None, 0) => QUERY_POINTS_MAX,
            _ => POINTS_MAX,
        };
        if points > points_max {
            return Err(QueryError::TooManyPoints(points));
        }
        Ok(Self {
            resample,
            to: query.to,
            hosts,
            metric: query.metric.clone(),
        })
    }
}

fn check_attributes(
    query: &Query,
    fleet: &Fleet,
    hosts: &[(HostId, Vec<u32>)],
) -> Result<(), QueryError> {
    let by = query.group.as_ref().map_or(&[][..], |group| &group.by);
    let by: Vec<&Label> = by.iter().filter(|name| name.as_str() != HOST).collect();
    if by.is_empty() || hosts.iter().all(|(_, series)| series.is_empty()) {
        return Ok(());
    }
    let keys = hosts.iter().flat_map(|(id, series)| {
        let keys = fleet.host(*id).map_or(&[][..], |host| host.keys());
        series.iter().filter_map(|index| keys.get(*index as usize))
    });
    let mut known: Vec<&str> = vec![HOST];
    for (name, _) in keys.flat_map(|key| &key.attributes) {
        if !known.contains(&name.as_str()) {
            known.push(name.as_str());
        }
    }
    match by.into_iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(QueryError::UnknownAttribute(
            query.metric.clone(),
            name.clone(),
            known.join(", "),
        )),
        None => Ok(()),
    }
}

fn is_of_rows(query: &Query) -> bool {
    matches!(query.aggregate, Aggregate::Quantile(_))
}

fn check(query: &Query) -> Result<(), QueryError> {
    let is_quantile = |aggregate: &Aggregate| match aggregate {
        Aggregate::Quantile(permille) => *permille <= 1000,
        _ => true,
    };
    if query.step_ms < 1 {
        return Err(QueryError::BadStep);
    }
    if query.to < query.from {
        return Err(QueryError::EmptyRange);
    }
    let across = query.group.as_ref().map(|group| group.across);
    if !(is_quantile(&query.aggregate) && across.as_ref().is_none_or(is_quantile)) {
        return Err(QueryError::BadQuantile);
    }
    if matches!(across, Some(Aggregate::Last | Aggregate::Rate)) {
        return Err(QueryError::BadAcross);
    }
    let by = query.group.as_ref().map_or(0, |group| group.by.len());
    if by > ATTRIBUTES_PER_SERIES_MAX {
        return Err(QueryError::TooManyAttributes);
    }
    Ok(())
}

fn coarsest(query: &Query, limits: &Limits, now: UnixMs) -> Result<i64, QueryError> {
    let begin =
        |kept: std::time::Duration| now - i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    let rows = begin(limits.rows);
    // A query for the whole retention of rows arrives a little later than it was sent.
    if query.from >= rows - LATE_MS {
        return Ok(1);
    }
    if is_of_rows(query) {
        return Err(QueryError::RowsGone(limits.rows.as_secs() / 3600));
    }
    let tier = if query.from >= begin(limits.minutes) - LATE_MS {
        Tier::Minute
    } else {
        Tier::Hour
    };
    Ok(tier.step_ms())
}

impl Plan {
    /// The full name of the metric.
    pub fn metric(&self) -> &str {
        let alias = alias(self.metric.as_str());
        alias.map_or(self.metric.as_str(), |alias| alias.metric.name)
    }

    /// Whether a series is of the metric or alias.
    pub fn wants(&self, key: &SeriesKey) -> bool {
        match alias(self.metric.as_str()) {
            Some(alias) => alias.is(key),
            None => key.metric.name == self.metric,
        }
    }

    pub fn tier(&self) -> Option<Tier> {
        let step_ms = self.resample.step_ms;
        let fits = |tier: &Tier| step_ms % tier.step_ms() == 0;
        let is_of_rows = matches!(self.resample.aggregate, Aggregate::Quantile(_));
        [Tier::Hour, Tier::Minute]
            .into_iter()
            .find(|tier| fits(tier) && !is_of_rows)
    }

    /// Where rows take over for a host that has them from `oldest` on, and buckets up to `rolled`: a boundary of the
    /// tier, so that no row counts twice.
    pub fn rows_from(&self, tier: Tier, oldest: UnixMs, rolled: UnixMs) -> UnixMs {
        let begin = oldest.floor(tier.step_ms());
        let begin = if begin == oldest {
            begin
        } else {
            begin + tier.step_ms()
        };
        if self.resample.step_ms >= TIER_FROM_MS {
            begin.max(rolled)
        } else {
            begin
        }
    }

    pub fn of_host(
        &self,
        host: HostView<'_>,
        series: &[u32],
        past: &Past,
    ) -> Result<Vec<Points>, QueryError> {
        let resample = &self.resample;
        let rows_from = past.rows_from.max(resample.from);
        let table = host.read(series, rows_from - RATE_REACH_MS, self.to)?;
        // Rows before that only make rates, unless buckets do.
        let keep = match past.is_empty() {
            true => 0,
            false => table.times.partition_point(|time| *time < rows_from.0),
        };
        let mut out = Vec::new();
        for (at, (&index, column)) in series.iter().zip(&table.columns).enumerate() {
            let Some(key) = host.keys().get(index as usize) else {
                continue;
            };
            let mut steps = Steps::new(*resample);
            for (chunk, place) in past.of(at) {
                steps.add_buckets(&key.metric, chunk, place, rows_from)?;
            }
            let (times, values) = (table.times.get(keep..), column.get(keep..));
            let before = keep.checked_sub(1).and_then(|at| {
                let time = table.times.get(at)?;
                Some((*time, *column.get(at)?))
            });
            if let Some((time, value)) = before {
                steps.start_after(time, value);
            }
            steps.add_rows(
                &key.metric,
                times.unwrap_or_default(),
                values.unwrap_or_default(),
            );
            out.push(self.points(&host, key, steps));
        }
        for (at, key) in (series.len()..).zip(&past.gone) {
            let mut steps = Steps::new(*resample);
            for (chunk, place) in past.of(at) {
                steps.add_buckets(&key.metric, chunk, place, rows_from)?;
            }
            out.push(self.points(&host, key, steps));
        }
        Ok(out)
    }

    fn points(&self, host: &Host, key: &SeriesKey, steps: Steps) -> Points {
        let resample = &self.resample;
        let is_rate = key.metric.kind == Kind::Counter || resample.aggregate == Aggregate::Rate;
        let suffix = if is_rate { RATE_UNIT_SUFFIX } else { "" };
        Points {
            host: host.name.clone(),
            metric: key.metric.name.clone(),
            unit: Label::new(&format!("{}{suffix}", key.metric.unit)),
            attributes: key.attributes.clone(),
            start: resample.from,
            step_ms: resample.step_ms,
            values: steps.points(&key.metric),
        }
    }
}

pub fn frames(points: Vec<Points>) -> impl Iterator<Item = Points> {
    points.into_iter().flat_map(|points| {
        let parts: Vec<Points> = points
            .values
            .chunks(POINTS_PER_FRAME_MAX)
            .zip(0..)
            .map(|(values, part)| Points {
                start: points.start + part * POINTS_PER_FRAME_MAX as i64 * points.step_ms,
                values: values.to_vec(),
                host: points.host.clone(),
                metric: points.metric.clone(),
                unit: points.unit.clone(),
                attributes: points.attributes.clone(),
                step_ms: points.step_ms,
            })
            .collect();
        parts
    })
}

fn hosts(fleet: &Fleet, name: Option<&Label>) -> Result<Vec<HostId>, QueryError> {
    match name {
        // The hub itself, whatever its name: an earlier one has older rows.
        Some(name) if name.as_str() == HUB_HOST => {
            let hubs = fleet.hosts().filter(|(_, host)| host.kind == HostKind::Hub);
            let own = hubs.max_by_key(|(_, host)| host.present().0);
            Ok(own.map(|(id, _)| id).into_iter().collect())
        }
        Some(name) => {
            let host = fleet.find(name.as_str());
            Ok(vec![host.ok_or_else(|| {
                QueryError::UnknownHost(name.clone(), near_hosts(fleet, name))
            })?])
        }
        None => Ok(fleet.hosts().map(|(id, _)| id).collect()),
    }
}

fn near_hosts(fleet: &Fleet, name: &Label) -> String {
    let names: Vec<&str> = fleet
        .machines()
        .map(|(_, host)| host.name.as_str())
        .collect();
    let hint = suggest(name.as_str(), names.iter().copied());
    let is_near = hint.contains("did you mean");
    match is_near || names.len() <= HOSTS_LISTED_MAX {
        true => hint,
        false => String::new(),
    }
}

/// The series of a metric that may have a value since a moment.
fn series(host: &Host, alias: Option<&Alias>, metric: &Label, since: UnixMs) -> Vec<u32> {
    let is_wanted = |key: &SeriesKey| match alias {
        Some(alias) => alias.is(key),
        None => key.metric.name == *metric,
    };
    let is_wanted_at = |index: &u32| {
        let key = host.keys().get(*index as usize);
        key.is_some_and(|key| is_wanted(key))
    };
    let mut series = host.series_since(since);
    series.retain(is_wanted_at);
    series
}

fn is_known(metric: &Label) -> bool {
    alias(metric.as_str()).is_some() || ALL.iter().any(|known| *metric == known.name)
}

fn suggestion(metric: &Label) -> String {
    let asked = metric.as_str();
    let part = asked.rsplit('.').next().unwrap_or(asked);
    let near = |name: &&str| !part.is_empty() && (name.contains(part) || asked.contains(*name));
    let names: Vec<&str> = ALIASES
        .iter()
        .map(|a| a.alias)
        .chain(ALL.iter().map(|m| m.name))
        .filter(near)
        .take(4)
        .collect();
    if names.is_empty() {
        let aliases: Vec<&str> = ALIASES.iter().map(|a| a.alias).collect();
        format!("; try one of {}", aliases.join(", "))
    } else {
        format!("; did you mean {}?", names.join(" or "))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use sysmon_wire::message::Group;

    use super::*;
    use crate::core::Core;
    use crate::core::tests::{core, host_with_cpu, row};
    use sysmon_series::Buckets;
    use sysmon_wire::message::RunId;

    pub(crate) fn limits() -> Limits {
        Limits {
            bytes: u64::MAX,
            rows: std::time::Duration::from_hours(24),
            minutes: std::time::Duration::from_hours(24 * 30),
            hours: std::time::Duration::from_hours(24 * 730),
        }
    }

    /// Answers from memory alone.
    fn query(core: &Core, query: &Query) -> Result<Vec<Points>, QueryError> {
        let plan = Plan::new(query, &core.fleet, &limits(), UnixMs(40_000))?;
        let mut all = Vec::new();
        for (id, series) in &plan.hosts {
            let host = core.fleet.host(*id).unwrap();
            all.extend(plan.of_host(host.into(), series, &Past::default())?);
        }
        Ok(combine(all, query.group.as_ref(), query.top.into()))
    }

    fn filled() -> Core {
        let mut core = core();
        let id = host_with_cpu(&mut core, "a");
        for n in (1..=30i64).filter(|n| *n != 15) {
            core.apply(
                id,
                RunId(1),
                &row(n as u64, n * 1000, n * 10),
                UnixMs(n * 1000),
            )
            .unwrap();
        }
        core
    }

    fn ask(metric: &str, from: i64, to: i64, step_ms: i64) -> Query {
        Query {
            metric: metric.into(),
            host: None,
            from: UnixMs(from),
            to: UnixMs(to),
            step_ms,
            aggregate: Aggregate::Mean,
            group: None,
            top: 0,
        }
    }

    #[test]
    fn a_missing_second_is_missing() {
        let points = query(&filled(), &ask("cpu", 14_000, 16_000, 1000)).unwrap();
        let [points] = &points[..] else {
            panic!("one series")
        };
        assert_eq!((points.start, points.unit.as_str()), (UnixMs(14_000), "1"));
        assert_eq!(points.values[0], 0.14);
        assert!(points.values[1].is_nan());
        assert_eq!(points.values[2], 0.16);
    }

    #[test]
    fn errors_say_why_a_query_is_refused() {
        let core = filled();
        let no = |q: Query| query(&core, &q).unwrap_err().to_string();
        assert!(no(ask("cqu", 0, 1, 1)).contains("try one of cpu"));
        assert!(no(ask("system.cpu.utilisation.cpu", 0, 1, 1)).contains("did you mean cpu"));
        assert!(no(ask("cpu", 9, 1, 1)).contains("ends before it begins"));
        assert!(no(ask("cpu", 0, 1, 0)).contains("step"));
        assert!(no(ask("cpu", 0, i64::MAX, 1)).contains("over the limit"));
        assert!(
            no(Query {
                host: Some("x".into()),
                ..ask("cpu", 0, 1, 1)
            })
            .contains("no host \"x\"; there are a")
        );
        let by = |name: &str| Query {
            group: Some(Group {
                by: vec!["host".into(), name.into()],
                across: Aggregate::Mean,
            }),
            ..ask("cpu", 0, 1, 1)
        };
        assert!(no(by("nosuch")).contains("no attribute \"nosuch\""));
        assert!(query(&core, &by("host")).is_ok());
    }

    #[test]
    fn a_known_metric_without_series_is_not_an_error() {
        assert_eq!(
            query(&filled(), &ask("temp.max", 0, 1000, 1000)),
            Ok(Vec::new())
        );
    }

    #[test]
    fn minutes_and_rows_together_answer_like_rows_alone() {
        let mut core = core();
        let id = host_with_cpu(&mut core, "a");
        for n in 1..=1_500i64 {
            let row = row(n as u64, n * 1000, n * 7919 % 1000);
            core.apply(id, RunId(1), &row, UnixMs(n * 1000)).unwrap();
        }
        let host = core.fleet.host(id).unwrap();
        let table = host.ring.read(&[0], UnixMs(0), UnixMs(1_500_000)).unwrap();
        let chunk =
            sysmon_series::Chunk::seal(&table.times, table.columns.iter().map(Vec::as_slice))
                .unwrap();
        let end = UnixMs(900_000);
        let minutes = Buckets::roll_up(&[chunk], &[Some(Kind::Gauge)], UnixMs(0), end, 60_000);
        let minutes = minutes.unwrap().seal().unwrap().unwrap();
        for aggregate in [
            Aggregate::Mean,
            Aggregate::Min,
            Aggregate::Max,
            Aggregate::Last,
            Aggregate::Sum,
        ] {
            let question = Query {
                aggregate,
                ..ask("cpu", 0, 1_500_000, 120_000)
            };
            let plan = Plan::new(&question, &core.fleet, &limits(), UnixMs(1_500_000)).unwrap();
            let rows = plan.of_host(host.into(), &[0], &Past::default()).unwrap();
            let past = Past {
                rows_from: plan.rows_from(Tier::Minute, UnixMs(850_001), UnixMs(0)),
                buckets: TierBuckets {
                    numbers: vec![Some(0)],
                    parts: vec![(0, minutes.clone())],
                },
                ..Past::default()
            };
            assert_eq!(past.rows_from, end);
            let both = plan.of_host(host.into(), &[0], &past).unwrap();
            let pairs = rows[0].values.iter().zip(&both[0].values);
            for (rows, both) in pairs {
                assert!((rows - both).abs() < 1e-9, "{aggregate:?} {rows} {both}");
            }
        }
    }

    #[test]
    fn old_data_has_longer_steps_and_no_quantiles() {
        let core = filled();
        let now = UnixMs(40 * 86_400_000);
        let step = |from: i64, aggregate| {
            let question = Query {
                aggregate,
                ..ask("cpu", from * 86_400_000, now.0, 10_000)
            };
            let plan = Plan::new(&question, &core.fleet, &limits(), now);
            plan.map(|plan| (plan.resample.step_ms, plan.tier()))
        };
        let (mean, p95) = (Aggregate::Mean, Aggregate::Quantile(950));
        assert_eq!(step(39, mean), Ok((10_000, None)));
        assert_eq!(step(20, mean), Ok((60_000, Some(Tier::Minute))));
        assert_eq!(step(3, mean), Ok((3_600_000, Some(Tier::Hour))));
        let odd = Query {
            step_ms: 90 * 60_000,
            ..ask("cpu", 3 * 86_400_000, now.0, 1)
        };
        let plan = Plan::new(&odd, &core.fleet, &limits(), now).unwrap();
        assert_eq!(plan.resample.step_ms, 7_200_000, "whole hours");
        assert!(step(39, p95).is_ok());
        assert_eq!(step(20, p95), Err(QueryError::RowsGone(24)));
        let p101 = Aggregate::Quantile(1001);
        assert_eq!(step(39, p101), Err(QueryError::BadQuantile));
    }
}
