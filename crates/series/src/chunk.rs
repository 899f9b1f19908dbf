//! A chunk: sealed rows as compressed columns, each readable without the others.

use std::sync::Arc;

use sysmon_wire::varint::{get_i64, get_u64, put_i64, put_u64};
use sysmon_wire::{ABSENT, UnixMs};

use crate::{ChunkError, column};

/// The first byte of an encoded chunk: the version of the format.
const FORMAT: u8 = 2;

/// Series of a decoded chunk, those without a value included.
const SERIES_MAX: u64 = 1 << 20;

/// Rows of a decoded chunk: a constant column of a few bytes could otherwise claim any amount of memory.
const ROWS_MAX: u32 = 1 << 16;

/// Series with successive indices whose columns follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    series: u32,
    /// The column of its first series.
    column: u32,
}

/// Immutable rows, compressed by series; the times are the first column. A series without a value has no column. Clones
/// share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    first: UnixMs,
    last: UnixMs,
    rows: u32,
    /// By series.
    runs: Arc<[Run]>,
    /// Where each column ends in `data`.
    ends: Arc<[u32]>,
    data: Arc<[u8]>,
}

impl Chunk {
    /// Compresses rows given by column. Every column is as long as `times`, which must not be empty, or empty if its series
    /// has no value.
    ///
    /// # Errors
    /// `times` is empty, the columns exceed 4 GiB, or compression fails.
    pub fn seal<'a>(
        times: &'a [i64],
        columns: impl IntoIterator<Item = &'a [i64]>,
    ) -> Result<Self, ChunkError> {
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return Err(ChunkError::Damaged);
        };
        let (mut data, mut ends, mut runs) = (Vec::new(), Vec::new(), Vec::<Run>::new());
        column::write(times, &mut data)?;
        ends.push(end_of(&data)?);
        let mut next = None;
        let columns = (0..).zip(columns);
        for (series, column) in columns.filter(|(_, column)| column.iter().any(|v| *v != ABSENT)) {
            if next != Some(series) {
                let column = ends.len() as u32;
                runs.push(Run { series, column });
            }
            next = series.checked_add(1);
            column::write(column, &mut data)?;
            ends.push(end_of(&data)?);
        }
        Ok(Self {
            first: UnixMs(*first),
            last: UnixMs(*last),
            rows: u32::try_from(times.len()).map_err(|_| ChunkError::Damaged)?,
            runs: runs.into(),
            ends: ends.into(),
            data: data.into(),
        })
    }

    /// The chunk as bytes, for storage.
    ///
    /// ```text
    /// chunk = 2 first(zigzag) last(zigzag) rows runs run… column-length… data… crc32(u32 LE, of all before)
    /// run   = gap length
    /// ```
    ///
    /// A run is `length` series with columns after `gap` series without. The first column is that of the times.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + self.ends.len() * 2 + 32);
        out.push(FORMAT);
        put_i64(&mut out, self.first.0);
        put_i64(&mut out, self.last.0);
        put_u64(&mut out, u64::from(self.rows));
        put_u64(&mut out, self.runs.len() as u64);
        let mut series = 0;
        for (run, length) in self.runs() {
            put_u64(&mut out, u64::from(run.series - series));
            put_u64(&mut out, u64::from(length));
            series = run.series + length;
        }
        let mut before = 0;
        for &end in self.ends.iter() {
            put_u64(&mut out, u64::from(end - before));
            before = end;
        }
        out.extend_from_slice(&self.data);
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Decodes what [`Chunk::encode`] wrote.
    ///
    /// # Errors
    /// The checksum, format version or a length is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChunkError> {
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(ChunkError::Damaged)?;
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err(ChunkError::Damaged);
        }
        Self::decode_body(body).ok_or(ChunkError::Damaged)
    }

    fn decode_body(body: &[u8]) -> Option<Self> {
        let (&format, mut bytes) = body.split_first()?;
        if format != FORMAT {
            return None;
        }
        let (first, last) = (get_i64(&mut bytes)?, get_i64(&mut bytes)?);
        let rows = u32::try_from(get_u64(&mut bytes)?).ok()?;
        let (mut runs, mut columns, mut series) = (Vec::new(), 1u32, 0u32);
        for _ in 0..get_u64(&mut bytes)? {
            let small = |n: u64| u32::try_from(n).ok().filter(|_| n <= SERIES_MAX);
            series = series.checked_add(small(get_u64(&mut bytes)?)?)?;
            runs.push(Run {
                series,
                column: columns,
            });
            let length = small(get_u64(&mut bytes)?).filter(|length| *length > 0)?;
            series = small(u64::from(series) + u64::from(length))?;
            columns += length;
        }
        let mut ends = Vec::new();
        let mut end = 0u32;
        for _ in 0..columns {
            end = end.checked_add(u32::try_from(get_u64(&mut bytes)?).ok()?)?;
            ends.push(end);
        }
        (end as usize == bytes.len() && (1..=ROWS_MAX).contains(&rows)).then(|| Self {
            first: UnixMs(first),
            last: UnixMs(last),
            rows,
            runs: runs.into(),
            ends: ends.into(),
            data: bytes.into(),
        })
    }

    /// The time of the earliest row.
    pub fn first(&self) -> UnixMs {
        self.first
    }

    /// The time of the latest row.
    pub fn last(&self) -> UnixMs {
        self.last
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows as usize
    }

    /// One more than the index of the last series that has a value.
    pub fn series(&self) -> usize {
        self.runs()
            .next_back()
            .map_or(0, |(run, length)| (run.series + length) as usize)
    }

    /// Number of series that have a value.
    pub fn columns(&self) -> usize {
        self.ends.len().saturating_sub(1)
    }

    /// The runs with their lengths.
    fn runs(&self) -> impl DoubleEndedIterator<Item = (Run, u32)> {
        (0..self.runs.len()).filter_map(|at| {
            let run = *self.runs.get(at)?;
            let next = self.runs.get(at + 1).map(|next| next.column);
            Some((run, next.unwrap_or(self.ends.len() as u32) - run.column))
        })
    }

    /// Bytes of memory used.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.data.len() + size_of_val(&*self.ends) + size_of_val(&*self.runs)
    }

    /// Replaces `out` with the rows' times.
    ///
    /// # Errors
    /// The column does not decode.
    pub fn times(&self, out: &mut Vec<i64>) -> Result<(), ChunkError> {
        self.column(0, out)
    }

    /// Replaces `out` with the values of one series; false, and nothing, if the series has none.
    ///
    /// # Errors
    /// The column does not decode.
    pub fn values(&self, series: u32, out: &mut Vec<i64>) -> Result<bool, ChunkError> {
        out.clear();
        let Some(column) = self.column_of(series) else {
            return Ok(false);
        };
        self.column(column, out)?;
        Ok(true)
    }

    /// Whether a series has a value.
    pub fn has_values(&self, series: u32) -> bool {
        self.column_of(series).is_some()
    }

    fn column_of(&self, series: u32) -> Option<usize> {
        let after = self.runs.partition_point(|run| run.series <= series);
        let run = self.runs.get(after.checked_sub(1)?)?;
        // Readers ask for series that a host lacks by the greatest index.
        let column = run.column.checked_add(series - run.series)?;
        let next = self.runs.get(after).map(|next| next.column);
        (column < next.unwrap_or(self.ends.len() as u32)).then_some(column as usize)
    }

    fn column(&self, at: usize, out: &mut Vec<i64>) -> Result<(), ChunkError> {
        let start = match at.checked_sub(1) {
            Some(before) => *self.ends.get(before).ok_or(ChunkError::Damaged)?,
            None => 0,
        };
        let end = *self.ends.get(at).ok_or(ChunkError::Damaged)?;
        let bytes = self
            .data
            .get(start as usize..end as usize)
            .ok_or(ChunkError::Damaged)?;
        column::read(bytes, self.rows(), out)
    }
}

fn end_of(data: &[u8]) -> Result<u32, ChunkError> {
    u32::try_from(data.len()).map_err(|_| ChunkError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host whose containers are replaced all the time has thousands of series of a day, of which few have values at a time.
    #[test]
    fn a_series_of_the_greatest_index_has_no_values() {
        let chunk = Chunk::seal(&[1, 2], [&[3, 4][..]]).unwrap();
        let mut out = vec![9];
        assert!(!chunk.has_values(u32::MAX));
        assert!(!chunk.values(u32::MAX, &mut out).unwrap());
        assert!(out.is_empty());
    }

    #[test]
    fn series_without_a_value_cost_nothing() {
        let times: Vec<i64> = (0..512).map(|n| n * 1000).collect();
        let busy: Vec<i64> = (0..512).map(|n| n * n % 97).collect();
        let absent = vec![ABSENT; 512];
        let few = Chunk::seal(&times, [&busy[..], &busy]).unwrap();
        let gone = (0..60_000).map(|at| if at % 2 == 0 { &[] } else { &absent[..] });
        let all = std::iter::once(&busy[..]).chain(gone).chain([&busy[..]]);
        let many = Chunk::seal(&times, all).unwrap();
        assert_eq!((many.series(), many.columns()), (60_002, 2));
        assert!(many.encode().len() <= few.encode().len() + 6);
        assert!(many.bytes() <= few.bytes() + 16);
        let back = Chunk::decode(&many.encode()).unwrap();
        assert_eq!(back, many);
        let mut out = Vec::new();
        assert!(back.values(60_001, &mut out).unwrap() && out == busy);
        assert!(!back.values(7, &mut out).unwrap() && out.is_empty());
        assert!(!back.has_values(60_002) && !back.has_values(u32::MAX));
    }
}
