//! Rows as engines get them.

use std::sync::Arc;

use sysmon_wire::{HostFacts, Label, SeriesKey};

use crate::Span;

/// How far rows are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Rows as the host sent them.
    Rows,
    /// Means and last values of this many milliseconds.
    Aggregate(i64),
}

/// Rows of one host: `columns[i][n]` is the value of the i-th series at `times[n]`, NaN where it has none.
#[derive(Clone, Debug)]
pub struct HostRows {
    /// The host's name.
    pub host: Label,
    /// What is known of the host.
    pub facts: Arc<HostFacts>,
    /// The series, each once.
    pub keys: Vec<Arc<SeriesKey>>,
    /// Unix milliseconds, rising.
    pub times: Vec<i64>,
    /// Values in the unit of each series.
    pub columns: Vec<Vec<f64>>,
    /// The time that the rows cover: the host has no others in it.
    pub span: Span,
    /// How far the rows are apart.
    pub step: Step,
    /// Whether they are of the past: rows in order have been sent before.
    pub is_late: bool,
}

/// One series in one minute: of a gauge its values, of a counter its rates per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Minute {
    /// Where the minute begins, in Unix milliseconds.
    pub time: i64,
    /// Smallest value.
    pub min: f64,
    /// Mean of the values.
    pub mean: f64,
    /// Largest value.
    pub max: f64,
    /// Newest value.
    pub last: f64,
    /// Number of values.
    pub count: i64,
}

/// Whole minutes of one host, as the hub itself has them.
#[derive(Clone, Debug)]
pub struct HostMinutes {
    /// The host's name.
    pub host: Label,
    /// What is known of the host.
    pub facts: Arc<HostFacts>,
    /// The series.
    pub keys: Vec<Arc<SeriesKey>>,
    /// From the first minute to the last: there are no others in it.
    pub span: Span,
    /// Minutes with values, in any order, each with the number of its key.
    pub minutes: Vec<(usize, Minute)>,
    /// Whether the engine may have some of them already.
    pub is_late: bool,
}

impl HostRows {
    /// Values that are there.
    pub fn samples(&self) -> usize {
        let present = |column: &Vec<f64>| column.iter().filter(|value| !value.is_nan()).count();
        self.columns.iter().map(present).sum()
    }

    /// Values, absent ones included.
    pub fn cells(&self) -> usize {
        self.times.len() * self.keys.len()
    }
}
