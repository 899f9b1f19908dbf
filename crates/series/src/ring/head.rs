//! The head: the newest rows of a ring, not yet compressed.

use std::ops::ControlFlow;

use sysmon_wire::{ABSENT, Row, RowDecoder, RowEncoder, RowMark, UnixMs};

use crate::{Chunk, ChunkError};

/// What one head stored since [`Ring::take_changes`](super::Ring::take_changes) was last called.
#[derive(Clone, Debug, Default)]
pub struct HeadChanges {
    /// Everything it held before was sealed: replace what was saved of it instead of appending.
    pub restarted: bool,
    /// Encoded rows to append to those saved earlier.
    pub bytes: Vec<u8>,
}

/// Appends a value to a column that is empty as long as its series had none in the `rows` rows before.
pub(super) fn push(column: &mut Vec<i64>, value: i64, rows: usize) {
    if column.is_empty() {
        if value == ABSENT {
            return;
        }
        column.resize(rows, ABSENT);
    }
    column.push(value);
}

/// Rows between two marks: reading one moment decodes half as many before it.
const ROWS_PER_MARK: u32 = 64;

/// Where reading can begin, and the time of the row before.
#[derive(Debug)]
struct Mark {
    before: UnixMs,
    offset: usize,
    state: RowMark,
}

/// Unsealed rows in the sparse form they travel in.
#[derive(Debug, Default)]
pub(super) struct Head {
    encoder: RowEncoder,
    bytes: Vec<u8>,
    marks: Vec<Mark>,
    pub(super) rows: u32,
    pub(super) first: UnixMs,
    pub(super) values: u64,
    /// How many of `bytes` [`Self::take_changes`] has handed out.
    taken_bytes: usize,
    /// How often it was sealed.
    sealed: u64,
    restarted: bool,
}

/// Where somebody who follows a ring has read its head to, so that each row is decoded once.
#[derive(Debug, Default)]
pub struct Tail {
    sealed: u64,
    offset: usize,
    decoder: RowDecoder,
    /// The newest row that was read, or passed over.
    passed: Option<UnixMs>,
    /// Whether the row decoded last was newer than what was asked for.
    is_unread: bool,
}

impl Head {
    /// Calls `each` with every row from `from` to `to`, oldest first.
    pub(super) fn follow(
        &self,
        tail: &mut Tail,
        from: UnixMs,
        to: UnixMs,
        mut each: impl FnMut(&Row),
    ) {
        let is_past = tail.passed.is_some_and(|passed| passed >= from);
        if tail.sealed != self.sealed || tail.offset > self.bytes.len() || is_past {
            let (decoder, offset) = self.start(from);
            *tail = Tail {
                sealed: self.sealed,
                decoder,
                offset,
                ..Tail::default()
            };
        }
        let series = self.encoder.previous().values.len();
        if std::mem::take(&mut tail.is_unread) {
            let row = tail.decoder.previous();
            if row.time > to {
                tail.is_unread = true;
                return;
            }
            tail.passed = Some(row.time);
            if row.time >= from {
                each(row);
            }
        }
        let mut bytes = self.bytes.get(tail.offset..).unwrap_or_default();
        // Our own encoder wrote the bytes, so they decode.
        while let Ok(Some(row)) = tail.decoder.decode(&mut bytes, series) {
            if row.time > to {
                tail.is_unread = true;
                break;
            }
            tail.passed = Some(row.time);
            if row.time >= from {
                each(row);
            }
        }
        tail.offset = self.bytes.len() - bytes.len();
    }

    pub(super) fn newest(&self) -> Option<&Row> {
        (self.rows > 0).then(|| self.encoder.previous())
    }

    /// The times of its oldest and newest row.
    pub(super) fn span(&self) -> Option<(UnixMs, UnixMs)> {
        Some((self.first, self.newest()?.time))
    }

    pub(super) fn push(&mut self, time: UnixMs, values: &[i64]) {
        if self.rows == 0 {
            self.first = time;
            self.encoder.reset();
            self.marks.clear();
        }
        self.rows += 1;
        self.values += values.iter().filter(|value| **value != ABSENT).count() as u64;
        self.encoder
            .encode(u64::from(self.rows), time, values, &mut self.bytes);
        if self.rows.is_multiple_of(ROWS_PER_MARK) {
            self.marks.push(Mark {
                before: time,
                offset: self.bytes.len(),
                state: self.encoder.mark(),
            });
        }
    }

    /// A decoder that has passed over rows before `from`, and where it goes on.
    fn start(&self, from: UnixMs) -> (RowDecoder, usize) {
        let known = self.marks.partition_point(|mark| mark.before < from);
        let mark = known.checked_sub(1).and_then(|at| self.marks.get(at));
        let series = self.encoder.previous().values.len();
        let at_mark = mark.and_then(|mark| Some((mark.state.decoder(series).ok()?, mark.offset)));
        at_mark.unwrap_or_default()
    }

    /// Calls `each` with every row from `from` on and perhaps some before, oldest first, until it breaks off.
    pub(super) fn for_each(&self, from: UnixMs, mut each: impl FnMut(&Row) -> ControlFlow<()>) {
        let (mut decoder, offset) = self.start(from);
        let mut bytes = self.bytes.get(offset..).unwrap_or_default();
        // Our own encoder wrote the bytes, so they decode.
        while let Ok(Some(row)) = decoder.decode(&mut bytes, self.encoder.previous().values.len()) {
            if each(row).is_break() {
                return;
            }
        }
    }

    pub(super) fn seal(&mut self) -> Result<Chunk, ChunkError> {
        let series = self.encoder.previous().values.len();
        let mut times = Vec::with_capacity(self.rows as usize);
        let mut columns = vec![Vec::new(); series];
        self.for_each(UnixMs(i64::MIN), |row| {
            for (column, value) in columns.iter_mut().zip(&row.values) {
                push(column, *value, times.len());
            }
            times.push(row.time.0);
            ControlFlow::Continue(())
        });
        for column in columns.iter_mut().filter(|column| !column.is_empty()) {
            column.resize(times.len(), ABSENT);
        }
        let chunk = Chunk::seal(&times, columns.iter().map(Vec::as_slice))?;
        self.bytes.clear();
        self.marks.clear();
        self.rows = 0;
        self.values = 0;
        self.taken_bytes = 0;
        self.sealed += 1;
        self.restarted = true;
        Ok(chunk)
    }

    pub(super) fn take_changes(&mut self) -> HeadChanges {
        let bytes = self.bytes.get(self.taken_bytes..).unwrap_or_default();
        let bytes = bytes.to_vec();
        self.taken_bytes = self.bytes.len();
        HeadChanges {
            restarted: std::mem::take(&mut self.restarted),
            bytes,
        }
    }

    /// Restores saved rows up to the first that does not decode.
    pub(super) fn restore(&mut self, mut bytes: &[u8], series: usize) {
        let mut decoder = RowDecoder::new();
        while let Ok(Some(row)) = decoder.decode(&mut bytes, series) {
            self.push(row.time, &row.values);
        }
        self.taken_bytes = self.bytes.len();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let marks: usize = self.marks.iter().map(|mark| mark.state.bytes()).sum();
        self.bytes.capacity() + marks + self.encoder.previous().values.capacity() * size_of::<i64>()
    }
}
