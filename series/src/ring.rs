//! The ring of one host.

use std::collections::VecDeque;

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

    /// Calls `each` with every row, oldest first.
    fn for_each(&self, mut each: impl FnMut(&Row)) {
        let mut decoder = RowDecoder::new();
        let mut bytes = &self.bytes[..];
        // The bytes are our own encoder's, so an error cannot be; if it were, the rest is lost.
        while let Ok(Some(row)) = decoder.decode(&mut bytes, self.encoder.previous().values.len()) {
            each(row);
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
        if head.rows as usize >= ROWS_PER_CHUNK {
            let chunk = head.seal()?;
            self.keep(chunk);
        }
        Ok(())
    }

    /// An empty ring that remembers what happens to it, for [`Ring::take_changes`].
    pub fn recording() -> Self {
        Self {
            unsaved: Some(Vec::new()),
            ..Self::default()
        }
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

    /// Takes back a chunk of an earlier ring, while rows may come in already.
    pub fn restore_chunk(&mut self, chunk: Chunk) {
        self.insert(chunk);
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
        let Some(chunk) = self.sealed.pop_front() else {
            return 0;
        };
        self.sealed_bytes -= chunk.bytes();
        self.sealed_values -= (chunk.rows() * chunk.series()) as u64;
        self.sealed_rows -= chunk.rows() as u64;
        chunk.rows() as u64
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

    /// Rows from `from` to `to`, both included, in order of time.
    pub fn read(&self, series: &[u32], from: UnixMs, to: UnixMs) -> Result<Table, ChunkError> {
        let mut table = Table {
            times: Vec::new(),
            columns: vec![Vec::new(); series.len()],
        };
        for chunk in self
            .sealed
            .iter()
            .filter(|c| c.first() <= to && c.last() >= from)
        {
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
    pub fn at(
        &self,
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
        let table = self.read(series, since, at)?;
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
        if row.time < from || row.time > to {
            return;
        }
        table.times.push(row.time.0);
        for (&index, out) in series.iter().zip(&mut table.columns) {
            out.push(row.values.get(index as usize).copied().unwrap_or(ABSENT));
        }
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows as they are, to compare with.
    #[derive(Default)]
    struct Model(Vec<(i64, Vec<i64>)>);

    impl Model {
        fn read(&self, series: &[u32], from: i64, to: i64) -> Table {
            let rows: Vec<_> = self
                .0
                .iter()
                .filter(|r| (from..=to).contains(&r.0))
                .collect();
            let column = |&s: &u32| {
                rows.iter()
                    .map(|r| r.1.get(s as usize).copied().unwrap_or(ABSENT))
                    .collect()
            };
            Table {
                times: rows.iter().map(|r| r.0).collect(),
                columns: series.iter().map(column).collect(),
            }
        }
    }

    #[test]
    fn sealed_and_unsealed_rows_read_as_one() {
        let mut ring = Ring::new();
        for n in 0..1500i64 {
            ring.append(UnixMs(n * 1000), &[n, n / 10, ABSENT]).unwrap();
        }
        assert_eq!(ring.sealed.len(), 2);
        assert_eq!((ring.rows(), ring.values()), (1500, 4500));
        let table = ring
            .read(&[0, 2], UnixMs(500_000), UnixMs(1_200_000))
            .unwrap();
        assert_eq!(table.columns[0], (500..=1200).collect::<Vec<i64>>());
        assert!(table.columns[1].iter().all(|&v| v == ABSENT));
        assert_eq!(ring.evict_before(UnixMs(600_000)), 512);
        assert_eq!(ring.oldest(), Some(UnixMs(512_000)));
    }

    #[test]
    fn the_row_at_a_moment_is_the_newest_before_it() {
        let mut ring = Ring::new();
        ring.append(UnixMs(1000), &[1]).unwrap();
        ring.append(UnixMs(5000), &[5]).unwrap();
        assert_eq!(
            ring.at(&[0], UnixMs(0), UnixMs(4999)).unwrap(),
            Some((UnixMs(1000), vec![1]))
        );
        assert_eq!(
            ring.at(&[0], UnixMs(0), UnixMs(9000)).unwrap(),
            Some((UnixMs(5000), vec![5]))
        );
        assert_eq!(ring.at(&[0], UnixMs(6000), UnixMs(9000)).unwrap(), None);
    }

    /// What a store would keep of a ring, and the ring made of it again.
    #[derive(Default)]
    struct Kept {
        chunks: Vec<Vec<u8>>,
        heads: [Vec<u8>; 2],
    }

    impl Kept {
        fn take(&mut self, changes: Changes) {
            let chunks = changes.chunks.iter();
            self.chunks.extend(chunks.map(super::Chunk::encode));
            for (kept, changes) in self.heads.iter_mut().zip(changes.heads) {
                if changes.restarted {
                    kept.clear();
                }
                kept.extend(changes.bytes);
            }
        }

        fn ring(&self, series: usize) -> Ring {
            let mut ring = Ring::recording();
            ring.restore_heads([&self.heads[0], &self.heads[1]], series);
            for chunk in self.chunks.iter().rev() {
                ring.restore_chunk(Chunk::decode(chunk).unwrap());
            }
            ring
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn what_was_kept_makes_the_same_ring_again(
            starts in proptest::collection::vec((0i64..5000, 1usize..700), 1..6),
            every in 1usize..300,
        ) {
            let (mut ring, mut kept) = (Ring::recording(), Kept::default());
            let mut count = 0;
            for (series, (start, rows)) in starts.iter().enumerate() {
                for n in 0..*rows as i64 {
                    let values: Vec<i64> = (0..=series as i64).map(|s| s * n % 7).collect();
                    ring.append(UnixMs(start + n), &values).unwrap();
                    count += 1;
                    if count % every == 0 {
                        kept.take(ring.take_changes());
                    }
                }
            }
            kept.take(ring.take_changes());
            prop_assert!(ring.take_changes().is_empty());
            let mut again = kept.ring(starts.len());
            prop_assert!(again.take_changes().is_empty(), "what is kept already is no change");
            let all = |ring: &Ring| ring.read(&[0, 2], UnixMs(0), UnixMs(9000)).unwrap();
            let sorted = |table: Table| {
                let mut rows: Vec<_> = (0..table.times.len())
                    .map(|n| (table.times[n], table.columns[0][n], table.columns[1][n]))
                    .collect();
                rows.sort_unstable();
                rows
            };
            prop_assert_eq!(sorted(all(&again)), sorted(all(&ring)));
            prop_assert_eq!(again.rows(), ring.rows());
            // And it goes on as the other would have.
            again.append(UnixMs(8000), &[1]).unwrap();
            prop_assert!(!again.take_changes().is_empty());
        }

        #[test]
        fn no_bytes_make_reading_a_chunk_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = bytes;
            prop_assert!(Chunk::decode(&bytes).is_err());
            // With the right checksum, too.
            let checksum = crc32fast::hash(&bytes);
            bytes.extend(checksum.to_le_bytes());
            if let Ok(chunk) = Chunk::decode(&bytes) {
                let _ = (chunk.times(&mut Vec::new()), chunk.values(0, &mut Vec::new()));
            }
        }

        #[test]
        fn any_order_of_rows_reads_back_in_order_of_time(
            starts in proptest::collection::vec((0i64..5000, 1usize..400), 1..9),
            from in 0i64..6000, span in 0i64..6000,
        ) {
            let (mut ring, mut model) = (Ring::new(), Model::default());
            let mut used = std::collections::HashSet::new();
            for (series, (start, rows)) in starts.iter().enumerate() {
                for n in 0..*rows as i64 {
                    let time = start + n;
                    if used.insert(time) {
                        let values: Vec<i64> = (0..=series as i64).map(|s| s * time % 7).collect();
                        // Series only ever become more, and never fewer.
                        ring.append(UnixMs(time), &values).unwrap();
                        model.0.push((time, values));
                    }
                }
            }
            model.0.sort_by_key(|row| row.0);
            let want = model.read(&[0, 3, 8], from, from + span);
            prop_assert_eq!(ring.read(&[0, 3, 8], UnixMs(from), UnixMs(from + span)).unwrap(), want);
            prop_assert_eq!(ring.rows(), model.0.len() as u64);
            prop_assert_eq!(ring.newest().map(|t| t.0), model.0.last().map(|r| r.0));
            prop_assert_eq!(ring.oldest().map(|t| t.0), model.0.first().map(|r| r.0));
        }
    }
}
