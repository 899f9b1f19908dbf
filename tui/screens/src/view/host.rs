//! One host: what it is, charts on the left, tables on the right.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use sysmon_config::time::{format_clock, format_moment, format_span};
use sysmon_wire::metrics::{
    CPU_UTILIZATION, DISK_IO, LOAD_1M, LOAD_5M, LOAD_15M, MEMORY_LIMIT, MEMORY_USAGE,
    MEMORY_UTILIZATION, Metric, NET_IO, PAGING_LIMIT, PAGING_USAGE,
};

use super::chart::{POINTS_PER_CELL, chart};
use super::host_tables;
use super::paint::Pen;
use super::sparkline::round_scale;
use crate::format::{amount, load, percent, short_span, size};
use crate::keys::Mode;
use crate::state::State;
use crate::state::host::HostView;
use crate::state::panes::Pane;
use crate::theme::Theme;

/// Beyond this clocks are told with their date.
const DAY_MS: i64 = 86_400_000;

/// Narrower screens have the tables below the charts.
const TWO_COLUMNS_FROM: u16 = 96;

/// Cells at the left of a chart for its scale.
pub(super) const SCALE_WIDTH: u16 = 5;

const RECEIVE: &[(&str, &str)] = &[("network.io.direction", "receive")];
const TRANSMIT: &[(&str, &str)] = &[("network.io.direction", "transmit")];
const READ: &[(&str, &str)] = &[("disk.io.direction", "read")];
const WRITE: &[(&str, &str)] = &[("disk.io.direction", "write")];

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some(host) = &state.host else { return };
    let theme = &state.theme;
    draw_facts(
        state,
        host,
        Rect {
            height: area.height.min(1),
            ..area
        },
        buffer,
    );
    let body = below_facts(area);
    if let Some(reason) = &host.refused {
        Pen::new(buffer, body, 1)
            .skip(3)
            .text(reason.as_str(), theme.title);
        return;
    }
    if host.newest().is_none() {
        let text = if host.complete {
            "No samples of this time"
        } else {
            "Loading"
        };
        Pen::new(buffer, body, 1).skip(3).text(text, theme.dim);
        return;
    }
    let (charts, tables) = parts(state, host, body);
    draw_charts(state, host, charts, buffer);
    host_tables::draw(state, host, tables, buffer);
}

/// Where charts and tables stand: side by side, the tables as wide as they need to be, or on a narrow screen one above the other.
fn parts(state: &State, host: &HostView, body: Rect) -> (Rect, Rect) {
    if body.width >= TWO_COLUMNS_FROM {
        let most = Rect {
            width: body.width - body.width * 11 / 20,
            ..body
        };
        let needed = host_tables::width_needed(state, host, most);
        let width = body.width - needed;
        let right = Rect {
            x: body.x + width,
            width: needed,
            ..body
        };
        return (Rect { width, ..body }, right);
    }
    let height = body.height * 3 / 5;
    let below = Rect {
        y: body.y + height,
        height: body.height - height,
        ..body
    };
    (Rect { height, ..body }, below)
}

/// What is left of the screen below the line of facts.
fn below_facts(area: Rect) -> Rect {
    Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    }
}

/// How far the tables can be scrolled.
pub fn scroll_max(state: &State) -> u16 {
    let Some(host) = &state.host else { return 0 };
    let (_, tables) = parts(state, host, below_facts(super::body(state.size)));
    host_tables::scroll_max(state, host, tables)
}

/// The panes that have something to show.
pub fn panes(state: &State) -> Vec<Pane> {
    let Some(host) = &state.host else {
        return Vec::new();
    };
    if host.newest().is_none() {
        // Nobody knows yet.
        return Pane::ALL.to_vec();
    }
    let (_, tables) = parts(state, host, below_facts(super::body(state.size)));
    let tables = host_tables::panes(state, host, tables.width);
    let is_there = |pane: &Pane| CHARTS.contains(pane) || tables.contains(pane);
    Pane::ALL.into_iter().filter(is_there).collect()
}

/// How far the tables are to be scrolled so that the pane with the focus is seen.
pub fn scroll_to_focus(state: &State) -> u16 {
    let Some(host) = &state.host else { return 0 };
    let (_, tables) = parts(state, host, below_facts(super::body(state.size)));
    host_tables::scroll_to(state, host, tables, state.panes.focus)
}

/// The pane at a place of the screen.
pub fn pane_at(state: &State, column: u16, row: u16) -> Option<Pane> {
    let host = state.host.as_ref()?;
    let (charts, tables) = parts(state, host, below_facts(super::body(state.size)));
    let place = Position::new(column, row);
    if charts.contains(place) {
        let blocks = chart_blocks(charts);
        let at = blocks.iter().position(|block| block.contains(place))?;
        return CHARTS.get(at).copied();
    }
    host_tables::pane_at(state, host, tables, (column, row))
}

/// The panes that are charts, from the top.
const CHARTS: [Pane; 4] = [Pane::Cpu, Pane::Memory, Pane::Network, Pane::Disk];

/// Where each chart stands, its title first. On a low screen the last ones are left out.
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

fn draw_facts(state: &State, host: &HostView, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let Some(line) = &host.line else { return };
    let facts = &line.facts;
    let dot = theme.pick(" · ", " - ");
    let mut parts = vec![facts.os.to_string(), format!("kernel {}", facts.kernel)];
    parts.push(format!("{} × {}", facts.cpus, facts.cpu_model));
    parts.push(format!("{} memory", size(Some(facts.memory_bytes as f64))));
    if facts.boot.0 > 0 {
        parts.push(format!("up {}", short_span(state.moment() - facts.boot)));
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

/// One of the charts.
struct Graph {
    pane: Pane,
    /// What stands beside the title: labels and values in turn.
    values: Vec<(&'static str, String)>,
    /// Filled, and a second one in its own half if there are two.
    lines: Vec<(Metric, &'static [(&'static str, &'static str)])>,
    /// The top of the scale; none for the highest value, rounded up.
    max: Option<f64>,
}

fn graphs(host: &HostView) -> Vec<Graph> {
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

fn draw_charts(state: &State, host: &HostView, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    // A title and at least two lines each; on a low screen the last graphs are left out, but their
    // titles, which hold the values, stay as long as there is a line for them.
    let mut newest_chart = None;
    let mut bottom = area.y;
    for (graph, block) in graphs(host).iter().zip(chart_blocks(area)) {
        bottom = block.bottom();
        draw_title(state, graph, block, buffer);
        // A chart of one line tells nothing that the value does not; two lines of rates share one.
        if block.height >= 3 {
            let plot = Rect {
                x: block.x + SCALE_WIDTH + 1,
                y: block.y + 1,
                width: block.width.saturating_sub(SCALE_WIDTH + 3),
                height: block.height - 1,
            };
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
        draw_axis(state, host, line, buffer);
    }
}

fn draw_title(state: &State, graph: &Graph, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let is_focus = state.place() == Mode::Host && state.panes.focus == graph.pane;
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

/// The charts' whole width stands for the window that a host is opened with.
pub(super) fn step_ms(host: &HostView, width: u16) -> i64 {
    host.step_ms(usize::from(width) * POINTS_PER_CELL)
}

fn draw_graph(host: &HostView, graph: &Graph, theme: &Theme, plot: Rect, buffer: &mut Buffer) {
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
        let scale = Rect {
            x: plot.x - SCALE_WIDTH - 1,
            width: SCALE_WIDTH,
            ..part
        };
        Pen::new(buffer, scale, 0).right(&top, usize::from(SCALE_WIDTH), theme.dim);
        if rows > 1 {
            Pen::new(buffer, scale, rows - 1).right("0", usize::from(SCALE_WIDTH), theme.dim);
        }
        chart(buffer, part, history, max, style, theme.ascii);
    }
}

/// How long ago, while it is live; of the past when it was.
pub(super) fn draw_axis(state: &State, host: &HostView, line: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let span_ms = step_ms(host, line.width) * i64::from(line.width) * POINTS_PER_CELL as i64;
    let text = |ms: i64| match (state.at, ms) {
        (Some(at), _) if span_ms >= DAY_MS => {
            let mut text = format_moment((at - ms).0, &state.zone);
            text.truncate(16);
            text
        }
        (Some(at), _) => format_clock((at - ms).0, &state.zone),
        (None, 0) => "now".to_owned(),
        (None, _) => format!("{}{}", theme.pick("−", "-"), format_span(ms)),
    };
    let middle = usize::from(line.width / 2);
    let mut pen = Pen::new(buffer, line, 0);
    pen.text(&text(span_ms), theme.dim);
    Pen::new(buffer, line, 0)
        .skip(middle)
        .text(&text(span_ms / 2), theme.dim);
    Pen::new(buffer, line, 0).right(&text(0), usize::from(line.width), theme.dim);
}
