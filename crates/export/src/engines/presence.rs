//! Which series had a value last, so that the end of one can be told. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use sysmon_wire::{HostFacts, Label, SeriesKey};

use crate::HostRows;

/// Says that a series has no value any more: Prometheus' staleness marker, a NaN of its own.
pub(in crate::engines) const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// The series of each host that had a value in its newest row.
#[derive(Debug, Default)]
pub(in crate::engines) struct Presence(HashMap<Label, HostPresence>);

#[derive(Clone, Debug)]
pub(in crate::engines) struct HostPresence {
    pub(in crate::engines) facts: Arc<HostFacts>,
    /// By the address of the key, which all rows share.
    pub(in crate::engines) keys: Vec<Arc<SeriesKey>>,
    pub(in crate::engines) newest: i64,
}

/// What changes once a batch is in the engine; none for hosts that are gone.
pub(in crate::engines) type Changes = HashMap<Label, Option<HostPresence>>;

impl Presence {
    pub(in crate::engines) fn of(&self, host: &Label) -> Option<&HostPresence> {
        self.0.get(host)
    }

    pub(in crate::engines) fn apply(&mut self, changes: Changes) {
        for (host, change) in changes {
            match change {
                Some(presence) => drop(self.0.insert(host, presence)),
                None => drop(self.0.remove(&host)),
            }
        }
    }
}

impl HostPresence {
    /// The series with a value in the last of these rows.
    pub(in crate::engines) fn after(rows: &HostRows) -> Self {
        let has_value = |column: &Vec<f64>| column.last().is_some_and(|value| !value.is_nan());
        let columns = rows.keys.iter().zip(&rows.columns);
        let present = columns.filter(|(_, column)| has_value(column));
        let mut keys: Vec<_> = present.map(|(key, _)| Arc::clone(key)).collect();
        keys.sort_unstable_by_key(address);
        Self {
            facts: Arc::clone(&rows.facts),
            keys,
            newest: rows.times.last().copied().unwrap_or_default(),
        }
    }

    /// The moment after its newest row, at which a series that it alone had has ended: no row is of that moment, which
    /// engines would confuse with the end.
    pub(in crate::engines) fn end(&self) -> i64 {
        self.newest + 1
    }

    /// Whether rows follow its newest: older ones, which an export makes up for, say nothing about what ended.
    pub(in crate::engines) fn is_before(&self, rows: &HostRows) -> bool {
        !rows.is_late && rows.times.first().is_some_and(|first| *first > self.newest)
    }

    pub(in crate::engines) fn has(&self, key: &Arc<SeriesKey>) -> bool {
        self.keys
            .binary_search_by_key(&address(key), address)
            .is_ok()
    }

    /// The series that are not among these rows any more.
    pub(in crate::engines) fn dropped(&self, rows: &HostRows) -> Vec<Arc<SeriesKey>> {
        let mut listed: Vec<_> = rows.keys.iter().map(Arc::as_ptr).collect();
        listed.sort_unstable();
        // A series that is listed under another address is the same series.
        let is_listed = |key: &&Arc<SeriesKey>| {
            listed.binary_search(&Arc::as_ptr(key)).is_ok() || rows.keys.contains(key)
        };
        let dropped = self.keys.iter().filter(|key| !is_listed(key));
        dropped.cloned().collect()
    }
}

fn address(key: &Arc<SeriesKey>) -> usize {
    Arc::as_ptr(key).addr()
}
