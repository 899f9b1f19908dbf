//! A host and its values as subscribers receive them.

use serde::{Deserialize, Serialize};

use crate::{HostFacts, Label, LimitState, UnixMs};

/// Whether a host reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HostState {
    Live,
    /// No row for a few seconds.
    Stale,
    /// Not reporting for longer.
    Offline,
}

impl HostState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Offline => "offline",
        }
    }
}

/// Severity of an alert, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Needs attention soon.
    Warning,
    /// Needs attention now.
    Critical,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A firing alert of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertLine {
    pub rule: Label,
    pub severity: Severity,
    pub since: UnixMs,
    pub summary: Label,
    /// Who acknowledged it.
    pub acknowledged: Option<Label>,
    /// Why its notifications are suppressed; none if they are not.
    pub silenced: Option<Label>,
    /// Alias or name of the metric of the rule's first condition; empty for rules about a host as a whole.
    pub metric: Label,
}

/// Completeness of a host's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostHealth {
    pub rows: u64,
    /// Rows that came again and were ignored.
    pub duplicate_rows: u64,
    /// Rows between the first and last of each run that have not come.
    pub missing_rows: u64,
    /// Rows refused: from the future, or over a limit.
    pub refused_rows: u64,
    pub oldest: UnixMs,
    /// How far the host's clock is ahead of the hub's.
    pub clock_offset_ms: i64,
    pub series: u32,
}

/// What is known of a host apart from its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLine {
    /// Stands for the host in this stream.
    pub index: u32,
    pub name: Label,
    pub facts: HostFacts,
    pub health: HostHealth,
    /// What its agent cannot see and why, and which limits leave something of it out.
    pub notes: Vec<Label>,
    pub alerts: Vec<AlertLine>,
}

/// A limit of a host, or of the hub itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLimit {
    /// The host whose rows or reports it limits; none for a limit of the whole hub.
    pub host: Option<Label>,
    pub state: LimitState,
}

/// A host's values at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostTick {
    pub index: u32,
    pub state: HostState,
    /// When the row was taken; 0 if there is none.
    pub time: UnixMs,
    /// The first [`crate::metrics::SUMMARY`] aliases' values, scaled as their metrics; rates for
    /// counters, a second; [`crate::ABSENT`] where the host has none.
    pub values: Vec<i64>,
}

/// History of one value of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spark {
    pub index: u32,
    /// Place in [`crate::metrics::ALIASES`].
    pub alias: u8,
    /// The moment of the last point; the others lie whole steps before it.
    pub end: UnixMs,
    /// Means, oldest first, scaled as in [`HostTick::values`].
    pub points: Vec<i64>,
}

/// A part of the fleet's picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetUpdate {
    /// The hub's clock, or the moment asked for.
    pub now: UnixMs,
    /// Hosts that are new or whose line changed.
    pub lines: Vec<HostLine>,
    /// Hosts with new values or another state.
    pub ticks: Vec<HostTick>,
    /// Hosts that the hub forgot.
    pub gone: Vec<u32>,
    /// History of the hosts in `lines` with the first picture, and again when their past changes.
    pub sparks: Vec<Spark>,
}
