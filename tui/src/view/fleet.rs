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
use sysmon_wire::metrics::SUMMARY;
use unicode_width::UnicodeWidthStr;

use super::fleet_columns::{Cell, GAP, Layout, SIGN, draw_headings, layout_of};
use super::paint::{Pen, bar, fill};
use super::panel;
use super::sparkline::{round_scale, sparkline};
use crate::format::{age, amount, degrees, fit, load, percent, short_span, size};
use crate::state::fleet::{
    CPU, FILESYSTEM, HostRow, LOAD, MEMORY, READ, RECEIVED, TEMPERATURE, TRANSMITTED, WRITTEN,
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

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let rows = rows(state.size).min(usize::from(area.height.saturating_sub(1)));
    if state.fleet.shown_len() == 0 {
        draw_empty(state, area, buffer);
        return;
    }
    let top = state.fleet.top;
    let shown: Vec<&HostRow> = state.fleet.shown().skip(top).take(rows).collect();
    let layout = layout_of(state, area.width);
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
    let mark = if state.fleet.is_marked(&host.line.name) {
        theme.pick("•", "*")
    } else {
        " "
    };
    pen.text(mark, on(theme.key));
    pen.text(sign, on(sign_style)).skip(1);
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

/// In words, which values give the host its sign.
fn worries(host: &HostRow) -> Vec<String> {
    let worry = |place: usize| {
        if host.severity_of(place) == Severity::None {
            return None;
        }
        let value = host.value(place);
        Some(match place {
            CPU => format!("cpu {}%", percent(value)),
            MEMORY => format!("memory {}%", percent(value)),
            FILESYSTEM => format!("a filesystem {}% full", percent(value)),
            LOAD => format!("load {}", load(value)),
            _ => format!("{}°", degrees(value)),
        })
    };
    (0..SUMMARY).filter_map(worry).collect()
}

/// What the selected host is.
fn draw_detail(state: &State, line: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let Some(host) = state.fleet.selected() else {
        return;
    };
    let facts = &host.line.facts;
    let dot = theme.pick(" · ", " - ");
    let mut parts = worries(host);
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
    fn long_reasons_are_wrapped() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
    }
}
