//! Charts of a host that share one line of time.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_wire::metrics::{CPU_UTILIZATION, DISK_IO, Metric, NET_IO};

use super::About;
use crate::format::{amount, percent};
use crate::model::host_rows::Step;
use crate::model::summary::CPU;
use crate::theme::Severity;
use crate::widgets::axis::{cells_of, draw_axis, span_text, window_of};
use crate::widgets::chart::{Inks, POINTS_PER_CELL, chart};
use crate::widgets::mirrored::{SCALE, mirrored, scale};
use crate::widgets::plot::{Plot, draw_end};
use crate::widgets::section::{Section, Spans};

/// A chart this high has the middle of its scale written, too.
const MIDDLE_FROM: u16 = 6;

type Attributes = &'static [(&'static str, &'static str)];

/// Two rates that share an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    Net,
    Disk,
}

impl Pair {
    fn title(self) -> &'static str {
        match self {
            Self::Net => "NET",
            Self::Disk => "DISK",
        }
    }

    fn metric(self) -> &'static Metric {
        match self {
            Self::Net => &NET_IO,
            Self::Disk => &DISK_IO,
        }
    }

    fn attributes(self) -> [Attributes; 2] {
        match self {
            Self::Net => [
                &[("network.io.direction", "receive")],
                &[("network.io.direction", "transmit")],
            ],
            Self::Disk => [
                &[("disk.io.direction", "read")],
                &[("disk.io.direction", "write")],
            ],
        }
    }

    fn signs(self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::Net => [("↓", "in"), ("↑", "out")],
            Self::Disk => [("r", "r"), ("w", "w")],
        }
    }
}

impl About<'_> {
    /// Cells of a chart in an area; one that has ended has a sign behind it.
    pub(super) fn cells(&self, area: Rect) -> u16 {
        let room = area.width.saturating_sub(SCALE + u16::from(self.is_ended));
        cells_of(self.host, room).min(room)
    }

    /// Where a chart is drawn below its rule.
    fn plot(&self, area: Rect) -> Rect {
        Rect {
            x: area.x + SCALE,
            y: area.y + 1,
            width: self.cells(area),
            height: area.height.saturating_sub(1),
        }
    }

    /// The cells of a chart that is drawn in an area, and their moments.
    pub(crate) fn plot_of(&self, area: Rect) -> Option<Plot> {
        let area = self.plot(area);
        let window = window_of(self.host, area.width)?;
        Some(Plot { area, window })
    }

    fn end_of(&self, plot: Rect, buffer: &mut Buffer) {
        if self.is_ended {
            draw_end(buffer, plot, &self.theme);
        }
    }

    fn history(&self, metric: &Metric, with: Attributes, cells: u16) -> Vec<Option<Step>> {
        let points = usize::from(cells) * POINTS_PER_CELL;
        let step = self.host.step_ms(points);
        self.host.history(metric, with, points, step)
    }

    /// How long the charts are: `15 m`.
    pub(crate) fn span(&self) -> Spans {
        let text = span_text(self.host.window_ms());
        vec![(text, self.theme.dim)]
    }

    pub(crate) fn cpu(&self, area: Rect, is_focus: bool, buffer: &mut Buffer) {
        let theme = &self.theme;
        let now = self.host.now(&CPU_UTILIZATION, &[]);
        let plot = self.plot(area);
        let history = self.history(&CPU_UTILIZATION, &[], plot.width);
        let known = || history.iter().flatten();
        let max = known().map(|step| step.max).reduce(f64::max);
        let count = known().count();
        let mean = known().map(|step| step.mean).sum::<f64>() / count.max(1) as f64;
        let title = match self.is_named {
            true => format!("{} CPU", self.host.name),
            false => "CPU".to_owned(),
        };
        let mut section = self
            .section(&title, is_focus)
            .key(percent(now) + "%", self.key(CPU, now));
        if count > 0 {
            section = section.detail(vec![
                ("max ".to_owned(), theme.dim),
                (percent(max), theme.text),
                (" avg ".to_owned(), theme.dim),
                (percent(Some(mean)), theme.text),
            ]);
        }
        section = section.detail(self.modes()).right(self.span());
        section.draw(theme, area, buffer);
        if plot.height == 0 {
            return;
        }
        scale(buffer, plot, 0, "100", theme);
        if plot.height >= MIDDLE_FROM {
            scale(buffer, plot, plot.height / 2, "50", theme);
        }
        if plot.height > 1 {
            scale(buffer, plot, plot.height - 1, "0", theme);
        }
        let inks = Inks::ByHeight(&theme.area);
        chart(buffer, plot, &history, 1.0, inks, theme.ascii);
        self.end_of(plot, buffer);
    }

    fn modes(&self) -> Spans {
        let theme = &self.theme;
        let mut spans = Spans::new();
        for (word, mode) in [("user", "user"), ("system", "system"), ("iowait", "iowait")] {
            let share = self.host.now(&CPU_UTILIZATION, &[("cpu.mode", mode)]);
            if share.is_some() {
                let space = if spans.is_empty() { "" } else { " " };
                spans.push((format!("{space}{word} "), theme.dim));
                spans.push((percent(share), theme.text));
            }
        }
        spans
    }

    /// Two rates: one rises from the axis, the other hangs from it, on one scale.
    pub(crate) fn pair(&self, pair: Pair, area: Rect, is_focus: bool, buffer: &mut Buffer) {
        let theme = &self.theme;
        let [up, down] = pair.attributes();
        let plot = self.plot(area);
        let histories = [up, down].map(|with| self.history(pair.metric(), with, plot.width));
        let highest = |history: &[Option<Step>]| {
            let max = history.iter().flatten().map(|step| step.max);
            max.reduce(f64::max)
        };
        let [most_up, most_down] = [highest(&histories[0]), highest(&histories[1])];
        let mut section = self.section(pair.title(), is_focus);
        section = pair_title(self, section, pair.signs(), [up, down], pair.metric());
        if most_up.is_some() {
            let mut detail = vec![("max ".to_owned(), theme.dim)];
            detail.extend(self.quantity(&amount(most_up), theme.text));
            detail.push((theme.pick(" · ", " | ").to_owned(), theme.dim));
            detail.extend(self.quantity(&amount(most_down), theme.text));
            section = section.detail(detail);
        }
        section.right(self.span()).draw(theme, area, buffer);
        mirrored(buffer, plot, &histories, theme);
        self.end_of(plot, buffer);
    }

    /// The line of time under a stack of charts.
    pub(crate) fn axis(&self, area: Rect, buffer: &mut Buffer) {
        let line = Rect {
            x: area.x + SCALE,
            width: self.cells(area),
            height: area.height.min(1),
            ..area
        };
        draw_axis(self.context, self.host, line, &self.theme, buffer);
    }
}

fn pair_title(
    about: &About<'_>,
    section: Section,
    signs: [(&'static str, &'static str); 2],
    with: [Attributes; 2],
    metric: &Metric,
) -> Section {
    let theme = &about.theme;
    let mut spans = Spans::new();
    let inks = [theme.receive, theme.transmit];
    for ((at, (sign, plain)), ink) in signs.into_iter().enumerate().zip(inks) {
        let value = about.host.now(metric, with[at]);
        let space = if at == 0 { " " } else { "  " };
        spans.push((format!("{space}{} ", theme.pick(sign, plain)), ink));
        spans.extend(about.quantity(&amount(value), theme.title));
    }
    section.then(spans)
}

/// The severity by which a whole part of the screen is marked.
pub(crate) fn worst<'a>(
    alerts: impl Iterator<Item = &'a sysmon_wire::message::AlertLine>,
) -> Severity {
    alerts
        .map(|alert| alert.severity.into())
        .max()
        .unwrap_or_default()
}
