//! The edge: a public, read-only, redacted view of the fleet.
//!
//! [`mirror`] is the pure part: what the hub said, and a few hours of it. [`ingest`] takes it from the hub, which
//! dials in; [`web`] shows it. Nothing here can ask a hub for anything.

pub mod confine;
pub mod ingest;
pub mod mirror;
pub mod web;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
