//! Dashboards, rows, panels and variables, whatever the data source.

use sysmon_wire::metrics::{CPU_UTILIZATION, HUB_INGEST_ROWS};

use super::Lines;
use super::lines::{of, of_hub};

/// A table of the newest values: a column for each of these gauges.
#[derive(Clone, Debug)]
pub(super) struct Table(pub(super) Vec<(&'static str, Lines)>);

pub(super) struct Dashboard {
    /// Name of its file.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) variables: Vec<Variable>,
    pub(super) rows: Vec<Row>,
}

/// Panels under a heading.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) is_open: bool,
    pub(super) panels: Vec<Panel>,
}

pub(super) struct Panel {
    pub(super) title: String,
    /// What it shows, besides the descriptions of its metrics.
    pub(super) about: Option<String>,
    pub(super) shape: Shape,
}

pub(super) enum Shape {
    Chart { lines: Vec<Lines>, is_stacked: bool },
    Number(Lines),
    Table(Table),
    Sql { sql: &'static str, is_chart: bool },
}

/// A choice at the top of a dashboard.
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// Series that have the values.
    pub(super) lines: Lines,
    /// The attribute; none for hosts.
    pub(super) attribute: Option<&'static str>,
    /// What the names of the metrics begin with that it chooses from.
    pub(super) prefix: &'static str,
}

impl Dashboard {
    pub(super) fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| &row.panels)
    }

    #[cfg(test)]
    pub(super) fn lines(&self) -> impl Iterator<Item = &Lines> {
        self.panels().flat_map(Panel::lines)
    }
}

impl Panel {
    pub(super) fn lines(&self) -> &[Lines] {
        match &self.shape {
            Shape::Chart { lines, .. } => lines,
            Shape::Number(lines) => std::slice::from_ref(lines),
            Shape::Table(_) | Shape::Sql { .. } => &[],
        }
    }
}

impl Variable {
    pub(super) fn hosts() -> Self {
        Self {
            name: "host",
            label: "Host",
            lines: of(CPU_UTILIZATION),
            attribute: None,
            prefix: "",
        }
    }

    pub(super) fn hubs() -> Self {
        Self {
            name: "hub",
            label: "Hub",
            lines: of_hub(HUB_INGEST_ROWS),
            attribute: None,
            prefix: "",
        }
    }

    /// Whether it chooses which values of an attribute are shown.
    pub(super) fn chooses(&self, lines: &Lines, attribute: &str) -> bool {
        self.attribute == Some(attribute)
            && lines.metric.name.starts_with(self.prefix)
            && !lines.is_of_hub
    }
}

pub(super) fn row(title: &'static str, panels: Vec<Panel>) -> Row {
    Row {
        title,
        is_open: true,
        panels,
    }
}

pub(super) fn closed(title: &'static str, panels: Vec<Panel>) -> Row {
    Row {
        is_open: false,
        ..row(title, panels)
    }
}

pub(super) fn chart(title: &str, lines: impl Into<Vec<Lines>>) -> Panel {
    Panel {
        title: title.to_owned(),
        about: None,
        shape: Shape::Chart {
            lines: lines.into(),
            is_stacked: false,
        },
    }
}

pub(super) fn stacked(title: &str, lines: impl Into<Vec<Lines>>) -> Panel {
    Panel {
        shape: Shape::Chart {
            lines: lines.into(),
            is_stacked: true,
        },
        ..chart(title, [])
    }
}

pub(super) fn number(title: &str, lines: Lines) -> Panel {
    Panel {
        shape: Shape::Number(lines),
        ..chart(title, [])
    }
}

pub(super) fn sql(title: &str, is_chart: bool, sql: &'static str) -> Panel {
    Panel {
        shape: Shape::Sql { sql, is_chart },
        ..chart(title, [])
    }
}

pub(super) fn hosts_and(devices: Vec<Variable>) -> Vec<Variable> {
    let mut variables = vec![Variable::hosts()];
    variables.extend(devices);
    variables
}
