//! A line now and then about work that takes long.

use std::time::{Duration, Instant};

/// Work that is shorter than this is not told of, and longer work no more often.
const BETWEEN: Duration = Duration::from_secs(2);

/// How far something is.
pub(crate) struct Progress {
    what: &'static str,
    total: usize,
    told: Instant,
}

impl Progress {
    pub(crate) fn new(what: &'static str, total: usize) -> Self {
        Self {
            what,
            total,
            told: Instant::now(),
        }
    }

    /// So many are done.
    #[expect(
        clippy::print_stderr,
        reason = "for who waits; the result goes to standard output"
    )]
    pub(crate) fn tell(&mut self, done: usize) {
        if self.told.elapsed() >= BETWEEN {
            self.told = Instant::now();
            eprintln!("{done} of {} {}", self.total, self.what);
        }
    }
}
