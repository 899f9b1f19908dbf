//! The ring of one host.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use sysmon_wire::{ABSENT, Row, RowDecoder, RowEncoder, UnixMs};

use crate::chunk::{Chunk, ChunkError};

/// Rows that are sealed together. More compress better (0.21 bytes a value at 240, 0.16 at 512 on
/// a real host) but make the unsealed rest larger and a look at one second slower.
pub const ROWS_PER_CHUNK: usize = 512;

/// Rows of chosen series: `columns[i][n]` is the value of the i-th chosen series at `times[n]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Times of the rows in Unix milliseconds, never falling.
    pub times: Vec<i64>,
    /// A column per series asked for.
    pub columns: Vec<Vec<i64>>,
}

/// All rows of one host within its retention.
///
/// Rows in order go to the *head*; rows from before its newest (backfill) to a second, *late*
/// head. Both seal into chunks, which may overlap in time; reading puts rows in order.
#[derive(Debug, Default)]
pub struct Ring {
    head: Head,
    late: Head,
    sealed: VecDeque<Chunk>,
    sealed_bytes: usize,
    sealed_values: u64,
    sealed_rows: u64,
    /// Chunks sealed since [`Ring::take_changes`] was last called, if that is remembered.
    unsaved: Option<Vec<Chunk>>,
    /// Rows of the head that are sealed together next.
    seal_at: SealAt,
    /// The end of the newest chunk that was dropped.
    dropped_to: Option<UnixMs>,
}

/// Rows after which the head is sealed.
#[derive(Clone, Copy, Debug)]
struct SealAt(u32);

impl Default for SealAt {
    fn default() -> Self {
        Self(ROWS_PER_CHUNK as u32)
    }
}

/// What happened to a ring since it was last asked: enough to make the same ring again.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Chunks that were sealed.
    pub chunks: Vec<Chunk>,
    /// The head and the late head.
    pub heads: [HeadChanges; 2],
}

/// What happened to one head.
#[derive(Clone, Debug, Default)]
pub struct HeadChanges {
    /// Everything it held before was sealed.
    pub restarted: bool,
    /// Rows that were added, to be kept after those that are kept already.
    pub bytes: Vec<u8>,
}

impl Changes {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        let idle = |head: &HeadChanges| !head.restarted && head.bytes.is_empty();
        self.chunks.is_empty() && self.heads.iter().all(idle)
    }
}

/// Unsealed rows in sparse form.
#[derive(Debug, Default)]
struct Head {
    encoder: RowEncoder,
    bytes: Vec<u8>,
    rows: u32,
    first: UnixMs,
    values: u64,
    /// How many of the bytes were told as changes, and whether the head was sealed since.
    told: usize,
    restarted: bool,
}

impl Head {
    fn newest(&self) -> Option<&Row> {
        (self.rows > 0).then(|| self.encoder.previous())
    }

    fn push(&mut self, time: UnixMs, values: &[i64]) {
        if self.rows == 0 {
            self.first = time;
            self.encoder.reset();
        }
        self.rows += 1;
        self.values += values.len() as u64;
        self.encoder
            .encode(u64::from(self.rows), time, values, &mut self.bytes);
    }

    /// Calls `each` with every row, oldest first, until it breaks off.
    fn for_each(&self, mut each: impl FnMut(&Row) -> ControlFlow<()>) {
        let mut decoder = RowDecoder::new();
        let mut bytes = &self.bytes[..];
        // The bytes are our own encoder's, so an error cannot be; if it were, the rest is lost.
        while let Ok(Some(row)) = decoder.decode(&mut bytes, self.encoder.previous().values.len()) {
            if each(row).is_break() {
                return;
            }
        }
    }

    fn seal(&mut self) -> Result<Chunk, ChunkError> {
        let series = self.encoder.previous().values.len();
        let mut times = Vec::with_capacity(self.rows as usize);
        let mut columns = vec![Vec::with_capacity(self.rows as usize); series];
        self.for_each(|row| {
            times.push(row.time.0);
            for (index, column) in columns.iter_mut().enumerate() {
                column.push(row.values.get(index).copied().unwrap_or(ABSENT));
            }
            ControlFlow::Continue(())
        });
        let chunk = Chunk::seal(&times, columns.iter().map(Vec::as_slice))?;
        self.bytes.clear();
        self.rows = 0;
        self.values = 0;
        self.told = 0;
        self.restarted = true;
        Ok(chunk)
    }

    fn take_changes(&mut self) -> HeadChanges {
        let bytes = self.bytes.get(self.told..).unwrap_or_default().to_vec();
        self.told = self.bytes.len();
        HeadChanges {
            restarted: std::mem::take(&mut self.restarted),
            bytes,
        }
    }

    /// Takes rows that were kept elsewhere; what cannot be read ends them.
    fn restore(&mut self, mut bytes: &[u8], series: usize) {
        let mut decoder = RowDecoder::new();
        while let Ok(Some(row)) = decoder.decode(&mut bytes, series) {
            self.push(row.time, &row.values);
        }
        self.told = self.bytes.len();
    }

    fn memory(&self) -> usize {
        self.bytes.capacity() + self.encoder.previous().values.capacity() * size_of::<i64>()
    }
}

impl Ring {
    /// An empty ring.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row. Series keep their index for the life of the ring and only ever become more.
    ///
    /// Whether the row was seen before is for the caller to know: the ring keeps what it is given.
    pub fn append(&mut self, time: UnixMs, values: &[i64]) -> Result<(), ChunkError> {
        let in_order = self.head.newest().is_none_or(|newest| newest.time <= time)
            && self.sealed.back().is_none_or(|chunk| chunk.last() <= time);
        let head = if in_order {
            &mut self.head
        } else {
            if self.late.newest().is_some_and(|newest| newest.time > time) {
                let chunk = self.late.seal()?;
                self.keep(chunk);
            }
            &mut self.late
        };
        head.push(time, values);
        let seal_at = if in_order {
            self.seal_at.0
        } else {
            ROWS_PER_CHUNK as u32
        };
        if head.rows >= seal_at {
            if in_order {
                self.seal_at = SealAt::default();
            }
            let chunk = head.seal()?;
            self.keep(chunk);
        }
        Ok(())
    }

    /// Seals the first chunk early, by an amount that differs with `number`: rings that begin together would
    /// else seal together for ever, and everything wait for them.
    pub fn stagger(&mut self, number: u32) {
        let half = ROWS_PER_CHUNK as u32 / 2;
        // Steps by a number that shares no factor with the range spread neighbours over all of it.
        self.seal_at = SealAt(half + number.wrapping_mul(97) % half);
    }

    /// Seals late rows, and if `all` those in order too, without waiting for more.
    pub fn settle(&mut self, all: bool) -> Result<(), ChunkError> {
        if self.late.rows > 0 {
            let chunk = self.late.seal()?;
            self.keep(chunk);
        }
        if all && self.head.rows > 0 {
            let chunk = self.head.seal()?;
            self.keep(chunk);
        }
        Ok(())
    }

    /// How many rows are late and not sealed yet.
    pub fn late_rows(&self) -> u32 {
        self.late.rows
    }

    /// The time of the oldest row that is not sealed.
    pub fn oldest_unsealed(&self) -> Option<UnixMs> {
        let heads = [&self.head, &self.late];
        let first = |head: &&Head| (head.rows > 0).then_some(head.first);
        heads.iter().filter_map(first).min()
    }

    /// An empty ring that remembers what happens to it, for [`Ring::take_changes`].
    pub fn recording() -> Self {
        Self {
            unsaved: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Bytes of the chunks sealed since the last call of [`Ring::take_changes`], if that is remembered.
    pub fn unsaved_bytes(&self) -> usize {
        let unsaved = self.unsaved.iter().flatten();
        unsaved.map(Chunk::bytes).sum()
    }

    /// What happened since the last call, or since the ring was made.
    pub fn take_changes(&mut self) -> Changes {
        Changes {
            chunks: self
                .unsaved
                .as_mut()
                .map(std::mem::take)
                .unwrap_or_default(),
            heads: [self.head.take_changes(), self.late.take_changes()],
        }
    }

    /// Takes back what was kept of the heads of an earlier ring with so many series.
    pub fn restore_heads(&mut self, heads: [&[u8]; 2], series: usize) {
        let [head, late] = heads;
        self.head.restore(head, series);
        self.late.restore(late, series);
    }

    /// Takes back a chunk of an earlier ring, while rows may come in already; false if it is here.
    pub fn restore_chunk(&mut self, chunk: Chunk) -> bool {
        let is_new = !self.contains(&chunk);
        if is_new {
            self.insert(chunk);
        }
        is_new
    }

    /// Whether a chunk with these ends is here.
    pub fn has_chunk(&self, first: UnixMs, last: UnixMs) -> bool {
        self.ending_at(last).any(|chunk| chunk.first() == first)
    }

    fn contains(&self, chunk: &Chunk) -> bool {
        self.ending_at(chunk.last()).any(|other| other == chunk)
    }

    fn ending_at(&self, last: UnixMs) -> impl Iterator<Item = &Chunk> {
        let from = self.sealed.partition_point(|chunk| chunk.last() < last);
        let rest = self.sealed.range(from..);
        rest.take_while(move |chunk| chunk.last() == last)
    }

    /// Whether no chunk that ends at `from` or later was dropped.
    pub fn is_whole_from(&self, from: UnixMs) -> bool {
        self.dropped_to.is_none_or(|dropped| dropped < from)
    }

    fn keep(&mut self, chunk: Chunk) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.push(chunk.clone());
        }
        self.insert(chunk);
    }

    fn insert(&mut self, chunk: Chunk) {
        self.sealed_bytes += chunk.bytes();
        self.sealed_values += (chunk.rows() * chunk.series()) as u64;
        self.sealed_rows += chunk.rows() as u64;
        let at = self
            .sealed
            .partition_point(|other| other.last() <= chunk.last());
        self.sealed.insert(at, chunk);
    }

    /// Drops chunks that end before `horizon`; returns how many rows went.
    pub fn evict_before(&mut self, horizon: UnixMs) -> u64 {
        let mut rows = 0;
        while self
            .sealed
            .front()
            .is_some_and(|chunk| chunk.last() < horizon)
        {
            rows += self.evict_oldest();
        }
        rows
    }

    /// Drops the oldest chunk; returns how many rows went, 0 if nothing is sealed.
    pub fn evict_oldest(&mut self) -> u64 {
        let Some(chunk) = self.take_chunk(0) else {
            return 0;
        };
        self.dropped_to = self.dropped_to.max(Some(chunk.last()));
        chunk.rows() as u64
    }

    /// Drops a chunk that was taken back for a moment.
    pub fn give_back(&mut self, chunk: &Chunk) {
        if let Some(at) = self.sealed.iter().position(|other| other == chunk) {
            self.take_chunk(at);
        }
    }

    fn take_chunk(&mut self, at: usize) -> Option<Chunk> {
        let chunk = self.sealed.remove(at)?;
        self.sealed_bytes -= chunk.bytes();
        self.sealed_values -= (chunk.rows() * chunk.series()) as u64;
        self.sealed_rows -= chunk.rows() as u64;
        Some(chunk)
    }

    /// The time of the newest row.
    pub fn newest(&self) -> Option<UnixMs> {
        let head = self.head.newest().map(|row| row.time);
        let late = self.late.newest().map(|row| row.time);
        head.max(late).max(self.sealed.back().map(Chunk::last))
    }

    /// The time of the oldest row.
    pub fn oldest(&self) -> Option<UnixMs> {
        let head = self.head.newest().map(|_| self.head.first);
        let late = self.late.newest().map(|_| self.late.first);
        let sealed = self.sealed.iter().map(Chunk::first).min();
        [head, late, sealed].into_iter().flatten().min()
    }

    /// The end of the oldest sealed chunk.
    pub fn oldest_sealed(&self) -> Option<UnixMs> {
        self.sealed.front().map(Chunk::last)
    }

    /// How many rows it holds.
    pub fn rows(&self) -> u64 {
        u64::from(self.head.rows) + u64::from(self.late.rows) + self.sealed_rows
    }

    /// How many values it holds, absent ones included.
    pub fn values(&self) -> u64 {
        self.head.values + self.late.values + self.sealed_values
    }

    /// Bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        let index = self.sealed.capacity() * size_of::<Chunk>();
        let sealed = self.sealed_bytes - self.sealed.len() * size_of::<Chunk>();
        size_of::<Self>() + self.head.memory() + self.late.memory() + sealed + index
    }

    /// Of those, the bytes of rows that are not sealed yet.
    pub fn head_bytes(&self) -> usize {
        self.head.memory() + self.late.memory()
    }

    /// Marks in `covered` the steps of `step_ms` from `from` on in which there are rows. Rows closer to each other
    /// than three times the usual distance leave no gap.
    pub fn cover(
        &self,
        from: UnixMs,
        step_ms: i64,
        covered: &mut [bool],
    ) -> Result<(), ChunkError> {
        let end = from + step_ms.saturating_mul(covered.len() as i64);
        let mut times = Vec::new();
        let wanted = |first: UnixMs, last: UnixMs| first <= end && last >= from;
        for chunk in self.sealed.iter().filter(|c| wanted(c.first(), c.last())) {
            chunk.times(&mut times)?;
            cover(&times, from, step_ms, covered);
        }
        for head in [&self.head, &self.late] {
            let newest = head.newest().map(|row| row.time);
            if newest.is_some_and(|newest| wanted(head.first, newest)) {
                times.clear();
                head.for_each(|row| {
                    times.push(row.time.0);
                    ControlFlow::Continue(())
                });
                cover(&times, from, step_ms, covered);
            }
        }
        Ok(())
    }

    /// The same by the ends of what is sealed alone: gaps within are not seen.
    pub fn cover_roughly(&self, from: UnixMs, step_ms: i64, covered: &mut [bool]) {
        let heads = [&self.head, &self.late].into_iter();
        let heads = heads.filter_map(|head| Some([head.first.0, head.newest()?.time.0]));
        let sealed = self.sealed.iter().map(|c| [c.first().0, c.last().0]);
        for ends in sealed.chain(heads) {
            cover(&ends, from, step_ms, covered);
        }
    }

    /// Rows from `from` to `to`, both included, in order of time.
    ///
    /// # Errors
    /// A sealed chunk does not decode.
    pub fn read(&self, series: &[u32], from: UnixMs, to: UnixMs) -> Result<Table, ChunkError> {
        self.read_with(&[], series, from, to)
    }

    /// Rows of this ring and of `borrowed` chunks, as if those were in it; one that is in it counts once.
    ///
    /// # Errors
    /// A sealed chunk does not decode.
    pub fn read_with(
        &self,
        borrowed: &[&Chunk],
        series: &[u32],
        from: UnixMs,
        to: UnixMs,
    ) -> Result<Table, ChunkError> {
        let mut table = Table {
            times: Vec::new(),
            columns: vec![Vec::new(); series.len()],
        };
        let overlaps = |chunk: &&Chunk| chunk.first() <= to && chunk.last() >= from;
        let mut chunks: Vec<&Chunk> = self.sealed.iter().filter(overlaps).collect();
        let missing = borrowed.iter().copied().filter(overlaps);
        let sealed = chunks.len();
        chunks.extend(missing.filter(|chunk| !self.contains(chunk)));
        if chunks.len() > sealed {
            chunks.sort_by_key(|chunk| chunk.last());
        }
        for chunk in chunks {
            read_chunk(chunk, series, from, to, &mut table)?;
        }
        for head in [&self.late, &self.head] {
            let Some(newest) = head.newest() else {
                continue;
            };
            if newest.time >= from && head.first <= to {
                read_head(head, series, from, to, &mut table);
            }
        }
        if !table.times.is_sorted() {
            sort(&mut table);
        }
        Ok(table)
    }

    /// The newest row at or before `at`, but not before `since`, with the values of `series`.
    ///
    /// # Errors
    /// A sealed chunk does not decode.
    pub fn at(
        &self,
        series: &[u32],
        since: UnixMs,
        at: UnixMs,
    ) -> Result<Option<(UnixMs, Vec<i64>)>, ChunkError> {
        self.at_with(&[], series, since, at)
    }

    /// The same with `borrowed` chunks, as [`Ring::read_with`] reads them.
    ///
    /// # Errors
    /// A sealed chunk does not decode.
    pub fn at_with(
        &self,
        borrowed: &[&Chunk],
        series: &[u32],
        since: UnixMs,
        at: UnixMs,
    ) -> Result<Option<(UnixMs, Vec<i64>)>, ChunkError> {
        if let Some(newest) = self.head.newest()
            && newest.time <= at
        {
            let value = |&s: &u32| newest.values.get(s as usize).copied().unwrap_or(ABSENT);
            let row = || (newest.time, series.iter().map(value).collect());
            return Ok((newest.time >= since).then(row));
        }
        let table = self.read_with(borrowed, series, since, at)?;
        let Some(&time) = table.times.last() else {
            return Ok(None);
        };
        let values = table
            .columns
            .iter()
            .map(|c| c.last().copied().unwrap_or(ABSENT))
            .collect();
        Ok(Some((UnixMs(time), values)))
    }
}

/// Rows this close leave no gap, however often there usually are some.
const GAP_MS_MIN: i64 = 5_000;

fn cover(times: &[i64], from: UnixMs, step_ms: i64, covered: &mut [bool]) {
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return;
    };
    let usual = (last - first) / (times.len() as i64 - 1).max(1);
    let gap_ms = usual.saturating_mul(3).max(GAP_MS_MIN);
    let step = |time: i64| time.saturating_sub(from.0).div_euclid(step_ms);
    let mut before = *first;
    for time in times {
        let begin = if *time - before > gap_ms {
            *time
        } else {
            before
        };
        for at in step(begin).max(0)..=step(*time) {
            match usize::try_from(at).ok().and_then(|at| covered.get_mut(at)) {
                Some(covered) => *covered = true,
                None => return,
            }
        }
        before = *time;
    }
}

fn read_chunk(
    chunk: &Chunk,
    series: &[u32],
    from: UnixMs,
    to: UnixMs,
    table: &mut Table,
) -> Result<(), ChunkError> {
    let mut column = Vec::new();
    chunk.times(&mut column)?;
    let start = column.partition_point(|&t| t < from.0);
    let end = column.partition_point(|&t| t <= to.0);
    let Some(times) = column.get(start..end) else {
        return Ok(());
    };
    table.times.extend_from_slice(times);
    let rows = times.len();
    for (&index, out) in series.iter().zip(&mut table.columns) {
        if chunk.values(index, &mut column)? {
            out.extend_from_slice(column.get(start..end).unwrap_or_default());
        } else {
            out.resize(out.len() + rows, ABSENT);
        }
    }
    Ok(())
}

fn read_head(head: &Head, series: &[u32], from: UnixMs, to: UnixMs, table: &mut Table) {
    head.for_each(|row| {
        if row.time > to {
            return ControlFlow::Break(());
        }
        if row.time < from {
            return ControlFlow::Continue(());
        }
        table.times.push(row.time.0);
        for (&index, out) in series.iter().zip(&mut table.columns) {
            out.push(row.values.get(index as usize).copied().unwrap_or(ABSENT));
        }
        ControlFlow::Continue(())
    });
}

fn sort(table: &mut Table) {
    let mut order: Vec<usize> = (0..table.times.len()).collect();
    order.sort_by_key(|&at| table.times.get(at).copied());
    for column in std::iter::once(&mut table.times).chain(&mut table.columns) {
        *column = order
            .iter()
            .filter_map(|&at| column.get(at).copied())
            .collect();
    }
}

#[cfg(test)]
mod tests;
