//! Where rows come from: the hub.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use sysmon_wire::timeline::Event;
use sysmon_wire::{Label, UnixMs};
use thiserror::Error;

use crate::{HostMinutes, HostNow, HostRows, Span};

/// The hub's rows cannot be read now.
#[derive(Debug, Error)]
#[error("cannot read the history: {0}")]
pub struct SourceError(#[from] pub Box<dyn Error + Send + Sync>);

/// What the history has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The newest row of each host that is exported.
    pub newest: BTreeMap<Label, UnixMs>,
    /// Hosts that have stopped reporting since the last time.
    pub silent: BTreeSet<Label>,
}

/// Rows that were committed after newer ones of the same host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateRows {
    /// Rises with each commit.
    pub id: i64,
    /// The host.
    pub host: Label,
    /// From the oldest to the newest of these rows.
    pub span: Span,
}

/// A hub.
pub trait Source: Send {
    /// What the history has now.
    fn committed(&mut self) -> Committed;

    /// Every host that is exported and has reported at least once, now.
    ///
    /// # Errors
    /// The hub cannot say.
    fn present(&mut self) -> Result<Vec<HostNow>, SourceError>;

    /// Late rows committed after the one with this id, in the order of their ids; as many as fit at once.
    ///
    /// # Errors
    /// The history cannot be read.
    fn late_since(&mut self, id: i64) -> Result<Vec<LateRows>, SourceError>;

    /// The id of the newest late rows.
    ///
    /// # Errors
    /// The history cannot be read.
    fn newest_late(&mut self) -> Result<i64, SourceError>;

    /// Committed rows of a host; none if the host is gone. Where the rows themselves are gone, they are made from
    /// minutes.
    ///
    /// # Errors
    /// The history cannot be read.
    fn rows(&mut self, host: &Label, span: Span) -> Result<Option<HostRows>, SourceError>;

    /// Minutes of a host, which are in `span` as a whole; none if the host is gone.
    ///
    /// # Errors
    /// The history cannot be read.
    fn minutes(&mut self, host: &Label, span: Span) -> Result<Option<HostMinutes>, SourceError>;

    /// The oldest moment of which a host has anything: rows or minutes.
    ///
    /// # Errors
    /// The history cannot be read.
    fn oldest(&mut self, host: &Label) -> Result<Option<UnixMs>, SourceError>;

    /// Whether the events of a host are exported.
    fn exports_events_of(&self, host: &Label) -> bool;

    /// The id of the newest event.
    ///
    /// # Errors
    /// The history cannot be read.
    fn newest_event(&mut self) -> Result<i64, SourceError>;

    /// Events after the one with this id, in the order of their ids; as many as fit at once.
    ///
    /// # Errors
    /// The history cannot be read.
    fn events_since(&mut self, id: i64) -> Result<Vec<(i64, Event)>, SourceError>;
}
