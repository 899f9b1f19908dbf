//! Load generators and measurements: simulated agents, and what the programs cost.

#![allow(
    missing_docs,
    reason = "a program: names say what fields and accessors hold"
)]
#![allow(clippy::disallowed_methods, reason = "measures real time")]

use std::path::Path;
use std::time::Duration;

use sysmon_agent::run::AgentOptions;
use sysmon_agent::spool::SpoolLimits;
use sysmon_certs::{HubState, Identity};
use sysmon_clock::{Clock, Random};
use sysmon_link::Connector;

pub mod agent;
mod agents;
pub mod export;
pub mod figures;
pub mod flood;
pub mod handshakes;
mod hub_status;
pub mod joining;
mod probe;
pub mod process;
mod programs;
mod progress;
mod pty;
pub mod recorded;
mod recorded_series;
pub mod recording;
mod relay;
mod report;
pub mod swarm;
pub mod swarm_report;
mod tally;
pub mod tape;
pub mod terminal;
pub mod viewers;
pub mod year;

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The state of the hub whose directory is `state`.
pub(crate) fn hub_state(state: impl AsRef<Path>) -> HubState {
    HubState::new(state.as_ref(), &Random::system())
}

pub(crate) fn connector(identity: &Identity) -> anyhow::Result<Connector> {
    Ok(Connector::new(identity, VERSION, &Clock::system())?)
}

/// Options of an agent that stores nothing.
pub(crate) fn agent_options(hub: &str, interval: Duration, memory_bytes: usize) -> AgentOptions {
    AgentOptions {
        hub: hub.to_owned(),
        interval,
        spool: SpoolLimits {
            memory_bytes,
            disk_bytes: 0,
            age: Duration::from_hours(1),
        },
        clock: Clock::system(),
        random: Random::system(),
        state: None,
    }
}

/// A runtime on the current thread.
///
/// # Errors
/// The operating system refuses its resources.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Parses a number of concurrent connections.
///
/// # Errors
/// Not a number, or out of range.
pub fn concurrency(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=10_000) => Ok(count),
        _ => Err("expected a number from 1 to 10000".to_owned()),
    }
}
