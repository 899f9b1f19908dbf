//! The line at the top: where one is, how the fleet does, and always the time.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::{format_clock, format_moment, format_span};
use unicode_width::UnicodeWidthStr;

use super::paint::{Pen, fill};
use crate::format::{age, percent};
use crate::keys::Mode;
use crate::state::fleet::{CPU, MEMORY};
use crate::state::{Link, State};
use crate::theme::Severity;

/// Beyond this a moment is told with its date.
const DAY_MS: i64 = 86_400_000;

pub(super) fn draw(state: &State, place: Mode, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let style = if state.at.is_some() {
        theme.header_past
    } else {
        theme.header
    };
    fill(buffer, area, style);
    let time = time(state);
    let time_width = time.width();
    let width = usize::from(area.width);
    // Time is always visible: everything else takes what it leaves.
    let left = Rect {
        width: (width.saturating_sub(time_width + 3)) as u16,
        ..area
    };
    let mut pen = Pen::new(buffer, left, 0);
    pen.text(" sysmon", style);
    for part in parts(state, place) {
        if pen.room() >= part.width() + 2 {
            pen.text("  ", style).text(&part, style);
        }
    }
    Pen::new(buffer, area, 0)
        .skip(width.saturating_sub(time_width + 1))
        .text(&time, style);
}

fn time(state: &State) -> String {
    let theme = &state.theme;
    if let Some(at) = state.at {
        let behind = state.now - at;
        let clock = if behind.abs() < DAY_MS {
            format_clock(at.0, &state.zone)
        } else {
            format_moment(at.0, &state.zone)
        };
        let minus = theme.pick("−", "-");
        let by = match state.resolution_ms() {
            3_600_000.. => " by the hour",
            60_000.. => " by the minute",
            _ => "",
        };
        return format!("PAST {clock} ({minus}{}){by}", format_span(behind));
    }
    let clock = format_clock(state.now.0, &state.zone);
    match (&state.link, state.fleet.newest()) {
        (Link::Connected { .. }, Some(newest)) if state.now - newest < 10_000 => {
            format!("{clock}  live")
        }
        (_, Some(newest)) => format!("{clock}  {} old", age(state.now, newest)),
        (_, None) => clock,
    }
}

fn parts(state: &State, place: Mode) -> Vec<String> {
    let theme = &state.theme;
    let mut parts = Vec::new();
    match (&state.link, &state.hub) {
        (Link::Lost { retry_at, .. }, _) => {
            let seconds = ((*retry_at - state.now) / 1000).max(0);
            let sign = theme.pick("✕", "x");
            parts.push(format!("{sign} hub lost, trying again in {seconds} s"));
        }
        (Link::Connecting { to }, _) => parts.push(format!("connecting to {to}")),
        (Link::Connected { hub, .. }, _) => match (place, &state.host) {
            (place, Some(host)) if !matches!(place, Mode::Fleet | Mode::Top) => {
                parts.push(format!("{hub} {} {}", theme.pick("›", ">"), host.name));
            }
            _ => parts.push(hub.to_string()),
        },
    }
    if place != Mode::Fleet {
        return parts;
    }
    let counts = state.fleet.counts();
    let hosts = if counts.hosts == 1 { "host" } else { "hosts" };
    parts.push(format!("{} {hosts}", counts.hosts));
    let mut states = format!("{} live", counts.live);
    if counts.stale > 0 {
        states += &format!("  {}{} stale", theme.pick("○", "o"), counts.stale);
    }
    if counts.offline > 0 {
        states += &format!("  {}{} offline", theme.pick("✕", "x"), counts.offline);
    }
    if counts.unrecorded > 0 {
        states += &format!("  {} not recorded then", counts.unrecorded);
    }
    parts.push(states);
    let mut bad = String::new();
    for (count, severity) in [
        (counts.critical, Severity::Critical),
        (counts.warning, Severity::Warning),
    ] {
        if count > 0 {
            bad += &format!("{}{count} ", theme.severity_sign(severity));
        }
    }
    if !bad.is_empty() {
        parts.push(bad.trim_end().to_owned());
    }
    if counts.live > 0 {
        let (cpu, memory) = (state.fleet.mean(CPU), state.fleet.mean(MEMORY));
        parts.push(format!(
            "cpu {:>2}%  mem {:>2}%",
            percent(cpu),
            percent(memory)
        ));
    }
    parts
}
