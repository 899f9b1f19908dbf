//! A line of small bars.

/// The eight heights of a bar, and how ASCII shows them.
const UNICODE: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 8] = ['_', '.', ',', '-', '~', '+', '*', '#'];

/// Values as bars from 0 to `max`; a missing one is blank.
pub(crate) fn sparkline(
    values: impl Iterator<Item = Option<i64>>,
    max: i64,
    ascii: bool,
) -> String {
    let levels = if ascii { &ASCII } else { &UNICODE };
    let bar = |value: Option<i64>| {
        let Some(value) = value else { return ' ' };
        let level = value.max(0).saturating_mul(8) / max.max(1);
        levels
            .get(level.clamp(0, 7) as usize)
            .copied()
            .unwrap_or(' ')
    };
    values.map(bar).collect()
}

/// The next number of the form 1, 2 or 5 times a power of ten: scales of that form change seldom.
pub(crate) fn round_scale(max: i64) -> i64 {
    let mut power = 1i64;
    while power < max {
        for step in [1, 2, 5] {
            if let Some(scale) = power.checked_mul(step).filter(|scale| *scale >= max) {
                return scale;
            }
        }
        match power.checked_mul(10) {
            Some(next) => power = next,
            None => return i64::MAX,
        }
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_rise_with_the_value_and_gaps_are_gaps() {
        let values = [Some(0), Some(500), None, Some(1000), Some(9999), Some(-5)];
        assert_eq!(sparkline(values.into_iter(), 1000, false), "▁▅ ██▁");
        assert_eq!(sparkline(values.into_iter(), 1000, true), "_~ ##_");
    }

    #[test]
    fn scales_are_round() {
        for (max, scale) in [(0, 1), (1, 1), (3, 5), (11, 20), (999, 1000), (1001, 2000)] {
            assert_eq!(round_scale(max), scale);
        }
        assert_eq!(round_scale(i64::MAX), i64::MAX);
    }
}
