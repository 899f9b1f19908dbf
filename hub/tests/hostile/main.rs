//! Attacks on a hub that runs: each ends in a refusal with a name, and costs nobody else a row.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod certificates;
mod frames;
mod memory;
mod names;
mod raw;
mod renewal;
mod requests;
mod scene;
mod streams;
mod tokens;
