//! The one-line summary of an alert.

use std::time::Duration;

use sysmon_config::time::format_span;
use sysmon_wire::quantity::{self, Prefixes, significant};
use sysmon_wire::{Kind, Label, MetricDef, SeriesKey};

use crate::rule::{Measure, Rule, Term};

/// The values of a series' attributes, which distinguish it from the host's other series of the metric.
pub(super) fn what(key: &SeriesKey) -> String {
    let values = key.attributes.iter().map(|(_, value)| value.as_str());
    values.collect::<Vec<_>>().join(" ")
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) value: f64,
    pub(super) limit: f64,
}

pub(super) fn of_value(
    rule: &Rule,
    term: &Term,
    host: &Label,
    key: &SeriesKey,
    found: Found,
) -> String {
    let what = what(key);
    let is_rate = matches!(term.measure, Measure::Rate(_));
    let (value, limit) = (
        human(&key.metric, is_rate, found.value),
        human(&key.metric, is_rate, found.limit),
    );
    if let Some(say) = &rule.say {
        return say.fill(|field| match field {
            "host" => host.to_string(),
            "what" => what.clone(),
            "value" => value.clone(),
            "threshold" => limit.clone(),
            "metric" => key.metric.name.to_string(),
            "rule" => rule.name.clone(),
            _ => rule.severity.as_str().to_owned(),
        });
    }
    let of = if what.is_empty() {
        String::new()
    } else {
        format!(" of {what}")
    };
    let metric = &key.metric.name;
    let side = if term.above { "over" } else { "under" };
    match term.measure {
        Measure::Value => format!("{metric}{of} is {value}, {side} {limit}"),
        Measure::Turn => format!("{metric}{of} turned to {value}"),
        Measure::Rate(over) => {
            let over = span(over);
            format!("{metric}{of} changed by {value} over {over}, {side} {limit}")
        }
        Measure::Deviation => {
            let side = if found.value < found.limit {
                "under"
            } else {
                "over"
            };
            format!("{metric}{of} is {value}, {side} the baseline of {limit} for this hour")
        }
        Measure::Within(within, _) => {
            let within = span(within);
            format!(
                "{metric}{of} will be {side} {limit} within {within}, by the trend of the last hour"
            )
        }
    }
}

/// The summary of an alert about a host as a whole; `default` unless the rule has a template.
pub(super) fn of_host(rule: &Rule, host: &Label, default: String, value: &str) -> String {
    let Some(say) = &rule.say else {
        return default;
    };
    say.fill(|field| match field {
        "host" => host.to_string(),
        "value" => value.to_owned(),
        "rule" => rule.name.clone(),
        "severity" => rule.severity.as_str().to_owned(),
        _ => String::new(),
    })
}

pub(super) fn span(span: Duration) -> String {
    format_span(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

fn human(metric: &MetricDef, is_rate: bool, value: f64) -> String {
    let is_rate = is_rate || metric.kind == Kind::Counter;
    let per = if is_rate { "/s" } else { "" };
    match metric.unit.as_str() {
        "1" if metric.scale == -3 && is_rate => format!("{:.1} %/h", value * 360_000.0),
        "1" if metric.scale == -3 => format!("{:.1} %", value * 100.0),
        // Seconds per second are a share of time.
        "s" if is_rate => format!("{:.1} % of the time", value * 100.0),
        "Cel" => format!("{value:.1} °C{per}"),
        "By" => format!("{}B{per}", si(value)),
        "1" => format!("{}{per}", significant(value)),
        unit if unit.starts_with('{') => {
            let noun = unit.trim_matches(['{', '}']);
            format!("{} {noun}{per}", significant(value))
        }
        "" => format!("{}{per}", significant(value)),
        unit => format!("{}{unit}{per}", si(value)),
    }
}

/// Three digits and an SI prefix, ready for a unit: `2.5 G`.
fn si(value: f64) -> String {
    let (value, prefix) = quantity::scale(value, Prefixes::Si);
    format!("{} {prefix}", significant(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::metrics::{
        CPU_FREQUENCY, FS_USAGE, FS_UTILIZATION, LOAD_1M, NET_IO, OOM_KILLS, PRESSURE_TIME,
    };

    #[test]
    fn values_have_their_units() {
        assert_eq!(human(&FS_UTILIZATION.def(), false, 0.953), "95.3 %");
        assert_eq!(human(&FS_UTILIZATION.def(), true, 0.1 / 3600.0), "10.0 %/h");
        assert_eq!(human(&FS_USAGE.def(), false, 2.5e9), "2.5 GB");
        assert_eq!(human(&NET_IO.def(), false, 12_500.0), "12.5 kB/s");
        assert_eq!(
            human(&PRESSURE_TIME.def(), false, 0.5),
            "50.0 % of the time"
        );
        assert_eq!(human(&OOM_KILLS.def(), false, 2.0), "2 process/s");
        assert_eq!(human(&LOAD_1M.def(), false, 17.25), "17.2");
        assert_eq!(human(&LOAD_1M.def(), false, 0.01), "0.01");
        assert_eq!(human(&CPU_FREQUENCY.def(), false, 2.4e9), "2.4 GHz");
    }
}
