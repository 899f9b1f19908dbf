//! What one peer may take of the hub. Pure.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rows of one stream that are taken in a second, all in all. A day of backfill takes three quarters of a minute;
/// whoever sends more is read more slowly, and keeps the rest.
const ROWS_PER_SECOND: f64 = 2_000.0;

/// Rows that may come at once: two of the largest frames.
const ROWS_AT_ONCE: f64 = 1_200.0;

/// How fast a stream's rows are taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    allowed: f64,
    at: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            allowed: ROWS_AT_ONCE,
            at: now,
        }
    }

    /// Counts rows that came; the time to wait before more are read.
    pub(super) fn count(&mut self, rows: u64, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.allowed = (self.allowed + passed * ROWS_PER_SECOND).min(ROWS_AT_ONCE) - rows as f64;
        Duration::from_secs_f64((-self.allowed / ROWS_PER_SECOND).max(0.0))
    }
}

/// Places of which each key, such as an address, may take so many.
#[derive(Debug)]
pub(super) struct Places<K> {
    taken: Mutex<HashMap<K, usize>>,
    /// Of all keys together.
    places: AtomicUsize,
    most: usize,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place<K: Eq + Hash> {
    places: Arc<Places<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Places<K> {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: Mutex::default(),
            places: AtomicUsize::new(0),
            most,
        })
    }

    /// How many places are taken by all.
    pub(super) fn taken(&self) -> usize {
        self.places.load(Ordering::Relaxed)
    }

    /// Takes a place; none if there is none left.
    pub(super) fn take(self: &Arc<Self>, key: K) -> Option<Place<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(key.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        self.places.fetch_add(1, Ordering::Relaxed);
        Some(Place {
            places: Arc::clone(self),
            key,
        })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        self.places.places.fetch_sub(1, Ordering::Relaxed);
        let taken = self.places.taken.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_when_they_are_left() {
        let places = Places::new(2);
        let (a, b) = (places.take("x"), places.take("x"));
        assert!(a.is_some() && b.is_some() && places.take("x").is_none());
        assert_eq!(places.taken(), 2);
        assert!(places.take("y").is_some());
        drop(a);
        assert!(places.take("x").is_some());
        drop(b);
        assert!(places.taken.lock().unwrap().is_empty());
    }

    #[test]
    fn rows_at_a_usual_pace_never_wait_and_a_flood_does() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for tenth in 0..1_000 {
            let now = start + Duration::from_millis(tenth * 100);
            assert_eq!(
                pace.count(1, now),
                Duration::ZERO,
                "a burst of ten a second"
            );
        }
        let now = start + Duration::from_secs(200);
        assert_eq!(pace.count(600, now), Duration::ZERO);
        assert_eq!(pace.count(600, now), Duration::ZERO);
        assert_eq!(pace.count(600, now), Duration::from_millis(300));
        let later = now + Duration::from_millis(300);
        assert_eq!(pace.count(0, later), Duration::ZERO);
    }
}
