//! Any bytes as a file of the agent's spool, under the checksums that belong to them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sysmon_wire::message::Push;

// Compiled by itself, for the rest of the agent would have its whole network built with sanitizers.
#[allow(dead_code)]
#[path = "../../agent/src/spool/journal.rs"]
mod journal;

/// Stands for the spool's orders, which the file above carries out.
#[allow(dead_code)]
enum DiskOrder {
    Append { file: String, frames: Vec<Push> },
    Remove { file: String },
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    correct_sums(&mut bytes);
    let frames = journal::parse(&bytes);
    if let Some((_, first, last, _)) = journal::span(&frames) {
        assert!(first >= 1 && last >= 1);
    }
});

/// Puts the right checksum into every record, for no fuzzer guesses it.
fn correct_sums(mut file: &mut [u8]) {
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
