//! What happened, the newest first; and above it what fires now.
//!
//! ```text
//!  EVENTS  of all hosts in 1 h   1 alert fires, 1 acknowledged
//!     TIME      HOST    WHAT
//!  ▌  13:38:00  db-1    ▲ FIRES  cpu saturated: 98 %
//!     13:20:05  web-3   ! acknowledged  by jane: disk /srv is full at 20:10
//!     13:38:00  db-1    ▲ critical  cpu saturated: 98 %
//!     13:20:05  laptop  ✕ silent
//! ```

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::Style;
use sysmon_config::time::{format_clock, format_moment};
use sysmon_wire::alerts::AlertState;
use sysmon_wire::timeline::EventKind;
use unicode_width::UnicodeWidthStr;

use super::fleet::wrap;
use super::paint::{Pen, more};
use super::strip::sign;
use crate::format::fit;
use crate::state::State;
use crate::state::timeline::Entry;
use crate::theme::Theme;

/// Lines above the first event: what is shown, and the headings.
const LINES_ABOVE: u16 = 2;

/// The line of the first event on the screen, below the header too.
pub const FIRST_ROW: u16 = 1 + LINES_ABOVE;

/// Cells of a clock, of a moment with its date, and of a host's name.
const CLOCK_WIDTH: usize = 8;
const MOMENT_WIDTH: usize = 19;
const HOST_WIDTH: usize = 14;

/// Beyond this a moment is told with its date.
const DAY_MS: i64 = 86_400_000;

/// Screens at least this high tell below the list what the selected event says in full.
const FULL_FROM: u16 = 14;

/// Lines that takes, with the empty one before it.
const FULL_LINES: u16 = 3;

/// How many events fit on a screen of this size.
pub fn rows(screen: Size) -> usize {
    let body = super::body(screen).height;
    usize::from(body.saturating_sub(LINES_ABOVE + lines_below(screen))).max(1)
}

fn lines_below(screen: Size) -> u16 {
    if screen.height >= FULL_FROM {
        FULL_LINES
    } else {
        0
    }
}

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let timeline = &state.timeline;
    let of = match &state.host {
        Some(host) => format!("of {} in {}", host.name, timeline.span_text()),
        None => format!("of all hosts in {}", timeline.span_text()),
    };
    Pen::new(buffer, area, 0)
        .skip(1)
        .text("EVENTS", theme.title)
        .skip(2)
        .text(&of, theme.dim)
        .skip(3)
        .text(&firing(timeline.alerts.counts()), theme.text);
    if timeline.is_empty() {
        Pen::new(buffer, area, LINES_ABOVE)
            .skip(3)
            .text("nothing happened; - shows more time", theme.text);
        return;
    }
    let is_long = timeline.span_ms() > DAY_MS;
    let time_width = if is_long { MOMENT_WIDTH } else { CLOCK_WIDTH };
    let names = timeline
        .entries()
        .map(|entry| entry.host().as_str().width());
    let host_width = names.max().unwrap_or(0).clamp(4, HOST_WIDTH);
    let mut pen = Pen::new(buffer, area, 1);
    pen.skip(3)
        .text(&fit("TIME", time_width), theme.dim)
        .skip(2);
    pen.text(&fit("HOST", host_width), theme.dim).skip(2);
    pen.text("WHAT", theme.dim);
    let height = rows(state.size).min(usize::from(area.height.saturating_sub(LINES_ABOVE)));
    let shown = timeline.entries().enumerate().skip(timeline.top);
    for (row, (at, entry)) in (LINES_ABOVE..).zip(shown.take(height)) {
        let mut pen = Pen::new(buffer, area, row);
        let mark = if at == timeline.selected_at() {
            theme.pick("▌", ">")
        } else {
            " "
        };
        let time = match is_long {
            true => format_moment(entry.time().0, &state.zone),
            false => format_clock(entry.time().0, &state.zone),
        };
        let Told { sign, what, text } = Told::of(entry, theme);
        pen.skip(1).text(mark, theme.key).skip(1);
        pen.text(&fit(&time, time_width), theme.text).skip(2);
        pen.text(&fit(entry.host().as_str(), host_width), theme.text)
            .skip(2);
        pen.text(sign.0, sign.1).skip(1);
        pen.text(what.0, what.1).skip(2);
        let room = pen.room().saturating_sub(1);
        // What is alike in most names says least; the whole text stands below.
        let text = text.strip_prefix("system.").unwrap_or(&text);
        pen.text(&fit(text, text.width().min(room)), theme.dim);
    }
    let list = Rect {
        y: area.y + LINES_ABOVE.min(area.height),
        height: (height as u16).min(area.height),
        ..area
    };
    let (above, below) = (timeline.top > 0, timeline.top + height < timeline.len());
    more(buffer, list, above, below, theme);
    draw_full(state, area, buffer);
}

/// How many alerts fire, in words.
fn firing([open, taken, silenced]: [usize; 3]) -> String {
    let mut parts = match open {
        0 => Vec::new(),
        1 => vec!["1 alert fires".to_owned()],
        _ => vec![format!("{open} alerts fire")],
    };
    for (count, what) in [(taken, "acknowledged"), (silenced, "silenced")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}

/// What a row of the list says.
struct Told<'a> {
    sign: (&'static str, Style),
    what: (&'static str, Style),
    text: Cow<'a, str>,
}

impl<'a> Told<'a> {
    fn of(entry: Entry<'a>, theme: &Theme) -> Self {
        let alert = match entry {
            Entry::Alert(alert) => alert,
            Entry::Event(event) => {
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
                what: ("FIRES", sign.1),
                text: alert.summary.as_str().into(),
            },
        }
    }
}

/// What the selected event says, however long.
fn draw_full(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let lines = lines_below(state.size).saturating_sub(1);
    let Some(entry) = state.timeline.selected().filter(|_| area.height > lines) else {
        return;
    };
    let mut text = match entry {
        Entry::Event(event) => format!("{} {} {}", event.host, event.kind.as_str(), event.text),
        Entry::Alert(alert) => format!(
            "{} {} {}",
            alert.host,
            alert.severity.as_str(),
            alert.summary
        ),
    };
    if let Entry::Alert(AlertState {
        acknowledged: Some(who),
        ..
    }) = entry
    {
        let at = format_clock(who.at.0, &state.zone);
        text += &format!("; {} takes care since {at}", who.by);
        if !who.note.as_str().is_empty() {
            text += &format!(": {}", who.note);
        }
    }
    let width = usize::from(area.width).saturating_sub(4);
    let wrapped = wrap(&text, width);
    let from = area.height - lines;
    for (row, line) in (from..area.height).zip(&wrapped) {
        Pen::new(buffer, area, row).skip(3).text(line, theme.dim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Mode;
    use crate::testing::{screen, state};
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::{Blob, Severity};
    use sysmon_wire::timeline::{Event, EventKind, Timeline};

    #[test]
    fn events_and_their_marks_are_readable_at_every_size() {
        let mut state = state();
        state.now = UnixMs(100 * DAY_MS);
        state.mode = Mode::Events;
        assert!(screen(&state, 80, 24).contains("nothing happened"));
        let kinds = [
            EventKind::Joined,
            EventKind::Offline,
            EventKind::Online,
            EventKind::Restarted,
            EventKind::Clock,
            EventKind::Fired(Severity::Critical),
            EventKind::Resolved(Severity::Critical),
        ];
        let from = state.now - 3_600_000;
        let event = |(n, kind): (i64, &EventKind)| Event {
            time: from + n * 400_000,
            host: "db-1".into(),
            kind: *kind,
            text: "a text".into(),
        };
        state.timeline.take(Timeline {
            from,
            step_ms: 15_000,
            oldest: from,
            covered: Blob((0..240).map(|n| u8::from(n % 60 > 5)).collect()),
            events: (0..).zip(&kinds).map(event).collect(),
        });
        let wide = screen(&state, 100, 24);
        for wanted in [
            "EVENTS",
            "db-1",
            "✕ silent",
            "▲ critical",
            "✓ resolved",
            "a text",
            "┃",
            "1 h",
        ] {
            assert!(wide.contains(wanted), "{wanted} in {wide}");
        }
        let strip = wide.lines().nth(22).unwrap();
        assert!(
            strip.contains("┄┄") && strip.contains('▲') && strip.contains("   "),
            "{strip}"
        );
        state.theme.ascii = true;
        assert!(screen(&state, 100, 24).is_ascii());
        for (width, height) in [(1, 1), (20, 5), (50, 14), (300, 80)] {
            screen(&state, width, height);
        }
    }
}
