//! History of the summary's metrics, and values at a past moment. Pure.

use sysmon_series::Resample;
use sysmon_wire::limits::SPARK_POINTS_MAX;
use sysmon_wire::message::{Aggregate, HostState, HostTick, Spark};
use sysmon_wire::metrics::{ALIASES, Alias, SUMMARY};
use sysmon_wire::{ABSENT, UnixMs};

use super::PAST_REACH_MS;
use crate::fleet::{HostId, HostView};
use crate::host::Host;

#[derive(Clone, Debug, Default)]
pub struct SparkRequest {
    pub points: u16,
    pub step_ms: u32,
    /// Indices into [`ALIASES`], below [`SUMMARY`].
    pub aliases: Vec<u8>,
}

impl SparkRequest {
    pub fn from(&self, at: UnixMs) -> UnixMs {
        let points = i64::from(self.points.min(SPARK_POINTS_MAX));
        at - points.saturating_mul(i64::from(self.step_ms.max(1)))
    }
}

/// A host's values at a moment and its history until then, from one reading of its rows.
pub(super) fn past(
    id: HostId,
    host: HostView<'_>,
    at: UnixMs,
    request: &SparkRequest,
) -> (HostTick, Vec<Spark>) {
    let rows_ms = host.step_ms();
    let apart_ms = rows_ms.max(i64::from(host.facts.interval_ms));
    // A rate needs the row before.
    let since = at - PAST_REACH_MS.max(2 * apart_ms);
    let resample = resample(at, request, rows_ms);
    let from = resample.as_ref().map_or(since, |resample| {
        since.min(resample.from - PAST_REACH_MS.max(rows_ms))
    });
    let table = host.summary_rows(from, at).unwrap_or_default();
    let found = Host::newest_of(&table, since);
    let tick = match found.filter(|(time, _)| at - *time <= PAST_REACH_MS.max(apart_ms)) {
        Some((time, values)) => {
            let state = if at - time <= (PAST_REACH_MS / 2).max(apart_ms) {
                HostState::Live
            } else {
                HostState::Stale
            };
            HostTick {
                index: id.0,
                state,
                time,
                values: values.to_vec(),
            }
        }
        None => HostTick {
            index: id.0,
            state: HostState::Offline,
            time: UnixMs(0),
            values: vec![ABSENT; SUMMARY],
        },
    };
    let Some(resample) = resample.filter(|_| host.newest().is_some()) else {
        return (tick, Vec::new());
    };
    let columns = aliases(&host, request).filter_map(|(place, _, alias)| {
        let column = table.columns.get(usize::from(place))?;
        Some(spark(id, place, alias, &resample, &table.times, column))
    });
    (tick, columns.collect())
}

pub(super) fn history(
    id: HostId,
    host: HostView<'_>,
    end: Option<UnixMs>,
    request: &SparkRequest,
) -> Vec<Spark> {
    let rows_ms = host.step_ms();
    let Some(newest) = host.newest() else {
        return Vec::new();
    };
    let end = end.unwrap_or(newest);
    let Some(resample) = resample(end, request, rows_ms) else {
        return Vec::new();
    };
    let aliases: Vec<_> = aliases(&host, request).collect();
    let series: Vec<u32> = aliases.iter().map(|(_, index, _)| *index).collect();
    // The first rate needs the row before the first step.
    let from = resample.from - PAST_REACH_MS.max(rows_ms);
    let Ok(table) = host.read(&series, from, end) else {
        return Vec::new();
    };
    let columns = aliases.iter().zip(&table.columns);
    columns
        .map(|((place, _, alias), column)| {
            spark(id, *place, alias, &resample, &table.times, column)
        })
        .collect()
}

/// The steps of a history up to `end`; none if no points are requested.
fn resample(end: UnixMs, request: &SparkRequest, rows_ms: i64) -> Option<Resample> {
    let points = i64::from(request.points.min(SPARK_POINTS_MAX));
    let step_ms = i64::from(request.step_ms.max(1)).max(rows_ms);
    let from = end - (points - 1).saturating_mul(step_ms);
    (points > 0).then(|| Resample::aligned(from, end, step_ms, Aggregate::Mean))
}

/// Index, series and definition of each requested alias that the host has.
fn aliases<'a>(
    host: &'a Host,
    request: &'a SparkRequest,
) -> impl Iterator<Item = (u8, u32, &'static Alias)> + 'a {
    let known = request.aliases.iter().filter_map(|&place| {
        let index = (*host.summary.get(usize::from(place))?)?;
        Some((place, index, ALIASES.get(usize::from(place))?))
    });
    known.take(SUMMARY)
}

fn spark(
    id: HostId,
    place: u8,
    alias: &Alias,
    resample: &Resample,
    times: &[i64],
    column: &[i64],
) -> Spark {
    let real = resample.apply(&alias.metric.def(), times, column);
    let scale = 10f64.powi(-i32::from(alias.metric.scale));
    let scaled = |v: &f64| {
        if v.is_nan() {
            ABSENT
        } else {
            (v * scale).round() as i64
        }
    };
    Spark {
        index: id.0,
        alias: place,
        end: resample.to,
        points: real.iter().map(scaled).collect(),
    }
}
