//! The list of columns to choose from, over the table of hosts.

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use sysmon_config::Column;

use super::columns::spec;
use super::state::Fleet;
use crate::context::Context;
use crate::format::fit;
use crate::layout::body;
use crate::widgets::paint::{Pen, fill, frame};

const WIDTH: u16 = 46;
const NAME_WIDTH: usize = 11;

const FRAME_FROM: u16 = 7;

/// The area of the list: at the right, below the headings.
fn place(body: Rect) -> Rect {
    if body.height < FRAME_FROM {
        return body;
    }
    let width = WIDTH.min(body.width);
    let height = (Column::ALL.len() as u16 + 2).min(body.height.saturating_sub(1));
    Rect {
        x: body.right() - width,
        y: body.y + body.height.min(1),
        width,
        height,
    }
}

fn top(fleet: &Fleet, rows: u16) -> usize {
    (fleet.chosen + 1).saturating_sub(usize::from(rows))
}

fn inside(body: Rect) -> Rect {
    let area = place(body);
    if body.height < FRAME_FROM {
        return area;
    }
    Rect {
        x: area.x + area.width.min(1),
        y: area.y + area.height.min(1),
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(2),
    }
}

pub(super) fn column_at(fleet: &Fleet, size: Size, x: u16, y: u16) -> Option<usize> {
    let list = inside(body(size));
    let row = y.checked_sub(list.y).filter(|row| *row < list.height)?;
    let at = top(fleet, list.height) + usize::from(row);
    let is_inside = (list.x..list.right()).contains(&x);
    (is_inside && at < Column::ALL.len()).then_some(at)
}

pub(super) fn draw(fleet: &Fleet, context: &Context, body: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let area = place(body);
    fill(buffer, area, theme.text);
    if body.height >= FRAME_FROM {
        frame(buffer, area, "COLUMNS", theme);
    }
    let list = inside(body);
    let columns = Column::ALL.iter().enumerate();
    let shown = columns.skip(top(fleet, list.height));
    for (row, (at, (name, column))) in (0..list.height).zip(shown) {
        let line = Rect {
            y: list.y + row,
            height: 1,
            ..list
        };
        let is_chosen = at == fleet.chosen;
        if is_chosen {
            fill(buffer, line, theme.selected);
        }
        let on = |style| if is_chosen { theme.selected } else { style };
        let is_shown = fleet.columns.contains(column);
        let mark = if is_shown {
            theme.pick("✓", "x")
        } else {
            " "
        };
        Pen::new(buffer, line, 0)
            .skip(1)
            .text(&fit(mark, 1), on(theme.key))
            .skip(1)
            .text(&fit(name, NAME_WIDTH), on(theme.text))
            .skip(1)
            .text(spec(*column).1, on(theme.dim));
    }
}
