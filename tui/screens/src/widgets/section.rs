//! The rule above a section, with its title and key figures in it.
//!
//! ```text
//! ─ CPU 97% ── max 100 avg 67 ──────────────── 15 m ─
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::paint::Pen;
use crate::theme::Theme;

/// Parts of a text, each with its style.
pub(crate) type Spans = Vec<(String, Style)>;

/// Crumbs of a rule that are shorter than this are blank.
const CRUMB: usize = 5;

pub(crate) fn width(spans: &[(String, Style)]) -> usize {
    spans.iter().map(|(text, _)| text.width()).sum()
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    pub(crate) title: Spans,
    /// Leave from the right where there is no room.
    details: Vec<Spans>,
    /// At the right end; leaves after the details.
    right: Spans,
}

impl Section {
    pub(crate) fn new(theme: &Theme, title: &str) -> Self {
        Self {
            title: vec![(title.to_owned(), theme.title)],
            ..Self::default()
        }
    }

    /// The title's key figure.
    pub(crate) fn key(mut self, text: impl Into<String>, style: Style) -> Self {
        self.title.push((" ".to_owned(), style));
        self.title.push((text.into(), style));
        self
    }

    /// Parts that follow the title without a space.
    pub(crate) fn then(mut self, spans: Spans) -> Self {
        self.title.extend(spans);
        self
    }

    pub(crate) fn detail(mut self, spans: Spans) -> Self {
        if !spans.is_empty() {
            self.details.push(spans);
        }
        self
    }

    pub(crate) fn right(mut self, spans: Spans) -> Self {
        self.right = spans;
        self
    }

    /// The same with its right end at the edge: the heads of columns stand over their numbers.
    pub(crate) fn draw_to_edge(&self, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let wider = Rect {
            width: area.width + 2,
            ..area
        };
        self.draw(theme, wider, buffer);
        let edge = Rect {
            x: area.right(),
            width: 2,
            height: area.height.min(1),
            ..area
        };
        Pen::new(buffer, edge, 0).text("  ", Style::new());
    }

    /// Draws it in the first line of an area.
    pub(crate) fn draw(&self, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let line = theme.pick("─", "-");
        let room = usize::from(area.width);
        let mut pen = Pen::new(buffer, area, 0);
        let mut used = 3 + width(&self.title);
        pen.text(line, theme.rule).text(" ", theme.rule);
        pen.spans(&self.title).text(" ", theme.rule);
        let right = match width(&self.right) {
            0 => 0,
            right => right + 3,
        };
        let right = if used + right <= room { right } else { 0 };
        for detail in &self.details {
            let needed = width(detail) + 4;
            if used + needed + right > room {
                break;
            }
            pen.text(&line.repeat(2), theme.rule).text(" ", theme.rule);
            pen.spans(detail).text(" ", theme.rule);
            used += needed;
        }
        let rest = room.saturating_sub(used + right);
        let crumbs = if rest >= CRUMB || right == 0 {
            line.repeat(rest)
        } else {
            " ".repeat(rest)
        };
        pen.text(&crumbs, theme.rule);
        if right > 0 {
            pen.text(" ", theme.rule).spans(&self.right);
            pen.text(" ", theme.rule).text(line, theme.rule);
        }
    }
}

/// The rule at the top of a screen, inside its margins: a title and what is said of it.
pub(crate) fn headline(
    theme: &Theme,
    area: Rect,
    title: &str,
    details: &[&str],
    buffer: &mut Buffer,
) {
    let inner = Rect {
        x: area.x + area.width.min(1),
        width: area.width.saturating_sub(2),
        ..area
    };
    let details = details.iter().filter(|detail| !detail.is_empty());
    details
        .fold(Section::new(theme, title), |section, detail| {
            section.detail(vec![((*detail).to_owned(), theme.dim)])
        })
        .draw(theme, inner, buffer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::colours::Colours;
    use crate::text::plain;
    use crate::theme::ThemeName;

    fn drawn(width: u16) -> String {
        let theme = Theme::new(ThemeName::Dark, false, Colours::True);
        let area = Rect::new(0, 0, width, 1);
        let mut buffer = Buffer::empty(area);
        Section::new(&theme, "CPU")
            .key("97%", theme.title)
            .detail(vec![("max 100".to_owned(), theme.dim)])
            .detail(vec![("avg 67".to_owned(), theme.dim)])
            .right(vec![("15 m".to_owned(), theme.dim)])
            .draw(&theme, area, &mut buffer);
        plain(&buffer).trim_end().to_owned()
    }

    #[test]
    fn details_leave_before_the_span_and_the_title_stays() {
        assert_eq!(drawn(46), "─ CPU 97% ── max 100 ── avg 67 ──────── 15 m ─");
        assert_eq!(drawn(30), "─ CPU 97% ── max 100    15 m ─");
        assert_eq!(drawn(20), "─ CPU 97%     15 m ─");
        assert_eq!(drawn(14), "─ CPU 97% ────");
        assert_eq!(drawn(7), "─ CPU 9");
    }
}
