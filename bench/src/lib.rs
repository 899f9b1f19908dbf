//! Simulated agents and the benchmarks.

pub mod agent;
pub mod figures;
pub mod process;
mod programs;
pub mod swarm;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
