//! The busiest processes of all hosts as one list.
//!
//! ```text
//!    HOST              PID  CPU%   MEM  READ WRITE  USER        COMMAND
//!  ▌ db-1             4127  98.1  1.2G     0   41M  postgres    /usr/lib/postgresql/17/bin/postgres   db
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::Style;
use sysmon_config::time::format_clock;
use sysmon_wire::message::HostProcess;

use super::state::Top;
use crate::context::Context;
use crate::format::fit;
use crate::layout::{below, list_rows};
use crate::model::process::{NOT_STORED, ProcessSort, cpu_percent, memory, rate};
use crate::theme::Theme;
use crate::widgets::command::command;
use crate::widgets::paint::{Pen, fill, more};

const LINES_ABOVE: u16 = 2;

pub(super) const FIRST_ROW: u16 = 1 + LINES_ABOVE;

/// Columns are hidden on screens narrower than this.
const WIDE: u16 = 90;
const MIDDLE: u16 = 60;
const NARROW: u16 = 40;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Host,
    Pid,
    Cpu,
    Memory,
    Read,
    Written,
    User,
}

/// The columns, as their heading, width, sort if they are sorted by, and the width of screen they are shown from.
const COLUMNS: [(Column, &str, usize, Option<ProcessSort>, u16); 7] = [
    (Column::Host, "HOST", 14, Some(ProcessSort::Host), 0),
    (Column::Pid, "PID", 7, None, MIDDLE),
    (Column::Cpu, "CPU%", 5, Some(ProcessSort::Cpu), 0),
    (Column::Memory, "MEM", 5, Some(ProcessSort::Memory), NARROW),
    (Column::Read, "READ", 5, Some(ProcessSort::Disk), MIDDLE),
    (Column::Written, "WRITE", 5, Some(ProcessSort::Disk), MIDDLE),
    (Column::User, "USER", 10, None, WIDE),
];

const HOST_NARROW: usize = 6;
const HOST_WIDE: usize = 24;
const HOST_WIDE_FROM: u16 = 140;

pub(super) fn rows(screen: Size) -> usize {
    list_rows(screen, LINES_ABOVE)
}

pub(super) fn draw(top: &Top, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    Pen::new(buffer, area, 0)
        .skip(1)
        .text("BUSIEST PROCESSES", theme.title);
    let message = |text: &str, buffer: &mut Buffer| {
        Pen::new(buffer, area, LINES_ABOVE)
            .skip(3)
            .text(text, theme.text);
    };
    if let Some(reason) = &top.refused {
        return message(reason.as_str(), buffer);
    }
    let Some(time) = top.time else {
        return message("waiting for the hub", buffer);
    };
    let mut pen = Pen::new(buffer, area, 0);
    let hosts = if top.hosts == 1 { "host" } else { "hosts" };
    let clock = format_clock(time.0, &context.zone);
    let what = match top.filter.is_empty() {
        true => top.len().to_string(),
        false => format!("{} of {}", top.shown_len(), top.len()),
    };
    pen.skip(20)
        .text(&format!("{what} on {} {hosts}", top.hosts), theme.text)
        .skip(2)
        .text(&format!("at {clock}, by {}", top.sort.name()), theme.dim);
    if !top.filter.is_empty() {
        pen.skip(2)
            .text("filter ", theme.dim)
            .text(top.filter.text(), theme.text);
    }
    if top.is_empty() {
        let why = match context.is_downsampled() {
            true => NOT_STORED,
            false => "no host reported processes at this moment",
        };
        return message(why, buffer);
    }
    headings(top, context, area, buffer);
    if top.shown_len() == 0 {
        return message("no matching process", buffer);
    }
    let selected = top.selected_at();
    let height = usize::from(area.height.saturating_sub(LINES_ABOVE));
    for (row, process) in top.shown().skip(top.top).take(height).enumerate() {
        let line = Rect {
            y: area.y + LINES_ABOVE + row as u16,
            height: 1,
            ..area
        };
        let is_selected = selected == Some(top.top + row);
        draw_process(theme, process, is_selected, line, buffer);
    }
    let list = below(area, LINES_ABOVE);
    let is_more = top.top + height < top.shown_len();
    more(buffer, list, top.top > 0, is_more, theme);
}

fn columns(width: u16) -> impl Iterator<Item = (Column, &'static str, usize, Option<ProcessSort>)> {
    let shown = COLUMNS.iter().filter(move |column| width >= column.4);
    shown.map(move |&(column, title, cells, sort, _)| {
        let cells = match column {
            Column::Host if width < NARROW => HOST_NARROW,
            Column::Host if width >= HOST_WIDE_FROM => HOST_WIDE,
            _ => cells,
        };
        (column, title, cells, sort)
    })
}

pub(super) fn sort_at(width: u16, x: u16) -> Option<ProcessSort> {
    let x = usize::from(x);
    let mut end = 1;
    for (_, _, width, sort) in columns(width) {
        end += width + 2;
        if x < end {
            return sort;
        }
    }
    Some(ProcessSort::Command)
}

/// Texts begin at the left of their column; numbers end at its right.
fn is_text(column: Column) -> bool {
    matches!(column, Column::Host | Column::User)
}

fn headings(top: &Top, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let style = |sort: Option<ProcessSort>| {
        if sort == Some(top.sort) {
            theme.title
        } else {
            theme.dim
        }
    };
    let mut pen = Pen::new(buffer, area, 1);
    pen.skip(2);
    for (column, title, width, sort) in columns(area.width) {
        if is_text(column) {
            pen.text(&fit(title, width), style(sort)).skip(2);
        } else {
            pen.right(title, width, style(sort)).skip(2);
        }
    }
    pen.text("COMMAND", style(Some(ProcessSort::Command)));
}

fn draw_process(
    theme: &Theme,
    row: &HostProcess,
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
    let mark = if is_selected {
        theme.pick("▌", ">")
    } else {
        " "
    };
    let process = &row.process;
    let mut pen = Pen::new(buffer, line, 0);
    pen.text(mark, on(theme.key)).skip(1);
    for (column, _, width, _) in columns(line.width) {
        let (text, style) = match column {
            Column::Host => (row.host.to_string(), theme.text),
            Column::Pid => (process.identity.pid.to_string(), theme.dim),
            Column::Cpu => (cpu_percent(process.cpu_permille), theme.text),
            Column::Memory => (memory(process), theme.text),
            Column::Read => (rate(process.read_bytes_per_s), theme.text),
            Column::Written => (rate(process.write_bytes_per_s), theme.text),
            Column::User => (process.identity.user.to_string(), theme.dim),
        };
        if is_text(column) {
            pen.text(&fit(&text, width), on(style)).skip(2);
        } else {
            pen.right(&text, width, on(style)).skip(2);
        }
    }
    command(&process.identity, &mut pen, on, theme);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Mode;
    use crate::testing::{context, drawn, process};
    use sysmon_wire::UnixMs;

    fn listed() -> Top {
        let mut top = Top::default();
        let row = |n: u32| HostProcess {
            host: format!("host-{n}").as_str().into(),
            process: process(1000 + n, "/usr/bin/cc1", 990 - n, 1 << 30),
        };
        top.set(UnixMs(3_600_000), 41, (0..40).map(row).collect());
        top
    }

    fn screen(top: &Top, width: u16, height: u16) -> String {
        drawn(top, &mut context(Mode::Top), (width, height))
    }

    #[test]
    fn the_list_is_readable_at_every_size() {
        let mut top = Top::default();
        assert!(screen(&top, 80, 10).contains("waiting for the hub"));
        top.set(UnixMs(5), 0, Vec::new());
        assert!(screen(&top, 80, 10).contains("no host reported"));
        let mut top = listed();
        top.filter = "nosuch".into();
        top.reorder();
        assert!(screen(&top, 80, 10).contains("no matching process"));
        top.filter = "".into();
        top.reorder();
        let text = screen(&top, 80, 10);
        for wanted in [
            "40 on 41 hosts",
            "01:00:00",
            "host-0 ",
            "99.0",
            "1.0G",
            "cc1",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        for (width, height) in [(1, 1), (20, 5), (40, 3), (300, 80)] {
            screen(&top, width, height);
        }
        assert!(screen(&top, 20, 5).contains("99.0"));
        top.move_by(39);
        top.scroll_to_selected(rows(Size::new(80, 10)));
        assert!(screen(&top, 80, 10).contains("host-39"));
    }

    #[test]
    fn a_heading_is_where_its_column_is() {
        let text = screen(&listed(), 80, 10);
        let headings = text.lines().nth(2).unwrap();
        for (title, sort) in [
            ("HOST", ProcessSort::Host),
            ("CPU%", ProcessSort::Cpu),
            ("MEM", ProcessSort::Memory),
            ("WRITE", ProcessSort::Disk),
            ("COMMAND", ProcessSort::Command),
        ] {
            let x = headings.find(title).unwrap() as u16;
            assert_eq!(sort_at(80, x), Some(sort), "{title}");
        }
    }
}
