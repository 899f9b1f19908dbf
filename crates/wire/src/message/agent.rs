//! Between an agent and the hub.

use serde::{Deserialize, Serialize};

use super::Blob;
use crate::{
    HostFacts, Label, LimitState, Process, ProcessArguments, ProcessIdentity, SeriesTable, UnixMs,
};

/// Identifies one run of one agent: a random number made when the agent starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub u64);

/// Messages from the hub to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAgent {
    /// Rows of `run` in these ranges are durable; the agent can drop them.
    Ack {
        run: RunId,
        /// Inclusive ranges of sequence numbers.
        ranges: Vec<(u64, u64)>,
    },
    /// A subscriber follows the host's processes: send all of them with every sample for this long.
    WatchProcesses {
        /// Milliseconds; renewed while a subscriber follows.
        for_ms: u32,
    },
    /// Sample more often for a limited time.
    Burst {
        /// Milliseconds between samples, at least [`crate::limits::BURST_INTERVAL_MS_MIN`].
        interval_ms: u32,
        /// Milliseconds it lasts, at most [`crate::limits::BURST_MS_MAX`].
        for_ms: u32,
    },
    /// The answer to [`FromAgent::Spooled`]: every durable row of these runs is acknowledged, the agent can backfill the
    /// others.
    Backfill,
}

/// Messages from an agent to the hub, besides rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromAgent {
    /// Sent first, and again on change.
    Facts(HostFacts),
    /// All processes at a moment, because [`ToAgent::WatchProcesses`] asked.
    Processes {
        time: UnixMs,
        /// By pid; those that use most if there are too many.
        processes: Vec<Process>,
    },
    /// What the agent cannot measure and why; sent on change.
    Notes(Vec<Label>),
    /// Its limits of which something was left out, all of them; sent on change, but not more often than every ten
    /// seconds.
    Limits(Vec<LimitState>),
    /// The runs of the rows that it stores, the oldest first; sent once, before any backfill. An earlier connection may
    /// have sent them without learning that they became durable.
    Spooled(Vec<RunId>),
    /// Arguments of processes that rows or process lists name: once for each process, and again on change, at most
    /// [`crate::limits::ARGUMENTS_PER_FRAME_MAX`].
    Arguments(Vec<ProcessArguments>),
}

/// Whether a stream of rows carries the present or the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lane {
    /// Rows as they are sampled.
    Live,
    /// Rows of an outage, or of an earlier run.
    Backfill,
}

/// A frame on a stream of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Push {
    /// Rows of this run follow; resets the stream's series and decoder.
    Begin {
        run: RunId,
        lane: Lane,
    },
    Series(SeriesTable),
    /// Rows that go on from the last frame of rows.
    Rows(Blob),
    /// Rows of which the first is a keyframe.
    Keyframe(Blob),
    /// Processes that the next rows name by their [`ProcessIdentity::id`].
    Processes(Vec<ProcessIdentity>),
}
