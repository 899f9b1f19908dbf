//! The ring of one host: append, seal, restore, evict.

mod head;
mod read;

use std::collections::VecDeque;

use sysmon_wire::UnixMs;

use self::head::Head;
pub use self::head::{HeadChanges, Tail};
pub use self::read::Table;
use crate::{Chunk, ChunkError};

/// Rows sealed into one chunk. More compress better (0.21 bytes per value at 240, 0.16 at 512 on a real host),
/// but leave more rows unsealed and make reading one second slower.
pub const ROWS_PER_CHUNK: usize = 512;

/// All rows of one host within its retention.
///
/// Rows in order go to the *head*, rows older than its newest (backfill) to a second, *late* head. Both seal into
/// chunks, which may overlap in time; reading sorts rows.
#[derive(Debug)]
pub struct Ring {
    head: Head,
    late: Head,
    /// By the time of their last row.
    sealed: VecDeque<Chunk>,
    sealed_bytes: usize,
    sealed_values: u64,
    sealed_rows: u64,
    /// Chunks sealed since the last [`Ring::take_changes`], if the ring records them.
    unsaved: Option<Vec<Chunk>>,
    /// The head seals when it has this many rows.
    seal_at: u32,
    /// The last row of the newest evicted chunk.
    evicted_to: Option<UnixMs>,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            head: Head::default(),
            late: Head::default(),
            sealed: VecDeque::new(),
            sealed_bytes: 0,
            sealed_values: 0,
            sealed_rows: 0,
            unsaved: None,
            seal_at: ROWS_PER_CHUNK as u32,
            evicted_to: None,
        }
    }
}

/// What a ring stored since the last [`Ring::take_changes`]: enough to rebuild it.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Chunks sealed since then.
    pub chunks: Vec<Chunk>,
    /// The head and the late head.
    pub heads: [HeadChanges; 2],
}

impl Changes {
    /// Whether there is nothing to save.
    pub fn is_empty(&self) -> bool {
        let idle = |head: &HeadChanges| !head.restarted && head.bytes.is_empty();
        self.chunks.is_empty() && self.heads.iter().all(idle)
    }
}

impl Ring {
    /// An empty ring.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty ring that records what it seals, for [`Ring::take_changes`].
    pub fn recording() -> Self {
        Self {
            unsaved: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Adds a row. A series' index never changes during the life of the ring, and series are only added.
    ///
    /// The ring does not detect repeated rows; the caller does.
    ///
    /// # Errors
    /// A full head cannot be compressed.
    pub fn append(&mut self, time: UnixMs, values: &[i64]) -> Result<(), ChunkError> {
        let in_order = self.head.newest().is_none_or(|newest| newest.time <= time)
            && self.sealed.back().is_none_or(|chunk| chunk.last() <= time);
        if in_order {
            self.head.push(time, values);
            if self.head.rows >= self.seal_at {
                self.seal_at = ROWS_PER_CHUNK as u32;
                let chunk = self.head.seal()?;
                self.push_sealed(chunk);
            }
            return Ok(());
        }
        if self.late.newest().is_some_and(|newest| newest.time > time) {
            let chunk = self.late.seal()?;
            self.push_sealed(chunk);
        }
        self.late.push(time, values);
        if self.late.rows >= ROWS_PER_CHUNK as u32 {
            let chunk = self.late.seal()?;
            self.push_sealed(chunk);
        }
        Ok(())
    }

    /// Seals the first chunk early, by an amount that depends on `number`: rings that start together would otherwise
    /// seal together for ever, in one long pause.
    pub fn stagger(&mut self, number: u32) {
        let half = ROWS_PER_CHUNK as u32 / 2;
        // A factor coprime to the range spreads neighbouring numbers over all of it.
        self.seal_at = half + number.wrapping_mul(97) % half;
    }

    /// Seals late rows now, and with `all` the head too.
    ///
    /// # Errors
    /// A head cannot be compressed.
    pub fn seal_heads(&mut self, all: bool) -> Result<(), ChunkError> {
        if self.late.rows > 0 {
            let chunk = self.late.seal()?;
            self.push_sealed(chunk);
        }
        if all && self.head.rows > 0 {
            let chunk = self.head.seal()?;
            self.push_sealed(chunk);
        }
        Ok(())
    }

    /// Unsealed late rows.
    pub fn late_rows(&self) -> u32 {
        self.late.rows
    }

    /// The time of the oldest unsealed row.
    pub fn oldest_unsealed(&self) -> Option<UnixMs> {
        let heads = [&self.head, &self.late];
        let spans = heads.into_iter().filter_map(Head::span);
        spans.map(|(first, _)| first).min()
    }

    /// Bytes of the chunks that the next [`Ring::take_changes`] returns.
    pub fn unsaved_bytes(&self) -> usize {
        let unsaved = self.unsaved.iter().flatten();
        unsaved.map(Chunk::bytes).sum()
    }

    /// What was stored since the last call, or since the ring was made.
    pub fn take_changes(&mut self) -> Changes {
        let chunks = self.unsaved.as_mut().map(std::mem::take);
        Changes {
            chunks: chunks.unwrap_or_default(),
            heads: [self.head.take_changes(), self.late.take_changes()],
        }
    }

    /// Restores the saved heads of an earlier ring with this many series.
    pub fn restore_heads(&mut self, heads: [&[u8]; 2], series: usize) {
        let [head, late] = heads;
        self.head.restore(head, series);
        self.late.restore(late, series);
    }

    /// Restores a chunk of an earlier ring; new rows may already arrive meanwhile. False if it is here already.
    pub fn restore_chunk(&mut self, chunk: Chunk) -> bool {
        let is_new = !self.contains(&chunk);
        if is_new {
            self.insert(chunk);
        }
        is_new
    }

    /// Whether the ring holds a chunk from exactly `first` to `last`.
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

    /// Whether no chunk that ends at or after `from` was evicted.
    pub fn has_all_since(&self, from: UnixMs) -> bool {
        self.evicted_to.is_none_or(|evicted| evicted < from)
    }

    fn push_sealed(&mut self, chunk: Chunk) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.push(chunk.clone());
        }
        self.insert(chunk);
    }

    fn insert(&mut self, chunk: Chunk) {
        self.sealed_bytes += chunk.bytes();
        self.sealed_values += (chunk.rows() * chunk.columns()) as u64;
        self.sealed_rows += chunk.rows() as u64;
        let at = self
            .sealed
            .partition_point(|other| other.last() <= chunk.last());
        self.sealed.insert(at, chunk);
    }

    /// Evicts chunks that end before `horizon`; returns how many rows they held.
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

    /// Evicts the oldest chunk; returns how many rows it held, 0 if nothing is sealed.
    pub fn evict_oldest(&mut self) -> u64 {
        let Some(chunk) = self.remove_at(0) else {
            return 0;
        };
        self.evicted_to = self.evicted_to.max(Some(chunk.last()));
        chunk.rows() as u64
    }

    fn remove_at(&mut self, at: usize) -> Option<Chunk> {
        let chunk = self.sealed.remove(at)?;
        self.sealed_bytes -= chunk.bytes();
        self.sealed_values -= (chunk.rows() * chunk.columns()) as u64;
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
        let sealed = self.sealed.iter().map(Chunk::first).min();
        [self.oldest_unsealed(), sealed].into_iter().flatten().min()
    }

    /// The last row of the oldest sealed chunk.
    pub fn oldest_sealed(&self) -> Option<UnixMs> {
        self.sealed.front().map(Chunk::last)
    }

    /// Rows held.
    pub fn rows(&self) -> u64 {
        u64::from(self.head.rows) + u64::from(self.late.rows) + self.sealed_rows
    }

    /// Values held. In sealed chunks, absent ones of series that have others count too.
    pub fn values(&self) -> u64 {
        self.head.values + self.late.values + self.sealed_values
    }

    /// Bytes of memory used.
    pub fn bytes(&self) -> usize {
        let index = self.sealed.capacity() * size_of::<Chunk>();
        let sealed = self.sealed_bytes - self.sealed.len() * size_of::<Chunk>();
        size_of::<Self>() + self.head_bytes() + sealed + index
    }

    /// Bytes of memory used by unsealed rows.
    pub fn head_bytes(&self) -> usize {
        self.head.memory_bytes() + self.late.memory_bytes()
    }
}

#[cfg(test)]
mod tests;
