//! A maximized pane: charts of every series, each processor, or a table with all columns.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::{format_clock, format_span};

use super::pane_tables::{self, Row, Shown, is_share, shown, sorted, titles, trend_factor};
use super::state::{Pane, Panes};
use super::{cores, pane_charts};
use crate::context::Context;
use crate::format::{amount, fit};
use crate::keys::Mode;
use crate::layout::{below, body};
use crate::model::host_rows::{HostRows, Step};
use crate::theme::Theme;
use crate::widgets::paint::{Pen, fill};
use crate::widgets::plot::Plot;
use crate::widgets::section::headline;
use crate::widgets::sparkline::{round_scale, sparkline};

const NAME_WIDTH: (usize, usize) = (12, 28);

/// The past of a row is drawn where so many cells are left, and over so many at most.
const TREND_WIDTH: (usize, usize) = (12, 120);

/// The lines above the rows: what it is, and the headings.
const HEAD_ROWS: u16 = 2;

pub(super) const HEADING_ROW: u16 = 2;

pub(super) fn draw(panes: &Panes, context: &Context, area: Rect, buffer: &mut Buffer) {
    let Some(host) = &context.host else { return };
    let main = below(area, 1);
    draw_heading(panes, context, host, area, buffer);
    if host.newest().is_none() {
        return;
    }
    match panes.focus {
        Pane::Cores => cores::draw(panes.scroll, context, host, main, buffer),
        pane if titles(pane).is_empty() => pane_charts::draw(panes, context, host, main, buffer),
        _ => draw_table(panes, context, host, main, buffer),
    }
}

fn draw_heading(
    panes: &Panes,
    context: &Context,
    host: &HostRows,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let main = below(area, 1);
    let cursor = pane_charts::cursor(panes, host, main).filter(|_| has_charts(panes.focus));
    let read = match cursor {
        Some((_, moment)) => format!("cursor {}", format_clock(moment.0, &context.zone)),
        None => String::new(),
    };
    let moment = match host.newest() {
        Some(newest) => format!("at {}", format_clock(newest.0, &context.zone)),
        None if host.complete => "no samples at this time".to_owned(),
        None => "loading".to_owned(),
    };
    let max = scroll_max(panes, context);
    let left = max - panes.scroll.min(max);
    let more = match (max, left) {
        (0, _) => String::new(),
        (_, 0) => "the end".to_owned(),
        (_, left) => format!("{left} more {}", theme.pick("↓", "v")),
    };
    let details = [read.as_str(), &moment, &more];
    headline(theme, area, panes.focus.title(), &details, buffer);
}

/// Whether a pane is charts, not a table.
pub(super) fn has_charts(pane: Pane) -> bool {
    pane != Pane::Cores && titles(pane).is_empty()
}

/// The charts that are shown; none where the pane is a table.
pub(super) fn plots(panes: &Panes, context: &Context) -> Vec<Plot> {
    let host = context.host.as_ref();
    let host = host.filter(|_| context.mode() == Mode::Pane && has_charts(panes.focus));
    let main = below(body(context.size), 1);
    host.map_or_else(Vec::new, |host| pane_charts::plots(panes, host, main))
}

pub(super) type TableRow = (String, Vec<Option<f64>>);

/// The table of the pane that fills the screen, all its columns; of charts and processors, a row for each line.
/// Numbers are in SI base units, and fields are called by what is measured.
pub(super) fn table(panes: &Panes, context: &Context) -> (Vec<String>, Vec<TableRow>) {
    let pane = panes.focus;
    let Some(host) = &context.host else {
        return (vec!["name".to_owned()], Vec::new());
    };
    if titles(pane).is_empty() {
        let fields = ["name", "value"].map(str::to_owned).to_vec();
        let lines = match pane {
            Pane::Cores => cores::values(host),
            _ => pane_charts::values(host, pane),
        };
        let rows = lines.into_iter().map(|(name, value)| (name, vec![value]));
        return (fields, rows.collect());
    }
    let mut fields = pane_tables::fields(pane);
    let rows = sorted(host, panes);
    let row = |row: &Row| (row.name.to_string(), pane_tables::values(row, fields.len()));
    let rows = rows.iter().map(row).collect();
    fields.insert(0, "name".to_owned());
    (fields, rows)
}

/// The sorts whose columns are shown, that of the name first.
pub(super) fn sorts(panes: &Panes, context: &Context) -> Vec<usize> {
    let Some(host) = &context.host else {
        return Vec::new();
    };
    let rows = pane_tables::rows(host, panes.focus);
    let width = usize::from(context.size.width).saturating_sub(2);
    let columns = shown(panes.focus, &rows, width - name_width(&rows, width));
    let columns = columns.into_iter().map(|column| column.at + 1);
    std::iter::once(0).chain(columns).collect()
}

pub(super) fn scroll_max(panes: &Panes, context: &Context) -> u16 {
    let Some(host) = &context.host else { return 0 };
    let main = below(body(context.size), 1);
    match panes.focus {
        Pane::Cores => cores::scroll_max(host, main),
        pane if titles(pane).is_empty() => pane_charts::scroll_max(panes, host, main),
        pane => {
            let rows = pane_tables::rows(host, pane).len();
            let room = usize::from(main.height.saturating_sub(HEAD_ROWS - 1));
            u16::try_from(rows.saturating_sub(room)).unwrap_or(u16::MAX)
        }
    }
}

fn name_width(rows: &[Row], width: usize) -> usize {
    let longest = rows
        .iter()
        .map(|row| row.name.as_str().chars().count())
        .max();
    let wanted = longest.unwrap_or(0).clamp(NAME_WIDTH.0, NAME_WIDTH.1);
    wanted.min(width)
}

fn draw_table(panes: &Panes, context: &Context, host: &HostRows, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let rows = sorted(host, panes);
    let width = usize::from(area.width).saturating_sub(2);
    let name = name_width(&rows, width);
    let columns = shown(panes.focus, &rows, width - name);
    let used = name + columns.iter().map(|column| column.width).sum::<usize>() + 2;
    let trend = width.saturating_sub(used).min(TREND_WIDTH.1);
    let trend = if trend < TREND_WIDTH.0 { 0 } else { trend };
    let trends = Trends::new(panes.focus, host, &rows, trend, theme);
    draw_titles(panes, context, area, (name, &columns), &trends, buffer);
    let room = usize::from(area.height.saturating_sub(1));
    let top = usize::from(panes.scroll).min(rows.len().saturating_sub(room));
    let lines = rows.iter().zip(&trends.lines).skip(top).take(room);
    for ((row, trend), line) in lines.zip(1..) {
        let mut pen = Pen::new(buffer, area, line);
        pen.skip(1).text(&fit(row.name.as_str(), name), theme.text);
        for column in &columns {
            if let Some(cell) = row.cells.get(column.at) {
                pen.right(&cell.text, column.width, theme.severity(cell.severity));
            }
        }
        let text = sparkline(trend.iter().copied(), trends.top, theme.ascii);
        pen.skip(2).text(&text, theme.graph);
    }
    if rows.is_empty() {
        Pen::new(buffer, area, 1)
            .skip(1)
            .text("no data at this moment", theme.dim);
    }
}

fn draw_titles(
    panes: &Panes,
    context: &Context,
    area: Rect,
    (name, columns): (usize, &[Shown]),
    trends: &Trends,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    fill(
        buffer,
        Rect {
            height: area.height.min(1),
            ..area
        },
        theme.text,
    );
    let mark = |at: usize| panes.sort == Some(at);
    let style = |at: usize| if mark(at) { theme.key } else { theme.dim };
    let mut pen = Pen::new(buffer, area, 0);
    pen.skip(1).text(&fit("NAME", name), style(0));
    for column in columns {
        let title = column.title.to_uppercase();
        pen.right(&title, column.width, style(column.at + 1));
    }
    if let Some(title) = &trends.title {
        pen.skip(2).text(title, theme.dim);
    }
}

/// What the columns of a pane's table are called, the name first; none where it is no table.
pub(super) fn columns(pane: Pane) -> Vec<&'static str> {
    match titles(pane) {
        titles if titles.is_empty() => Vec::new(),
        titles => std::iter::once("name")
            .chain(titles.into_iter().map(|(title, _)| title))
            .collect(),
    }
}

pub(super) fn sort_at(panes: &Panes, context: &Context, x: u16) -> Option<usize> {
    let host = context.host.as_ref()?;
    let rows = pane_tables::rows(host, panes.focus);
    if titles(panes.focus).is_empty() {
        return None;
    }
    let width = usize::from(context.size.width).saturating_sub(2);
    let name = name_width(&rows, width);
    let mut end = 1 + name;
    let x = usize::from(x);
    if x < end {
        return Some(0);
    }
    let columns = shown(panes.focus, &rows, width - name);
    columns.iter().find_map(|column| {
        end += column.width;
        (x < end).then_some(column.at + 1)
    })
}

struct Trends {
    title: Option<String>,
    lines: Vec<Vec<Option<i64>>>,
    top: i64,
}

impl Trends {
    fn new(pane: Pane, host: &HostRows, rows: &[Row], cells: usize, theme: &Theme) -> Self {
        let step_ms = host.step_ms(cells);
        let history = |row: &Row| match row.trend {
            Some((metric, at)) if cells > 0 => host.history_at(&metric, at, cells, step_ms),
            _ => Vec::new(),
        };
        let all: Vec<Vec<Option<Step>>> = rows.iter().map(history).collect();
        // A cell shows the largest value of its step.
        let metric = rows.iter().find_map(|row| row.trend);
        let metric = metric.map(|(metric, _)| metric);
        let factor = metric.as_ref().map_or(1.0, trend_factor);
        let highest = all.iter().flatten().flatten().map(|step| step.max);
        let highest = highest.fold(0.0f64, f64::max) * factor;
        let top = match pane_tables::trend_max(pane) {
            Some(max) => (max * factor) as i64,
            None => round_scale((highest.ceil() as i64).max(1)),
        };
        let scale = match metric {
            Some(metric) if is_share(&metric) => format!("{}%", top / 10),
            Some(metric) if metric.unit == "s" => format!("{} ms", top as f64 / 1e3),
            _ => amount(Some(top as f64)),
        };
        let title = format!(
            "{} {} 0{}{scale}",
            pane_tables::trend_title(pane),
            format_span(step_ms * cells as i64),
            theme.pick("–", "-"),
        );
        let cell = |step: &Option<Step>| step.map(|step| (step.max * factor).round() as i64);
        Self {
            title: (cells > 0 && !rows.is_empty()).then(|| title.trim_start().to_owned()),
            lines: all
                .iter()
                .map(|line| line.iter().map(cell).collect())
                .collect(),
            top,
        }
    }
}
