//! The rows of the table of hosts.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use sysmon_config::time::{format_clock, format_span};
use sysmon_wire::Label;
use sysmon_wire::message::HostState;
use unicode_width::UnicodeWidthStr;

use super::columns::{Content, Drawn, Layout, PROCESS_CPU, SIGN};
use super::state::{Counts, Fleet, Group, HostRow};
use crate::context::Context;
use crate::format::{fit, lasted, short_span};
use crate::model::process::program;
use crate::model::step::Steps;
use crate::model::summary::{CPU, format_of};
use crate::theme::{Severity, Theme};
use crate::widgets::meter::meter;
use crate::widgets::paint::{Pen, fill};
use crate::widgets::sparkline::draw_sparkline;

pub(super) struct Row<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) context: &'a Context,
    pub(super) theme: &'a Theme,
    pub(super) layout: &'a Layout,
    pub(super) is_selected: bool,
    pub(super) line: Rect,
}

impl Row<'_> {
    fn theme(&self) -> &Theme {
        self.theme
    }

    fn on(&self, style: Style) -> Style {
        self.theme().on(self.is_selected, style)
    }

    fn begin<'b>(
        &self,
        buffer: &'b mut Buffer,
        mark: &str,
        (sign, sign_style): (&str, Style),
        (name, name_style): (&str, Style),
    ) -> Pen<'b> {
        if self.is_selected {
            fill(buffer, self.line, self.theme().selected);
        }
        let mut pen = Pen::new(buffer, self.line, 0);
        pen.text(mark, self.on(self.theme().key));
        pen.text(sign, self.on(sign_style)).skip(SIGN - 2);
        pen.text(&fit(name, self.layout.name), self.on(name_style));
        // Several characters can make one that is narrower than they are.
        pen.to(self.line.x + (SIGN + self.layout.name) as u16);
        pen
    }

    pub(super) fn draw_host(&self, host: &HostRow, buffer: &mut Buffer) {
        let theme = self.theme();
        let severity = host.severity();
        let name_style = match (host.tick.state, severity) {
            (HostState::Live, Severity::None) => theme.text,
            (_, Severity::None) => theme.dim,
            _ => theme.title,
        };
        let name = (host.line.name.as_str(), name_style);
        let mark = match self.fleet.is_marked(&host.line.name) {
            true => theme.pick("•", "*"),
            false => self.theme().mark(self.is_selected),
        };
        let mut pen = self.begin(buffer, mark, self.host_sign(host), name);
        for column in &self.layout.columns {
            pen.skip(column.gap);
            let end = pen.x() + column.width as u16;
            self.draw_cell(host, *column, &mut pen);
            pen.to(end);
        }
        if host.tick.state == HostState::Offline {
            self.draw_offline(host, buffer);
        }
    }

    fn host_sign(&self, host: &HostRow) -> (&'static str, Style) {
        let theme = self.theme();
        match (host.tick.state, host.severity()) {
            (_, severity) if severity > Severity::None => {
                (theme.severity_sign(severity), theme.severity(severity))
            }
            _ if host.is_unrecorded() => (theme.pick("·", "."), theme.dim),
            (HostState::Offline, _) => offline(theme),
            (HostState::Stale, _) => stale(theme),
            (HostState::Live, _) if host.recovering_since().is_some() => {
                (theme.pick("△", "'"), theme.dim)
            }
            _ if self.fleet.is_pinned(&host.line.name) => (theme.pick("↥", "^"), theme.dim),
            (HostState::Live, _) => (" ", theme.text),
        }
    }

    fn draw_cell(&self, host: &HostRow, column: Drawn, pen: &mut Pen<'_>) {
        let theme = self.theme();
        let is_live = host.tick.state == HostState::Live;
        let is_offline = host.tick.state == HostState::Offline;
        let width = column.width;
        match column.content {
            Content::CpuLine => {
                let interval_ms = host.line.facts.interval_ms;
                let cells = host.cpu.cells(
                    width,
                    self.fleet.span_ms(),
                    self.context.moment(),
                    interval_ms,
                );
                let on = |style| self.on(style);
                draw_sparkline(pen, cells.into_iter(), Steps::CPU, !is_live, on, theme);
            }
            _ if is_offline => {
                // What is written over the rest of the row has the room.
                if column.content == Content::Number(CPU) {
                    pen.right(&dash(theme), width, self.on(theme.faint));
                }
            }
            Content::Bar(place) => {
                if let Some(share) = host.value(place) {
                    let style = match is_live {
                        true => Steps::of(place).style(&theme.meter, share),
                        false => &theme.ghost,
                    };
                    self.draw_meter(share, *style, width, pen);
                }
            }
            Content::Uptime => {
                let boot = host.line.facts.boot;
                let up = (boot.0 > 0).then(|| short_span(self.context.moment() - boot));
                let up = up.unwrap_or_else(|| dash(theme));
                pen.right(&up, width, self.on(theme.faint));
            }
            Content::Number(place) => {
                let style = self.number_style(host, place);
                self.draw_number(place, host.value(place), width, style, pen);
            }
            Content::Sum(one, other) => {
                let value = |place| host.value(place);
                let sum = value(one).map(|one| one + value(other).unwrap_or(0.0));
                let worse = if host.severity_of(other) > host.severity_of(one) {
                    other
                } else {
                    one
                };
                let style = self.number_style(host, worse);
                self.draw_number(one, sum, width, style, pen);
            }
            Content::Process => self.draw_process(host, width, pen),
        }
    }

    fn draw_meter(&self, share: f64, style: Style, width: usize, pen: &mut Pen<'_>) {
        let mut theme = *self.theme();
        theme.rule = self.on(theme.rule);
        meter(pen, &[(share, self.on(style))], width, &theme);
    }

    /// A firing rule shows in the cell that it is about, once it is acknowledged without its ground.
    fn number_style(&self, host: &HostRow, place: usize) -> Style {
        let theme = self.theme();
        if host.tick.state != HostState::Live {
            return theme.dim;
        }
        match host.severity_of(place) {
            Severity::None => theme
                .level
                .get(host.step(place))
                .copied()
                .unwrap_or(theme.text),
            severity if acknowledged_by(host).is_some() => theme.severity(severity),
            severity => theme.severity_cell(severity),
        }
    }

    fn draw_number(
        &self,
        place: usize,
        value: Option<f64>,
        width: usize,
        style: Style,
        pen: &mut Pen<'_>,
    ) {
        let theme = self.theme();
        let text = value.map_or_else(|| dash(theme), |value| format_of(place)(Some(value)));
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.get(digits.len()..).unwrap_or_default();
        let style = match value {
            None => theme.faint,
            Some(_) if digits == "0" && unit.is_empty() => theme.faint,
            Some(_) => style,
        };
        // A ground is as wide as the column, so that it is seen.
        if style.bg.is_some() {
            let text = format!("{text:>width$}");
            pen.text(&text, style);
            return;
        }
        let unit_style = if style == theme.text {
            theme.dim
        } else {
            style
        };
        pen.right(digits, width.saturating_sub(unit.len()), self.on(style));
        pen.text(unit, self.on(unit_style));
    }

    fn draw_process(&self, host: &HostRow, width: usize, pen: &mut Pen<'_>) {
        let theme = self.theme();
        let note = self.note(host);
        if let Some((text, style)) = note {
            pen.text(&fit(&text, width), self.on(style));
            return;
        }
        let Some(process) = self.fleet.busiest(&host.line.name) else {
            return;
        };
        let name = fit(program(process), width.saturating_sub(PROCESS_CPU));
        let cpu = f64::from(process.cpu_permille) / 10.0;
        let style = if cpu < 1.0 { theme.faint } else { theme.dim };
        pen.text(&name, self.on(style))
            .right(&format!("{cpu:.0}"), PROCESS_CPU, self.on(style));
    }

    /// What is more important about a host than its busiest process.
    fn note(&self, host: &HostRow) -> Option<(String, Style)> {
        let theme = self.theme();
        let moment = self.context.moment();
        if let Some(by) = acknowledged_by(host) {
            return Some((format!("ack {by}"), theme.dim));
        }
        if host.tick.state == HostState::Stale {
            let late = moment - host.tick.time - i64::from(host.line.facts.interval_ms.max(1_000));
            return Some((format!("late by {}", format_span(late.max(0))), theme.text));
        }
        let since = host.recovering_since()?;
        Some((
            format!("recovered {}", format_span(moment - since)),
            theme.dim,
        ))
    }

    /// Since when a host is offline, over the columns that have no value.
    fn draw_offline(&self, host: &HostRow, buffer: &mut Buffer) {
        let theme = self.theme();
        let mut start = SIGN + self.layout.name;
        for column in &self.layout.columns {
            let is_first = matches!(
                column.content,
                Content::Uptime | Content::Number(CPU) | Content::CpuLine
            );
            if !is_first {
                start += column.gap;
                break;
            }
            start += column.gap + column.width;
        }
        let mut pen = Pen::new(buffer, self.line, 0);
        pen.skip(start);
        if host.is_unrecorded() {
            pen.text("no data yet", self.on(theme.dim));
            return;
        }
        if host.tick.time.0 == 0 {
            pen.text("OFFLINE", self.on(theme.title))
                .text("  no sample", self.on(theme.dim));
            return;
        }
        let since = lasted(self.context.moment() - host.tick.time);
        let last = format_clock(host.tick.time.0, &self.context.zone);
        let text = format!("OFFLINE {since}");
        pen.text(&text, self.on(theme.title));
        let last = format!("  last heard {last}");
        if pen.room() > last.width() {
            pen.text(&last, self.on(theme.dim));
        }
    }

    pub(super) fn draw_group(&self, group: &Group, buffer: &mut Buffer) {
        let theme = self.theme();
        let sign = match (group.counts.severity(), group.counts) {
            (Severity::None, Counts { offline: 1.., .. }) => offline(theme),
            (Severity::None, Counts { stale: 1.., .. }) => stale(theme),
            (severity, _) => (theme.severity_sign(severity), theme.severity(severity)),
        };
        let fold = if group.is_folded {
            theme.pick("▸", "+")
        } else {
            theme.pick("▾", "-")
        };
        let columns = &self.layout.columns;
        let room: usize = columns
            .iter()
            .filter(|column| column.content == Content::CpuLine)
            .map(|column| column.width)
            .sum();
        let mut name = format!("{fold} {}", group.name());
        if room == 0 {
            name += &format!(" {}", group.counts.hosts);
        }
        let mark = theme.mark(self.is_selected);
        let mut pen = self.begin(buffer, mark, sign, (&name, theme.title));
        for column in columns {
            pen.skip(column.gap);
            let end = pen.x() + column.width as u16;
            match column.content {
                Content::CpuLine => {
                    let counts = counts(theme, &group.counts, room);
                    pen.text(&fit(&counts, room), self.on(theme.dim));
                }
                Content::Bar(place) => {
                    if let Some(share) = group.value(place) {
                        let style = Steps::of(place).style(&theme.meter, share);
                        self.draw_meter(share, *style, column.width, &mut pen);
                    }
                }
                Content::Number(place) => {
                    let value = group.value(place);
                    let style = match value {
                        Some(value) => *Steps::of(place).style(&theme.level, value),
                        None => theme.faint,
                    };
                    self.draw_number(place, value, column.width, style, &mut pen);
                }
                Content::Sum(one, other) => {
                    let value = |place| group.value(place);
                    let sum = value(one).map(|one| one + value(other).unwrap_or(0.0));
                    self.draw_number(one, sum, column.width, theme.text, &mut pen);
                }
                Content::Uptime | Content::Process => {}
            }
            pen.to(end);
        }
    }

    /// The hosts below the last row: how many there are, and the highest of each value, so that nothing bad hides.
    pub(super) fn draw_fold(&self, hidden: &[&HostRow], buffer: &mut Buffer) {
        let theme = self.theme();
        let name = format!("{} calmer", hidden.len());
        let mut pen = self.begin(buffer, " ", (" ", theme.faint), (&name, theme.faint));
        let highest = |place: usize| {
            let live = hidden
                .iter()
                .filter(|host| host.tick.state == HostState::Live);
            live.filter_map(|host| host.value(place)).reduce(f64::max)
        };
        for column in &self.layout.columns {
            pen.skip(column.gap);
            let end = pen.x() + column.width as u16;
            match column.content {
                Content::CpuLine => {
                    let text = theme.pick("↓ highest of each", "v highest of each");
                    let text = fit(text, text.width().min(column.width));
                    pen.text(&text, theme.faint);
                }
                Content::Number(place) | Content::Sum(place, _) => {
                    let value = highest(place);
                    let style = match value {
                        Some(value) if Steps::of(place).step(value) > 0 => {
                            *Steps::of(place).style(&theme.level, value)
                        }
                        _ => theme.dim,
                    };
                    self.draw_number(place, value, column.width, style, &mut pen);
                }
                Content::Bar(_) | Content::Uptime | Content::Process => {}
            }
            pen.to(end);
        }
    }
}

/// Who acknowledged the host's worst alert.
fn acknowledged_by(host: &HostRow) -> Option<&Label> {
    host.line.alerts.first()?.acknowledged.as_ref()
}

fn offline(theme: &Theme) -> (&'static str, Style) {
    (theme.pick("✕", "x"), theme.text)
}

fn stale(theme: &Theme) -> (&'static str, Style) {
    (theme.pick("○", "~"), theme.text)
}

/// How many hosts there are and in which state, in as many words as there is room for.
fn counts(theme: &Theme, counts: &Counts, room: usize) -> String {
    let hosts = match counts.hosts {
        1 => "1 host".to_owned(),
        hosts => format!("{hosts} hosts"),
    };
    let mut signs = String::new();
    for (count, sign) in [
        (counts.critical, theme.severity_sign(Severity::Critical)),
        (counts.warning, theme.severity_sign(Severity::Warning)),
        (counts.stale, theme.pick("○", "~")),
        (counts.offline, theme.pick("✕", "x")),
    ] {
        if count > 0 {
            signs += &format!(" {sign}{count}");
        }
    }
    let long = match counts.live {
        live if live == counts.hosts => format!("{hosts} {signs}"),
        live => format!("{hosts}  {live} live {signs}"),
    };
    let short = format!("{}{signs}", counts.hosts);
    [long, format!("{hosts}{signs}")]
        .into_iter()
        .find(|text| text.trim_end().width() <= room)
        .unwrap_or(short)
}

fn dash(theme: &Theme) -> String {
    theme.pick(crate::format::NONE, "-").to_owned()
}
