//! The agent: collects one host's metrics and pushes them to the hub.
//!
//! [`sampler`] makes rows, [`spool`] keeps them until the hub has them for good, [`uplink`] sends
//! them, and [`run`] is the loop around the three.

pub mod board;
pub mod demand;
pub mod identity;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod observer;
pub mod outbox;
#[cfg(any(not(target_os = "linux"), test))]
pub mod portable;
pub mod report;
pub mod run;
pub mod sample;
pub mod sampler;
pub mod simulated;
pub mod spool;
mod total;
pub mod uplink;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
