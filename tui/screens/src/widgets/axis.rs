//! The scale and the line of time of a host's chart.

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::{format_clock, format_moment};
use sysmon_wire::UnixMs;

use super::chart::POINTS_PER_CELL;
use super::paint::Pen;
use crate::context::Context;
use crate::model::host_rows::HostRows;
use crate::model::window::{Window, clock_step, local_offset_ms};
use crate::theme::Theme;

pub(crate) const SCALE_WIDTH: u16 = 5;

/// A chart whose newest row is older than this does not end now.
const LIVE_MS: i64 = 10_000;

/// Where a chart is drawn in a block with a title above and a scale at the left.
pub(crate) fn plot_of(block: Rect, scale_width: u16) -> Rect {
    Rect {
        x: block.x + scale_width + 1,
        y: block.y + 1,
        width: block.width.saturating_sub(scale_width + 3),
        height: block.height.saturating_sub(1),
    }
}

/// The same as wide as holds whole samples of a host.
pub(crate) fn plot_of_host(host: &HostRows, block: Rect, scale_width: u16) -> Rect {
    let plot = plot_of(block, scale_width);
    Rect {
        width: cells_of(host, plot.width).min(plot.width),
        ..plot
    }
}

pub(crate) fn draw_scale(buffer: &mut Buffer, plot: Rect, width: u16, top: &str, theme: &Theme) {
    let cells = usize::from(width);
    let scale = Rect {
        x: plot.x.saturating_sub(width + 1),
        width,
        ..plot
    };
    Pen::new(buffer, scale, 0).right(top, cells, theme.dim);
    if plot.height > 1 {
        Pen::new(buffer, scale, plot.height - 1).right("0", cells, theme.dim);
    }
}

/// Milliseconds per point of a chart of the host's whole window.
pub(crate) fn step_ms(host: &HostRows, width: u16) -> i64 {
    host.step_ms(usize::from(width) * POINTS_PER_CELL)
}

/// The moments of a host's charts that are so wide: they end at its newest row, at a full step.
pub(crate) fn window_of(host: &HostRows, width: u16) -> Option<Window> {
    let step = step_ms(host, width);
    let to = (host.newest()? + 1).floor(step);
    let from = to - step * i64::from(width) * POINTS_PER_CELL as i64;
    Some(Window { from, to })
}

/// Cells of a chart at least.
const CELLS_MIN: u16 = 15;

/// Cells of a chart in a room: as many as hold whole samples and divide the span, so that the past never shimmers.
pub(crate) fn cells_of(host: &HostRows, room: u16) -> u16 {
    let samples = host.window_ms() / host.point_ms().max(1);
    let fits = |cells: &u16| samples % (i64::from(*cells) * POINTS_PER_CELL as i64) == 0;
    let found = (CELLS_MIN..=room).rev().find(fits);
    found.filter(|cells| *cells * 4 >= room * 3).unwrap_or(room)
}

/// Draws clocks at round times, and the last moment at the right.
pub(crate) fn draw_axis(
    context: &Context,
    host: &HostRows,
    line: Rect,
    theme: &Theme,
    buffer: &mut Buffer,
) {
    let Some(newest) = host.newest() else { return };
    let Some(Window { from, to }) = window_of(host, line.width) else {
        return;
    };
    let is_live =
        context.at.is_none() && context.now - newest < LIVE_MS.max(2 * host.resolution_ms());
    let last = match is_live {
        true => "now".to_owned(),
        false => format_clock(newest.0, &context.zone),
    };
    let width = usize::from(line.width);
    let free = width.saturating_sub(last.len() + 1);
    draw_ticks(buffer, line, (from, to), free, &context.zone, theme);
    let style = if is_live { theme.faint } else { theme.text };
    Pen::new(buffer, line, 0).right(&last, width, style);
}

/// Draws clocks at round times, each after a tick, where there is room before `free` cells.
pub(crate) fn draw_ticks(
    buffer: &mut Buffer,
    line: Rect,
    (start, end): (UnixMs, UnixMs),
    free: usize,
    zone: &TimeZone,
    theme: &Theme,
) {
    let span = (end - start).max(1);
    let width = i64::from(line.width);
    let Some(step) = clock_step(span, width) else {
        return;
    };
    let offset = local_offset_ms(start, zone);
    let first = UnixMs(start.0 + offset).floor(step) + step - offset;
    let moments = std::iter::successors(Some(first), |moment| Some(*moment + step));
    for moment in moments.take_while(|moment| *moment < end) {
        let cell = ((moment - start) * width / span) as usize;
        let text = tick_text(moment, step, zone);
        if cell + 1 + text.len() > free {
            continue;
        }
        Pen::new(buffer, line, 0)
            .skip(cell)
            .text(theme.pick("╵", "|"), theme.faint)
            .text(&text, theme.faint);
    }
}

pub(crate) fn tick_text(moment: UnixMs, step: i64, zone: &TimeZone) -> String {
    const DAY_MS: i64 = 86_400_000;
    let mut text = match step {
        ..60_000 => return format_clock(moment.0, zone),
        60_000..DAY_MS => format_clock(moment.0, zone),
        _ => format_moment(moment.0, zone),
    };
    text.truncate(if step < DAY_MS { 5 } else { 10 });
    text
}

/// A span in the largest unit that divides it: `15 m`, `6 h`, `7 d`.
pub(crate) fn span_text(ms: i64) -> String {
    for (unit, name) in [
        (31_536_000_000, "y"),
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
    ] {
        if ms >= unit && ms % unit == 0 && !(unit == 86_400_000 && ms == unit) {
            return format!("{} {name}", ms / unit);
        }
    }
    format!("{} s", ms / 1000)
}
