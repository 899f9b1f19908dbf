//! One host: what it is, charts on the left, tables on the right.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use sysmon_config::time::format_span;
use sysmon_wire::Label;
use sysmon_wire::metrics::{
    CPU_UTILIZATION, DISK_IO, LOAD_1M, LOAD_5M, LOAD_15M, MEMORY_LIMIT, MEMORY_USAGE,
    MEMORY_UTILIZATION, Metric, NET_IO, PAGING_LIMIT, PAGING_USAGE,
};

use super::state::{HostScreen, Pane};
use super::tables::Tables;
use crate::context::Context;
use crate::format::{amount, load, percent, short_span, size};
use crate::layout::{below, body};
use crate::model::host_rows::HostRows;
use crate::theme::Theme;
use crate::widgets::axis::{SCALE_WIDTH, draw_axis, draw_scale, plot_of, step_ms};
use crate::widgets::chart::{POINTS_PER_CELL, chart};
use crate::widgets::paint::{Pen, note};
use crate::widgets::sparkline::round_scale;

const TWO_COLUMNS_FROM: u16 = 96;

const RECEIVE: &[(&str, &str)] = &[("network.io.direction", "receive")];
const TRANSMIT: &[(&str, &str)] = &[("network.io.direction", "transmit")];
const READ: &[(&str, &str)] = &[("disk.io.direction", "read")];
const WRITE: &[(&str, &str)] = &[("disk.io.direction", "write")];

pub(super) fn draw(screen: &HostScreen, context: &Context, area: Rect, buffer: &mut Buffer) {
    let Some(host) = &context.host else { return };
    let theme = &context.theme;
    draw_facts(
        context,
        host,
        Rect {
            height: area.height.min(1),
            ..area
        },
        buffer,
    );
    let main = below(area, 1);
    if let Some(reason) = &host.refused {
        note(buffer, main, 1, reason.as_str(), theme.title);
        return;
    }
    if host.newest().is_none() {
        let text = if host.complete {
            "No samples at this time"
        } else {
            "Loading"
        };
        note(buffer, main, 1, text, theme.dim);
        return;
    }
    let tables = tables(screen, context, host);
    let (charts, right) = parts(tables, main);
    draw_charts(screen, context, host, charts, buffer);
    tables.draw(right, buffer);
}

fn tables<'a>(screen: &'a HostScreen, context: &'a Context, host: &'a HostRows) -> Tables<'a> {
    Tables {
        screen,
        context,
        host,
    }
}

/// The areas of charts and tables: side by side, the tables as wide as needed, or on a narrow screen one above the other.
fn parts(tables: Tables<'_>, body: Rect) -> (Rect, Rect) {
    if body.width >= TWO_COLUMNS_FROM {
        let most = Rect {
            width: body.width - body.width * 11 / 20,
            ..body
        };
        let needed = tables.width_needed(most);
        let width = body.width - needed;
        let right = Rect {
            x: body.x + width,
            width: needed,
            ..body
        };
        return (Rect { width, ..body }, right);
    }
    let height = body.height * 3 / 5;
    let lower = Rect {
        y: body.y + height,
        height: body.height - height,
        ..body
    };
    (Rect { height, ..body }, lower)
}

pub(super) fn scroll_max(screen: &HostScreen, context: &Context) -> u16 {
    let Some(host) = &context.host else { return 0 };
    let tables = tables(screen, context, host);
    let (_, area) = parts(tables, below(body(context.size), 1));
    tables.scroll_max(area)
}

pub(super) fn panes(screen: &HostScreen, context: &Context) -> Vec<Pane> {
    let Some(host) = &context.host else {
        return Vec::new();
    };
    if host.newest().is_none() {
        // Nobody knows yet.
        return Pane::ALL.to_vec();
    }
    let tables = tables(screen, context, host);
    let (_, area) = parts(tables, below(body(context.size), 1));
    let listed = tables.panes(area.width);
    let is_there = |pane: &Pane| CHARTS.contains(pane) || listed.contains(pane);
    Pane::ALL.iter().copied().filter(is_there).collect()
}

pub(super) fn scroll_to_focus(screen: &HostScreen, context: &Context) -> u16 {
    let Some(host) = &context.host else { return 0 };
    let tables = tables(screen, context, host);
    let (_, area) = parts(tables, below(body(context.size), 1));
    tables.scroll_to(area)
}

pub(super) fn pane_at(screen: &HostScreen, context: &Context, place: Position) -> Option<Pane> {
    let host = context.host.as_ref()?;
    let tables = tables(screen, context, host);
    let (charts, area) = parts(tables, below(body(context.size), 1));
    if charts.contains(place) {
        let blocks = chart_blocks(charts);
        let at = blocks.iter().position(|block| block.contains(place))?;
        return CHARTS.get(at).copied();
    }
    tables.pane_at(area, place)
}

const CHARTS: [Pane; 4] = [Pane::Cpu, Pane::Memory, Pane::Network, Pane::Disk];

/// The area of each chart with its title. On a low screen the last ones are left out.
fn chart_blocks(area: Rect) -> Vec<Rect> {
    let count = CHARTS.len() as u16;
    let room = area.height.saturating_sub(axis_height(area));
    let (each, rest) = (room / count, room % count);
    let mut y = area.y;
    let mut blocks = Vec::new();
    for at in 0..count {
        let height = (each + u16::from(at < rest)).max(1);
        if y + height > area.bottom() {
            break;
        }
        blocks.push(Rect { y, height, ..area });
        y += height;
    }
    blocks
}

fn axis_height(area: Rect) -> u16 {
    u16::from(area.height >= 10)
}

fn draw_facts(context: &Context, host: &HostRows, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let Some(line) = &host.line else { return };
    let facts = &line.facts;
    let dot = theme.pick(" · ", " - ");
    let is_otlp = !facts.source.as_str().is_empty();
    // Senders of OTLP seldom know all of it.
    let known =
        |text: &Label, part: String| (!is_otlp || !text.as_str().is_empty()).then_some(part);
    let mut parts = Vec::new();
    parts.extend(known(&facts.os, facts.os.to_string()));
    parts.extend(known(&facts.kernel, format!("kernel {}", facts.kernel)));
    parts.push(match facts.cpu_model.as_str() {
        "" if is_otlp => format!("{} processors", facts.cpus),
        model => format!("{} × {model}", facts.cpus),
    });
    parts.push(format!("{} memory", size(Some(facts.memory_bytes as f64))));
    if facts.boot.0 > 0 {
        parts.push(format!("up {}", short_span(context.moment() - facts.boot)));
    }
    if is_otlp {
        let interval = format_span(i64::from(facts.interval_ms));
        parts.push(format!("{} every {interval}", facts.source));
    }
    parts.extend(facts.tags.iter().map(ToString::to_string));
    let text = parts.join(dot);
    let text = if theme.ascii {
        text.replace('×', "x")
    } else {
        text
    };
    Pen::new(buffer, area, 0).skip(1).text(&text, theme.dim);
}

struct Graph {
    pane: Pane,
    values: Vec<(&'static str, String)>,
    /// Filled, and a second one in its own half if there are two.
    lines: Vec<(Metric, &'static [(&'static str, &'static str)])>,
    /// The top of the scale; none for the highest value, rounded up.
    max: Option<f64>,
}

fn graphs(host: &HostRows) -> Vec<Graph> {
    let mode = |mode| percent(host.now(&CPU_UTILIZATION, &[("cpu.mode", mode)])) + "%";
    let level = |metric: &Metric| load(host.now(metric, &[]));
    let memory = |state| size(host.now(&MEMORY_USAGE, &[("system.memory.state", state)]));
    let rate = |metric: &Metric, attributes| amount(host.now(metric, attributes)) + "B/s";
    let mut memory_values = vec![
        ("", percent(host.now(&MEMORY_UTILIZATION, &[])) + "%"),
        ("used", memory("used")),
        ("of", size(host.now(&MEMORY_LIMIT, &[]))),
        ("cached", memory("cached")),
    ];
    if host
        .now(&PAGING_LIMIT, &[])
        .is_some_and(|limit| limit > 0.0)
    {
        memory_values.push((
            "swap",
            size(host.now(&PAGING_USAGE, &[("system.paging.state", "used")])),
        ));
    }
    vec![
        Graph {
            pane: Pane::Cpu,
            values: vec![
                ("", percent(host.now(&CPU_UTILIZATION, &[])) + "%"),
                ("user", mode("user")),
                ("system", mode("system")),
                ("iowait", mode("iowait")),
                (
                    "load",
                    [level(&LOAD_1M), level(&LOAD_5M), level(&LOAD_15M)].join(" "),
                ),
            ],
            lines: vec![(CPU_UTILIZATION, &[])],
            max: Some(1.0),
        },
        Graph {
            pane: Pane::Memory,
            values: memory_values,
            lines: vec![(MEMORY_UTILIZATION, &[])],
            max: Some(1.0),
        },
        Graph {
            pane: Pane::Network,
            values: vec![
                ("in", rate(&NET_IO, RECEIVE)),
                ("out", rate(&NET_IO, TRANSMIT)),
            ],
            lines: vec![(NET_IO, RECEIVE), (NET_IO, TRANSMIT)],
            max: None,
        },
        Graph {
            pane: Pane::Disk,
            values: vec![
                ("read", rate(&DISK_IO, READ)),
                ("write", rate(&DISK_IO, WRITE)),
            ],
            lines: vec![(DISK_IO, READ), (DISK_IO, WRITE)],
            max: None,
        },
    ]
}

fn draw_charts(
    screen: &HostScreen,
    context: &Context,
    host: &HostRows,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    // A title and at least two lines each; on a low screen the last graphs are left out, but their
    // titles, which hold the values, stay as long as there is a line for them.
    let mut newest_chart = None;
    let mut bottom = area.y;
    for (graph, block) in graphs(host).iter().zip(chart_blocks(area)) {
        bottom = block.bottom();
        draw_title(screen, context, graph, block, buffer);
        // A chart of one line shows no more than the value; two lines of rates share one.
        if block.height >= 3 {
            let plot = plot_of(block, SCALE_WIDTH);
            draw_graph(host, graph, theme, plot, buffer);
            newest_chart = Some(plot);
        }
    }
    if let (Some(plot), true) = (newest_chart, bottom < area.bottom()) {
        let line = Rect {
            y: bottom,
            height: 1,
            ..plot
        };
        draw_axis(context, host, line, buffer);
    }
}

fn draw_title(
    screen: &HostScreen,
    context: &Context,
    graph: &Graph,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let is_focus = screen.panes.focus == graph.pane;
    let style = if is_focus { theme.key } else { theme.title };
    let mut pen = Pen::new(buffer, area, 0);
    pen.skip(1).text(graph.pane.title(), style);
    for (label, value) in &graph.values {
        pen.skip(2);
        if !label.is_empty() {
            pen.text(label, theme.dim).skip(1);
        }
        pen.text(value, theme.text);
    }
}

fn draw_graph(host: &HostRows, graph: &Graph, theme: &Theme, plot: Rect, buffer: &mut Buffer) {
    let points = usize::from(plot.width) * POINTS_PER_CELL;
    let step = step_ms(host, plot.width);
    let histories: Vec<_> = graph
        .lines
        .iter()
        .map(|(metric, attributes)| host.history(metric, attributes, points, step))
        .collect();
    let highest = histories
        .iter()
        .flatten()
        .flatten()
        .fold(0.0f64, |a, b| a.max(b.max));
    let max = graph
        .max
        .unwrap_or_else(|| round_scale((highest.ceil() as i64).max(1_000)) as f64);
    let top = if graph.max.is_some() {
        "100%".to_owned()
    } else {
        amount(Some(max))
    };
    let styles = [theme.graph, theme.graph_second];
    let rows = plot.height / graph.lines.len() as u16;
    for ((at, history), style) in histories.iter().enumerate().zip(styles) {
        let part = Rect {
            y: plot.y + rows * at as u16,
            height: rows,
            ..plot
        };
        if rows == 0 {
            continue;
        }
        draw_scale(buffer, part, SCALE_WIDTH, &top, theme);
        chart(buffer, part, history, max, style, theme.ascii);
    }
}
