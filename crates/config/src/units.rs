//! Parsing of durations and sizes.

use std::time::Duration;

use sysmon_wire::quantity::BYTE_UNITS;

/// Milliseconds of each unit, smallest first.
const SPANS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

/// "1s", "500ms", "1h30m": whole numbers each with a unit, spaces allowed.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (value, unit, after) = quantity(rest)?;
        let (_, ms) = SPANS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(value.checked_mul(*ms)?)?;
        rest = after;
    }
    Some(Duration::from_millis(total))
}

/// "64MiB" or "1 GB".
pub(crate) fn size(text: &str) -> Option<u64> {
    let (value, unit, rest) = quantity(text.trim())?;
    let (_, bytes) = BYTE_UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    rest.is_empty().then(|| value.checked_mul(*bytes)).flatten()
}

/// A number, its unit, and what follows.
fn quantity(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = text.split_at_checked(digits)?;
    let rest = rest.trim_start();
    let end = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(end)?;
    Some((number.parse().ok()?, unit, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1h 30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("7d"), Some(Duration::from_secs(604_800)));
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("1 gb"), Some(1_000_000_000));
        for bad in ["", "1", "s", "1 parsec", "-1s", "99999999999999w", "1s2"] {
            assert_eq!(duration(bad), None, "{bad:?}");
            assert_eq!(size(bad), None, "{bad:?}");
        }
    }
}
