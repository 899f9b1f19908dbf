//! Any bytes as a row block; the first byte says of how many series.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sysmon_wire::{Row, RowDecoder, RowEncoder};

/// Beyond this, times are no longer exact: distances between them would leave 64 bits. They mean
/// nothing there, and the hub refuses rows an hour from now.
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
    let (mut encoder, mut said) = (RowEncoder::new(), Vec::new());
    for row in &rows {
        encoder.encode(row.seq, row.time, &row.values, &mut said);
    }
    let mut said = &said[..];
    assert_eq!(decode(&mut said, series), rows);
    assert!(said.is_empty());
});

/// The rows up to the first mistake.
fn decode(bytes: &mut &[u8], series: usize) -> Vec<Row> {
    let mut decoder = RowDecoder::new();
    let mut rows = Vec::new();
    while let Ok(Some(row)) = decoder.decode(bytes, series) {
        assert!(row.values.len() <= series);
        rows.push(row.clone());
    }
    rows
}
