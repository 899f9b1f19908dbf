//! The agent: collects the metrics of one host and pushes them to the hub.
//!
//! [`sampler`] produces a row per interval, [`spool`] stores rows until the hub acknowledges them, [`uplink`]
//! sends them, and [`run`] is the loop around the three.

#![allow(
    missing_docs,
    reason = "a program: names say what fields and accessors hold"
)]

mod background;
pub mod board;
pub mod checks;
pub mod demand;
pub mod heartbeats;
pub mod identity;
#[cfg(target_os = "linux")]
pub mod linux;
mod listing;
pub mod observer;
pub mod outbox;
#[cfg(any(not(target_os = "linux"), test))]
pub mod portable;
mod present;
pub mod report;
pub mod run;
pub mod sample;
pub mod sampler;
pub mod simulated;
#[cfg(target_os = "linux")]
pub mod smart;
pub mod spool;
mod total;
pub mod uplink;

pub const VERSION: &str = env!("CARGO_PKG_VERSION");
