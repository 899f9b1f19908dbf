//! Arbitrary bytes as a chunk from disk, with a correct checksum.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sysmon_series::{Chunk, Ring};
use sysmon_wire::UnixMs;

/// Columns read of one chunk: each may claim 65,536 equal values.
const COLUMNS_MAX: u32 = 16;

fuzz_target!(|body: &[u8]| {
    // No fuzzer guesses a checksum, but an attacker with access to the file can compute it.
    let mut bytes = body.to_vec();
    bytes.extend(crc32fast::hash(body).to_le_bytes());
    let Ok(chunk) = Chunk::decode(&bytes) else {
        return;
    };
    let mut out = Vec::new();
    if chunk.times(&mut out).is_ok() {
        assert_eq!(out.len(), chunk.rows());
    }
    for series in 0..COLUMNS_MAX.min(chunk.series() as u32) {
        if let Ok(there) = chunk.values(series, &mut out) {
            assert_eq!(out.len(), if there { chunk.rows() } else { 0 });
        }
    }
    let encoded = chunk.encode();
    let again = Chunk::decode(&encoded).expect("an encoded chunk can be decoded");
    assert_eq!(again.encode(), encoded);
    read_from_a_ring(chunk);
});

/// The header of a chunk may be wrong: its times may lie elsewhere and in any order.
fn read_from_a_ring(chunk: Chunk) {
    let (first, middle) = (chunk.first(), UnixMs(0));
    let mut ring = Ring::new();
    ring.restore_chunk(chunk);
    for (from, to) in [
        (UnixMs(i64::MIN), UnixMs(i64::MAX)),
        (first, middle),
        (middle, first),
    ] {
        if let Ok(table) = ring.read(&[0, COLUMNS_MAX], from, to) {
            assert!(table.columns.iter().all(|c| c.is_empty() || c.len() == table.times.len()));
        }
    }
    ring.evict_before(UnixMs(i64::MAX));
    ring.evict_oldest();
    assert_eq!((ring.rows(), ring.values()), (0, 0));
}
