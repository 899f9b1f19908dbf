//! Values in words and numbers, formatted as `app.js` does. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use sysmon_wire::UnixMs;
use sysmon_wire::message::HostState;
use sysmon_wire::quantity::{self, Prefixes};

/// RFC 3986's unreserved characters, except `~`.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

pub(super) fn heading(metric: &str) -> &str {
    match metric {
        "cpu" => "CPU",
        "mem" => "Memory",
        "load1" => "Load",
        "net.rx" => "In/s",
        "net.tx" => "Out/s",
        "disk.read" => "Read/s",
        "disk.write" => "Write/s",
        "fs.worst" => "Disk full",
        "temp.max" => "Hottest",
        other => other,
    }
}

pub(super) fn is_share(metric: &str) -> bool {
    matches!(metric, "cpu" | "mem" | "fs.worst")
}

pub(super) fn is_hot(metric: &str, value: Option<f64>) -> bool {
    is_share(metric) && value.is_some_and(|value| value >= 0.9)
}

pub(super) fn number(metric: &str, value: Option<f64>) -> String {
    let Some(value) = value else {
        return "–".to_owned();
    };
    match metric {
        _ if is_share(metric) => format!("{:.0} %", value * 100.0),
        "load1" => format!("{value:.2}"),
        "temp.max" => format!("{value:.0} °C"),
        _ => quantity::format(value, Prefixes::Si, " ") + "B",
    }
}

pub(super) fn symbol(state: HostState) -> &'static str {
    match state {
        HostState::Live => "●",
        HostState::Stale => "◐",
        HostState::Offline => "○",
    }
}

/// Time of day in UTC; the page's script replaces it by the reader's own time.
pub(super) fn time_of_day(time: UnixMs) -> String {
    let seconds = time.0.div_euclid(1000).rem_euclid(86_400);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02} UTC")
}

/// A day in UTC: `2026-11-30`.
pub(super) fn date_of(time: UnixMs) -> String {
    let moment = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
    moment.strftime("%Y-%m-%d").to_string()
}

/// A minute in UTC: `2026-11-30 14:03 UTC`.
pub(super) fn moment(time: UnixMs) -> String {
    let moment = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
    moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// One line about all hosts: `2 of 3 hosts live · 1 stale · 1 alert`.
pub(super) fn summary(counts: [(HostState, usize); 3], alerts: usize) -> String {
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    let mut words = Vec::new();
    for (state, count) in counts {
        match state {
            HostState::Live => words.push(format!("{count} of {all} hosts live")),
            _ if count > 0 => words.push(format!("{count} {}", state.as_str())),
            _ => {}
        }
    }
    match alerts {
        0 => {}
        1 => words.push("1 alert".to_owned()),
        _ => words.push(format!("{alerts} alerts")),
    }
    words.join(" · ")
}

pub(super) fn segment(name: &str) -> PercentEncode<'_> {
    utf8_percent_encode(name, &UNRESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_units_and_unknown_ones_are_a_dash() {
        let shown = |metric, value| number(metric, Some(value));
        assert_eq!(shown("cpu", 0.126), "13 %");
        assert_eq!(shown("load1", 1.0), "1.00");
        assert_eq!(shown("net.rx", 999.0), "999 B");
        assert_eq!(shown("net.rx", 999.6), "1.0 kB");
        assert_eq!(shown("net.rx", 2.2e15), "2.2 PB");
        assert_eq!(number("cpu", None), "–");
        assert_eq!(time_of_day(UnixMs(-1)), "23:59:59 UTC");
    }

    #[test]
    fn a_name_stays_one_segment_of_a_path() {
        assert_eq!(segment("../a b?").to_string(), "..%2Fa%20b%3F");
    }
}
