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
use crate::widgets::plot::Plot;
use crate::widgets::section::{Section, Spans};

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
    let axis = |part: Rect| Rect {
        y: part.bottom(),
        height: 1,
        ..part
    };
    let (cpu, net, list) = parts(area);
    about.cpu(cpu, false, buffer);
    about.axis(axis(cpu), buffer);
    if let Some(net) = net {
        about.pair(Pair::Net, net, false, buffer);
        about.axis(axis(net), buffer);
    }
    about.processes(&preview.processes, (0, None), list, false, buffer);
}

/// Two charts, or one where there is no room for them, and the processes.
fn parts(area: Rect) -> (Rect, Option<Rect>, Rect) {
    let right = PROCESSES_WIDTH.min(area.width / 2);
    let left = area.width.saturating_sub(right + BETWEEN);
    let charts = if area.width >= TWO_CHARTS_FROM { 2 } else { 1 };
    let width = (left - (charts - 1) * BETWEEN) / charts;
    let part = |number: u16| Rect {
        x: area.x + number * (width + BETWEEN),
        width,
        height: area.height.saturating_sub(1),
        ..area
    };
    let list = Rect {
        x: area.right() - right,
        width: right,
        ..area
    };
    (part(0), (charts == 2).then(|| part(1)), list)
}

/// The charts that are drawn, in the panel or as a column.
pub(super) fn plots(
    preview: &Preview,
    state: HostState,
    context: &Context,
    area: Rect,
    is_column: bool,
) -> Vec<Plot> {
    let about = About::new(context, &preview.host, Some(state));
    let charts = match is_column {
        true => {
            let column = Column::new(&about, state, area);
            vec![column.cpu, column.net, column.disk]
        }
        false => {
            let (cpu, net, _) = parts(area);
            std::iter::once(cpu).chain(net).collect()
        }
    };
    let plots = charts.into_iter().map(|area| about.plot_of(area));
    plots.flatten().collect()
}

/// Where the parts of a column are.
struct Column {
    lines: Vec<Spans>,
    cpu: Rect,
    memory: Rect,
    net: Rect,
    disk: Rect,
    axis: Rect,
    filesystems: Rect,
    processes: Rect,
}

impl Column {
    fn new(about: &About<'_>, state: HostState, area: Rect) -> Self {
        let lines = state_line::of(about, state);
        let mut y = area.y + 1 + lines.len() as u16;
        let height = area.bottom().saturating_sub(y);
        // A rule each, two lines of memory, and one of time.
        let lists = height * 2 / 5;
        let fs = (about.usages().len() as u16 + 1).min(lists / 2);
        let charts = (height - lists).saturating_sub(3 + 1);
        let cpu = charts * 2 / 5;
        let pair = (charts - cpu) / 2;
        let mut take = |height: u16| {
            let part = Rect { y, height, ..area };
            y += height;
            part
        };
        Self {
            lines,
            cpu: take(cpu),
            memory: take(3),
            net: take(pair),
            disk: take(charts - cpu - pair),
            axis: take(1),
            filesystems: take(fs),
            processes: take(lists - fs),
        }
    }
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
    let column = Column::new(&about, state, area);
    for (row, line) in (1..).zip(&column.lines) {
        Pen::new(buffer, area, row).spans(line);
    }
    if preview.host.newest().is_none() {
        let y = column.cpu.y;
        let rest = Rect {
            y,
            height: area.bottom().saturating_sub(y),
            ..area
        };
        empty(preview, &about, rest, buffer);
        return;
    }
    about.cpu(column.cpu, false, buffer);
    about.memory(column.memory, false, buffer);
    about.pair(Pair::Net, column.net, false, buffer);
    about.pair(Pair::Disk, column.disk, false, buffer);
    about.axis(column.axis, buffer);
    about.filesystems(&about.usages(), column.filesystems, false, buffer);
    let all = &preview.processes;
    about.processes(all, (0, None), column.processes, false, buffer);
}
