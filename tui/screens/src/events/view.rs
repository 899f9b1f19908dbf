//! The list of events, the newest first, below the firing alerts.
//!
//! ```text
//!  EVENTS  of all hosts in 1 h   1 firing, 1 acknowledged
//!     TIME      HOST    WHAT
//!  ▌  13:38:00  db-1    ▲ FIRING  cpu saturated: 98 %
//!     13:20:05  web-3   ! acknowledged  by jane: disk /srv is full at 20:10
//!     13:38:00  db-1    ▲ critical  cpu saturated: 98 %
//!     13:20:05  laptop  ✕ silent
//! ```

use std::borrow::Cow;

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::Style;
use sysmon_config::time::{format_clock, format_moment};
use sysmon_wire::alerts::{AlertState, SilenceState};
use sysmon_wire::timeline::{Event, EventKind};
use unicode_width::UnicodeWidthStr;

use super::state::{EventRow, Events};
use super::strip::sign;
use crate::context::Context;
use crate::format::{fit, lasted, wrap};
use crate::layout::body;
use crate::widgets::paint::{Pen, fill, more, note};
use crate::widgets::section::headline;

const LINES_ABOVE: u16 = 2;

pub(super) const FIRST_ROW: u16 = 1 + LINES_ABOVE;

const CLOCK_WIDTH: usize = 8;
const MOMENT_WIDTH: usize = 19;
const HOST_WIDTH: usize = 14;

/// Screens at least this wide say how long alerts fired, in so many cells.
const LASTED_FROM: u16 = 80;
const LASTED_WIDTH: usize = 8;

const DAY_MS: i64 = 86_400_000;

/// Screens at least this high show the whole text of the selected event below the list.
const FULL_FROM: u16 = 14;

const FULL_LINES: u16 = 3;

pub(super) fn rows(screen: Size) -> usize {
    let height = body(screen).height;
    usize::from(height.saturating_sub(LINES_ABOVE + lines_below(screen))).max(1)
}

fn lines_below(screen: Size) -> u16 {
    if screen.height >= FULL_FROM {
        FULL_LINES
    } else {
        0
    }
}

pub(super) fn draw(events: &Events, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let of = match &context.host {
        Some(host) => format!("of {} in {}", host.name, context.chart_span.strip_text()),
        None => format!("of all hosts in {}", context.chart_span.strip_text()),
    };
    let firing = firing(events.alerts.counts());
    headline(theme, area, "EVENTS", &[&firing, &of], buffer);
    if events.is_empty() {
        note(
            buffer,
            area,
            LINES_ABOVE,
            "no events; - shows more time",
            theme.text,
        );
        return;
    }
    let is_long = context.chart_span.strip_ms() > DAY_MS;
    let time_width = if is_long { MOMENT_WIDTH } else { CLOCK_WIDTH };
    let names = events.rows().map(|entry| entry.host().as_str().width());
    let host_width = names.max().unwrap_or(0).clamp(4, HOST_WIDTH);
    let mut pen = Pen::new(buffer, area, 1);
    pen.skip(3)
        .text(&fit("TIME", time_width), theme.dim)
        .skip(2);
    pen.text(&fit("HOST", host_width), theme.dim).skip(2);
    pen.text("WHAT", theme.dim);
    if area.width >= LASTED_FROM {
        let width = usize::from(area.width);
        Pen::new(buffer, area, 1)
            .skip(width - LASTED_WIDTH - 1)
            .right("LASTED", LASTED_WIDTH, theme.dim);
    }
    let height = rows(context.size).min(usize::from(area.height.saturating_sub(LINES_ABOVE)));
    let shown = events.rows().enumerate().skip(events.top);
    for (row, (at, entry)) in (LINES_ABOVE..).zip(shown.take(height)) {
        let widths = (time_width, host_width);
        let is_selected = at == events.selected_at();
        draw_row(
            events,
            context,
            (entry, is_selected),
            widths,
            (area, row),
            buffer,
        );
    }
    let list = Rect {
        y: area.y + LINES_ABOVE.min(area.height),
        height: (height as u16).min(area.height),
        ..area
    };
    let (above, below) = (events.top > 0, events.top + height < events.len());
    more(buffer, list, above, below, theme);
    draw_full(events, context, area, buffer);
}

/// Draws a row of the list; times are with their date where their column is so wide.
fn draw_row(
    events: &Events,
    context: &Context,
    (entry, is_selected): (EventRow<'_>, bool),
    (time_width, host_width): (usize, usize),
    (area, row): (Rect, u16),
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let is_long = time_width == MOMENT_WIDTH;
    let line = Rect {
        y: area.y + row,
        height: 1,
        ..area
    };
    if is_selected {
        fill(buffer, line, theme.selected);
    }
    let on = |style| theme.on(is_selected, style);
    let mut pen = Pen::new(buffer, area, row);
    let mark = theme.mark(is_selected);
    let time = match is_long {
        true => format_moment(entry.time().0, &context.zone),
        false => format_clock(entry.time().0, &context.zone),
    };
    let Described { sign, what, text } = Described::of(entry, context);
    pen.text(mark, on(theme.key)).skip(2);
    pen.text(&fit(&time, time_width), on(theme.dim)).skip(2);
    pen.text(&fit(entry.host().as_str(), host_width), on(theme.text))
        .skip(2);
    pen.text(sign.0, on(sign.1)).skip(1);
    pen.text(what.0, on(what.1)).skip(2);
    let lasted = match entry {
        EventRow::Event(event) => lasted_text(events, event),
        _ => None,
    };
    let lasted = lasted.filter(|_| area.width >= LASTED_FROM);
    let taken = if lasted.is_some() {
        LASTED_WIDTH + 2
    } else {
        0
    };
    let room = pen.room().saturating_sub(1 + taken);
    // The common prefix says least; the whole text is below the list.
    let text = text.strip_prefix("system.").unwrap_or(&text);
    pen.text(&fit(text, text.width().min(room)), on(theme.dim));
    if let Some(lasted) = lasted {
        let width = usize::from(area.width);
        Pen::new(buffer, area, row)
            .skip(width - LASTED_WIDTH - 1)
            .right(&lasted, LASTED_WIDTH, on(theme.text));
    }
}

/// How long an alert fired.
fn lasted_text(events: &Events, event: &Event) -> Option<String> {
    let resolved = events.resolved(event)?;
    Some(lasted(resolved - event.time))
}

fn firing([open, acknowledged, silenced, more]: [usize; 4]) -> String {
    let counts = [
        (open, "firing"),
        (acknowledged, "acknowledged"),
        (silenced, "silenced"),
        (more, "more not listed"),
    ];
    let some = counts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<_> = some
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    parts.join(", ")
}

/// `until 2026-05-04 14:00:00 by ops: runner upgrade`.
fn silence_text(silence: &SilenceState, zone: &TimeZone) -> String {
    let mut text = format!("until {}", format_moment(silence.until.0, zone));
    if !silence.by.as_str().is_empty() {
        text += &format!(" by {}", silence.by);
    }
    if !silence.reason.as_str().is_empty() {
        text += &format!(": {}", silence.reason);
    }
    text
}

struct Described<'a> {
    sign: (&'static str, Style),
    what: (&'static str, Style),
    text: Cow<'a, str>,
}

impl<'a> Described<'a> {
    fn of(entry: EventRow<'a>, context: &Context) -> Self {
        let theme = &context.theme;
        let alert = match entry {
            EventRow::Alert(alert) => alert,
            EventRow::Silence(silence) => {
                return Self {
                    sign: (theme.pick("–", "-"), theme.dim),
                    what: ("silenced", theme.text),
                    text: silence_text(silence, &context.zone).into(),
                };
            }
            EventRow::Event(event) => {
                return Self {
                    sign: sign(event.kind, theme),
                    what: (event.kind.as_str(), theme.text),
                    text: event.text.as_str().into(),
                };
            }
        };
        let sign = sign(EventKind::Fired(alert.severity), theme);
        match (&alert.acknowledged, &alert.silenced) {
            (Some(who), _) => Self {
                sign: (sign.0, theme.dim),
                what: ("acknowledged", theme.dim),
                text: format!("by {}: {}", who.by, alert.summary).into(),
            },
            (None, Some(why)) => Self {
                sign: (sign.0, theme.dim),
                what: ("silenced", theme.dim),
                text: format!("{why}: {}", alert.summary).into(),
            },
            (None, None) => Self {
                sign,
                what: ("FIRING", sign.1),
                text: alert.summary.as_str().into(),
            },
        }
    }
}

fn draw_full(events: &Events, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let lines = lines_below(context.size).saturating_sub(1);
    let Some(entry) = events.selected().filter(|_| area.height > lines) else {
        return;
    };
    let mut text = match entry {
        EventRow::Silence(silence) => {
            let text = silence_text(silence, &context.zone);
            format!("{} silenced {text}", silence.scope)
        }
        EventRow::Event(event) => format!("{} {} {}", event.host, event.kind.as_str(), event.text),
        EventRow::Alert(alert) => format!(
            "{} {} {}",
            alert.host,
            alert.severity.as_str(),
            alert.summary
        ),
    };
    if let EventRow::Alert(AlertState {
        acknowledged: Some(who),
        ..
    }) = entry
    {
        let at = format_clock(who.at.0, &context.zone);
        text += &format!("; acknowledged by {} at {at}", who.by);
        if !who.note.as_str().is_empty() {
            text += &format!(": {}", who.note);
        }
    }
    let width = usize::from(area.width).saturating_sub(4);
    let wrapped = wrap(&text, width);
    let from = area.height - lines;
    for (row, line) in (from..area.height).zip(&wrapped) {
        note(buffer, area, row, line, theme.dim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Mode;
    use crate::testing::{context, drawn};
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::{Blob, Severity};
    use sysmon_wire::timeline::{Event, EventKind, Timeline};

    #[test]
    fn alerts_that_are_not_listed_are_counted() {
        assert_eq!(
            firing([3, 0, 1, 7]),
            "3 firing, 1 silenced, 7 more not listed"
        );
        assert_eq!(firing([0; 4]), "");
    }

    #[test]
    fn events_and_their_marks_are_readable_at_every_size() {
        let mut events = Events::default();
        let mut context = context(Mode::Events);
        context.now = UnixMs(100 * DAY_MS);
        assert!(drawn(&events, &mut context, (80, 24)).contains("no events"));
        let kinds = [
            EventKind::Joined,
            EventKind::Offline,
            EventKind::Online,
            EventKind::Restarted,
            EventKind::Clock,
            EventKind::Fired(Severity::Critical),
            EventKind::Resolved(Severity::Critical),
            EventKind::HistoryRecovered,
        ];
        let from = context.now - 3_600_000;
        let event = |(n, kind): (i64, &EventKind)| Event {
            time: from + n * 400_000,
            host: "db-1".into(),
            kind: *kind,
            text: "a text".into(),
        };
        events.set(Timeline {
            from,
            step_ms: 15_000,
            oldest: from,
            covered: Blob((0..240).map(|n| u8::from(n % 60 > 5)).collect()),
            events: (0..).zip(&kinds).map(event).collect(),
        });
        let wide = drawn(&events, &mut context, (100, 24));
        for wanted in [
            "EVENTS",
            "db-1",
            "✕ silent",
            "▲ critical",
            "LASTED",
            "a text",
        ] {
            assert!(wide.contains(wanted), "{wanted} in {wide}");
        }
        // The strip shows an hour.
        context.chart_span.widen(-1);
        let line = Rect::new(0, 0, 100, 1);
        let mut buffer = Buffer::empty(line);
        context.was_reached = true;
        super::super::strip::draw(&events, &context, line, &mut buffer);
        let strip = crate::text::plain(&buffer);
        for wanted in ["▲", "┄┄", "╰─", "1 h"] {
            assert!(strip.contains(wanted), "{wanted} in {strip}");
        }
        for (width, height) in [(1, 1), (20, 5), (50, 14), (300, 80)] {
            drawn(&events, &mut context, (width, height));
        }
    }
}
