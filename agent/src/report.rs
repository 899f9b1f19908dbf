//! Output of `sysmon-agent sample`: JSON and a table.

use serde_json::{Map, Value, json};
use sysmon_wire::metrics::unscale;
use sysmon_wire::{ABSENT, HostFacts, SeriesKey, UnixMs};

/// Values are in the unit of their metric; absent ones are left out.
pub fn to_json(time: UnixMs, facts: &HostFacts, series: &[SeriesKey], values: &[i64]) -> Value {
    let one = |(key, value): (&SeriesKey, &i64)| {
        let attributes: Map<String, Value> = key
            .attributes
            .iter()
            .map(|(k, v)| (k.to_string(), json!(v)))
            .collect();
        json!({
            "metric": key.metric.name,
            "unit": key.metric.unit,
            "kind": match key.metric.kind {
                sysmon_wire::Kind::Gauge => "gauge",
                sysmon_wire::Kind::Counter => "counter",
            },
            "attributes": attributes,
            "value": unscale(*value, key.metric.scale),
        })
    };
    let present = series
        .iter()
        .zip(values)
        .filter(|(_, value)| **value != ABSENT);
    json!({
        "schema": 1,
        "time_ms": time.0,
        "host": facts,
        "series": present.map(one).collect::<Vec<_>>(),
    })
}

/// One line per series, sorted by name.
pub fn to_table(facts: &HostFacts, series: &[SeriesKey], values: &[i64]) -> String {
    let mut lines: Vec<(String, String)> = series
        .iter()
        .zip(values)
        .filter(|(_, value)| **value != ABSENT)
        .map(|(key, value)| {
            let attributes: Vec<_> = key.attributes.iter().map(|(_, v)| v.as_str()).collect();
            let name = format!("{} {}", key.metric.name, attributes.join(" "));
            let value = unscale(*value, key.metric.scale);
            let unit = if key.metric.unit == "1" {
                ""
            } else {
                key.metric.unit.as_str()
            };
            (name.trim_end().to_owned(), format!("{value} {unit}"))
        })
        .collect();
    lines.sort();
    let width = lines
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let head = format!(
        "{} · {} · {} · {} processors · {} MiB\n{} series\n\n",
        facts.os,
        facts.kernel,
        facts.cpu_model,
        facts.cpus,
        facts.memory_bytes >> 20,
        lines.len()
    );
    lines.iter().fold(head, |out, (name, value)| {
        out + &format!("{name:<width$}  {value}\n")
    })
}
