//! Grafana's dashboards, made from the metric registry and the default alert rules, for each kind of data source.

mod contents;
mod grid;
mod host;
mod limits;
mod lines;
mod model;
mod panel;
mod postgres;
mod prometheus;
mod units;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use lines::Lines;
use model::{Dashboard, Table, Variable};

const FOLDER: &str = "deploy/grafana/dashboards";

/// A kind of data source: how it is asked for what a dashboard shows.
trait DataSource {
    /// Name of the folder, and part of each dashboard's id.
    fn name(&self) -> &'static str;

    /// The plugin's id.
    fn plugin(&self) -> &'static str;

    /// The query of lines over time.
    fn lines(&self, lines: &Lines, variables: &[Variable]) -> Value;

    /// The queries of a table of the newest values, and how their answers become one.
    fn table(&self, table: &Table) -> (Vec<Value>, Vec<Value>);

    /// The query of the values that a variable can have.
    fn variable(&self, variable: &Variable) -> Value;

    /// What stands for all values of a variable; none for a list of them.
    fn all(&self) -> Option<&'static str>;

    /// The query of a table in SQL; none if it cannot be asked so.
    fn sql(&self, sql: &str) -> Option<Value>;
}

fn reference(source: &dyn DataSource) -> Value {
    json!({ "type": source.plugin(), "uid": "${datasource}" })
}

fn files(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let sources: [&dyn DataSource; 2] = [&prometheus::Prometheus, &postgres::Postgres];
    let mut files = Vec::new();
    for source in sources {
        for dashboard in contents::all() {
            let path = format!("{FOLDER}/{}/{}.json", source.name(), dashboard.id);
            let text = serde_json::to_string_pretty(&render(&dashboard, source)?)?;
            files.push((root.join(path), text + "\n"));
        }
    }
    Ok(files)
}

fn render(dashboard: &Dashboard, source: &dyn DataSource) -> Result<Value> {
    Ok(json!({
        "uid": format!("sysmon-{}-{}", source.name(), dashboard.id),
        "title": format!("sysmon: {}", dashboard.title),
        "description": dashboard.about,
        "tags": ["sysmon", source.name()],
        "editable": true,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "timezone": "browser",
        "time": { "from": "now-15m", "to": "now" },
        "refresh": "10s",
        "annotations": { "list": [] },
        "links": [{
            "type": "dashboards", "title": "sysmon", "tags": ["sysmon", source.name()], "asDropdown": false,
            "includeVars": true, "keepTime": true, "targetBlank": false, "icon": "external link", "tooltip": "", "url": ""
        }],
        "templating": { "list": panel::variables(dashboard, source) },
        "panels": grid::place(dashboard, source)?,
    }))
}

pub(crate) fn write(root: &Path) -> Result<String> {
    let files = files(root)?;
    for (path, text) in &files {
        let folder = path.parent().context("a file in a folder")?;
        std::fs::create_dir_all(folder)?;
        std::fs::write(path, text)?;
    }
    Ok(format!("wrote {} dashboards to {FOLDER}", files.len()))
}

pub(crate) fn check(root: &Path) -> Result<String> {
    for (path, text) in files(root)? {
        let is_current = std::fs::read_to_string(&path).is_ok_and(|found| found == text);
        ensure!(
            is_current,
            "{} is stale; run `cargo xtask dashboards`",
            path.display()
        );
    }
    Ok("the dashboards are current".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_export::names::is_exported;
    use sysmon_wire::metrics::ALL;

    #[test]
    fn dashboards_are_current() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        check(&root).expect("current dashboards");
    }

    #[test]
    fn every_exported_metric_is_in_a_dashboard() {
        let dashboards = contents::all();
        let shown: Vec<&str> = dashboards
            .iter()
            .flat_map(Dashboard::lines)
            .map(|lines| lines.metric.name)
            .collect();
        for metric in ALL {
            let ranked = metric.series(&[("sysmon.rank", "1")]);
            let is_of_a_process = metric.name.starts_with("process.");
            let is_of_a_rank = !is_exported(&ranked) && metric.about.contains("at a rank");
            let is_omitted = is_of_a_process || is_of_a_rank || !is_exported(&metric.series(&[]));
            assert!(
                shown.contains(&metric.name) != is_omitted,
                "{} {}",
                metric.name,
                if is_omitted {
                    "is not exported"
                } else {
                    "is in no dashboard"
                }
            );
        }
    }

    #[test]
    fn lines_of_a_panel_share_a_unit_and_ids_are_unique() {
        for dashboard in contents::all() {
            for panel in dashboard.panels() {
                let units: Vec<_> = panel.lines().iter().map(units::of).collect();
                assert!(
                    units.iter().all(|unit| unit == &units[0]),
                    "{}: {units:?}",
                    panel.title
                );
            }
            let mut titles: Vec<_> = dashboard.panels().map(|panel| &panel.title).collect();
            let all = titles.len();
            titles.sort();
            titles.dedup();
            assert_eq!(titles.len(), all, "a title twice in {}", dashboard.id);
        }
    }
}
