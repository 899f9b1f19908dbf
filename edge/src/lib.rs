//! The edge: a public, read-only, redacted view of the fleet.
//!
//! [`mirror`] is the pure part: the fleet as the hub last sent it, and a few hours of it. [`ingest`] receives it from the
//! hub, which dials in; [`web`] serves it to browsers. Nothing here can send a request to a hub.
#![allow(
    missing_docs,
    reason = "a program: fields and variants whose names say it all need no comment"
)]

pub mod ingest;
pub mod mirror;
pub mod sandbox;
pub mod web;

pub const VERSION: &str = env!("CARGO_PKG_VERSION");
