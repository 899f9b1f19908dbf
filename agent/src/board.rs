//! The series of a run and their values in the current sample.

use std::collections::HashMap;

use sysmon_wire::limits::SERIES_PER_HOST_MAX;
use sysmon_wire::{ABSENT, LimitGauge, LimitState, SeriesKey};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(Option<u32>);

impl Slot {
    pub const NONE: Self = Self(None);
}

/// Every series so far with its current value. Series are only ever appended, so that an index means the same
/// for a whole run.
#[derive(Debug)]
pub struct Board {
    keys: Vec<SeriesKey>,
    values: Vec<i64>,
    /// Includes series whose device is gone and may return.
    indices: HashMap<SeriesKey, u32>,
    limit: LimitGauge,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            values: Vec::new(),
            indices: HashMap::new(),
            limit: LimitGauge::new("series", SERIES_PER_HOST_MAX),
        }
    }
}

impl Board {
    pub fn new() -> Self {
        Self::default()
    }

    /// How the limit of series stands.
    pub fn limit(&self) -> LimitState {
        self.limit.state()
    }

    /// The slot of a series, which is added if it is new. Past the limit of series it is [`Slot::NONE`].
    pub fn slot(&mut self, key: SeriesKey) -> Slot {
        if let Some(&index) = self.indices.get(&key) {
            return Slot(Some(index));
        }
        if !self.limit.admits(self.keys.len()) {
            return Slot::NONE;
        }
        let index = self.keys.len() as u32;
        self.indices.insert(key.clone(), index);
        self.keys.push(key);
        self.values.push(ABSENT);
        self.limit.set_current(self.keys.len());
        Slot(Some(index))
    }

    pub fn set(&mut self, slot: Slot, value: i64) {
        let place = slot.0.and_then(|index| self.values.get_mut(index as usize));
        if let Some(place) = place {
            *place = value;
        }
    }

    /// A value beyond the signed range is stored as absent.
    pub fn set_u64(&mut self, slot: Slot, value: u64) {
        self.set(slot, i64::try_from(value).unwrap_or(ABSENT));
    }

    pub fn set_or_clear(&mut self, slot: Slot, value: Option<i64>) {
        self.set(slot, value.unwrap_or(ABSENT));
    }

    pub fn clear(&mut self, slot: Slot) {
        self.set(slot, ABSENT);
    }

    pub fn keys(&self) -> &[SeriesKey] {
        &self.keys
    }

    pub fn values(&self) -> &[i64] {
        &self.values
    }
}
