//! What a hub is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use sysmon_alerts::notify::NotifierOptions;
use sysmon_alerts::rule::Rule;
use sysmon_clock::{Clock, Random};
use sysmon_link::LinkError;
use sysmon_store::Limits;
use sysmon_store::store::StoreError;
use thiserror::Error;

use super::access::AccessOptions;
use super::relay::EdgeOptions;
use crate::fleet::FleetOptions;

/// Everything that a hub needs to start.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// Address of the QUIC socket.
    pub listen: SocketAddr,
    /// The hub's name, without the prefix of its host.
    pub name: String,
    /// Limits of what is in memory.
    pub fleet: FleetOptions,
    /// History on disk; none keeps rows in memory only.
    pub history: Option<HistoryOptions>,
    /// Enrolment and revocation; without it no machine can join.
    pub access: Option<AccessOptions>,
    /// Rules and where their alerts are sent.
    pub alerts: AlertOptions,
    /// Edges and what they may show.
    pub edges: EdgeOptions,
    /// Loopback address of `/metrics` and `/healthz`; not served if not set.
    pub metrics: Option<SocketAddr>,
    /// Source of wall-clock and monotonic time.
    pub clock: Clock,
    /// Source of run identifiers and jitter.
    pub random: Random,
}

/// Rules and where their alerts are sent.
#[derive(Clone, Debug, Default)]
pub struct AlertOptions {
    /// Evaluated for every row.
    pub rules: Vec<Rule>,
    /// Routes, silences and maintenance windows.
    pub notifier: NotifierOptions,
}

/// Where history is stored, and how much of it.
#[derive(Clone, Debug)]
pub struct HistoryOptions {
    /// The SQLite file.
    pub path: PathBuf,
    /// Size and retention of each tier.
    pub limits: Limits,
}

/// Why a hub cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The QUIC socket cannot be opened.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The history cannot be opened.
    #[error(transparent)]
    History(#[from] StoreError),
    /// The port for metrics cannot be opened.
    #[error("cannot listen on {address} for metrics: {source}; choose another [hub] metrics")]
    Metrics {
        /// From the configuration.
        address: SocketAddr,
        /// The operating system's reason.
        source: std::io::Error,
    },
}
