//! The columns of the table of hosts: which there is room for, their headings, and what they sort by.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::paint::Pen;
use crate::format::{amount, fit};
use crate::state::State;
use crate::state::fleet::{
    CPU, FILESYSTEM, LOAD, MEMORY, READ, RECEIVED, Sort, TEMPERATURE, TRANSMITTED, WRITTEN,
};

/// What a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Up,
    CpuLine,
    Cpu,
    MemoryBar,
    Memory,
    Load,
    NetLine,
    Received,
    Transmitted,
    Read,
    Written,
    Filesystem,
    Temperature,
}

/// The columns in the order they stand, with their width; lines take what is left besides.
const COLUMNS: [(Cell, usize); 13] = [
    (Cell::Up, 4),
    (Cell::CpuLine, 10),
    (Cell::Cpu, 3),
    (Cell::MemoryBar, 8),
    (Cell::Memory, 3),
    (Cell::Load, 4),
    (Cell::NetLine, 10),
    (Cell::Received, 4),
    (Cell::Transmitted, 4),
    (Cell::Read, 4),
    (Cell::Written, 4),
    (Cell::Filesystem, 3),
    (Cell::Temperature, 3),
];

/// The order in which columns leave a screen that is too narrow; name, state, CPU and memory stay.
const LEAVING: [Cell; 11] = [
    Cell::Temperature,
    Cell::Read,
    Cell::Written,
    Cell::Up,
    Cell::MemoryBar,
    Cell::NetLine,
    Cell::Transmitted,
    Cell::Received,
    Cell::Filesystem,
    Cell::Load,
    Cell::CpuLine,
];

/// Cells between columns.
pub(super) const GAP: usize = 2;

/// Cells of the sign before a host's name.
pub const SIGN: usize = 3;

/// A line of history is not wider than the history that is asked for.
const LINE_MAX: usize = 48;

/// Where things stand in the table.
pub(super) struct Layout {
    pub(super) name: usize,
    pub(super) columns: Vec<(Cell, usize)>,
}

pub(super) fn layout(width: usize, longest_name: usize) -> Layout {
    let name = longest_name
        .clamp(4, 20)
        .min(width.saturating_sub(SIGN + 10).max(4));
    let mut columns = COLUMNS.to_vec();
    let taken = |columns: &[(Cell, usize)]| {
        SIGN + name + columns.iter().map(|(_, width)| width + GAP).sum::<usize>() + 1
    };
    for leaving in LEAVING {
        if taken(&columns) <= width {
            break;
        }
        columns.retain(|(cell, _)| *cell != leaving);
    }
    let is_line = |cell: &Cell| matches!(cell, Cell::CpuLine | Cell::NetLine);
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

impl Cell {
    /// What a click on its heading sorts by.
    fn sort(self) -> Option<Sort> {
        Some(Sort::Value(match self {
            Self::Up => return None,
            Self::CpuLine | Self::Cpu => CPU,
            Self::MemoryBar | Self::Memory => MEMORY,
            Self::Load => LOAD,
            Self::NetLine | Self::Received => RECEIVED,
            Self::Transmitted => TRANSMITTED,
            Self::Read => READ,
            Self::Written => WRITTEN,
            Self::Filesystem => FILESYSTEM,
            Self::Temperature => TEMPERATURE,
        }))
    }
}

/// The layout on a screen of this width, for the names that are shown.
pub(super) fn layout_of(state: &State, width: u16) -> Layout {
    let names = state.fleet.shown().map(|host| host.line.name.as_str());
    layout(
        usize::from(width),
        names.map(UnicodeWidthStr::width).max().unwrap_or(0),
    )
}

/// What the heading at this place across the screen sorts by.
pub fn sort_at(state: &State, x: u16) -> Option<Sort> {
    let x = usize::from(x);
    let layout = layout_of(state, state.size.width);
    let mut end = SIGN + layout.name;
    if x < end {
        return Some(Sort::Name);
    }
    for (cell, width) in &layout.columns {
        end += GAP + width;
        if x < end {
            return cell.sort();
        }
    }
    None
}

pub(super) fn draw_headings(
    state: &State,
    layout: &Layout,
    net_scale: i64,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &state.theme;
    let mut pen = Pen::new(buffer, area, 0);
    let style = |sorted: bool| if sorted { theme.title } else { theme.dim };
    let sort = state.fleet.sort;
    pen.skip(SIGN)
        .text(&fit("HOST", layout.name), style(sort == Sort::Name));
    for (cell, width) in &layout.columns {
        let (down, up) = (theme.pick("↓", "rx"), theme.pick("↑", "tx"));
        let title = match cell {
            Cell::Up => "UP".to_owned(),
            Cell::CpuLine => {
                let span = line_span(*width, state.fleet.spark_step_ms());
                either(format!("CPU last {span}"), format!("CPU {span}"), *width)
            }
            Cell::Cpu if has(layout, Cell::CpuLine) => "%".to_owned(),
            Cell::Cpu => "CPU".to_owned(),
            Cell::MemoryBar => "MEM".to_owned(),
            Cell::Memory if has(layout, Cell::MemoryBar) => "%".to_owned(),
            Cell::Memory => "MEM".to_owned(),
            Cell::Load => "LOAD".to_owned(),
            Cell::NetLine => {
                let top = amount(Some(net_scale as f64));
                either(
                    format!("NET {down} to {top}"),
                    format!("{down} to {top}"),
                    *width,
                )
            }
            Cell::Received => format!("{down}/s"),
            Cell::Transmitted => format!("{up}/s"),
            Cell::Read => "READ".to_owned(),
            Cell::Written => "WRIT".to_owned(),
            Cell::Filesystem => "FS".to_owned(),
            Cell::Temperature => theme.pick("°C", "C").to_owned(),
        };
        let is_wide = matches!(cell, Cell::CpuLine | Cell::NetLine | Cell::MemoryBar);
        let sorted = !is_wide && cell.sort() == Some(sort);
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

/// The long title where it fits, else the short one.
fn either(long: String, short: String, width: usize) -> String {
    if long.width() <= width { long } else { short }
}

fn has(layout: &Layout, cell: Cell) -> bool {
    layout.columns.iter().any(|(there, _)| *there == cell)
}

/// The time a line of this many cells stands for.
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
            let layout = layout(width, 8);
            let taken: usize = layout.columns.iter().map(|(_, w)| w + GAP).sum();
            assert!(SIGN + layout.name + taken <= width.max(24), "{width}");
            assert!(layout.columns.len() <= before);
            before = layout.columns.len();
        }
        let cells: Vec<_> = layout(20, 8)
            .columns
            .iter()
            .map(|(cell, _)| *cell)
            .collect();
        assert_eq!(cells, [Cell::Cpu, Cell::Memory]);
        assert_eq!(layout(160, 8).columns.len(), COLUMNS.len());
    }
}
