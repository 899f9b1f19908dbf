//! Simulated agents and the benchmarks.

pub mod agent;
pub mod figures;
mod on_terminal;
pub mod process;
mod programs;
pub mod recording;
pub mod swarm;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
