//! The series of one host: their indices, and what is known of their values. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use sysmon_wire::limits::SERIES_PER_HOST_MAX;
use sysmon_wire::{ABSENT, Kind, SeriesKey, UnixMs};

/// A series without a point for this long leaves its place where another needs one.
const IDLE_MS: i64 = 3_600_000;

/// The longest time between two points after which a gauge still counts as sent regularly.
const INTERVAL_MS_MAX: i64 = 3_600_000;

#[derive(Clone, Copy, Debug, Default)]
struct Last {
    time: UnixMs,
    value: i64,
    /// Time between the last two points.
    gap_ms: Option<i64>,
}

/// The table of a host's series.
#[derive(Debug, Default)]
pub(crate) struct SeriesKeys {
    keys: Vec<Arc<SeriesKey>>,
    last: Vec<Last>,
    indices: HashMap<Arc<SeriesKey>, usize>,
    /// Rises when indices get other meanings.
    table: u64,
}

impl SeriesKeys {
    pub(crate) fn keys(&self) -> &[Arc<SeriesKey>] {
        &self.keys
    }

    pub(crate) fn table(&self) -> u64 {
        self.table
    }

    /// The index of a series, which is added if it is new and there is room.
    pub(crate) fn index(&mut self, key: &SeriesKey) -> Option<usize> {
        if let Some(index) = self.indices.get(key) {
            return Some(*index);
        }
        if self.keys.len() >= SERIES_PER_HOST_MAX {
            return None;
        }
        let index = self.keys.len();
        let key = Arc::new(key.clone());
        self.indices.insert(Arc::clone(&key), index);
        self.keys.push(key);
        self.last.push(Last::default());
        Some(index)
    }

    /// Removes series that had no point for an hour if the table is full. Call it only while no row refers to an index.
    pub(crate) fn make_room(&mut self, now: UnixMs) {
        if self.keys.len() < SERIES_PER_HOST_MAX {
            return;
        }
        let is_alive = |last: &Last| now - last.time < IDLE_MS;
        if self.last.iter().all(is_alive) {
            return;
        }
        let keys = std::mem::take(&mut self.keys);
        let last = std::mem::take(&mut self.last);
        self.indices.clear();
        for (key, last) in keys.into_iter().zip(last) {
            if is_alive(&last) {
                self.indices.insert(Arc::clone(&key), self.keys.len());
                self.keys.push(key);
                self.last.push(last);
            }
        }
        self.table += 1;
    }

    /// Notes the values of a row that is newer than those before, and repeats in it gauges that are sent less often than
    /// the row's host, until their next point is overdue.
    pub(crate) fn complete(&mut self, time: UnixMs, values: &mut Vec<i64>) {
        values.resize(self.keys.len(), ABSENT);
        for ((value, last), key) in values.iter_mut().zip(&mut self.last).zip(&self.keys) {
            if *value != ABSENT {
                let gap_ms = time - last.time;
                *last = Last {
                    time,
                    value: *value,
                    gap_ms: (gap_ms <= INTERVAL_MS_MAX).then_some(gap_ms),
                };
                continue;
            }
            let is_due = |gap_ms: i64| time - last.time >= gap_ms + gap_ms / 2;
            if key.metric.kind == Kind::Gauge && last.gap_ms.is_some_and(|gap| !is_due(gap)) {
                *value = last.value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::metrics::{CPU_UTILIZATION, FS_UTILIZATION, NET_IO};

    #[test]
    fn a_gauge_that_is_sent_less_often_is_repeated_until_it_is_overdue_and_a_counter_never() {
        let mut keys = SeriesKeys::default();
        for metric in [CPU_UTILIZATION, FS_UTILIZATION, NET_IO] {
            keys.index(&metric.series(&[]));
        }
        let mut row = |second: i64, values: &[i64]| {
            let mut values = values.to_vec();
            keys.complete(UnixMs(1_700_000_000_000 + second * 1_000), &mut values);
            values
        };
        assert_eq!(row(0, &[1, 50, 7]), [1, 50, 7]);
        assert_eq!(
            row(10, &[2]),
            [2, ABSENT, ABSENT],
            "its interval is not known yet"
        );
        assert_eq!(row(60, &[3, 51, 8]), [3, 51, 8]);
        assert_eq!(row(70, &[4]), [4, 51, ABSENT]);
        assert_eq!(row(140, &[5]), [5, 51, ABSENT]);
        assert_eq!(row(150, &[6]), [6, ABSENT, ABSENT]);
    }

    #[test]
    fn series_that_are_gone_for_an_hour_make_room() {
        let mut keys = SeriesKeys::default();
        let key = |n: usize| NET_IO.series(&[("network.interface.name", &n.to_string())]);
        for n in 0..SERIES_PER_HOST_MAX {
            assert_eq!(keys.index(&key(n)), Some(n));
        }
        let now = UnixMs(10 * IDLE_MS);
        let mut values = vec![1; SERIES_PER_HOST_MAX];
        keys.complete(now, &mut values);
        assert_eq!(keys.index(&key(9_999)), None);
        let later = now + IDLE_MS;
        keys.complete(later, &mut vec![ABSENT, 1]);
        keys.make_room(later);
        assert_eq!((keys.keys().len(), keys.table()), (1, 1));
        assert_eq!(keys.index(&key(1)), Some(0));
        assert_eq!(keys.index(&key(9_999)), Some(1));
    }
}
