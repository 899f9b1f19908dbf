//! The rows of the table of hosts.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use sysmon_config::Column;
use sysmon_wire::message::HostState;
use unicode_width::UnicodeWidthStr;

use super::columns::{Content, GAP, Layout, SIGN, spec};
use super::state::{Counts, Fleet, Group, HostRow};
use crate::context::Context;
use crate::format::{age, fit, short_span};
use crate::model::summary::format_of;
use crate::theme::{Severity, Theme};
use crate::widgets::paint::{Pen, bar, fill};
use crate::widgets::sparkline::sparkline;

pub(super) struct Row<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) context: &'a Context,
    pub(super) layout: &'a Layout,
    pub(super) net_scale: i64,
    pub(super) is_selected: bool,
    pub(super) line: Rect,
}

impl Row<'_> {
    fn theme(&self) -> &Theme {
        &self.context.theme
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
        let name_style = if self.is_selected {
            self.theme().selected
        } else {
            name_style
        };
        let mut pen = Pen::new(buffer, self.line, 0);
        pen.text(mark, self.on(self.theme().key));
        pen.text(sign, self.on(sign_style)).skip(SIGN - 2);
        pen.text(&fit(name, self.layout.name), name_style);
        // Several characters can make one that is narrower than they are.
        pen.to(self.line.x + (SIGN + self.layout.name) as u16);
        pen
    }

    pub(super) fn draw_host(&self, host: &HostRow, buffer: &mut Buffer) {
        let theme = self.theme();
        let live = host.tick.state == HostState::Live;
        let base = if live { theme.text } else { theme.dim };
        let name = (host.line.name.as_str(), base);
        let mark = if self.fleet.is_marked(&host.line.name) {
            theme.pick("•", "*")
        } else {
            " "
        };
        let mut pen = self.begin(buffer, mark, self.host_sign(host), name);
        for column in &self.layout.columns {
            pen.skip(GAP);
            self.draw_cell(host, *column, &mut pen);
        }
        if !live {
            self.draw_age(host, buffer);
        }
    }

    fn host_sign(&self, host: &HostRow) -> (&'static str, Style) {
        let theme = self.theme();
        match (host.tick.state, host.severity()) {
            _ if host.is_unrecorded() => (theme.pick("·", "."), theme.dim),
            (HostState::Offline, _) => offline(theme),
            (HostState::Stale, _) => stale(theme),
            (HostState::Live, severity) => self.severity_sign(severity),
        }
    }

    fn severity_sign(&self, severity: Severity) -> (&'static str, Style) {
        let theme = self.theme();
        match severity {
            Severity::None if self.is_selected => (theme.pick("▌", ">"), theme.key),
            severity => (theme.severity_sign(severity), theme.severity(severity)),
        }
    }

    fn draw_cell(&self, host: &HostRow, (column, width): (Column, usize), pen: &mut Pen<'_>) {
        let theme = self.theme();
        let live = host.tick.state == HostState::Live;
        let moment = self.context.moment();
        let interval_ms = host.line.facts.interval_ms;
        let graph = |style: Style| self.on(if live { style } else { theme.dim });
        let style = |place: usize, plain: Style| match host.severity_of(place) {
            Severity::None => self.on(plain),
            severity => self.on(theme.severity(severity)),
        };
        match spec(column).content {
            Content::CpuLine => {
                let line = sparkline(host.cpu.held(width, moment, interval_ms), 1000, theme.ascii);
                pen.text(&line, graph(theme.graph));
            }
            Content::NetLine => {
                let points = host.received.held(width, moment, interval_ms);
                let line = sparkline(points, self.net_scale, theme.ascii);
                pen.text(&line, graph(theme.graph_second));
            }
            Content::Bar(place) => {
                let share = host.value(place).filter(|_| live);
                self.draw_bar(share, width, style(place, theme.graph), pen);
            }
            Content::Uptime => {
                let boot = host.line.facts.boot;
                let up = (boot.0 > 0).then(|| short_span(moment - boot));
                let up = up.filter(|_| live).unwrap_or_else(|| dash(theme));
                pen.right(&up, width, self.on(theme.dim));
            }
            Content::Number(place) => {
                let plain = if live { theme.text } else { theme.dim };
                let value = host.value(place).filter(|_| live);
                self.draw_number(place, value, width, style(place, plain), pen);
            }
        }
    }

    fn draw_bar(&self, share: Option<f64>, width: usize, style: Style, pen: &mut Pen<'_>) {
        match share {
            Some(share) => pen.text(&bar(share, width, self.theme().ascii), style),
            None => pen.skip(width),
        };
    }

    fn draw_number(
        &self,
        place: usize,
        value: Option<f64>,
        width: usize,
        style: Style,
        pen: &mut Pen<'_>,
    ) {
        let text = value.map_or_else(|| dash(self.theme()), |value| format_of(place)(Some(value)));
        pen.right(&text, width, style);
    }

    /// How long ago a silent host last spoke, at the end of its line.
    fn draw_age(&self, host: &HostRow, buffer: &mut Buffer) {
        let text = match host.tick.time.0 {
            _ if host.is_unrecorded() => "no data yet".to_owned(),
            0 => "no sample".to_owned(),
            _ => format!("{} ago", age(self.context.moment(), host.tick.time)),
        };
        let width = text.width() + 1;
        if usize::from(self.line.width) > width + 30 {
            let x = self.line.right() - width as u16;
            Pen::new(buffer, self.line, 0)
                .to(x)
                .text(&text, self.on(self.theme().dim));
        }
    }

    pub(super) fn draw_group(&self, group: &Group, buffer: &mut Buffer) {
        let theme = self.theme();
        let sign = match (group.counts.severity(), group.counts) {
            (Severity::None, Counts { offline: 1.., .. }) => offline(theme),
            (Severity::None, Counts { stale: 1.., .. }) => stale(theme),
            (severity, _) => self.severity_sign(severity),
        };
        let fold = if group.is_folded {
            theme.pick("▸", "+")
        } else {
            theme.pick("▾", "-")
        };
        let columns = &self.layout.columns;
        let is_number = |(column, _): &(Column, usize)| {
            !matches!(spec(*column).content, Content::Uptime | Content::CpuLine)
        };
        let free = columns.iter().position(is_number).unwrap_or(columns.len());
        let (free, numbers) = columns.split_at(free);
        let room: usize = free.iter().map(|(_, width)| width + GAP).sum();
        let mut name = format!("{fold} {}", group.name());
        if room == 0 {
            name += &format!(" {}", group.counts.hosts);
        }
        let mut pen = self.begin(buffer, " ", sign, (&name, theme.title));
        if let Some(room) = room.checked_sub(GAP) {
            let counts = counts(theme, &group.counts, room);
            pen.skip(GAP).text(&fit(&counts, room), self.on(theme.dim));
        }
        for (column, width) in numbers {
            pen.skip(GAP);
            match spec(*column).content {
                Content::Uptime | Content::CpuLine | Content::NetLine => {
                    pen.skip(*width);
                }
                Content::Bar(place) => {
                    self.draw_bar(group.value(place), *width, self.on(theme.graph), &mut pen);
                }
                Content::Number(place) => {
                    let value = group.value(place);
                    self.draw_number(place, value, *width, self.on(theme.text), &mut pen);
                }
            }
        }
    }
}

fn offline(theme: &Theme) -> (&'static str, Style) {
    let sign = if theme.ascii { "x" } else { "✕" };
    (sign, theme.severity(Severity::Critical))
}

fn stale(theme: &Theme) -> (&'static str, Style) {
    let sign = if theme.ascii { "o" } else { "○" };
    (sign, theme.severity(Severity::Warning))
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
        (counts.stale, theme.pick("○", "o")),
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
