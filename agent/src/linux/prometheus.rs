//! The Prometheus text format and its OpenMetrics relatives, as files and commands print it
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>). Pure.

use std::collections::{HashMap, HashSet};

use sysmon_wire::limits::ATTRIBUTES_PER_SERIES_MAX;
use sysmon_wire::{Kind, Label, Number};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: usize,
    pub(super) reason: &'static str,
}

/// One line with a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CustomSample {
    pub(super) name: Label,
    pub(super) kind: Kind,
    /// Sorted by name.
    pub(super) attributes: Vec<(Label, Label)>,
    pub(super) value: Number,
}

/// None for text that is not a number; NaN stands for no value.
fn parse_number(text: &str) -> Option<Number> {
    if let Ok(integer) = text.parse() {
        return Some(Number::Integer(integer));
    }
    text.parse::<f64>().ok().map(Number::from)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Counter,
    Gauge,
    /// A histogram or summary, which has several counters.
    Distribution,
}

/// What a text has.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) samples: Vec<CustomSample>,
    /// The first line that cannot be used; such lines are skipped.
    pub(super) bad: Option<BadLine>,
    /// Metrics beyond the limit.
    pub(super) left_out: usize,
}

/// Up to `limit` metrics.
pub(super) fn parse(text: &str, limit: usize) -> Parsed {
    let mut types: HashMap<&str, Type> = HashMap::new();
    let mut seen = HashSet::new();
    let mut parsed = Parsed::default();
    // Editors on Windows start a file with a byte order mark.
    let text = text.trim_start_matches('\u{feff}');
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            types.extend(declared(comment));
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let reason = match sample(line, &types) {
            Ok(Some(_)) if parsed.samples.len() >= limit => {
                parsed.left_out += 1;
                continue;
            }
            Ok(Some(sample)) => {
                if seen.insert((sample.name.clone(), sample.attributes.clone())) {
                    parsed.samples.push(sample);
                    continue;
                }
                "the same metric and labels again"
            }
            Ok(None) => continue,
            Err(reason) => reason,
        };
        parsed.bad.get_or_insert(BadLine {
            line: at + 1,
            reason,
        });
    }
    parsed
}

/// The name and type of a `# TYPE` line.
fn declared(comment: &str) -> Option<(&str, Type)> {
    let mut words = comment.split_whitespace();
    let (Some("TYPE"), Some(name), Some(kind)) = (words.next(), words.next(), words.next()) else {
        return None;
    };
    let kind = match kind {
        "counter" => Type::Counter,
        "histogram" | "summary" => Type::Distribution,
        "untyped" | "unknown" => return None,
        _ => Type::Gauge,
    };
    Some((name.trim_matches('"'), kind))
}

/// By the type declared for the metric or for the family that its suffix belongs to, else by the suffix.
fn kind(name: &str, types: &HashMap<&str, Type>) -> Kind {
    match types.get(name) {
        Some(Type::Counter) => return Kind::Counter,
        Some(Type::Gauge | Type::Distribution) => return Kind::Gauge,
        None => {}
    }
    let suffixes = ["_total", "_bucket", "_count", "_sum"];
    let Some(family) = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)) else {
        return Kind::Gauge;
    };
    match types.get(family) {
        Some(Type::Gauge) => Kind::Gauge,
        _ => Kind::Counter,
    }
}

/// None for a line whose value is NaN.
fn sample(line: &str, types: &HashMap<&str, Type>) -> Result<Option<CustomSample>, &'static str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
    let end = line.find(|c| !is_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let labels = rest.trim_start().strip_prefix('{').map(labels_of);
    let (quoted, mut attributes, rest) = labels.unwrap_or(Ok((None, Vec::new(), rest)))?;
    let name = quoted.as_deref().unwrap_or(name);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("no metric name");
    }
    // A timestamp and an exemplar may follow; the value counts for the time of the sample.
    let number = rest.split_whitespace().next().ok_or("no value")?;
    let value = parse_number(number).ok_or("not a number")?;
    if value.as_f64().is_nan() {
        return Ok(None);
    }
    if value.as_f64().is_infinite() {
        return Err("infinite values are not kept");
    }
    attributes.sort();
    attributes.dedup_by(|a, b| a.0 == b.0);
    Ok(Some(CustomSample {
        name: Label::new(name),
        kind: kind(name, types),
        attributes,
        value,
    }))
}

/// The name of the metric, if it is among the labels, the labels, and what follows them.
type Labels<'a> = (Option<String>, Vec<(Label, Label)>, &'a str);

/// `a="b",c="d"} rest`, where the name of the metric or of a label may be in quotes: `"metric.name","a.b"="c"}`.
fn labels_of(mut text: &str) -> Result<Labels<'_>, &'static str> {
    let (mut metric, mut labels) = (None, Vec::new());
    loop {
        text = text.trim_start().trim_start_matches(',').trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((metric, labels, rest));
        }
        let (name, rest) = match text.strip_prefix('"') {
            Some(rest) => {
                let (name, rest) = quoted(rest)?;
                match rest.trim_start().strip_prefix('=') {
                    Some(rest) => (name, rest),
                    None if metric.is_none() => {
                        metric = Some(name);
                        text = rest;
                        continue;
                    }
                    None => return Err("label without a value"),
                }
            }
            None => {
                let (name, rest) = text.split_once('=').ok_or("label without a value")?;
                (name.trim().to_owned(), rest)
            }
        };
        let rest = rest
            .trim_start()
            .strip_prefix('"')
            .ok_or("label value without quotes")?;
        let (value, rest) = quoted(rest)?;
        if labels.len() >= ATTRIBUTES_PER_SERIES_MAX {
            return Err("too many labels");
        }
        labels.push((Label::new(&name), Label::new(&value)));
        text = rest;
    }
}

/// A text up to its closing quotes, with `\\`, `\"` and `\n` replaced, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices() {
        match (escaped, c) {
            (true, 'n') => value.push(' '),
            (true, c) => value.push(c),
            (false, '\\') => {}
            (false, '"') => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            (false, c) => value.push(c),
        }
        escaped = !escaped && c == '\\';
    }
    Err("unterminated label value")
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
        let Parsed { samples, bad, .. } = parse(text, 100);
        assert_eq!(bad, None);
        assert_eq!(samples.len(), 3);
        let first = &samples[0];
        assert_eq!(first.name, "backup_age_seconds");
        assert_eq!(first.value, Number::Float(12.5));
        assert_eq!(first.attributes[1].1, "db \"main\"");
        assert_eq!(first.attributes[0].0, "host", "sorted");
        assert_eq!(
            (samples[1].kind, samples[1].value),
            (Kind::Counter, Number::Integer(42))
        );
        assert_eq!(samples[2].value, Number::Integer(-3));
    }

    #[test]
    fn counters_are_told_by_type_family_or_suffix() {
        let text = "# TYPE jobs counter\njobs_total 5\n\
            # TYPE rpc_seconds histogram\nrpc_seconds_bucket{le=\"+Inf\"} 7\nrpc_seconds_sum 1.5\nrpc_seconds_count 7\n\
            untyped_total 1\nqueue_count 1\n# TYPE pods_count gauge\npods_count 3\n# TYPE q summary\nq{quantile=\"0.5\"} 1\n\
            level 2\n# TYPE old counter\nold 4\n";
        let Parsed { samples, bad, .. } = parse(text, 100);
        assert_eq!(bad, None);
        let gauges = samples.iter().filter(|s| s.kind == Kind::Gauge);
        let gauges: Vec<_> = gauges.map(|s| s.name.as_str()).collect();
        assert_eq!(gauges, ["pods_count", "q", "level"]);
        assert_eq!(samples.len(), 10);
    }

    #[test]
    fn variants_of_the_format_are_understood() {
        let text = "\u{feff}bom 5\r\ncrlf{a=\"b\"} 4\r\nspaces { a = \"b\" , } 3\n\
            {\"quoted.name\",\"my.label\"=\"v\"} 2\nbucket{le=\"1\"} 3 # {trace_id=\"6c10\"} 0.06\n\
            big 9007199254740993\nexponent 2.5e+12\nend 7";
        let Parsed { samples, bad, .. } = parse(text, 100);
        assert_eq!(bad, None);
        let of: Vec<_> = samples.iter().map(|s| (s.name.as_str(), s.value)).collect();
        let integers = [
            ("bom", 5),
            ("crlf", 4),
            ("spaces", 3),
            ("quoted.name", 2),
            ("bucket", 3),
            ("big", 9_007_199_254_740_993),
            ("exponent", 2_500_000_000_000),
            ("end", 7),
        ];
        assert_eq!(of, integers.map(|(name, n)| (name, Number::Integer(n))));
        assert_eq!(samples[3].attributes, [("my.label".into(), "v".into())]);
    }

    #[test]
    fn lines_that_cannot_be_kept_are_reported_with_their_number_and_skipped() {
        let of = |text: &str, limit| {
            let parsed = parse(text, limit);
            let names: Vec<_> = parsed.samples.iter().map(|s| s.name.to_string()).collect();
            let bad = parsed.bad.map(|bad| (bad.line, bad.reason));
            (names.join(" "), bad)
        };
        let invalid = of("a 1\n{} 2\nb x\nc{d=\"e 3\nf 4\n", 100);
        assert_eq!(invalid, ("a f".to_owned(), Some((2, "no metric name"))));
        let many = parse("a 1\nb 2\nc 3\n# a comment\nnot one\nd 4", 2);
        assert_eq!((many.samples.len(), many.left_out), (2, 2));
        assert_eq!(many.bad.unwrap().line, 5);
        let infinite = of("a +Inf\nb 0x10\n", 9);
        assert_eq!(infinite.1, Some((1, "infinite values are not kept")));
        let twice = of("a{b=\"1\"} 1\na{b=\"1\"} 2\n", 9);
        assert_eq!(twice.1, Some((2, "the same metric and labels again")));
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(text in "\\PC*", lines in "([a-z{}=\", \\\\0-9.\n#]){0,200}") {
            let _ = parse(&text, 10);
            let _ = parse(&lines, 10);
        }
    }
}
