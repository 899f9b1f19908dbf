//! Says how far a long copy is, on standard error.

use std::time::{Duration, Instant};

use sysmon_clock::Clock;

const EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Progress<'a> {
    clock: &'a Clock,
    what: &'static str,
    said: Instant,
}

impl<'a> Progress<'a> {
    pub(super) fn new(clock: &'a Clock, what: &'static str) -> Self {
        Self {
            clock,
            what,
            said: clock.instant(),
        }
    }

    /// Says how much is done, if that was not said lately.
    pub(super) fn at(&mut self, done: u64, total: u64) {
        let now = self.clock.instant();
        if now.saturating_duration_since(self.said) < EVERY {
            return;
        }
        self.said = now;
        let percent = done.saturating_mul(100) / total.max(1);
        let (what, total) = (self.what, total >> 20);
        sysmon_config::note("sysmon-hub", &format!("{what}: {percent} % of {total} MiB"));
    }
}
