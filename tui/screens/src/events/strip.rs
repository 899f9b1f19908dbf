//! The strip of time above the footer: the use of processors, where rows are, events, and the moment shown.
//!
//! ```text
//! fleet cpu  ▂▂▂▂▂▂▂▃▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▃▂▂▂▂▂▂▂▂▂▂▂▂▅▅
//! 6 h  0-40      ╵05:00↻       ╵06:00        ✕●     ╵08:00   ◆ ╰▲╯
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_wire::UnixMs;
use sysmon_wire::message::Severity as AlertSeverity;
use sysmon_wire::timeline::EventKind;

use super::state::Events;
use crate::context::Context;
use crate::keys::Mode;
use crate::model::window::{Window, clock_step, local_offset_ms};
use crate::theme::{Severity, Theme};
use crate::widgets::axis::{span_text, tick_text};
use crate::widgets::paint::Pen;
use crate::widgets::plot::Plot;
use crate::widgets::sparkline::{round_scale, sparkline};

const LABEL_WIDTH: usize = 11;

/// The cells of the strip's lines, and their moments.
pub(crate) fn plot(window: Window, area: Rect) -> Plot {
    let area = Rect {
        x: area.x + (LABEL_WIDTH as u16).min(area.width),
        width: cells(area.width) as u16,
        ..area
    };
    Plot { area, window }
}

fn cells(width: u16) -> usize {
    usize::from(width).saturating_sub(LABEL_WIDTH + 1)
}

struct Strip<'a> {
    events: &'a Events,
    context: &'a Context,
    theme: Theme,
    window: Window,
    width: usize,
}

pub(crate) fn draw(events: &Events, context: &Context, area: Rect, buffer: &mut Buffer) {
    // Nothing is known of a hub that was never reached.
    if !context.was_reached {
        return;
    }
    let theme = match context.is_lost() {
        true => context.theme.faded(),
        false => context.theme,
    };
    let strip = Strip {
        events,
        context,
        theme,
        window: context.window(),
        width: cells(area.width),
    };
    let last = Rect {
        y: area.bottom().saturating_sub(1),
        height: area.height.min(1),
        ..area
    };
    let top = if area.height >= 2 {
        strip.draw_load(area, buffer)
    } else {
        0.0
    };
    strip.draw_time(last, top, buffer);
}

impl Strip<'_> {
    fn bounds(&self, cell: usize) -> (UnixMs, UnixMs) {
        let span = self.window.to - self.window.from;
        let at = |cell: usize| self.window.from + span * cell as i64 / self.width.max(1) as i64;
        (at(cell), at(cell + 1))
    }

    /// The span of the charts, which end at the moment shown.
    fn charts(&self) -> (UnixMs, UnixMs) {
        let moment = self.context.moment();
        (moment - self.context.chart_span.ms(), moment)
    }

    /// Draws the use of processors; returns the top of its scale.
    fn draw_load(&self, area: Rect, buffer: &mut Buffer) -> f64 {
        let (theme, context) = (&self.theme, self.context);
        let label = match context.host_name() {
            Some(_) if context.place() != Mode::Fleet => "cpu",
            _ => "fleet cpu",
        };
        Pen::new(buffer, area, 0).skip(1).text(label, theme.dim);
        let shares: Vec<Option<f64>> = (0..self.width)
            .map(|cell| {
                let (from, to) = self.bounds(cell);
                self.events.load.mean(from, to)
            })
            .collect();
        let highest = shares.iter().flatten().fold(0.0f64, |a, b| a.max(*b));
        let top = round_scale(((highest * 100.0).ceil() as i64).max(10)).min(100);
        let (first, last) = self.charts();
        let mut pen = Pen::new(buffer, area, 0);
        pen.skip(LABEL_WIDTH);
        for (cell, share) in shares.into_iter().enumerate() {
            let (from, to) = self.bounds(cell);
            let Some(share) = share else {
                pen.text(theme.pick("·", "."), theme.ghost);
                continue;
            };
            let later = from > last;
            let style = match () {
                () if later => theme.ghost,
                () if to > first => theme.area[1],
                () => theme.area[0],
            };
            let value = Some((share * 1000.0) as i64);
            let bar = sparkline(std::iter::once(value), top * 10, theme.ascii);
            pen.text(&bar, style);
        }
        self.draw_moment(area, buffer);
        top as f64
    }

    fn draw_moment(&self, area: Rect, buffer: &mut Buffer) {
        let (theme, context) = (&self.theme, self.context);
        let Some(at) = context.at else { return };
        if let Some(cell) = self.window.cell(at, self.width) {
            let sign = theme.pick("┃", "|");
            let style = ratatui::style::Style {
                fg: context.theme.header_past.bg,
                bg: None,
                ..context.theme.key
            };
            Pen::new(buffer, area, 0)
                .skip(LABEL_WIDTH + cell)
                .text(sign, style);
        }
    }

    fn draw_time(&self, area: Rect, top: f64, buffer: &mut Buffer) {
        let (theme, context) = (&self.theme, self.context);
        let span = span_text(self.window.to - self.window.from);
        let mut pen = Pen::new(buffer, area, 0);
        pen.skip(1).text(&span, theme.dim);
        if top > 0.0 && self.events.load.is_known() {
            let scale = format!("0{}{top:.0}", theme.pick("–", "-"));
            let room = LABEL_WIDTH - 2 - span.len().min(LABEL_WIDTH - 2);
            pen.right(&scale, room, theme.faint);
        }
        let marks = self.marks();
        if top == 0.0 {
            self.draw_coverage(area, buffer);
        }
        self.draw_bracket(area, buffer);
        for (cell, clock) in self.clocks() {
            // A sign in the middle of a clock would make another time of it.
            let room = marks.get(cell..(cell + clock.len() + 1).min(self.width));
            if room.is_some_and(|cells| cells.iter().all(Option::is_none))
                && cell + clock.len() < self.width
            {
                Pen::new(buffer, area, 0)
                    .skip(LABEL_WIDTH + cell)
                    .text(theme.pick("╵", "|"), theme.faint)
                    .text(&clock, theme.faint);
            }
        }
        for (cell, kind) in marks.into_iter().enumerate() {
            if let Some(kind) = kind {
                let (sign, style) = sign(kind, theme);
                Pen::new(buffer, area, 0)
                    .skip(LABEL_WIDTH + cell)
                    .text(sign, style);
            }
        }
        if top == 0.0 || context.at.is_none() {
            self.draw_moment(area, buffer);
        }
    }

    /// Where rows are, in a strip of one line.
    fn draw_coverage(&self, area: Rect, buffer: &mut Buffer) {
        let theme = &self.theme;
        let line = theme.pick("┄", "-");
        let mut pen = Pen::new(buffer, area, 0);
        pen.skip(LABEL_WIDTH);
        for cell in 0..self.width {
            let covered = self.events.is_covered(self.window.moment(cell, self.width));
            pen.text(if covered == Some(false) { " " } else { line }, theme.rule);
        }
    }

    /// A bracket under the span of the charts.
    fn draw_bracket(&self, area: Rect, buffer: &mut Buffer) {
        let theme = &self.theme;
        let (first, last) = self.charts();
        let cell = |time: UnixMs| {
            self.window
                .cell(time.clamp(self.window.from, self.window.to), self.width)
        };
        let (Some(from), Some(to)) = (cell(first), cell(last)) else {
            return;
        };
        // One as long as the strip says nothing.
        if to <= from || first <= self.window.from {
            return;
        }
        let mut pen = Pen::new(buffer, area, 0);
        pen.skip(LABEL_WIDTH + from)
            .text(theme.pick("╰", "`"), theme.dim)
            .text(&theme.pick("─", "_").repeat(to - from - 1), theme.dim)
            .text(theme.pick("╯", "'"), theme.dim);
    }

    /// Of several events in one cell the worst.
    fn marks(&self) -> Vec<Option<EventKind>> {
        let mut marks: Vec<Option<EventKind>> = vec![None; self.width];
        for event in self.events.events() {
            let cell = self.window.cell(event.time, self.width);
            if let Some(mark) = cell.and_then(|cell| marks.get_mut(cell)) {
                let worse = mark.is_none_or(|kind| rank(event.kind) > rank(kind));
                if worse {
                    *mark = Some(event.kind);
                }
            }
        }
        marks
    }

    /// Round moments and their cells, as far from each other as their text needs.
    fn clocks(&self) -> Vec<(usize, String)> {
        let zone = &self.context.zone;
        let window = self.window;
        let Some(step) = clock_step(window.to - window.from, self.width as i64) else {
            return Vec::new();
        };
        let offset = local_offset_ms(window.from, zone);
        let first = UnixMs(window.from.0 + offset).floor(step) + step - offset;
        let moments = std::iter::successors(Some(first), |moment| Some(*moment + step));
        moments
            .take_while(|moment| *moment < window.to)
            .filter_map(|moment| {
                let text = tick_text(moment, step, zone);
                Some((window.cell(moment, self.width)?, text))
            })
            .collect()
    }
}

fn rank(kind: EventKind) -> u8 {
    match kind {
        EventKind::Fired(AlertSeverity::Critical) | EventKind::HistoryRecovered => 5,
        EventKind::Fired(AlertSeverity::Warning) => 4,
        EventKind::Offline => 3,
        EventKind::Restarted | EventKind::Clock => 2,
        EventKind::Joined | EventKind::Online => 1,
        EventKind::Resolved(_)
        | EventKind::Acknowledged
        | EventKind::Unacknowledged
        | EventKind::Silenced
        | EventKind::Unsilenced => 0,
    }
}

pub(super) fn sign(kind: EventKind, theme: &Theme) -> (&'static str, ratatui::style::Style) {
    match kind {
        EventKind::Fired(severity) => {
            let severity = match severity {
                AlertSeverity::Critical => Severity::Critical,
                AlertSeverity::Warning => Severity::Warning,
            };
            (theme.severity_sign(severity), theme.severity(severity))
        }
        EventKind::Offline => (theme.pick("✕", "x"), theme.title),
        EventKind::Joined | EventKind::Online => (theme.pick("●", "o"), theme.text),
        EventKind::Restarted => (theme.pick("↻", "r"), theme.text),
        EventKind::Clock => (theme.pick("◷", "c"), theme.text),
        EventKind::HistoryRecovered => (theme.pick("!", "!"), theme.severity(Severity::Critical)),
        EventKind::Resolved(_) | EventKind::Acknowledged => (theme.pick("✓", "v"), theme.dim),
        EventKind::Unacknowledged | EventKind::Silenced | EventKind::Unsilenced => {
            (theme.pick("–", "-"), theme.dim)
        }
    }
}
