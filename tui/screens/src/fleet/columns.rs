//! The columns of the table of hosts: which ones fit, their headings, and what they sort by.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::Column;
use unicode_width::UnicodeWidthStr;

use super::state::{Fleet, Row, Sort};
use crate::context::Context;
use crate::format::{amount, degrees, fit, load, percent};
use crate::model::summary::{
    CPU, FILESYSTEM, LOAD, MEMORY, READ, RECEIVED, TEMPERATURE, TRANSMITTED, WRITTEN,
};
use crate::widgets::paint::Pen;

const fn cells(column: Column) -> usize {
    match column {
        Column::CpuLine | Column::NetLine => 10,
        Column::MemoryBar => 8,
        Column::Cpu | Column::Memory | Column::Filesystem | Column::Temperature => 3,
        Column::Written => 5,
        _ => 4,
    }
}

/// The order in which columns are hidden on a narrow screen; name, state, CPU and memory stay.
const LEAVING: [Column; 11] = [
    Column::Temperature,
    Column::Read,
    Column::Written,
    Column::Up,
    Column::MemoryBar,
    Column::NetLine,
    Column::Transmitted,
    Column::Received,
    Column::Filesystem,
    Column::Load,
    Column::CpuLine,
];

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
        .map(|column| (*column, cells(*column)))
        .collect();
    let taken = |columns: &[(Column, usize)]| {
        SIGN + name + columns.iter().map(|(_, width)| width + GAP).sum::<usize>() + 1
    };
    for leaving in LEAVING {
        if taken(&columns) <= width {
            break;
        }
        columns.retain(|(cell, _)| *cell != leaving);
    }
    let is_line = |cell: &Column| matches!(cell, Column::CpuLine | Column::NetLine);
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
    let column = match column {
        Column::Up => return None,
        Column::CpuLine => Column::Cpu,
        Column::MemoryBar => Column::Memory,
        Column::NetLine => Column::Received,
        other => other,
    };
    Some(Sort::Value(number(column).0))
}

/// The place of a column's value, and how it is written.
pub(super) fn number(column: Column) -> (usize, fn(Option<f64>) -> String) {
    match column {
        Column::Cpu => (CPU, percent),
        Column::Memory => (MEMORY, percent),
        Column::Load => (LOAD, load),
        Column::Received => (RECEIVED, amount),
        Column::Transmitted => (TRANSMITTED, amount),
        Column::Read => (READ, amount),
        Column::Written => (WRITTEN, amount),
        Column::Filesystem => (FILESYSTEM, percent),
        _ => (TEMPERATURE, degrees),
    }
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
    for (at, (cell, width)) in layout.columns.iter().enumerate() {
        let after = |graph: Column| {
            let before = at.checked_sub(1).and_then(|at| layout.columns.get(at));
            before.is_some_and(|(column, _)| *column == graph)
        };
        let (down, up) = (theme.pick("↓", "rx"), theme.pick("↑", "tx"));
        let title = match cell {
            Column::Up => "UP".to_owned(),
            Column::CpuLine => {
                let span = line_span(*width, fleet.spark_step_ms());
                either(format!("CPU last {span}"), format!("CPU {span}"), *width)
            }
            Column::Cpu if after(Column::CpuLine) => "%".to_owned(),
            Column::Cpu => "CPU".to_owned(),
            Column::MemoryBar => "MEM".to_owned(),
            Column::Memory if after(Column::MemoryBar) => "%".to_owned(),
            Column::Memory => "MEM".to_owned(),
            Column::Load => "LOAD".to_owned(),
            Column::NetLine => {
                let top = amount(Some(net_scale as f64));
                either(
                    format!("NET {down} to {top}"),
                    format!("{down} to {top}"),
                    *width,
                )
            }
            Column::Received => format!("{down}/s"),
            Column::Transmitted => format!("{up}/s"),
            Column::Read => "READ".to_owned(),
            Column::Written => "WRITE".to_owned(),
            Column::Filesystem => "FS".to_owned(),
            Column::Temperature => theme.pick("°C", "C").to_owned(),
        };
        let is_wide = matches!(cell, Column::CpuLine | Column::NetLine | Column::MemoryBar);
        let sorted = !is_wide && sort_of(*cell) == Some(sort);
        pen.skip(GAP);
        if is_wide {
            pen.text(&fit(&title, *width), style(sorted));
        } else {
            pen.right(
                &fit(&title, title.width().min(*width)),
                *width,
                style(sorted),
            );
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
