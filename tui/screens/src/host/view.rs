//! One host: charts at the left on one line of time, lists at the right, each under its rule.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use sysmon_wire::message::HostState;
use sysmon_wire::metrics::CPU_UTILIZATION;

use super::blocks::{self, Block};
use super::state::{HostScreen, Pane};
use crate::context::Context;
use crate::keys::{Action, Mode};
use crate::layout::body;
use crate::model::host_rows::HostRows;
use crate::model::step::Steps;
use crate::sections::{About, Pair, state_line};
use crate::widgets::paint::{Pen, fill, note};
use crate::widgets::plot::Plot;
use crate::widgets::section::{Spans, width};
use crate::widgets::sparkline::draw_sparkline;

const TWO_COLUMNS_FROM: u16 = 100;
const THREE_COLUMNS_FROM: u16 = 180;

/// Cells between columns.
const BETWEEN: u16 = 2;

/// A host whose newest row is this much older than the moment shown is late, and then offline.
const LATE_MS: i64 = 10_000;
const OFFLINE_MS: i64 = 45_000;

/// Groups of processors in the line of them.
const CORES_APART: usize = 16;
const CORE_GROUP: usize = 8;

/// Where everything is.
pub(super) struct Areas {
    pub(super) charts: Vec<(Pane, Rect)>,
    cores: Rect,
    axis: Rect,
    pub(super) blocks: Vec<(Block, Rect)>,
}

/// The state of the host at the moment shown, by its newest row.
pub(super) fn state(context: &Context, host: &HostRows) -> Option<HostState> {
    let newest = host.newest()?;
    let interval = host
        .line
        .as_ref()
        .map_or(0, |line| i64::from(line.facts.interval_ms));
    let apart = interval.max(host.resolution_ms()) * 2;
    let age = context.moment() - newest;
    Some(match age {
        _ if age >= OFFLINE_MS.max(apart * 2) => HostState::Offline,
        _ if age >= LATE_MS.max(apart) => HostState::Stale,
        _ => HostState::Live,
    })
}

/// Whether nothing was heard of the host since its charts end.
pub(super) fn has_ended(context: &Context, host: &HostRows) -> bool {
    context.is_lost() || state(context, host).is_some_and(|state| state != HostState::Live)
}

fn about<'a>(context: &'a Context, host: &'a HostRows) -> About<'a> {
    About::new(context, host, state(context, host))
}

/// The lines at the top, and the rest of the screen inside its margins.
fn main_area(context: &Context, host: &HostRows, all: Rect) -> (u16, Rect) {
    let about = about(context, host);
    let state = state(context, host).unwrap_or(HostState::Live);
    let lines = state_line::of(&about, state).len() as u16;
    let lines = lines.min((all.height / 4).max(1)).min(all.height);
    // A line apart, where there is one to spare.
    let gap = u16::from(lines > 0 && all.height >= 23);
    let main = Rect {
        x: all.x + 1,
        y: all.y + lines + gap,
        width: all.width.saturating_sub(2),
        height: all.height.saturating_sub(lines + gap),
    };
    (lines, main)
}

pub(super) fn areas(screen: &HostScreen, context: &Context, host: &HostRows) -> Areas {
    areas_in(screen, context, host, body(context.size))
}

/// The areas of a body.
fn areas_in(screen: &HostScreen, context: &Context, host: &HostRows, all: Rect) -> Areas {
    let (_, main) = main_area(context, host, all);
    let about = about(context, host);
    let columns: Vec<Rect> = split(main, all.width);
    let [first, rest @ ..] = columns.as_slice() else {
        return Areas {
            charts: Vec::new(),
            cores: Rect::ZERO,
            axis: Rect::ZERO,
            blocks: Vec::new(),
        };
    };
    // In one column the charts give way to the lists, and the other way round, by the focus.
    let is_single = rest.is_empty();
    let list_focus = !matches!(
        screen.panes.focus,
        Pane::Cpu | Pane::Memory | Pane::Network | Pane::Disk
    );
    let charts_area = match is_single {
        true => Rect {
            height: match list_focus {
                true => (first.height * 2 / 5).max(first.height.min(7)),
                false => first.height * 3 / 5,
            },
            ..*first
        },
        false => *first,
    };
    let (charts, cores, axis) = stack(charts_area);
    let lists: Vec<Rect> = match is_single {
        true => vec![Rect {
            y: charts_area.bottom(),
            height: first.height - charts_area.height,
            ..*first
        }],
        false => rest.to_vec(),
    };
    let all = blocks::of(screen, &about);
    Areas {
        charts,
        cores,
        axis,
        blocks: blocks::place(all, &lists, screen.panes.focus),
    }
}

fn split(main: Rect, screen_width: u16) -> Vec<Rect> {
    let shares: &[u16] = match screen_width {
        THREE_COLUMNS_FROM.. => &[80, 60, 52],
        TWO_COLUMNS_FROM.. => &[55, 61],
        _ => &[1],
    };
    let room = main.width - BETWEEN * (shares.len() as u16 - 1);
    let whole: u16 = shares.iter().sum();
    let mut x = main.x;
    let mut columns = Vec::new();
    for (at, share) in shares.iter().enumerate() {
        let is_last = at + 1 == shares.len();
        let width = match is_last {
            true => main.right() - x,
            false => (u32::from(room) * u32::from(*share) / u32::from(whole)) as u16,
        };
        columns.push(Rect { x, width, ..main });
        x += width + BETWEEN;
    }
    columns
}

/// The charts one above the other, the line of processors, and that of time: the disk chart leaves first where it is
/// low, then the network, then the processors.
fn stack(area: Rect) -> (Vec<(Pane, Rect)>, Rect, Rect) {
    const MEMORY: u16 = 2;
    let mut y = area.y;
    let mut take = |height: u16| {
        let part = Rect { y, height, ..area };
        y += height;
        part
    };
    let height = area.height;
    let (cores, axis) = (u16::from(height >= 8), u16::from(height >= 6));
    let room = height.saturating_sub(MEMORY + cores + axis);
    let pairs: u16 = match room {
        14.. => 2,
        9.. => 1,
        _ => 0,
    };
    // A rule, and lines of which each half has as many.
    let pair = match pairs {
        0 => 0,
        _ => ((room * 3 / 10).max(3) - 1) / 2 * 2 + 1,
    };
    let memory = if height >= 34 { 3 } else { MEMORY.min(height) };
    let extra = memory.saturating_sub(MEMORY);
    let cpu = room.saturating_sub(pair * pairs + extra);
    let mut charts = vec![(Pane::Cpu, take(cpu.max(height.min(1))))];
    let cores = take(cores);
    if height > cpu {
        charts.push((Pane::Memory, take(memory)));
    }
    if pairs > 0 {
        charts.push((Pane::Network, take(pair)));
    }
    if pairs > 1 {
        charts.push((Pane::Disk, take(pair)));
    }
    (charts, cores, take(axis))
}

pub(super) fn draw(screen: &HostScreen, context: &Context, area: Rect, buffer: &mut Buffer) {
    let Some(host) = &context.host else { return };
    let theme = &context.theme;
    if let Some(reason) = &host.refused {
        note(buffer, area, 1, reason.as_str(), theme.title);
        return;
    }
    if host.newest().is_none() {
        let text = match (host.complete, context.is_lost()) {
            (true, _) => "no samples at this time",
            (false, true) => "the hub cannot be reached: nothing is known of this host yet",
            (false, false) => "loading",
        };
        note(buffer, area, 1, text, theme.dim);
        return;
    }
    let about = about(context, host);
    draw_state(context, host, area, buffer);
    let areas = areas_in(screen, context, host, area);
    let is_focus = |pane: Pane| screen.panes.focus == pane;
    for (pane, part) in &areas.charts {
        let focus = is_focus(*pane);
        match pane {
            Pane::Cpu => about.cpu(*part, focus, buffer),
            Pane::Memory => about.memory(*part, focus, buffer),
            Pane::Network => about.pair(Pair::Net, *part, focus, buffer),
            _ => about.pair(Pair::Disk, *part, focus, buffer),
        }
    }
    draw_cores(&about, areas.cores, buffer);
    about.axis(areas.axis, buffer);
    for (block, part) in &areas.blocks {
        block.draw(screen, &about, *part, is_focus(block.pane), buffer);
    }
}

fn draw_state(context: &Context, host: &HostRows, area: Rect, buffer: &mut Buffer) {
    let about = about(context, host);
    let state = state(context, host).unwrap_or(HostState::Live);
    let (rows, _) = main_area(context, host, area);
    let lines = state_line::of(&about, state);
    let is_dead = state != HostState::Live || context.is_lost();
    let ground = context.theme.severity_line(state_line::severity(&about));
    for (row, line) in (0..rows).zip(&lines) {
        let place = Rect {
            y: area.y + row,
            height: 1,
            ..area
        };
        let is_alert = !(is_dead && row == 0 && state != HostState::Live);
        if is_alert && !context.is_lost() {
            fill(buffer, place, ground);
        }
        let mut pen = Pen::new(buffer, place, 0);
        pen.skip(1);
        let on = |style: Style| match is_alert && !context.is_lost() {
            true => ground.patch(style),
            false => style,
        };
        for (text, style) in line {
            pen.text(text, on(*style));
        }
        let keys = action_keys(context);
        let room = pen.room().saturating_sub(1);
        if is_alert && row == 0 && width(&keys) + 2 < room {
            pen.skip(room - width(&keys));
            for (text, style) in keys {
                pen.text(&text, on(style));
            }
        }
    }
}

/// The keys of what can be done about an alert now.
fn action_keys(context: &Context) -> Spans {
    let theme = &context.theme;
    if context.at.is_some() || !context.is_connected() {
        return Spans::new();
    }
    let of = |(action, word): (Action, &str)| {
        let key = context.keys.key_of(Mode::Host, action, theme.ascii)?;
        Some([
            (format!("  {key}"), theme.key),
            (format!(" {word}"), theme.dim),
        ])
    };
    [(Action::Acknowledge, "ack"), (Action::Silence, "silence")]
        .into_iter()
        .filter_map(of)
        .flatten()
        .collect()
}

/// Every processor as a bar, and the load.
fn draw_cores(about: &About<'_>, area: Rect, buffer: &mut Buffer) {
    let (host, theme) = (about.host, &about.theme);
    if area.height == 0 {
        return;
    }
    let load = about.load();
    let load_width = width(&load);
    let mut numbers: Vec<u32> = host
        .values_of(&CPU_UTILIZATION, "cpu.logical_number")
        .iter()
        .filter_map(|number| number.as_str().parse().ok())
        .collect();
    numbers.sort_unstable();
    let busy = |number: &u32| {
        let number = number.to_string();
        let share = host.now(&CPU_UTILIZATION, &[("cpu.logical_number", &number)])?;
        Some((share * 1000.0) as i64)
    };
    let mut pen = Pen::new(buffer, area, 0);
    let room = usize::from(area.width).saturating_sub(load_width + 8);
    if numbers.len() > 1 && room > 4 {
        pen.text("cores ", theme.dim);
        let on = |style| style;
        let is_apart = numbers.len() <= CORES_APART && numbers.len() * 2 <= room;
        let groups = numbers.len() / CORE_GROUP;
        let is_grouped = numbers.len() + groups <= room;
        // More than fit: a bar for several of them, the busiest counts.
        let each = numbers.len().div_ceil(room).max(1);
        for (at, several) in numbers.chunks(each).enumerate() {
            let most = several.iter().filter_map(busy).max();
            if at > 0 && is_grouped && !is_apart && at % CORE_GROUP == 0 {
                pen.skip(1);
            }
            draw_sparkline(
                &mut pen,
                std::iter::once(most),
                Steps::CPU,
                false,
                on,
                theme,
            );
            if is_apart {
                pen.skip(1);
            }
        }
    }
    let x = area.right().saturating_sub(load_width as u16);
    Pen::new(buffer, area, 0).to(x.max(area.x)).spans(&load);
}

pub(super) fn panes(screen: &HostScreen, context: &Context) -> Vec<Pane> {
    let Some(host) = &context.host else {
        return Vec::new();
    };
    if host.newest().is_none() {
        // Nobody knows yet.
        return Pane::ALL.to_vec();
    }
    let listed = blocks::of(screen, &about(context, host));
    let charts = [Pane::Cpu, Pane::Memory, Pane::Network, Pane::Disk];
    let is_there = |pane: &Pane| {
        charts.contains(pane)
            || (*pane == Pane::Cores && has_cores(host))
            || listed.iter().any(|block| block.pane == *pane)
    };
    Pane::ALL.iter().copied().filter(is_there).collect()
}

fn has_cores(host: &HostRows) -> bool {
    host.values_of(&CPU_UTILIZATION, "cpu.logical_number").len() > 1
}

pub(super) fn pane_at(screen: &HostScreen, context: &Context, place: Position) -> Option<Pane> {
    let host = context.host.as_ref()?;
    let areas = areas(screen, context, host);
    if areas.cores.contains(place) {
        return Some(Pane::Cores);
    }
    let charts = areas.charts.iter().map(|(pane, area)| (*pane, *area));
    let lists = areas.blocks.iter().map(|(block, area)| (block.pane, *area));
    charts
        .chain(lists)
        .find(|(_, area)| area.contains(place))
        .map(|(pane, _)| pane)
}

/// The chart at a place of the screen.
pub(super) fn plot_at(screen: &HostScreen, context: &Context, place: Position) -> Option<Plot> {
    let host = context.host.as_ref()?;
    let about = about(context, host);
    let areas = areas(screen, context, host);
    let is_chart = |pane: Pane| matches!(pane, Pane::Cpu | Pane::Network | Pane::Disk);
    let charts = areas.charts.iter().filter(|(pane, _)| is_chart(*pane));
    let mut plots = charts.filter_map(|(_, area)| about.plot_of(*area));
    plots.find(|plot| plot.area.contains(place))
}

/// The list of processes, without its rule.
pub(super) fn process_area(screen: &HostScreen, context: &Context) -> Option<Rect> {
    let host = context.host.as_ref()?;
    host.newest()?;
    let areas = areas(screen, context, host);
    let (_, area) = areas
        .blocks
        .into_iter()
        .find(|(block, _)| block.pane == Pane::Processes)?;
    Some(crate::layout::below(area, 1))
}
