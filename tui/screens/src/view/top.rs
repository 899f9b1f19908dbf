//! The busiest processes of all hosts as one list.
//!
//! ```text
//!    HOST              PID  CPU%   MEM  READ  WRIT  USER        COMMAND
//!  ▌ db-1             4127  98.1  1.2G     0   41M  postgres    /usr/lib/postgresql/17/bin/postgres   db
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::Style;
use sysmon_config::time::format_clock;
use sysmon_wire::message::HostProcess;

use super::paint::{Pen, fill, more};
use super::processes::{NOT_KEPT, command, rate, share};
use crate::format::{fit, size};
use crate::state::top::Sort;
use crate::state::{ROWS_MS, State};
use crate::theme::Theme;

/// Lines above the first process: what is shown, and the headings.
const LINES_ABOVE: u16 = 2;

/// The line of the first process on the screen, below the header too.
pub const FIRST_ROW: u16 = 1 + LINES_ABOVE;

/// Columns that leave when the screen is narrower than this.
const WIDE: u16 = 90;
const MIDDLE: u16 = 60;
const NARROW: u16 = 40;

/// What a column tells.
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
const COLUMNS: [(Column, &str, usize, Option<Sort>, u16); 7] = [
    (Column::Host, "HOST", 14, Some(Sort::Host), 0),
    (Column::Pid, "PID", 7, None, MIDDLE),
    (Column::Cpu, "CPU%", 5, Some(Sort::Cpu), 0),
    (Column::Memory, "MEM", 5, Some(Sort::Memory), NARROW),
    (Column::Read, "READ", 5, Some(Sort::Disk), MIDDLE),
    (Column::Written, "WRIT", 5, Some(Sort::Disk), MIDDLE),
    (Column::User, "USER", 10, None, WIDE),
];

/// Cells of a host's name on the narrowest and on wide screens.
const HOST_NARROW: usize = 6;
const HOST_WIDE: usize = 24;
const HOST_WIDE_FROM: u16 = 140;

/// How many processes fit on a screen of this size.
pub fn rows(screen: Size) -> usize {
    usize::from(super::body(screen).height.saturating_sub(LINES_ABOVE)).max(1)
}

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let top = &state.top;
    Pen::new(buffer, area, 0)
        .skip(1)
        .text("BUSIEST PROCESSES", theme.title);
    let below = |text: &str, buffer: &mut Buffer| {
        Pen::new(buffer, area, LINES_ABOVE)
            .skip(3)
            .text(text, theme.text);
    };
    if let Some(reason) = &top.refused {
        return below(reason.as_str(), buffer);
    }
    let Some(time) = top.time else {
        return below("asking the hub", buffer);
    };
    let mut pen = Pen::new(buffer, area, 0);
    let hosts = if top.hosts == 1 { "host" } else { "hosts" };
    let clock = format_clock(time.0, &state.zone);
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
        let why = match state.resolution_ms() > ROWS_MS {
            true => NOT_KEPT,
            false => "no host told its processes at this moment",
        };
        return below(why, buffer);
    }
    headings(state, area, buffer);
    if top.shown_len() == 0 {
        return below("none of them fits the filter", buffer);
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
    let list = super::below(area, LINES_ABOVE);
    let below = top.top + height < top.shown_len();
    more(buffer, list, top.top > 0, below, theme);
}

/// The columns of a screen so wide, as what they tell, their heading, width, and sort.
fn columns(width: u16) -> impl Iterator<Item = (Column, &'static str, usize, Option<Sort>)> {
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

/// What the heading at this place across the screen sorts by.
pub fn sort_at(state: &State, x: u16) -> Option<Sort> {
    let x = usize::from(x);
    let mut end = 1;
    for (_, _, width, sort) in columns(state.size.width) {
        end += width + 2;
        if x < end {
            return sort;
        }
    }
    Some(Sort::Command)
}

/// Texts begin at the left of their column; numbers end at its right.
fn is_text(column: Column) -> bool {
    matches!(column, Column::Host | Column::User)
}

fn headings(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let style = |sort: Option<Sort>| {
        if sort == Some(state.top.sort) {
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
    pen.text("COMMAND", style(Some(Sort::Command)));
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
            Column::Cpu => (share(process.cpu_permille), theme.text),
            Column::Memory => (size(Some(process.memory_bytes as f64)), theme.text),
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
    use crate::testing::{process, screen, state};
    use sysmon_wire::UnixMs;

    fn listed() -> State {
        let mut state = state();
        state.mode = Mode::Top;
        let row = |n: u32| HostProcess {
            host: format!("host-{n}").as_str().into(),
            process: process(1000 + n, "/usr/bin/cc1", 990 - n, 1 << 30),
        };
        state
            .top
            .take(UnixMs(3_600_000), 41, (0..40).map(row).collect());
        state
    }

    #[test]
    fn the_list_is_readable_at_every_size() {
        let mut state = state();
        state.mode = Mode::Top;
        assert!(screen(&state, 80, 10).contains("asking the hub"));
        state.top.take(UnixMs(5), 0, Vec::new());
        assert!(screen(&state, 80, 10).contains("no host told"));
        let mut state = listed();
        state.top.filter = "nosuch".into();
        state.top.reorder();
        assert!(screen(&state, 80, 10).contains("none of them fits"));
        state.top.filter = "".into();
        state.top.reorder();
        let text = screen(&state, 80, 10);
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
            screen(&state, width, height);
        }
        assert!(screen(&state, 20, 5).contains("99.0"));
        state.top.move_by(39);
        state.top.scroll(rows(Size::new(80, 10)));
        assert!(screen(&state, 80, 10).contains("host-39"));
    }

    #[test]
    fn a_heading_is_where_its_column_is() {
        let state = listed();
        let text = screen(&state, 80, 10);
        let headings = text.lines().nth(2).unwrap();
        for (title, sort) in [
            ("HOST", Sort::Host),
            ("CPU%", Sort::Cpu),
            ("MEM", Sort::Memory),
            ("WRIT", Sort::Disk),
            ("COMMAND", Sort::Command),
        ] {
            let x = headings.find(title).unwrap() as u16;
            assert_eq!(sort_at(&state, x), Some(sort), "{title}");
        }
    }
}
