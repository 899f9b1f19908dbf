//! The series of a host: their indices, and which still have rows.

use std::sync::{Arc, LazyLock};

use sysmon_alerts::engine::SeriesKeys;
use sysmon_store::store::WINDOW_MS;
use sysmon_wire::limits::SERIES_PER_HOST_MAX;
use sysmon_wire::metrics::{ALIASES, SUMMARY, UPTIME};
use sysmon_wire::{ABSENT, Kind, Label, MetricDef, SeriesKey, UnixMs};

use super::Host;

/// Series of a host that have rows. A build server that starts 300 containers an hour has 50,000 in a day; those without a
/// value cost a name and a place in each row.
pub const STORED_SERIES_MAX: usize = 16 * SERIES_PER_HOST_MAX;

/// Bytes that these may use: 512 for each, where a container's take 250.
pub const SERIES_BYTES_MAX: usize = 512 * STORED_SERIES_MAX;

/// What a series uses besides its texts.
const SERIES_BYTES: usize = 160;

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

    /// The index of a series, which is added if it is new; `None` beyond a limit. The row that it is for has values of
    /// `present` other series.
    pub fn series_index(&mut self, key: Arc<SeriesKey>, present: usize) -> Option<u32> {
        if let Some(&index) = self.indices.get(&key) {
            return Some(index);
        }
        let limits = &mut self.limits;
        let fits = limits.series.admits(present)
            && limits.stored_series.admits(self.indices.len())
            && limits.series_bytes.admits(self.series_bytes);
        if !fits {
            return None;
        }
        let index = match self.free.first() {
            Some(index) => *index,
            None => u32::try_from(self.keys.len()).ok()?,
        };
        self.set_series(index, key, None);
        self.unsaved.series.insert(index);
        Some(index)
    }

    /// Whether another series may be added for a row with values of `present` others.
    pub fn has_room_for_series(&self, present: usize) -> bool {
        present < SERIES_PER_HOST_MAX
            && self.indices.len() < STORED_SERIES_MAX
            && self.series_bytes < SERIES_BYTES_MAX
    }

    /// Whether the index belongs to this very key.
    pub fn has_series_at(&self, index: u32, key: &Arc<SeriesKey>) -> bool {
        let known = self.keys.get(index as usize);
        known.is_some_and(|known| Arc::ptr_eq(known, key))
    }

    /// The indices of the series that may have a value at or after a moment.
    pub fn series_since(&self, since: UnixMs) -> Vec<u32> {
        let values = (0..).zip(&self.values);
        let recent = values.filter(|(_, last)| last.has_series && last.time >= since);
        recent.map(|(index, _)| index).collect()
    }

    /// Bytes of memory used by the names of its series, which stay as long as their rows.
    pub fn series_bytes(&self) -> usize {
        self.series_bytes
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
        while self.keys.len() < at {
            self.free.insert(self.keys.len() as u32);
            self.keys.push(no_series());
            self.values.push(LastValue::default());
        }
        let value = LastValue {
            time: idle_since.unwrap_or(UnixMs(0)),
            is_idle: idle_since.is_some(),
            has_series: true,
        };
        self.free.remove(&index);
        match self.values.get_mut(at) {
            Some(slot) => {
                *slot = value;
                self.keys.replace(index, Arc::clone(&key));
            }
            None => {
                self.values.push(value);
                self.keys.push(Arc::clone(&key));
            }
        }
        self.series_bytes += bytes_of(&key);
        self.indices.insert(key, index);
        self.note_stored();
    }

    fn note_stored(&mut self) {
        self.limits.stored_series.set_current(self.indices.len());
        self.limits.series_bytes.set_current(self.series_bytes);
    }

    /// Notes which series a row has values of.
    pub fn note_values(&mut self, time: UnixMs, values: &[i64]) {
        let mut present = 0;
        for ((index, last), value) in (0..).zip(&mut self.values).zip(values) {
            if *value == ABSENT {
                continue;
            }
            present += 1;
            last.time = last.time.max(time);
            if std::mem::take(&mut last.is_idle) {
                self.unsaved.series.insert(index);
            }
        }
        self.limits.series.set_current(present);
    }

    /// Removes the series of which no row after `horizon` has a value, so that others can have their indices. Returns
    /// whether any was removed or has become idle, which the history stores.
    pub fn retire_series(&mut self, horizon: UnixMs, now: UnixMs) -> bool {
        // The history downsamples a window once all of its rows are in chunks.
        let unsealed = [self.ring.oldest_unsealed(), self.unsaved.oldest_unsealed];
        let unsealed = unsealed.into_iter().flatten().min();
        let mut retired = Vec::new();
        let mut any = false;
        for ((index, last), key) in (0..).zip(&mut self.values).zip(self.keys.iter()) {
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
            self.series_bytes -= bytes_of(key);
            self.keys.replace(*index, no_series());
            if let Some(value) = self.values.get_mut(*index as usize) {
                *value = LastValue::default();
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
            self.free.insert(*index);
        }
        if !retired.is_empty() {
            self.drop_free_end();
            self.note_stored();
        }
        any || !retired.is_empty()
    }

    /// Shortens rows by the indices at their end that have no series.
    fn drop_free_end(&mut self) {
        while self.values.last().is_some_and(|last| !last.has_series) {
            self.values.pop();
            self.keys.pop();
            self.free.remove(&(self.keys.len() as u32));
        }
    }

    pub fn keys(&self) -> &SeriesKeys {
        &self.keys
    }
}

fn bytes_of(key: &SeriesKey) -> usize {
    let attributes = key.attributes.iter();
    let texts = attributes.flat_map(|(name, value)| [name, value]);
    let texts = texts.chain([&key.metric.name, &key.metric.unit]);
    SERIES_BYTES + texts.map(|text| text.as_str().len()).sum::<usize>()
}
