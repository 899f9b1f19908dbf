//! Exponential back-off between attempts. Pure.

use std::time::Duration;

/// Exponential back-off with jitter, so that a thousand agents do not reconnect at the same instant.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    /// Waits about `base` first and never longer than `max`.
    pub fn new(base: Duration, max: Duration) -> Self {
        Self {
            base,
            max,
            attempts: 0,
        }
    }

    /// The next wait: between half of the current ceiling (`random` = 0) and all of it (`random` = 1).
    pub fn next(&mut self, random: f64) -> Duration {
        let ceiling = self
            .base
            .saturating_mul(1 << self.attempts.min(16))
            .min(self.max);
        self.attempts = self.attempts.saturating_add(1);
        ceiling.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

impl Default for Backoff {
    /// From 250 ms to 10 s: after an outage of whatever length everybody is back soon, and ten thousand agents without
    /// their hub send some thousand packets a second.
    fn default() -> Self {
        Self::new(Duration::from_millis(250), Duration::from_secs(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum_with_jitter() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(1.0), Duration::from_millis(250));
        assert_eq!(backoff.next(0.0), Duration::from_millis(250));
        assert_eq!(backoff.next(0.5), Duration::from_millis(750));
        for _ in 0..100 {
            assert!(backoff.next(1.0) <= Duration::from_secs(10));
        }
        assert!(
            backoff.next(0.0) >= Duration::from_secs(5),
            "after a long outage"
        );
        backoff.reset();
        assert_eq!(backoff.next(1.0), Duration::from_millis(250));
    }
}
