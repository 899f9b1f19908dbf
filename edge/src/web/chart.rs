//! Sparklines and charts as SVG, for pages without a script. Pure.

use std::fmt::Write as _;

use maud::{Markup, html};

const SPARK_SIZE: (f64, f64) = (120.0, 24.0);
const CHART_SIZE: (f64, f64) = (600.0, 120.0);

/// The path of a line that is interrupted where values are unknown.
fn path(values: &[Option<f64>], max: f64, (width, height): (f64, f64)) -> String {
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
            // Makes a point between two gaps visible.
            path.push_str("h1");
        }
        pen_is_down = true;
    }
    path
}

fn view_box((width, height): (f64, f64)) -> String {
    format!("0 0 {width} {height}")
}

pub(super) fn largest(values: &[Option<f64>]) -> Option<f64> {
    values.iter().flatten().copied().reduce(f64::max)
}

pub(super) fn spark(values: &[Option<f64>]) -> Markup {
    html! {
        svg.spark aria-hidden="true" viewBox=(view_box(SPARK_SIZE)) preserveAspectRatio="none" {
            path d=(path(values, 1.0, SPARK_SIZE)) {}
        }
    }
}

/// A chart of values from 0 to `max`; `label` describes it to screen readers.
pub(super) fn chart(values: &[Option<f64>], max: f64, label: &str) -> Markup {
    html! {
        svg.chart role="img" aria-label=(label) viewBox=(view_box(CHART_SIZE)) preserveAspectRatio="none" {
            path d=(path(values, max, CHART_SIZE)) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_are_gaps_and_the_line_stays_within_the_picture() {
        let line = path(&[Some(0.0), None, Some(1.0), Some(9.0)], 1.0, (30.0, 12.0));
        assert_eq!(line, "M0 11.0h1M20 1.0h1L30 1.0");
        assert_eq!(path(&[], 1.0, (30.0, 12.0)), "");
        assert!(!spark(&[Some(f64::NAN), Some(-1.0)]).0.contains("NaN"));
    }
}
