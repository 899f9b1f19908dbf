//! Rows in the binary format of COPY. Pure.
//!
//! The format: <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4>.

/// Milliseconds from 1970 to 2000, where PostgreSQL's times begin.
const EPOCH_MS: i64 = 946_684_800_000;

const FLOAT8: u32 = 701;

/// A COPY's content.
#[derive(Debug)]
pub(super) struct Copy(Vec<u8>);

impl Copy {
    pub(super) fn new() -> Self {
        let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
        bytes.extend_from_slice(&[0; 8]);
        Self(bytes)
    }

    pub(super) fn begin_row(&mut self, fields: u16) {
        self.0.extend_from_slice(&fields.to_be_bytes());
    }

    fn field(&mut self, bytes: &[u8]) {
        self.0
            .extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn time(&mut self, unix_ms: i64) {
        let us = (unix_ms - EPOCH_MS).saturating_mul(1_000);
        self.field(&us.to_be_bytes());
    }

    pub(super) fn integer(&mut self, value: i32) {
        self.field(&value.to_be_bytes());
    }

    pub(super) fn float(&mut self, value: f64) {
        self.field(&value.to_be_bytes());
    }

    /// An array of floats; NaN stands for NULL.
    pub(super) fn floats(&mut self, values: impl ExactSizeIterator<Item = f64>) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        self.0.extend_from_slice(&1u32.to_be_bytes());
        let has_nulls = self.0.len();
        self.0.extend_from_slice(&0u32.to_be_bytes());
        self.0.extend_from_slice(&FLOAT8.to_be_bytes());
        self.0
            .extend_from_slice(&(values.len() as u32).to_be_bytes());
        self.0.extend_from_slice(&1u32.to_be_bytes());
        let mut nulls = 0u32;
        for value in values {
            if value.is_nan() {
                nulls = 1;
                self.0.extend_from_slice(&u32::MAX.to_be_bytes());
            } else {
                self.0.extend_from_slice(&8u32.to_be_bytes());
                self.0.extend_from_slice(&value.to_be_bytes());
            }
        }
        let length = (self.0.len() - start - 4) as u32;
        for (at, value) in [(start, length), (has_nulls, nulls)] {
            if let Some(place) = self.0.get_mut(at..at + 4) {
                place.copy_from_slice(&value.to_be_bytes());
            }
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&u16::MAX.to_be_bytes());
        self.0
    }
}
