//! The hub: collects rows from every agent, stores them, and serves them to terminals and edges.
//!
//! The state is [`core::Core`]: fleet, events and alerts. It is pure, as is everything that reads it ([`view`],
//! [`query`], [`changes`], [`top`], [`exposition`]): time comes in as an argument. [`server`] is the shell:
//! connections, clocks and the lock around the core.

#![allow(
    missing_docs,
    reason = "a program: names say what fields and accessors hold"
)]

use std::sync::{Mutex, MutexGuard, PoisonError};

pub mod audit;
pub mod changes;
pub mod core;
pub mod custom_metrics;
pub mod edges;
pub mod events;
pub mod exposition;
pub mod fleet;
#[cfg(test)]
mod history_tests;
pub mod host;
pub mod incidents;
pub mod ingest;
pub mod limits;
pub mod processes;
pub mod query;
pub mod reload;
pub mod self_monitoring;
pub mod server;
pub mod timeline;
pub mod top;
pub mod view;

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Locks what a panic elsewhere leaves whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
