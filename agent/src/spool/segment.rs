//! A few minutes of rows that can be understood by themselves.

use sysmon_wire::message::{Blob, Lane, Push, RunId};
use sysmon_wire::{ProcessIdentity, RowEncoder, SeqSet, SeriesKey, SeriesTable, UnixMs};

use super::journal::Found;
use crate::sample::{Named, Sample};

/// Rows of a full segment: five minutes at one a second.
const ROWS_MAX: u64 = 300;

/// Bytes of a full segment, far below a frame's limit.
const BYTES_MAX: usize = 128 * 1024;

/// About what an identity of a process takes.
const PROCESS_BYTES: usize = 128;

/// The name of a segment's file; names sort by run and age.
pub(super) fn file_name(run: RunId, first: u64) -> String {
    format!("{:016x}-{first:010}.rows", run.0)
}

/// Rows in memory.
#[derive(Debug)]
pub(super) struct Block {
    /// How many series the run had when the last row was taken.
    pub(super) series: usize,
    /// A row block that begins with a keyframe.
    pub(super) rows: Vec<u8>,
    /// The processes its rows name.
    pub(super) processes: Vec<ProcessIdentity>,
}

impl Block {
    /// The block as frames that can be understood by themselves; `series` are all of the run.
    pub(super) fn frames(&self, run: RunId, series: &[SeriesKey]) -> Vec<Push> {
        let begin = Push::Begin {
            run,
            lane: Lane::Backfill,
        };
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

/// A segment that gets no more rows.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) run: RunId,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) first_time: UnixMs,
    pub(super) last_time: Option<UnixMs>,
    pub(super) block: Option<Block>,
    pub(super) file: Option<String>,
    /// Whether its file ends before its last row, because the disk took no more.
    pub(super) lacks_rows_on_disk: bool,
    pub(super) disk_bytes: u64,
    /// Whether it went up on the backfill lane of the present connection.
    pub(super) sent: bool,
    acknowledged: SeqSet,
}

impl Segment {
    pub(super) fn from_file(found: Found) -> Self {
        Self {
            run: found.run,
            first: found.first,
            last: found.last,
            first_time: found.last_time,
            last_time: Some(found.last_time),
            block: None,
            file: Some(found.file),
            lacks_rows_on_disk: false,
            disk_bytes: found.bytes,
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

    /// Whether some of its rows are nowhere but in memory.
    pub(super) fn is_only_in_memory(&self) -> bool {
        self.file.is_none() || self.lacks_rows_on_disk
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        self.acknowledged.contains_range(self.first, self.last)
    }

    pub(super) fn waiting(&self) -> u64 {
        self.last - self.first + 1 - self.acknowledged.len()
    }
}

/// The segment that rows are added to.
#[derive(Debug, Default)]
pub(super) struct Open {
    encoder: RowEncoder,
    rows: Vec<u8>,
    first: u64,
    last: u64,
    first_time: UnixMs,
    last_time: UnixMs,
    acknowledged: SeqSet,
    /// All series of the run as of the last row.
    pub(super) series: Vec<SeriesKey>,
    /// The processes that the segment's rows name.
    processes: Named,
    /// How many of the series its file defines.
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

    /// Adds a row; the frames for its file, if it has one.
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
            self.processes = Named::default();
        }
        (self.last, self.last_time) = (seq, time);
        let start = self.rows.len();
        self.encoder
            .encode(seq, time, sample.values, &mut self.rows);
        let named = self.processes.take_new(sample.processes);
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
        if !named.is_empty() {
            self.written_bytes += (named.len() * PROCESS_BYTES) as u64;
            frames.push(Push::Processes(named));
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

    /// A time not after that of the oldest row that is not acknowledged.
    pub(super) fn oldest_unacknowledged(&self) -> Option<UnixMs> {
        if self.is_empty() || self.waiting() == 0 {
            return None;
        }
        let prefix = self
            .acknowledged
            .ranges()
            .first()
            .filter(|range| range.0 == self.first);
        // Rows lie evenly between the first and the last, near enough for a time-out of seconds.
        let done = prefix.map_or(0, |range| range.1 - range.0 + 1) as i64;
        let rows = (self.last - self.first).max(1) as i64;
        Some(self.first_time + (self.last_time - self.first_time) / rows * done)
    }

    pub(super) fn waiting(&self) -> u64 {
        if self.is_empty() {
            0
        } else {
            self.last - self.first + 1 - self.acknowledged.len()
        }
    }

    /// Ends the segment; none if it has no rows.
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
                rows: std::mem::take(&mut self.rows),
                processes: std::mem::take(&mut self.processes).into_all(),
            }),
            file: on_disk.then(|| self.file(run)),
            lacks_rows_on_disk: false,
            disk_bytes: self.written_bytes,
            sent: false,
            acknowledged: self.acknowledged.take(),
        };
        self.last = 0;
        Some(segment)
    }
}
