//! One process: what it is, what it uses, and what it used around the moment shown.
//!
//! ```text
//!  PROCESS 4127  postgres                              at 13:41:20
//!    command    /usr/lib/postgresql/17/bin/postgres
//!    user       postgres       state  running     threads  4
//!    started    2026-05-04 11:02:13, 2 h 39 min before
//!    parent     1 systemd
//!    CPU  98.1%                                            MEMORY  1.2G
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::{format_clock, format_moment, format_span};
use sysmon_wire::{Process, UnixMs};
use unicode_width::UnicodeWidthChar;

use super::state::Processes;
use crate::context::Context;
use crate::format::{NONE, fit, size};
use crate::model::host_rows::Step;
use crate::model::process::{cpu_percent, memory, program, rate};
use crate::widgets::axis::{draw_axis, draw_scale, plot_of_host, step_ms};
use crate::widgets::chart::{Inks, POINTS_PER_CELL, chart};
use crate::widgets::paint::{Pen, note};
use crate::widgets::section::headline;
use crate::widgets::sparkline::round_scale;

const LABEL_WIDTH: usize = 11;

const COMMAND_LINES_MAX: usize = 4;
const CHILDREN_LINES_MAX: usize = 3;

/// Wider screens have both charts side by side.
const TWO_CHARTS_FROM: u16 = 100;

const SCALE_WIDTH: u16 = 6;

/// Lines of a chart at most: more show nothing more.
const CHART_LINES_MAX: u16 = 12;

pub(super) fn draw(processes: &Processes, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let Some(process) = &processes.open else {
        return;
    };
    let time = processes.time.unwrap_or_else(|| context.moment());
    let title = format!("PROCESS {}", process.identity.pid);
    let known = match (processes.is_open_current, processes.all) {
        (true, _) => format!("at {}", format_clock(time.0, &context.zone)),
        (false, true) => "has ended; last known values".to_owned(),
        (false, false) => "not among the busiest; last known values".to_owned(),
    };
    headline(theme, area, &title, &[program(process), &known], buffer);
    let mut row = 1;
    for (label, lines) in fields(processes, context, process, time, usize::from(area.width)) {
        for (at, line) in lines.iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            Pen::new(buffer, area, row)
                .skip(3)
                .text(&fit(label, LABEL_WIDTH), theme.dim)
                .text(line, theme.text);
            row += 1;
        }
    }
    let rest = Rect {
        y: area.y.saturating_add(row + 1),
        height: area.height.saturating_sub(row + 1),
        ..area
    };
    draw_charts(context, process, rest, buffer);
}

fn fields(
    processes: &Processes,
    context: &Context,
    process: &Process,
    time: UnixMs,
    width: usize,
) -> Vec<(&'static str, Vec<String>)> {
    let identity = &process.identity;
    let room = width.saturating_sub(3 + LABEL_WIDTH + 1).max(1);
    let mut fields = vec![(
        "command",
        wrapped(identity.command.as_str(), room, COMMAND_LINES_MAX),
    )];
    let arguments = process.arguments.as_str();
    if !arguments.is_empty() {
        fields.push(("arguments", wrapped(arguments, room, COMMAND_LINES_MAX)));
    }
    let mut one = |label, text: String| fields.push((label, vec![text]));
    one("user", identity.user.to_string());
    one(
        "state",
        format!(
            "{}, {}",
            state_word(process.state),
            threads(process.threads)
        ),
    );
    one("started", started(context, identity.start, time));
    let named = |pid: u32| match processes.by_pid(pid) {
        Some(parent) => format!("{pid} {}", program(parent)),
        None => pid.to_string(),
    };
    // The past is known from rows, which contain no parents.
    let is_known = process.parent > 0 || process.state != b'?';
    one(
        "parent",
        match (is_known, process.parent) {
            (false, _) => "not recorded".to_owned(),
            (true, 0) => NONE.to_owned(),
            (true, parent) => named(parent),
        },
    );
    let group = identity.cgroup.as_str();
    let label = if group.starts_with('/') {
        "group"
    } else {
        "container"
    };
    if !group.is_empty() {
        fields.push((label, wrapped(group, room, 2)));
    }
    let name = |child: &Process| format!("{} {}", child.identity.pid, program(child));
    let children: Vec<_> = processes.children_of(identity.pid).map(name).collect();
    if !children.is_empty() {
        let text = children.join(", ");
        let count = format!("{}: {text}", children.len());
        fields.push(("children", wrapped(&count, room, CHILDREN_LINES_MAX)));
    }
    let disk = format!(
        "read {}B/s, written {}B/s",
        rate(process.read_bytes_per_s),
        rate(process.write_bytes_per_s)
    );
    fields.push(("disk", vec![disk]));
    fields
}

fn threads(count: u32) -> String {
    match count {
        1 => "1 thread".to_owned(),
        count => format!("{count} threads"),
    }
}

/// What a letter of `/proc/PID/stat` says.
fn state_word(state: u8) -> &'static str {
    match state {
        b'R' => "running",
        b'S' => "sleeping",
        b'D' => "waiting for a disk",
        b'Z' => "zombie: ended, not yet reaped by its parent",
        b'T' | b't' => "stopped",
        b'I' => "idle",
        b'?' => "not recorded",
        _ => "in another state",
    }
}

fn started(context: &Context, start: UnixMs, time: UnixMs) -> String {
    if start.0 <= 0 {
        return NONE.to_owned();
    }
    let age = format_span((time - start).max(0));
    let when = if context.at.is_some() {
        "before"
    } else {
        "ago"
    };
    format!("{}, {age} {when}", format_moment(start.0, &context.zone))
}

/// A text in lines of `width` cells; of more than `most` lines the rest is left out.
fn wrapped(text: &str, width: usize, most: usize) -> Vec<String> {
    let (mut lines, mut used) = (vec![String::new()], 0);
    for c in text.chars() {
        let cells = c.width().unwrap_or(0);
        if used + cells > width {
            if lines.len() >= most {
                if let Some(last) = lines.last_mut() {
                    last.pop();
                    last.push('…');
                }
                break;
            }
            lines.push(String::new());
            used = 0;
        }
        if let Some(last) = lines.last_mut() {
            last.push(c);
        }
        used += cells;
    }
    lines
}

fn draw_charts(context: &Context, process: &Process, area: Rect, buffer: &mut Buffer) {
    let Some(host) = context.host.as_ref().filter(|_| area.height >= 3) else {
        return;
    };
    let is_wide = area.width >= TWO_CHARTS_FROM;
    let count = if is_wide { 1 } else { 2 };
    // The last line is the axis.
    let height = ((area.height - 1) / count).min(CHART_LINES_MAX);
    let width = if is_wide { area.width / 2 } else { area.width };
    let cpu = Rect {
        width,
        height,
        ..area
    };
    let memory_area = match is_wide {
        true => Rect {
            x: area.x + width,
            ..cpu
        },
        false => Rect {
            y: area.y + height,
            ..cpu
        },
    };
    let plot_width = plot_of_host(host, cpu, SCALE_WIDTH).width;
    let points = usize::from(plot_width) * POINTS_PER_CELL;
    let step = step_ms(host, plot_width);
    let history = host.history_of_process(process.identity.id(), points, step);
    let percent = cpu_percent(process.cpu_permille) + "%";
    let max = share_scale(highest(&history.cpu));
    let top = (max, format!("{:.0}%", max * 100.0));
    draw_chart(context, ("CPU", &percent), &history.cpu, &top, cpu, buffer);
    let bytes = memory(process);
    let max = byte_scale(highest(&history.memory));
    let top = (max, size(Some(max)));
    draw_chart(
        context,
        ("MEMORY", &bytes),
        &history.memory,
        &top,
        memory_area,
        buffer,
    );
    for chart in [cpu, memory_area].iter().skip(usize::from(!is_wide)) {
        let axis = Rect {
            y: chart.bottom(),
            height: 1,
            ..plot_of_host(host, *chart, SCALE_WIDTH)
        };
        draw_axis(context, host, axis, &context.theme, buffer);
    }
    if history.is_missed {
        let last = Rect {
            y: memory_area.bottom() + 1,
            height: area.bottom().saturating_sub(memory_area.bottom() + 1),
            ..area
        };
        note(
            buffer,
            last,
            0,
            "gaps: not among the busiest at that time",
            context.theme.dim,
        );
    }
}

fn highest(points: &[Option<Step>]) -> f64 {
    let all = points.iter().flatten();
    all.fold(0.0, |highest, step| step.max.max(highest))
}

fn draw_chart(
    context: &Context,
    (title, value): (&str, &str),
    points: &[Option<Step>],
    (max, top): &(f64, String),
    area: Rect,
    buffer: &mut Buffer,
) {
    let Some(host) = &context.host else { return };
    let theme = &context.theme;
    Pen::new(buffer, area, 0)
        .skip(3)
        .text(title, theme.title)
        .skip(2)
        .text(value, theme.text);
    let plot = plot_of_host(host, area, SCALE_WIDTH);
    if plot.height == 0 {
        return;
    }
    draw_scale(buffer, plot, SCALE_WIDTH, top, theme);
    chart(
        buffer,
        plot,
        points,
        *max,
        Inks::One(theme.graph),
        theme.ascii,
    );
}

/// The top of a scale of processors: a round number from the highest value up.
fn share_scale(highest: f64) -> f64 {
    round_scale(((highest * 1_000.0).ceil() as i64).max(100)) as f64 / 1_000.0
}

/// The top of a scale of bytes: the next power of two, which is round with binary prefixes.
fn byte_scale(highest: f64) -> f64 {
    2f64.powi(highest.max(1_048_576.0).log2().ceil() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Mode;
    use crate::model::host_rows::HostRows;
    use crate::testing::{context, drawn, process};

    fn opened() -> Processes {
        let mut processes = Processes::default();
        let mut parent = process(1, "/sbin/init", 0, 1);
        parent.parent = 0;
        let mut one = process(20, "/usr/bin/postgres", 981, 3 << 30);
        (one.identity.start, one.identity.cgroup) = (UnixMs(3_600_000), "db".into());
        let mut child = process(30, "worker", 5, 1);
        child.parent = 20;
        let rows = vec![parent, one, child];
        processes.set(UnixMs(7_200_000), true, rows);
        processes.open_selected();
        processes
    }

    fn screen(processes: &Processes, width: u16, height: u16) -> String {
        let mut context = context(Mode::Process);
        context.now = UnixMs(7_200_000);
        context.host = Some(HostRows::new("h".into()));
        drawn(processes, &mut context, (width, height))
    }

    #[test]
    fn all_details_are_shown() {
        let text = screen(&opened(), 100, 30);
        for wanted in [
            "PROCESS 20",
            "/usr/bin/postgres",
            "root",
            "sleeping, 1 thread",
            "1970-01-01 01:00:00, 1 h ago",
            "1 init",
            "1: 30 worker",
            "98.1%",
            "3.0G",
            "container  db",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        for (width, height) in [(1, 1), (20, 5), (40, 12), (300, 80)] {
            screen(&opened(), width, height);
        }
    }

    #[test]
    fn a_process_that_ended_is_marked_as_such() {
        let mut processes = opened();
        processes.set(UnixMs(7_201_000), true, Vec::new());
        assert!(screen(&processes, 100, 30).contains("has ended"));
        processes.set(UnixMs(7_202_000), false, Vec::new());
        assert!(screen(&processes, 100, 30).contains("not among the busiest"));
    }

    #[test]
    fn long_texts_are_wrapped_and_cut() {
        assert_eq!(wrapped("abcdef", 4, 3), ["abcd", "ef"]);
        assert_eq!(wrapped("abcdefghi", 4, 2), ["abcd", "efg…"]);
        assert_eq!(wrapped("", 4, 2), [""]);
    }

    #[test]
    fn scales_are_round_and_hold_the_highest() {
        for (highest, wanted) in [(0.0, 0.1), (0.981, 1.0), (3.5, 4.0)] {
            let scale = share_scale(highest);
            assert!((scale - wanted).abs() < 1e-9, "{highest}: {scale}");
        }
        assert_eq!(size(Some(byte_scale(3e9))), "4.0G");
        assert_eq!(size(Some(byte_scale(0.0))), "1.0M");
    }
}
