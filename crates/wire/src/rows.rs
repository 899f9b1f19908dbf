//! Rows of values, and the sparse encoding in which they travel and are stored.
//!
//! A row block is rows one after the other, each as
//!
//! ```text
//! row     = varint seq step, zigzag time, varint entries, entry*
//! entry   = varint (index gap << 1 | absent), [zigzag difference]
//! ```
//!
//! *seq step* is the distance to the row before (the first row's is its number itself); *time* is
//! how far the row lies, in milliseconds, from where the last two rows' distance predicts it; an
//! entry stands for each value that differs from the row before, with the distance to the entry
//! before; *difference* is to the value before, taken as 0 where there was none. Integers are
//! LEB128. A decoder that begins with an encoder's first row needs nothing else: such a row is a
//! keyframe. On a real host of 369 series a row takes about 140 bytes.

use thiserror::Error;

use crate::UnixMs;
use crate::varint::{get_i64, get_u64, put_i64, put_u64};

/// The value of a series that has none in a row.
pub const ABSENT: i64 = i64::MIN;

/// One sample of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Number of the row in its agent run, from 1.
    pub seq: u64,
    /// When it was taken.
    pub time: UnixMs,
    /// The value of each series by its index, scaled as its metric says; [`ABSENT`] for none.
    pub values: Vec<i64>,
}

/// Why a row block does not decode.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RowError {
    /// The bytes end inside a row or an integer is too long.
    #[error("truncated row")]
    Truncated,
    /// An entry lies beyond the series defined so far.
    #[error("value for series {index}, but only {series} are defined")]
    UnknownSeries {
        /// The series that was named.
        index: u64,
        /// How many there are.
        series: usize,
    },
    /// Sequence numbers must rise.
    #[error("sequence number does not rise")]
    NotRising,
}

/// What encoder and decoder both know of the row before.
#[derive(Clone, Debug, Default)]
struct Previous {
    row: Row,
    interval_ms: i64,
}

impl Previous {
    fn predicted(&self) -> UnixMs {
        self.row.time + self.interval_ms
    }

    fn advance(&mut self, seq: u64, time: UnixMs) {
        // A keyframe's distance from nothing predicts nothing.
        self.interval_ms = if self.row.seq == 0 {
            0
        } else {
            time - self.row.time
        };
        self.row.seq = seq;
        self.row.time = time;
    }
}

/// A place between two rows from which a decoder can go on, instead of from the first row.
#[derive(Clone, Debug, Default)]
pub struct RowMark {
    /// The row before, as a keyframe.
    keyframe: Vec<u8>,
    interval_ms: i64,
}

impl RowMark {
    /// A decoder that has read everything before the mark.
    ///
    /// # Errors
    /// There are fewer `series` than the row before has values.
    pub fn decoder(&self, series: usize) -> Result<RowDecoder, RowError> {
        let mut decoder = RowDecoder::new();
        decoder.decode(&mut &self.keyframe[..], series)?;
        decoder.previous.interval_ms = self.interval_ms;
        Ok(decoder)
    }

    /// Bytes of memory that it uses.
    pub fn bytes(&self) -> usize {
        self.keyframe.capacity() + size_of::<Self>()
    }
}

/// Writes rows in sparse form; its first row is a keyframe.
#[derive(Clone, Debug, Default)]
pub struct RowEncoder {
    previous: Previous,
    entries: Vec<u8>,
}

impl RowEncoder {
    /// An encoder whose next row is a keyframe.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next row a keyframe, keeping the allocations.
    pub fn reset(&mut self) {
        self.previous.row.values.clear();
        self.previous.row.seq = 0;
        self.previous.row.time = UnixMs(0);
        self.previous.interval_ms = 0;
    }

    /// The row written last; empty after a reset.
    pub fn previous(&self) -> &Row {
        &self.previous.row
    }

    /// The place after the row written last.
    pub fn mark(&self) -> RowMark {
        let row = &self.previous.row;
        let mut keyframe = Vec::new();
        Self::new().encode(row.seq, row.time, &row.values, &mut keyframe);
        keyframe.shrink_to_fit();
        RowMark {
            keyframe,
            interval_ms: self.previous.interval_ms,
        }
    }

    /// Appends the row to `out`. `seq` must be higher than the last one's; series beyond the end
    /// of `values` have none in this row.
    pub fn encode(&mut self, seq: u64, time: UnixMs, values: &[i64], out: &mut Vec<u8>) {
        debug_assert!(seq > self.previous.row.seq);
        let previous = &mut self.previous;
        put_u64(out, seq - previous.row.seq);
        put_i64(out, time - previous.predicted());
        previous.advance(seq, time);
        if previous.row.values.len() < values.len() {
            previous.row.values.resize(values.len(), ABSENT);
        }
        self.entries.clear();
        let mut count = 0u64;
        let mut next = 0usize;
        let values = values.iter().copied().chain(std::iter::repeat(ABSENT));
        for (index, (old, new)) in previous.row.values.iter_mut().zip(values).enumerate() {
            if new == *old {
                continue;
            }
            let gap = ((index - next) as u64) << 1;
            if new == ABSENT {
                put_u64(&mut self.entries, gap | 1);
            } else {
                let base = if *old == ABSENT { 0 } else { *old };
                put_u64(&mut self.entries, gap);
                put_i64(&mut self.entries, new.wrapping_sub(base));
            }
            *old = new;
            next = index + 1;
            count += 1;
        }
        put_u64(out, count);
        out.extend_from_slice(&self.entries);
    }
}

/// Reads what a [`RowEncoder`] wrote.
#[derive(Clone, Debug, Default)]
pub struct RowDecoder {
    previous: Previous,
}

impl RowDecoder {
    /// A decoder that expects a keyframe.
    pub fn new() -> Self {
        Self::default()
    }

    /// The row decoded last.
    pub fn previous(&self) -> &Row {
        &self.previous.row
    }

    /// Expects a keyframe next.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Decodes the next row of `bytes` and moves `bytes` past it; `None` at the end. `series` is the number of series
    /// defined so far.
    ///
    /// # Errors
    /// The row is truncated or inconsistent; the decoder then needs a reset.
    pub fn decode<'a>(
        &'a mut self,
        bytes: &mut &[u8],
        series: usize,
    ) -> Result<Option<&'a Row>, RowError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let step = get_u64(bytes).ok_or(RowError::Truncated)?;
        let off = get_i64(bytes).ok_or(RowError::Truncated)?;
        let count = get_u64(bytes).ok_or(RowError::Truncated)?;
        let previous = &mut self.previous;
        let seq = previous.row.seq.checked_add(step).filter(|_| step > 0);
        let time = previous.predicted() + off;
        previous.advance(seq.ok_or(RowError::NotRising)?, time);
        let values = &mut previous.row.values;
        if values.len() < series {
            values.resize(series, ABSENT);
        }
        let mut next = 0u64;
        for _ in 0..count {
            let head = get_u64(bytes).ok_or(RowError::Truncated)?;
            let index = next.saturating_add(head >> 1);
            let unknown = RowError::UnknownSeries { index, series };
            let place = usize::try_from(index).ok().and_then(|i| values.get_mut(i));
            let value = place.ok_or(unknown)?;
            *value = if head & 1 == 1 {
                ABSENT
            } else {
                let base = if *value == ABSENT { 0 } else { *value };
                base.wrapping_add(get_i64(bytes).ok_or(RowError::Truncated)?)
            };
            next = index + 1;
        }
        Ok(Some(&self.previous.row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_all(mut bytes: &[u8], series: usize) -> Result<Vec<Row>, RowError> {
        let mut decoder = RowDecoder::new();
        let mut rows = Vec::new();
        while let Some(row) = decoder.decode(&mut bytes, series)? {
            rows.push(row.clone());
        }
        Ok(rows)
    }

    #[test]
    fn an_unchanged_row_takes_three_bytes() {
        let mut encoder = RowEncoder::new();
        let mut out = Vec::new();
        for seq in 1..=3 {
            encoder.encode(seq, UnixMs(seq as i64 * 1000), &[7; 300], &mut out);
        }
        let before = out.len();
        encoder.encode(4, UnixMs(4000), &[7; 300], &mut out);
        assert_eq!(out.len() - before, 3);
    }

    #[test]
    fn series_beyond_the_end_of_a_row_have_no_value() {
        let (mut encoder, mut out) = (RowEncoder::new(), Vec::new());
        encoder.encode(1, UnixMs(0), &[1, 2], &mut out);
        encoder.encode(2, UnixMs(0), &[1], &mut out);
        assert_eq!(decode_all(&out, 2).unwrap()[1].values, [1, ABSENT]);
    }

    #[test]
    fn a_value_beyond_the_defined_series_is_refused() {
        let mut out = Vec::new();
        RowEncoder::new().encode(1, UnixMs(0), &[1, 2, 3], &mut out);
        assert_eq!(
            decode_all(&out, 2),
            Err(RowError::UnknownSeries {
                index: 2,
                series: 2
            })
        );
    }

    #[test]
    fn a_repeated_sequence_number_is_refused() {
        assert_eq!(decode_all(&[1, 0, 0, 0, 0, 0], 1), Err(RowError::NotRising));
    }

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![Just(ABSENT), Just(0), any::<i64>(), -300i64..300]
    }

    proptest! {
        #[test]
        fn rows_make_the_round_trip(
            rows in proptest::collection::vec(
                (1u64..5, any::<i32>(), proptest::collection::vec(value(), 6)), 1..20),
        ) {
            let mut encoder = RowEncoder::new();
            let (mut out, mut expected) = (Vec::new(), Vec::new());
            let (mut seq, mut time) = (0, 0);
            for (step, dt, values) in rows {
                seq += step;
                time += i64::from(dt);
                encoder.encode(seq, UnixMs(time), &values, &mut out);
                expected.push(Row { seq, time: UnixMs(time), values });
            }
            prop_assert_eq!(decode_all(&out, 6).unwrap(), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_all(&bytes, 50);
        }
    }
}
