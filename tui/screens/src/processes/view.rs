//! The processes of one host.
//!
//! ```text
//!      PID  USER      S  THR   CPU%   MEM  READ WRITE  COMMAND
//!  ▌  4127  postgres  R    1  98.1  1.2G     0   41M  /usr/lib/postgresql/17/bin/postgres   db
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::Style;
use sysmon_config::time::format_clock;
use sysmon_wire::Process;

use super::arrange::Arrangement;
use super::state::Processes;
use crate::context::Context;
use crate::format::fit;
use crate::layout::{below, list_rows};
use crate::model::process::{NOT_STORED, ProcessSort, cpu_percent, memory, rate};
use crate::theme::{Severity, Theme};
use crate::widgets::command::command;
use crate::widgets::paint::{Pen, fill, more};

const LINES_ABOVE: u16 = 2;

pub(super) const FIRST_ROW: u16 = 1 + LINES_ABOVE;

/// Columns are hidden on screens narrower than this.
const WIDE: u16 = 90;
const MIDDLE: u16 = 60;

const DEPTH_MAX: u16 = 12;

const USER_WIDTH: usize = 10;

pub(super) fn rows(screen: Size) -> usize {
    list_rows(screen, LINES_ABOVE)
}

/// The columns, as their heading, width, and sort if they are sorted by.
const COLUMNS: [(&str, usize, Option<ProcessSort>, u16); 8] = [
    ("PID", 7, Some(ProcessSort::Pid), 0),
    ("USER", USER_WIDTH, None, MIDDLE),
    ("S", 1, None, WIDE),
    ("THR", 4, None, WIDE),
    ("CPU%", 5, Some(ProcessSort::Cpu), 0),
    ("MEM", 5, Some(ProcessSort::Memory), 0),
    ("READ", 5, Some(ProcessSort::Disk), MIDDLE),
    ("WRITE", 5, Some(ProcessSort::Disk), MIDDLE),
];

pub(super) fn draw(processes: &Processes, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let Some(time) = processes.time else {
        let text = if context.is_downsampled() {
            Pen::new(buffer, area, 0)
                .skip(1)
                .text("PROCESSES", theme.title);
            NOT_STORED
        } else {
            "Loading"
        };
        Pen::new(buffer, area, 1).skip(3).text(text, theme.dim);
        return;
    };
    let shown: Vec<_> = processes.shown().collect();
    let mut pen = Pen::new(buffer, area, 0);
    pen.skip(1).text("PROCESSES", theme.title).skip(2);
    let what = if processes.all {
        format!("{} of {}", shown.len(), processes.len())
    } else {
        "the busiest".to_owned()
    };
    pen.text(&what, theme.text).skip(2);
    let at = format!(
        "at {}{}, by {}",
        format_clock(time.0, &context.zone),
        match processes.arrangement {
            Arrangement::List => String::new(),
            other => format!(", {}", other.name()),
        },
        processes.sort.name()
    );
    pen.text(&at, theme.dim);
    if !processes.filter.is_empty() {
        pen.skip(2)
            .text("filter ", theme.dim)
            .text(processes.filter.text(), theme.text);
    }
    headings(processes.sort, context, area, buffer);
    let none = match (processes.is_empty(), shown.is_empty()) {
        (true, _) => "no processes recorded at this moment",
        (_, true) => "no matching process",
        _ => "",
    };
    Pen::new(buffer, area, LINES_ABOVE)
        .skip(3)
        .text(none, theme.text);
    let selected = processes.selected_at();
    let height = usize::from(area.height.saturating_sub(LINES_ABOVE));
    for (row, process) in shown.iter().skip(processes.top).take(height).enumerate() {
        let line = Rect {
            y: area.y + LINES_ABOVE + row as u16,
            height: 1,
            ..area
        };
        let is_selected = selected == Some(processes.top + row);
        let depth = processes.depth(processes.top + row);
        draw_process(theme, process, depth, is_selected, line, buffer);
    }
    let list = below(area, LINES_ABOVE);
    let is_more = processes.top + height < shown.len();
    more(buffer, list, processes.top > 0, is_more, theme);
}

fn columns(
    width: u16,
) -> impl Iterator<
    Item = (
        usize,
        &'static (&'static str, usize, Option<ProcessSort>, u16),
    ),
> {
    COLUMNS
        .iter()
        .enumerate()
        .filter(move |(_, column)| width >= column.3)
}

pub(super) fn sort_at(width: u16, x: u16) -> Option<ProcessSort> {
    let x = usize::from(x);
    let mut end = 1;
    for (_, (_, width, sort, _)) in columns(width) {
        end += width + 2;
        if x < end {
            return *sort;
        }
    }
    Some(ProcessSort::Command)
}

fn headings(sorted: ProcessSort, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let mut pen = Pen::new(buffer, area, 1);
    pen.skip(2);
    let style = |sort: Option<ProcessSort>| {
        if sort == Some(sorted) {
            theme.title
        } else {
            theme.dim
        }
    };
    for (_, (title, width, sort, _)) in columns(area.width) {
        if *title == "USER" {
            pen.text(&fit(title, *width), style(*sort)).skip(2);
        } else {
            pen.right(title, *width, style(*sort)).skip(2);
        }
    }
    pen.text("COMMAND", style(Some(ProcessSort::Command)));
}

fn draw_process(
    theme: &Theme,
    process: &Process,
    depth: u16,
    is_selected: bool,
    line: Rect,
    buffer: &mut Buffer,
) {
    if is_selected {
        fill(buffer, line, theme.selected);
    }
    let on = |style: Style| {
        if is_selected {
            style.patch(Style {
                fg: None,
                ..theme.selected
            })
        } else {
            style
        }
    };
    let mut pen = Pen::new(buffer, line, 0);
    pen.text(
        if is_selected {
            theme.pick("▌", ">")
        } else {
            " "
        },
        on(theme.key),
    )
    .skip(1);
    let identity = &process.identity;
    for (at, (_, width, _, _)) in columns(line.width) {
        let (text, style) = match at {
            0 => (identity.pid.to_string(), theme.dim),
            1 => {
                pen.text(&fit(identity.user.as_str(), *width), on(theme.dim))
                    .skip(2);
                continue;
            }
            2 => {
                // D: waiting for a disk; Z: ended, and nobody asked how.
                let bad = matches!(process.state, b'D' | b'Z');
                let severity = if bad {
                    Severity::Warning
                } else {
                    Severity::None
                };
                (
                    char::from(process.state).to_string(),
                    theme.severity(severity),
                )
            }
            3 => (process.threads.to_string(), theme.dim),
            4 => (cpu_percent(process.cpu_permille), theme.text),
            5 => (memory(process), theme.text),
            6 => (rate(process.read_bytes_per_s), theme.text),
            _ => (rate(process.write_bytes_per_s), theme.text),
        };
        pen.right(&text, *width, on(style)).skip(2);
    }
    if depth > 0 {
        pen.skip(usize::from(depth.min(DEPTH_MAX) - 1) * 2)
            .text(theme.pick("└ ", "\\ "), on(theme.dim));
    }
    command(identity, &mut pen, on, theme);
}
