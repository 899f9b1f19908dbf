//! The present of the fleet, for engines that want no past.

use sysmon_wire::message::HostState;
use sysmon_wire::metrics::SUMMARY;
use sysmon_wire::{Label, UnixMs};

/// A host now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNow {
    /// Its name.
    pub host: Label,
    /// Whether it reports.
    pub state: HostState,
    /// When its newest row was sampled.
    pub time: UnixMs,
    /// The first [`SUMMARY`] aliases in that row, scaled as their metrics are and counters as rates; `ABSENT` where
    /// there is no value, or its metric is not exported.
    pub values: [i64; SUMMARY],
}

/// All hosts now.
#[derive(Clone, Copy, Debug)]
pub struct Present<'a> {
    /// Every host that is exported and has reported at least once; a host that is not among them is forgotten.
    pub hosts: &'a [HostNow],
    /// When the cursor was created. It tells this hub from others, and stays when the hub restarts.
    pub created: UnixMs,
}

/// The newest event that an engine has. Events of one cursor are numbered by their ids in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventPosition {
    /// It has none, and takes as many of the newest as it has room for.
    Empty {
        /// How many.
        room: i64,
    },
    /// It has some.
    Newest {
        /// When the cursor was created with which they were sent.
        created: UnixMs,
        /// The id of the newest.
        id: i64,
    },
}
