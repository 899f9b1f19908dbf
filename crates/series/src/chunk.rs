//! A chunk: sealed rows as compressed columns, each readable without the others.

use std::sync::Arc;

use sysmon_wire::UnixMs;
use sysmon_wire::varint::{get_i64, get_u64, put_i64, put_u64};

use crate::{ChunkError, column};

/// The first byte of an encoded chunk: the version of the format.
const FORMAT: u8 = 1;

/// Columns of a decoded chunk.
const COLUMNS_MAX: u64 = 1 << 20;

/// Rows of a decoded chunk: a constant column of a few bytes could otherwise claim any amount of memory.
const ROWS_MAX: u32 = 1 << 16;

/// Immutable rows, compressed by series; the times are the first column. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    first: UnixMs,
    last: UnixMs,
    rows: u32,
    /// Where each column ends in `data`.
    ends: Arc<[u32]>,
    data: Arc<[u8]>,
}

impl Chunk {
    /// Compresses rows given by column. Every column is as long as `times`, which must not be empty.
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
        let (mut data, mut ends) = (Vec::new(), Vec::new());
        for column in std::iter::once(times).chain(columns) {
            column::write(column, &mut data)?;
            ends.push(u32::try_from(data.len()).map_err(|_| ChunkError::Damaged)?);
        }
        Ok(Self {
            first: UnixMs(*first),
            last: UnixMs(*last),
            rows: u32::try_from(times.len()).map_err(|_| ChunkError::Damaged)?,
            ends: ends.into(),
            data: data.into(),
        })
    }

    /// The chunk as bytes, for storage.
    ///
    /// ```text
    /// chunk = 1 first(zigzag) last(zigzag) rows columns column-length… data… crc32(u32 LE, of all before)
    /// ```
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + self.ends.len() * 2 + 32);
        out.push(FORMAT);
        put_i64(&mut out, self.first.0);
        put_i64(&mut out, self.last.0);
        put_u64(&mut out, u64::from(self.rows));
        put_u64(&mut out, self.ends.len() as u64);
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
        let columns = get_u64(&mut bytes).filter(|n| (1..=COLUMNS_MAX).contains(n))?;
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

    /// Number of series.
    pub fn series(&self) -> usize {
        self.ends.len().saturating_sub(1)
    }

    /// Bytes of memory used.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.data.len() + size_of_val(&*self.ends)
    }

    /// Replaces `out` with the rows' times.
    ///
    /// # Errors
    /// The column does not decode.
    pub fn times(&self, out: &mut Vec<i64>) -> Result<(), ChunkError> {
        self.column(0, out)
    }

    /// Replaces `out` with the values of one series; false if the series is newer than the chunk.
    ///
    /// # Errors
    /// The column does not decode.
    pub fn values(&self, series: u32, out: &mut Vec<i64>) -> Result<bool, ChunkError> {
        if series as usize >= self.series() {
            return Ok(false);
        }
        self.column(series as usize + 1, out)?;
        Ok(true)
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
