//! One host in full: a window of its rows, and the values and rates made of them.

use std::collections::VecDeque;

use sysmon_series::rate;
use sysmon_wire::limits::SERIES_PER_HOST_MAX;
use sysmon_wire::message::HostLine;
use sysmon_wire::metrics::{Metric, unscale};
use sysmon_wire::{
    ABSENT, Kind, Label, RowDecoder, RowError, SchemaError, SeriesKey, SeriesTable, UnixMs,
};

use super::ROWS_MS;

/// Milliseconds of rows asked for when a host is opened.
pub const WINDOW_MS: i64 = 10 * 60 * 1000;

/// Rows kept: the window at one a second, and some for hosts that sample more often.
const ROWS_MAX: usize = 1_200;

/// A host whose every row is followed.
#[derive(Debug)]
pub struct HostView {
    /// Its name.
    pub name: Label,
    /// What is known of it.
    pub line: Option<HostLine>,
    /// Whether everything asked for is here.
    pub complete: bool,
    /// Why the hub does not show it, if it does not.
    pub refused: Option<Label>,
    resolution_ms: i64,
    keys: Vec<SeriesKey>,
    rows: VecDeque<(i64, Vec<i64>)>,
    decoder: RowDecoder,
    /// Whether rows are passed over, since there were some that cannot be read.
    lost: bool,
}

impl HostView {
    /// A host of which nothing is known yet.
    pub fn new(name: Label) -> Self {
        Self {
            name,
            line: None,
            complete: false,
            refused: None,
            resolution_ms: ROWS_MS,
            keys: Vec::new(),
            rows: VecDeque::new(),
            decoder: RowDecoder::new(),
            lost: false,
        }
    }

    /// Milliseconds from one row to the next: more than a second where only minutes or hours are kept.
    pub fn resolution_ms(&self) -> i64 {
        self.resolution_ms
    }

    /// Takes how far rows are apart.
    pub fn set_resolution(&mut self, step_ms: i64) {
        self.resolution_ms = step_ms.max(ROWS_MS);
    }

    /// The window that charts stand for: as many rows, however far they are apart.
    pub fn window_ms(&self) -> i64 {
        (WINDOW_MS / ROWS_MS).saturating_mul(self.resolution_ms)
    }

    /// Takes further series.
    pub fn add_series(&mut self, table: &SeriesTable) -> Result<(), SchemaError> {
        let keys = table.keys()?;
        if self.keys.len() + keys.len() > SERIES_PER_HOST_MAX {
            return Err(SchemaError::TooMany("series"));
        }
        self.keys.extend(keys);
        Ok(())
    }

    /// Takes rows. After rows that cannot be read, others are passed over up to the next keyframe.
    pub fn add_rows(&mut self, keyframe: bool, bytes: &[u8]) -> Result<(), RowError> {
        if keyframe {
            self.decoder.reset();
            self.rows.clear();
            self.lost = false;
        }
        if self.lost {
            return Ok(());
        }
        let taken = self.take_rows(bytes);
        self.lost = taken.is_err();
        taken
    }

    fn take_rows(&mut self, mut bytes: &[u8]) -> Result<(), RowError> {
        while let Some(row) = self.decoder.decode(&mut bytes, self.keys.len())? {
            if self.rows.len() >= ROWS_MAX {
                self.rows.pop_front();
            }
            self.rows.push_back((row.time.0, row.values.clone()));
        }
        Ok(())
    }

    /// When the newest row was taken.
    pub fn newest(&self) -> Option<UnixMs> {
        self.rows.back().map(|(time, _)| UnixMs(*time))
    }

    /// The index of the series of a metric that has exactly these attributes.
    pub fn find(&self, metric: &Metric, attributes: &[(&str, &str)]) -> Option<usize> {
        self.keys.iter().position(|key| {
            key.metric.name == metric.name
                && key.attributes.len() == attributes.len()
                && attributes
                    .iter()
                    .all(|(k, v)| key.attribute(k).is_some_and(|a| *a == *v))
        })
    }

    /// The different values that an attribute has among the series of a metric, with at least one
    /// value now, in the order the host tells them.
    pub fn values_of(&self, metric: &Metric, attribute: &str) -> Vec<Label> {
        let mut found: Vec<Label> = Vec::new();
        for (at, key) in self.keys.iter().enumerate() {
            if key.metric.name != metric.name || self.raw(at).is_none() {
                continue;
            }
            if let Some(value) = key.attribute(attribute)
                && !found.contains(value)
            {
                found.push(value.clone());
            }
        }
        found
    }

    /// The device of the series of a metric whose `attribute` has this value.
    pub fn device_of(&self, metric: &Metric, attribute: &str, value: &Label) -> Option<Label> {
        let of_it = |key: &&SeriesKey| {
            key.metric.name == metric.name && key.attribute(attribute) == Some(value)
        };
        self.keys
            .iter()
            .find(of_it)?
            .attribute("system.device")
            .cloned()
    }

    /// The newest value of a series: a gauge's level, or a counter's rate a second.
    pub fn now(&self, metric: &Metric, attributes: &[(&str, &str)]) -> Option<f64> {
        let at = self.find(metric, attributes)?;
        let (time, value) = self
            .rows
            .back()
            .and_then(|row| Some((row.0, *row.1.get(at)?)))?;
        match metric.kind {
            Kind::Gauge => (value != ABSENT).then(|| unscale(value, metric.scale)),
            Kind::Counter => {
                let before = self
                    .rows
                    .len()
                    .checked_sub(2)
                    .and_then(|n| self.rows.get(n))?;
                let rate = rate((before.0, *before.1.get(at)?), (time, value))?;
                Some(rate * 10f64.powi(i32::from(metric.scale)))
            }
        }
    }

    /// The newest count of a counter, as it stands.
    pub fn total(&self, metric: &Metric, attributes: &[(&str, &str)]) -> Option<f64> {
        let value = self.raw(self.find(metric, attributes)?)?;
        Some(unscale(value, metric.scale))
    }

    fn raw(&self, at: usize) -> Option<i64> {
        self.rows
            .back()?
            .1
            .get(at)
            .copied()
            .filter(|value| *value != ABSENT)
    }

    /// Means over `points` steps of `step_ms`, the last of which ends at or before the newest row.
    /// Only full steps are shown, so that the picture moves a whole step at a time.
    pub fn history(
        &self,
        metric: &Metric,
        attributes: &[(&str, &str)],
        points: usize,
        step_ms: i64,
    ) -> Vec<Option<f64>> {
        let mut steps = vec![(0.0, 0u32); points];
        let (Some(at), Some(newest)) = (self.find(metric, attributes), self.newest()) else {
            return vec![None; points];
        };
        let end = (newest + 1).floor(step_ms);
        let start = end - step_ms.saturating_mul(points as i64);
        let factor = 10f64.powi(i32::from(metric.scale));
        let mut before = (0, ABSENT);
        for (time, values) in &self.rows {
            let value = values.get(at).copied().unwrap_or(ABSENT);
            let real = match metric.kind {
                Kind::Gauge => (value != ABSENT).then_some(value as f64),
                Kind::Counter => rate(before, (*time, value)),
            };
            before = (*time, value);
            let step = (*time - start.0).div_euclid(step_ms);
            let step = usize::try_from(step)
                .ok()
                .and_then(|step| steps.get_mut(step));
            if let (Some(real), Some(step)) = (real, step) {
                step.0 += real * factor;
                step.1 += 1;
            }
        }
        steps
            .iter()
            .map(|(sum, n)| (*n > 0).then(|| sum / f64::from(*n)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::RowEncoder;
    use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO};

    const RECEIVE: &[(&str, &str)] = &[("network.io.direction", "receive")];

    fn view() -> HostView {
        let mut view = HostView::new("h".into());
        let keys = [CPU_UTILIZATION.series(&[]), NET_IO.series(RECEIVE)];
        view.add_series(&SeriesTable::new(&keys)).unwrap();
        let (mut encoder, mut block) = (RowEncoder::new(), Vec::new());
        for n in (1..=20i64).filter(|n| !(7..=9).contains(n)) {
            encoder.encode(n as u64, UnixMs(n * 1000), &[n * 10, n * 500], &mut block);
        }
        view.add_rows(true, &block).unwrap();
        view
    }

    #[test]
    fn gauges_are_levels_and_counters_rates() {
        let view = view();
        assert_eq!(view.now(&CPU_UTILIZATION, &[]), Some(0.2));
        assert_eq!(view.now(&NET_IO, RECEIVE), Some(500.0));
        assert_eq!(view.total(&NET_IO, RECEIVE), Some(10_000.0));
        assert_eq!(view.now(&NET_IO, &[]), None);
        assert_eq!(view.values_of(&NET_IO, "network.io.direction"), ["receive"]);
    }

    #[test]
    fn history_is_of_full_steps_and_gaps_are_gaps() {
        let history = view().history(&CPU_UTILIZATION, &[], 8, 2000);
        let shown: Vec<_> = history
            .iter()
            .map(|v| v.map(|v| (v * 1000.0).round()))
            .collect();
        // Steps begin at 4, 6, 8, 10 … s; the row at 20 s begins a step that is not full.
        assert_eq!(shown[..4], [Some(45.0), Some(60.0), None, Some(105.0)]);
        assert_eq!(shown[7], Some(185.0));
    }
}
