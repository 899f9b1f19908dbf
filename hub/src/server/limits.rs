//! How often each peer may attempt something. Pure.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock;

/// Keys that a limiter remembers; further ones are not limited until there is room again.
const KEYS_MAX: usize = 10_000;

/// Limits how often each key, such as an address, may attempt something: once over the limit it waits until its
/// window ends, however often it retries.
#[derive(Debug)]
pub(super) struct RateLimiter<K> {
    /// Start of the present window of each key, and the attempts in it.
    windows: Mutex<HashMap<K, (Instant, u32)>>,
    limit: u32,
    window: Duration,
}

impl<K: Eq + Hash> RateLimiter<K> {
    pub(super) fn new(limit: u32, window: Duration) -> Self {
        Self {
            windows: Mutex::default(),
            limit,
            window,
        }
    }

    /// Whether another attempt is over the limit. Attempts are counted by [`RateLimiter::count`].
    pub(super) fn is_over(&self, key: &K, now: Instant) -> bool {
        lock(&self.windows).get(key).is_some_and(|(since, count)| {
            *count >= self.limit && now.saturating_duration_since(*since) < self.window
        })
    }

    pub(super) fn count(&self, key: K, now: Instant) {
        let mut windows = lock(&self.windows);
        let is_open = |since: &Instant| now.saturating_duration_since(*since) < self.window;
        if windows.len() >= KEYS_MAX && !windows.contains_key(&key) {
            windows.retain(|_, (since, _)| is_open(since));
            if windows.len() >= KEYS_MAX {
                return;
            }
        }
        let (since, count) = windows.entry(key).or_insert((now, 0));
        if !is_open(since) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_clock::Clock;

    #[test]
    fn only_the_key_that_attempts_too_often_is_limited() {
        let (start, minute) = (Clock::system().instant(), Duration::from_secs(60));
        let limiter = RateLimiter::new(2, minute);
        for _ in 0..2 {
            assert!(!limiter.is_over(&"x", start));
            limiter.count("x", start);
        }
        assert!(limiter.is_over(&"x", start) && !limiter.is_over(&"y", start));
        assert!(!limiter.is_over(&"x", start + minute));
        limiter.count("x", start + minute);
        assert!(!limiter.is_over(&"x", start + minute));
    }
}
