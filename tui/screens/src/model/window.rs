//! The spans of time that the charts and the strip show.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sysmon_wire::UnixMs;

struct SpanDef {
    ms: i64,
    text: &'static str,
    /// Milliseconds from one point of history to the next: they divide the span, and are aligned to the clock.
    step_ms: i64,
    /// The span of the strip meanwhile: long enough to show where the charts are.
    strip_ms: i64,
    strip_text: &'static str,
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

macro_rules! spans {
    ($($ms:expr, $text:literal, $step_ms:expr, $strip_ms:expr, $strip_text:literal;)+) => {
        [$(SpanDef {
            ms: $ms,
            text: $text,
            step_ms: $step_ms,
            strip_ms: $strip_ms,
            strip_text: $strip_text,
        }),+]
    };
}

const SPANS: [SpanDef; 8] = spans! {
    5 * MINUTE_MS, "5 m", 2_000, HOUR_MS, "1 h";
    15 * MINUTE_MS, "15 m", 5_000, 6 * HOUR_MS, "6 h";
    HOUR_MS, "1 h", 20_000, DAY_MS, "24 h";
    6 * HOUR_MS, "6 h", 2 * MINUTE_MS, 3 * DAY_MS, "3 d";
    DAY_MS, "24 h", 8 * MINUTE_MS, 7 * DAY_MS, "7 d";
    7 * DAY_MS, "7 d", HOUR_MS, 30 * DAY_MS, "30 d";
    30 * DAY_MS, "30 d", 4 * HOUR_MS, 365 * DAY_MS, "1 y";
    365 * DAY_MS, "1 y", 2 * DAY_MS, 730 * DAY_MS, "2 y";
};

/// Fifteen minutes: what happened just now, second by second.
const FIRST: usize = 1;

/// The span of the charts on every screen: of the table, of a host, of zoomed panes and of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChartSpan(usize);

impl Default for ChartSpan {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl ChartSpan {
    /// Every span, the shortest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SPANS.len()).map(Self)
    }

    fn def(self) -> &'static SpanDef {
        SPANS.get(self.0).unwrap_or(&SPANS[FIRST])
    }

    pub fn ms(self) -> i64 {
        self.def().ms
    }

    /// As titles have it: `15 m`.
    pub fn text(self) -> &'static str {
        self.def().text
    }

    /// Milliseconds from one point of history to the next; see [`Self::points`].
    pub fn step_ms(self) -> i64 {
        self.def().step_ms
    }

    /// How many points of history it has.
    pub fn points(self) -> u16 {
        u16::try_from(self.ms() / self.step_ms()).unwrap_or(u16::MAX)
    }

    /// Whether the rows that a host's screen gets do not reach back so far, so that charts need points of the history.
    pub fn is_long(self) -> bool {
        self.ms() > SPANS[FIRST].ms
    }

    /// The next longer span for each of `by`, or the next shorter one if negative.
    pub fn widen(&mut self, by: isize) {
        self.0 = self.0.saturating_add_signed(by).min(SPANS.len() - 1);
    }

    /// The span of the strip of time meanwhile.
    pub fn strip_ms(self) -> i64 {
        self.def().strip_ms
    }

    pub fn strip_text(self) -> &'static str {
        self.def().strip_text
    }
}

/// Cells from one clock to the next at least, and round times between them.
const CLOCK_CELLS: i64 = 14;
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
    /// Ends now if the moment shown is in the span, else is centred on that moment.
    pub fn of(span_ms: i64, now: UnixMs, at: Option<UnixMs>) -> Self {
        match at {
            Some(at) if at < now - span_ms => Self {
                from: at - span_ms / 2,
                to: at + span_ms / 2,
            },
            _ => Self {
                from: now - span_ms,
                to: now,
            },
        }
    }

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
        let now = UnixMs(100 * HOUR_MS);
        let window = Window::of(HOUR_MS, now, None);
        assert_eq!((window.from, window.to), (now - 3_600_000, now));
        assert_eq!(Window::of(HOUR_MS, now, Some(now - 10_000)), window);
        let past = Window::of(HOUR_MS, now, Some(now - 7_200_000));
        assert_eq!(past.to, now - 5_400_000);
        assert_eq!(window.cell(now, 60), Some(59));
        assert_eq!(window.cell(window.from, 60), Some(0));
        assert_eq!(window.cell(window.from - 1, 60), None);
        assert_eq!(window.cell(now + 1, 60), None);
        for cell in 0..60 {
            assert_eq!(window.cell(window.moment(cell, 60), 60), Some(cell));
        }
    }

    #[test]
    fn steps_divide_their_spans_and_the_strip_shows_more_than_the_charts() {
        let texts: Vec<_> = ChartSpan::all().map(ChartSpan::text).collect();
        let wanted = ["5 m", "15 m", "1 h", "6 h", "24 h", "7 d", "30 d", "1 y"];
        assert_eq!(texts, wanted);
        for span in ChartSpan::all() {
            // A year has half a step more than whole ones.
            let over = span.ms() % span.step_ms();
            assert!(over == 0 || span.text() == "1 y", "{}", span.text());
            assert!((100..=256).contains(&span.points()), "{}", span.points());
            assert!(span.strip_ms() > span.ms());
        }
        let mut span = ChartSpan::default();
        assert!(!span.is_long());
        span.widen(-9);
        assert_eq!(span.text(), "5 m");
        span.widen(99);
        assert_eq!((span.text(), span.is_long()), ("1 y", true));
    }
}
