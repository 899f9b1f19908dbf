//! When a host has rows, and what happened to it.

use serde::{Deserialize, Serialize};

use super::{Blob, Severity};
use crate::{Label, UnixMs};

/// Something that happened to a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened, not when it was noticed.
    pub time: UnixMs,
    pub host: Label,
    pub kind: EventKind,
    /// Details for display; may be empty.
    pub text: Label,
}

/// Kinds of events. New ones are added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    Joined,
    Offline,
    Online,
    Restarted,
    Clock,
    Fired(Severity),
    Resolved(Severity),
    /// The hub recovered its damaged history.
    HistoryRecovered,
    /// An operator acknowledged an alert, or withdrew that.
    Acknowledged,
    Unacknowledged,
    /// An operator silenced alerts, or ended a silence before its time.
    Silenced,
    Unsilenced,
}

impl EventKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Offline => "silent",
            Self::Online => "back",
            Self::Restarted => "agent restarted",
            Self::Clock => "clock",
            Self::Fired(severity) => severity.as_str(),
            Self::Resolved(_) => "resolved",
            Self::HistoryRecovered => "history damaged",
            Self::Acknowledged => "acknowledged",
            Self::Unacknowledged => "acknowledgement removed",
            Self::Silenced => "silenced",
            Self::Unsilenced => "silence ended",
        }
    }
}

/// Coverage and events of a time range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    pub from: UnixMs,
    pub step_ms: i64,
    /// The oldest row in memory or on disk.
    pub oldest: UnixMs,
    /// A byte for each step: 0 where there are no rows.
    pub covered: Blob,
    pub events: Vec<Event>,
}
