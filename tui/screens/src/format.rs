//! Numbers and texts in a constant width, with the same units and rounding everywhere.

use sysmon_wire::UnixMs;
use sysmon_wire::quantity::{self, Prefixes};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub const NONE: &str = "–";

/// A share from 0 to 1 as whole percent, without the sign: `61`.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), |share| format!("{:.0}", share * 100.0))
}

/// An amount in at most four characters with a decimal prefix: `0`, `340k`, `1.2M`, `88M`.
pub fn amount(value: Option<f64>) -> String {
    with_prefix(value, Prefixes::Si)
}

/// Bytes of memory or disk in at most four characters with a binary prefix: `512M`, `3.1G`.
pub fn size(bytes: Option<f64>) -> String {
    with_prefix(bytes, Prefixes::Iec)
}

fn with_prefix(value: Option<f64>, prefixes: Prefixes) -> String {
    value.map_or_else(
        || NONE.to_owned(),
        |value| quantity::format(value.max(0.0), prefixes, ""),
    )
}

/// `123 ms`, with decimals where it is less.
pub fn milliseconds(seconds: Option<f64>) -> String {
    let ms = seconds.map(|seconds| seconds * 1000.0);
    match ms {
        Some(ms @ 10.0..) => format!("{ms:.0} ms"),
        Some(ms @ 1.0..) => format!("{ms:.1} ms"),
        Some(ms) => format!("{ms:.2} ms"),
        None => "–".to_owned(),
    }
}

/// A load average in at most four characters: `0.12`, `31.2`, `512`.
pub fn load(value: Option<f64>) -> String {
    match value {
        None => NONE.to_owned(),
        Some(load) if load < 9.995 => format!("{load:.2}"),
        Some(load) if load < 99.95 => format!("{load:.1}"),
        Some(load) => format!("{load:.0}"),
    }
}

/// Degrees Celsius: `58`.
pub fn degrees(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), |degrees| format!("{degrees:.0}"))
}

/// A span in at most three characters: `41s`, `5m`, `3h`, `92d`, `2y`.
pub fn short_span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..100 => format!("{seconds}s"),
        100..6_000 => format!("{}m", seconds / 60),
        6_000..172_800 => format!("{}h", seconds / 3_600),
        172_800..86_400_000 => format!("{}d", seconds / 86_400),
        _ => format!("{}y", seconds / 31_557_600),
    }
}

/// How long something lasts, in at most eight characters that change once a minute: `54 s`, `6 min`, `3 h 10`, `14 d`.
pub fn lasted(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {:02}", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A processor's model without what all have in their names.
pub fn short_cpu(model: &str) -> String {
    let words = model
        .split(['@', '('])
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let is_said = |word: &&str| {
        let noise = [
            "CPU",
            "Processor",
            "Intel",
            "AMD",
            "Core",
            "Genuine",
            "with",
            "R)",
            "TM)",
        ];
        !noise.contains(word) && !word.ends_with("-Core")
    };
    let known: Vec<_> = words.filter(is_said).collect();
    match known.is_empty() {
        true => model.to_owned(),
        false => known.join(" "),
    }
}

/// The age of a sample: with tenths while it is fresh.
pub fn age(now: UnixMs, then: UnixMs) -> String {
    let ms = (now - then).max(0);
    if ms < 10_000 {
        format!("{}.{} s", ms / 1000, ms / 100 % 10)
    } else {
        sysmon_config::time::format_span(ms)
    }
}

/// `text` in exactly `width` cells: cut with an ellipsis, or filled with spaces.
pub fn fit(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(width + 4);
    let mut used = 0;
    let total: usize = text.chars().map(|c| c.width().unwrap_or(0)).sum();
    let room = if total > width {
        width.saturating_sub(1)
    } else {
        width
    };
    for c in text.chars() {
        let cells = c.width().unwrap_or(0);
        if used + cells > room {
            break;
        }
        out.push(c);
        used += cells;
    }
    if total > width && width > 0 {
        out.push('…');
        used += 1;
    }
    out.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    out
}

/// A text in lines of at most `width` cells, broken between words.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Whether the letters of `wanted` occur in `text` in their order, in either case.
pub fn is_subsequence(text: &str, wanted: &str) -> bool {
    let mut letters = text.chars().flat_map(char::to_lowercase);
    wanted.chars().all(|letter| letters.any(|l| l == letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_width() {
        assert_eq!(percent(Some(0.614)), "61");
        assert_eq!(amount(Some(0.0)), "0");
        assert_eq!(amount(Some(1_234_567.0)), "1.2M");
        assert_eq!(amount(Some(999_499.0)), "999k");
        assert_eq!(amount(Some(999_501.0)), "1.0M");
        assert_eq!(size(Some(3.1 * 1024.0 * 1024.0 * 1024.0)), "3.1G");
        assert_eq!(load(Some(0.5)), "0.50");
        assert_eq!(load(Some(31.21)), "31.2");
        assert_eq!(amount(None), NONE);
        let mut value = 1.0;
        while value < 1e15 {
            for text in [amount(Some(value)), size(Some(value))] {
                assert!(text.chars().count() <= 4, "{text} of {value}");
            }
            value *= 1.07;
        }
    }

    #[test]
    fn long_texts_are_wrapped() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
    }

    #[test]
    fn spans_are_short() {
        assert_eq!(short_span(41_000), "41s");
        assert_eq!(short_span(3_600_000 * 5), "5h");
        assert_eq!(short_span(92 * 86_400_000), "92d");
        let texts = [59_000, 399_000, 11_400_000, 86_400_000].map(lasted);
        assert_eq!(texts, ["59 s", "6 min", "3 h 10", "1 d"]);
        assert_eq!(age(UnixMs(10_300), UnixMs(10_000)), "0.3 s");
    }

    #[test]
    fn texts_fill_their_cells_exactly_whatever_they_hold() {
        assert_eq!(fit("db-1", 6), "db-1  ");
        assert_eq!(fit("a-long-name", 6), "a-lon…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日… ");
        assert_eq!(fit("x", 0), "");
    }
}
