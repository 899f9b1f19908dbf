//! Between an agent and the hub.

use serde::{Deserialize, Serialize};

use super::Blob;
use crate::{HostFacts, Label, Process, ProcessIdentity, SeriesTable, UnixMs};

/// Identifies one run of one agent: a random number made when the agent starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub u64);

/// What the hub tells an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAgent {
    /// Rows of `run` in these inclusive ranges are durable and can be forgotten.
    Ack {
        /// The run.
        run: RunId,
        /// Inclusive ranges of sequence numbers.
        ranges: Vec<(u64, u64)>,
    },
    /// Somebody looks at the host's processes: tell all of them with every sample for this long.
    WatchProcesses {
        /// Milliseconds; asked for again while somebody looks.
        for_ms: u32,
    },
    /// Sample more often for a while.
    Burst {
        /// Milliseconds between samples, at least [`crate::limits::BURST_INTERVAL_MS_MIN`].
        interval_ms: u32,
        /// Milliseconds it lasts, at most [`crate::limits::BURST_MS_MAX`].
        for_ms: u32,
    },
}

/// What an agent tells the hub beside its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromAgent {
    /// What the host is; sent first, and again when it changes.
    Facts(HostFacts),
    /// All processes at a moment, because [`ToAgent::WatchProcesses`] asked.
    Processes {
        /// The moment.
        time: UnixMs,
        /// By pid; those that use most if there are too many.
        processes: Vec<Process>,
    },
    /// What the agent cannot see and why, in words; sent when it changes.
    Notes(Vec<Label>),
}

/// Whether a stream of rows carries the present or the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lane {
    /// Rows as they are taken.
    Live,
    /// Rows of an outage, or of an earlier run.
    Backfill,
}

/// A frame on a stream of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Push {
    /// Rows of this run follow. Forgets series and rows of whatever came before on the stream.
    Begin {
        /// The run.
        run: RunId,
        /// The lane.
        lane: Lane,
    },
    /// Further series of the run.
    Series(SeriesTable),
    /// Rows that go on from the last frame of rows.
    Rows(Blob),
    /// Rows of which the first is a keyframe.
    Keyframe(Blob),
    /// Processes that the next rows name by their [`ProcessIdentity::id`].
    Processes(Vec<ProcessIdentity>),
}
