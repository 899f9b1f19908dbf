//! The line at the top: the screen, the state of the fleet, and always the time.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::{format_clock, format_moment, format_span};
use unicode_width::UnicodeWidthStr;

use super::state::State;
use crate::context::Link;
use crate::format::{age, percent};
use crate::keys::Mode;
use crate::model::summary::{CPU, MEMORY};
use crate::theme::Severity;
use crate::widgets::paint::{Pen, fill};

const DAY_MS: i64 = 86_400_000;

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = &state.context.theme;
    let style = if state.context.at.is_some() {
        theme.header_past
    } else {
        theme.header
    };
    fill(buffer, area, style);
    let time = time(state);
    let time_width = time.width();
    let width = usize::from(area.width);
    // Time is always visible: everything else has the rest of the line.
    let left = Rect {
        width: (width.saturating_sub(time_width + 3)) as u16,
        ..area
    };
    let mut pen = Pen::new(buffer, left, 0);
    pen.text(" sysmon", style);
    for part in parts(state, state.context.place()) {
        if pen.room() >= part.width() + 2 {
            pen.text("  ", style).text(&part, style);
        }
    }
    Pen::new(buffer, area, 0)
        .skip(width.saturating_sub(time_width + 1))
        .text(&time, style);
}

fn time(state: &State) -> String {
    let theme = &state.context.theme;
    if let Some(at) = state.context.at {
        let behind = state.context.now - at;
        let clock = if behind.abs() < DAY_MS {
            format_clock(at.0, &state.context.zone)
        } else {
            format_moment(at.0, &state.context.zone)
        };
        let minus = theme.pick("−", "-");
        let by = match state.context.resolution_ms() {
            3_600_000.. => " by the hour",
            60_000.. => " by the minute",
            _ => "",
        };
        let from = state.context.beyond();
        let from = from.map_or_else(String::new, |engine| format!(" from {engine}"));
        return format!("PAST {clock} ({minus}{}){by}{from}", format_span(behind));
    }
    let clock = format_clock(state.context.now.0, &state.context.zone);
    match (&state.context.link, state.screens.fleet.newest()) {
        (Link::Connected { .. }, Some(newest)) if state.context.now - newest < 10_000 => {
            format!("{clock}  live")
        }
        (_, Some(newest)) => format!("{clock}  {} old", age(state.context.now, newest)),
        (_, None) => clock,
    }
}

fn parts(state: &State, place: Mode) -> Vec<String> {
    let theme = &state.context.theme;
    let mut parts = Vec::new();
    match &state.context.link {
        Link::Lost { retry_at, .. } => {
            let seconds = ((*retry_at - state.context.now) / 1000).max(0);
            let sign = theme.pick("✕", "x");
            parts.push(format!("{sign} HUB UNREACHABLE, retrying in {seconds} s"));
        }
        Link::Connecting { to } => parts.push(format!("connecting to {to}")),
        Link::Connected { hub } => match (place, &state.context.host) {
            (place, Some(host)) if !matches!(place, Mode::Fleet | Mode::Top) => {
                parts.push(format!("{hub} {} {}", theme.pick("›", ">"), host.name));
            }
            _ => parts.push(hub.to_string()),
        },
    }
    if place != Mode::Fleet {
        return parts;
    }
    let counts = state.screens.fleet.counts();
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
        states += &format!("  {} no data yet", counts.unrecorded);
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
        let (cpu, memory) = (
            state.screens.fleet.mean(CPU),
            state.screens.fleet.mean(MEMORY),
        );
        parts.push(format!(
            "cpu {:>2}%  mem {:>2}%",
            percent(cpu),
            percent(memory)
        ));
    }
    parts
}
