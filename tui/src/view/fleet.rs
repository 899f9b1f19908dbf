//! The table of hosts.
//!
//! ```text
//!    HOST      UP  CPU last 5 min       %  MEM            %  LOAD  NET ↓ to 10M      ↓/s   ↑/s  READ  WRIT   FS   °C
//!  ▲ db-1     92d  ▃▃▄▄▅▅▆▆▇▇▇█████    97  █████████▏    92  31.2  ▂▂▂▃▃▂▂▂▂▃▂▂     8.1M  1.2M   88M   41M   83   71
//!  ○ laptop    5h  ▂▂▁▁▁▁▁▁▁            –                 –     –  ▁▁▁▁▁▁              –     –     –     –    –   41 s ago
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::Style;
use sysmon_wire::message::HostState;
use unicode_width::UnicodeWidthStr;

use super::paint::{Pen, bar, fill};
use super::panel;
use super::sparkline::{round_scale, sparkline};
use crate::format::{age, amount, degrees, fit, load, percent, short_span, size};
use crate::state::fleet::{
    CPU, FILESYSTEM, HostRow, LOAD, MEMORY, READ, RECEIVED, SPARK_STEP_MS, Sort, TEMPERATURE,
    TRANSMITTED, WRITTEN,
};
use crate::state::{Link, State};
use crate::theme::{Severity, Theme};

/// The line of the first host on the screen, below header and headings.
pub const FIRST_ROW: u16 = 2;

/// Screens at least this high tell more of the selected host below the table.
const DETAIL_FROM_HEIGHT: u16 = 14;

/// Screens at least this high, and this wide, show its last minutes there, too.
const PANEL_FROM: Size = Size {
    width: 80,
    height: 28,
};

/// Whether a screen of this size shows the selected host's last minutes.
pub fn has_panel(screen: Size) -> bool {
    screen.height >= PANEL_FROM.height && screen.width >= PANEL_FROM.width
}

/// Lines below the table.
fn lines_below(screen: Size) -> u16 {
    match screen.height {
        _ if has_panel(screen) => 2 + panel::ROWS,
        DETAIL_FROM_HEIGHT.. => 2,
        _ => 0,
    }
}

/// How many hosts fit on a screen of this size.
pub fn rows(screen: Size) -> usize {
    // The headings take the body's first line.
    let above = 1;
    usize::from(
        super::body(screen)
            .height
            .saturating_sub(above + lines_below(screen)),
    )
}

/// What a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
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
const GAP: usize = 2;

/// Cells of the sign before a host's name.
const SIGN: usize = 3;

/// A line of history is not wider than the history that is asked for.
const LINE_MAX: usize = 48;

struct Layout {
    name: usize,
    columns: Vec<(Cell, usize)>,
}

fn layout(width: usize, longest_name: usize) -> Layout {
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

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let rows = rows(state.size).min(usize::from(area.height.saturating_sub(1)));
    if state.fleet.shown_len() == 0 {
        draw_empty(state, area, buffer);
        return;
    }
    let top = state.fleet.top;
    let shown: Vec<&HostRow> = state.fleet.shown().skip(top).take(rows).collect();
    let longest = state
        .fleet
        .shown()
        .map(|host| host.line.name.as_str().width())
        .max();
    let layout = layout(usize::from(area.width), longest.unwrap_or(0));
    let net_scale = net_scale(state, &shown, &layout);
    draw_headings(state, &layout, net_scale, area, buffer);
    let selected = state.fleet.selected().map(|host| &host.line.name);
    for (at, host) in shown.iter().enumerate() {
        let line = Rect {
            y: area.y + 1 + at as u16,
            height: 1,
            ..area
        };
        let is_selected = selected == Some(&host.line.name);
        draw_host(state, host, is_selected, &layout, net_scale, line, buffer);
    }
    if state.size.height >= DETAIL_FROM_HEIGHT && area.height > 2 {
        let below = lines_below(state.size).min(area.height) - 1;
        let line = Rect {
            y: area.bottom() - below,
            height: 1,
            ..area
        };
        draw_detail(state, line, buffer);
        let rest = Rect {
            y: line.y + 1,
            height: below - 1,
            ..area
        };
        if rest.height == panel::ROWS {
            panel::draw(state, rest, buffer);
        }
    }
}

/// Instead of an empty table: why it is empty and what to do.
fn draw_empty(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let hidden = !state.fleet.filter.is_empty();
    let (first, second) = match &state.link {
        Link::Connecting { to } => (format!("Connecting to {to}"), String::new()),
        Link::Lost { reason, .. } => ("No connection to the hub".to_owned(), reason.clone()),
        Link::Connected { .. } if hidden => (
            format!("No host matches \"{}\"", state.fleet.filter),
            "Esc shows all".to_owned(),
        ),
        Link::Connected { .. } => (
            "No hosts yet".to_owned(),
            "Start `sysmon-agent` on the machines to be watched".to_owned(),
        ),
    };
    Pen::new(buffer, area, area.height / 3)
        .skip(3)
        .text(&first, theme.title);
    // A reason may be long: it takes as many lines as it needs.
    let width = usize::from(area.width).saturating_sub(6).max(10);
    for (at, line) in wrap(&second, width).iter().enumerate() {
        Pen::new(buffer, area, area.height / 3 + 1 + at as u16)
            .skip(3)
            .text(line, theme.dim);
    }
}

pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// One scale for all lines of the network column: the highest on screen, rounded up.
fn net_scale(state: &State, shown: &[&HostRow], layout: &Layout) -> i64 {
    let width = layout
        .columns
        .iter()
        .find(|(cell, _)| *cell == Cell::NetLine)
        .map_or(0, |c| c.1);
    let points = |host: &&HostRow| host.received.last(width, state.moment()).flatten().max();
    round_scale(
        shown
            .iter()
            .filter_map(points)
            .max()
            .unwrap_or(0)
            .max(10_000),
    )
}

fn draw_headings(state: &State, layout: &Layout, net_scale: i64, area: Rect, buffer: &mut Buffer) {
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
                let span = line_span(*width);
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
        let sorted = matches!(
            (cell, sort),
            (Cell::Cpu, Sort::Value(CPU))
                | (Cell::Memory, Sort::Value(MEMORY))
                | (Cell::Load, Sort::Value(LOAD))
                | (Cell::Received, Sort::Value(RECEIVED))
                | (Cell::Read, Sort::Value(READ))
                | (Cell::Filesystem, Sort::Value(FILESYSTEM))
        );
        pen.skip(GAP);
        if matches!(cell, Cell::CpuLine | Cell::NetLine | Cell::MemoryBar) {
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
fn line_span(cells: usize) -> String {
    let seconds = cells as i64 * i64::from(SPARK_STEP_MS) / 1000;
    if seconds % 60 == 0 || seconds > 180 {
        format!("{} min", seconds / 60)
    } else {
        format!("{seconds} s")
    }
}

fn draw_host(
    state: &State,
    host: &HostRow,
    is_selected: bool,
    layout: &Layout,
    net_scale: i64,
    line: Rect,
    buffer: &mut Buffer,
) {
    let theme = &state.theme;
    let live = host.tick.state == HostState::Live;
    let base = if live { theme.text } else { theme.dim };
    let back = if is_selected {
        theme.selected
    } else {
        Style::new()
    };
    if is_selected {
        fill(buffer, line, theme.selected);
    }
    // What is selected keeps its own colours on the selection's ground.
    let on = |style: Style| {
        if is_selected {
            style.patch(Style { fg: None, ..back })
        } else {
            style
        }
    };
    let mut pen = Pen::new(buffer, line, 0);
    let (sign, sign_style) = sign(theme, host, is_selected);
    pen.skip(1).text(sign, on(sign_style)).skip(1);
    let name_style = if is_selected { back } else { base };
    pen.text(&fit(host.line.name.as_str(), layout.name), name_style);
    for (cell, width) in &layout.columns {
        pen.skip(GAP);
        draw_cell(state, host, (*cell, *width), net_scale, &on, &mut pen);
    }
    if !live {
        draw_age(state, host, line, on(theme.dim), buffer);
    }
}

fn sign(theme: &Theme, host: &HostRow, is_selected: bool) -> (&'static str, Style) {
    let ascii = theme.ascii;
    match (host.tick.state, host.severity()) {
        (HostState::Offline, _) => (
            if ascii { "x" } else { "✕" },
            theme.severity(Severity::Critical),
        ),
        (HostState::Stale, _) => (
            if ascii { "o" } else { "○" },
            theme.severity(Severity::Warning),
        ),
        (HostState::Live, Severity::None) if is_selected => {
            (if ascii { ">" } else { "▌" }, theme.key)
        }
        (HostState::Live, severity) => (theme.severity_sign(severity), theme.severity(severity)),
    }
}

fn draw_cell(
    state: &State,
    host: &HostRow,
    (cell, width): (Cell, usize),
    net_scale: i64,
    on: &dyn Fn(Style) -> Style,
    pen: &mut Pen<'_>,
) {
    let theme = &state.theme;
    let live = host.tick.state == HostState::Live;
    let value = |place: usize| host.value(place).filter(|_| live);
    let plain = if live { theme.text } else { theme.dim };
    let style = |place: usize| match host.severity_of(place) {
        Severity::None => on(plain),
        severity => on(theme.severity(severity)),
    };
    let moment = state.moment();
    match cell {
        Cell::CpuLine => {
            let line = sparkline(host.cpu.last(width, moment), 1000, theme.ascii);
            pen.text(&line, on(if live { theme.graph } else { theme.dim }));
        }
        Cell::NetLine => {
            let line = sparkline(host.received.last(width, moment), net_scale, theme.ascii);
            pen.text(&line, on(if live { theme.graph_second } else { theme.dim }));
        }
        Cell::MemoryBar => match value(MEMORY) {
            Some(share) => {
                let style = match host.severity_of(MEMORY) {
                    Severity::None => on(theme.graph),
                    severity => on(theme.severity(severity)),
                };
                pen.text(&bar(share, width, theme.ascii), style);
            }
            None => {
                pen.skip(width);
            }
        },
        Cell::Up => {
            let boot = host.line.facts.boot;
            let up = (boot.0 > 0)
                .then(|| short_span(moment - boot))
                .filter(|_| live);
            pen.right(&up.unwrap_or_else(|| dash(theme)), width, on(theme.dim));
        }
        _ => {
            let (place, text): (usize, fn(Option<f64>) -> String) = match cell {
                Cell::Cpu => (CPU, percent),
                Cell::Memory => (MEMORY, percent),
                Cell::Load => (LOAD, load),
                Cell::Received => (RECEIVED, amount),
                Cell::Transmitted => (TRANSMITTED, amount),
                Cell::Read => (READ, amount),
                Cell::Written => (WRITTEN, amount),
                Cell::Filesystem => (FILESYSTEM, percent),
                _ => (TEMPERATURE, degrees),
            };
            let text = value(place).map_or_else(|| dash(theme), |value| text(Some(value)));
            pen.right(&text, width, style(place));
        }
    }
}

fn dash(theme: &Theme) -> String {
    theme.pick(crate::format::NONE, "-").to_owned()
}

/// How long ago a silent host last spoke, at the end of its line.
fn draw_age(state: &State, host: &HostRow, line: Rect, style: Style, buffer: &mut Buffer) {
    let text = match host.tick.time.0 {
        0 => "no sample".to_owned(),
        _ => format!("{} ago", age(state.moment(), host.tick.time)),
    };
    let width = text.width() + 1;
    if usize::from(line.width) > width + 30 {
        let x = line.right() - width as u16;
        Pen::new(
            buffer,
            Rect {
                x,
                width: width as u16,
                ..line
            },
            0,
        )
        .text(&text, style);
    }
}

/// What the selected host is.
fn draw_detail(state: &State, line: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let Some(host) = state.fleet.selected() else {
        return;
    };
    let facts = &host.line.facts;
    let dot = theme.pick(" · ", " - ");
    let mut parts = Vec::new();
    for alert in &host.line.alerts {
        parts.push(format!("{}: {}", alert.rule, alert.summary));
    }
    if !facts.os.as_str().is_empty() {
        parts.push(facts.os.to_string());
    }
    if facts.cpus > 0 {
        parts.push(format!("{} processors", facts.cpus));
        parts.push(format!("{} memory", size(Some(facts.memory_bytes as f64))));
    }
    if !facts.agent_version.as_str().is_empty() {
        parts.push(format!("agent {}", facts.agent_version));
    }
    if host.line.health.missing_rows > 0 {
        parts.push(format!("{} rows missing", host.line.health.missing_rows));
    }
    let offset = host.line.health.clock_offset_ms;
    if offset.abs() >= 1000 {
        let side = if offset > 0 { "ahead" } else { "behind" };
        parts.push(format!("clock {} s {side}", offset.abs() / 1000));
    }
    let tags: Vec<_> = facts.tags.iter().map(ToString::to_string).collect();
    if !tags.is_empty() {
        parts.push(tags.join(" "));
    }
    Pen::new(buffer, line, 0)
        .skip(SIGN)
        .text(host.line.name.as_str(), theme.title)
        .skip(2)
        .text(&parts.join(dot), theme.dim);
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

    #[test]
    fn long_reasons_are_wrapped() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
    }
}
