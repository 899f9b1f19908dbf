//! Queries in SQL, for the schema that the hub writes to PostgreSQL and TimescaleDB.

use serde_json::{Map, Value, json};

use super::model::{Table, Variable};
use super::{DataSource, Lines};

pub(super) struct Postgres;

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Which samples are those of the lines.
fn condition(lines: &Lines, variables: &[Variable]) -> String {
    let with: Map<String, Value> = lines
        .with
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let with = quoted(&Value::Object(with).to_string());
    let mut all = vec![format!("metric = {}", quoted(lines.metric.name))];
    if lines.by.is_empty() {
        all.push(format!("attributes = {with}"));
        return all.join(" AND ");
    }
    if !lines.with.is_empty() {
        all.push(format!("attributes @> {with}"));
    }
    for by in &lines.by {
        let mut variables = variables.iter();
        let variable = variables.find(|variable| variable.chooses(lines, by));
        all.push(match variable {
            Some(variable) => format!("attributes ->> {} IN (${})", quoted(by), variable.name),
            None => format!("attributes ? {}", quoted(by)),
        });
    }
    if let Some(without) = lines.without {
        all.push(format!("NOT attributes ? {}", quoted(without)));
    }
    all.join(" AND ")
}

fn legend(lines: &Lines) -> String {
    let by = lines.by.iter();
    let by = by.map(|by| format!("attributes ->> {}", quoted(by)));
    let label = Some(lines.label()).filter(|label| !label.is_empty());
    let parts: Vec<String> = by.chain(label.map(|label| quoted(&label))).collect();
    match parts.as_slice() {
        [] => "host".to_owned(),
        parts => format!("concat_ws(' ', host, {})", parts.join(", ")),
    }
}

fn sql(lines: &Lines, variables: &[Variable]) -> String {
    let (condition, legend) = (condition(lines, variables), legend(lines));
    let of = format!(
        "FROM sysmon.samples\nWHERE $__timeFilter(time) AND host IN (${}) AND {condition}\nGROUP BY 1, 2",
        lines.hosts()
    );
    let select = format!("SELECT $__timeGroupAlias(time, $__interval), {legend} AS metric,");
    let lines_sql = match lines.is_rate() {
        true => format!(
            "SELECT time, metric, greatest(value - lag(value) OVER series, 0) / \
             nullif(extract(epoch FROM newest - lag(newest) OVER series), 0) AS value\n\
             FROM ({select} max(time) AS newest, max(value) AS value\n{of}) AS counters\n\
             WINDOW series AS (PARTITION BY metric ORDER BY time)"
        ),
        false => format!("{select} avg(value) AS value\n{of}"),
    };
    match lines.is_sum {
        true => format!(
            "SELECT time, {} AS metric, sum(value) AS value\nFROM ({lines_sql}) AS lines\nGROUP BY 1, 2\nORDER BY 1",
            quoted(&lines.label())
        ),
        false => format!("{lines_sql}\nORDER BY 1"),
    }
}

impl DataSource for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn plugin(&self) -> &'static str {
        "grafana-postgresql-datasource"
    }

    fn lines(&self, lines: &Lines, variables: &[Variable]) -> Value {
        json!({ "format": "time_series", "rawQuery": true, "rawSql": sql(lines, variables) })
    }

    fn table(&self, table: &Table) -> (Vec<Value>, Vec<Value>) {
        let column = |(title, lines): &(&str, Lines)| {
            let metric = quoted(lines.metric.name);
            format!("max(value) FILTER (WHERE metric = {metric}) AS \"{title}\"")
        };
        let columns: Vec<_> = table.0.iter().map(column).collect();
        let metrics: Vec<_> = table
            .0
            .iter()
            .map(|(_, lines)| quoted(lines.metric.name))
            .collect();
        let text = format!(
            "SELECT host AS \"Host\", {}\n\
             FROM (SELECT DISTINCT ON (host, metric) host, metric, value FROM sysmon.samples\n\
             WHERE time > $__timeTo()::timestamptz - interval '1 minute' AND time <= $__timeTo()::timestamptz\n\
             AND host IN ($host) AND attributes = '{{}}' AND metric IN ({})\n\
             ORDER BY host, metric, time DESC) AS newest\nGROUP BY host\nORDER BY host",
            columns.join(", "),
            metrics.join(", ")
        );
        (
            vec![json!({ "format": "table", "rawQuery": true, "rawSql": text })],
            Vec::new(),
        )
    }

    fn variable(&self, variable: &Variable) -> Value {
        let metric = quoted(variable.lines.metric.name);
        let text = match variable.attribute {
            Some(name) => {
                let name = quoted(name);
                format!(
                    "SELECT DISTINCT attributes ->> {name} FROM sysmon.series \
                     WHERE metric = {metric} AND attributes ? {name} ORDER BY 1"
                )
            }
            None => {
                let not = if variable.lines.is_of_hub { "" } else { "NOT " };
                format!(
                    "SELECT DISTINCT name FROM sysmon.hosts WHERE name {not}LIKE 'hub:%' ORDER BY 1"
                )
            }
        };
        json!(text)
    }

    fn all(&self) -> Option<&'static str> {
        None
    }

    fn sql(&self, sql: &str) -> Option<Value> {
        Some(json!({ "format": "table", "rawQuery": true, "rawSql": sql }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::of;
    use super::*;
    use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO};

    #[test]
    fn series_are_told_apart_by_their_attributes() {
        let receive = of(NET_IO).with("network.io.direction", "receive");
        assert_eq!(
            condition(&receive, &[]),
            "metric = 'system.network.io' AND attributes = '{\"network.io.direction\":\"receive\"}'"
        );
        let modes = of(CPU_UTILIZATION)
            .by("cpu.mode")
            .without("cpu.logical_number");
        assert_eq!(
            condition(&modes, &[]),
            "metric = 'system.cpu.utilization' AND attributes ? 'cpu.mode' AND NOT attributes ? 'cpu.logical_number'"
        );
        assert_eq!(
            legend(&modes),
            "concat_ws(' ', host, attributes ->> 'cpu.mode')"
        );
        assert!(sql(&receive, &[]).contains("lag(value)"));
        assert!(!sql(&modes, &[]).contains("lag(value)"));
    }
}
