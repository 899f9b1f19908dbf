//! Panels and variables as Grafana's JSON.

use serde_json::{Value, json};
use sysmon_alerts::rule::Limit;
use sysmon_wire::message::Severity;

use super::limits::{is_about, limits};
use super::model::{Dashboard, Panel, Shape, Table};
use super::{DataSource, Lines, reference, units};

/// Where a chart's line gets the colour of an alert: Grafana colours what is not below.
fn thresholds(panel: &Panel) -> (Value, bool) {
    let is_about = |limit: &Limit| panel.lines().iter().any(|lines| is_about(limit, lines));
    let mut steps = vec![json!({ "color": "green", "value": null })];
    let above = limits().map(|(_, limit)| limit);
    for limit in above.filter(|limit| limit.value > 0.0 && is_about(limit)) {
        let color = match limit.severity {
            Severity::Critical => "red",
            Severity::Warning => "orange",
        };
        steps.push(json!({ "color": color, "value": limit.value }));
    }
    let has_limit = steps.len() > 1;
    (json!({ "mode": "absolute", "steps": steps }), has_limit)
}

fn description(panel: &Panel) -> String {
    let mut names: Vec<String> = Vec::new();
    for lines in panel.lines() {
        let text = format!("`{}`: {}", lines.metric.name, lines.metric.about);
        if !names.contains(&text) {
            names.push(text);
        }
    }
    let about = panel.about.iter().cloned();
    about.chain(names).collect::<Vec<_>>().join("\n\n")
}

/// A panel without its place; none if this data source cannot show it.
pub(super) fn render(
    panel: &Panel,
    dashboard: &Dashboard,
    source: &dyn DataSource,
) -> Option<Value> {
    let mut of_shape = match &panel.shape {
        Shape::Chart { lines, is_stacked } => chart(panel, lines, *is_stacked, dashboard, source),
        Shape::Number(lines) => number(lines, dashboard, source),
        Shape::Table(table) => newest(table, source),
        Shape::Sql {
            sql,
            is_chart: true,
        } => sql_chart(source.sql(sql)?),
        Shape::Sql {
            sql,
            is_chart: false,
        } => sql_table(&source.sql(sql)?),
    };
    let mut targets = of_shape.get("targets").and_then(Value::as_array).cloned()?;
    for (at, target) in targets.iter_mut().enumerate() {
        let target = target.as_object_mut()?;
        let letter = char::from(b'A' + u8::try_from(at).ok()?);
        target.insert("refId".to_owned(), json!(letter.to_string()));
        target.insert("datasource".to_owned(), reference(source));
        target.insert("editorMode".to_owned(), json!("code"));
    }
    let all = of_shape.as_object_mut()?;
    all.insert("targets".to_owned(), Value::Array(targets));
    all.insert("title".to_owned(), json!(panel.title));
    all.insert("description".to_owned(), json!(description(panel)));
    all.insert("datasource".to_owned(), reference(source));
    Some(of_shape)
}

fn chart(
    panel: &Panel,
    lines: &[Lines],
    is_stacked: bool,
    dashboard: &Dashboard,
    source: &dyn DataSource,
) -> Value {
    let (thresholds, has_limit) = thresholds(panel);
    let stacking = if is_stacked { "normal" } else { "none" };
    let targets: Vec<_> = lines
        .iter()
        .map(|lines| source.lines(lines, &dashboard.variables))
        .collect();
    json!({
        "type": "timeseries",
        "targets": targets,
        "fieldConfig": {
            "defaults": {
                "unit": lines.first().map_or("short", units::of),
                "min": 0,
                "color": { "mode": "palette-classic" },
                "thresholds": thresholds,
                "custom": {
                    "drawStyle": "line", "lineWidth": 1, "fillOpacity": if is_stacked { 40 } else { 8 },
                    "showPoints": "never", "spanNulls": false,
                    "stacking": { "mode": stacking, "group": "A" },
                    "thresholdsStyle": { "mode": if has_limit { "line" } else { "off" } },
                },
            },
            "overrides": [],
        },
        "options": {
            "legend": { "showLegend": true, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"] },
            "tooltip": { "mode": "multi", "sort": "desc" },
        },
    })
}

fn number(lines: &Lines, dashboard: &Dashboard, source: &dyn DataSource) -> Value {
    let is_bad = lines.with.iter().any(|(_, value)| {
        [Severity::Critical, Severity::Warning]
            .map(Severity::as_str)
            .contains(value)
    });
    let mut steps = vec![json!({ "color": if is_bad { "green" } else { "text" }, "value": null })];
    if is_bad {
        let critical = Severity::Critical.as_str();
        let color = match lines.with.iter().any(|(_, value)| *value == critical) {
            true => "red",
            false => "orange",
        };
        steps.push(json!({ "color": color, "value": 1 }));
    }
    json!({
        "type": "stat",
        "targets": [source.lines(lines, &dashboard.variables)],
        "fieldConfig": {
            "defaults": {
                "unit": units::of(lines), "color": { "mode": "thresholds" },
                "thresholds": { "mode": "absolute", "steps": steps },
            },
            "overrides": [],
        },
        "options": {
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto",
            "textMode": "value",
        },
    })
}

fn newest(table: &Table, source: &dyn DataSource) -> Value {
    let (targets, transformations) = source.table(table);
    let unit = |(title, lines): &(&str, Lines)| {
        json!({
            "matcher": { "id": "byName", "options": title },
            "properties": [{ "id": "unit", "value": units::of(lines) }],
        })
    };
    let mut overrides: Vec<_> = table.0.iter().map(unit).collect();
    let host = format!(
        "/d/sysmon-{}-host?var-host=${{__value.raw}}&${{__url_time_range}}",
        source.name()
    );
    overrides.push(json!({
        "matcher": { "id": "byName", "options": "Host" },
        "properties": [{ "id": "links", "value": [{ "title": "Show this host", "url": host, "targetBlank": false }] }],
    }));
    json!({
        "type": "table",
        "targets": targets,
        "transformations": transformations,
        "fieldConfig": { "defaults": { "custom": { "align": "auto", "filterable": true } }, "overrides": overrides },
        "options": { "showHeader": true, "sortBy": [{ "displayName": "Host", "desc": false }] },
    })
}

fn sql_table(target: &Value) -> Value {
    json!({
        "type": "table",
        "targets": [target],
        "fieldConfig": { "defaults": { "custom": { "align": "auto", "filterable": true } }, "overrides": [] },
        "options": { "showHeader": true },
    })
}

fn sql_chart(mut target: Value) -> Value {
    if let Some(target) = target.as_object_mut() {
        target.insert("format".to_owned(), json!("time_series"));
    }
    json!({
        "type": "timeseries",
        "targets": [target],
        "fieldConfig": {
            "defaults": {
                "unit": "short", "min": 0, "color": { "mode": "palette-classic" },
                "custom": { "drawStyle": "bars", "fillOpacity": 60, "stacking": { "mode": "normal", "group": "A" } },
            },
            "overrides": [],
        },
        "options": {
            "legend": { "showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": [] },
            "tooltip": { "mode": "multi", "sort": "desc" },
        },
    })
}

/// The data source, and what chooses hosts and devices.
pub(super) fn variables(dashboard: &Dashboard, source: &dyn DataSource) -> Vec<Value> {
    let mut list = vec![json!({
        "type": "datasource", "name": "datasource", "label": "Data source", "query": source.plugin(),
        "current": {}, "hide": 0, "includeAll": false, "multi": false, "options": [], "refresh": 1, "regex": "",
        "skipUrlSync": false,
    })];
    list.extend(dashboard.variables.iter().map(|variable| {
        let mut value = json!({
            "type": "query", "name": variable.name, "label": variable.label, "datasource": reference(source),
            "query": source.variable(variable), "definition": "", "refresh": 2, "regex": "", "sort": 7,
            "multi": true, "includeAll": true, "hide": 0, "options": [], "skipUrlSync": false,
            "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
        });
        if let (Some(all), Some(value)) = (source.all(), value.as_object_mut()) {
            value.insert("allValue".to_owned(), json!(all));
        }
        value
    }));
    list
}
