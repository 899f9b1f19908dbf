//! Simulated agents and the benchmarks.

pub mod agent;
pub mod figures;
mod on_terminal;
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

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
