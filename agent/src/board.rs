//! The series of a run and their values in the present sample.

use std::collections::HashMap;

use sysmon_wire::limits::SERIES_PER_HOST_MAX;
use sysmon_wire::{ABSENT, SeriesKey};

/// Where a series is on the [`Board`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(Option<u32>);

impl Slot {
    /// A slot that takes values and forgets them.
    pub const NONE: Self = Self(None);
}

/// All series so far, each with its value. Series only ever become more, so that an index means
/// the same for a whole run.
#[derive(Debug, Default)]
pub struct Board {
    keys: Vec<SeriesKey>,
    values: Vec<i64>,
    /// Series whose device went away and may come back, and those of today.
    known: HashMap<SeriesKey, u32>,
    over_limit: bool,
}

impl Board {
    /// An empty board.
    pub fn new() -> Self {
        Self::default()
    }

    /// The slot of a series, new or known. Past the limit of series it is [`Slot::NONE`].
    pub fn slot(&mut self, key: SeriesKey) -> Slot {
        if let Some(&index) = self.known.get(&key) {
            return Slot(Some(index));
        }
        if self.keys.len() >= SERIES_PER_HOST_MAX {
            self.over_limit = true;
            return Slot::NONE;
        }
        let index = self.keys.len() as u32;
        self.known.insert(key.clone(), index);
        self.keys.push(key);
        self.values.push(ABSENT);
        Slot(Some(index))
    }

    /// Sets a value.
    pub fn set(&mut self, slot: Slot, value: i64) {
        let place = slot.0.and_then(|index| self.values.get_mut(index as usize));
        if let Some(place) = place {
            *place = value;
        }
    }

    /// Sets an unsigned value; one beyond the signed range is absent.
    pub fn set_u64(&mut self, slot: Slot, value: u64) {
        self.set(slot, i64::try_from(value).unwrap_or(ABSENT));
    }

    /// Says that a series has no value now.
    pub fn clear(&mut self, slot: Slot) {
        self.set(slot, ABSENT);
    }

    /// All series, by index.
    pub fn keys(&self) -> &[SeriesKey] {
        &self.keys
    }

    /// All values, by index.
    pub fn values(&self) -> &[i64] {
        &self.values
    }

    /// Whether a series was left out because there are too many.
    pub fn is_over_limit(&self) -> bool {
        self.over_limit
    }
}
