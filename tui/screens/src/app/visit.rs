//! A place that back leads to.

use sysmon_wire::{Label, UnixMs};

use crate::changes::Changes;
use crate::compare::Compare;
use crate::keys::Mode;

/// A place from which another host was opened.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) modes: Vec<Mode>,
    pub(super) host: Option<Label>,
    /// The moment, if opening the host changed it.
    pub(super) at: Option<Option<UnixMs>>,
    /// Lists that another visit may replace.
    pub(super) changes: Changes,
    pub(super) compare: Compare,
    /// The selected row of the events, and the first one shown.
    pub(super) events: (usize, usize),
}
