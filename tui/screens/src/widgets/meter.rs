//! A thin line on a dim track: a share of a whole.

use ratatui::style::Style;

use super::paint::Pen;
use crate::theme::Theme;

/// Halves of a cell that a share fills; something is never nothing, and less than the whole never all of it.
fn halves(share: f64, cells: usize) -> usize {
    let all = cells * 2;
    let share = if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    };
    let filled = (share * all as f64).round() as usize;
    match filled {
        0 if share > 0.005 => 1,
        filled if filled == all && share < 0.995 => all.saturating_sub(1),
        filled => filled,
    }
}

/// Draws shares one after the other, each in its style, and the track behind them.
pub(crate) fn meter(pen: &mut Pen<'_>, parts: &[(f64, Style)], cells: usize, theme: &Theme) {
    let (full, half) = (theme.pick("━", "="), theme.pick("╸", "-"));
    let mut drawn = 0;
    let mut sum = 0.0;
    for (at, (share, style)) in parts.iter().enumerate() {
        sum += share.max(0.0);
        let to = halves(sum, cells);
        let is_last = at + 1 == parts.len();
        let whole = (to / 2).max(drawn) - drawn;
        pen.text(&full.repeat(whole), *style);
        drawn += whole;
        // A half cell can show one part only.
        if to % 2 == 1 && drawn < cells && is_last {
            pen.text(half, *style);
            drawn += 1;
        }
    }
    let track = theme.pick("─", ".").repeat(cells - drawn);
    pen.text(&track, theme.rule);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::colours::Colours;
    use crate::text::plain;
    use crate::theme::ThemeName;
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    fn drawn(shares: &[f64]) -> String {
        let theme = Theme::new(ThemeName::Dark, false, Colours::True);
        let area = Rect::new(0, 0, 10, 1);
        let mut buffer = Buffer::empty(area);
        let parts: Vec<_> = shares.iter().map(|share| (*share, theme.text)).collect();
        meter(&mut Pen::new(&mut buffer, area, 0), &parts, 10, &theme);
        plain(&buffer).trim_end().to_owned()
    }

    #[test]
    fn halves_of_cells_are_seen_and_neither_a_little_nor_almost_all_is_rounded_away() {
        assert_eq!(drawn(&[0.5]), "━━━━━─────");
        assert_eq!(drawn(&[0.35]), "━━━╸──────");
        assert_eq!(drawn(&[0.01]), "╸─────────");
        assert_eq!(drawn(&[0.99]), "━━━━━━━━━╸");
        assert_eq!(drawn(&[1.0]), "━━━━━━━━━━");
        assert_eq!(drawn(&[0.0]), "──────────");
        assert_eq!(drawn(&[0.4, 0.35]), "━━━━━━━╸──");
        assert_eq!(drawn(&[0.8, 0.8, f64::NAN]), "━━━━━━━━━━");
    }
}
