//! The fleet: what needs somebody, the table of hosts, and beside or below it the selected host.
//!
//! ```text
//! ─ NEEDS YOU ─────────────────────────────────────────────────────────────────────────────────
//! ▲ db-2       saturated   load5 41.2, limit 32    since 10:03   6 m   postgres  1105 %
//! ▲ HOSTS      CPU 15 m ───────────────  MEM ───────── LOAD   ↓/s   ↑/s  DISK   FS  °C  TOP PROCESS
//! ▲ db-2       100 ▃▃▃▃▃▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇   89 ━━━━━━━━╸─  44.8   13M   30M  239M   71  83  autovacuum
//! ✕ edge-1       – ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁····  OFFLINE 54 s  last heard 10:08:54
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect, Size};
use sysmon_wire::Label;
use sysmon_wire::message::HostState;

use super::columns::{draw_headings, layout_of};
use super::preview::Preview;
use super::state::{Fleet, HostRow, Row};
use super::{detail, lower, needs, panel, rows as table_rows};
use crate::context::{Context, Link};
use crate::format::wrap;
use crate::keys::{Action, Mode};
use crate::layout::body;
use crate::widgets::axis::span_text;
use crate::widgets::paint::{Pen, more};
use crate::widgets::plot::Plot;

/// Screens at least this high, and this wide, show the selected host's last minutes below the table.
const PANEL_FROM: Size = Size {
    width: 80,
    height: 28,
};

/// Screens at least this wide and high have the selected host at the right, at full height.
const WIDE_FROM: Size = Size {
    width: 180,
    height: 28,
};

/// Cells of the selected host's column, and those between it and the table.
const RIGHT: u16 = 67;
const BETWEEN: u16 = 2;

/// Tables with fewer lines have no room to say what is below them.
const FOLD_FROM: usize = 3;

/// Lines of the lists below the table at least, their rule and the line before it included.
const LISTS_MIN: u16 = 5;

/// Screens at least this high have a line about the selected host or group.
const DETAIL_FROM: u16 = 14;

#[derive(Clone, Copy, Debug)]
pub(super) struct Areas {
    pub(super) needs: Rect,
    /// Its first line has the headings.
    pub(super) table: Rect,
    pub(super) detail: Rect,
    pub(super) panel: Rect,
    pub(super) right: Rect,
    /// Values of the whole fleet.
    totals: Rect,
    pub(super) events: Rect,
    busiest: Rect,
}

fn is_wide(screen: Size) -> bool {
    screen.width >= WIDE_FROM.width && screen.height >= WIDE_FROM.height
}

pub(super) fn has_panel(screen: Size) -> bool {
    screen.height >= PANEL_FROM.height && screen.width >= PANEL_FROM.width
}

pub(super) fn areas(fleet: &Fleet, context: &Context) -> Areas {
    areas_in(fleet, context.size, body(context.size))
}

/// The areas of a body on a screen of a size.
fn areas_in(fleet: &Fleet, screen: Size, all: Rect) -> Areas {
    let right = match is_wide(screen) {
        true => Rect {
            x: all.right() - 1 - RIGHT,
            width: RIGHT,
            ..all
        },
        false => Rect::ZERO,
    };
    let width = match is_wide(screen) {
        true => all.width - RIGHT - BETWEEN - 1,
        false => all.width,
    };
    let left = Rect { width, ..all };
    let count = needs::needs(fleet).len();
    let needs_rows = needs::rows(count, screen.height).min(left.height);
    let panel_rows = match has_panel(screen) && !is_wide(screen) {
        true => panel::ROWS,
        false => 0,
    };
    let detail_rows = match screen.height {
        DETAIL_FROM.. if fleet.selected_group().is_some() || panel_rows == 0 => 1,
        _ => 0,
    };
    let detail_rows = if is_wide(screen) && fleet.selected().is_some() {
        0
    } else {
        detail_rows
    };
    let below = (panel_rows.max(detail_rows)).min(left.height.saturating_sub(needs_rows));
    let rows = |y: u16, height: u16| Rect { y, height, ..left };
    let room = left.height - needs_rows - below;
    let (totals_rows, lists_rows) = match is_wide(screen) {
        true => lower_rows(fleet.rows_len(), room),
        false => (0, 0),
    };
    let table = room - totals_rows - lists_rows;
    let bottom = left.y + needs_rows + table;
    let inner = |y: u16, height: u16| Rect {
        x: left.x + 1,
        width: left.width.saturating_sub(2),
        y,
        height,
    };
    let lists = inner(bottom + totals_rows, lists_rows);
    let half = Rect {
        y: lists.y + lists.height.min(1),
        height: lists.height.saturating_sub(1),
        width: lists.width.saturating_sub(BETWEEN) / 2,
        ..lists
    };
    Areas {
        needs: rows(left.y, needs_rows),
        table: rows(left.y + needs_rows, table),
        detail: rows(bottom, detail_rows.min(below)),
        panel: rows(bottom, panel_rows.min(below)),
        right,
        totals: inner(bottom, totals_rows),
        events: half,
        busiest: Rect {
            x: half.right() + BETWEEN,
            ..half
        },
    }
}

/// Lines for the totals of the fleet and for its lists below a table: those that are left, lists first.
fn lower_rows(hosts: usize, room: u16) -> (u16, u16) {
    // A rule, the hosts, and a line apart.
    let needed = u16::try_from(hosts + 2).unwrap_or(u16::MAX);
    let left = room.saturating_sub(needed);
    if left < lower::CHART_ROWS {
        return (0, 0);
    }
    let lists = left - lower::CHART_ROWS;
    match lists {
        LISTS_MIN.. => (lower::CHART_ROWS, lists),
        _ => (lower::CHART_ROWS, 0),
    }
}

/// Whether the whole fleet has charts below the table.
pub(super) fn has_lower(fleet: &Fleet, context: &Context) -> bool {
    areas(fleet, context).totals.height > 0
}

/// How many rows of the table are hosts or groups: the last line says how many more there are.
pub(super) fn page(fleet: &Fleet, context: &Context) -> usize {
    page_of(fleet, areas(fleet, context).table)
}

fn page_of(fleet: &Fleet, table: Rect) -> usize {
    let room = usize::from(table.height.saturating_sub(1));
    match fleet.rows_len() > room && room >= FOLD_FROM {
        true => room - 1,
        false => room.max(1),
    }
}

pub(super) fn draw(fleet: &Fleet, context: &Context, area: Rect, buffer: &mut Buffer) {
    if fleet.rows_len() == 0 {
        draw_empty(fleet, context, area, buffer);
        return;
    }
    let areas = areas_in(fleet, buffer.area.as_size(), area);
    let needs = Rect {
        x: areas.needs.x + 1,
        width: areas.needs.width.saturating_sub(2),
        ..areas.needs
    };
    needs::draw(fleet, context, needs, buffer);
    draw_table(fleet, context, areas.table, buffer);
    draw_selected(fleet, context, &areas, buffer);
    let theme = match context.is_lost() {
        true => context.theme.faded(),
        false => context.theme,
    };
    if areas.totals.height > 0 {
        lower::draw_totals(&fleet.totals, context, &theme, areas.totals, buffer);
    }
    if areas.busiest.height > 0 {
        lower::draw_busiest(fleet.all_busiest(), &theme, areas.busiest, buffer);
    }
}

fn draw_table(fleet: &Fleet, context: &Context, area: Rect, buffer: &mut Buffer) {
    let layout = &layout_of(fleet, area.width);
    let span = span_text(fleet.span_ms());
    draw_headings(fleet, context, layout, &span, area, buffer);
    let visible = page_of(fleet, area).min(usize::from(area.height.saturating_sub(1)));
    let top = fleet.top;
    let selected = fleet.selected_at();
    let faded;
    // Nothing is known of hosts while the hub cannot be reached.
    let theme = match context.is_lost() {
        true => {
            faded = context.theme.faded();
            &faded
        }
        false => &context.theme,
    };
    let row_at = |at: usize| Rect {
        y: area.y + 1 + at as u16,
        height: 1,
        ..area
    };
    let row = |line: Rect, is_selected: bool| table_rows::Row {
        fleet,
        context,
        theme,
        layout,
        is_selected,
        line,
    };
    for (at, shown) in fleet.rows().skip(top).take(visible).enumerate() {
        let drawn = row(row_at(at), selected == Some(top + at));
        match shown {
            Row::Host(host) => drawn.draw_host(host, buffer),
            Row::Group(group) => drawn.draw_group(group, buffer),
        }
    }
    let room = usize::from(area.height.saturating_sub(1));
    let is_more = top + visible < fleet.rows_len();
    let hidden: Vec<&HostRow> = fleet
        .rows()
        .skip(top + visible)
        .filter_map(|row| match row {
            Row::Host(host) => Some(host),
            Row::Group(_) => None,
        })
        .collect();
    if is_more && room > visible && !hidden.is_empty() {
        row(row_at(visible), false).draw_fold(&hidden, buffer);
    }
    let table = Rect {
        y: area.y + 1,
        height: (visible as u16).min(area.height.saturating_sub(1)),
        ..area
    };
    let is_unsaid = is_more && room <= visible;
    more(buffer, table, top > 0, is_unsaid, theme);
}

/// The preview that is shown, the state of its host, its area, and whether that is a column.
fn previewed<'a>(fleet: &'a Fleet, areas: &Areas) -> Option<(&'a Preview, HostState, Rect, bool)> {
    let host = fleet.selected()?;
    let preview = fleet.preview.shown.as_ref()?;
    // What is shown may still be the host that was selected before.
    let state = fleet
        .host(&preview.host.name)
        .map_or(host.tick.state, |host| host.tick.state);
    if areas.right.width > 0 {
        return Some((preview, state, areas.right, true));
    }
    let inner = Rect {
        x: areas.panel.x + 1,
        width: areas.panel.width.saturating_sub(2),
        ..areas.panel
    };
    (inner.height > 0).then_some((preview, state, inner, false))
}

/// The chart of the selected host at a place of the screen.
pub(super) fn plot_at(fleet: &Fleet, context: &Context, place: Position) -> Option<Plot> {
    let areas = areas(fleet, context);
    let (preview, state, area, is_column) = previewed(fleet, &areas)?;
    let plots = panel::plots(preview, state, context, area, is_column);
    plots.into_iter().find(|plot| plot.area.contains(place))
}

fn draw_selected(fleet: &Fleet, context: &Context, areas: &Areas, buffer: &mut Buffer) {
    match previewed(fleet, areas) {
        Some((preview, state, area, true)) => {
            panel::draw_column(preview, state, context, area, buffer);
        }
        Some((preview, state, area, false)) => {
            panel::draw(preview, state, context, area, buffer);
        }
        None if fleet.selected().is_none() || areas.panel.height == 0 => {
            detail::draw(fleet, context, areas.detail, buffer);
        }
        None => {}
    }
}

/// Instead of an empty table: why it is empty and what to do.
fn draw_empty(fleet: &Fleet, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let hidden = !fleet.filter.is_empty();
    let (first, second) = match &context.link {
        Link::Connecting { to } => (format!("Connecting to {to}"), String::new()),
        Link::Lost { reason, .. } if !context.was_reached => {
            let seconds = context.retry_in_s();
            (
                format!("Connecting; next try in {seconds} s"),
                reason.clone(),
            )
        }
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

/// The host of the alert at a line of the screen.
pub(super) fn needing_at(fleet: &Fleet, context: &Context, line: u16) -> Option<Label> {
    let needs = areas(fleet, context).needs;
    let line = line
        .checked_sub(needs.y)
        .filter(|line| *line < needs.height)?;
    needs::host_at(fleet, line)
}
