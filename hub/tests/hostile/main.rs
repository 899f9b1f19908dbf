//! Attacks on a running hub: each ends in a refusal with a reason, and costs no other peer a row.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests wait in real time and issue certificates for the present"
)]

mod certificates;
mod copies;
mod edge;
mod frames;
mod memory;
mod names;
mod patterns;
mod raw;
mod renewal;
mod requests;
mod scene;
mod streams;
mod tokens;
