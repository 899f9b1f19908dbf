//! Durable history: what the fleet holds in memory, kept in a file so that a hub that is killed holds it
//! again. A row is acknowledged once it is in here.
//!
//! The pure part is [`Batch`], which a fleet makes; [`store`] is the file and
//! [`worker`] the thread that writes to it.

pub mod store;
pub mod worker;

use std::sync::Arc;
use std::time::Duration;

use sysmon_series::Changes;
use sysmon_wire::message::RunId;
use sysmon_wire::timeline::Event;
use sysmon_wire::{HostFacts, Label, ProcessIdentity, SeqSet, SeriesKey, UnixMs};

/// Events in memory and on disk; past that the oldest go.
pub const EVENTS_KEPT_MAX: usize = 10_000;

/// Everything that changed since the batch before.
#[derive(Debug, Default)]
pub struct Batch {
    /// The fleet's generation that it brings the history up to.
    pub generation: u64,
    /// Hosts that changed.
    pub hosts: Vec<HostBatch>,
    /// What happened.
    pub events: Vec<Event>,
    /// When it was made.
    pub now: UnixMs,
}

/// How much of the past is kept on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: u64,
    /// How long every row is kept.
    pub rows: Duration,
    /// How long minutes are.
    pub minutes: Duration,
    /// How long hours are.
    pub hours: Duration,
}

/// What is kept of rows that are too old to be kept one by one; the numbers are those in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// A bucket a minute.
    Minute = 0,
    /// A bucket an hour.
    Hour = 1,
}

impl Tier {
    /// Milliseconds of a bucket.
    pub fn step_ms(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
        }
    }
}

/// What changed about one host.
#[derive(Debug)]
pub struct HostBatch {
    /// The host.
    pub name: Label,
    /// What it is, if that changed.
    pub facts: Option<HostFacts>,
    /// The index of the first new series, and the new series.
    pub series: (usize, Vec<Arc<SeriesKey>>),
    /// Processes that were named, with the moment.
    pub processes: Vec<(ProcessIdentity, UnixMs)>,
    /// Which rows came, of each run of which any came.
    pub runs: Vec<(RunId, SeqSet)>,
    /// The oldest row that is not sealed.
    pub oldest_unsealed: Option<UnixMs>,
    /// The rows.
    pub ring: Changes,
}

/// A host as it was when the history was last written.
#[derive(Debug)]
pub struct KeptHost {
    /// Its name.
    pub name: Label,
    /// What it is.
    pub facts: HostFacts,
    /// Its series.
    pub series: Vec<SeriesKey>,
    /// Processes that its rows name.
    pub processes: Vec<(ProcessIdentity, UnixMs)>,
    /// Which rows came, the run heard from last at the end.
    pub runs: Vec<(RunId, SeqSet)>,
    /// The head and the late head of its ring.
    pub heads: [Vec<u8>; 2],
}
