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

/// How often each of many may try something in a while. Those who have not tried for that long are forgotten.
#[derive(Debug)]
pub(super) struct Tries<K> {
    made: Mutex<HashMap<K, (Instant, u32)>>,
    most: u32,
    within: Duration,
}

/// Keys that are remembered; more of them share what is left to one.
const TRIES_KEYS_MAX: usize = 10_000;

impl<K: Eq + Hash> Tries<K> {
    pub(super) fn new(most: u32, within: Duration) -> Self {
        Self {
            made: Mutex::default(),
            most,
            within,
        }
    }

    /// Whether one more is too many.
    pub(super) fn is_over(&self, key: &K, now: Instant) -> bool {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(key).is_some_and(|(since, count)| {
            *count >= self.most && now.saturating_duration_since(*since) < self.within
        })
    }

    /// Counts one.
    pub(super) fn count(&self, key: K, now: Instant) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |since: &Instant| now.saturating_duration_since(*since) < self.within;
        if made.len() >= TRIES_KEYS_MAX && !made.contains_key(&key) {
            made.retain(|_, (since, _)| is_new(since));
            if made.len() >= TRIES_KEYS_MAX {
                return;
            }
        }
        let (since, count) = made.entry(key).or_insert((now, 0));
        if !is_new(since) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
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
    fn who_tries_too_often_waits_and_nobody_else() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let tries = Tries::new(2, minute);
        for _ in 0..2 {
            assert!(!tries.is_over(&"x", start));
            tries.count("x", start);
        }
        assert!(tries.is_over(&"x", start) && !tries.is_over(&"y", start));
        assert!(!tries.is_over(&"x", start + minute));
        tries.count("x", start + minute);
        assert!(!tries.is_over(&"x", start + minute));
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
