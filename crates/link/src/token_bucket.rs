//! The one rate limiter: a token bucket. Pure.

use std::time::{Duration, Instant};

/// Allows `rate_per_s` events a second on average and `burst` at once.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    rate_per_s: f64,
    burst: f64,
    /// Negative after [`TokenBucket::charge`] exceeded the balance.
    tokens: f64,
    refilled: Instant,
}

impl TokenBucket {
    /// A full bucket. `rate_per_s` must be positive.
    pub fn new(rate_per_s: f64, burst: f64, now: Instant) -> Self {
        Self {
            rate_per_s,
            burst,
            tokens: burst,
            refilled: now,
        }
    }

    /// Spends one token if there is one; returns whether it did.
    pub fn try_take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let is_allowed = self.tokens >= 1.0;
        if is_allowed {
            self.tokens -= 1.0;
        }
        is_allowed
    }

    /// Spends `count` tokens, on credit if necessary; returns how long to wait before the next charge.
    pub fn charge(&mut self, count: f64, now: Instant) -> Duration {
        self.refill(now);
        self.tokens -= count;
        Duration::from_secs_f64((-self.tokens / self.rate_per_s).max(0.0))
    }

    /// Whether the bucket is full at `now`: an idle one can be dropped.
    pub fn is_full(&self, now: Instant) -> bool {
        let mut later = *self;
        later.refill(now);
        later.tokens >= later.burst
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        self.tokens = (self.tokens + passed * self.rate_per_s).min(self.burst);
    }
}

/// Limits how many lines of one kind are logged, and counts those in between.
#[derive(Debug)]
pub struct LogLimiter {
    bucket: TokenBucket,
    suppressed: u64,
}

impl LogLimiter {
    /// Refusals that are logged at once, and further ones each second: a peer that retries all day neither fills the
    /// disk nor hides what matters.
    const LINES_AT_ONCE: f64 = 60.0;
    const LINES_PER_SECOND: f64 = 1.0;

    /// A limiter that has logged nothing yet.
    pub fn new(now: Instant) -> Self {
        Self {
            bucket: TokenBucket::new(Self::LINES_PER_SECOND, Self::LINES_AT_ONCE, now),
            suppressed: 0,
        }
    }

    /// Whether to log a line; if so, how many were suppressed since the last that was.
    pub fn pass(&mut self, now: Instant) -> Option<u64> {
        if !self.bucket.try_take(now) {
            self.suppressed += 1;
            return None;
        }
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn a_burst_passes_then_the_rate_applies_and_debt_delays_the_next_charge() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(2.0, 3.0, start);
        let passed = (0..10).filter(|_| bucket.try_take(start)).count();
        assert_eq!(passed, 3);
        assert!(!bucket.try_take(start + Duration::from_millis(400)));
        assert!(bucket.try_take(start + Duration::from_millis(600)));
        let later = start + Duration::from_secs(60);
        assert!(bucket.is_full(later));
        assert_eq!(bucket.charge(7.0, later), Duration::from_secs(2));
        assert!(!bucket.is_full(later));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn lines_beyond_the_limit_are_counted_but_not_logged() {
        let start = Instant::now();
        let mut limiter = LogLimiter::new(start);
        let mut pass = |after_ms| limiter.pass(start + Duration::from_millis(after_ms));
        assert_eq!((0..1000).filter(|_| pass(0).is_some()).count(), 60);
        assert_eq!(pass(500), None);
        assert_eq!(pass(1_000), Some(941));
        assert_eq!(pass(9_000), Some(0));
    }
}
