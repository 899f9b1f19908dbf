//! Occasional progress messages on standard error.

use std::time::{Duration, Instant};

/// Minimum time between messages; shorter work prints none.
const INTERVAL: Duration = Duration::from_secs(2);

pub(crate) struct Progress {
    what: &'static str,
    total: usize,
    printed: Instant,
}

impl Progress {
    pub(crate) fn new(what: &'static str, total: usize) -> Self {
        Self {
            what,
            total,
            printed: Instant::now(),
        }
    }

    #[expect(clippy::print_stderr, reason = "standard output has the result only")]
    pub(crate) fn update(&mut self, done: usize) {
        if self.printed.elapsed() >= INTERVAL {
            self.printed = Instant::now();
            eprintln!("{done} of {} {}", self.total, self.what);
        }
    }
}
