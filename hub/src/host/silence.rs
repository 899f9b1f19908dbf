//! How long a host has been silent, by the interval of its rows.

use std::time::Duration;

use sysmon_wire::UnixMs;

use super::{HOUR_MS, Host};

/// Agents reconnect to a restarted hub within this time: their back-off ends at ten seconds, and each attempt at five.
pub const RETURN_MS: i64 = 60_000;

/// A host that was silent for longer than this when the hub restarted does not count as silent.
const MISSED_MS: i64 = 86_400_000;

impl Host {
    /// Time without rows that is no silence yet: two rows that did not come, where rows are further apart than a second.
    fn grace_ms(&self) -> i64 {
        match i64::from(self.facts.interval_ms) {
            ..=1_000 => 0,
            interval => 2 * interval.min(HOUR_MS),
        }
    }

    /// Milliseconds of silence at `now`; none if it was never heard.
    pub fn silent_ms(&self, now: UnixMs) -> Option<i64> {
        Some((now - self.last_arrival? - self.grace_ms()).max(0))
    }

    /// How long it has been silent, for a hub that runs since `back`; none while that is not known.
    ///
    /// A host that was heard since is judged by that. Others have [`RETURN_MS`] to reconnect; then the time since
    /// their newest row counts, unless that row is older than [`MISSED_MS`].
    pub fn silence(&self, now: UnixMs, back: UnixMs) -> Option<Duration> {
        let heard = self.last_arrival.filter(|arrival| *arrival >= back);
        let since = match heard {
            Some(arrival) => arrival,
            None if now - back < RETURN_MS + self.grace_ms() => return None,
            None => {
                let newest = self.ring.newest().map(|row| row - self.clock_offset_ms);
                let known = self.last_arrival.max(newest)?;
                Some(known).filter(|known| back - *known < MISSED_MS)?
            }
        };
        let silence = now - since - self.grace_ms();
        Some(Duration::from_millis(silence.max(0).unsigned_abs()))
    }
}
