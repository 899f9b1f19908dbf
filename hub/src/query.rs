//! One metric over time, of one host or of all.

use sysmon_series::{RATE_UNIT_SUFFIX, Resample};
use sysmon_wire::limits::{POINTS_PER_FRAME_MAX, QUERY_POINTS_MAX};
use sysmon_wire::message::{Aggregate, Points};
use sysmon_wire::metrics::{ALIASES, ALL, Alias, alias};
use sysmon_wire::{Kind, Label, SeriesKey, UnixMs};
use thiserror::Error;

use crate::fleet::Fleet;
use crate::host::Host;

/// How far before the first step a row may lie to make the first rate.
const RATE_REACH_MS: i64 = 60_000;

/// A question.
#[derive(Clone, Debug)]
pub struct Query {
    /// An alias or a metric's full name.
    pub metric: Label,
    /// Of one host, or of all.
    pub host: Option<Label>,
    /// From this moment.
    pub from: UnixMs,
    /// Up to and including this one.
    pub to: UnixMs,
    /// Milliseconds a point stands for.
    pub step_ms: i64,
    /// What the rows of one step become.
    pub aggregate: Aggregate,
}

/// Why a question has no answer.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum QueryError {
    /// No such metric anywhere.
    #[error("no host has a metric {0:?}{1}")]
    UnknownMetric(Label, String),
    /// No such host.
    #[error("there is no host {0:?}")]
    UnknownHost(Label),
    /// It begins after it ends, or the like.
    #[error("the time range is empty: it ends before it begins")]
    EmptyRange,
    /// A step of nothing.
    #[error("the step must be at least 1 ms")]
    BadStep,
    /// Too much for one answer.
    #[error(
        "{0} points are over the limit of {QUERY_POINTS_MAX}: use a longer step or a shorter range"
    )]
    TooManyPoints(usize),
    /// The ring cannot be read.
    #[error("{0}")]
    Damaged(String),
}

/// Answers a query, each part short enough for one frame.
pub fn query(fleet: &Fleet, query: &Query) -> Result<Vec<Points>, QueryError> {
    if query.step_ms < 1 {
        return Err(QueryError::BadStep);
    }
    if query.to < query.from {
        return Err(QueryError::EmptyRange);
    }
    let hosts = hosts(fleet, query.host.as_ref())?;
    let alias = alias(query.metric.as_str());
    let wanted: Vec<_> = hosts
        .iter()
        .map(|host| (*host, series(host, alias, &query.metric)))
        .collect();
    let series_count: usize = wanted.iter().map(|(_, series)| series.len()).sum();
    if series_count == 0 && !is_known(&query.metric) {
        return Err(QueryError::UnknownMetric(
            query.metric.clone(),
            suggestion(&query.metric),
        ));
    }
    let resample = Resample::aligned(query.from, query.to, query.step_ms, query.aggregate);
    let points = resample.points().saturating_mul(series_count);
    if points > QUERY_POINTS_MAX {
        return Err(QueryError::TooManyPoints(points));
    }
    let mut out = Vec::new();
    for (host, series) in wanted {
        host_points(host, &series, &resample, query.to, &mut out)?;
    }
    Ok(out)
}

fn hosts<'a>(fleet: &'a Fleet, name: Option<&Label>) -> Result<Vec<&'a Host>, QueryError> {
    match name {
        Some(name) => {
            let host = fleet.find(name.as_str()).and_then(|id| fleet.host(id));
            Ok(vec![
                host.ok_or_else(|| QueryError::UnknownHost(name.clone()))?,
            ])
        }
        None => Ok(fleet.hosts().map(|(_, host)| host).collect()),
    }
}

fn series(host: &Host, alias: Option<&Alias>, metric: &Label) -> Vec<u32> {
    let is_wanted = |key: &SeriesKey| match alias {
        Some(alias) => alias.is(key),
        None => key.metric.name == *metric,
    };
    let keys = host.keys().iter().enumerate();
    keys.filter(|(_, key)| is_wanted(key))
        .map(|(index, _)| index as u32)
        .collect()
}

fn is_known(metric: &Label) -> bool {
    alias(metric.as_str()).is_some() || ALL.iter().any(|known| *metric == known.name)
}

/// Known names that share a part with the one asked for.
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

fn host_points(
    host: &Host,
    series: &[u32],
    resample: &Resample,
    to: UnixMs,
    out: &mut Vec<Points>,
) -> Result<(), QueryError> {
    let table = host
        .ring
        .read(series, resample.from - RATE_REACH_MS, to)
        .map_err(|e| QueryError::Damaged(e.to_string()))?;
    for (&index, column) in series.iter().zip(&table.columns) {
        let Some(key) = host.keys().get(index as usize) else {
            continue;
        };
        let values = resample.apply(&key.metric, &table.times, column);
        let suffix = if key.metric.kind == Kind::Counter {
            RATE_UNIT_SUFFIX
        } else {
            ""
        };
        for (part, values) in values.chunks(POINTS_PER_FRAME_MAX).enumerate() {
            let offset = (part * POINTS_PER_FRAME_MAX) as i64 * resample.step_ms;
            out.push(Points {
                host: host.name.clone(),
                metric: key.metric.name.clone(),
                unit: Label::new(&format!("{}{suffix}", key.metric.unit)),
                attributes: key.attributes.clone(),
                start: resample.from + offset,
                step_ms: resample.step_ms,
                values: values.to_vec(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::tests::{fleet, host_with_cpu, row};
    use sysmon_wire::message::RunId;

    fn filled() -> Fleet {
        let mut fleet = fleet();
        let id = host_with_cpu(&mut fleet, "a");
        for n in (1..=30i64).filter(|n| *n != 15) {
            fleet
                .apply(
                    id,
                    RunId(1),
                    &row(n as u64, n * 1000, n * 10),
                    UnixMs(n * 1000),
                )
                .unwrap();
        }
        fleet
    }

    fn ask(metric: &str, from: i64, to: i64, step_ms: i64) -> Query {
        Query {
            metric: metric.into(),
            host: None,
            from: UnixMs(from),
            to: UnixMs(to),
            step_ms,
            aggregate: Aggregate::Mean,
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
    fn questions_without_an_answer_say_why() {
        let fleet = filled();
        let no = |q: Query| query(&fleet, &q).unwrap_err().to_string();
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
            .contains("no host")
        );
    }

    #[test]
    fn a_known_metric_that_no_host_has_is_no_error() {
        assert_eq!(
            query(&filled(), &ask("temp.max", 0, 1000, 1000)),
            Ok(Vec::new())
        );
    }
}
