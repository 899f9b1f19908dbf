//! What the hub wants besides a row a second, because somebody looks: it ends by itself. Pure.

use sysmon_wire::UnixMs;
use sysmon_wire::limits::{BURST_INTERVAL_MS_MIN, BURST_MS_MAX};

/// The longest time for which all processes are told without being asked again.
const WATCH_MS_MAX: u32 = 60_000;

/// What is wanted, and until when.
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
    /// All processes are wanted for this long.
    pub fn watch_processes(&mut self, for_ms: u32, now: UnixMs) {
        self.processes_until = now + i64::from(for_ms.min(WATCH_MS_MAX));
    }

    /// Samples are wanted more often for this long.
    pub fn burst(&mut self, interval_ms: u32, for_ms: u32, now: UnixMs) {
        self.burst = Some(Burst {
            interval_ms: i64::from(interval_ms.max(BURST_INTERVAL_MS_MIN)),
            until: now + i64::from(for_ms.min(BURST_MS_MAX)),
        });
    }

    /// Whether all processes are wanted now.
    pub fn wants_processes(&self, now: UnixMs) -> bool {
        // A clock set back far does not make a watch of a minute one of years.
        (1..=i64::from(WATCH_MS_MAX)).contains(&(self.processes_until - now))
    }

    /// The time between samples now; `usual_ms` where nobody wants more.
    pub fn interval_ms(&self, usual_ms: i64, now: UnixMs) -> i64 {
        let burst = self
            .burst
            .filter(|burst| (1..=i64::from(BURST_MS_MAX)).contains(&(burst.until - now)));
        burst.map_or(usual_ms, |burst| burst.interval_ms.min(usual_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_ends_by_itself_and_has_bounds() {
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
            "never less often than usual"
        );
        assert_eq!(demand.interval_ms(1000, now + 60_000), 1000);
        assert_eq!(
            demand.interval_ms(1000, UnixMs(0)),
            1000,
            "after a clock was set back"
        );
    }
}
