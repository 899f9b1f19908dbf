//! Values in words and numbers, as `app.js` writes them too. Pure.

use sysmon_wire::message::HostState;
use sysmon_wire::quantity::{self, Prefixes};

/// What a metric is called.
pub(super) fn heading(metric: &str) -> &'static str {
    match metric {
        "cpu" => "CPU",
        "mem" => "Memory",
        "load1" => "Load",
        "net.rx" => "In/s",
        "net.tx" => "Out/s",
        "disk.read" => "Read/s",
        "disk.write" => "Write/s",
        "fs.worst" => "Disk full",
        _ => "Hottest",
    }
}

/// Whether a metric is a share of one.
pub(super) fn is_share(metric: &str) -> bool {
    matches!(metric, "cpu" | "mem" | "fs.worst")
}

/// Shares from which on a value is marked.
pub(super) fn is_hot(metric: &str, value: Option<f64>) -> bool {
    is_share(metric) && value.is_some_and(|value| value >= 0.9)
}

/// A value with its unit.
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

/// A state's sign: it is not told by colour alone.
pub(super) fn sign(state: &str) -> &'static str {
    match state {
        "live" => "●",
        "stale" => "◐",
        _ => "○",
    }
}

/// Seconds of the day in UTC: the page's script shows the reader's own time.
pub(super) fn clock(ms: i64) -> String {
    let seconds = ms.div_euclid(1000).rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02} UTC",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// How many hosts are live, and what is wrong.
pub(super) fn counts(counts: [(HostState, usize); 3], alerts: usize) -> String {
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

/// A text as HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A name as part of a path.
pub(super) fn path(name: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    name.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_units_and_what_is_not_known_is_a_dash() {
        let shown = |metric, value| number(metric, Some(value));
        assert_eq!(shown("cpu", 0.126), "13 %");
        assert_eq!(shown("load1", 1.0), "1.00");
        assert_eq!(shown("net.rx", 999.0), "999 B");
        assert_eq!(shown("net.rx", 999.6), "1.0 kB");
        assert_eq!(shown("net.rx", 2.2e15), "2.2 PB");
        assert_eq!(number("cpu", None), "–");
        assert_eq!(clock(-1), "23:59:59 UTC");
    }

    #[test]
    fn names_cannot_leave_their_place() {
        assert_eq!(escape("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
        assert_eq!(path("../a b?"), "..%2Fa%20b%3F");
    }
}
