//! Samples ten times a second for a minute, because somebody asked.

use sysmon_wire::UnixMs;

/// Milliseconds between samples.
pub const BURST_INTERVAL_MS: u32 = 100;

/// Milliseconds a burst lasts, and the time that its screen shows.
pub const BURST_MS: i64 = 60_000;

/// A burst that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// When it ends.
    pub until: UnixMs,
}

impl Burst {
    /// One that begins now.
    pub fn new(now: UnixMs) -> Self {
        Self {
            until: now + BURST_MS,
        }
    }

    /// Milliseconds that are left of it.
    pub fn left_ms(self, now: UnixMs) -> i64 {
        (self.until - now).clamp(0, BURST_MS)
    }
}
