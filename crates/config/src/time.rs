//! Moments and durations: parsing and formatting.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use thiserror::Error;

use crate::units;

/// The text is not a moment.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{0:?} is not a time; write for example \"14:03\", \"-2h\", \"yesterday 9:00\" or \"2026-01-31 14:03\""
)]
pub struct MomentError(String);

/// The text is not a duration.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{text:?} is not a span of time{hint}; write for example \"30s\", \"10m\", \"1h30m\" or \"2d\""
)]
pub struct SpanError {
    text: String,
    hint: &'static str,
}

/// Reads a moment, in Unix milliseconds.
///
/// "now", "-2h", "2h ago", "14:03" and "14:03:20" (the most recent such time), "yesterday
/// 9:00", "today 9:00", "2026-01-31", "2026-01-31 14:03", RFC 3339, and Unix seconds ("@1769868180")
/// or milliseconds. Times of day are in `zone`.
///
/// # Errors
/// The text is none of these.
pub fn parse_moment(text: &str, now_ms: i64, zone: &TimeZone) -> Result<i64, MomentError> {
    let wrong = || MomentError(text.chars().take(80).collect());
    let trimmed = text.trim();
    if trimmed == "now" {
        return Ok(now_ms);
    }
    if let Some(ms) = before(trimmed, now_ms).or_else(|| unix(trimmed)) {
        return Ok(ms);
    }
    if let Ok(moment) = trimmed.parse::<Timestamp>() {
        return Ok(moment.as_millisecond());
    }
    let now = Timestamp::from_millisecond(now_ms)
        .map_err(|_| wrong())?
        .to_zoned_datetime(zone.clone());
    let (date, time) = match trimmed.split_once(char::is_whitespace) {
        Some(("yesterday", time)) => (now.date().yesterday().ok(), time),
        Some(("today", time)) => (Some(now.date()), time),
        Some((date, time)) => (Some(date.parse::<Date>().map_err(|_| wrong())?), time),
        None => match trimmed.parse::<Date>() {
            Ok(date) => (Some(date), "00:00"),
            Err(_) => (None, trimmed),
        },
    };
    let time = time_of_day(time.trim()).ok_or_else(wrong)?;
    let at = |date: Date| {
        let moment = DateTime::from_parts(date, time)
            .to_zoned_datetime(zone.clone())
            .ok()?;
        Some(moment.timestamp().as_millisecond())
    };
    let ms = match date {
        Some(date) => at(date),
        // A time of day later than now means yesterday's.
        None => at(now.date())
            .filter(|ms| *ms <= now_ms)
            .or_else(|| at(now.date().checked_sub(1.day()).ok()?)),
    };
    ms.ok_or_else(wrong)
}

/// Why a text is not a moment that is still to come.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DeadlineError {
    /// It is no moment.
    #[error(transparent)]
    Moment(#[from] MomentError),
    /// It has passed.
    #[error(
        "{0:?} is in the past; write for example \"14:00\", \"tomorrow 9:00\" or \"2026-01-31 14:03\""
    )]
    Over(String),
}

/// Reads a moment that is still to come, in Unix milliseconds: as [`parse_moment`], but "14:03" is the next such time,
/// and there is "tomorrow 9:00".
///
/// # Errors
/// The text is no moment, or one of the past.
pub fn parse_deadline(text: &str, now_ms: i64, zone: &TimeZone) -> Result<i64, DeadlineError> {
    let trimmed = text.trim();
    let tomorrow = trimmed.strip_prefix("tomorrow").map(str::trim);
    let time = time_of_day(tomorrow.unwrap_or(trimmed));
    let today = Timestamp::from_millisecond(now_ms)
        .ok()
        .map(|now| now.to_zoned_datetime(zone.clone()).date());
    let at = |date: Date, time: Time| {
        let moment = DateTime::from_parts(date, time).to_zoned_datetime(zone.clone());
        Some(moment.ok()?.timestamp().as_millisecond())
    };
    let ms = match (time, today) {
        (Some(time), Some(today)) => {
            let next = today.tomorrow().ok().and_then(|date| at(date, time));
            let first = at(today, time).filter(|ms| *ms > now_ms && tomorrow.is_none());
            first.or(next)
        }
        _ => None,
    };
    let ms = match ms {
        Some(ms) => ms,
        None => parse_moment(trimmed, now_ms, zone)?,
    };
    match ms > now_ms {
        true => Ok(ms),
        false => Err(DeadlineError::Over(text.chars().take(80).collect())),
    }
}

/// "-2h" and "2h ago".
fn before(text: &str, now_ms: i64) -> Option<i64> {
    let span = match text.strip_prefix(['-', '\u{2212}']) {
        Some(span) => span,
        None => text.strip_suffix("ago")?,
    };
    let ms = i64::try_from(units::duration(span)?.as_millis()).ok()?;
    now_ms.checked_sub(ms)
}

/// "@seconds", and milliseconds with at least twelve digits.
fn unix(text: &str) -> Option<i64> {
    match text.strip_prefix('@') {
        Some(seconds) => seconds.parse::<i64>().ok()?.checked_mul(1000),
        None if text.len() >= 12 => text.parse().ok(),
        None => None,
    }
}

/// "9:00", "14:03", "14:03:20".
fn time_of_day(text: &str) -> Option<Time> {
    let mut parts = text.split(':').map(|part| {
        let short = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        short.then(|| part.parse::<i8>().ok()).flatten()
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = match parts.next() {
        Some(second) => second?,
        None => 0,
    };
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

/// Reads a duration such as "10m".
///
/// # Errors
/// The text is not a duration, or is zero.
pub fn parse_span(text: &str) -> Result<Duration, SpanError> {
    let span = units::duration(text).filter(|span| !span.is_zero());
    span.ok_or_else(|| SpanError {
        text: text.chars().take(80).collect(),
        hint: hint(text.trim()),
    })
}

/// A hint for common mistakes.
fn hint(text: &str) -> &'static str {
    if text.starts_with(['-', '\u{2212}']) {
        ": leave out the sign, it always counts back from now"
    } else if units::duration(text).is_some() {
        ": it must be greater than zero"
    } else if text.ends_with(['y', 'Y']) {
        ": a year is \"365d\""
    } else {
        ""
    }
}

/// A duration in its two largest units, the second unless it is zero: `2 h 11 min`, `10 min`, `41 s`.
pub fn format_span(ms: i64) -> String {
    let seconds = ms.unsigned_abs() / 1000;
    let (large, small) = match seconds {
        0..60 => ((seconds, "s"), (0, "")),
        60..3_600 => ((seconds / 60, "min"), (seconds % 60, "s")),
        3_600..86_400 => ((seconds / 3_600, "h"), (seconds / 60 % 60, "min")),
        _ => ((seconds / 86_400, "d"), (seconds / 3_600 % 24, "h")),
    };
    match (large, small) {
        ((count, unit), (0, _)) => format!("{count} {unit}"),
        ((count, unit), (rest, smaller)) => format!("{count} {unit} {rest} {smaller}"),
    }
}

/// The time of day in `zone`: `14:03:07`.
pub fn format_clock(ms: i64, zone: &TimeZone) -> String {
    format(ms, zone, "%H:%M:%S")
}

/// Date and time in the machine's zone.
pub fn format_local(ms: i64) -> String {
    format_moment(ms, &TimeZone::system())
}

/// Date and time in `zone`: `2026-01-31 14:03:07`.
pub fn format_moment(ms: i64, zone: &TimeZone) -> String {
    format(ms, zone, "%Y-%m-%d %H:%M:%S")
}

fn format(ms: i64, zone: &TimeZone, pattern: &str) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(moment) => moment
            .to_zoned_datetime(zone.clone())
            .strftime(pattern)
            .to_string(),
        Err(_) => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-01-31 14:03:07 UTC.
    const NOW: i64 = 1_769_868_187_000;

    fn at(text: &str) -> String {
        match parse_moment(text, NOW, &TimeZone::UTC) {
            Ok(ms) => format_moment(ms, &TimeZone::UTC),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn moments_parse_in_every_documented_form() {
        assert_eq!(at("now"), "2026-01-31 14:03:07");
        assert_eq!(at("-2h"), "2026-01-31 12:03:07");
        assert_eq!(at("1h30m ago"), "2026-01-31 12:33:07");
        assert_eq!(at("14:03"), "2026-01-31 14:03:00");
        assert_eq!(at("14:04"), "2026-01-30 14:04:00", "not in the future");
        assert_eq!(at("9:00:05"), "2026-01-31 09:00:05");
        assert_eq!(at("yesterday 9:00"), "2026-01-30 09:00:00");
        assert_eq!(at("2026-01-02"), "2026-01-02 00:00:00");
        assert_eq!(at("2026-01-02 03:04"), "2026-01-02 03:04:00");
        assert_eq!(at("2026-01-02T03:04:05+01:00"), "2026-01-02 02:04:05");
        assert_eq!(at("@1769868180"), "2026-01-31 14:03:00");
        assert_eq!(at("1769868180000"), "2026-01-31 14:03:00");
        for bad in [
            "",
            "soon",
            "25:00",
            "-2",
            "14",
            "1:2:3:4",
            "yesterday",
            "-2h ago",
        ] {
            assert!(at(bad).contains("is not a time"), "{bad:?}: {}", at(bad));
        }
    }

    #[test]
    fn spans_show_their_two_largest_units() {
        assert_eq!(format_span(41_000), "41 s");
        assert_eq!(format_span(-(2 * 3600 + 11 * 60) * 1000), "2 h 11 min");
        assert_eq!(format_span(90_000_000), "1 d 1 h");
        assert_eq!(format_span(600_000), "10 min");
        assert!(parse_span("10m").is_ok() && parse_span("3d").is_ok());
        for (wrong, why) in [
            ("-5m", "the sign"),
            ("0s", "than zero"),
            ("100y", "365d"),
            ("x", "30s"),
        ] {
            let error = parse_span(wrong).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = parse_moment(&text, NOW, &TimeZone::UTC);
            let _ = parse_span(&text);
        }
    }
}
