//! Simulated agents and the benchmarks.

pub mod figures;
pub mod process;
pub mod swarm;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
