//! The tables of the host screen, each a pane: processes, processors, filesystems, interfaces and so on.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use sysmon_wire::metrics::{CPU_UTILIZATION, PRESSURE_TIME};

use super::compact::{self, Line, NAME_WIDTH};
use super::state::{HostScreen, Pane};
use crate::context::Context;
use crate::format::{fit, percent, wrap};
use crate::model::host_rows::HostRows;
use crate::model::process::{NOT_STORED, memory, program};
use crate::theme::{Severity, Theme};
use crate::widgets::paint::{Pen, bar, fill};

const CORE_COLUMNS_MAX: usize = 4;

const CORE_WIDTH: usize = 16;

const COLUMN_WIDTH_MIN: u16 = 44;

const COLUMNS_MAX: u16 = 4;

/// The tables with a row per device, in their order.
const TABLES: [Pane; 7] = [
    Pane::Units,
    Pane::Filesystems,
    Pane::Interfaces,
    Pane::Disks,
    Pane::Containers,
    Pane::Gpus,
    Pane::Sensors,
];

pub(super) struct Lines {
    all: Vec<(Option<Pane>, Line)>,
    pane: Option<Pane>,
    focus: Pane,
    theme: Theme,
}

impl Lines {
    fn push(&mut self, line: Line) {
        self.all.push((self.pane, line));
    }

    fn begin(&mut self, pane: Pane, columns: &str) {
        let is_focus = self.focus == pane;
        let style = if is_focus {
            self.theme.key
        } else {
            self.theme.title
        };
        self.heading(Some(pane), pane.title(), columns, style);
    }

    fn heading(&mut self, pane: Option<Pane>, title: &str, columns: &str, style: Style) {
        self.pane = None;
        if !self.all.is_empty() {
            self.push(Vec::new());
        }
        self.pane = pane;
        self.push(vec![
            (fit(title, NAME_WIDTH), style),
            (columns.to_owned(), self.theme.dim),
        ]);
    }

    fn other(&mut self, title: &str) {
        self.heading(None, title, "", self.theme.title);
    }
}

fn columns(width: u16) -> (u16, u16) {
    let count = (width / COLUMN_WIDTH_MIN).clamp(1, COLUMNS_MAX);
    (count, width / count)
}

fn capacity(area: Rect) -> usize {
    usize::from(columns(area.width).0) * usize::from(area.height)
}

/// The line at a place: lines go down one column and continue at the top of the next.
fn at(area: Rect, top: usize, column: u16, row: u16) -> Option<usize> {
    let (count, width) = columns(area.width);
    let across = column.checked_sub(area.x)? / width.max(1);
    let down = row.checked_sub(area.y)?;
    let inside = across < count && down < area.height;
    inside.then(|| top + usize::from(across) * usize::from(area.height) + usize::from(down))
}

#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    pub(super) screen: &'a HostScreen,
    pub(super) context: &'a Context,
    pub(super) host: &'a HostRows,
}

impl Tables<'_> {
    pub(super) fn width_needed(&self, area: Rect) -> u16 {
        let (count, width) = columns(area.width);
        let lines = self.lines(area.width).len();
        let filled = lines.div_ceil(usize::from(area.height).max(1)).max(1);
        match u16::try_from(filled) {
            Ok(filled) if filled < count => filled * width,
            _ => area.width,
        }
    }

    fn lines(&self, width: u16) -> Vec<(Option<Pane>, Line)> {
        let Self {
            screen,
            context,
            host,
        } = *self;
        let theme = &self.context.theme;
        let width = usize::from(columns(width).1);
        let mut lines = Lines {
            all: Vec::new(),
            pane: None,
            focus: screen.panes.focus,
            theme: *theme,
        };
        let lines_ = &mut lines;
        alerts(context, host, width, lines_);
        processes(screen, context, width, lines_);
        cores(host, theme, width, lines_);
        pressure(host, theme, lines_);
        for pane in TABLES {
            let (titles, rows) = compact::table(host, theme, pane);
            if !rows.is_empty() {
                lines_.begin(pane, titles);
                rows.into_iter().for_each(|row| lines_.push(row));
            }
        }
        record(context, host, theme, lines_);
        notes(host, theme, width, lines_);
        lines.all
    }

    /// The panes that are tables and have something to show.
    pub(super) fn panes(&self, width: u16) -> Vec<Pane> {
        let mut found = Vec::new();
        for (pane, _) in self.lines(width) {
            found.extend(pane.filter(|pane| found.last() != Some(pane)));
        }
        found
    }

    pub(super) fn scroll_max(&self, area: Rect) -> u16 {
        let lines = self.lines(area.width).len();
        u16::try_from(lines.saturating_sub(capacity(area))).unwrap_or(u16::MAX)
    }

    /// How far they are to be scrolled so that a pane is seen.
    pub(super) fn scroll_to(&self, area: Rect) -> u16 {
        let lines = self.lines(area.width);
        let is_it = |line: &(Option<Pane>, Line)| line.0 == Some(self.screen.panes.focus);
        let (Some(first), Some(last)) =
            (lines.iter().position(is_it), lines.iter().rposition(is_it))
        else {
            return self.screen.scroll;
        };
        let top = usize::from(self.screen.scroll);
        // The last line may say how many more there are.
        let room = capacity(area).saturating_sub(1);
        let top = top.max((last + 1).saturating_sub(room)).min(first);
        u16::try_from(top).unwrap_or(u16::MAX)
    }

    pub(super) fn pane_at(&self, area: Rect, place: Position) -> Option<Pane> {
        let lines = self.lines(area.width);
        let top = usize::from(self.screen.scroll).min(lines.len().saturating_sub(capacity(area)));
        lines.get(at(area, top, place.x, place.y)?)?.0
    }

    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer) {
        let theme = &self.context.theme;
        let lines = self.lines(area.width);
        let (_, width) = columns(area.width);
        let last = lines.len().saturating_sub(capacity(area));
        let top = usize::from(self.screen.scroll).min(last);
        let shown = lines.iter().skip(top).take(capacity(area));
        for (place, (_, line)) in shown.enumerate() {
            let column = place / usize::from(area.height);
            let part = Rect {
                x: area.x + column as u16 * width,
                width,
                ..area
            };
            let mut pen = Pen::new(buffer, part, (place % usize::from(area.height)) as u16);
            pen.skip(1);
            for (text, style) in line {
                pen.text(text, *style);
            }
        }
        if top < last && area.height > 0 {
            // The last line is replaced by how many more there are.
            let place = Rect {
                x: area.right().saturating_sub(width),
                y: area.bottom().saturating_sub(1),
                width,
                height: 1,
            };
            fill(buffer, place, theme.text);
            let more = format!("{} more {}", last - top + 1, theme.pick("↓", "v"));
            let width = usize::from(width).saturating_sub(1);
            Pen::new(buffer, place, 0).right(&more, width, theme.dim);
        }
    }
}

fn alerts(context: &Context, host: &HostRows, width: usize, lines: &mut Lines) {
    let theme = &context.theme;
    let alerts = host
        .line
        .as_ref()
        .map(|line| &line.alerts[..])
        .unwrap_or_default();
    if alerts.is_empty() {
        return;
    }
    lines.other("ALERTS");
    for alert in alerts {
        let severity = alert.severity.into();
        let since = sysmon_config::time::format_clock(alert.since.0, &context.zone);
        let text = format!("{} since {since}: {}", alert.rule, alert.summary);
        let parts = wrap(&text, width.saturating_sub(4).max(10));
        for (at, part) in parts.into_iter().enumerate() {
            let sign = if at == 0 {
                theme.severity_sign(severity)
            } else {
                " "
            };
            lines.push(vec![
                (format!("{sign} "), theme.severity(severity)),
                (part, theme.text),
            ]);
        }
    }
}

fn cores(host: &HostRows, theme: &Theme, width: usize, lines: &mut Lines) {
    let mut numbers: Vec<u32> = host
        .values_of(&CPU_UTILIZATION, "cpu.logical_number")
        .iter()
        .filter_map(|number| number.as_str().parse().ok())
        .collect();
    numbers.sort_unstable();
    if numbers.is_empty() {
        return;
    }
    lines.begin(Pane::Cores, "");
    let columns = (width.saturating_sub(2) / CORE_WIDTH).clamp(1, CORE_COLUMNS_MAX);
    let rows = numbers.len().div_ceil(columns);
    for row in 0..rows {
        // Numbered down the columns.
        let line = numbers.iter().skip(row).step_by(rows).map(|number| {
            let number = number.to_string();
            let busy = host.now(&CPU_UTILIZATION, &[("cpu.logical_number", &number)]);
            core(theme, &number, busy)
        });
        lines.push(line.flatten().collect());
    }
}

fn core(theme: &Theme, number: &str, busy: Option<f64>) -> Line {
    let share = busy.unwrap_or(0.0);
    let severity = Severity::warning_if(share >= 0.97);
    let bar_style = if severity == Severity::None {
        theme.graph
    } else {
        theme.severity(severity)
    };
    vec![
        (format!("{number:>3} "), theme.dim),
        (bar(share, 6, theme.ascii), bar_style),
        (format!("{:>4}  ", percent(busy)), theme.text),
    ]
}

fn processes(screen: &HostScreen, context: &Context, width: usize, lines: &mut Lines) {
    let shown = match context.size.height {
        ..40 => 5,
        40..60 => 8,
        _ => 15,
    };
    let theme = &context.theme;
    if context.is_downsampled() {
        lines.begin(Pane::Processes, "");
        lines.push(vec![(NOT_STORED.to_owned(), theme.dim)]);
        return;
    }
    if screen.busiest.is_empty() {
        return;
    }
    lines.begin(Pane::Processes, "    pid   cpu %    mem");
    for process in screen.busiest.iter().take(shown) {
        let name = program(process);
        let cpu = f64::from(process.cpu_permille) / 10.0;
        lines.push(vec![
            (fit(name, NAME_WIDTH.min(width)), theme.text),
            (format!("{:>7}", process.identity.pid), theme.dim),
            (format!("{cpu:>8.1}"), theme.text),
            (format!("{:>7}", memory(process)), theme.text),
        ]);
    }
}

fn pressure(host: &HostRows, theme: &Theme, lines: &mut Lines) {
    let share = |resource: &str, scope: &str| {
        let attributes = [
            ("linux.pressure.resource", resource),
            ("linux.pressure.scope", scope),
        ];
        host.now(&PRESSURE_TIME, &attributes)
    };
    if share("cpu", "some").is_none() {
        return;
    }
    lines.begin(Pane::Pressure, "waiting for it, % of time");
    let mut line = Vec::new();
    for resource in ["cpu", "memory", "io"] {
        let some = share(resource, "some");
        let severity = Severity::warning_if(some.is_some_and(|share| share >= 0.5));
        line.push((format!("{resource} "), theme.dim));
        line.push((format!("{:<6}", percent(some)), theme.severity(severity)));
    }
    lines.push(line);
}

/// What the agent cannot see.
fn notes(host: &HostRows, theme: &Theme, width: usize, lines: &mut Lines) {
    let notes = host
        .line
        .as_ref()
        .map(|line| &line.notes[..])
        .unwrap_or_default();
    if notes.is_empty() {
        return;
    }
    lines.other("NOTES");
    for note in notes {
        for part in wrap(note.as_str(), width.saturating_sub(2).max(10)) {
            lines.push(vec![(part, theme.dim)]);
        }
    }
}

/// How complete the host's stored rows are.
fn record(context: &Context, host: &HostRows, theme: &Theme, lines: &mut Lines) {
    let Some(line) = &host.line else { return };
    let health = &line.health;
    lines.other("RECORD");
    lines.push(vec![
        ("since ".to_owned(), theme.dim),
        (
            sysmon_config::time::format_moment(health.oldest.0, &context.zone),
            theme.text,
        ),
        ("   series ".to_owned(), theme.dim),
        (health.series.to_string(), theme.text),
    ]);
    let severity = Severity::warning_if(health.missing_rows > 0);
    lines.push(vec![
        ("missing ".to_owned(), theme.dim),
        (health.missing_rows.to_string(), theme.severity(severity)),
        ("   refused ".to_owned(), theme.dim),
        (health.refused_rows.to_string(), theme.text),
        ("   clock off ".to_owned(), theme.dim),
        (format!("{} ms", health.clock_offset_ms), theme.text),
    ]);
}
