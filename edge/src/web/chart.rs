//! Small pictures of values over time, as SVG that needs no script. Pure.

use std::fmt::Write as _;

/// Width and height of the little one beside a host.
const SPARK: (f64, f64) = (120.0, 24.0);

/// And of a chart.
const CHART: (f64, f64) = (600.0, 120.0);

/// Lines through what is known: a gap is a gap.
fn lines(values: &[Option<f64>], max: f64, (width, height): (f64, f64)) -> String {
    let each = width / (values.len().max(2) - 1) as f64;
    let mut path = String::new();
    let mut pen_is_down = false;
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            pen_is_down = false;
            continue;
        };
        let y = height - 1.0 - (value / max).clamp(0.0, 1.0) * (height - 2.0);
        let letter = if pen_is_down { 'L' } else { 'M' };
        let _ = write!(path, "{letter}{:.0} {y:.1}", at as f64 * each);
        if !pen_is_down {
            // A point between two gaps is seen too.
            path.push_str("h1");
        }
        pen_is_down = true;
    }
    path
}

/// The largest value that is known.
pub(super) fn largest(values: &[Option<f64>]) -> Option<f64> {
    values.iter().flatten().copied().reduce(f64::max)
}

/// A small picture of a share of one.
pub(super) fn spark(values: &[Option<f64>]) -> String {
    svg(values, 1.0, SPARK, "class=\"spark\" aria-hidden=\"true\"")
}

/// A chart from 0 to `max`, which `label` tells in words.
pub(super) fn chart(values: &[Option<f64>], max: f64, label: &str) -> String {
    let attributes = format!("class=\"chart\" role=\"img\" aria-label=\"{label}\"");
    svg(values, max, CHART, &attributes)
}

fn svg(values: &[Option<f64>], max: f64, size: (f64, f64), attributes: &str) -> String {
    format!(
        "<svg {attributes} viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\"><path d=\"{}\"/></svg>",
        size.0,
        size.1,
        lines(values, max, size)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_a_gap_and_nothing_leaves_the_picture() {
        let path = lines(&[Some(0.0), None, Some(1.0), Some(9.0)], 1.0, (30.0, 12.0));
        assert_eq!(path, "M0 11.0h1M20 1.0h1L30 1.0");
        assert_eq!(lines(&[], 1.0, (30.0, 12.0)), "");
        assert!(!spark(&[Some(f64::NAN), Some(-1.0)]).contains("NaN"));
    }
}
