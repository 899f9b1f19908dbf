//! Below the table of a wide screen: what the whole fleet does, and its busiest processes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_wire::message::{HUB_HOST, Points, Query, Request};
use sysmon_wire::metrics::{FLEET_CPU_UTILIZATION, FLEET_DISK_RATE, FLEET_NETWORK_RATE, Metric};
use sysmon_wire::{Process, UnixMs};

use crate::context::Context;
use crate::format::{amount, fit, percent};
use crate::model::host_rows::Step;
use crate::model::process::{memory, program};
use crate::model::step::Steps;
use crate::subscriptions::{Subscription, Topic};
use crate::theme::Theme;
use crate::widgets::axis::{draw_ticks, span_text};
use crate::widgets::chart::{Inks, POINTS_PER_CELL, chart};
use crate::widgets::mirrored::{SCALE, mirrored, scale};
use crate::widgets::paint::Pen;
use crate::widgets::section::{Section, Spans};
use crate::widgets::sparkline::round_scale;

/// The span of the totals.
const SPAN_MS: i64 = 3_600_000;

/// Cells of each of the three charts.
const CELLS: u16 = 30;
const STEP_MS: i64 = SPAN_MS / (CELLS as i64 * POINTS_PER_CELL as i64);
const WIDTH: u16 = CELLS + SCALE + 2;

/// They are asked for again this often.
const AGAIN_MS: i64 = 15_000;

/// Lines of the charts, with their rule and their line of time.
pub(super) const CHART_ROWS: u16 = 8;
const CHARTS: u16 = 3;

/// What the hub records of all hosts together, and in which of [`Totals::known`] the values of a series are.
const TOTALS: [(&Metric, &[(&str, usize)]); 3] = [
    (&FLEET_CPU_UTILIZATION, &[("", 0)]),
    (&FLEET_NETWORK_RATE, &[("receive", 1), ("transmit", 2)]),
    (&FLEET_DISK_RATE, &[("read", 3), ("write", 4)]),
];

/// Values of the whole fleet over the last hour.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// The end of what is asked for; `None` where nothing is shown.
    to: Option<UnixMs>,
    known: [Vec<Option<f64>>; 5],
}

impl Totals {
    pub(super) fn follow(&mut self, moment: Option<UnixMs>) {
        let Some(moment) = moment else {
            *self = Self::default();
            return;
        };
        self.to = Some(moment.floor(AGAIN_MS));
    }

    pub(super) fn subscriptions(&self, wanted: &mut Vec<Subscription>) {
        let Some(to) = self.to else { return };
        for (at, (metric, _)) in TOTALS.iter().enumerate() {
            let from = to.floor(STEP_MS) - (SPAN_MS - STEP_MS);
            let mut query = Query::new(metric.name.into(), from, to, STEP_MS);
            query.host = Some(HUB_HOST.into());
            wanted.push(Subscription::new(Topic::Total(at), Request::Query(query)));
        }
    }

    pub(super) fn set(&mut self, at: usize, points: &Points) {
        let direction = points
            .attributes
            .first()
            .map_or("", |(_, value)| value.as_str());
        let series = TOTALS.get(at).map_or(&[][..], |(_, series)| series);
        let of = series.iter().find(|(name, _)| *name == direction);
        if let Some(known) = of.and_then(|(_, place)| self.known.get_mut(*place)) {
            let value = |value: &f64| value.is_finite().then_some(*value);
            *known = points.values.iter().map(value).collect();
        }
    }

    fn steps(&self, at: usize) -> Vec<Option<Step>> {
        let known = self.known.get(at).map_or(&[][..], Vec::as_slice);
        known.iter().map(|value| value.map(Step::of)).collect()
    }

    fn newest(&self, at: usize) -> Option<f64> {
        self.known.get(at)?.iter().rev().flatten().next().copied()
    }
}

/// Draws as many of the charts as fit side by side.
pub(super) fn draw_totals(
    totals: &Totals,
    context: &Context,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let between = area.width.saturating_sub(CHARTS * WIDTH) / (CHARTS - 1).max(1);
    for number in 0..CHARTS {
        let part = Rect {
            x: area.x + number * (WIDTH + between.min(4)),
            width: WIDTH,
            ..area
        };
        if part.right() > area.right() {
            break;
        }
        match number {
            0 => draw_cpu(totals, theme, part, buffer),
            1 => draw_pair(
                totals,
                theme,
                ("NET", [("↓", "in"), ("↑", "out")]),
                1,
                part,
                buffer,
            ),
            _ => draw_pair(
                totals,
                theme,
                ("DISK", [("r", "r"), ("w", "w")]),
                3,
                part,
                buffer,
            ),
        }
        let line = Rect {
            x: part.x + SCALE,
            y: part.bottom().saturating_sub(1),
            width: CELLS,
            height: 1,
        };
        if let Some(to) = totals.to {
            let free = usize::from(CELLS) - 4;
            draw_ticks(buffer, line, (to - SPAN_MS, to), free, &context.zone, theme);
            let last = if context.at.is_none() { "now" } else { "" };
            Pen::new(buffer, line, 0).right(last, usize::from(CELLS), theme.faint);
        }
    }
}

fn plot(area: Rect) -> Rect {
    Rect {
        x: area.x + SCALE,
        y: area.y + 1,
        width: CELLS,
        height: area.height.saturating_sub(2),
    }
}

fn span(theme: &Theme) -> Spans {
    vec![(span_text(SPAN_MS), theme.dim)]
}

fn draw_cpu(totals: &Totals, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let steps = totals.steps(0);
    let values = || steps.iter().flatten().map(|step| step.mean);
    let max = values().reduce(f64::max);
    let count = values().count().max(1) as f64;
    let mean = max.map(|_| values().sum::<f64>() / count);
    let now = totals.newest(0);
    let style = now.map_or(&theme.title, |now| match Steps::CPU.step(now) {
        0 => &theme.title,
        _ => Steps::CPU.style(&theme.level, now),
    });
    Section::new(theme, "FLEET CPU")
        .key(percent(now) + "%", *style)
        .detail(vec![
            ("max ".to_owned(), theme.dim),
            (percent(max), theme.text),
            (" avg ".to_owned(), theme.dim),
            (percent(mean), theme.text),
        ])
        .right(span(theme))
        .draw(theme, area, buffer);
    let plot = plot(area);
    let top = round_scale(((max.unwrap_or(0.0) * 100.0).ceil() as i64).max(10)).min(100);
    scale(buffer, plot, 0, &top.to_string(), theme);
    scale(buffer, plot, plot.height.saturating_sub(1), "0", theme);
    let inks = Inks::One(theme.area[0]);
    chart(buffer, plot, &steps, top as f64 / 100.0, inks, theme.ascii);
}

fn draw_pair(
    totals: &Totals,
    theme: &Theme,
    (title, signs): (&str, [(&str, &str); 2]),
    first: usize,
    area: Rect,
    buffer: &mut Buffer,
) {
    let steps = [totals.steps(first), totals.steps(first + 1)];
    let inks = [theme.receive, theme.transmit];
    let mut spans = Spans::new();
    for (at, ((sign, plain), ink)) in signs.into_iter().zip(inks).enumerate() {
        let space = if at == 0 { " " } else { "  " };
        spans.push((format!("{space}{} ", theme.pick(sign, plain)), ink));
        spans.push((amount(totals.newest(first + at)), theme.title));
    }
    Section::new(theme, title)
        .then(spans)
        .right(span(theme))
        .draw(theme, area, buffer);
    let plot = plot(area);
    mirrored(buffer, plot, &steps, theme);
}

/// The busiest processes of all hosts, as far as one of each is known.
pub(super) fn draw_busiest<'a>(
    processes: impl Iterator<Item = (&'a str, &'a Process)>,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    const CPU: usize = 8;
    const MEMORY: usize = 7;
    const HOST: usize = 12;
    let mut all: Vec<_> = processes.collect();
    all.sort_by(|(a, p), (b, q)| {
        let by = q.cpu_permille.cmp(&p.cpu_permille);
        by.then_with(|| a.cmp(b))
    });
    let heads = format!("{:>CPU$}{:>MEMORY$}", "CPU%", "MEM");
    Section::new(theme, "BUSIEST")
        .detail(vec![("one of each host".to_owned(), theme.dim)])
        .right(vec![(heads.trim_start().to_owned(), theme.dim)])
        .draw_to_edge(theme, area, buffer);
    let room = usize::from(area.height.saturating_sub(1));
    let name = usize::from(area.width).saturating_sub(HOST + 2 + CPU + MEMORY);
    for (row, (at, (host, process))) in (1..).zip(all.into_iter().take(room).enumerate()) {
        let cpu = f64::from(process.cpu_permille) / 10.0;
        let style = if at == 0 { theme.title } else { theme.text };
        Pen::new(buffer, area, row)
            .text(&fit(host, HOST), theme.text)
            .skip(2)
            .text(&fit(program(process), name), theme.dim)
            .right(&format!("{cpu:.1}"), CPU, style)
            .right(&memory(process), MEMORY, theme.text);
    }
}
