//! Sealed rows: columns side by side, each to be read without the others.

use sysmon_wire::UnixMs;
use thiserror::Error;

use crate::column;

/// Rows that no longer change, compressed by series. Its times are one more column.
#[derive(Clone, Debug)]
pub struct Chunk {
    first: UnixMs,
    last: UnixMs,
    rows: u32,
    /// Where each column ends in `data`; the times come first.
    ends: Box<[u32]>,
    data: Box<[u8]>,
}

/// Why a chunk cannot be made or read.
#[derive(Debug, Error)]
pub enum ChunkError {
    /// The bytes are not what was written.
    #[error("a chunk is damaged: restore it from a backup or let its retention pass")]
    Damaged,
    /// The compressor refused.
    #[error("a chunk cannot be compressed or read: {0}")]
    Compression(#[from] pco::errors::PcoError),
}

impl Chunk {
    /// Seals rows given by column; every column is as long as `times`, which must not be empty.
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

    /// The earliest row.
    pub fn first(&self) -> UnixMs {
        self.first
    }

    /// The latest row.
    pub fn last(&self) -> UnixMs {
        self.last
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows as usize
    }

    /// How many series.
    pub fn series(&self) -> usize {
        self.ends.len().saturating_sub(1)
    }

    /// Memory it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.data.len() + size_of_val(&*self.ends)
    }

    /// Reads the rows' times into `out`.
    pub fn times(&self, out: &mut Vec<i64>) -> Result<(), ChunkError> {
        self.column(0, out)
    }

    /// Reads one series into `out`; false if the chunk is from before it existed.
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
