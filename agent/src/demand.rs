//! Costly collection that the hub requests while an operator needs it; it expires by itself. Pure.

use sysmon_wire::UnixMs;
use sysmon_wire::limits::{BURST_INTERVAL_MS_MIN, BURST_MS_MAX};

/// The longest time for which one request has every process reported.
const WATCH_MS_MAX: u32 = 60_000;

#[derive(Clone, Copy, Debug, Default)]
pub struct Demand {
    processes_until: UnixMs,
    burst: Option<Burst>,
}

#[derive(Clone, Copy, Debug)]
struct Burst {
    interval_ms: i64,
    until: UnixMs,
}

impl Demand {
    pub fn watch_processes(&mut self, for_ms: u32, now: UnixMs) {
        self.processes_until = now + i64::from(for_ms.min(WATCH_MS_MAX));
    }

    /// Requests samples at a shorter interval for the next `for_ms`.
    pub fn burst(&mut self, interval_ms: u32, for_ms: u32, now: UnixMs) {
        self.burst = Some(Burst {
            interval_ms: i64::from(interval_ms.max(BURST_INTERVAL_MS_MIN)),
            until: now + i64::from(for_ms.min(BURST_MS_MAX)),
        });
    }

    pub fn wants_processes(&self, now: UnixMs) -> bool {
        // The upper bound: setting the clock back must not turn a minute into years.
        (1..=i64::from(WATCH_MS_MAX)).contains(&(self.processes_until - now))
    }

    /// The current time between samples; never more than the configured `interval_ms`.
    pub fn interval_ms(&self, interval_ms: i64, now: UnixMs) -> i64 {
        let burst = self
            .burst
            .filter(|burst| (1..=i64::from(BURST_MS_MAX)).contains(&(burst.until - now)));
        burst.map_or(interval_ms, |burst| burst.interval_ms.min(interval_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demand_is_bounded_and_expires_by_itself() {
        let mut demand = Demand::default();
        let now = UnixMs(1_000_000);
        assert!(!demand.wants_processes(now));
        assert_eq!(demand.interval_ms(1000, now), 1000);
        demand.watch_processes(5_000, now);
        demand.burst(1, u32::MAX, now);
        assert!(demand.wants_processes(now + 4_999) && !demand.wants_processes(now + 5_000));
        assert_eq!(demand.interval_ms(1000, now), 100);
        assert_eq!(
            demand.interval_ms(50, now),
            50,
            "a burst never lengthens the interval"
        );
        assert_eq!(demand.interval_ms(1000, now + 60_000), 1000);
        assert_eq!(
            demand.interval_ms(1000, UnixMs(0)),
            1000,
            "the clock was set back"
        );
    }
}
