//! A hub as a process: commands on its machine, backup and restore.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]
#![cfg(unix)]

mod backup;
mod commands;
mod hub;
