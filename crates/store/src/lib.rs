//! History on disk: a hub that is killed loads it again, and acknowledges a row only once it is in here.
//!
//! A fleet makes a [`Batch`] of its changes; [`worker`] is the thread that commits it to the file, [`store`].

#![warn(clippy::missing_errors_doc)]

pub mod store;
pub mod worker;

use std::sync::Arc;
use std::time::Duration;

use sysmon_series::Changes;
use sysmon_wire::message::RunId;
use sysmon_wire::timeline::Event;
use sysmon_wire::{HostFacts, Label, ProcessIdentity, SeqSet, SeriesKey, UnixMs};

/// Events in memory and on disk; beyond that the oldest are removed.
pub const EVENTS_STORED_MAX: usize = 10_000;

/// Everything that changed since the previous batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// Generation of the fleet that is durable once the batch is committed.
    pub generation: u64,
    /// Changes by host.
    pub hosts: Vec<HostBatch>,
    /// New events.
    pub events: Vec<Event>,
    /// What happens to hosts as a whole, in this order and before the others are written.
    pub host_changes: Vec<HostChange>,
    /// When the batch was made.
    pub now: UnixMs,
}

/// A change of a host as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostChange {
    /// It is forgotten with all its rows.
    Forgotten(Label),
    /// It has another name, with all its rows and events.
    Renamed {
        /// The name that it had.
        from: Label,
        /// The name that no other host has.
        to: Label,
    },
}

/// Retention, and the size of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest size of the file.
    pub bytes: u64,
    /// Retention of rows.
    pub rows: Duration,
    /// Retention of minutes.
    pub minutes: Duration,
    /// Retention of hours.
    pub hours: Duration,
}

/// Resolution of downsampled rows; the numbers are those in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// One bucket per minute.
    Minute = 0,
    /// One bucket per hour.
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

/// Changes of one host.
#[derive(Debug)]
pub struct HostBatch {
    /// The host's name.
    pub name: Label,
    /// Its facts, if they changed.
    pub facts: Option<HostFacts>,
    /// Changed series by number; none for numbers whose series no longer has rows.
    pub series: Vec<(u32, Option<BatchSeries>)>,
    /// The newest row of the series that no longer have any; their numbers may have a series again.
    pub retired: Option<UnixMs>,
    /// Processes that rows name, with the time of the newest.
    pub processes: Vec<(ProcessIdentity, UnixMs)>,
    /// Sequence numbers received so far of each run with new rows.
    pub runs: Vec<(RunId, SeqSet)>,
    /// Time of the oldest row that is not in a chunk.
    pub oldest_unsealed: Option<UnixMs>,
    /// The oldest and the newest of the new rows that are older than others of the host.
    pub late: Option<(UnixMs, UnixMs)>,
    /// New chunks, and changes of the heads.
    pub ring: Changes,
}

/// A series that has rows.
#[derive(Clone, Debug)]
pub struct BatchSeries {
    /// What it measures.
    pub key: Arc<SeriesKey>,
    /// Time of its newest value, if it had none lately.
    pub idle_since: Option<UnixMs>,
}

/// A series as of the last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedSeries {
    /// Its number, which is its index in rows.
    pub number: u32,
    /// What it measures.
    pub key: SeriesKey,
    /// Time of its newest value, if it had none lately.
    pub idle_since: Option<UnixMs>,
}

/// A host as of the last commit.
#[derive(Debug)]
pub struct LoadedHost {
    /// The host's name.
    pub name: Label,
    /// Its facts.
    pub facts: HostFacts,
    /// The series that have rows, by number.
    pub series: Vec<LoadedSeries>,
    /// Processes that its rows name, with the time of the newest.
    pub processes: Vec<(ProcessIdentity, UnixMs)>,
    /// Sequence numbers received of each run, the most recent run last.
    pub runs: Vec<(RunId, SeqSet)>,
    /// Time of its newest row in a chunk.
    pub newest: Option<UnixMs>,
    /// The encoded head and late head of its ring.
    pub heads: [Vec<u8>; 2],
}

impl LoadedHost {
    /// Values of its rows: one more than the greatest number of a series.
    pub fn width(&self) -> usize {
        let numbers = self.series.iter().map(|series| series.number as usize + 1);
        numbers.max().unwrap_or(0)
    }
}
