//! The line at the top: the place, the state of the fleet, and always the time.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use sysmon_config::time::{format_clock, format_moment, format_span};
use unicode_width::UnicodeWidthStr;

use super::state::State;
use super::way;
use crate::context::Link;
use crate::format::{age, fit};
use crate::keys::Mode;
use crate::sections::About;
use crate::theme::Severity;
use crate::widgets::paint::{Pen, fill};
use crate::widgets::section::{Spans, width};

const DAY_MS: i64 = 86_400_000;

/// A part that does not fit is cut where so many cells are left.
const CUT_FROM: usize = 16;

/// A picture whose newest row is older than this is not live.
const LIVE_MS: i64 = 10_000;

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let context = &state.context;
    let theme = &context.theme;
    let (ground, left, right) = match (context.is_lost(), context.at) {
        (true, _) => (theme.header_lost, lost(state), lost_time(state)),
        (_, Some(_)) => (theme.header_past, past(state), past_time(state)),
        _ => (theme.header, live(state), live_time(state)),
    };
    fill(buffer, area, ground);
    // Time is always visible: everything else has the rest of the line.
    let room = usize::from(area.width).saturating_sub(2);
    let right = [right, Vec::new()]
        .into_iter()
        .find(|right| width(right) <= room)
        .unwrap_or_default();
    let taken = width(&right) + usize::from(!right.is_empty()) * 2;
    let mut pen = Pen::new(buffer, area, 0);
    pen.skip(1);
    let mut used = 0;
    if left
        .first()
        .is_some_and(|first| width(first) + taken > room)
    {
        // Of a way that is too long, its end.
        let end = left.first().and_then(|first| first.last());
        let (text, style) = end.cloned().unwrap_or_default();
        let text = fit(&text, text.width().min(room.saturating_sub(taken)));
        pen.spans(&on(&[(text, style)], ground));
        used = room;
    }
    for part in left {
        let next = width(&part);
        if used + next + taken > room {
            // What is said last is said in part.
            let left = room.saturating_sub(used + taken);
            if left >= CUT_FROM
                && let Some((text, style)) = part.first()
            {
                pen.spans(&on(&[(fit(text, left), *style)], ground));
            }
            break;
        }
        used += next;
        pen.spans(&on(&part, ground));
    }
    let end = usize::from(area.width).saturating_sub(width(&right) + 1);
    Pen::new(buffer, area, 0)
        .skip(end)
        .spans(&on(&right, ground));
}

/// The spans on the header's ground.
fn on(spans: &[(String, Style)], ground: Style) -> Spans {
    let style = |style: Style| match style.bg {
        Some(_) => style,
        None => ground.patch(style),
    };
    let spans = spans.iter();
    spans
        .map(|(text, own)| (text.clone(), style(*own)))
        .collect()
}

/// The crumbs as they are drawn, the last one bright.
fn crumb_spans(state: &State, dim: Style, bright: Style) -> Spans {
    let theme = &state.context.theme;
    let crumbs = way::crumbs(state);
    let last = crumbs.len().saturating_sub(1);
    let mut spans = Spans::new();
    for (at, (crumb, _)) in crumbs.into_iter().enumerate() {
        if at > 0 {
            spans.push((theme.pick(" ▸ ", " > ").to_owned(), dim));
        }
        spans.push((crumb, if at == last { bright } else { dim }));
    }
    spans
}

fn live(state: &State) -> Vec<Spans> {
    let context = &state.context;
    let theme = &context.theme;
    let mut parts = vec![crumb_spans(state, theme.dim, theme.title)];
    let is_fleet = context.place() == Mode::Fleet;
    let counts = state.screens.fleet.counts();
    if is_fleet && counts.hosts > 0 {
        let hosts = if counts.hosts == 1 { "host" } else { "hosts" };
        parts.push(vec![(format!("   {} {hosts}", counts.hosts), theme.text)]);
    }
    parts.extend(severities(state));
    if is_fleet {
        for (count, sign, word) in [
            (counts.stale, theme.pick("○", "~"), "late"),
            (counts.offline, theme.pick("✕", "x"), "offline"),
            (counts.unrecorded, theme.pick("·", "."), "no data yet"),
        ] {
            if count > 0 {
                parts.push(vec![(format!("  {sign} {count} {word}"), theme.text)]);
            }
        }
    } else if context.place() == Mode::Host
        && let Some(host) = &context.host
    {
        let about = About::new(context, host, None);
        let dot = theme.pick(" · ", " | ");
        for (at, fact) in about.facts().into_iter().enumerate() {
            let before = if at == 0 { "   " } else { dot };
            parts.push(vec![(format!("{before}{fact}"), theme.dim)]);
        }
    }
    parts
}

/// How many hosts have a firing rule, filled until it is acknowledged.
fn severities(state: &State) -> Vec<Spans> {
    let theme = &state.context.theme;
    let fleet = &state.screens.fleet;
    let alone = |count: usize, one: &str, many: &str| {
        let word = if count == 1 { one } else { many };
        format!("{count} {word}")
    };
    let (critical, warning, is_taken) = fleet.firing();
    let mut parts = Vec::new();
    if critical > 0 {
        let sign = theme.severity_sign(Severity::Critical);
        let text = format!("{sign} {}", alone(critical, "critical", "critical"));
        let chip = match is_taken {
            true => (text, theme.severity(Severity::Critical)),
            false => (format!(" {text} "), theme.severity_cell(Severity::Critical)),
        };
        parts.push(vec![("  ".to_owned(), theme.dim), chip]);
    }
    if warning > 0 {
        let sign = theme.severity_sign(Severity::Warning);
        let text = format!("{sign} {}", alone(warning, "warning", "warnings"));
        let style = theme.severity_cell(Severity::Warning);
        parts.push(vec![("  ".to_owned(), theme.dim), (text, style)]);
    }
    parts
}

fn live_time(state: &State) -> Spans {
    let context = &state.context;
    let theme = &context.theme;
    let clock = format_clock(context.now.0, &context.zone);
    let mut spans = vec![(clock, theme.title)];
    let newest = state.screens.fleet.newest();
    match (&context.link, newest) {
        (Link::Connected { .. }, Some(newest)) if context.now - newest < LIVE_MS => {
            spans.push((format!("  {} ", theme.pick("●", "o")), theme.live));
            spans.push(("live".to_owned(), theme.dim));
        }
        (_, Some(newest)) => {
            let old = format!("  data {} old", age(context.now, newest));
            spans.push((old, theme.title));
        }
        (_, None) => {}
    }
    spans
}

fn past(state: &State) -> Vec<Spans> {
    let context = &state.context;
    let theme = &context.theme;
    let plain = Style::new();
    let Some(at) = context.at else {
        return Vec::new();
    };
    let behind = context.now - at;
    let moment = match behind.abs() < DAY_MS {
        true => format_clock(at.0, &context.zone),
        false => format_moment(at.0, &context.zone),
    };
    let by = match context.resolution_ms() {
        3_600_000.. => " by the hour",
        60_000.. => " by the minute",
        _ => "",
    };
    let from = context.beyond();
    let from = from.map_or_else(String::new, |engine| format!(" from {engine}"));
    let mut crumbs = vec![("   ".to_owned(), plain)];
    crumbs.extend(crumb_spans(state, plain, plain));
    vec![
        vec![(format!("{} PAST  {moment}", theme.pick("◀", "<")), plain)],
        vec![(format!("  {} ago", format_span(behind.max(0))), plain)],
        vec![(format!("{by}{from}"), plain)],
        crumbs,
    ]
}

fn past_time(state: &State) -> Spans {
    let context = &state.context;
    let clock = format_clock(context.now.0, &context.zone);
    vec![(format!("now {clock}"), Style::new())]
}

fn lost(state: &State) -> Vec<Spans> {
    let context = &state.context;
    let theme = &context.theme;
    let plain = Style::new();
    let Link::Lost { reason, .. } = &context.link else {
        return Vec::new();
    };
    let mut parts = vec![vec![(
        format!("{} HUB UNREACHABLE", theme.pick("✕", "x")),
        plain,
    )]];
    if let Some(newest) = state.screens.fleet.newest() {
        let old = format!("  data {} old", age(context.now, newest));
        parts.push(vec![(old, plain)]);
    }
    if let Some(at) = context.at {
        let clock = format_clock(at.0, &context.zone);
        parts.push(vec![(format!("   PAST {clock}"), plain)]);
    }
    parts.push(vec![(format!("   {reason}"), plain)]);
    parts
}

fn lost_time(state: &State) -> Spans {
    let context = &state.context;
    let clock = format_clock(context.now.0, &context.zone);
    let seconds = context.retry_in_s();
    vec![(format!("next try in {seconds} s   {clock}"), Style::new())]
}
