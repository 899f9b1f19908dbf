//! Rates of counters and slopes of gauges between two rows.

use sysmon_wire::ABSENT;

/// Appended to a counter's unit where its rate is shown.
pub const RATE_UNIT_SUFFIX: &str = "/s";

/// Buckets store a counter's rates as integers: thousandths of a scaled unit per second.
pub(crate) const RATE_SCALE: f64 = 1000.0;

/// The rate of a counter between two `(time in ms, value)` rows, in scaled units per second.
///
/// `None` across a reset, where a value is missing, or where no time passed.
pub fn rate(before: (i64, i64), now: (i64, i64)) -> Option<f64> {
    slope(before, now).filter(|_| now.1 >= before.1)
}

/// Like [`rate`], but a value may also fall.
pub(crate) fn slope(before: (i64, i64), now: (i64, i64)) -> Option<f64> {
    let ((t0, v0), (t1, v1)) = (before, now);
    (v0 != ABSENT && v1 != ABSENT && t1 > t0)
        .then(|| v1.saturating_sub(v0) as f64 * 1000.0 / (t1 - t0) as f64)
}
