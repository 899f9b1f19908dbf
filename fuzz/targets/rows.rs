//! Arbitrary bytes as a row block; the first byte is the number of series.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sysmon_wire::{Row, RowDecoder, RowEncoder};

/// Past this, differences between times overflow 64 bits. Such times are meaningless: the hub refuses rows an hour in
/// the future.
const EXACT_MS: u64 = 1 << 60;

fuzz_target!(|bytes: &[u8]| {
    let Some((series, mut bytes)) = bytes.split_first() else {
        return;
    };
    let series = usize::from(*series);
    let rows = decode(&mut bytes, series);
    if rows.iter().any(|row| row.time.0.unsigned_abs() > EXACT_MS) {
        return;
    }
    let (mut encoder, mut encoded) = (RowEncoder::new(), Vec::new());
    for row in &rows {
        encoder.encode(row.seq, row.time, &row.values, &mut encoded);
    }
    let mut encoded = &encoded[..];
    assert_eq!(decode(&mut encoded, series), rows);
    assert!(encoded.is_empty());
});

/// The rows up to the first error.
fn decode(bytes: &mut &[u8], series: usize) -> Vec<Row> {
    let mut decoder = RowDecoder::new();
    let mut rows = Vec::new();
    while let Ok(Some(row)) = decoder.decode(bytes, series) {
        assert!(row.values.len() <= series);
        rows.push(row.clone());
    }
    rows
}
