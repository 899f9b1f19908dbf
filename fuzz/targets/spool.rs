//! Arbitrary bytes as a file of the agent's spool, with correct checksums.
#![no_main]

use libfuzzer_sys::fuzz_target;

// Included by path: depending on the agent would build its whole network stack with sanitizers.
#[allow(dead_code, reason = "the target only decodes")]
#[path = "../../agent/src/spool/records.rs"]
mod records;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    correct_checksums(&mut bytes);
    let frames = records::decode(&bytes);
    if let Some((_, first, last, _)) = records::span(&frames) {
        assert!(first >= 1 && last >= 1);
    }
});

/// Replaces the checksum of every record, because no fuzzer guesses one.
fn correct_checksums(mut file: &mut [u8]) {
    while let Some((head, rest)) = file.split_first_chunk_mut::<8>() {
        let [a, b, c, d, sum @ ..] = head;
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let Some((payload, rest)) = rest.split_at_mut_checked(length) else {
            return;
        };
        *sum = crc32fast::hash(payload).to_le_bytes();
        file = rest;
    }
}
