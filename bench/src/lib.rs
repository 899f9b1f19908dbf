//! Simulated agents and the benchmarks.
