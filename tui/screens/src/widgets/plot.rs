//! Where a chart is on screen, and which moments its cells stand for.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_wire::UnixMs;

use super::paint::Pen;
use crate::model::window::Window;
use crate::theme::Theme;

/// The cells of a chart, without its title and scale, and the span that they share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plot {
    pub area: Rect,
    pub window: Window,
}

impl Plot {
    /// The cell under a column of the screen; one beside the chart is its first or last.
    pub(crate) fn cell(&self, column: u16) -> u16 {
        let cell = column.saturating_sub(self.area.x);
        cell.min(self.area.width.saturating_sub(1))
    }

    /// The cell of a moment; one outside the span is its first or last.
    pub(crate) fn cell_of(&self, moment: UnixMs) -> u16 {
        let Window { from, to } = self.window;
        let width = i64::from(self.area.width.max(1));
        let cell = (moment - from).max(0) * width / (to - from).max(1);
        u16::try_from(cell.min(width - 1)).unwrap_or(0)
    }

    /// The moments of a cell: from the first, up to before the second.
    pub(crate) fn moments(&self, cell: u16) -> Window {
        let Window { from, to } = self.window;
        let at = |cell: i64| from + (to - from) * cell / i64::from(self.area.width.max(1));
        Window {
            from: at(i64::from(cell)),
            to: at(i64::from(cell) + 1),
        }
    }

    /// The moment in the middle of a cell.
    pub(crate) fn middle(&self, cell: u16) -> UnixMs {
        let Window { from, to } = self.moments(cell);
        from + (to - from) / 2
    }
}

/// Draws in the column after a chart that nothing was heard since.
pub(crate) fn draw_end(buffer: &mut Buffer, area: Rect, theme: &Theme) {
    let column = Rect {
        x: area.right(),
        width: 1,
        ..area
    };
    for row in 0..area.height {
        Pen::new(buffer, column, row).text(theme.pick("┊", ":"), theme.faint);
    }
}

/// Draws a cursor over a cell of a chart: what is drawn there stays, brighter.
pub(crate) fn draw_cursor(buffer: &mut Buffer, area: Rect, cell: u16, theme: &Theme) {
    let area = area.intersection(buffer.area);
    let x = area.x + cell;
    if x >= area.right() {
        return;
    }
    for y in area.top()..area.bottom() {
        let Some(at) = buffer.cell_mut((x, y)) else {
            continue;
        };
        match at.symbol() {
            " " => at.set_symbol(theme.pick("│", "|")).set_style(theme.key),
            _ => at.set_style(theme.title),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_share_the_span_and_what_is_beside_counts_to_the_ends() {
        let plot = Plot {
            area: Rect::new(5, 2, 10, 3),
            window: Window {
                from: UnixMs(1000),
                to: UnixMs(2000),
            },
        };
        assert_eq!([4, 5, 14, 99].map(|column| plot.cell(column)), [0, 0, 9, 9]);
        for cell in 0..10 {
            assert_eq!(plot.cell_of(plot.middle(cell)), cell);
            assert_eq!(plot.moments(cell).to, plot.moments(cell + 1).from);
        }
        assert_eq!(plot.cell_of(UnixMs(0)), 0);
        assert_eq!(plot.cell_of(UnixMs(9000)), 9);
    }
}
