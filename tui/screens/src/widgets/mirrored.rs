//! Two rates that share an axis: one rises from it, the other hangs from it, on one scale.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::chart::{Inks, chart, chart_down};
use super::paint::Pen;
use super::sparkline::round_scale;
use crate::format::amount;
use crate::model::host_rows::Step;
use crate::theme::Theme;

/// Cells of a scale, the space behind it included.
pub(crate) const SCALE: u16 = 5;

/// The top of a scale of rates at least.
const RATE_MIN: i64 = 1_000;

/// The top of the scale of some rates.
pub(crate) fn rate_top(highest: f64) -> f64 {
    round_scale((highest.ceil() as i64).max(RATE_MIN)) as f64
}

/// Writes a number of a scale before a row of a chart.
pub(crate) fn scale(buffer: &mut Buffer, plot: Rect, row: u16, text: &str, theme: &Theme) {
    let scale = Rect {
        x: plot.x.saturating_sub(SCALE),
        width: SCALE,
        ..plot
    };
    Pen::new(buffer, scale, row).right(text, usize::from(SCALE) - 1, theme.faint);
}

/// Draws what comes in above the axis and what goes out below it, with the scale at both ends.
pub(crate) fn mirrored(
    buffer: &mut Buffer,
    plot: Rect,
    [over, under]: &[Vec<Option<Step>>; 2],
    theme: &Theme,
) {
    let half = plot.height / 2;
    if half == 0 {
        return;
    }
    let known = over.iter().chain(under).flatten();
    let top = rate_top(known.fold(0.0f64, |highest, step| highest.max(step.max)));
    let upper = Rect {
        height: half,
        ..plot
    };
    let lower = Rect {
        y: plot.y + half,
        height: half,
        ..plot
    };
    let text = amount(Some(top));
    scale(buffer, upper, 0, &text, theme);
    scale(buffer, lower, half - 1, &text, theme);
    let [one, other] = [theme.receive, theme.transmit].map(Inks::One);
    chart(buffer, upper, over, top, one, theme.ascii);
    chart_down(buffer, lower, under, top, other, theme.ascii);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::colours::Colours;
    use crate::theme::ThemeName;

    #[test]
    fn both_halves_have_one_scale_that_is_written_at_both_ends() {
        let theme = Theme::new(ThemeName::Dark, false, Colours::True);
        let mut buffer = Buffer::empty(Rect::new(0, 0, 7, 4));
        let line = |value: f64| vec![Some(Step::of(value)); 4];
        let plot = Rect::new(SCALE, 0, 2, 4);
        mirrored(&mut buffer, plot, &[line(7_500.0), line(4_000.0)], &theme);
        let text = crate::text::plain(&buffer);
        let rows: Vec<_> = text.lines().map(str::trim_end).collect();
        assert_eq!(rows, ["8.0k ⣿⣿", "     ⣿⣿", "     ⣿⣿", "8.0k"]);
    }
}
