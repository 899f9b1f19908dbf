//! The real programs, as people run them.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod alerts;
mod edge;
mod faults;
mod fleet;
#[cfg(unix)]
mod keys;
mod outage;
mod place;
mod receivers;
#[cfg(unix)]
mod terminal;
mod trust;
