//! The hub: receives every host's rows, remembers them, and shows them to those who ask.
//!
//! The pure part is [`fleet`] with [`host`], [`ingest`], [`view`], [`query`], [`own`] and [`exposition`]; time comes
//! in as an argument. [`server`] is the shell: connections, clocks and the lock around the fleet.

pub mod audit;
pub mod changes;
pub mod client;
pub mod core;
pub mod events;
pub mod exposition;
pub mod fleet;
#[cfg(test)]
mod history_tests;
pub mod host;
pub mod ingest;
pub mod own;
pub mod processes;
pub mod query;
pub mod reload;
pub mod report;
pub mod server;
pub mod timeline;
pub mod top;
pub mod view;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
