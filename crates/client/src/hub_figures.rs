//! The hub's own figures as data: metric, name in JSON and expositions, and how a subscriber reads them.
//!
//! A hub records them once a second as the rows of a host called `hub:NAME`.

use sysmon_wire::message::HUB_HOST;
use sysmon_wire::metrics::{self, Metric, unscale};
use sysmon_wire::{ABSENT, Kind, Label, RowDecoder, RowError, SeriesKey, UnixMs};

/// Name of the host that stands for the hub `name`.
pub fn host_name(name: &str) -> Label {
    // Certificate names cannot contain a colon.
    Label::new(&format!("{HUB_HOST}{name}"))
}

/// Describes one of the [`Figures`].
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Metric under which it is recorded.
    pub metric: Metric,
    /// `NAME` in JSON and `sysmon_hub_NAME` in expositions.
    pub name: &'static str,
    /// Reads its raw value.
    pub get: fn(&Figures) -> i64,
}

macro_rules! figures {
    ($($field:ident = $metric:ident, $name:literal, $about:literal;)*) => {
        /// A hub's figures at one moment, scaled as their metrics say; [`ABSENT`] where unknown.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Figures {
            $(#[doc = $about] pub $field: i64,)*
        }

        /// Every figure, in the order of a row's values.
        pub const FIGURES: &[Figure] = &[
            $(Figure { metric: metrics::$metric, name: $name, get: |figures| figures.$field }),*
        ];
    };
}

figures! {
    ingest_rows = HUB_INGEST_ROWS, "ingest_rows_total", "Rows received since the hub started.";
    ingest_values = HUB_INGEST_VALUES, "ingest_values_total", "Values in those rows.";
    commit_us = HUB_COMMIT_TIME, "commit_seconds", "Duration of the last commit in microseconds.";
    ring_bytes = HUB_RING_USAGE, "ring_bytes", "Size of all rings.";
    unsealed_bytes = HUB_RING_UNSEALED, "ring_unsealed_bytes", "The part of the rings that is not compressed yet.";
    history_bytes = HUB_HISTORY_USAGE, "history_bytes", "Size of the history on disk.";
    damaged_histories = HUB_HISTORY_DAMAGED, "damaged_histories", "Damaged histories that were moved aside.";
    subscribers = HUB_SUBSCRIBERS, "subscribers", "Open subscriptions.";
    agents = HUB_AGENTS, "agents", "Connected agents.";
    outdated_agents = HUB_AGENTS_OUTDATED, "outdated_agents", "Live hosts whose agent the next release does not support.";
    refused = HUB_REFUSED, "refused_total", "Connections, streams and requests refused since the hub started.";
    datagrams_dropped = HUB_DATAGRAMS_DROPPED, "datagrams_dropped_total", "Datagrams dropped because the receive buffer was full.";
    otlp_points = HUB_OTLP_POINTS, "otlp_points_total", "Points received as OTLP since the hub started.";
    otlp_rejected = HUB_OTLP_REJECTED, "otlp_rejected_total", "Points among them that could not be stored.";
    lag_ms = HUB_LAG, "lag_seconds", "Lag of the live host that is furthest behind.";
    cpu_us = HUB_CPU_TIME, "cpu_seconds_total", "Processor time used since the hub started, in microseconds.";
    resident_bytes = HUB_MEMORY_USAGE, "resident_bytes", "Resident memory of the process.";
}

/// The newest figures as a subscriber decodes them from the rows of the host that stands for a hub.
#[derive(Clone, Debug, Default)]
pub struct ReceivedFigures {
    keys: Vec<SeriesKey>,
    decoder: RowDecoder,
    /// The second newest row and the newest.
    rows: [Option<(UnixMs, Vec<i64>)>; 2],
}

impl ReceivedFigures {
    /// Adds definitions of series.
    pub fn define(&mut self, keys: Vec<SeriesKey>) {
        self.keys.extend(keys);
    }

    /// Adds an encoded block of rows.
    ///
    /// # Errors
    /// The block is damaged, or does not fit the series defined so far.
    pub fn add(&mut self, mut block: &[u8]) -> Result<(), RowError> {
        while let Some(row) = self.decoder.decode(&mut block, self.keys.len())? {
            let [before, newest] = &mut self.rows;
            *before = newest.replace((row.time, row.values.clone()));
        }
        Ok(())
    }

    /// The newest value in the metric's unit.
    pub fn value(&self, metric: &Metric) -> Option<f64> {
        let [_, newest] = &self.rows;
        let raw = self.raw(newest.as_ref()?, metric)?;
        Some(unscale(raw, metric.scale))
    }

    /// A counter's increase per second, between the two newest rows.
    pub fn rate(&self, metric: &Metric) -> Option<f64> {
        let [Some(before), Some(newest)] = &self.rows else {
            return None;
        };
        let raw = |row: &(UnixMs, Vec<i64>)| Some((row.0.0, self.raw(row, metric)?));
        let rate = sysmon_series::rate(raw(before)?, raw(newest)?)?;
        (metric.kind == Kind::Counter).then(|| rate * 10f64.powi(i32::from(metric.scale)))
    }

    fn raw(&self, row: &(UnixMs, Vec<i64>), metric: &Metric) -> Option<i64> {
        let found = self
            .keys
            .iter()
            .position(|key| key.metric.name == metric.name && key.attributes.is_empty())?;
        row.1.get(found).copied().filter(|raw| *raw != ABSENT)
    }
}
