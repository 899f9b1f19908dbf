//! Simulated agents and the benchmarks.

pub mod agent;
mod agents;
pub mod figures;
pub mod flood;
pub mod handshakes;
mod hub_figures;
pub mod joining;
mod on_terminal;
mod probe;
pub mod process;
mod programs;
mod progress;
pub mod recorded;
mod recorded_names;
pub mod recording;
pub mod swarm;
pub mod swarm_report;
mod tally;
pub mod tape;
pub mod terminal;
pub mod viewers;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
