//! The agent: collects one host's metrics and pushes them to the hub.

pub mod outbox;
pub mod run;
pub mod spool;
pub mod uplink;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
