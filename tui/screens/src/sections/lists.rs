//! Lists of a host: its processes, filesystems, pressure and temperatures.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use sysmon_config::time::format_span;
use sysmon_wire::metrics::{
    FS_UNREACHABLE, FS_USAGE, FS_UTILIZATION, PRESSURE_TIME, PROCESS_COUNT, TEMPERATURE,
    TEMPERATURE_LIMIT,
};
use sysmon_wire::{Label, Process};
use unicode_width::UnicodeWidthStr;

use super::About;
use crate::format::{degrees, fit, percent, size};
use crate::model::process::{NOT_STORED, memory, program};
use crate::model::step::Steps;
use crate::theme::Severity;
use crate::widgets::meter::meter;
use crate::widgets::paint::{Pen, fill};
use crate::widgets::section::Spans;

/// Cells of PID, CPU and memory of a process.
pub(crate) const PROCESS_COLUMNS: (usize, usize, usize) = (8, 8, 7);

/// Lists narrower than this have no PID.
const PID_FROM: u16 = 48;

/// Filesystems that fill up later than this are not said to.
const FULL_WITHIN_MS: f64 = 30.0 * 86_400_000.0;

/// Cells of when a filesystem is full, a space before it included.
const FULL: usize = 14;

/// When a filesystem is full, as exactly as a trend can say it.
fn full_in(ms: i64) -> String {
    const MINUTE: i64 = 60_000;
    let exact = match ms {
        ..MINUTE => 1_000,
        MINUTE..36_000_000 => MINUTE,
        _ => 60 * MINUTE,
    };
    format!("in {}", format_span(ms - ms % exact))
}

/// A filesystem as it is listed.
pub(crate) struct Usage {
    pub(crate) name: Label,
    share: Option<f64>,
    free: Option<f64>,
    /// Bytes an hour.
    trend: Option<f64>,
    full_in_ms: Option<i64>,
    is_unreachable: bool,
}

impl About<'_> {
    pub(crate) fn processes(
        &self,
        processes: &[Process],
        (top, selected): (usize, Option<usize>),
        area: Rect,
        is_focus: bool,
        buffer: &mut Buffer,
    ) {
        let theme = &self.theme;
        let (pid, cpu, mem) = PROCESS_COLUMNS;
        let has_pid = area.width >= PID_FROM;
        let pid = if has_pid { pid } else { 0 };
        let heads = format!(
            "{:>pid$}{:>cpu$}{:>mem$}",
            if has_pid { "PID" } else { "" },
            "CPU%",
            "MEM"
        );
        let mut section = self
            .section("PROCESSES", is_focus)
            .detail(self.process_counts());
        section = section.right(vec![(heads.trim_start().to_owned(), theme.dim)]);
        section.draw_to_edge(theme, area, buffer);
        if self.host.resolution_ms() > crate::model::ROW_MS {
            Pen::new(buffer, area, 1).text(NOT_STORED, theme.dim);
            return;
        }
        let name_width = usize::from(area.width).saturating_sub(pid + cpu + mem + 1);
        let room = usize::from(area.height.saturating_sub(1));
        for (row, (at, process)) in (1..).zip(processes.iter().enumerate().skip(top).take(room)) {
            let is_selected = selected == Some(at);
            let line = Rect {
                x: area.x.saturating_sub(1),
                y: area.y + row,
                width: area.width + 2,
                height: 1,
            };
            if is_selected {
                fill(buffer, line, theme.selected);
            }
            let on = |style| theme.on(is_selected, style);
            let used = f64::from(process.cpu_permille) / 10.0;
            let style = match used {
                ..0.95 => theme.dim,
                _ => theme.text,
            };
            let usage = match at {
                0 if used >= 1.0 => theme.title,
                _ if used < 0.05 => theme.faint,
                _ => style,
            };
            let mut pen = Pen::new(buffer, area, row);
            self.draw_name(process, name_width, style, on, &mut pen);
            if has_pid {
                let number = process.identity.pid.to_string();
                pen.right(&number, pid, on(theme.faint));
            }
            pen.right(&format!("{used:.1}"), cpu, on(usage));
            let text = memory(process);
            let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let unit = text.get(digits.len()..).unwrap_or_default();
            pen.right(digits, mem - unit.len(), on(style))
                .text(unit, on(theme.dim));
        }
    }

    /// The program, and its arguments dim behind it.
    fn draw_name(
        &self,
        process: &Process,
        width: usize,
        style: Style,
        on: impl Fn(Style) -> Style,
        pen: &mut Pen<'_>,
    ) {
        let name = program(process);
        let arguments = process.arguments.as_str();
        let used = name.width();
        if arguments.is_empty() || used + 2 > width {
            pen.text(&fit(name, width), on(style));
            return;
        }
        pen.text(name, on(style))
            .skip(1)
            .text(&fit(arguments, width - used - 1), on(self.theme.dim));
    }

    fn process_counts(&self) -> Spans {
        let theme = &self.theme;
        let count = |state: &[(&str, &str)]| self.host.now(&PROCESS_COUNT, state);
        let Some(all) = count(&[]) else {
            return Spans::new();
        };
        let mut spans = vec![(format!("{all:.0}"), theme.text)];
        if let Some(running) = count(&[("process.state", "running")]) {
            let dot = theme.pick(" · ", " | ");
            spans.push((format!("{dot}{running:.0} run"), theme.dim));
        }
        spans
    }

    pub(crate) fn usages(&self) -> Vec<Usage> {
        let names = self
            .host
            .values_of(&FS_UTILIZATION, "system.filesystem.mountpoint");
        let unreachable = self
            .host
            .values_of(&FS_UNREACHABLE, "system.filesystem.mountpoint");
        let lost = unreachable.into_iter().filter(|name| !names.contains(name));
        let lost: Vec<_> = lost.collect();
        let all = names.iter().cloned().chain(lost);
        all.map(|name| self.usage(name)).collect()
    }

    fn usage(&self, name: Label) -> Usage {
        let host = self.host;
        let mount = ("system.filesystem.mountpoint", name.as_str());
        let of = |metric, more: &[(&str, &str)]| {
            let at = host.find_with(metric, &[&[mount], more].concat())?;
            Some((at, host.now_at(metric, at)?))
        };
        let share = of(&FS_UTILIZATION, &[]).map(|(_, share)| share);
        let free = of(&FS_USAGE, &[("system.filesystem.state", "free")]);
        let used = of(&FS_USAGE, &[("system.filesystem.state", "used")]);
        let trend = used.and_then(|(at, _)| {
            // The change between the ends of the window, if it is long enough to tell.
            let points = host.history_at(&FS_USAGE, at, 3, host.window_ms() / 3);
            let [first, .., last] = points.as_slice() else {
                return None;
            };
            let change = last.as_ref()?.mean - first.as_ref()?.mean;
            let hours = host.window_ms() as f64 * 2.0 / 3.0 / 3_600_000.0;
            Some(change / hours)
        });
        let full_in_ms = trend
            .zip(free)
            .filter(|(trend, _)| *trend > 0.0)
            .map(|(trend, (_, free))| free / trend * 3_600_000.0)
            .filter(|ms| *ms < FULL_WITHIN_MS)
            .map(|ms| ms as i64);
        let is_unreachable = of(&FS_UNREACHABLE, &[]).is_some_and(|(_, value)| value > 0.0);
        Usage {
            share,
            free: free.map(|(_, free)| free),
            trend,
            full_in_ms,
            is_unreachable,
            name,
        }
    }

    pub(crate) fn filesystems(
        &self,
        usages: &[Usage],
        area: Rect,
        is_focus: bool,
        buffer: &mut Buffer,
    ) {
        use crate::model::summary::FILESYSTEM;
        const PERCENT: usize = 5;
        const FREE: usize = 7;
        const TREND: usize = 9;
        let theme = &self.theme;
        let width = usize::from(area.width);
        let has_trend = width >= 48;
        let meter_width = if width >= 56 { 12 } else { 8 };
        let mut heads = format!("{:>PERCENT$}{:>FREE$}", "%", "FREE");
        if has_trend {
            heads += &format!("{:>TREND$}{:>FULL$}", "TREND", "FULL");
        }
        self.section("FILESYSTEMS", is_focus)
            .right(vec![(heads.trim_start().to_owned(), theme.dim)])
            .draw_to_edge(theme, area, buffer);
        let name_width = width.saturating_sub(heads.len() + meter_width + 2).max(4);
        let room = usize::from(area.height.saturating_sub(1));
        // What is full comes first where not all have room.
        let mut order: Vec<&Usage> = usages.iter().collect();
        if order.len() > room {
            order.sort_by(|a, b| b.share.unwrap_or(2.0).total_cmp(&a.share.unwrap_or(2.0)));
        }
        let is_fired = self.severity_of(FILESYSTEM) > Severity::None;
        for (row, usage) in (1..).zip(order.iter().take(room)) {
            let mut pen = Pen::new(buffer, area, row);
            pen.text(&fit(usage.name.as_str(), name_width), theme.text)
                .skip(1);
            if usage.is_unreachable {
                pen.text("no answer", theme.title);
                continue;
            }
            let share = usage.share.unwrap_or(0.0);
            let step = Steps::SPACE;
            let parts = [(share, *step.style(&theme.meter, share))];
            meter(&mut pen, &parts, meter_width, theme);
            let style = match step.step(share) {
                0 => theme.text,
                _ if is_fired && step.step(share) >= 1 => {
                    theme.severity(self.severity_of(FILESYSTEM))
                }
                _ => *step.style(&theme.level, share),
            };
            pen.right(&percent(usage.share), PERCENT, style);
            let free = size(usage.free);
            self.right_quantity(&mut pen, &free, FREE);
            if has_trend {
                self.draw_trend(usage, TREND, &mut pen);
            }
        }
    }

    fn right_quantity(&self, pen: &mut Pen<'_>, text: &str, width: usize) {
        let spans = self.quantity(text, self.theme.text);
        pen.skip(width.saturating_sub(text.width())).spans(&spans);
    }

    fn draw_trend(&self, usage: &Usage, trend: usize, pen: &mut Pen<'_>) {
        let theme = &self.theme;
        let text = match usage.trend {
            Some(bytes) if bytes.abs() < 1_048_576.0 => "0".to_owned(),
            Some(bytes) if bytes > 0.0 => format!("+{}/h", size(Some(bytes))),
            Some(bytes) => format!("-{}/h", size(Some(-bytes))),
            None => theme.pick("–", "-").to_owned(),
        };
        let style = if text.width() == 1 {
            theme.faint
        } else {
            theme.dim
        };
        pen.right(&text, trend, style);
        let (text, style) = match usage.full_in_ms {
            Some(ms) => (full_in(ms), theme.text),
            None => (theme.pick("–", "-").to_owned(), theme.faint),
        };
        pen.right(&text, FULL, style);
    }

    pub(crate) fn has_pressure(&self) -> bool {
        self.pressure_of("cpu").is_some()
    }

    fn pressure_of(&self, resource: &str) -> Option<f64> {
        let with = [
            ("linux.pressure.resource", resource),
            ("linux.pressure.scope", "some"),
        ];
        self.host.now(&PRESSURE_TIME, &with)
    }

    /// The share of time in which something waits.
    pub(crate) fn pressure(&self, area: Rect, is_focus: bool, buffer: &mut Buffer) {
        let theme = &self.theme;
        self.section("PRESSURE", is_focus)
            .right(vec![("% of time".to_owned(), theme.dim)])
            .draw(theme, area, buffer);
        for (row, resource) in (1..).zip(["cpu", "memory", "io"]) {
            let value = self.pressure_of(resource);
            let steps = if resource == "cpu" {
                Steps::CPU
            } else {
                Steps::PRESSURE
            };
            let share = value.unwrap_or(0.0);
            let mut pen = Pen::new(buffer, area, row);
            pen.text(&fit(resource, 7), theme.dim).right(
                &percent(value),
                3,
                *steps.style(&theme.level, share),
            );
            pen.skip(1);
            let room = usize::from(area.width).saturating_sub(11);
            let parts = [(share, *steps.style(&theme.meter, share))];
            meter(&mut pen, &parts, room, theme);
        }
    }

    /// Names of the sensors of temperature, the nearest to its limit first.
    pub(crate) fn sensors(&self) -> Vec<(Label, f64, Option<f64>)> {
        let host = self.host;
        let names = host.values_of(&TEMPERATURE, "hw.name");
        let of = |name: &Label| {
            let with = [("hw.name", name.as_str())];
            let at = host.find_with(&TEMPERATURE, &with)?;
            let value = host.now_at(&TEMPERATURE, at)?;
            let limit = host.find_with(&TEMPERATURE_LIMIT, &with);
            let limit = limit.and_then(|at| host.now_at(&TEMPERATURE_LIMIT, at));
            Some((name.clone(), value, limit))
        };
        let mut sensors: Vec<_> = names.iter().filter_map(of).collect();
        let near = |(_, value, limit): &(Label, f64, Option<f64>)| value / limit.unwrap_or(100.0);
        sensors.sort_by(|a, b| near(b).total_cmp(&near(a)));
        sensors
    }

    pub(crate) fn temperatures(
        &self,
        sensors: &[(Label, f64, Option<f64>)],
        area: Rect,
        is_focus: bool,
        buffer: &mut Buffer,
    ) {
        let theme = &self.theme;
        let unit = theme.pick("°C, limit", "C, limit");
        self.section("TEMPERATURE", is_focus)
            .right(vec![(unit.to_owned(), theme.dim)])
            .draw(theme, area, buffer);
        let room = usize::from(area.height.saturating_sub(1));
        let name_width = usize::from(area.width / 3).clamp(6, 16);
        for (row, (name, value, limit)) in (1..).zip(sensors.iter().take(room)) {
            let steps = Steps::CELSIUS;
            let top = limit.unwrap_or(100.0).max(1.0);
            let mut pen = Pen::new(buffer, area, row);
            pen.text(&fit(name.as_str(), name_width), theme.dim).right(
                &degrees(Some(*value)),
                4,
                *steps.style(&theme.level, *value),
            );
            pen.skip(1);
            let room = usize::from(area.width).saturating_sub(name_width + 5 + 4);
            let parts = [(value / top, *steps.style(&theme.meter, *value))];
            meter(&mut pen, &parts, room, theme);
            let limit = limit.map_or_else(String::new, |limit| degrees(Some(limit)));
            pen.right(&limit, 4, theme.faint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_filesystem_is_full_never_touches_the_column_before() {
        for seconds in (0..30 * 86_400).step_by(7) {
            let text = full_in(seconds * 1_000);
            assert!(text.width() < FULL, "{text}");
        }
    }
}
