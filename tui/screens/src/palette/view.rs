//! The list of commands, above the prompt.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::Entry;
use crate::context::Context;
use crate::format::fit;
use crate::widgets::paint::{Pen, fill, note};

/// Lines it has at most, with the one that parts it from the screen behind.
const LINES_MAX: u16 = 10;

const WIDTH_MAX: u16 = 90;

/// Cells of names; longer ones, those of hosts, leave less for the explanation.
const NAME_WIDTH: usize = 16;

const RULE_FROM: u16 = 6;

pub(crate) fn draw(
    entries: &[Entry],
    chosen: usize,
    context: &Context,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let rule = u16::from(area.height >= RULE_FROM);
    let room = area.height.min(LINES_MAX).saturating_sub(rule);
    let rows = room.min(entries.len().max(1) as u16);
    let height = rows + rule;
    let list = Rect {
        y: area.bottom().saturating_sub(height),
        height,
        ..area
    };
    // The whole width is cleared.
    fill(buffer, list, theme.text);
    if rule > 0 {
        let line = theme.pick("─", "-").repeat(usize::from(list.width));
        Pen::new(buffer, list, 0).text(&line, theme.dim);
    }
    let list = Rect {
        width: list.width.min(WIDTH_MAX),
        ..list
    };
    if entries.is_empty() {
        note(buffer, list, rule, "no matching command", theme.dim);
        return;
    }
    let chosen = chosen.min(entries.len() - 1);
    let top = (chosen + 1).saturating_sub(usize::from(rows));
    let shown = entries.iter().enumerate().skip(top);
    for (row, (at, entry)) in shown.take(usize::from(rows)).enumerate() {
        let line = Rect {
            y: list.y + rule + row as u16,
            height: 1,
            ..list
        };
        let is_chosen = at == chosen;
        if is_chosen {
            fill(buffer, line, theme.selected);
        }
        let on = |style: Style| if is_chosen { theme.selected } else { style };
        let mut pen = Pen::new(buffer, line, 0);
        let mark = theme.mark(is_chosen);
        pen.text(mark, on(theme.key)).skip(1);
        let name = fit(&entry.text, NAME_WIDTH.max(entry.text.width()));
        pen.text(&name, on(theme.text)).skip(2);
        let keys = entry.keys.width() + 1;
        let help = pen.room().saturating_sub(keys + 1);
        // Where there is no room for both, the explanation says more than the keys.
        if help >= entry.help.width() {
            pen.text(&fit(&entry.help, help), on(theme.dim)).skip(1);
            pen.text(&entry.keys, on(theme.key));
        } else {
            pen.text(&entry.help, on(theme.dim));
        }
    }
}
