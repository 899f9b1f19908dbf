//! Every processor with its last minutes, numbered down the columns: for four and for hundreds.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_wire::metrics::CPU_UTILIZATION;

use crate::context::Context;
use crate::format::percent;
use crate::model::host_rows::HostRows;
use crate::theme::Severity;
use crate::widgets::paint::Pen;
use crate::widgets::sparkline::sparkline;

/// Cells of a processor's number and of its value, with the space around them.
const TEXT_WIDTH: u16 = 10;

/// Cells of its last minutes at least and at most; without so many it has only its value.
const TREND_WIDTH: (u16, u16) = (3, 120);

pub(super) const SATURATED: f64 = 0.97;

fn cores(host: &HostRows) -> Vec<(u32, usize)> {
    let mut cores: Vec<(u32, usize)> = host
        .values_of(&CPU_UTILIZATION, "cpu.logical_number")
        .iter()
        .filter_map(|number| {
            let attributes = [("cpu.logical_number", number.as_str())];
            let at = host.find(&CPU_UTILIZATION, &attributes)?;
            Some((number.as_str().parse().ok()?, at))
        })
        .collect();
    cores.sort_unstable();
    cores
}

pub(super) fn values(host: &HostRows) -> Vec<(String, Option<f64>)> {
    let cores = cores(host).into_iter();
    cores
        .map(|(number, at)| (number.to_string(), host.now_at(&CPU_UTILIZATION, at)))
        .collect()
}

/// How many columns there are, and how many processors are in each.
fn grid(count: usize, area: Rect) -> (u16, usize) {
    let rows = usize::from(area.height.saturating_sub(1)).max(1);
    let most = usize::from((area.width / TEXT_WIDTH).max(1));
    let across = count.div_ceil(rows).clamp(1, most);
    (
        u16::try_from(across).unwrap_or(1),
        count.div_ceil(across).max(1),
    )
}

pub(super) fn scroll_max(host: &HostRows, area: Rect) -> u16 {
    let (_, rows) = grid(cores(host).len(), area);
    let room = usize::from(area.height.saturating_sub(1));
    u16::try_from(rows.saturating_sub(room)).unwrap_or(u16::MAX)
}

pub(super) fn draw(
    scroll: u16,
    context: &Context,
    host: &HostRows,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let cores = cores(host);
    let (across, rows) = grid(cores.len(), area);
    let width = area.width / across;
    let room = width.saturating_sub(TEXT_WIDTH).min(TREND_WIDTH.1);
    let trend = if room < TREND_WIDTH.0 { 0 } else { room };
    let step_ms = host.step_ms(usize::from(trend));
    draw_summary(context, host, &cores, area, buffer);
    let top = usize::from(scroll.min(scroll_max(host, area)));
    for (place, (number, at)) in cores.iter().enumerate() {
        let (column, row) = (place / rows, place % rows);
        let Some(line) = row.checked_sub(top) else {
            continue;
        };
        let busy = host.now_at(&CPU_UTILIZATION, *at);
        let severity = match busy {
            Some(busy) if busy >= SATURATED => Severity::Warning,
            _ => Severity::None,
        };
        let part = Rect {
            x: area.x + column as u16 * width,
            y: area.y + 1,
            width,
            height: area.height.saturating_sub(1),
        };
        let history = host.history_at(&CPU_UTILIZATION, *at, usize::from(trend), step_ms);
        // A cell shows the largest value of its step.
        let values = history
            .iter()
            .map(|step| step.map(|step| (step.max * 1000.0).round() as i64));
        Pen::new(buffer, part, u16::try_from(line).unwrap_or(u16::MAX))
            .right(&number.to_string(), 4, theme.dim)
            .skip(1)
            .text(&sparkline(values, 1000, theme.ascii), theme.graph)
            .right(&percent(busy), 4, theme.severity(severity));
    }
}

fn draw_summary(
    context: &Context,
    host: &HostRows,
    cores: &[(u32, usize)],
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let busy: Vec<(u32, f64)> = cores
        .iter()
        .filter_map(|(number, at)| Some((*number, host.now_at(&CPU_UTILIZATION, *at)?)))
        .collect();
    let Some((number, most)) = busy.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return;
    };
    let mean = busy.iter().map(|(_, busy)| busy).sum::<f64>() / busy.len() as f64;
    let saturated = busy.iter().filter(|(_, busy)| *busy >= SATURATED).count();
    let values = [
        ("mean", percent(Some(mean)) + "%"),
        ("busiest", format!("{}% ({number})", percent(Some(*most)))),
        ("saturated", format!("{saturated} of {}", busy.len())),
    ];
    let mut pen = Pen::new(buffer, area, 0);
    pen.skip(1);
    for (word, value) in values {
        pen.text(word, theme.dim)
            .skip(1)
            .text(&value, theme.text)
            .skip(2);
    }
}
