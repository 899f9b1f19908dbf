//! Replies of the hub.

use serde::{Deserialize, Serialize};

use super::{Blob, FleetUpdate, HostLimit, HostLine, Services};
use crate::alerts::Alerts;
use crate::timeline::Timeline;
use crate::{Label, Process, ProcessArguments, ProcessIdentity, SeriesTable, UnixMs};

/// A process, and the host that it runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostProcess {
    pub host: Label,
    pub process: Process,
}

/// An answer to a `Request`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// The request is refused; the last frame.
    Refused {
        reason: Label,
    },
    Status(HubStatus),
    /// To `Request::Fleet`: a part of the picture, or what changed since.
    Fleet(FleetUpdate),
    /// To `Request::Host`: what the host is; comes first, and again on change.
    Host(Box<HostLine>),
    /// To `Request::Host`: further series, as in `Push::Series`.
    HostSeries(SeriesTable),
    /// To `Request::Host`: rows, as in `Push::Keyframe`, in place of all rows before; comes
    /// again when rows of the past have come. Earlier series stay valid.
    HostKeyframe(Blob),
    /// To `Request::Host`: rows, as in `Push::Rows`.
    HostRows(Blob),
    /// To `Request::Host`: forget all series and rows; more series came and went than a host may have.
    HostRestart,
    /// To `Request::Query`: a series, or a further part of the one before.
    Points(Points),
    /// Nothing more follows of what was there when the request was made.
    Complete,
    /// To `Request::Processes`: as they were at a moment.
    Processes {
        time: UnixMs,
        /// Whether these are all, or only those that used most.
        all: bool,
        processes: Vec<Process>,
    },
    /// To `Request::Changes`: the most telling first.
    Changes {
        /// The end of the minute that was compared with the time before it.
        time: UnixMs,
        changes: Vec<Change>,
    },
    Timeline(Timeline),
    /// To `Request::Renew`.
    Renewed {
        /// Certificates of the authorities that are trusted from now on, in PEM, one after the other.
        authority: Blob,
        certificate: Blob,
    },
    /// To `Request::Top`, in place of the list before.
    Top {
        time: UnixMs,
        /// Hosts whose processes are known of that moment.
        hosts: u32,
        processes: Vec<HostProcess>,
        /// Agents send the processes that use most: if this is a number, of so many from the first none is missing, and
        /// between later ones there may be others.
        complete_to: Option<u32>,
    },
    /// To `Request::Fleet` and `Request::Host` of a time of which only minutes or hours are kept: what follows
    /// has a row for each of them, at its beginning, and reaches so much further back.
    Resolution {
        /// Milliseconds from one row to the next.
        step_ms: i64,
        /// The engine that the rows come from, or why it cannot be asked; none if the hub has them itself.
        beyond: Option<Label>,
    },
    /// To `Request::Alerts` and to requests that change acknowledgements or silences; to edges, only which alerts are
    /// acknowledged.
    Alerts(Alerts),
    /// To `Request::Processes` and `Request::Top`, before the first list that has these processes; to operators only.
    Arguments(Vec<ProcessArguments>),
    /// To edges of minor version 1, which asked nothing: the services that are shared, in place of those before.
    Services(Services),
}

/// Status of the hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubStatus {
    pub name: Label,
    pub version: Label,
    pub now: UnixMs,
    pub uptime_ms: u64,
    pub ingest_rows_total: u64,
    pub ingest_values_total: u64,
    pub ring_bytes: u64,
    pub ring_values: u64,
    pub history_bytes: u64,
    pub subscribers: u64,
    pub refused_total: u64,
    /// The hub's own limits, and those of hosts that were reached, at most [`crate::limits::LIMITS_MAX`].
    pub limits: Vec<HostLimit>,
    /// The edges that the hub connects to.
    pub edges: Vec<EdgeState>,
    /// The configured maintenance windows.
    pub maintenance: Vec<MaintenanceState>,
    /// Where the history is exported to.
    pub exports: Vec<ExportLine>,
}

/// The hub's connection to an edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeState {
    /// As configured.
    pub address: Label,
    /// Why there is no connection; none if there is one.
    pub error: Option<Label>,
}

/// An engine that the history is exported to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportLine {
    /// As configured.
    pub name: Label,
    /// What it speaks.
    pub kind: Label,
    /// The address without secrets.
    pub address: Label,
    /// What it does, in one word.
    pub state: Label,
    /// Why nothing is sent; none if something is.
    pub error: Option<Label>,
    /// Age of the oldest row that it lacks, in milliseconds.
    pub lag_ms: i64,
    /// Rows that it has got since the hub started.
    pub rows: u64,
    /// Values that it has got since then.
    pub samples: u64,
    /// Bytes sent to it since then.
    pub bytes: u64,
    /// Values that it refused for good since then, by reason.
    pub refused: Vec<(Label, u64)>,
    /// Milliseconds of hosts, added up, that are still to be sent.
    pub pending_ms: i64,
    /// Hosts of which something is still to be sent.
    pub pending_hosts: u64,
    /// Milliseconds of hosts, added up, that the history no longer has.
    pub lost_ms: i64,
}

impl ExportLine {
    /// Values that it refused for good, whatever the reason.
    pub fn refused_total(&self) -> u64 {
        let counts = self.refused.iter().map(|(_, values)| *values);
        counts.fold(0, u64::saturating_add)
    }
}

/// A maintenance window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceState {
    /// As configured.
    pub window: Label,
    pub is_open: bool,
}

/// A series over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Points {
    pub host: Label,
    /// Its metric's full name.
    pub metric: Label,
    /// Unit of the values: the metric's, per second for counters.
    pub unit: Label,
    pub attributes: Vec<(Label, Label)>,
    pub start: UnixMs,
    pub step_ms: i64,
    /// Unscaled values; NaN where there is no row.
    pub values: Vec<f64>,
}

/// A series, or a process in one respect, that is different from before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub host: Label,
    /// The metric's full name; of a process `cpu`, `mem`, `disk.read` or `disk.write`.
    pub metric: Label,
    pub attributes: Vec<(Label, Label)>,
    /// The process, if it is one.
    pub process: Option<ProcessIdentity>,
    /// Unit of the values: the metric's, per second for counters.
    pub unit: Label,
    /// The median of the time before.
    pub before: f64,
    /// The median of the minute.
    pub after: f64,
    /// Since when it has been nearer to what it is than to what it was.
    pub began: UnixMs,
    /// How telling it is, from 0 to 1.
    pub score: f64,
}
