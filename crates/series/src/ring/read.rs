//! Reading a ring: rows of a span, the row at a moment, and which steps have rows.

use std::ops::ControlFlow;

use sysmon_wire::{ABSENT, Row, UnixMs};

use super::Ring;
use super::head::{Head, Tail, push};
use crate::{Chunk, ChunkError};

/// Rows of chosen series: `columns[i][n]` is the value of the i-th chosen series at `times[n]`. The column of a series
/// without a value is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Unix milliseconds, never falling.
    pub times: Vec<i64>,
    /// One for each chosen series.
    pub columns: Vec<Vec<i64>>,
}

impl Ring {
    /// Sets `covered[i]` where the i-th step of `step_ms` after `from` has rows. Rows less than three times their
    /// usual interval apart leave no gap.
    ///
    /// # Errors
    /// A sealed chunk does not decode.
    pub fn mark_covered(
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
            mark(&times, from, step_ms, covered);
        }
        for head in [&self.head, &self.late] {
            if head.span().is_some_and(|(first, last)| wanted(first, last)) {
                times.clear();
                head.for_each(UnixMs(i64::MIN), |row| {
                    times.push(row.time.0);
                    ControlFlow::Continue(())
                });
                mark(&times, from, step_ms, covered);
            }
        }
        Ok(())
    }

    /// Like [`Ring::mark_covered`] without decoding: a gap inside a chunk or head counts as covered.
    pub fn mark_covered_roughly(&self, from: UnixMs, step_ms: i64, covered: &mut [bool]) {
        let heads = [&self.head, &self.late].into_iter().filter_map(Head::span);
        let sealed = self.sealed.iter().map(|c| (c.first(), c.last()));
        for (first, last) in sealed.chain(heads) {
            mark(&[first.0, last.0], from, step_ms, covered);
        }
    }

    /// Rows from `from` to `to`, both included, oldest first.
    ///
    /// # Errors
    /// A sealed chunk does not decode.
    pub fn read(&self, series: &[u32], from: UnixMs, to: UnixMs) -> Result<Table, ChunkError> {
        self.read_with(&[], series, from, to)
    }

    /// The same for somebody who asks for one span after the other: each row of the head is decoded once.
    ///
    /// # Errors
    /// A sealed chunk does not decode.
    pub fn follow(
        &self,
        tail: &mut Tail,
        series: &[u32],
        from: UnixMs,
        to: UnixMs,
    ) -> Result<Table, ChunkError> {
        let is_sealed = self.sealed.back().is_some_and(|chunk| chunk.last() >= from);
        let is_late = self
            .late
            .span()
            .is_some_and(|(first, last)| first <= to && last >= from);
        if is_sealed || is_late {
            return self.read(series, from, to);
        }
        let mut table = Table {
            times: Vec::new(),
            columns: vec![Vec::new(); series.len()],
        };
        self.head
            .follow(tail, from, to, |row| add_row(row, series, &mut table));
        Ok(table)
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
            let overlaps = |(first, last)| first <= to && last >= from;
            if head.span().is_some_and(overlaps) {
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
/// Rows this close leave no gap, whatever their usual interval.
const GAP_MS_MIN: i64 = 5_000;

fn mark(times: &[i64], from: UnixMs, step_ms: i64, covered: &mut [bool]) {
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
    let before = table.times.len();
    table.times.extend_from_slice(times);
    let after = table.times.len();
    for (&index, out) in series.iter().zip(&mut table.columns) {
        chunk.values(index, &mut column)?;
        let values = column.get(start..end).unwrap_or_default();
        if !out.is_empty() || values.iter().any(|value| *value != ABSENT) {
            out.resize(before, ABSENT);
            out.extend_from_slice(values);
            out.resize(after, ABSENT);
        }
    }
    Ok(())
}

fn read_head(head: &Head, series: &[u32], from: UnixMs, to: UnixMs, table: &mut Table) {
    head.for_each(from, |row| {
        if row.time > to {
            return ControlFlow::Break(());
        }
        if row.time < from {
            return ControlFlow::Continue(());
        }
        add_row(row, series, table);
        ControlFlow::Continue(())
    });
}

fn add_row(row: &Row, series: &[u32], table: &mut Table) {
    for (&index, out) in series.iter().zip(&mut table.columns) {
        let value = row.values.get(index as usize).copied().unwrap_or(ABSENT);
        push(out, value, table.times.len());
    }
    table.times.push(row.time.0);
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
