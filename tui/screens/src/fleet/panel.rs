//! Below the table of hosts: the selected host's last minutes, and its busiest processes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_wire::metrics::{CPU_UTILIZATION, Metric, NET_IO};
use unicode_width::UnicodeWidthStr;

use super::preview::Preview;
use crate::context::Context;
use crate::format::{amount, fit, percent};
use crate::model::ROW_MS;
use crate::model::process::{NOT_STORED, memory, program};
use crate::widgets::chart::{POINTS_PER_CELL, chart};
use crate::widgets::paint::Pen;
use crate::widgets::sparkline::round_scale;

pub(super) const ROWS: u16 = 7;

/// Milliseconds per point of its charts: they move every ten seconds, not every one.
const STEP_MS: i64 = 5_000;

const PROCESSES_WIDTH: u16 = 44;
const COMMAND_WIDTH: usize = 20;

const TWO_CHARTS_FROM: u16 = 110;

const RECEIVE: &[(&str, &str)] = &[("network.io.direction", "receive")];
const TRANSMIT: &[(&str, &str)] = &[("network.io.direction", "transmit")];

pub(super) fn draw(preview: &Preview, context: &Context, area: Rect, buffer: &mut Buffer) {
    let right = PROCESSES_WIDTH.min(area.width / 2);
    let left = area.width - right;
    let charts = if area.width >= TWO_CHARTS_FROM { 2 } else { 1 };
    let width = left / charts;
    let part = |number: u16| Rect {
        x: area.x + number * width,
        width,
        ..area
    };
    let host = &preview.host;
    let cpu = host.now(&CPU_UTILIZATION, &[]);
    let title = format!("{}%", percent(cpu));
    draw_chart(
        context,
        preview,
        ("CPU", &title),
        (&CPU_UTILIZATION, &[]),
        Some(1.0),
        part(0),
        buffer,
    );
    if charts == 2 {
        let title = format!(
            "in {}B/s  out {}B/s",
            amount(host.now(&NET_IO, RECEIVE)),
            amount(host.now(&NET_IO, TRANSMIT))
        );
        draw_chart(
            context,
            preview,
            ("NETWORK", &title),
            (&NET_IO, RECEIVE),
            None,
            part(1),
            buffer,
        );
    }
    let list = Rect {
        x: area.x + left,
        width: right,
        ..area
    };
    draw_processes(context, preview, list, buffer);
}

fn draw_chart(
    context: &Context,
    preview: &Preview,
    (title, value): (&str, &str),
    (metric, attributes): (&Metric, &[(&str, &str)]),
    max: Option<f64>,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    Pen::new(buffer, area, 0)
        .skip(3)
        .text(title, theme.dim)
        .skip(2)
        .text(value, theme.text);
    let plot = Rect {
        x: area.x + 3,
        y: area.y + 1,
        width: area.width.saturating_sub(5),
        height: area.height.saturating_sub(1),
    };
    let points = usize::from(plot.width) * POINTS_PER_CELL;
    let step = STEP_MS.max(preview.host.resolution_ms());
    let history = preview.host.history(metric, attributes, points, step);
    let highest = history.iter().flatten().fold(0.0f64, |a, b| a.max(b.max));
    let max = max.unwrap_or_else(|| round_scale((highest.ceil() as i64).max(1_000)) as f64);
    chart(buffer, plot, &history, max, theme.graph, theme.ascii);
}

fn draw_processes(context: &Context, preview: &Preview, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    if preview.host.resolution_ms() > ROW_MS {
        Pen::new(buffer, area, 0).text("PROCESSES", theme.dim);
        Pen::new(buffer, area, 1).text(NOT_STORED, theme.dim);
        return;
    }
    if preview.processes.is_empty() {
        return;
    }
    Pen::new(buffer, area, 0)
        .text(&fit("PROCESS", COMMAND_WIDTH), theme.dim)
        .text("     PID   CPU%    MEM", theme.dim);
    let shown = preview.processes.iter().take(usize::from(area.height) - 1);
    for (row, process) in (1..).zip(shown) {
        let name = program(process);
        let name = fit(name, name.width().min(COMMAND_WIDTH));
        Pen::new(buffer, area, row)
            .text(&fit(&name, COMMAND_WIDTH), theme.text)
            .right(&process.identity.pid.to_string(), 8, theme.dim)
            .right(
                &format!("{:.1}", f64::from(process.cpu_permille) / 10.0),
                7,
                theme.text,
            )
            .right(&memory(process), 7, theme.text);
    }
}
