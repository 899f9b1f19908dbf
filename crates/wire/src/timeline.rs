//! What happened when, for the strip of time at the bottom of a screen.

use serde::{Deserialize, Serialize};

use crate::message::{Blob, Severity};
use crate::{Label, UnixMs};

/// Something that happened to a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: UnixMs,
    /// To which.
    pub host: Label,
    /// What.
    pub kind: EventKind,
    /// More about it, for people; may be empty.
    pub text: Label,
}

/// Kinds of events. New ones are added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// Its first row came.
    Joined,
    /// It stopped reporting.
    Offline,
    /// It reports again.
    Online,
    /// Its agent started anew.
    Restarted,
    /// Its clock was found to be off.
    Clock,
    /// An alert fires.
    Fired(Severity),
    /// An alert is over.
    Resolved(Severity),
}

impl EventKind {
    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Offline => "silent",
            Self::Online => "back",
            Self::Restarted => "agent restarted",
            Self::Clock => "clock",
            Self::Fired(severity) => severity.as_str(),
            Self::Resolved(_) => "resolved",
        }
    }
}

/// A stretch of time: when there are rows, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Beginning of the first step.
    pub from: UnixMs,
    /// Milliseconds of a step.
    pub step_ms: i64,
    /// The oldest row there is.
    pub oldest: UnixMs,
    /// A byte for each step: 0 where there are no rows.
    pub covered: Blob,
    /// What happened, in order of time.
    pub events: Vec<Event>,
}
