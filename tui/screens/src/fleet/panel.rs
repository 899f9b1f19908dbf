//! The selected host: below the table its last minutes, on wide screens beside it all of it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_wire::message::HostState;
use unicode_width::UnicodeWidthStr;

use super::preview::Preview;
use crate::context::Context;
use crate::sections::state_line;
use crate::sections::{About, Pair};
use crate::widgets::paint::Pen;
use crate::widgets::section::Section;

pub(super) const ROWS: u16 = 8;

const PROCESSES_WIDTH: u16 = 44;

const TWO_CHARTS_FROM: u16 = 110;

const BETWEEN: u16 = 2;

pub(super) fn draw(
    preview: &Preview,
    state: HostState,
    context: &Context,
    area: Rect,
    buffer: &mut Buffer,
) {
    let mut about = About::new(context, &preview.host, Some(state));
    about.is_named = true;
    if preview.host.newest().is_none() {
        empty(preview, &about, area, buffer);
        return;
    }
    let right = PROCESSES_WIDTH.min(area.width / 2);
    let left = area.width - right - BETWEEN;
    let charts = if area.width >= TWO_CHARTS_FROM { 2 } else { 1 };
    let width = (left - (charts - 1) * BETWEEN) / charts;
    let part = |number: u16| Rect {
        x: area.x + number * (width + BETWEEN),
        width,
        height: area.height.saturating_sub(1),
        ..area
    };
    let axis = |part: Rect| Rect {
        y: part.bottom(),
        height: 1,
        ..part
    };
    about.cpu(part(0), false, buffer);
    about.axis(axis(part(0)), buffer);
    if charts == 2 {
        about.pair(Pair::Net, part(1), false, buffer);
        about.axis(axis(part(1)), buffer);
    }
    let list = Rect {
        x: area.right() - right,
        width: right,
        ..area
    };
    about.processes(&preview.processes, (0, None), list, false, buffer);
}

fn empty(preview: &Preview, about: &About<'_>, area: Rect, buffer: &mut Buffer) {
    let theme = &about.theme;
    Section::new(theme, preview.host.name.as_str()).draw(theme, area, buffer);
    let text = match preview.host.complete {
        true => "no samples in these minutes",
        false => "loading",
    };
    Pen::new(buffer, area, 1).text(text, theme.dim);
}

/// All of the host in one column: charts, then its filesystems and processes.
pub(super) fn draw_column(
    preview: &Preview,
    state: HostState,
    context: &Context,
    area: Rect,
    buffer: &mut Buffer,
) {
    let about = About::new(context, &preview.host, Some(state));
    let theme = &about.theme;
    let facts = about.facts();
    let dot = theme.pick(" · ", " | ");
    let name = preview.host.name.as_str();
    let room = usize::from(area.width).saturating_sub(name.width() + 10);
    let mut text = String::new();
    for fact in facts {
        let next = if text.is_empty() {
            fact
        } else {
            format!("{dot}{fact}")
        };
        if text.width() + next.width() > room {
            break;
        }
        text.push_str(&next);
    }
    Section::new(theme, name)
        .detail(vec![(text, theme.dim)])
        .draw(theme, area, buffer);
    let mut y = area.y + 1;
    for line in state_line::of(&about, state) {
        let row = Rect {
            y,
            height: 1,
            ..area
        };
        Pen::new(buffer, row, 0).spans(&line);
        y += 1;
    }
    if preview.host.newest().is_none() {
        let rest = Rect {
            y,
            height: area.bottom().saturating_sub(y),
            ..area
        };
        empty(preview, &about, rest, buffer);
        return;
    }
    let usages = about.usages();
    let height = area.bottom().saturating_sub(y);
    // A rule each, two lines of memory, and one of time.
    let lists = height * 2 / 5;
    let fs = (usages.len() as u16 + 1).min(lists / 2);
    let charts = height - lists - 3 - 1;
    let cpu = charts * 2 / 5;
    let pair = (charts - cpu) / 2;
    let mut take = |height: u16| {
        let part = Rect { y, height, ..area };
        y += height;
        part
    };
    about.cpu(take(cpu), false, buffer);
    about.memory(take(3), false, buffer);
    about.pair(Pair::Net, take(pair), false, buffer);
    about.pair(Pair::Disk, take(charts - cpu - pair), false, buffer);
    about.axis(take(1), buffer);
    about.filesystems(&usages, take(fs), false, buffer);
    let rest = take(lists - fs);
    about.processes(&preview.processes, (0, None), rest, false, buffer);
}
