//! Segments: a few minutes of rows that can be decoded on their own.

use std::sync::Arc;

use sysmon_wire::message::{Blob, Lane, Push, RunId};
use sysmon_wire::{ProcessIdentity, RowEncoder, SeqSet, SeriesKey, SeriesTable, UnixMs};

use super::journal::SpoolFile;
use crate::sample::{ProcessSet, Sample};

/// Rows of a full segment: five minutes at one per second.
const ROWS_MAX: u64 = 300;

const BYTES_MAX: usize = 128 * 1024;

/// Approximate size of one process identity.
const PROCESS_BYTES: usize = 128;

/// File name of a segment; names sort by run and age.
pub(super) fn file_name(run: RunId, first: u64) -> String {
    format!("{:016x}-{first:010}.rows", run.0)
}

#[derive(Debug)]
pub(super) struct Block {
    /// How many series the table had at the last row.
    pub(super) series: usize,
    /// The table of its rows, unless that is still the run's.
    pub(super) table: Option<Arc<Vec<SeriesKey>>>,
    /// An encoded row block that starts with a keyframe.
    pub(super) rows: Vec<u8>,
    pub(super) processes: Vec<ProcessIdentity>,
}

impl Block {
    pub(super) fn frames(&self, run: RunId, series: &[SeriesKey]) -> Vec<Push> {
        let begin = Push::Begin {
            run,
            lane: Lane::Backfill,
        };
        let series = self.table.as_ref().map_or(series, |table| table);
        let series = SeriesTable::new(series.iter().take(self.series));
        let mut frames = vec![begin, Push::Series(series)];
        if !self.processes.is_empty() {
            frames.push(Push::Processes(self.processes.clone()));
        }
        frames.push(Push::Keyframe(Blob(self.rows.clone())));
        frames
    }

    pub(super) fn bytes(&self) -> usize {
        self.rows.len() + self.processes.len() * PROCESS_BYTES
    }
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) run: RunId,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) first_time: UnixMs,
    pub(super) last_time: Option<UnixMs>,
    pub(super) block: Option<Block>,
    pub(super) file: Option<String>,
    /// Whether its file lacks rows because a write failed.
    pub(super) is_file_incomplete: bool,
    pub(super) disk_bytes: u64,
    /// Whether the current connection has sent it on the backfill lane.
    pub(super) sent: bool,
    acknowledged: SeqSet,
}

impl Segment {
    pub(super) fn from_file(file: SpoolFile) -> Self {
        Self {
            run: file.run,
            first: file.first,
            last: file.last,
            first_time: file.last_time,
            last_time: Some(file.last_time),
            block: None,
            file: Some(file.file),
            is_file_incomplete: false,
            disk_bytes: file.bytes,
            sent: false,
            acknowledged: SeqSet::new(),
        }
    }

    pub(super) fn acknowledge(&mut self, ranges: &[(u64, u64)]) {
        for &(low, high) in ranges {
            self.acknowledged
                .insert_range(low.max(self.first), high.min(self.last));
        }
    }

    /// Whether some of its rows exist in memory only.
    pub(super) fn is_only_in_memory(&self) -> bool {
        self.file.is_none() || self.is_file_incomplete
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        self.acknowledged.contains_range(self.first, self.last)
    }

    pub(super) fn waiting(&self) -> u64 {
        self.last - self.first + 1 - self.acknowledged.len()
    }

    /// The rows that are acknowledged or in `sent`: they need not be sent; none if that is true of all.
    pub(super) fn known(&self, sent: Option<&SeqSet>) -> Option<SeqSet> {
        let mut known = self.acknowledged.clone();
        for &(low, high) in sent.into_iter().flat_map(SeqSet::ranges) {
            known.insert_range(low.max(self.first), high.min(self.last));
        }
        (!known.contains_range(self.first, self.last)).then_some(known)
    }
}

#[derive(Debug, Default)]
pub(super) struct Open {
    encoder: RowEncoder,
    rows: Vec<u8>,
    first: u64,
    last: u64,
    first_time: UnixMs,
    last_time: UnixMs,
    acknowledged: SeqSet,
    pub(super) table: u64,
    /// Every series of the table as of the last row.
    pub(super) series: Vec<SeriesKey>,
    processes: ProcessSet,
    /// How many series its file has defined.
    written_series: usize,
    written_bytes: u64,
}

impl Open {
    fn is_empty(&self) -> bool {
        self.last == 0
    }

    pub(super) fn is_full(&self) -> bool {
        !self.is_empty() && (self.last - self.first >= ROWS_MAX || self.bytes() > BYTES_MAX)
    }

    pub(super) fn bytes(&self) -> usize {
        self.rows.len() + self.processes.len() * PROCESS_BYTES
    }

    pub(super) fn file(&self, run: RunId) -> String {
        file_name(run, self.first)
    }

    /// Appends a row and returns the frames for its file, if it has one.
    pub(super) fn push(
        &mut self,
        run: RunId,
        seq: u64,
        time: UnixMs,
        sample: &Sample<'_>,
        to_disk: bool,
    ) -> Vec<Push> {
        let series = sample.series;
        if let Some(new) = series.get(self.series.len()..) {
            self.series.extend_from_slice(new);
        }
        let is_first = self.is_empty();
        if is_first {
            self.encoder.reset();
            (self.first, self.first_time) = (seq, time);
            (self.written_series, self.written_bytes) = (0, 0);
            self.processes = ProcessSet::default();
        }
        (self.last, self.last_time) = (seq, time);
        let start = self.rows.len();
        self.encoder
            .encode(seq, time, sample.values, &mut self.rows);
        let new_processes = self.processes.insert_all(sample.processes);
        if !to_disk {
            return Vec::new();
        }
        let row = self.rows.get(start..).unwrap_or_default();
        self.written_bytes += row.len() as u64 + 16;
        let mut frames = Vec::new();
        if is_first {
            frames.push(Push::Begin {
                run,
                lane: Lane::Backfill,
            });
        }
        if let Some(new @ [_, ..]) = series.get(self.written_series..) {
            frames.push(Push::Series(SeriesTable::new(new)));
            self.written_series = series.len();
        }
        if !new_processes.is_empty() {
            self.written_bytes += (new_processes.len() * PROCESS_BYTES) as u64;
            frames.push(Push::Processes(new_processes));
        }
        let row = Blob(row.to_vec());
        frames.push(if is_first {
            Push::Keyframe(row)
        } else {
            Push::Rows(row)
        });
        frames
    }

    pub(super) fn acknowledge(&mut self, ranges: &[(u64, u64)]) {
        if self.is_empty() {
            return;
        }
        for &(low, high) in ranges {
            self.acknowledged
                .insert_range(low.max(self.first), high.min(self.last));
        }
    }

    /// The time of its first row.
    pub(super) fn first_time(&self) -> Option<UnixMs> {
        (!self.is_empty()).then_some(self.first_time)
    }

    /// A lower bound of the time of the oldest unacknowledged row.
    pub(super) fn oldest_unacknowledged(&self) -> Option<UnixMs> {
        if self.is_empty() || self.waiting() == 0 {
            return None;
        }
        let prefix = self
            .acknowledged
            .ranges()
            .first()
            .filter(|range| range.0 == self.first);
        // Assumes evenly spaced rows: precise enough for a time-out of seconds.
        let acknowledged = prefix.map_or(0, |range| range.1 - range.0 + 1) as i64;
        let rows = (self.last - self.first).max(1) as i64;
        Some(self.first_time + (self.last_time - self.first_time) / rows * acknowledged)
    }

    pub(super) fn waiting(&self) -> u64 {
        if self.is_empty() {
            0
        } else {
            self.last - self.first + 1 - self.acknowledged.len()
        }
    }

    /// Completes the segment; none if it has no rows.
    pub(super) fn close(&mut self, run: RunId, on_disk: bool) -> Option<Segment> {
        if self.is_empty() {
            return None;
        }
        let segment = Segment {
            run,
            first: self.first,
            last: self.last,
            first_time: self.first_time,
            last_time: Some(self.last_time),
            block: Some(Block {
                series: self.series.len(),
                table: None,
                rows: std::mem::take(&mut self.rows),
                processes: std::mem::take(&mut self.processes).into_vec(),
            }),
            file: on_disk.then(|| self.file(run)),
            is_file_incomplete: false,
            disk_bytes: self.written_bytes,
            sent: false,
            acknowledged: self.acknowledged.take(),
        };
        self.last = 0;
        Some(segment)
    }
}
