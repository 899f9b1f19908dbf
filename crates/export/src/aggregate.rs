//! One row for each step of time: the last value of counters, mean and maximum of gauges. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use sysmon_wire::{Kind, Label, SeriesKey};

use crate::{HostRows, Step};

/// Series of maxima: beyond that they are made anew, since most are of devices that are gone.
const MAXIMA_MAX: usize = 20_000;

/// Aggregates rows; the series of maxima that it makes stay the same.
#[derive(Debug, Default)]
pub struct Aggregator {
    /// By the address of the gauge's key, which is held with it.
    maxima: HashMap<usize, [Arc<SeriesKey>; 2]>,
}

impl Aggregator {
    fn maximum(&mut self, key: &Arc<SeriesKey>) -> Arc<SeriesKey> {
        if self.maxima.len() >= MAXIMA_MAX {
            self.maxima.clear();
        }
        let known = self.maxima.entry(Arc::as_ptr(key).addr());
        let [_, maximum] = known.or_insert_with(|| [Arc::clone(key), Arc::new(maximum(key))]);
        Arc::clone(maximum)
    }

    /// Aggregates rows to whole steps; each stands at the end of its step.
    pub fn aggregate(&mut self, rows: &HostRows, every_ms: i64) -> HostRows {
        let step = |time: &i64| time.div_euclid(every_ms);
        let mut ends: Vec<(i64, usize)> = Vec::new();
        for (at, time) in rows.times.iter().enumerate() {
            match ends.last_mut() {
                Some((known, end)) if *known == step(time) => *end = at + 1,
                _ => ends.push((step(time), at + 1)),
            }
        }
        let begins = std::iter::once(0).chain(ends.iter().map(|(_, end)| *end));
        let ranges: Vec<_> = begins
            .zip(&ends)
            .map(|(begin, (_, end))| begin..*end)
            .collect();
        let each = |column: &[f64], of: fn(&[f64]) -> f64| -> Vec<f64> {
            let values = ranges.iter().map(|range| column.get(range.clone()));
            values
                .map(|values| of(values.unwrap_or_default()))
                .collect()
        };
        let (mut keys, mut columns) = (Vec::new(), Vec::new());
        for (key, column) in rows.keys.iter().zip(&rows.columns) {
            match key.metric.kind {
                Kind::Counter => columns.push(each(column, last)),
                Kind::Gauge => {
                    columns.push(each(column, mean));
                    keys.push(Arc::clone(key));
                    columns.push(each(column, max));
                    keys.push(self.maximum(key));
                    continue;
                }
            }
            keys.push(Arc::clone(key));
        }
        HostRows {
            host: rows.host.clone(),
            facts: Arc::clone(&rows.facts),
            keys,
            times: ends.iter().map(|(step, _)| (step + 1) * every_ms).collect(),
            columns,
            step: Step::Aggregate(every_ms),
            ..*rows
        }
    }
}

/// The series of a gauge's maxima.
pub fn maximum(key: &SeriesKey) -> SeriesKey {
    let mut key = key.clone();
    key.metric.name = Label::new(&format!("{}.max", key.metric.name));
    key
}

fn present(values: &[f64]) -> impl Iterator<Item = f64> {
    values.iter().copied().filter(|value| !value.is_nan())
}

fn last(values: &[f64]) -> f64 {
    present(values).last().unwrap_or(f64::NAN)
}

fn max(values: &[f64]) -> f64 {
    present(values).fold(f64::NAN, f64::max)
}

fn mean(values: &[f64]) -> f64 {
    let (sum, count) =
        present(values).fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;
    use sysmon_wire::HostFacts;
    use sysmon_wire::metrics::{CONTEXT_SWITCHES, LOAD_1M};

    #[test]
    fn counters_are_read_last_and_gauges_by_mean_and_maximum() {
        let rows = HostRows {
            host: "a".into(),
            facts: Arc::new(HostFacts::unknown()),
            keys: vec![
                Arc::new(LOAD_1M.series(&[])),
                Arc::new(CONTEXT_SWITCHES.series(&[])),
            ],
            times: vec![10_000, 12_000, 19_000, 40_000],
            columns: vec![
                vec![1.0, 3.0, f64::NAN, f64::NAN],
                vec![5.0, f64::NAN, 9.0, 11.0],
            ],
            span: Span::from((10_000, 49_999)),
            step: Step::Rows,
            is_late: false,
        };
        let rows = Aggregator::default().aggregate(&rows, 10_000);
        assert_eq!(rows.times, [20_000, 50_000]);
        let names: Vec<_> = rows
            .keys
            .iter()
            .map(|key| key.metric.name.to_string())
            .collect();
        assert_eq!(
            names,
            [
                "system.cpu.load_average.1m",
                "system.cpu.load_average.1m.max",
                "system.linux.context_switches"
            ]
        );
        assert_eq!((rows.columns[0][0], rows.columns[1][0]), (2.0, 3.0));
        assert!(rows.columns[0][1].is_nan() && rows.columns[1][1].is_nan());
        assert_eq!(rows.columns[2], [9.0, 11.0]);
        assert_eq!(rows.step, Step::Aggregate(10_000));
    }
}
