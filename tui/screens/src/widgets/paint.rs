//! Putting text into cells.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::theme::Theme;

/// Writes along one line, from left to right, never past its end.
#[derive(Debug)]
pub(crate) struct Pen<'a> {
    buffer: &'a mut Buffer,
    x: u16,
    y: u16,
    end: u16,
}

impl<'a> Pen<'a> {
    /// Begins at the left of `area`'s line `row`; one below the area, or below the screen, writes nothing.
    pub(crate) fn new(buffer: &'a mut Buffer, area: Rect, row: u16) -> Self {
        let y = area.y.saturating_add(row);
        let rows = buffer.area.top()..buffer.area.bottom();
        let inside = row < area.height && rows.contains(&y);
        let end = if inside {
            area.right().min(buffer.area.right())
        } else {
            area.x
        };
        Self {
            buffer,
            x: area.x,
            y,
            end,
        }
    }

    pub(crate) fn text(&mut self, text: &str, style: Style) -> &mut Self {
        let room = usize::from(self.end.saturating_sub(self.x));
        if room > 0 {
            (self.x, _) = self.buffer.set_stringn(self.x, self.y, text, room, style);
        }
        self
    }

    pub(crate) fn spans(&mut self, spans: &[(String, Style)]) -> &mut Self {
        for (text, style) in spans {
            self.text(text, *style);
        }
        self
    }

    pub(crate) fn skip(&mut self, cells: usize) -> &mut Self {
        self.x = self.x.saturating_add(cells as u16).min(self.end);
        self
    }

    /// Writes a text so that it ends `width` cells from here.
    pub(crate) fn right(&mut self, text: &str, width: usize, style: Style) -> &mut Self {
        let cells = text.width();
        self.skip(width.saturating_sub(cells)).text(text, style)
    }

    /// Goes to a column counted from the left end of the screen.
    pub(crate) fn to(&mut self, x: u16) -> &mut Self {
        self.x = x.min(self.end);
        self
    }

    pub(crate) fn x(&self) -> u16 {
        self.x
    }

    pub(crate) fn room(&self) -> usize {
        usize::from(self.end.saturating_sub(self.x))
    }
}

/// Writes a line of text where rows of a list begin.
pub(crate) fn note(buffer: &mut Buffer, area: Rect, row: u16, text: &str, style: Style) {
    Pen::new(buffer, area, row).skip(3).text(text, style);
}

pub(crate) fn fill(buffer: &mut Buffer, area: Rect, style: Style) {
    let area = area.intersection(buffer.area);
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            if let Some(cell) = buffer.cell_mut((x, y)) {
                cell.reset();
                cell.set_char(' ').set_style(style);
            }
        }
    }
}

pub(crate) fn frame(buffer: &mut Buffer, area: Rect, title: &str, theme: &Theme) {
    let (Some(across), Some(below)) = (area.width.checked_sub(2), area.height.checked_sub(1))
    else {
        return;
    };
    let (flat, side) = (theme.pick("─", "-"), theme.pick("│", "|"));
    let line = flat.repeat(usize::from(across));
    let corners = |left: &str, right: &str| format!("{left}{line}{right}");
    let top = corners(theme.pick("╭", "+"), theme.pick("╮", "+"));
    let bottom = corners(theme.pick("╰", "+"), theme.pick("╯", "+"));
    for row in 1..below {
        let mut pen = Pen::new(buffer, area, row);
        pen.text(side, theme.dim)
            .skip(usize::from(across))
            .text(side, theme.dim);
    }
    Pen::new(buffer, area, below).text(&bottom, theme.dim);
    Pen::new(buffer, area, 0).text(&top, theme.dim);
    if usize::from(across) > title.width() + 4 {
        Pen::new(buffer, area, 0)
            .skip(2)
            .text(&format!(" {title} "), theme.title);
    }
}

/// Says at the right end of the first and last of some rows that there are more above or below.
pub(crate) fn more(buffer: &mut Buffer, rows: Rect, above: bool, below: bool, theme: &Theme) {
    let edge = rows.right().saturating_sub(1);
    let last = rows.height.saturating_sub(1);
    let signs = [
        (above, 0, theme.pick("↑", "^")),
        (below, last, theme.pick("↓", "v")),
    ];
    for (is_more, row, sign) in signs {
        // A value in that cell is more important.
        let cell = buffer.cell((edge, rows.y.saturating_add(row)));
        if is_more && cell.is_some_and(|cell| cell.symbol() == " ") {
            Pen::new(buffer, rows, row).to(edge).text(sign, theme.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pen_stays_inside() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 5, 1));
        Pen::new(&mut buffer, Rect::new(0, 0, 5, 1), 0)
            .text("abc", Style::new())
            .text("def", Style::new());
        Pen::new(&mut buffer, Rect::new(0, 0, 5, 1), 3).text("xyz", Style::new());
        // An area may be larger than the screen.
        Pen::new(&mut buffer, Rect::new(0, 0, 9, 9), 4).text("xyz", Style::new());
        Pen::new(&mut buffer, Rect::new(7, 0, 9, 9), 0).text("xyz", Style::new());
        assert_eq!(buffer, Buffer::with_lines(["abcde"]));
    }
}
