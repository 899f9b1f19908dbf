//! The answer to a query, as a table, CSV or JSON.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sysmon_config::time::format_moment;
use sysmon_wire::message::Points;

use crate::csv::Csv;

/// Which fields the JSON has.
const SCHEMA: u32 = 1;

#[derive(Clone, Debug)]
pub struct Table {
    metric: String,
    unit: String,
    step_ms: i64,
    series: Vec<Series>,
}

#[derive(Clone, Debug)]
struct Series {
    host: String,
    attributes: Vec<(String, String)>,
    /// By moment; none where there was no sample.
    points: BTreeMap<i64, Option<f64>>,
}

impl Table {
    pub fn join(metric: &str, step_ms: i64, parts: Vec<Points>) -> Self {
        let mut table = Self {
            metric: metric.to_owned(),
            unit: String::new(),
            step_ms,
            series: Vec::new(),
        };
        for part in parts {
            let attributes: Vec<_> = part
                .attributes
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect();
            table.metric = part.metric.to_string();
            table.unit = part.unit.to_string();
            let is_same = |series: &Series| {
                series.host == part.host.as_str() && series.attributes == attributes
            };
            if !table.series.last().is_some_and(is_same) {
                table.series.push(Series {
                    host: part.host.to_string(),
                    attributes,
                    points: BTreeMap::new(),
                });
            }
            let Some(series) = table.series.last_mut() else {
                continue;
            };
            for (at, value) in part.values.iter().enumerate() {
                let time = part.start.0 + at as i64 * part.step_ms;
                series
                    .points
                    .insert(time, value.is_finite().then_some(*value));
            }
        }
        table
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub fn to_json(&self) -> Value {
        let series = |series: &Series| {
            let attributes: BTreeMap<_, _> = series.attributes.iter().cloned().collect();
            let points: Vec<_> = series.points.iter().map(|(t, v)| json!([t, v])).collect();
            json!({ "host": series.host, "attributes": attributes, "points": points })
        };
        json!({
            "schema": SCHEMA,
            "metric": self.metric,
            "unit": self.unit,
            "step_ms": self.step_ms,
            "series": self.series.iter().map(series).collect::<Vec<_>>(),
        })
    }

    /// As CSV (RFC 4180): a line a point.
    pub fn to_csv(&self) -> String {
        let mut csv = Csv::new(&["time_ms", "host", "attributes", "value"]);
        for series in &self.series {
            for (time, value) in &series.points {
                let value = value.map_or_else(String::new, |value| value.to_string());
                let (host, attributes) = (series.host.clone(), series.attributes_text());
                csv.row([time.to_string(), host, attributes, value].into_iter());
            }
        }
        csv.into_text()
    }

    pub fn to_text(&self, zone: &TimeZone) -> String {
        let mut out = format!("{} in {}\n\n", self.metric, unit_text(&self.unit));
        let names: Vec<_> = self.series.iter().map(Series::name).collect();
        let widths: Vec<_> = names
            .iter()
            .map(|name| name.chars().count().max(8))
            .collect();
        out.push_str(&format!("{:<19}", "TIME"));
        for (name, width) in names.iter().zip(&widths) {
            out.push_str(&format!("  {name:>width$}"));
        }
        out.push('\n');
        let mut times: Vec<i64> = self
            .series
            .iter()
            .flat_map(|s| s.points.keys().copied())
            .collect();
        times.sort_unstable();
        times.dedup();
        // Nothing was recorded before the first value, nor after the last.
        let has_value = |time: &i64| {
            let values = self
                .series
                .iter()
                .filter_map(|series| series.points.get(time));
            values.flatten().next().is_some()
        };
        let Some(first) = times.iter().position(has_value) else {
            out.push_str("nothing was recorded in this time\n");
            return out;
        };
        let last = times.iter().rposition(has_value).unwrap_or(first);
        if first > 0 {
            let begin = times.get(first).copied().unwrap_or_default();
            let begin = format_moment(begin, zone);
            out.push_str(&format!("nothing was recorded before {begin}\n"));
        }
        for time in times.into_iter().take(last + 1).skip(first) {
            out.push_str(&format!("{:<19}", format_moment(time, zone)));
            for (series, width) in self.series.iter().zip(&widths) {
                let value = series.points.get(&time).copied().flatten();
                let text = value.map_or_else(|| "–".to_owned(), number);
                out.push_str(&format!("  {text:>width$}"));
            }
            out.push('\n');
        }
        out
    }
}

impl Series {
    fn attributes_text(&self) -> String {
        let parts: Vec<_> = self
            .attributes
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        parts.join(" ")
    }

    fn name(&self) -> String {
        let values: Vec<_> = self
            .attributes
            .iter()
            .map(|(_, value)| value.as_str())
            .collect();
        if values.is_empty() {
            self.host.clone()
        } else {
            format!("{} {}", self.host, values.join(" "))
        }
    }
}

/// UCUM's `1` says nothing to people.
fn unit_text(unit: &str) -> &str {
    match unit {
        "1" => "shares of 1",
        "By" => "bytes",
        "By/s" => "bytes a second",
        "Cel" => "°C",
        other => other,
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::UnixMs;

    fn part(host: &str, start: i64, values: &[f64]) -> Points {
        Points {
            host: host.into(),
            metric: "system.cpu.utilization".into(),
            unit: "1".into(),
            attributes: vec![("cpu.mode".into(), "a,b".into())],
            start: UnixMs(start),
            step_ms: 1000,
            values: values.to_vec(),
        }
    }

    fn table() -> Table {
        let parts = vec![
            part("a", 1000, &[0.5, f64::NAN]),
            part("a", 3000, &[0.25]),
            part("=b", 1000, &[1.0]),
        ];
        Table::join("cpu", 1000, parts)
    }

    #[test]
    fn parts_are_joined_and_gaps_are_null() {
        let json = table().to_json();
        assert_eq!(
            json["series"][0]["points"],
            json!([[1000, 0.5], [2000, null], [3000, 0.25]])
        );
        assert_eq!(json["series"][0]["attributes"], json!({"cpu.mode": "a,b"}));
        assert_eq!(json["metric"], "system.cpu.utilization");
    }

    #[test]
    fn csv_is_quoted_and_holds_no_formula() {
        let csv = table().to_csv();
        let lines: Vec<_> = csv.split("\r\n").collect();
        assert_eq!(lines[1], "1000,a,\"cpu.mode=a,b\",0.5");
        assert_eq!(lines[2], "2000,a,\"cpu.mode=a,b\",");
        assert_eq!(lines[4], "1000,'=b,\"cpu.mode=a,b\",1");
    }

    #[test]
    fn people_get_a_column_for_each_series() {
        let text = table().to_text(&TimeZone::UTC);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[2].split_whitespace().collect::<Vec<_>>(),
            ["TIME", "a", "a,b", "=b", "a,b"]
        );
        assert!(lines[3].contains("0.5000") && lines[3].ends_with("1.00"));
        assert!(lines[4].ends_with('–'));
    }
}
