//! The scale and the line of time of a host's chart.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::{format_clock, format_moment, format_span};

use super::chart::POINTS_PER_CELL;
use super::paint::Pen;
use crate::context::Context;
use crate::model::host_rows::HostRows;
use crate::theme::Theme;

pub(crate) const SCALE_WIDTH: u16 = 5;

/// Longer charts name times with their date.
const DAY_MS: i64 = 86_400_000;

/// Where a chart is drawn in a block with a title above and a scale at the left.
pub(crate) fn plot_of(block: Rect, scale_width: u16) -> Rect {
    Rect {
        x: block.x + scale_width + 1,
        y: block.y + 1,
        width: block.width.saturating_sub(scale_width + 3),
        height: block.height.saturating_sub(1),
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

/// A span for a label: minutes are rounded to halves.
fn about(ms: i64, theme: &Theme) -> String {
    const HALF_MS: i64 = 30_000;
    let halves = (ms + HALF_MS / 2) / HALF_MS;
    if !(4..120).contains(&halves) {
        return format_span(ms);
    }
    let half = if halves % 2 == 1 {
        theme.pick("½", ".5")
    } else {
        ""
    };
    format!("{}{half} min", halves / 2)
}

/// Draws how long ago while live, and the time of day in the past.
pub(crate) fn draw_axis(context: &Context, host: &HostRows, line: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let span_ms = step_ms(host, line.width) * i64::from(line.width) * POINTS_PER_CELL as i64;
    let text = |ms: i64| match (context.at, ms) {
        (Some(at), _) if span_ms >= DAY_MS => {
            let mut text = format_moment((at - ms).0, &context.zone);
            text.truncate(16);
            text
        }
        (Some(at), _) => format_clock((at - ms).0, &context.zone),
        (None, 0) => "now".to_owned(),
        (None, _) => format!("{}{}", theme.pick("−", "-"), about(ms, theme)),
    };
    let middle = usize::from(line.width / 2);
    let mut pen = Pen::new(buffer, line, 0);
    pen.text(&text(span_ms), theme.dim);
    Pen::new(buffer, line, 0)
        .skip(middle)
        .text(&text(span_ms / 2), theme.dim);
    Pen::new(buffer, line, 0).right(&text(0), usize::from(line.width), theme.dim);
}
