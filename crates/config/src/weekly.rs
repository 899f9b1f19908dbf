//! Maintenance windows: recurring times of the week such as `sun 02:00-04:00`.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use thiserror::Error;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const MINUTES_A_DAY: i32 = 24 * 60;

/// A window that recurs weekly or daily, in the machine's time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// Days on which the window starts, from Monday.
    days: [bool; 7],
    /// Minutes after midnight.
    from: i32,
    until: i32,
}

/// The text is not a maintenance window.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WeeklyError {
    /// Not days, a space, and two times of day.
    #[error(
        "is not days and a time: write for example \"sun 02:00-04:00\" or \"daily 23:00-01:00\""
    )]
    Syntax,
    /// The window has no length.
    #[error("starts and ends at the same time")]
    Empty,
}

impl FromStr for Weekly {
    type Err = WeeklyError;

    /// `daily 01:00-02:00`, `sun 23:00-01:00`, `mon-fri 12:00-13:00`, `sat,sun 00:00-24:00`.
    fn from_str(text: &str) -> Result<Self, WeeklyError> {
        let (days, times) = text.trim().split_once(' ').ok_or(WeeklyError::Syntax)?;
        let (from, until) = times.trim().split_once('-').ok_or(WeeklyError::Syntax)?;
        let (from, until) = (
            minutes(from).ok_or(WeeklyError::Syntax)?,
            minutes(until).ok_or(WeeklyError::Syntax)?,
        );
        if from == until || from == MINUTES_A_DAY {
            return Err(WeeklyError::Empty);
        }
        Ok(Self {
            days: read_days(days).ok_or(WeeklyError::Syntax)?,
            from,
            until,
        })
    }
}

fn minutes(text: &str) -> Option<i32> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let at = hours * 60 + minutes;
    ((0..24).contains(&hours) && (0..60).contains(&minutes) || at == MINUTES_A_DAY).then_some(at)
}

fn read_days(text: &str) -> Option<[bool; 7]> {
    if text == "daily" {
        return Some([true; 7]);
    }
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let length = (last + 7 - first) % 7;
        for at in first..=first + length {
            *days.get_mut(at % 7)? = true;
        }
    }
    Some(days)
}

impl Weekly {
    /// Whether the window contains a moment.
    pub fn includes(&self, ms: i64) -> bool {
        self.includes_in(ms, &TimeZone::system())
    }

    fn includes_in(&self, ms: i64, zone: &TimeZone) -> bool {
        let Ok(moment) = Timestamp::from_millisecond(ms) else {
            return false;
        };
        let there = moment.to_zoned_datetime(zone.clone());
        let today = usize::from(there.weekday().to_monday_zero_offset().unsigned_abs());
        let minute = i32::from(there.hour()) * 60 + i32::from(there.minute());
        let begins = |day: usize| self.days.get(day % 7).copied().unwrap_or(false);
        if self.from < self.until {
            return begins(today) && (self.from..self.until).contains(&minute);
        }
        (begins(today) && minute >= self.from) || (begins(today + 6) && minute < self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-02-01 00:00 UTC, a Sunday.
    const SUNDAY: i64 = 1_769_904_000_000;

    fn includes(window: &str, day: i64, hour: i64) -> bool {
        let ms = SUNDAY + (day * 24 + hour) * 3_600_000;
        window
            .parse::<Weekly>()
            .unwrap()
            .includes_in(ms, &TimeZone::UTC)
    }

    #[test]
    fn windows_recur_on_their_days() {
        assert!(includes("sun 02:00-04:00", 0, 3) && includes("sun 02:00-04:00", 7, 2));
        assert!(!includes("sun 02:00-04:00", 0, 4) && !includes("sun 02:00-04:00", 1, 3));
        assert!(includes("sun 23:00-01:00", 0, 23) && includes("sun 23:00-01:00", 1, 0));
        assert!(!includes("sun 23:00-01:00", 0, 0) && !includes("sun 23:00-01:00", 1, 23));
        assert!(includes("daily 01:00-02:00", 4, 1) && includes("fri-mon 01:00-02:00", 1, 1));
        assert!(!includes("fri-mon 01:00-02:00", 2, 1) && includes("sat,sun 00:00-24:00", 6, 23));
        for bad in [
            "",
            "sun",
            "sun 2-4",
            "noday 02:00-04:00",
            "sun 02:00-02:00",
            "sun 25:00-26:00",
        ] {
            assert!(bad.parse::<Weekly>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}", days in "[a-z,-]{0,9} [0-9:-]{0,12}", ms: i64) {
            let _ = text.parse::<Weekly>();
            if let Ok(weekly) = days.parse::<Weekly>() {
                let _ = weekly.includes(ms);
            }
        }
    }
}
