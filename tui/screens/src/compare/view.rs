//! One metric of several hosts: a small chart each with one scale, or all in one.
//!
//! ```text
//!  COMPARE cpu  top 10  in 1 h  from 0 to 100%  15 s per point
//!  ▌ db-1                    97%     web-1                   12%
//!    ⣀⣀⣠⣤⣶⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿        ⣀⣀⣀⣀⣀⣀⣀⣠⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use sysmon_config::time::{format_clock, format_moment, format_span};
use unicode_width::UnicodeWidthStr;

use super::state::{Compare, CompareLine, HUES};
use crate::context::Context;
use crate::format::fit;
use crate::layout::body;
use crate::model::host_rows::Step;
use crate::model::summary::{CPU, FILESYSTEM, LOAD, MEMORY, TEMPERATURE, value_text};
use crate::widgets::chart::{Inks, POINTS_PER_CELL, chart};
use crate::widgets::paint::Pen;
use crate::widgets::section::{Section, headline};
use crate::widgets::sparkline::round_scale;
use crate::widgets::traces::{Trace, traces};

const LINES_ABOVE: u16 = 1;

const CHART_WIDTH: u16 = 28;
const CHART_ROWS: u16 = 4;
const CHART_ROWS_MIN: u16 = 2;

/// Lower screens have no times below the charts.
const CLOCKS_FROM: u16 = 8;

/// What is said of each line below the chart of all.
const FIGURES: [&str; 5] = ["NOW", "MIN", "AVG", "P95", "MAX"];

/// Lists narrower than this have the value of now only.
const FIGURES_FROM: u16 = 60;

/// Blocks wider than this say the average and the maximum, too.
const SPREAD_FROM: usize = 40;

const SCALE_WIDTH: u16 = 5;
const VALUE_WIDTH: usize = 8;

const MARK: usize = 3;
const GAP: u16 = 2;

const DAY_MS: i64 = 86_400_000;

/// The top of the one scale: all of a share, else the highest of what is shown, rounded up.
fn scale(compare: &Compare) -> f64 {
    let lines = compare.lines().iter();
    let highest = lines
        .flat_map(CompareLine::points)
        .fold(0.0f64, |a, (_, b)| a.max(b));
    match compare.metric {
        CPU | MEMORY | FILESYSTEM => 1.0,
        LOAD => round_scale((highest.ceil() as i64).max(1)) as f64,
        TEMPERATURE => round_scale((highest.ceil() as i64).max(50)) as f64,
        _ => round_scale((highest.ceil() as i64).max(1_000)) as f64,
    }
}

struct Grid {
    area: Rect,
    columns: usize,
    rows: usize,
    size: Size,
}

impl Grid {
    fn of(area: Rect, count: usize) -> Self {
        let columns_max = usize::from(area.width / CHART_WIDTH).max(1);
        let height = |columns: usize| {
            let rows = count.max(1).div_ceil(columns);
            usize::from(area.height) / rows
        };
        let is_high = |columns: &usize| height(*columns) >= usize::from(CHART_ROWS);
        let columns = (1..=columns_max).find(is_high).unwrap_or(columns_max);
        let high = height(columns).max(usize::from(CHART_ROWS_MIN)) as u16;
        Self {
            area,
            columns,
            rows: usize::from(area.height / high).max(1),
            size: Size::new(area.width / columns as u16, high),
        }
    }

    fn per_page(&self) -> usize {
        self.columns * self.rows
    }

    fn place(&self, at: usize) -> Rect {
        let (column, row) = (at / self.rows, at % self.rows);
        Rect {
            x: self.area.x + column as u16 * self.size.width,
            y: self.area.y + row as u16 * self.size.height,
            width: self.size.width,
            height: self.size.height,
        }
    }
}

/// Charts, and below them a line of clocks where there is room.
fn parts(body: Rect) -> (Rect, Option<Rect>) {
    let clocks = u16::from(body.height >= CLOCKS_FROM);
    let charts = Rect {
        y: body.y + LINES_ABOVE,
        height: body.height.saturating_sub(LINES_ABOVE + clocks),
        ..body
    };
    let line = Rect {
        y: charts.bottom(),
        height: 1,
        ..body
    };
    (charts, (clocks > 0).then_some(line))
}

/// Where the chart of all, its clocks, and the list of its lines with a heading are.
struct Overlay {
    chart: Rect,
    clocks: Rect,
    list: Rect,
}

impl Overlay {
    fn of(body: Rect, count: usize) -> Self {
        let below = body.height.saturating_sub(LINES_ABOVE);
        let list = (count as u16 + 1).min(below / 2);
        let clocks = u16::from(body.height >= CLOCKS_FROM);
        let part = |y: u16, height: u16| Rect { y, height, ..body };
        let (from, height) = (body.y + LINES_ABOVE, below.saturating_sub(list + clocks));
        Self {
            chart: part(from, height),
            clocks: part(from + height, clocks),
            list: Rect {
                width: body.width.saturating_sub(1),
                ..part(from + height + clocks, list)
            },
        }
    }

    /// The lines of the list, without its heading.
    fn rows(&self) -> Rect {
        Rect {
            y: self.list.y + 1,
            height: self.list.height.saturating_sub(1),
            ..self.list
        }
    }
}

fn page(selected: usize, per_page: usize) -> usize {
    selected / per_page.max(1) * per_page.max(1)
}

pub(super) fn line_at(compare: &Compare, context: &Context, x: u16, y: u16) -> Option<usize> {
    let body = body(context.size);
    let (charts, _) = parts(body);
    let count = compare.lines().len();
    let hit = |area: Rect| area.contains((x, y).into());
    let (first, at) = if compare.is_overlaid {
        let list = Overlay::of(body, count).rows();
        let first = page(compare.selected_at(), usize::from(list.height));
        (first, hit(list).then(|| usize::from(y - list.y)))
    } else {
        let grid = Grid::of(charts, count);
        let first = page(compare.selected_at(), grid.per_page());
        let at = (0..grid.per_page()).find(|at| hit(grid.place(*at)));
        (first, at)
    };
    at.map(|at| first + at).filter(|at| *at < count)
}

pub(super) fn draw(compare: &Compare, context: &Context, area: Rect, buffer: &mut Buffer) {
    draw_title(compare, context, area, buffer);
    let (charts, clocks) = parts(area);
    let theme = &context.theme;
    let told = match &compare.refused {
        Some(reason) => Some(reason.as_str()),
        None if compare.lines().is_empty() => Some("no host to compare"),
        None => None,
    };
    if let Some(told) = told {
        Pen::new(buffer, charts, 1)
            .skip(MARK)
            .text(told, theme.text);
        return;
    }
    let max = scale(compare);
    if compare.is_overlaid {
        draw_overlaid(compare, context, max, area, buffer);
        return;
    }
    let plots = draw_small(compare, context, max, charts, buffer);
    if let Some(line) = clocks {
        for plot in plots {
            let part = Rect {
                x: plot.x,
                width: plot.width,
                ..line
            };
            draw_clocks(context, part, buffer);
        }
    }
}

fn draw_title(compare: &Compare, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let count = compare.lines().len();
    let what = match (compare.ago_text(), compare.selected()) {
        (Some(ago), Some(line)) => format!("{} and {ago} before", line.host),
        _ if compare.is_marked => format!("{count} marked"),
        _ => format!("top {count}"),
    };
    let top = value_text(compare.metric, Some(scale(compare)));
    let mut more = vec![what, format!("in {}", context.chart_span.text())];
    if compare.left_out > 0 {
        more.insert(1, format!("{} more left out", compare.left_out));
    }
    more.push(format!("from 0 to {top}"));
    more.push(format!("{} per point", format_span(compare.step_ms())));
    let title = format!("COMPARE {}", compare.alias());
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    headline(theme, area, &title, &more, buffer);
}

/// The values of a line, as many as a chart of this width has columns.
fn columns(
    compare: &Compare,
    context: &Context,
    line: &CompareLine,
    width: u16,
) -> Vec<Option<f64>> {
    let window = context.chart_window();
    let count = i64::from(width) * POINTS_PER_CELL as i64;
    let span = window.to - window.from;
    // The newest step is incomplete: the last complete one is at the right edge.
    let late = match context.at {
        Some(_) => 0,
        None => (window.to - window.to.floor(compare.step_ms())).min(span),
    };
    let moment = |n: i64| window.from - late + span * n / count.max(1);
    (0..count)
        .map(|n| line.mean(moment(n), moment(n + 1)))
        .collect()
}

/// The cell of a chart that the moment shown lies in, if it is not now.
fn cursor(context: &Context, width: u16) -> Option<u16> {
    let window = context.chart_window();
    let cell = window.cell(context.at?, usize::from(width))?;
    u16::try_from(cell).ok()
}

fn draw_cursor(context: &Context, plot: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let Some(x) = cursor(context, plot.width) else {
        return;
    };
    for y in plot.top()..plot.bottom() {
        let Some(cell) = buffer.cell_mut((plot.x + x, y)) else {
            continue;
        };
        if cell.symbol() == " " {
            cell.set_symbol(theme.pick("│", "|"));
        }
        cell.set_style(theme.key);
    }
}

fn shown_value(compare: &Compare, context: &Context, line: &CompareLine) -> String {
    value_text(compare.metric, compare.value(line, context.now, context.at))
}

fn draw_small(
    compare: &Compare,
    context: &Context,
    max: f64,
    area: Rect,
    buffer: &mut Buffer,
) -> Vec<Rect> {
    let theme = &context.theme;
    let grid = Grid::of(area, compare.lines().len());
    let first = page(compare.selected_at(), grid.per_page());
    let mut lowest: Vec<Rect> = Vec::new();
    let shown = compare.lines().iter().enumerate().skip(first);
    for (place, (at, line)) in shown.take(grid.per_page()).enumerate() {
        let block = grid.place(place);
        let is_selected = at == compare.selected_at();
        let text = shown_value(compare, context, line);
        let width = usize::from(block.width.saturating_sub(GAP));
        let spread = line.spread().filter(|_| width >= SPREAD_FROM);
        let spread = spread.map_or_else(String::new, |[_, mean, _, max]| {
            let text = |value| value_text(compare.metric, Some(value));
            format!("avg {} max {}  ", text(mean), text(max))
        });
        let name_width = width.saturating_sub(MARK + spread.width() + text.width() + 1);
        let mark = theme.mark(is_selected);
        let name = if is_selected { theme.title } else { theme.text };
        Pen::new(buffer, block, 0)
            .skip(1)
            .text(mark, theme.key)
            .skip(1)
            .text(&fit(&compare.name(line), name_width), name)
            .skip(1)
            .text(&spread, theme.dim)
            .text(&text, theme.title);
        let plot = Rect {
            x: block.x + MARK as u16,
            y: block.y + 1,
            width: block.width.saturating_sub(MARK as u16 + GAP),
            height: block.height.saturating_sub(1),
        };
        let values = columns(compare, context, line, plot.width).into_iter();
        let steps: Vec<_> = values.map(|value| value.map(Step::of)).collect();
        draw_plot_or_why(compare, context, line, plot, buffer);
        chart(
            buffer,
            plot,
            &steps,
            max,
            Inks::One(theme.graph),
            theme.ascii,
        );
        draw_cursor(context, plot, buffer);
        match lowest.last_mut() {
            Some(above) if above.x == plot.x => *above = plot,
            _ => lowest.push(plot),
        }
    }
    lowest
}

fn draw_plot_or_why(
    compare: &Compare,
    context: &Context,
    line: &CompareLine,
    plot: Rect,
    buffer: &mut Buffer,
) {
    if line.points().next().is_some() {
        return;
    }
    let text = if compare.is_answered() {
        "no samples at this time"
    } else {
        "waiting for the hub"
    };
    let row = plot.height.saturating_sub(1) / 2;
    Pen::new(buffer, plot, row).text(text, context.theme.dim);
}

fn letter(at: usize) -> char {
    char::from_digit(1 + at as u32, 36).unwrap_or('*')
}

/// Draws all lines in one chart, the selected one before the others, and what each of them is below.
fn draw_overlaid(compare: &Compare, context: &Context, max: f64, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let lines = compare.lines();
    let overlay = Overlay::of(area, lines.len());
    let left = overlay.chart;
    let plot = Rect {
        x: left.x + SCALE_WIDTH + 2,
        width: left.width.saturating_sub(SCALE_WIDTH + 5),
        ..left
    };
    let top = value_text(compare.metric, Some(max));
    let top = top.trim_end_matches("B/s");
    Pen::new(buffer, left, 0)
        .skip(1)
        .right(top, usize::from(SCALE_WIDTH), theme.dim);
    Pen::new(buffer, left, left.height.saturating_sub(1))
        .skip(1)
        .right("0", usize::from(SCALE_WIDTH), theme.dim);
    if let Some(line) = lines
        .first()
        .filter(|_| lines.iter().all(|l| l.points().next().is_none()))
    {
        draw_plot_or_why(compare, context, line, plot, buffer);
    }
    let selected = compare.selected_at();
    // Six lines are distinguished by colour; of more, the selected one is highlighted.
    let style = |at: usize| match lines.len() {
        ..=HUES => theme.hues.get(at).copied().unwrap_or(theme.dim),
        _ if at == selected => theme.key,
        _ => theme.dim,
    };
    let others = (0..lines.len()).filter(|at| *at != selected);
    let order: Vec<usize> = others.chain([selected]).collect();
    let trace = |&at: &usize| {
        Some(Trace {
            values: columns(compare, context, lines.get(at)?, plot.width),
            letter: letter(at),
            style: style(at),
        })
    };
    let drawn: Vec<Trace> = order.iter().filter_map(trace).collect();
    traces(buffer, plot, &drawn, max, theme.ascii);
    draw_cursor(context, plot, buffer);
    // The letter is where a line ends.
    for trace in &drawn {
        let end = trace.values.last().copied().flatten();
        let Some(share) = end.map(|end| (end / max.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)) else {
            continue;
        };
        let last = f64::from(plot.height.saturating_sub(1));
        let row = plot.y + (last - (share * last).round()) as u16;
        if let Some(cell) = buffer.cell_mut((plot.right() + 1, row)) {
            cell.set_char(trace.letter).set_style(trace.style);
        }
    }
    let clocks = Rect {
        x: plot.x,
        width: plot.width,
        ..overlay.clocks
    };
    draw_clocks(context, clocks, buffer);
    draw_list(compare, context, &overlay, &style, buffer);
}

fn draw_list(
    compare: &Compare,
    context: &Context,
    overlay: &Overlay,
    style: &dyn Fn(usize) -> ratatui::style::Style,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let (area, list) = (overlay.list, overlay.rows());
    let shown = match area.width {
        ..FIGURES_FROM => 1,
        _ => FIGURES.len(),
    };
    let figures = FIGURES.iter().take(shown);
    let heads: String = figures
        .map(|head| format!("{head:>VALUE_WIDTH$}"))
        .collect();
    let rule = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(1),
        ..area
    };
    Section::new(theme, "HOSTS")
        .right(vec![(heads.trim_start().to_owned(), theme.dim)])
        .draw_to_edge(theme, rule, buffer);
    let first = page(compare.selected_at(), usize::from(list.height));
    let lines = compare.lines().iter().enumerate().skip(first);
    for (row, (at, line)) in (0..list.height).zip(lines) {
        let is_selected = at == compare.selected_at();
        let mark = theme.mark(is_selected);
        let name = if is_selected { theme.title } else { theme.text };
        let room = usize::from(list.width).saturating_sub(MARK + 3 + shown * VALUE_WIDTH);
        let mut pen = Pen::new(buffer, list, row);
        pen.skip(1)
            .text(mark, theme.key)
            .skip(1)
            .text(&letter(at).to_string(), style(at))
            .skip(1)
            .text(&fit(&compare.name(line), room), name)
            .skip(1)
            .right(
                &shown_value(compare, context, line),
                VALUE_WIDTH,
                theme.title,
            );
        let spread = line.spread().map_or([None; 4], |spread| spread.map(Some));
        for value in spread.into_iter().take(shown - 1) {
            let text = value_text(compare.metric, value);
            pen.right(&text, VALUE_WIDTH, theme.text);
        }
    }
}

fn draw_clocks(context: &Context, line: Rect, buffer: &mut Buffer) {
    let window = context.chart_window();
    let is_long = window.to - window.from >= DAY_MS;
    let clock = |at: sysmon_wire::UnixMs| match is_long {
        true => {
            let mut text = format_moment(at.0, &context.zone);
            text.truncate(16);
            text
        }
        false => format_clock(at.0, &context.zone),
    };
    let (from, to) = (clock(window.from), clock(window.to));
    let dim = context.theme.dim;
    Pen::new(buffer, line, 0).text(&from, dim);
    if usize::from(line.width) > from.width() + to.width() + 1 {
        Pen::new(buffer, line, 0).right(&to, usize::from(line.width), dim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_are_as_wide_as_they_can_be_and_stay_on_the_screen() {
        for (width, height) in [(20, 2), (80, 18), (120, 24), (300, 74)] {
            let area = Rect::new(0, 1, width, height);
            for count in 1..=24 {
                let grid = Grid::of(area, count);
                for at in 0..grid.per_page() {
                    let place = grid.place(at);
                    assert_eq!(place.intersection(area), place, "{width}x{height}, {count}");
                }
            }
        }
        let one = Grid::of(Rect::new(0, 0, 120, 24), 1);
        assert_eq!((one.columns, one.size), (1, Size::new(120, 24)));
        let ten = Grid::of(Rect::new(0, 0, 120, 25), 10);
        assert_eq!((ten.columns, ten.size), (2, Size::new(60, 5)));
    }
}
