//! A line of small bars.

use super::paint::Pen;
use crate::model::step::Steps;
use crate::theme::Theme;

/// The seven heights of a bar: a full cell would touch the line above.
const UNICODE: [&str; 7] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇"];
const ASCII: [&str; 7] = ["_", ".", "-", "=", "+", "*", "#"];

fn glyph(value: i64, max: i64, ascii: bool) -> &'static str {
    let levels = if ascii { &ASCII } else { &UNICODE };
    let level = value.max(0).saturating_mul(7) / max.max(1);
    levels
        .get(level.clamp(0, 6) as usize)
        .copied()
        .unwrap_or(" ")
}

/// Values as bars from 0 to `max`; a missing one is blank.
pub(crate) fn sparkline(
    values: impl Iterator<Item = Option<i64>>,
    max: i64,
    ascii: bool,
) -> String {
    values
        .map(|value| value.map_or(" ", |value| glyph(value, max, ascii)))
        .collect()
}

/// Draws shares in permille, each in the style of its step; a missing one is a dot.
pub(crate) fn draw_sparkline(
    pen: &mut Pen<'_>,
    values: impl Iterator<Item = Option<i64>>,
    steps: Steps,
    is_dead: bool,
    on: impl Fn(ratatui::style::Style) -> ratatui::style::Style,
    theme: &Theme,
) {
    for value in values {
        match value {
            Some(value) => {
                let style = match is_dead {
                    true => theme.ghost,
                    false => *steps.style(&theme.spark, value as f64 / 1000.0),
                };
                pen.text(glyph(value, 1000, theme.ascii), on(style))
            }
            None => pen.text(theme.pick("·", "."), on(theme.ghost)),
        };
    }
}

/// The next number of the form 1, 2, 3, 4, 5, 6 or 8 times a power of ten: scales of that form change seldom.
pub(crate) fn round_scale(max: i64) -> i64 {
    let mut power = 1i64;
    while power < max {
        for step in [1, 2, 3, 4, 5, 6, 8] {
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
        assert_eq!(sparkline(values.into_iter(), 1000, false), "▁▄ ▇▇▁");
        assert_eq!(sparkline(values.into_iter(), 1000, true), "_= ##_");
    }

    #[test]
    fn scales_are_round() {
        for (max, scale) in [
            (0, 1),
            (1, 1),
            (3, 3),
            (7, 8),
            (11, 20),
            (999, 1000),
            (1001, 2000),
        ] {
            assert_eq!(round_scale(max), scale);
        }
        assert_eq!(round_scale(i64::MAX), i64::MAX);
    }
}
