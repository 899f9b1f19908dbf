//! The charts of a pane that fills the screen: one for each series or pair of them, with one scale.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_wire::UnixMs;
use sysmon_wire::metrics::{
    CPU_UTILIZATION, DISK_IO, MEMORY_DIRTY, MEMORY_LIMIT, MEMORY_USAGE, Metric, NET_IO,
    PAGING_LIMIT, PAGING_USAGE, PRESSURE_TIME,
};

use super::state::{Pane, Panes};
use super::view::has_ended;
use crate::context::Context;
use crate::format::{amount, percent, size};
use crate::model::host_rows::{HostRows, Step};
use crate::widgets::axis::{
    SCALE_WIDTH, cells_of, draw_axis, draw_scale, plot_of_host, step_ms, window_of,
};
use crate::widgets::chart::{POINTS_PER_CELL, line};
use crate::widgets::mirrored::rate_top;
use crate::widgets::paint::Pen;
use crate::widgets::plot::{Plot, draw_cursor, draw_end};

/// A chart is so high at least and at most, its title included, and so wide at least.
const HEIGHT: (u16, u16) = (4, 14);
const WIDTH_MIN: u16 = 38;

const ACROSS_MAX: u16 = 6;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Share,
    /// Bytes, up to so many.
    Size(f64),
    /// Bytes a second, up to the highest of all charts.
    Rate,
}

impl Scale {
    fn text(self, value: Option<f64>) -> String {
        match self {
            // The times of two rows are a little off; more than all of it is not possible.
            Self::Share => percent(value.map(|share| share.min(1.0))) + "%",
            Self::Size(_) => size(value),
            Self::Rate => amount(value) + "B/s",
        }
    }

    fn top(self, max: f64) -> String {
        match self {
            Self::Rate => amount(Some(max)),
            scale => scale.text(Some(max)),
        }
    }
}

struct Small {
    title: String,
    lines: Vec<(&'static str, Metric, usize)>,
    scale: Scale,
}

fn one(
    host: &HostRows,
    title: &str,
    metric: Metric,
    attributes: &[(&str, &str)],
    scale: Scale,
) -> Option<Small> {
    Some(Small {
        title: title.to_owned(),
        lines: vec![("", metric, host.find(&metric, attributes)?)],
        scale,
    })
}

fn smalls(host: &HostRows, pane: Pane) -> Vec<Small> {
    match pane {
        Pane::Cpu => cpu(host),
        Pane::Memory => memory(host),
        Pane::Network => pairs(
            host,
            NET_IO,
            "network.interface.name",
            "network.io.direction",
            [("in", "receive"), ("out", "transmit")],
        ),
        Pane::Disk => pairs(
            host,
            DISK_IO,
            "system.device",
            "disk.io.direction",
            [("read", "read"), ("write", "write")],
        ),
        Pane::Pressure => pressure(host),
        _ => Vec::new(),
    }
}

pub(super) fn values(host: &HostRows, pane: Pane) -> Vec<(String, Option<f64>)> {
    let smalls = smalls(host, pane).into_iter();
    let of_one = |small: Small| {
        let title = small.title;
        let value = move |(word, metric, at): (&str, Metric, usize)| {
            let name = format!("{title} {word}");
            (name.trim_end().to_owned(), host.now_at(&metric, at))
        };
        small.lines.into_iter().map(value)
    };
    smalls.flat_map(of_one).collect()
}

fn cpu(host: &HostRows) -> Vec<Small> {
    let of = |title: &str, attributes: &[(&str, &str)]| {
        one(host, title, CPU_UTILIZATION, attributes, Scale::Share)
    };
    let modes = host.values_of(&CPU_UTILIZATION, "cpu.mode");
    let modes = modes
        .iter()
        .filter_map(|mode| of(mode.as_str(), &[("cpu.mode", mode.as_str())]));
    of("busy", &[]).into_iter().chain(modes).collect()
}

fn memory(host: &HostRows) -> Vec<Small> {
    let limit = Scale::Size(host.now(&MEMORY_LIMIT, &[]).unwrap_or(0.0));
    let swap = host.now(&PAGING_LIMIT, &[]).unwrap_or(0.0);
    let state = |title: &str| {
        let state = [("system.memory.state", title)];
        one(host, title, MEMORY_USAGE, &state, limit)
    };
    let mut all: Vec<_> = ["used", "cached", "buffers", "free"]
        .into_iter()
        .filter_map(state)
        .collect();
    all.extend(one(host, "dirty", MEMORY_DIRTY, &[], limit));
    if swap > 0.0 {
        let used = [("system.paging.state", "used")];
        all.extend(one(
            host,
            "swap used",
            PAGING_USAGE,
            &used,
            Scale::Size(swap),
        ));
    }
    all
}

fn pressure(host: &HostRows) -> Vec<Small> {
    let mut all = Vec::new();
    for resource in ["cpu", "memory", "io"] {
        let lines = ["some", "full"].into_iter().filter_map(|scope| {
            let attributes = [
                ("linux.pressure.resource", resource),
                ("linux.pressure.scope", scope),
            ];
            Some((
                scope,
                PRESSURE_TIME,
                host.find(&PRESSURE_TIME, &attributes)?,
            ))
        });
        all.push(Small {
            title: format!("waiting for {resource}"),
            lines: lines.collect(),
            scale: Scale::Share,
        });
    }
    all.retain(|small| !small.lines.is_empty());
    all
}

/// Both directions of the whole, and of each device where there are several.
fn pairs(
    host: &HostRows,
    metric: Metric,
    device: &str,
    direction: &str,
    words: [(&'static str, &str); 2],
) -> Vec<Small> {
    let of = |title: &str, own: Option<&str>| {
        let lines = words.iter().filter_map(|(word, value)| {
            let mut attributes = vec![(direction, *value)];
            attributes.extend(own.map(|own| (device, own)));
            Some((*word, metric, host.find(&metric, &attributes)?))
        });
        Small {
            title: title.to_owned(),
            lines: lines.collect(),
            scale: Scale::Rate,
        }
    };
    let devices = host.values_of(&metric, device);
    let whole = (devices.len() != 1).then(|| of("all", None));
    let each = devices
        .iter()
        .map(|name| of(name.as_str(), Some(name.as_str())));
    let mut all: Vec<_> = whole.into_iter().chain(each).collect();
    all.retain(|small| !small.lines.is_empty());
    all
}

fn grid(count: usize, area: Rect) -> (u16, u16) {
    let count = u16::try_from(count).unwrap_or(u16::MAX).max(1);
    let widest = (area.width / WIDTH_MIN).clamp(1, ACROSS_MAX).min(count);
    let room = area.height.saturating_sub(1);
    // As few side by side as fit without scrolling.
    let fits = |across: &u16| count.div_ceil(*across) * HEIGHT.0 <= room;
    let across = (1..=widest).find(fits).unwrap_or(widest);
    // Wide screens have several even so: a chart of 300 columns is hard to read.
    let across = across.max(count.min(area.width / 120).clamp(1, widest));
    let height = (room / count.div_ceil(across)).clamp(HEIGHT.0, HEIGHT.1);
    (across, height.min(room.max(1)))
}

fn rows_shown(height: u16, area: Rect) -> u16 {
    (area.height.saturating_sub(1) / height.max(1)).max(1)
}

/// Where the charts of a pane are.
struct Layout {
    area: Rect,
    across: u16,
    width: u16,
    height: u16,
    /// Cells of each chart.
    cells: u16,
    /// The first chart shown, and how many are.
    top: usize,
    shown: usize,
}

impl Layout {
    fn new(panes: &Panes, host: &HostRows, count: usize, area: Rect) -> Self {
        let (across, height) = grid(count, area);
        let width = area.width / across;
        let room = width.saturating_sub(SCALE_WIDTH + 3);
        let rows = u16::try_from(count).unwrap_or(u16::MAX).div_ceil(across);
        let rows_shown = rows_shown(height, area);
        let top = panes.scroll.min(rows.saturating_sub(rows_shown)) * across;
        let shown = usize::from(rows_shown * across).min(count.saturating_sub(usize::from(top)));
        Self {
            area,
            across,
            width,
            height,
            cells: cells_of(host, room).min(room),
            top: usize::from(top),
            shown,
        }
    }

    /// The blocks of the charts that are shown.
    fn blocks(&self) -> impl Iterator<Item = Rect> {
        (0..self.shown as u16).map(|place| {
            Rect {
                x: self.area.x + place % self.across * self.width,
                y: self.area.y + place / self.across * self.height,
                width: self.width,
                height: self.height,
            }
            .intersection(self.area)
        })
    }
}

pub(super) fn scroll_max(panes: &Panes, host: &HostRows, area: Rect) -> u16 {
    let count = smalls(host, panes.focus).len();
    let (across, height) = grid(count, area);
    let rows = u16::try_from(count).unwrap_or(u16::MAX).div_ceil(across);
    rows.saturating_sub(rows_shown(height, area))
}

/// The charts that are shown, the first one first.
pub(super) fn plots(panes: &Panes, host: &HostRows, area: Rect) -> Vec<Plot> {
    let count = smalls(host, panes.focus).len();
    let layout = Layout::new(panes, host, count, area);
    let Some(window) = window_of(host, layout.cells) else {
        return Vec::new();
    };
    let plot = |block| Plot {
        area: plot_of_host(host, block, SCALE_WIDTH),
        window,
    };
    layout.blocks().map(plot).collect()
}

pub(super) fn draw(
    panes: &Panes,
    context: &Context,
    host: &HostRows,
    area: Rect,
    buffer: &mut Buffer,
) {
    let smalls = smalls(host, panes.focus);
    if smalls.is_empty() {
        let dim = context.theme.dim;
        Pen::new(buffer, area, 0)
            .skip(1)
            .text("no data at this moment", dim);
        return;
    }
    let layout = Layout::new(panes, host, smalls.len(), area);
    let step = step_ms(host, layout.cells);
    let points = usize::from(layout.cells) * POINTS_PER_CELL;
    // All of them, not only those shown: scrolling leaves the scale as it is.
    let drawn: Vec<Vec<Vec<Option<Step>>>> = smalls
        .iter()
        .map(|small| {
            let lines = small.lines.iter();
            lines
                .map(|(_, metric, at)| host.history_at(metric, *at, points, step))
                .collect()
        })
        .collect();
    let highest = drawn.iter().flatten().flatten().flatten();
    let rate = rate_top(highest.fold(0.0f64, |a, step| a.max(step.max)));
    let cursor = cursor(panes, host, area);
    let mut bottom = area.y;
    let all = smalls.iter().zip(&drawn).skip(layout.top);
    for ((small, lines), block) in all.zip(layout.blocks()) {
        bottom = bottom.max(block.bottom());
        let cell = cursor.map(|(cell, _)| cell);
        draw_small(context, host, (small, lines, rate), (block, cell), buffer);
    }
    if bottom < area.bottom() {
        let columns = layout.across.min(layout.shown as u16);
        for column in 0..columns {
            let axis = Rect {
                x: area.x + column * layout.width + SCALE_WIDTH + 1,
                y: bottom,
                width: layout.cells,
                height: 1,
            };
            draw_axis(context, host, axis, &context.theme, buffer);
        }
    }
}

/// The cell of the cursor, and its moment.
pub(super) fn cursor(panes: &Panes, host: &HostRows, area: Rect) -> Option<(u16, UnixMs)> {
    let moment = panes.cursor?;
    let plot = *plots(panes, host, area).first()?;
    let cell = plot.cell_of(moment);
    Some((cell, plot.moments(cell).from))
}

/// What a line was in a cell of its chart.
fn at_cell(values: &[Option<Step>], cell: u16) -> Option<f64> {
    let first = usize::from(cell) * POINTS_PER_CELL;
    let points = values.get(first..first + POINTS_PER_CELL)?;
    let known = || points.iter().flatten();
    let count = known().map(|step| f64::from(step.count)).sum::<f64>();
    let sum = known().map(|step| step.mean * f64::from(step.count));
    (count > 0.0).then(|| sum.sum::<f64>() / count)
}

fn draw_small(
    context: &Context,
    host: &HostRows,
    (small, lines, rate): (&Small, &[Vec<Option<Step>>], f64),
    (block, cursor): (Rect, Option<u16>),
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let styles = [theme.graph, theme.graph_second];
    let room = Rect {
        width: block.width.saturating_sub(2),
        ..block
    };
    let mut pen = Pen::new(buffer, room, 0);
    pen.skip(1)
        .text(theme.pick("─ ", "- "), theme.rule)
        .text(&small.title, theme.title);
    for (((word, metric, at), values), style) in small.lines.iter().zip(lines).zip(styles) {
        let (value, ink) = match cursor {
            Some(cell) => (at_cell(values, cell), theme.key),
            None => (host.now_at(metric, *at), theme.text),
        };
        // The word has the colour of its line.
        pen.skip(2).text(word, style);
        pen.skip(usize::from(!word.is_empty()))
            .text(&small.scale.text(value), ink);
    }
    if let [values] = lines {
        let all = || values.iter().flatten();
        let low = all().map(|step| step.min).reduce(f64::min);
        let high = all().map(|step| step.max).reduce(f64::max);
        let text = small.scale;
        let extent = format!("{} to {}", text.text(low), text.text(high));
        pen.skip(2).text(&extent, theme.dim);
    }
    let max = match small.scale {
        Scale::Share => 1.0,
        Scale::Size(max) => max,
        Scale::Rate => rate,
    };
    let plot = plot_of_host(host, block, SCALE_WIDTH);
    draw_scale(buffer, plot, SCALE_WIDTH, &small.scale.top(max), theme);
    // The first line goes over the second where both have a cell.
    for (values, style) in lines.iter().zip(styles).rev() {
        line(buffer, plot, values, max, style, theme.ascii);
    }
    if has_ended(context, host) {
        draw_end(buffer, plot, theme);
    }
    if let Some(cell) = cursor {
        draw_cursor(buffer, plot, cell, theme);
    }
}
