//! Which series had a value last, so that the end of one can be told. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use sysmon_wire::{Label, SeriesKey};

use crate::HostRows;

/// Prometheus' staleness marker: a NaN of its own.
pub(super) const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// The series of each host that had a value in its newest row.
#[derive(Debug, Default)]
pub(super) struct Presence(HashMap<Label, HostPresence>);

#[derive(Clone, Debug, Default)]
pub(super) struct HostPresence {
    /// By the address of the key, which all rows share.
    pub(super) keys: Vec<Arc<SeriesKey>>,
    pub(super) newest: i64,
}

/// What changes once a batch is in the engine; none for hosts that are gone.
pub(super) type Changes = HashMap<Label, Option<HostPresence>>;

impl Presence {
    pub(super) fn of(&self, host: &Label) -> Option<&HostPresence> {
        self.0.get(host)
    }

    pub(super) fn apply(&mut self, changes: Changes) {
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
    pub(super) fn after(rows: &HostRows) -> Self {
        let has_value = |column: &Vec<f64>| column.last().is_some_and(|value| !value.is_nan());
        let columns = rows.keys.iter().zip(&rows.columns);
        let present = columns.filter(|(_, column)| has_value(column));
        let mut keys: Vec<_> = present.map(|(key, _)| Arc::clone(key)).collect();
        keys.sort_unstable_by_key(address);
        Self {
            keys,
            newest: rows.times.last().copied().unwrap_or_default(),
        }
    }

    pub(super) fn has(&self, key: &Arc<SeriesKey>) -> bool {
        self.keys
            .binary_search_by_key(&address(key), address)
            .is_ok()
    }
}

fn address(key: &Arc<SeriesKey>) -> usize {
    Arc::as_ptr(key).addr()
}
