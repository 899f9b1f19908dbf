//! The strip of time above the footer: the moment shown, where rows are stored, and events.
//!
//! ```text
//!  1 h  ┄13:00┄┄┄┄┄┄┄┄┄▲┄┄13:15┄┄┄┄┄◆┄┄┄┄┄13:30┄┄   ┄┄┄┄┄┄13:45┄┄┄┄┄┄┄┄┃
//! ```

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::{format_clock, format_moment};
use sysmon_wire::UnixMs;
use sysmon_wire::message::Severity as AlertSeverity;
use sysmon_wire::timeline::EventKind;

use super::state::Events;
use crate::context::Context;
use crate::model::window::Window;
use crate::theme::{Severity, Theme};
use crate::widgets::paint::Pen;

const LABEL_WIDTH: usize = 8;

/// Cells from one clock to the next at least, and round times between them.
const CLOCK_CELLS: i64 = 14;
const CLOCK_STEPS_MS: [i64; 14] = [
    10_000,
    30_000,
    60_000,
    300_000,
    900_000,
    1_800_000,
    3_600_000,
    3 * 3_600_000,
    6 * 3_600_000,
    12 * 3_600_000,
    DAY_MS,
    7 * DAY_MS,
    30 * DAY_MS,
    90 * DAY_MS,
];

const DAY_MS: i64 = 86_400_000;

/// The moment under a column of the strip's line, on a screen so wide.
pub(crate) fn moment(window: Window, column: u16, width: u16) -> Option<UnixMs> {
    let cells = cells(width);
    let cell = usize::from(column).checked_sub(LABEL_WIDTH)?;
    (cell < cells).then(|| window.moment(cell, cells))
}

fn cells(width: u16) -> usize {
    usize::from(width).saturating_sub(LABEL_WIDTH + 1)
}

pub(crate) fn draw(events: &Events, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let window = context.window();
    let width = cells(area.width);
    let mut pen = Pen::new(buffer, area, 0);
    pen.skip(1)
        .text(context.chart_span.strip_text(), theme.dim)
        .to(area.x + LABEL_WIDTH as u16);
    let (line, gap) = (theme.pick("┄", "-"), " ");
    for cell in 0..width {
        let covered = events.is_covered(window.moment(cell, width));
        pen.text(if covered == Some(false) { gap } else { line }, theme.dim);
    }
    // Of several events in one cell the worst is shown.
    let mut marks: Vec<Option<EventKind>> = vec![None; width];
    for event in events.events() {
        let cell = window.cell(event.time, width);
        if let Some(mark) = cell.and_then(|cell| marks.get_mut(cell)) {
            let worse = mark.is_none_or(|kind| rank(event.kind) > rank(kind));
            if worse {
                *mark = Some(event.kind);
            }
        }
    }
    for (cell, clock) in clocks(context, window, width) {
        // A sign in the middle of a clock would make another time of it.
        let cells = marks.get(cell..cell + clock.len());
        if cells.is_some_and(|cells| cells.iter().all(Option::is_none)) {
            Pen::new(buffer, area, 0)
                .skip(LABEL_WIDTH + cell)
                .text(&clock, theme.dim);
        }
    }
    for (cell, kind) in marks.into_iter().enumerate() {
        if let Some(kind) = kind {
            let (sign, style) = sign(kind, theme);
            Pen::new(buffer, area, 0)
                .skip(LABEL_WIDTH + cell)
                .text(sign, style);
        }
    }
    if let Some(cell) = window.cell(context.moment(), width) {
        let style = if context.at.is_some() {
            theme.header_past
        } else {
            theme.key
        };
        Pen::new(buffer, area, 0)
            .skip(LABEL_WIDTH + cell)
            .text(theme.pick("┃", "|"), style);
    }
}

/// Round moments and their cells, as far from each other as their text needs.
fn clocks(context: &Context, window: Window, width: usize) -> Vec<(usize, String)> {
    let span = window.to - window.from;
    let offset = Timestamp::from_millisecond(window.from.0).map_or(0, |time| {
        i64::from(context.zone.to_offset(time).seconds()) * 1000
    });
    let fits = |step: &&i64| **step * width as i64 / span.max(1) >= CLOCK_CELLS;
    let Some(step) = CLOCK_STEPS_MS.iter().find(fits) else {
        return Vec::new();
    };
    let first = UnixMs(window.from.0 + offset).floor(*step) + *step - offset;
    let moments = std::iter::successors(Some(first), |moment| Some(*moment + *step));
    moments
        .take_while(|moment| *moment < window.to)
        .filter_map(|moment| {
            let mut text = match *step {
                ..60_000 => format_clock(moment.0, &context.zone),
                60_000..DAY_MS => format_clock(moment.0, &context.zone).get(..5)?.to_owned(),
                _ => format_moment(moment.0, &context.zone),
            };
            if *step >= DAY_MS {
                // A day's moment is its midnight.
                text.truncate(10);
            }
            Some((window.cell(moment, width)?, text))
        })
        .collect()
}

fn rank(kind: EventKind) -> u8 {
    match kind {
        EventKind::Fired(AlertSeverity::Critical) | EventKind::HistoryRecovered => 5,
        EventKind::Fired(AlertSeverity::Warning) => 4,
        EventKind::Offline => 3,
        EventKind::Restarted | EventKind::Clock => 2,
        EventKind::Joined | EventKind::Online => 1,
        EventKind::Resolved(_)
        | EventKind::Acknowledged
        | EventKind::Unacknowledged
        | EventKind::Silenced
        | EventKind::Unsilenced => 0,
    }
}

pub(super) fn sign(kind: EventKind, theme: &Theme) -> (&'static str, ratatui::style::Style) {
    match kind {
        EventKind::Fired(severity) => {
            let severity = match severity {
                AlertSeverity::Critical => Severity::Critical,
                AlertSeverity::Warning => Severity::Warning,
            };
            (theme.severity_sign(severity), theme.severity(severity))
        }
        EventKind::Offline => (theme.pick("✕", "x"), theme.severity(Severity::Warning)),
        EventKind::Joined | EventKind::Online => (theme.pick("●", "o"), theme.text),
        EventKind::Restarted => (theme.pick("↻", "r"), theme.text),
        EventKind::Clock => (theme.pick("◷", "c"), theme.text),
        EventKind::HistoryRecovered => (theme.pick("!", "!"), theme.severity(Severity::Critical)),
        EventKind::Resolved(_) | EventKind::Acknowledged => (theme.pick("✓", "v"), theme.dim),
        EventKind::Unacknowledged | EventKind::Silenced | EventKind::Unsilenced => {
            (theme.pick("–", "-"), theme.dim)
        }
    }
}
