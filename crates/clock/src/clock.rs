//! Wall-clock and monotonic time from one source.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sysmon_wire::UnixMs;

/// Where a [`Clock`] reads the time.
pub trait TimeSource: fmt::Debug + Send + Sync {
    /// Wall-clock time; jumps in either direction when the clock is set.
    fn now(&self) -> UnixMs;

    /// Monotonic time; comparable only with instants of the same source.
    fn instant(&self) -> Instant;
}

/// A handle to the time, cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Arc<dyn TimeSource>);

impl Clock {
    /// The operating system's clocks.
    pub fn system() -> Self {
        Self::new(SystemTimeSource)
    }

    /// A clock that reads `source`.
    pub fn new(source: impl TimeSource + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// Wall-clock time.
    pub fn now(&self) -> UnixMs {
        self.0.now()
    }

    /// Wall-clock time for interfaces that take a [`SystemTime`], such as certificate validity.
    pub fn system_time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(self.now().0).unwrap_or(0))
    }

    /// Monotonic time, for durations and deadlines.
    pub fn instant(&self) -> Instant {
        self.0.instant()
    }
}

#[derive(Debug)]
struct SystemTimeSource;

impl TimeSource for SystemTimeSource {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn now(&self) -> UnixMs {
        UnixMs::from_system(SystemTime::now())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the monotonic clock"
    )]
    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// Time that moves only when a test or simulation moves it; clones share it.
#[derive(Clone, Debug)]
pub struct ManualTime {
    wall_ms: Arc<AtomicI64>,
    elapsed_ms: Arc<AtomicU64>,
    start: Instant,
}

impl ManualTime {
    /// Time that begins at `start`.
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant has no other origin; only differences are used"
    )]
    pub fn new(start: UnixMs) -> Self {
        Self {
            wall_ms: Arc::new(AtomicI64::new(start.0)),
            elapsed_ms: Arc::default(),
            start: Instant::now(),
        }
    }

    /// A clock that reads this time.
    pub fn clock(&self) -> Clock {
        Clock::new(self.clone())
    }

    /// Advances both clocks.
    pub fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.elapsed_ms.fetch_add(ms, Ordering::Relaxed);
        self.step_wall(i64::try_from(ms).unwrap_or(i64::MAX));
    }

    /// Steps the wall clock alone, as `date -s` does.
    pub fn step_wall(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl TimeSource for ManualTime {
    fn now(&self) -> UnixMs {
        UnixMs(self.wall_ms.load(Ordering::Relaxed))
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.elapsed_ms.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_leaves_durations_alone() {
        let time = ManualTime::new(UnixMs(1_000));
        let clock = time.clock();
        let start = clock.instant();
        time.step_wall(-600);
        time.advance(Duration::from_millis(50));
        assert_eq!(clock.now(), UnixMs(450));
        assert_eq!(clock.instant() - start, Duration::from_millis(50));
        assert_eq!(clock.system_time(), UNIX_EPOCH + Duration::from_millis(450));
    }
}
