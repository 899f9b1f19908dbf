//! The span of time that the strip and the comparison show.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sysmon_wire::UnixMs;

const ZOOMS: [(i64, &str); 9] = [
    (60_000, "1 min"),
    (600_000, "10 min"),
    (3_600_000, "1 h"),
    (6 * 3_600_000, "6 h"),
    (86_400_000, "1 d"),
    (7 * 86_400_000, "7 d"),
    (30 * 86_400_000, "30 d"),
    (365 * 86_400_000, "1 y"),
    (730 * 86_400_000, "2 y"),
];

/// An hour: long enough to see where something began, short enough to point at.
const FIRST_ZOOM: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(usize);

impl Default for Span {
    fn default() -> Self {
        Self(FIRST_ZOOM)
    }
}

impl Span {
    pub fn ms(self) -> i64 {
        ZOOMS.get(self.0).map_or(3_600_000, |(span, _)| *span)
    }

    pub fn text(self) -> &'static str {
        ZOOMS.get(self.0).map_or("", |(_, text)| text)
    }

    /// Zooms out by `by` levels, or in if negative.
    pub fn zoom(&mut self, by: isize) {
        self.0 = self.0.saturating_add_signed(by).min(ZOOMS.len() - 1);
    }

    /// Ends now if the moment shown is in the span, else is centred on that moment.
    pub fn window(self, now: UnixMs, at: Option<UnixMs>) -> Window {
        let span = self.ms();
        match at {
            Some(at) if at < now - span => Window {
                from: at - span / 2,
                to: at + span / 2,
            },
            _ => Window {
                from: now - span,
                to: now,
            },
        }
    }
}

/// Cells from one clock to the next at least, and round times between them.
const CLOCK_CELLS: i64 = 14;
const DAY_MS: i64 = 86_400_000;
const CLOCK_STEPS_MS: [i64; 15] = [
    10_000,
    30_000,
    60_000,
    300_000,
    900_000,
    1_200_000,
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

/// The time between the clocks of a line of time: as short as their texts allow.
pub fn clock_step(span_ms: i64, cells: i64) -> Option<i64> {
    let fits = |step: &&i64| **step * cells / span_ms.max(1) >= CLOCK_CELLS;
    CLOCK_STEPS_MS.iter().find(fits).copied()
}

/// How far the clocks of a zone are ahead of UTC at a moment.
pub fn local_offset_ms(at: UnixMs, zone: &TimeZone) -> i64 {
    Timestamp::from_millisecond(at.0)
        .map_or(0, |time| i64::from(zone.to_offset(time).seconds()) * 1000)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: UnixMs,
    pub to: UnixMs,
}

impl Window {
    /// The cell, of `width`, that contains a moment; `None` outside the window.
    pub fn cell(&self, time: UnixMs, width: usize) -> Option<usize> {
        let span = (self.to - self.from).max(1);
        let at = usize::try_from(time - self.from).ok()?;
        if time > self.to {
            return None;
        }
        Some((at * width / span as usize).min(width.saturating_sub(1)))
    }

    pub fn moment(&self, cell: usize, width: usize) -> UnixMs {
        let span = self.to - self.from;
        self.from + span * (2 * cell as i64 + 1) / (2 * width.max(1) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_ends_now_unless_the_moment_shown_is_earlier() {
        let span = Span::default();
        let now = UnixMs(100 * 3_600_000);
        let window = span.window(now, None);
        assert_eq!((window.from, window.to), (now - 3_600_000, now));
        assert_eq!(span.window(now, Some(now - 10_000)), window);
        let past = span.window(now, Some(now - 7_200_000));
        assert_eq!(past.to, now - 5_400_000);
        assert_eq!(window.cell(now, 60), Some(59));
        assert_eq!(window.cell(window.from, 60), Some(0));
        assert_eq!(window.cell(window.from - 1, 60), None);
        assert_eq!(window.cell(now + 1, 60), None);
        for cell in 0..60 {
            assert_eq!(window.cell(window.moment(cell, 60), 60), Some(cell));
        }
    }
}
