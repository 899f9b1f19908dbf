//! The subset of the Prometheus text format that files and commands use
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>). Pure.

use std::collections::HashMap;

use sysmon_wire::limits::ATTRIBUTES_PER_SERIES_MAX;
use sysmon_wire::{ABSENT, Kind, Label, MetricDef, SeriesKey};

/// Values are stored in millionths; those beyond this do not fit and are absent.
const EXACT_MAX: f64 = 1e12;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: usize,
    pub(super) reason: &'static str,
}

/// Up to `limit` metrics, and the first line that cannot be parsed; such lines are skipped.
pub(super) fn parse(text: &str, limit: usize) -> (Vec<(SeriesKey, i64)>, Option<BadLine>) {
    let mut kinds: HashMap<&str, Kind> = HashMap::new();
    let (mut values, mut bad) = (Vec::new(), None);
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.split_whitespace();
            if let (Some("TYPE"), Some(name), Some(kind)) =
                (words.next(), words.next(), words.next())
            {
                let kind = if kind == "counter" {
                    Kind::Counter
                } else {
                    Kind::Gauge
                };
                kinds.insert(name, kind);
            }
            continue;
        }
        if line.is_empty() {
            continue;
        }
        if values.len() >= limit {
            bad.get_or_insert(BadLine {
                line: at + 1,
                reason: "too many metrics",
            });
            break;
        }
        match sample(line, &kinds) {
            Ok(sample) => values.push(sample),
            Err(reason) => {
                bad.get_or_insert(BadLine {
                    line: at + 1,
                    reason,
                });
            }
        }
    }
    (values, bad)
}

fn sample(line: &str, kinds: &HashMap<&str, Kind>) -> Result<(SeriesKey, i64), &'static str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
    let end = line.find(|c| !is_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("no metric name");
    }
    let (mut attributes, rest) = match rest.strip_prefix('{') {
        Some(labels) => labels_of(labels)?,
        None => (Vec::new(), rest),
    };
    // An optional timestamp follows; the value counts for the time of the sample.
    let number = rest.split_whitespace().next().ok_or("no value")?;
    let number: f64 = number.parse().map_err(|_| "not a number")?;
    attributes.sort();
    attributes.dedup_by(|a, b| a.0 == b.0);
    let metric = MetricDef {
        name: Label::new(name),
        unit: Label::new("1"),
        kind: kinds.get(name).copied().unwrap_or(Kind::Gauge),
        scale: -6,
    };
    let scaled = number * 1e6;
    let value = if number.is_finite() && number.abs() < EXACT_MAX {
        scaled.round() as i64
    } else {
        ABSENT
    };
    Ok((SeriesKey { metric, attributes }, value))
}

type Labels<'a> = (Vec<(Label, Label)>, &'a str);

/// `a="b",c="d"} rest`, with `\\`, `\"` and `\n` in values.
fn labels_of(mut text: &str) -> Result<Labels<'_>, &'static str> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start().trim_start_matches(',').trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, rest) = text.split_once('=').ok_or("label without a value")?;
        let rest = rest
            .trim_start()
            .strip_prefix('"')
            .ok_or("label value without quotes")?;
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, c) in rest.char_indices() {
            match (escaped, c) {
                (true, 'n') => value.push(' '),
                (true, c) => value.push(c),
                (false, '\\') => {}
                (false, '"') => {
                    end = Some(at + 1);
                    break;
                }
                (false, c) => value.push(c),
            }
            escaped = !escaped && c == '\\';
        }
        let end = end.ok_or("unterminated label value")?;
        if labels.len() >= ATTRIBUTES_PER_SERIES_MAX {
            return Err("too many labels");
        }
        labels.push((Label::new(name.trim()), Label::new(&value)));
        text = rest.get(end..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn output_of_exporters_is_parsed() {
        let text = "\
# HELP backup_age_seconds Age of the last backup.
# TYPE backup_age_seconds gauge
backup_age_seconds{job=\"db \\\"main\\\"\",host=\"a\"} 12.5
# TYPE sent_total counter
sent_total 42 1395066363000

temperature -3
nothing NaN
";
        let (values, bad) = parse(text, 100);
        assert_eq!(bad, None);
        assert_eq!(values.len(), 4);
        let (key, value) = &values[0];
        assert_eq!(
            (key.metric.name.as_str(), *value),
            ("backup_age_seconds", 12_500_000)
        );
        assert_eq!(key.attribute("job").unwrap().as_str(), "db \"main\"");
        assert_eq!(key.attributes[0].0, "host", "sorted");
        assert_eq!(
            (values[1].0.metric.kind, values[1].1),
            (Kind::Counter, 42_000_000)
        );
        assert_eq!((values[2].1, values[3].1), (-3_000_000, ABSENT));
    }

    #[test]
    fn invalid_lines_are_reported_with_their_number_and_skipped() {
        let (values, bad) = parse("a 1\n{} 2\nb x\nc{d=\"e 3\nf 4\n", 100);
        assert_eq!(
            values
                .iter()
                .map(|(k, _)| k.metric.name.to_string())
                .collect::<Vec<_>>(),
            ["a", "f"]
        );
        assert_eq!(
            bad,
            Some(BadLine {
                line: 2,
                reason: "no metric name"
            })
        );
        let (values, bad) = parse("a 1\nb 2\nc 3\n", 2);
        assert_eq!((values.len(), bad.unwrap().line), (2, 3));
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(text in "\\PC*", lines in "([a-z{}=\", \\\\0-9.\n#]){0,200}") {
            let _ = parse(&text, 10);
            let _ = parse(&lines, 10);
        }
    }
}
