//! The columns of the table of hosts: which ones fit, their headings, and what they sort by.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::Column;
use unicode_width::UnicodeWidthStr;

use super::state::{Fleet, Row, Sort};
use crate::context::Context;
use crate::format::{amount, fit};
use crate::model::summary::{
    CPU, FILESYSTEM, LOAD, MEMORY, READ, RECEIVED, TEMPERATURE, TRANSMITTED, WRITTEN,
};
use crate::widgets::paint::Pen;

/// What the cells of a column show; values are places in the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Uptime,
    CpuLine,
    NetLine,
    Bar(usize),
    Number(usize),
}

impl Content {
    /// The value that a click on the heading sorts by.
    const fn place(self) -> Option<usize> {
        match self {
            Self::Uptime => None,
            Self::CpuLine => Some(CPU),
            Self::NetLine => Some(RECEIVED),
            Self::Bar(place) | Self::Number(place) => Some(place),
        }
    }

    const fn is_line(self) -> bool {
        matches!(self, Self::CpuLine | Self::NetLine)
    }
}

pub(super) struct Spec {
    pub(super) content: Content,
    /// Cells; a line of history takes what is left too.
    width: usize,
    /// The turn in which a narrow terminal hides it, from 1; 0 stays.
    hidden: usize,
    /// With symbols, and in ASCII.
    heading: (&'static str, &'static str),
    pub(super) help: &'static str,
}

/// A row for each column: content, width, turn in which it is hidden, heading, and its line in the list of columns.
#[rustfmt::skip]
pub(super) const fn spec(column: Column) -> Spec {
    use Content::{Bar, CpuLine, NetLine, Number, Uptime};
    const fn row(content: Content, width: usize, hidden: usize, heading: (&'static str, &'static str), help: &'static str) -> Spec {
        Spec { content, width, hidden, heading, help }
    }
    match column {
        Column::Up => row(Uptime, 4, 4, ("UP", "UP"), "since it was started"),
        Column::CpuLine => row(CpuLine, 10, 11, ("CPU", "CPU"), "processors, last minutes"),
        Column::Cpu => row(Number(CPU), 3, 0, ("CPU", "CPU"), "processors in use"),
        Column::MemoryBar => row(Bar(MEMORY), 8, 5, ("MEM", "MEM"), "memory in use, a bar"),
        Column::Memory => row(Number(MEMORY), 3, 0, ("MEM", "MEM"), "memory in use"),
        Column::Load => row(Number(LOAD), 4, 10, ("LOAD", "LOAD"), "load, one minute"),
        Column::NetLine => row(NetLine, 10, 6, ("↓", "rx"), "received, last minutes"),
        Column::Received => row(Number(RECEIVED), 4, 8, ("↓/s", "rx/s"), "received a second"),
        Column::Transmitted => row(Number(TRANSMITTED), 4, 7, ("↑/s", "tx/s"), "transmitted a second"),
        Column::Read => row(Number(READ), 4, 2, ("READ", "READ"), "read from disks a second"),
        Column::Written => row(Number(WRITTEN), 5, 3, ("WRITE", "WRITE"), "written to disks a second"),
        Column::Filesystem => row(Number(FILESYSTEM), 3, 9, ("FS", "FS"), "fullest filesystem"),
        Column::Temperature => row(Number(TEMPERATURE), 3, 1, ("°C", "C"), "hottest sensor"),
    }
}

pub(super) const GAP: usize = 2;

pub(super) const SIGN: usize = 3;

pub(super) const FOLD: usize = 2;

/// A line of history is not wider than the history that is requested.
const LINE_MAX: usize = 48;

pub(super) struct Layout {
    pub(super) name: usize,
    pub(super) columns: Vec<(Column, usize)>,
}

pub(super) fn layout(chosen: &[Column], width: usize, longest_name: usize) -> Layout {
    let name = longest_name
        .clamp(4, 20)
        .min(width.saturating_sub(SIGN + 10).max(4));
    let mut columns: Vec<_> = chosen
        .iter()
        .map(|column| (*column, spec(*column).width))
        .collect();
    let taken = |columns: &[(Column, usize)]| {
        SIGN + name + columns.iter().map(|(_, width)| width + GAP).sum::<usize>() + 1
    };
    for turn in 1..=Column::ALL.len() {
        if taken(&columns) <= width {
            break;
        }
        columns.retain(|(cell, _)| spec(*cell).hidden != turn);
    }
    let is_line = |cell: &Column| spec(*cell).content.is_line();
    let lines = columns
        .iter()
        .filter(|(cell, _)| is_line(cell))
        .count()
        .max(1);
    let spare = width.saturating_sub(taken(&columns)) / lines;
    for (_, width) in columns.iter_mut().filter(|(cell, _)| is_line(cell)) {
        *width = (*width + spare).min(LINE_MAX);
    }
    Layout { name, columns }
}

fn sort_of(column: Column) -> Option<Sort> {
    spec(column).content.place().map(Sort::Value)
}

pub(super) fn layout_of(fleet: &Fleet, width: u16) -> Layout {
    let widths = fleet.rows().map(|row| match row {
        Row::Host(host) => host.line.name.as_str().width(),
        Row::Group(group) => group.name().width() + FOLD,
    });
    let longest = widths.max().unwrap_or(0);
    layout(&fleet.columns, usize::from(width), longest)
}

pub(super) fn shows(fleet: &Fleet, width: u16, sort: Sort) -> bool {
    let layout = layout_of(fleet, width);
    let mut columns = layout.columns.iter();
    !matches!(sort, Sort::Value(_)) || columns.any(|(column, _)| sort_of(*column) == Some(sort))
}

pub(super) fn sort_at(fleet: &Fleet, width: u16, x: u16) -> Option<Sort> {
    let x = usize::from(x);
    let layout = layout_of(fleet, width);
    let mut end = SIGN + layout.name;
    if x < end {
        return Some(Sort::Name);
    }
    for (cell, width) in &layout.columns {
        end += GAP + width;
        if x < end {
            return sort_of(*cell);
        }
    }
    None
}

pub(super) fn draw_headings(
    fleet: &Fleet,
    context: &Context,
    layout: &Layout,
    net_scale: i64,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let mut pen = Pen::new(buffer, area, 0);
    let style = |sorted: bool| if sorted { theme.title } else { theme.dim };
    let sort = fleet.sort;
    // The order by severity is shown at the signs.
    let worst = (sort == Sort::Worst).then(|| theme.pick("▲", "#"));
    pen.skip(1)
        .text(worst.unwrap_or(" "), theme.dim)
        .skip(SIGN - 2)
        .text(&fit("HOST", layout.name), style(sort == Sort::Name));
    let mut before = None;
    for (column, width) in &layout.columns {
        let Spec {
            content, heading, ..
        } = spec(*column);
        let heading = theme.pick(heading.0, heading.1);
        let title = match content {
            Content::CpuLine => {
                let span = line_span(*width, fleet.spark_step_ms());
                let long = format!("{heading} last {span}");
                either(long, format!("{heading} {span}"), *width)
            }
            Content::NetLine => {
                let top = amount(Some(net_scale as f64));
                let long = format!("NET {heading} to {top}");
                either(long, format!("{heading} to {top}"), *width)
            }
            // The picture of the same value has the name.
            Content::Number(CPU) if before == Some(Content::CpuLine) => "%".to_owned(),
            Content::Number(place) if before == Some(Content::Bar(place)) => "%".to_owned(),
            _ => heading.to_owned(),
        };
        before = Some(content);
        pen.skip(GAP);
        if content.is_line() || matches!(content, Content::Bar(_)) {
            pen.text(&fit(&title, *width), theme.dim);
        } else {
            let title = fit(&title, title.width().min(*width));
            pen.right(&title, *width, style(sort_of(*column) == Some(sort)));
        }
    }
}

fn either(long: String, short: String, width: usize) -> String {
    if long.width() <= width { long } else { short }
}

fn line_span(cells: usize, step_ms: i64) -> String {
    let seconds = cells as i64 * step_ms / 1000;
    if step_ms >= 3_600_000 {
        return format!("{} h", seconds / 3_600);
    }
    if seconds % 60 == 0 || seconds > 180 {
        format!("{} min", seconds / 60)
    } else {
        format!("{seconds} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_leave_in_their_order_and_never_stand_past_the_edge() {
        let mut before = usize::MAX;
        for width in (20..=200).rev() {
            let layout = layout(&Column::all(), width, 8);
            let taken: usize = layout.columns.iter().map(|(_, w)| w + GAP).sum();
            assert!(SIGN + layout.name + taken <= width.max(24), "{width}");
            assert!(layout.columns.len() <= before);
            before = layout.columns.len();
        }
        let cells: Vec<_> = layout(&Column::all(), 20, 8)
            .columns
            .iter()
            .map(|(cell, _)| *cell)
            .collect();
        assert_eq!(cells, [Column::Cpu, Column::Memory]);
        assert_eq!(
            layout(&Column::all(), 160, 8).columns.len(),
            Column::ALL.len()
        );
    }
}
