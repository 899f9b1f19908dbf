//! What a batch adds to each table, in the binary format of COPY. Pure.

use std::collections::BTreeSet;

use super::copy::Copy;
use crate::{HostMinutes, HostRows};

/// The content of one COPY.
pub(super) struct Content {
    copy: Copy,
    rows: usize,
}

impl Content {
    pub(super) fn new() -> Self {
        Self {
            copy: Copy::new(),
            rows: 0,
        }
    }

    /// The bytes; none if nothing is to be added.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        (self.rows > 0).then(|| self.copy.finish())
    }

    /// A row of `sysmon.rows` for each moment.
    pub(super) fn add_rows(&mut self, host: i32, layout: i32, rows: &HostRows) {
        for (at, time) in rows.times.iter().enumerate() {
            self.copy.begin_row(4);
            self.copy.time(*time);
            self.copy.integer(host);
            self.copy.integer(layout);
            self.copy.floats(
                rows.columns
                    .iter()
                    .map(|column| column.get(at).copied().unwrap_or(f64::NAN)),
            );
        }
        self.rows += rows.times.len();
    }

    /// A row of `sysmon.values` for each value.
    pub(super) fn add_values(&mut self, host: i32, series: &[i32], rows: &HostRows) {
        for (series, column) in series.iter().zip(&rows.columns) {
            let present = rows.times.iter().zip(column);
            for (time, value) in present.filter(|(_, value)| !value.is_nan()) {
                self.copy.begin_row(4);
                self.copy.time(*time);
                self.copy.integer(host);
                self.copy.integer(*series);
                self.copy.float(*value);
                self.rows += 1;
            }
        }
    }

    /// A row of `sysmon.minute_values` for each minute of a series.
    pub(super) fn add_minutes(&mut self, host: i32, series: &[i32], minutes: &HostMinutes) {
        for (at, minute) in &minutes.minutes {
            let Some(series) = series.get(*at) else {
                continue;
            };
            self.copy.begin_row(8);
            self.copy.time(minute.time);
            self.copy.integer(host);
            self.copy.integer(*series);
            self.copy
                .integer(i32::try_from(minute.count).unwrap_or(i32::MAX));
            for value in [minute.min, minute.mean, minute.max, minute.last] {
                self.copy.float(value);
            }
            self.rows += 1;
        }
    }
}

/// The series that have minutes.
pub(super) fn series_of(series: &[i32], minutes: &HostMinutes) -> Vec<i32> {
    let used: BTreeSet<usize> = minutes.minutes.iter().map(|(at, _)| *at).collect();
    used.into_iter()
        .filter_map(|at| series.get(at).copied())
        .collect()
}
