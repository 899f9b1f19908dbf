//! The table of hosts.
//!
//! ```text
//!    HOST      UP  CPU last 5 min       %  MEM            %  LOAD  NET ↓ to 10M      ↓/s   ↑/s  READ WRITE   FS   °C
//!  ▲ db-1     92d  ▃▃▄▄▅▅▆▆▇▇▇█████    97  █████████▏    92  31.2  ▂▂▂▃▃▂▂▂▂▃▂▂     8.1M  1.2M   88M   41M   83   71
//!  ○ laptop    5h  ▂▂▁▁▁▁▁▁▁            –                 –     –  ▁▁▁▁▁▁              –     –     –     –    –   41 s ago
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use sysmon_config::Column;

use super::columns::{Layout, draw_headings, layout_of};
use super::state::{Fleet, Row};
use super::{detail, panel, rows as table_rows};
use crate::context::{Context, Link};
use crate::format::wrap;
use crate::keys::{Action, Mode};
use crate::layout::body;
use crate::widgets::paint::{Pen, more};
use crate::widgets::sparkline::round_scale;

pub(crate) const FIRST_ROW: u16 = 2;

/// Screens at least this high show details of the selected host below the table.
const DETAIL_FROM_HEIGHT: u16 = 14;

/// Screens at least this high have a second line for that.
const TWO_DETAILS_FROM: u16 = 20;

/// Screens at least this high, and this wide, show its last minutes there, too.
const PANEL_FROM: Size = Size {
    width: 80,
    height: 28,
};

pub(super) fn has_panel(screen: Size) -> bool {
    screen.height >= PANEL_FROM.height && screen.width >= PANEL_FROM.width
}

/// Lines with details of the selected host: two where there is room, so that an alert fits.
fn detail_lines(screen: Size) -> u16 {
    match screen.height {
        TWO_DETAILS_FROM.. => 2,
        DETAIL_FROM_HEIGHT.. => 1,
        _ => 0,
    }
}

/// Lines below the table: an empty one, those of the selected host, and its last minutes.
fn lines_below(screen: Size) -> u16 {
    match detail_lines(screen) {
        0 => 0,
        lines if has_panel(screen) => 1 + lines + panel::ROWS,
        lines => 1 + lines,
    }
}

pub(super) fn rows(screen: Size) -> usize {
    // The first line of the body has the headings.
    let above = 1;
    usize::from(
        body(screen)
            .height
            .saturating_sub(above + lines_below(screen)),
    )
}

pub(super) fn draw(fleet: &Fleet, context: &Context, area: Rect, buffer: &mut Buffer) {
    let visible = rows(context.size).min(usize::from(area.height.saturating_sub(1)));
    let count = fleet.rows_len();
    if count == 0 {
        draw_empty(fleet, context, area, buffer);
        return;
    }
    let top = fleet.top;
    let shown: Vec<Row<'_>> = fleet.rows().skip(top).take(visible).collect();
    let layout = &layout_of(fleet, area.width);
    let net_scale = net_scale(context, &shown, layout);
    draw_headings(fleet, context, layout, net_scale, area, buffer);
    let selected = fleet.selected_at();
    for (at, row) in shown.iter().enumerate() {
        let line = Rect {
            y: area.y + 1 + at as u16,
            height: 1,
            ..area
        };
        let drawn = table_rows::Row {
            fleet,
            context,
            layout,
            net_scale,
            is_selected: selected == Some(top + at),
            line,
        };
        match row {
            Row::Host(host) => drawn.draw_host(host, buffer),
            Row::Group(group) => drawn.draw_group(group, buffer),
        }
    }
    let table = Rect {
        y: area.y + 1,
        height: visible as u16,
        ..area
    };
    let is_more = top + visible < count;
    more(buffer, table, top > 0, is_more, &context.theme);
    draw_below(fleet, context, area, buffer);
}

fn draw_below(fleet: &Fleet, context: &Context, area: Rect, buffer: &mut Buffer) {
    let lines = detail_lines(context.size);
    let Some(below) = lines_below(context.size).checked_sub(1) else {
        return;
    };
    if area.height <= below + 1 {
        return;
    }
    let details = Rect {
        y: area.bottom() - below,
        height: lines,
        ..area
    };
    detail::draw(fleet, context, details, buffer);
    let rest = Rect {
        y: details.bottom(),
        height: below - lines,
        ..area
    };
    if rest.height == panel::ROWS
        && fleet.selected().is_some()
        && let Some(preview) = &fleet.preview.shown
    {
        panel::draw(preview, context, rest, buffer);
    }
}

/// Instead of an empty table: why it is empty and what to do.
fn draw_empty(fleet: &Fleet, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let hidden = !fleet.filter.is_empty();
    let (first, second) = match &context.link {
        Link::Connecting { to } => (format!("Connecting to {to}"), String::new()),
        Link::Lost { reason, .. } => ("No connection to the hub".to_owned(), reason.clone()),
        Link::Connected { .. } if hidden => (
            format!("No matching host for \"{}\"", fleet.filter),
            shows_all(context),
        ),
        Link::Connected { .. } => (
            "No hosts yet".to_owned(),
            "Start `sysmon-agent` on the machines to monitor".to_owned(),
        ),
    };
    Pen::new(buffer, area, area.height / 3)
        .skip(3)
        .text(&first, theme.title);
    // A reason may need several lines.
    let width = usize::from(area.width).saturating_sub(6).max(10);
    for (at, line) in wrap(&second, width).iter().enumerate() {
        Pen::new(buffer, area, area.height / 3 + 1 + at as u16)
            .skip(3)
            .text(line, theme.dim);
    }
}

fn shows_all(context: &Context) -> String {
    let ascii = context.theme.ascii;
    let (mode, action) = match context.mode() {
        Mode::Filter => (Mode::Filter, Action::Back),
        _ => (Mode::Fleet, Action::ClearFilter),
    };
    match context.keys.key_of(mode, action, ascii) {
        Some(key) if mode == Mode::Filter => format!("{key} cancels"),
        Some(key) => format!("{key} shows all hosts"),
        None => String::new(),
    }
}

/// One scale for all lines of the network column: the highest on screen, rounded up.
fn net_scale(context: &Context, shown: &[Row<'_>], layout: &Layout) -> i64 {
    let width = layout
        .columns
        .iter()
        .find(|(cell, _)| *cell == Column::NetLine)
        .map_or(0, |c| c.1);
    let points = |row: &Row<'_>| match row {
        Row::Host(host) => host
            .received
            .held(width, context.moment(), host.line.facts.interval_ms)
            .flatten()
            .max(),
        Row::Group(_) => None,
    };
    round_scale(
        shown
            .iter()
            .filter_map(points)
            .max()
            .unwrap_or(0)
            .max(10_000),
    )
}
