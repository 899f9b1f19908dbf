//! What a batch consists of while it is gathered. Pure.

use sysmon_wire::timeline::Event;

use crate::names::is_exported;
use crate::{Cursor, HostMinutes, HostRows};

/// A batch that is being gathered.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) hosts: Vec<HostRows>,
    pub(super) minutes: Vec<HostMinutes>,
    pub(super) events: Vec<(i64, Event)>,
    pub(super) cells: usize,
    pub(super) turns: usize,
    /// The cursor once the batch is in the engine; none while there is nothing in it.
    pub(super) next: Option<Cursor>,
}

impl Pending {
    pub(super) fn cursor(&mut self, present: &Cursor) -> &mut Cursor {
        self.next.get_or_insert_with(|| present.clone())
    }
}

pub(super) fn retain_exported(rows: &mut HostRows) {
    let is_wanted: Vec<bool> = rows.keys.iter().map(|key| is_exported(key)).collect();
    let mut wanted = is_wanted.iter();
    rows.keys
        .retain(|_| wanted.next().is_some_and(|wanted| *wanted));
    let mut wanted = is_wanted.iter();
    rows.columns
        .retain(|_| wanted.next().is_some_and(|wanted| *wanted));
}

pub(super) fn retain_exported_minutes(minutes: &mut HostMinutes) {
    let mut places = Vec::with_capacity(minutes.keys.len());
    minutes.keys.retain(|key| {
        let place = places.iter().flatten().count();
        let is_wanted = is_exported(key);
        places.push(is_wanted.then_some(place));
        is_wanted
    });
    minutes.minutes.retain_mut(|(series, _)| {
        let place = places.get(*series).copied().flatten();
        *series = place.unwrap_or_default();
        place.is_some()
    });
}
