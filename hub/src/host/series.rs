//! The series of a host: their indices, and which still have rows.

use std::sync::{Arc, LazyLock};

use sysmon_store::store::WINDOW_MS;
use sysmon_wire::limits::SERIES_PER_HOST_MAX;
use sysmon_wire::metrics::{ALIASES, SUMMARY, UPTIME};
use sysmon_wire::{ABSENT, Kind, Label, MetricDef, SeriesKey, UnixMs};

use super::Host;

/// A series without a value for this long is idle. The history then stores since when, so that a restart of the hub does
/// not make it count from the start again.
const IDLE_MS: i64 = 3_600_000;

/// When a series last had a value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastValue {
    pub(super) time: UnixMs,
    /// Whether that was so long ago that the history stores the time.
    pub(super) is_idle: bool,
    /// Whether the index has a series.
    pub(super) has_series: bool,
}

/// Stands where an index has no series: no metric is called so.
fn no_series() -> Arc<SeriesKey> {
    static NONE: LazyLock<Arc<SeriesKey>> = LazyLock::new(|| {
        Arc::new(SeriesKey {
            metric: MetricDef {
                name: Label::new(""),
                unit: Label::new(""),
                kind: Kind::Gauge,
                scale: 0,
            },
            attributes: Vec::new(),
        })
    });
    Arc::clone(&NONE)
}

/// Whether an index has no series.
pub fn is_no_series(key: &SeriesKey) -> bool {
    key.metric.name.as_str().is_empty()
}

impl Host {
    /// The index of a series that has rows.
    pub fn known_series(&self, key: &SeriesKey) -> Option<u32> {
        self.indices.get(key).copied()
    }

    /// The index of a series, which is added if it is new; `None` beyond the limit of series.
    pub fn series_index(&mut self, key: Arc<SeriesKey>) -> Option<u32> {
        if let Some(&index) = self.indices.get(&key) {
            return Some(index);
        }
        if !self.limits.series.admits(self.indices.len()) {
            return None;
        }
        let index = match self.free.pop() {
            Some(index) => {
                self.series_epoch += 1;
                index
            }
            None => u32::try_from(self.keys.len()).ok()?,
        };
        self.set_series(index, key, None);
        self.unsaved.series.insert(index);
        Some(index)
    }

    pub fn has_room_for_series(&self) -> bool {
        self.indices.len() < SERIES_PER_HOST_MAX
    }

    /// Gives an index to a series.
    pub(super) fn set_series(
        &mut self,
        index: u32,
        key: Arc<SeriesKey>,
        idle_since: Option<UnixMs>,
    ) {
        let place = ALIASES
            .iter()
            .take(SUMMARY)
            .position(|alias| alias.is(&key));
        if let Some(slot) = place.and_then(|at| self.summary.get_mut(at)) {
            *slot = Some(index);
        }
        if key.metric.name == UPTIME.name {
            self.uptime = Some(index);
        }
        self.processes.note_series(index, &key);
        self.custom.note_series(index, &key);
        let at = index as usize;
        while self.keys.len() <= at {
            self.free.push(self.keys.len() as u32);
            self.keys.push(no_series());
            self.values.push(LastValue::default());
        }
        self.free.retain(|free| *free != index);
        if let (Some(slot), Some(value)) = (self.keys.get_mut(at), self.values.get_mut(at)) {
            *slot = Arc::clone(&key);
            *value = LastValue {
                time: idle_since.unwrap_or(UnixMs(0)),
                is_idle: idle_since.is_some(),
                has_series: true,
            };
        }
        self.indices.insert(key, index);
        self.limits.series.set_current(self.indices.len());
    }

    /// Notes which series a row has values of.
    pub fn note_values(&mut self, time: UnixMs, values: &[i64]) {
        for ((index, last), value) in (0..).zip(&mut self.values).zip(values) {
            if *value == ABSENT {
                continue;
            }
            last.time = last.time.max(time);
            if std::mem::take(&mut last.is_idle) {
                self.unsaved.series.insert(index);
            }
        }
    }

    /// Removes the series of which no row after `horizon` has a value, so that others can have their indices. Returns
    /// whether any was removed or has become idle, which the history stores.
    pub fn retire_series(&mut self, horizon: UnixMs, now: UnixMs) -> bool {
        // The history downsamples a window once all of its rows are in chunks.
        let unsealed = [self.ring.oldest_unsealed(), self.unsaved.oldest_unsealed];
        let unsealed = unsealed.into_iter().flatten().min();
        let mut retired = Vec::new();
        let mut any = false;
        for ((index, last), key) in (0..).zip(&mut self.values).zip(&self.keys) {
            if !last.has_series {
                continue;
            }
            let end = last.time.floor(WINDOW_MS) + WINDOW_MS;
            let is_sealed = unsealed.is_none_or(|oldest| oldest >= end);
            if last.time < horizon && is_sealed {
                retired.push((index, Arc::clone(key)));
                self.unsaved.retired = self.unsaved.retired.max(Some(last.time));
            } else if !last.is_idle && now - last.time > IDLE_MS {
                last.is_idle = true;
                self.unsaved.series.insert(index);
                any = true;
            }
        }
        for (index, key) in &retired {
            self.indices.remove(key);
            let at = *index as usize;
            if let (Some(slot), Some(value)) = (self.keys.get_mut(at), self.values.get_mut(at)) {
                (*slot, *value) = (no_series(), LastValue::default());
            }
            for slot in self
                .summary
                .iter_mut()
                .filter(|slot| **slot == Some(*index))
            {
                *slot = None;
            }
            self.processes.forget_series(*index);
            self.uptime = self.uptime.filter(|uptime| uptime != index);
            self.unsaved.series.insert(*index);
            self.free.push(*index);
        }
        if !retired.is_empty() {
            self.series_epoch += 1;
            self.limits.series.set_current(self.indices.len());
        }
        any || !retired.is_empty()
    }

    pub fn keys(&self) -> &[Arc<SeriesKey>] {
        &self.keys
    }
}
