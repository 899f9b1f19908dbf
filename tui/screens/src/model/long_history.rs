//! Points of history for charts that show more than the rows of a host's screen: which are requested, and which came.

use sysmon_wire::message::{Points, Query, Request};
use sysmon_wire::metrics::{
    CPU_UTILIZATION, DISK_IO, FS_UTILIZATION, LOAD_1M, MEMORY_USAGE, NET_IO, PRESSURE_TIME,
    TEMPERATURE,
};
use sysmon_wire::{Label, SeriesKey, UnixMs};

use super::window::ChartSpan;
use crate::subscriptions::{Subscription, Topic};

/// The history is requested again this often at least; rows fill what is newer, and reach further back than this.
const FOLLOW_MS: i64 = 10 * 60_000;

/// Series held: more than any chart draws.
const SERIES_MAX: usize = 2_000;

const POINTS_MAX: usize = 1_024;

/// A metric whose charts are drawn; the processor alone without its cores and modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted(&'static str);

/// What a host's screen and the preview draw.
const USUAL: [Wanted; 6] = [
    Wanted("cpu"),
    Wanted(MEMORY_USAGE.name),
    Wanted(NET_IO.name),
    Wanted(DISK_IO.name),
    Wanted(PRESSURE_TIME.name),
    Wanted(LOAD_1M.name),
];

/// Queries for one host at most.
pub const QUERIES_MAX: usize = USUAL.len() + 1;

impl Wanted {
    pub const CORES: Self = Self(CPU_UTILIZATION.name);
    pub const FILESYSTEMS: Self = Self(FS_UTILIZATION.name);
    pub const TEMPERATURES: Self = Self(TEMPERATURE.name);
}

/// What is requested of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    host: Label,
    span: ChartSpan,
    at: Option<UnixMs>,
    more: Option<Wanted>,
}

/// The requests; the points go into [`LongHistory`].
#[derive(Debug, Default)]
pub struct HistoryRequests {
    asked: Option<Asked>,
    to: UnixMs,
    round: u32,
}

impl HistoryRequests {
    /// Requests the history of a host for a span that rows do not cover; of none otherwise.
    pub fn follow(
        &mut self,
        host: Option<&Label>,
        span: ChartSpan,
        (now, at): (UnixMs, Option<UnixMs>),
        more: Option<Wanted>,
    ) {
        let Some(host) = host.filter(|_| span.is_long()) else {
            self.asked = None;
            return;
        };
        let host = host.clone();
        let asked = Some(Asked {
            host,
            span,
            at,
            more,
        });
        let is_old = at.is_none() && !(0..FOLLOW_MS).contains(&(now - self.to));
        if self.asked != asked || is_old {
            self.asked = asked;
            self.to = at.unwrap_or(now);
        }
    }

    /// The same again on another connection.
    pub fn forget_requested(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    pub fn subscriptions(&self, topic: impl Fn(usize) -> Topic, wanted: &mut Vec<Subscription>) {
        let Some(asked) = &self.asked else { return };
        let step_ms = asked.span.step_ms();
        let from = self.to - asked.span.ms() - step_ms;
        for (at, metric) in USUAL.iter().chain(&asked.more).enumerate() {
            let query = Query {
                host: Some(asked.host.clone()),
                ..Query::new(metric.0.into(), from, self.to, step_ms)
            };
            wanted.push(Subscription {
                round: self.round,
                ..Subscription::new(topic(at), Request::Query(query))
            });
        }
    }
}

#[derive(Clone, Debug)]
struct LongSeries {
    metric: Label,
    attributes: Vec<(Label, Label)>,
    start: UnixMs,
    step_ms: i64,
    values: Vec<f64>,
}

/// Points of history of a host, by series.
#[derive(Clone, Debug, Default)]
pub struct LongHistory(Vec<LongSeries>);

impl LongHistory {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a series, or a further part of one; replaces what is known of it if it is in other steps.
    pub fn add(&mut self, part: Points) {
        let is_same = |series: &&mut LongSeries| {
            series.metric == part.metric && series.attributes == part.attributes
        };
        if let Some(series) = self.0.iter_mut().find(is_same) {
            let end = series.start + series.values.len() as i64 * series.step_ms;
            if part.step_ms == series.step_ms
                && part.start == end
                && series.values.len() + part.values.len() <= POINTS_MAX
            {
                series.values.extend(part.values);
            } else {
                (series.start, series.step_ms) = (part.start, part.step_ms.max(1));
                series.values = part.values;
            }
            return;
        }
        if self.0.len() < SERIES_MAX {
            self.0.push(LongSeries {
                metric: part.metric,
                attributes: part.attributes,
                start: part.start,
                step_ms: part.step_ms.max(1),
                values: part.values,
            });
        }
    }

    fn find(&self, key: &SeriesKey) -> Option<&LongSeries> {
        self.0.iter().find(|series| {
            series.metric == key.metric.name
                && series.attributes.len() == key.attributes.len()
                && series
                    .attributes
                    .iter()
                    .all(|(name, value)| key.attribute(name.as_str()) == Some(value))
        })
    }

    /// The points of a series in a span, the end exclusive.
    pub fn between(
        &self,
        key: &SeriesKey,
        (from, to): (UnixMs, UnixMs),
    ) -> impl Iterator<Item = (UnixMs, f64)> + '_ {
        let series = self.find(key);
        let points = series.into_iter().flat_map(|series| {
            let times = (0..).map(|n| series.start + n * series.step_ms);
            times.zip(&series.values)
        });
        let is_in =
            move |(time, value): &(UnixMs, &f64)| (from..to).contains(time) && value.is_finite();
        points.filter(is_in).map(|(time, value)| (time, *value))
    }
}
