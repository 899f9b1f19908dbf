//! One host: a window of its rows, and values and rates computed from them.

mod process_history;

use std::collections::VecDeque;

use sysmon_series::rate;
use sysmon_wire::limits::SERIES_PER_STREAM_MAX;
use sysmon_wire::message::{HostLine, Points, Reply};
use sysmon_wire::metrics::{Metric, unscale};
use sysmon_wire::{
    ABSENT, Kind, Label, RowDecoder, RowError, SchemaError, SeriesKey, SeriesTable, UnixMs,
};

use super::ROW_MS;
use super::long_history::LongHistory;
use super::window::ChartSpan;
pub use process_history::ProcessHistory;

/// The span of the rows that are requested, and held.
pub const WINDOW_MS: i64 = 15 * 60 * 1000;

/// Rows held at most: ten minutes at ten per second, as in a burst. Older rows are dropped.
const ROWS_MAX: usize = 6_000;

/// Rows a little older than the window stay, so that its first step is full.
const WINDOW_SPARE_MS: i64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub min: f64,
    pub mean: f64,
    pub max: f64,
    pub count: u32,
}

impl Step {
    pub fn of(value: f64) -> Self {
        Self {
            min: value,
            mean: value,
            max: value,
            count: 1,
        }
    }

    fn add(&mut self, value: f64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.count += 1;
        self.mean += (value - self.mean) / f64::from(self.count);
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    #[error(transparent)]
    Series(#[from] SchemaError),
    #[error(transparent)]
    Rows(#[from] RowError),
}

#[derive(Debug)]
pub struct HostRows {
    pub name: Label,
    pub line: Option<HostLine>,
    pub complete: bool,
    pub refused: Option<Label>,
    resolution_ms: i64,
    /// The engine that the rows come from, or why it cannot be asked.
    pub beyond: Option<Label>,
    keys: Vec<SeriesKey>,
    rows: VecDeque<(i64, Vec<i64>)>,
    decoder: RowDecoder,
    span: ChartSpan,
    /// What is older than the rows, where the charts show more.
    long: LongHistory,
    /// Whether rows are skipped because some could not be read.
    lost: bool,
}

impl HostRows {
    pub fn new(name: Label) -> Self {
        Self {
            name,
            line: None,
            complete: false,
            refused: None,
            resolution_ms: ROW_MS,
            beyond: None,
            keys: Vec::new(),
            rows: VecDeque::new(),
            decoder: RowDecoder::new(),
            span: ChartSpan::default(),
            long: LongHistory::default(),
            lost: false,
        }
    }

    /// Milliseconds between rows: more than a second where only minutes or hours are stored.
    pub fn resolution_ms(&self) -> i64 {
        self.resolution_ms
    }

    pub fn set_resolution(&mut self, step_ms: i64) {
        self.resolution_ms = step_ms.max(ROW_MS);
    }

    /// How far apart two rows may be between which nothing is missing.
    fn apart_ms(&self) -> i64 {
        let interval_ms = self.line.as_ref().map(|line| line.facts.interval_ms);
        i64::from(interval_ms.unwrap_or(0)) * 3 / 2
    }

    /// Begins with the first rows of another answer: what is known of the time before the rows stays.
    pub fn begin(&mut self) {
        *self = Self {
            span: self.span,
            long: std::mem::take(&mut self.long),
            ..Self::new(self.name.clone())
        };
    }

    /// The span of the charts from now on.
    pub fn set_span(&mut self, span: ChartSpan) {
        if self.span != span {
            self.span = span;
            self.long.clear();
        }
    }

    /// Adds points of what is older than the rows.
    pub fn add_history(&mut self, part: Points) {
        self.long.add(part);
    }

    /// The span of charts: the one that was chosen, or where only minutes or hours are stored, as many of them as there
    /// are rows otherwise.
    pub fn window_ms(&self) -> i64 {
        let of_rows = match self.resolution_ms > ROW_MS {
            true => self.rows_ms(),
            false => 0,
        };
        self.span.ms().max(of_rows)
    }

    fn rows_ms(&self) -> i64 {
        (WINDOW_MS / ROW_MS).saturating_mul(self.resolution_ms)
    }

    /// Milliseconds of each of so many points of the window: whole rows, or whole points of the history where the window
    /// is longer than the rows, so that all hold the same number.
    pub fn step_ms(&self, points: usize) -> i64 {
        let step = self.window_ms() / i64::try_from(points).unwrap_or(i64::MAX).max(1);
        let whole = self.point_ms();
        (step / whole).max(1) * whole
    }

    /// The least milliseconds of a point: those of a row, or of a point of the history.
    pub fn point_ms(&self) -> i64 {
        match self.span.is_long() {
            true => self.span.step_ms().max(self.resolution_ms),
            false => self.resolution_ms,
        }
    }

    /// Adds series.
    ///
    /// # Errors
    /// The table is malformed, or there are too many series.
    pub fn add_series(&mut self, table: &SeriesTable) -> Result<(), SchemaError> {
        let keys = table.keys()?;
        if self.keys.len() + keys.len() > SERIES_PER_STREAM_MAX {
            return Err(SchemaError::TooMany("series"));
        }
        self.keys.extend(keys);
        Ok(())
    }

    /// Forgets all series and rows.
    fn restart(&mut self) {
        self.keys.clear();
        self.rows.clear();
        self.decoder.reset();
    }

    /// Adds rows. After rows that cannot be read, others are skipped up to the next keyframe.
    ///
    /// # Errors
    /// The rows are malformed.
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
        let kept_ms = self.rows_ms() + WINDOW_SPARE_MS;
        while let Some(row) = self.decoder.decode(&mut bytes, self.keys.len())? {
            let oldest = row.time.0 - kept_ms;
            while self.rows.len() >= ROWS_MAX || self.rows.front().is_some_and(|r| r.0 < oldest) {
                self.rows.pop_front();
            }
            self.rows.push_back((row.time.0, row.values.clone()));
        }
        Ok(())
    }

    /// Receives a reply about the host.
    ///
    /// # Errors
    /// If series or rows cannot be decoded; rows are then skipped up to the next keyframe.
    pub fn receive(&mut self, reply: Reply) -> Result<(), RowsError> {
        match reply {
            Reply::Resolution { step_ms, beyond } => {
                self.set_resolution(step_ms);
                self.beyond = beyond;
            }
            Reply::Host(line) => self.line = Some(*line),
            Reply::HostRestart => self.restart(),
            Reply::HostSeries(table) => self.add_series(&table)?,
            Reply::HostKeyframe(block) => self.add_rows(true, &block.0)?,
            Reply::HostRows(block) => self.add_rows(false, &block.0)?,
            Reply::Complete => self.complete = true,
            Reply::Points(part) => self.add_history(part),
            _ => {}
        }
        Ok(())
    }

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

    /// The index of the first series of a metric that has these attributes, whatever else it has.
    pub fn find_with(&self, metric: &Metric, attributes: &[(&str, &str)]) -> Option<usize> {
        self.keys.iter().position(|key| {
            key.metric.name == metric.name
                && attributes
                    .iter()
                    .all(|(k, v)| key.attribute(k).is_some_and(|a| *a == *v))
        })
    }

    /// The different values that an attribute has among the series of a metric, with at least one
    /// value now, in the host's order.
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
        self.now_at(metric, self.find(metric, attributes)?)
    }

    pub fn now_at(&self, metric: &Metric, at: usize) -> Option<f64> {
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

    pub fn total(&self, metric: &Metric, attributes: &[(&str, &str)]) -> Option<f64> {
        self.total_at(metric, self.find(metric, attributes)?)
    }

    pub fn total_at(&self, metric: &Metric, at: usize) -> Option<f64> {
        Some(unscale(self.raw(at)?, metric.scale))
    }

    pub fn interval_ms(&self) -> Option<i64> {
        let newest = self.rows.back()?.0;
        let before = self.rows.len().checked_sub(2)?;
        Some(newest - self.rows.get(before)?.0)
    }

    fn raw(&self, at: usize) -> Option<i64> {
        self.rows
            .back()?
            .1
            .get(at)
            .copied()
            .filter(|value| *value != ABSENT)
    }

    /// What a series was in each of `points` steps of `step_ms`, the last of which ends at or before the
    /// newest row. Only full steps are shown, so that the picture moves a whole step at a time.
    pub fn history(
        &self,
        metric: &Metric,
        attributes: &[(&str, &str)],
        points: usize,
        step_ms: i64,
    ) -> Vec<Option<Step>> {
        match self.find(metric, attributes) {
            Some(at) => self.history_at(metric, at, points, step_ms),
            None => vec![None; points],
        }
    }

    pub fn history_at(
        &self,
        metric: &Metric,
        at: usize,
        points: usize,
        step_ms: i64,
    ) -> Vec<Option<Step>> {
        let Some(newest) = self.newest() else {
            return vec![None; points];
        };
        self.steps(metric, at, points, step_ms, (newest + 1).floor(step_ms))
    }

    /// The same up to a moment, for steps so short that a row seldom comes on time: a step without one
    /// is filled from that before, if only one is missing.
    pub fn moments(
        &self,
        metric: &Metric,
        attributes: &[(&str, &str)],
        points: usize,
        step_ms: i64,
        end: UnixMs,
    ) -> Vec<Option<Step>> {
        let Some(at) = self.find(metric, attributes) else {
            return vec![None; points];
        };
        let mut steps = self.steps(metric, at, points, step_ms, end);
        let mut before = None;
        for step in &mut steps {
            let own = *step;
            *step = own.or(before);
            before = own;
        }
        steps
    }

    fn steps(
        &self,
        metric: &Metric,
        at: usize,
        points: usize,
        step_ms: i64,
        end: UnixMs,
    ) -> Vec<Option<Step>> {
        let mut steps = vec![None; points];
        let start = end - step_ms.saturating_mul(points as i64);
        let factor = 10f64.powi(i32::from(metric.scale));
        let mut before = (0, ABSENT);
        let mut last: Option<(i64, f64)> = None;
        for (time, values) in &self.rows {
            let value = values.get(at).copied().unwrap_or(ABSENT);
            let real = match metric.kind {
                Kind::Gauge => (value != ABSENT).then_some(value as f64),
                Kind::Counter => rate(before, (*time, value)),
            };
            before = (*time, value);
            let step = (*time - start.0).div_euclid(step_ms);
            if let (Some(real), Some((since, earlier))) = (real, last)
                && *time - since <= self.apart_ms()
            {
                // A rate is that of the time since the row before; a level holds until the next row.
                let between = if metric.kind == Kind::Counter {
                    real
                } else {
                    earlier
                };
                let first = (since - start.0).div_euclid(step_ms) + 1;
                for step in first.max(0)..step.min(steps.len() as i64) {
                    if let Some(empty @ None) = steps.get_mut(step as usize) {
                        *empty = Some(Step::of(between * factor));
                    }
                }
            }
            if let Some(real) = real {
                last = Some((*time, real));
            }
            let step = usize::try_from(step)
                .ok()
                .and_then(|step| steps.get_mut(step));
            match (real, step) {
                (Some(real), Some(Some(step))) => Step::add(step, real * factor),
                (Some(real), Some(step)) => *step = Some(Step::of(real * factor)),
                _ => {}
            }
        }
        self.add_older(at, start, step_ms, &mut steps);
        steps
    }

    /// Fills the steps that begin before the rows from the history, where the charts show more than the rows.
    fn add_older(&self, at: usize, start: UnixMs, step_ms: i64, steps: &mut [Option<Step>]) {
        let Some(key) = self.keys.get(at).filter(|_| self.span.is_long()) else {
            return;
        };
        let oldest = self.rows.front().map_or(i64::MAX, |row| row.0);
        let older = (oldest - start.0).div_euclid(step_ms) + 1;
        let older = usize::try_from(older).unwrap_or(0).min(steps.len());
        let Some(steps) = steps.get_mut(..older) else {
            return;
        };
        let end = start + step_ms.saturating_mul(older as i64);
        let mut known: Vec<Option<Step>> = vec![None; older];
        for (time, value) in self.long.between(key, (start, end)) {
            let at = usize::try_from((time - start).div_euclid(step_ms)).unwrap_or(usize::MAX);
            match known.get_mut(at) {
                Some(Some(step)) => step.add(value),
                Some(empty) => *empty = Some(Step::of(value)),
                None => {}
            }
        }
        for (step, known) in steps.iter_mut().zip(known) {
            *step = known.or(*step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::RowEncoder;
    use sysmon_wire::metrics::{
        CPU_UTILIZATION, NET_IO, PROCESS_CPU, PROCESS_IDENTITY, PROCESS_MEMORY,
    };

    const RECEIVE: &[(&str, &str)] = &[("network.io.direction", "receive")];

    fn view() -> HostRows {
        let mut view = HostRows::new("h".into());
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
    fn a_process_is_found_at_whatever_place_it_had() {
        let mut view = HostRows::new("h".into());
        let mut keys = Vec::new();
        for rank in ["0", "1"] {
            let rank = [("sysmon.rank", rank)];
            keys.push(PROCESS_IDENTITY.series(&rank));
            keys.push(PROCESS_CPU.series(&rank));
            keys.push(PROCESS_MEMORY.series(&rank));
        }
        view.add_series(&SeriesTable::new(&keys)).unwrap();
        let (mut encoder, mut block) = (RowEncoder::new(), Vec::new());
        for n in 0..8i64 {
            let (ours, other) = ([7, n * 100, 50], [8, 1, 1]);
            let values = match n {
                // Not among them.
                4 | 5 => [9, 1, 1, 8, 1, 1],
                n if n % 2 == 0 => [7, ours[1], 50, 8, 1, 1],
                _ => [8, other[1], 1, 7, ours[1], 50],
            };
            encoder.encode(n as u64 + 1, UnixMs(n * 1000), &values, &mut block);
        }
        view.add_rows(true, &block).unwrap();
        let history = view.history_of_process(7, 4, 2000);
        let cpu: Vec<_> = history
            .cpu
            .iter()
            .map(|v| v.map(|v| (v.mean * 1000.0).round()))
            .collect();
        assert_eq!(cpu[1..], [Some(50.0), Some(250.0), None][..], "{cpu:?}");
        let memory: Vec<_> = history.memory.iter().map(|v| v.map(|v| v.mean)).collect();
        assert_eq!(memory[1..], [Some(50.0), Some(50.0), None][..]);
        assert!(history.is_missed && !view.history_of_process(7, 1, 1000).is_missed);
    }

    #[test]
    fn history_is_of_full_steps_and_gaps_are_gaps() {
        let history = view().history(&CPU_UTILIZATION, &[], 8, 2000);
        let shown: Vec<_> = history
            .iter()
            .map(|v| v.map(|v| (v.mean * 1000.0).round()))
            .collect();
        // Steps begin at 4, 6, 8, 10 … s; the row at 20 s begins a step that is not full.
        assert_eq!(shown[..4], [Some(45.0), Some(60.0), None, Some(105.0)]);
        assert_eq!(shown[7], Some(185.0));
    }

    #[test]
    fn a_step_knows_its_smallest_and_largest() {
        let history = view().history(&CPU_UTILIZATION, &[], 2, 5000);
        let last = history[1].unwrap();
        assert_eq!((last.min, last.mean, last.max), (0.15, 0.17, 0.19));
    }

    #[test]
    fn a_single_moment_that_is_late_is_no_gap_and_two_are() {
        let shown: Vec<_> = view()
            .moments(&CPU_UTILIZATION, &[], 7, 1000, UnixMs(12_000))
            .iter()
            .map(|step| step.map(|step| (step.mean * 100.0).round()))
            .collect();
        assert_eq!(
            shown,
            [
                Some(5.0),
                Some(6.0),
                Some(6.0),
                None,
                None,
                Some(10.0),
                Some(11.0)
            ]
        );
    }

    #[test]
    fn rows_older_than_the_window_are_forgotten() {
        let mut view = HostRows::new("h".into());
        view.add_series(&SeriesTable::new(&[CPU_UTILIZATION.series(&[])]))
            .unwrap();
        let (mut encoder, mut block) = (RowEncoder::new(), Vec::new());
        for n in 1..=8000i64 {
            encoder.encode(n as u64, UnixMs(n * 500), &[n], &mut block);
        }
        view.add_rows(true, &block).unwrap();
        assert_eq!(view.rows.len(), 1_821);
        assert_eq!(view.interval_ms(), Some(500));
    }

    #[test]
    fn a_long_chart_has_points_of_the_history_before_the_rows() {
        let mut view = HostRows::new("h".into());
        let mut span = ChartSpan::default();
        span.widen(1);
        view.set_span(span);
        let key = NET_IO.series(RECEIVE);
        view.add_series(&SeriesTable::new(std::slice::from_ref(&key)))
            .unwrap();
        // Rows of 200 to 300 s at 500 bytes a second, in steps of a minute.
        let (mut encoder, mut block) = (RowEncoder::new(), Vec::new());
        for n in 200..=300i64 {
            encoder.encode(n as u64, UnixMs(n * 1000), &[n * 500], &mut block);
        }
        view.add_rows(true, &block).unwrap();
        let part = |start: i64, values: &[f64]| Points {
            host: "h".into(),
            metric: NET_IO.name.into(),
            unit: "By/s".into(),
            attributes: key.attributes.clone(),
            start: UnixMs(start),
            step_ms: 20_000,
            values: values.to_vec(),
        };
        view.add_history(part(60_000, &[1.0, 2.0, 3.0, f64::NAN]));
        view.add_history(part(140_000, &[7.0, 9.0, 4.0, 5.0, 6.0, 99.0]));
        view.begin();
        view.add_series(&SeriesTable::new(std::slice::from_ref(&key)))
            .unwrap();
        view.add_rows(true, &block).unwrap();
        assert_eq!(view.step_ms(60), 60_000);
        let history = view.history(&NET_IO, RECEIVE, 5, view.step_ms(60));
        let means: Vec<_> = history
            .iter()
            .map(|step| step.map(|step| step.mean))
            .collect();
        // From 0, 60, 120, 180 and 240 s: the fourth minute has too few rows, the fifth has all.
        let wanted = [None, Some(2.0), Some(8.0), Some(5.0), Some(500.0)];
        assert_eq!(means, wanted);
        let shorter = ChartSpan::default();
        view.set_span(shorter);
        assert_eq!(view.history(&NET_IO, RECEIVE, 5, 60_000)[1], None);
    }
}
