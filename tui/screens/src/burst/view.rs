//! A minute of a host at ten samples a second.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::format_clock;
use sysmon_wire::UnixMs;
use sysmon_wire::metrics::{CPU_UTILIZATION, DISK_IO, MEMORY_UTILIZATION, Metric, NET_IO};

use super::state::{BURST_INTERVAL_MS, BURST_MS, BurstScreen};
use crate::context::Context;
use crate::format::{amount, percent};
use crate::model::host_rows::{HostRows, Step};
use crate::model::process::NOT_STORED;
use crate::widgets::axis::{SCALE_WIDTH, draw_scale, plot_of};
use crate::widgets::chart::{POINTS_PER_CELL, line};
use crate::widgets::paint::Pen;
use crate::widgets::section::headline;
use crate::widgets::sparkline::round_scale;

type Attributes = &'static [(&'static str, &'static str)];

/// A chart: its title and its lines; shares have a scale of their own.
struct Part {
    title: &'static str,
    lines: &'static [(&'static str, Metric, Attributes)],
    is_share: bool,
}

const PARTS: [Part; 4] = [
    Part {
        title: "CPU",
        lines: &[("", CPU_UTILIZATION, &[])],
        is_share: true,
    },
    Part {
        title: "MEMORY",
        lines: &[("", MEMORY_UTILIZATION, &[])],
        is_share: true,
    },
    Part {
        title: "NETWORK",
        lines: &[
            ("in", NET_IO, &[("network.io.direction", "receive")]),
            ("out", NET_IO, &[("network.io.direction", "transmit")]),
        ],
        is_share: false,
    },
    Part {
        title: "DISK",
        lines: &[
            ("read", DISK_IO, &[("disk.io.direction", "read")]),
            ("write", DISK_IO, &[("disk.io.direction", "write")]),
        ],
        is_share: false,
    },
];

struct Frame {
    points: usize,
    step_ms: i64,
    end: UnixMs,
    newest: UnixMs,
}

/// Rows further apart than this are not those of a burst.
const APART_MS_MAX: i64 = 2 * BURST_INTERVAL_MS as i64;

pub(super) fn draw(burst: &BurstScreen, context: &Context, area: Rect, buffer: &mut Buffer) {
    let Some(host) = &context.host else { return };
    draw_heading(burst, context, host, area, buffer);
    let body = Rect {
        y: area.y + area.height.min(1),
        height: area.height.saturating_sub(2),
        ..area
    };
    let Some(newest) = end(burst, context, host) else {
        return;
    };
    let each = body.height / PARTS.len() as u16;
    let width = body.width.saturating_sub(SCALE_WIDTH + 3);
    // The width is a minute, or as much of it as fits.
    let points = usize::from(width) * POINTS_PER_CELL;
    let step_ms = step_ms(points);
    // Whole steps, so that the picture moves one at a time.
    let end = newest.floor(step_ms);
    let spare = body.height - each * PARTS.len() as u16;
    let mut y = body.y;
    for (at, part) in (0..).zip(&PARTS) {
        let height = (each + u16::from(at < spare)).max(1);
        if y + height > body.bottom() {
            break;
        }
        let block = Rect { y, height, ..body };
        let frame = Frame {
            points,
            step_ms,
            end,
            newest,
        };
        draw_part(context, host, part, &frame, block, buffer);
        y += height;
    }
    let axis = Rect {
        x: area.x + SCALE_WIDTH + 1,
        y,
        width,
        height: area.height.min(1),
    };
    if y < area.bottom() && each > 1 {
        draw_axis(context, points as i64 * step_ms, end, axis, buffer);
    }
}

fn step_ms(points: usize) -> i64 {
    let interval = i64::from(BURST_INTERVAL_MS);
    let steps = (BURST_MS / interval).div_euclid((points as i64).max(1));
    steps.max(1) * interval
}

/// Up to which moment is shown: the newest row, but nothing that came after the burst.
fn end(burst: &BurstScreen, context: &Context, host: &HostRows) -> Option<UnixMs> {
    let newest = host.newest()?;
    let end = match (context.at, burst.asked) {
        (None, Some(burst)) => newest.min(burst.until),
        _ => newest,
    };
    Some((end + 1).floor(i64::from(BURST_INTERVAL_MS)))
}

fn draw_heading(
    burst: &BurstScreen,
    context: &Context,
    host: &HostRows,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let interval = format!("{BURST_INTERVAL_MS} ms");
    let is_fast = host.interval_ms().is_some_and(|ms| ms <= APART_MS_MAX);
    let left = burst.asked.map_or(0, |burst| burst.left_ms(context.now));
    let what = match (context.at, left) {
        (Some(_), _) if is_fast => format!("{interval} samples of that moment"),
        (Some(_), _) if context.is_downsampled() => NOT_STORED.to_owned(),
        (Some(_), _) => "no burst at this moment: one sample per second".to_owned(),
        (None, 0) => match burst.asked {
            Some(burst) => format!("ended at {}", format_clock(burst.until.0, &context.zone)),
            None => "not started".to_owned(),
        },
        (None, _) if !is_fast => format!("starting: samples every {interval}"),
        (None, left) => format!(
            "one sample every {interval}, {} s left",
            (left + 999) / 1000
        ),
    };
    headline(theme, area, &format!("BURST {interval}"), &[&what], buffer);
}

fn draw_part(
    context: &Context,
    host: &HostRows,
    part: &Part,
    frame: &Frame,
    block: Rect,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let styles = [theme.graph, theme.graph_second];
    let text = |value: Option<f64>| match part.is_share {
        true => percent(value) + "%",
        false => amount(value) + "B/s",
    };
    let lines: Vec<Vec<Option<Step>>> = part
        .lines
        .iter()
        .map(|(_, metric, attributes)| {
            host.moments(metric, attributes, frame.points, frame.step_ms, frame.end)
        })
        .collect();
    let mut pen = Pen::new(buffer, block, 0);
    pen.skip(1).text(part.title, theme.title);
    for (((word, metric, attributes), values), style) in part.lines.iter().zip(&lines).zip(styles) {
        let interval = i64::from(BURST_INTERVAL_MS);
        let newest = host.moments(metric, attributes, 2, interval, frame.newest);
        let newest = newest.last().copied().flatten().map(|step| step.mean);
        let newest = newest.or_else(|| host.now(metric, attributes));
        let highest = values
            .iter()
            .flatten()
            .map(|step| step.max)
            .reduce(f64::max);
        pen.skip(2).text(word, style);
        pen.skip(usize::from(!word.is_empty()))
            .text(&format!("{:>7}", text(newest)), theme.text)
            .text(&format!("  peak {:>7}", text(highest)), theme.dim);
    }
    if block.height < 2 {
        return;
    }
    let highest = lines.iter().flatten().flatten().map(|step| step.max);
    let highest = highest.fold(0.0f64, f64::max);
    let max = match part.is_share {
        true => 1.0,
        false => round_scale((highest.ceil() as i64).max(1_000)) as f64,
    };
    let plot = plot_of(block, SCALE_WIDTH);
    let top = if part.is_share {
        "100%".to_owned()
    } else {
        amount(Some(max))
    };
    draw_scale(buffer, plot, SCALE_WIDTH, &top, theme);
    for (values, style) in lines.iter().zip(styles).rev() {
        line(buffer, plot, values, max, style, theme.ascii);
    }
}

fn draw_axis(context: &Context, span_ms: i64, end: UnixMs, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let begin = format_clock((end - span_ms).0, &context.zone);
    let end = format_clock(end.0, &context.zone);
    Pen::new(buffer, area, 0).text(&begin, theme.dim);
    Pen::new(buffer, area, 0).right(&end, usize::from(area.width), theme.dim);
}
