//! Queries in PromQL, for what the hub writes by remote write.

use serde_json::{Value, json};
use sysmon_export::names::prometheus;

use super::model::{Table, Variable};
use super::{DataSource, Lines};

/// Stands for any value of an attribute in the example of a series.
const ANY: &str = "any";

pub(super) struct Prometheus;

/// The name of the series and what their labels are compared with.
fn selector(lines: &Lines, variables: &[Variable]) -> String {
    let series = prometheus(&lines.example(ANY));
    let mut matchers = vec![format!("host=~\"${}\"", lines.hosts())];
    let named = |attribute: &str| sysmon_export::names::valid(attribute, "_");
    for (label, value) in &series.labels {
        let by = lines.by.iter().find(|by| named(by) == *label);
        let variable = variables
            .iter()
            .find(|variable| by.is_some_and(|by| variable.chooses(lines, by)));
        matchers.push(match (by, variable) {
            (Some(_), Some(variable)) => format!("{label}=~\"${}\"", variable.name),
            (Some(_), None) => format!("{label}!=\"\""),
            (None, _) => format!("{label}=\"{value}\""),
        });
    }
    format!("{}{{{}}}", series.name, matchers.join(","))
}

fn expression(lines: &Lines, variables: &[Variable]) -> String {
    let selector = selector(lines, variables);
    let value = match lines.is_rate() {
        true => format!("rate({selector}[$__rate_interval])"),
        false => selector,
    };
    match lines.is_sum {
        true => format!("sum({value})"),
        false => value,
    }
}

fn legend(lines: &Lines) -> String {
    if lines.is_sum {
        return lines.label();
    }
    let by = lines.by.iter();
    let by = by.map(|name| format!("{{{{{}}}}}", sysmon_export::names::valid(name, "_")));
    let parts = std::iter::once("{{host}}".to_owned()).chain(by);
    let parts = parts.chain(Some(lines.label()).filter(|label| !label.is_empty()));
    parts.collect::<Vec<_>>().join(" ")
}

impl DataSource for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn plugin(&self) -> &'static str {
        "prometheus"
    }

    fn lines(&self, lines: &Lines, variables: &[Variable]) -> Value {
        json!({ "expr": expression(lines, variables), "legendFormat": legend(lines), "range": true, "instant": false })
    }

    fn table(&self, table: &Table) -> (Vec<Value>, Vec<Value>) {
        let target = |(_, lines): &(&str, Lines)| {
            let expr = format!("max by (host) ({})", expression(lines, &[]));
            json!({ "expr": expr, "format": "table", "range": false, "instant": true })
        };
        let letters = 'A'..='Z';
        let mut names = json!({ "host": "Host" });
        if let Some(names) = names.as_object_mut() {
            for ((title, _), letter) in table.0.iter().zip(letters) {
                names.insert(format!("Value #{letter}"), json!(title));
            }
        }
        let transformations = vec![
            json!({ "id": "joinByField", "options": { "byField": "host", "mode": "outer" } }),
            json!({ "id": "filterFieldsByName", "options": { "include": { "pattern": "^(host|Value #.)$" } } }),
            json!({ "id": "organize", "options": { "excludeByName": {}, "indexByName": {}, "renameByName": names } }),
        ];
        (table.0.iter().map(target).collect(), transformations)
    }

    fn variable(&self, variable: &Variable) -> Value {
        let series = prometheus(&variable.lines.example(ANY));
        let of_host = match variable.attribute {
            Some(_) => format!("{{host=~\"${}\"}}", variable.lines.hosts()),
            None => String::new(),
        };
        let label = variable.attribute.map_or_else(
            || "host".to_owned(),
            |name| sysmon_export::names::valid(name, "_"),
        );
        let query = format!("label_values({}{of_host}, {label})", series.name);
        json!({ "query": query, "refId": variable.name })
    }

    fn all(&self) -> Option<&'static str> {
        Some(".+")
    }

    fn sql(&self, _sql: &str) -> Option<Value> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::of;
    use super::*;
    use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO};

    #[test]
    fn counters_are_rates_and_totals_have_their_own_name() {
        let receive = of(NET_IO).with("network.io.direction", "receive");
        assert_eq!(
            expression(&receive, &[]),
            "rate(sysmon_host_net_rx_bytes_total{host=~\"$host\"}[$__rate_interval])"
        );
        assert_eq!(legend(&receive), "{{host}} receive");
        let of_each = receive.clone().by("network.interface.name");
        assert_eq!(
            expression(&of_each, &[]),
            "rate(system_network_io_bytes_total{host=~\"$host\",network_interface_name!=\"\",\
             network_io_direction=\"receive\"}[$__rate_interval])"
        );
        assert_eq!(
            legend(&of_each),
            "{{host}} {{network_interface_name}} receive"
        );
        assert_eq!(
            expression(&of(CPU_UTILIZATION).sum(), &[]),
            "sum(sysmon_host_cpu_ratio{host=~\"$host\"})"
        );
    }
}
