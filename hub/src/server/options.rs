//! What a hub is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use sysmon_alerts::notify::NotifierOptions;
use sysmon_alerts::rule::Rule;
use sysmon_clock::{Clock, Random};
use sysmon_export::destination::DestinationOptions;
use sysmon_link::LinkError;
use sysmon_store::Limits;
use sysmon_store::store::StoreError;
use thiserror::Error;

use super::ExportOptions;
use super::access::AccessOptions;
use super::metrics::{MetricsError, MetricsOptions};
use super::relay::EdgeOptions;
use crate::fleet::FleetOptions;

#[derive(Clone, Debug)]
pub struct HubOptions {
    pub listen: SocketAddr,
    /// The hub's name, without the prefix of its host.
    pub name: String,
    pub fleet: FleetOptions,
    /// History on disk; none keeps rows in memory only.
    pub history: Option<HistoryOptions>,
    /// Enrolment and revocation; without it no machine can join.
    pub access: Option<AccessOptions>,
    pub alerts: AlertOptions,
    pub edges: EdgeOptions,
    /// `/metrics` and `/healthz`; not served if not set.
    pub metrics: Option<MetricsOptions>,
    /// Where OTLP is received over gRPC, and over HTTP; not at all without the feature `otlp`.
    pub otlp: Option<SocketAddr>,
    pub otlp_http: Option<SocketAddr>,
    /// Destinations of exports, which need a history.
    pub exports: Vec<ExportOptions>,
    /// Where the past is read that the hub itself does not have.
    pub history_beyond: Option<DestinationOptions>,
    /// Where a heartbeat is sent; not sent if not set.
    pub heartbeat: Option<String>,
    pub clock: Clock,
    pub random: Random,
}

#[derive(Clone, Debug, Default)]
pub struct AlertOptions {
    pub rules: Vec<Rule>,
    pub notifier: NotifierOptions,
}

#[derive(Clone, Debug)]
pub struct HistoryOptions {
    pub path: PathBuf,
    pub limits: Limits,
}

#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    History(#[from] StoreError),
    #[error(
        "cannot listen on {address} for OTLP: {source}; choose another [hub] otlp or otlp_http"
    )]
    Otlp {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}
