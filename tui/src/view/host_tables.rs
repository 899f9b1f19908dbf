//! The tables of the host screen: processors, filesystems, interfaces, disks, sensors.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use sysmon_wire::metrics::{
    CPU_UTILIZATION, DISK_IO, DISK_IO_TIME, FS_LIMIT, FS_READ_ONLY, FS_UNREACHABLE, FS_USAGE,
    FS_UTILIZATION, NET_DROPPED, NET_ERRORS, NET_IO, PRESSURE_TIME, TEMPERATURE,
};

use super::paint::{Pen, bar, fill};
use super::processes::NOT_KEPT;
use crate::format::{amount, degrees, fit, percent, size};
use crate::state::host::HostView;
use crate::state::{ROWS_MS, State};
use crate::theme::{Severity, Theme};

/// A line of a table: pieces of text with their styles.
pub(super) type Line = Vec<(String, Style)>;

/// Cells of the names in front of the numbers.
const NAME_WIDTH: usize = 16;

/// Processors side by side.
const CORE_COLUMNS_MAX: usize = 4;

/// Cells one processor takes.
const CORE_WIDTH: usize = 16;

/// All lines of the tables on a screen of this width.
pub(super) fn lines(state: &State, host: &HostView, width: u16) -> Vec<Line> {
    let theme = &state.theme;
    let mut lines = Vec::new();
    alerts(state, host, usize::from(width), &mut lines);
    cores(host, theme, usize::from(width), &mut lines);
    processes(state, usize::from(width), &mut lines);
    pressure(host, theme, &mut lines);
    filesystems(host, theme, &mut lines);
    interfaces(host, theme, &mut lines);
    disks(host, theme, &mut lines);
    temperatures(host, theme, &mut lines);
    record(state, host, theme, &mut lines);
    notes(host, theme, usize::from(width), &mut lines);
    lines
}

pub(super) fn draw(state: &State, host: &HostView, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let lines = lines(state, host, area.width);
    let height = usize::from(area.height);
    let last = lines.len().saturating_sub(height);
    let top = usize::from(state.host_scroll).min(last);
    for (row, line) in lines.iter().skip(top).take(height).enumerate() {
        let mut pen = Pen::new(buffer, area, row as u16);
        pen.skip(1);
        for (text, style) in line {
            pen.text(text, *style);
        }
    }
    if top < last && height > 0 {
        // The last line gives way to how much more there is.
        let place = Rect {
            y: area.bottom().saturating_sub(1),
            height: 1,
            ..area
        };
        fill(buffer, place, theme.text);
        let more = format!("{} more {}", last - top + 1, theme.pick("↓", "v"));
        let width = usize::from(area.width).saturating_sub(1);
        Pen::new(buffer, place, 0).right(&more, width, theme.dim);
    }
}

fn heading(theme: &Theme, title: &str, columns: &str, lines: &mut Vec<Line>) {
    if !lines.is_empty() {
        lines.push(Vec::new());
    }
    lines.push(vec![
        (fit(title, NAME_WIDTH), theme.title),
        (columns.to_owned(), theme.dim),
    ]);
}

/// What is wrong, and since when.
fn alerts(state: &State, host: &HostView, width: usize, lines: &mut Vec<Line>) {
    let theme = &state.theme;
    let alerts = host
        .line
        .as_ref()
        .map(|line| &line.alerts[..])
        .unwrap_or_default();
    if alerts.is_empty() {
        return;
    }
    heading(theme, "ALERTS", "", lines);
    for alert in alerts {
        let severity = match alert.severity {
            sysmon_wire::message::Severity::Warning => Severity::Warning,
            sysmon_wire::message::Severity::Critical => Severity::Critical,
        };
        let since = sysmon_config::time::format_clock(alert.since.0, &state.zone);
        let text = format!("{} since {since}: {}", alert.rule, alert.summary);
        let parts = super::fleet::wrap(&text, width.saturating_sub(4).max(10));
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

fn cores(host: &HostView, theme: &Theme, width: usize, lines: &mut Vec<Line>) {
    let mut numbers: Vec<u32> = host
        .values_of(&CPU_UTILIZATION, "cpu.logical_number")
        .iter()
        .filter_map(|number| number.as_str().parse().ok())
        .collect();
    numbers.sort_unstable();
    if numbers.is_empty() {
        return;
    }
    heading(theme, "PROCESSORS", "", lines);
    let columns = (width.saturating_sub(2) / CORE_WIDTH).clamp(1, CORE_COLUMNS_MAX);
    let rows = numbers.len().div_ceil(columns);
    for row in 0..rows {
        // Down the columns, as people count.
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
    let severity = if share >= 0.97 {
        Severity::Warning
    } else {
        Severity::None
    };
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

/// The first few; all of them are a key away.
fn processes(state: &State, width: usize, lines: &mut Vec<Line>) {
    const SHOWN: usize = 5;
    let theme = &state.theme;
    if state.resolution_ms() > ROWS_MS {
        heading(theme, "PROCESSES", "", lines);
        lines.push(vec![(NOT_KEPT.to_owned(), theme.dim)]);
        return;
    }
    if state.processes.is_empty() {
        return;
    }
    heading(theme, "PROCESSES", "    pid   cpu %    mem", lines);
    for process in state.processes.shown().take(SHOWN) {
        let path = process.identity.command.as_str();
        let name = path
            .rsplit('/')
            .next()
            .filter(|name| !name.is_empty())
            .unwrap_or(path);
        let cpu = f64::from(process.cpu_permille) / 10.0;
        lines.push(vec![
            (fit(name, NAME_WIDTH.min(width)), theme.text),
            (format!("{:>7}", process.identity.pid), theme.dim),
            (format!("{cpu:>8.1}"), theme.text),
            (
                format!("{:>7}", size(Some(process.memory_bytes as f64))),
                theme.text,
            ),
        ]);
    }
}

fn pressure(host: &HostView, theme: &Theme, lines: &mut Vec<Line>) {
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
    heading(theme, "PRESSURE", "waiting for it, % of time", lines);
    let mut line = Vec::new();
    for resource in ["cpu", "memory", "io"] {
        let some = share(resource, "some");
        let severity = match some {
            Some(share) if share >= 0.5 => Severity::Warning,
            _ => Severity::None,
        };
        line.push((format!("{resource} "), theme.dim));
        line.push((format!("{:<6}", percent(some)), theme.severity(severity)));
    }
    lines.push(line);
}

fn filesystems(host: &HostView, theme: &Theme, lines: &mut Vec<Line>) {
    let mount = "system.filesystem.mountpoint";
    let points = host.values_of(&FS_UTILIZATION, mount);
    if points.is_empty() {
        return;
    }
    heading(theme, "FILESYSTEMS", "             %   used    of", lines);
    for point in points {
        let devices = host.device_of(&FS_UTILIZATION, mount, &point);
        let mut here = vec![(mount, point.as_str())];
        if let Some(device) = &devices {
            here.push(("system.device", device.as_str()));
        }
        let share = host.now(&FS_UTILIZATION, &here);
        let used = [&here[..], &[("system.filesystem.state", "used")]].concat();
        let severity = match share {
            Some(share) if share >= 0.97 => Severity::Critical,
            Some(share) if share >= 0.90 => Severity::Warning,
            _ => Severity::None,
        };
        let style = if severity == Severity::None {
            theme.graph
        } else {
            theme.severity(severity)
        };
        let mut line = vec![
            (fit(point.as_str(), NAME_WIDTH), theme.text),
            (bar(share.unwrap_or(0.0), 10, theme.ascii), style),
            (format!("{:>4}", percent(share)), theme.severity(severity)),
            (
                format!("{:>7}", size(host.now(&FS_USAGE, &used))),
                theme.text,
            ),
            (
                format!("{:>6}", size(host.now(&FS_LIMIT, &here))),
                theme.dim,
            ),
        ];
        if host.now(&FS_READ_ONLY, &here) == Some(1.0) {
            line.push(("  read-only".to_owned(), theme.dim));
        }
        if host.now(&FS_UNREACHABLE, &here) == Some(1.0) {
            let sign = theme.severity_sign(Severity::Critical);
            line.push((
                format!("  {sign} no answer"),
                theme.severity(Severity::Critical),
            ));
        }
        lines.push(line);
    }
}

fn interfaces(host: &HostView, theme: &Theme, lines: &mut Vec<Line>) {
    let interfaces = host.values_of(&NET_IO, "network.interface.name");
    if interfaces.is_empty() {
        return;
    }
    heading(
        theme,
        "INTERFACES",
        "    in/s   out/s   errors  drops",
        lines,
    );
    for name in interfaces {
        let at = |direction| {
            [
                ("network.interface.name", name.as_str()),
                ("network.io.direction", direction),
            ]
        };
        let both = |metric| {
            let (rx, tx) = (
                host.total(metric, &at("receive")),
                host.total(metric, &at("transmit")),
            );
            rx.map(|rx| rx + tx.unwrap_or(0.0))
        };
        lines.push(vec![
            (fit(name.as_str(), NAME_WIDTH), theme.text),
            (
                format!("{:>8}", amount(host.now(&NET_IO, &at("receive")))),
                theme.text,
            ),
            (
                format!("{:>8}", amount(host.now(&NET_IO, &at("transmit")))),
                theme.text,
            ),
            (format!("{:>9}", amount(both(&NET_ERRORS))), theme.dim),
            (format!("{:>7}", amount(both(&NET_DROPPED))), theme.dim),
        ]);
    }
}

fn disks(host: &HostView, theme: &Theme, lines: &mut Vec<Line>) {
    let disks = host.values_of(&DISK_IO, "system.device");
    if disks.is_empty() {
        return;
    }
    heading(theme, "DISKS", "  read/s write/s   busy %", lines);
    for name in disks {
        let at = |direction| {
            [
                ("system.device", name.as_str()),
                ("disk.io.direction", direction),
            ]
        };
        // Seconds busy a second are the share of time.
        let busy = host.now(&DISK_IO_TIME, &[("system.device", name.as_str())]);
        let severity = match busy {
            Some(share) if share >= 0.9 => Severity::Warning,
            _ => Severity::None,
        };
        lines.push(vec![
            (fit(name.as_str(), NAME_WIDTH), theme.text),
            (
                format!("{:>8}", amount(host.now(&DISK_IO, &at("read")))),
                theme.text,
            ),
            (
                format!("{:>8}", amount(host.now(&DISK_IO, &at("write")))),
                theme.text,
            ),
            (
                format!("{:>9}", percent(busy.map(|b| b.min(1.0)))),
                theme.severity(severity),
            ),
        ]);
    }
}

fn temperatures(host: &HostView, theme: &Theme, lines: &mut Vec<Line>) {
    let sensors = host.values_of(&TEMPERATURE, "hw.name");
    if sensors.is_empty() {
        return;
    }
    heading(theme, "TEMPERATURES", theme.pick("    °C", "     C"), lines);
    for name in sensors {
        let value = host.now(&TEMPERATURE, &[("hw.name", name.as_str())]);
        lines.push(vec![
            (fit(name.as_str(), NAME_WIDTH), theme.text),
            (format!("{:>6}", degrees(value)), theme.text),
        ]);
    }
}

/// What the agent cannot see.
fn notes(host: &HostView, theme: &Theme, width: usize, lines: &mut Vec<Line>) {
    let notes = host
        .line
        .as_ref()
        .map(|line| &line.notes[..])
        .unwrap_or_default();
    if notes.is_empty() {
        return;
    }
    heading(theme, "NOTES", "", lines);
    for note in notes {
        for part in super::fleet::wrap(note.as_str(), width.saturating_sub(2).max(10)) {
            lines.push(vec![(part, theme.dim)]);
        }
    }
}

/// How whole the host's record is.
fn record(state: &State, host: &HostView, theme: &Theme, lines: &mut Vec<Line>) {
    let Some(line) = &host.line else { return };
    let health = &line.health;
    heading(theme, "RECORD", "", lines);
    lines.push(vec![
        ("since ".to_owned(), theme.dim),
        (
            sysmon_config::time::format_moment(health.oldest.0, &state.zone),
            theme.text,
        ),
        ("   series ".to_owned(), theme.dim),
        (health.series.to_string(), theme.text),
    ]);
    let severity = if health.missing_rows > 0 {
        Severity::Warning
    } else {
        Severity::None
    };
    lines.push(vec![
        ("missing ".to_owned(), theme.dim),
        (health.missing_rows.to_string(), theme.severity(severity)),
        ("   refused ".to_owned(), theme.dim),
        (health.refused_rows.to_string(), theme.text),
        ("   clock off ".to_owned(), theme.dim),
        (format!("{} ms", health.clock_offset_ms), theme.text),
    ]);
}
