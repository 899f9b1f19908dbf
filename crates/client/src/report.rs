//! The fleet as a table and as JSON: the output of `status` and `snapshot`.
//!
//! The JSON is a contract: a field never changes its meaning, and `"schema"` numbers the set of fields.

mod alerts;
mod connections;
mod limits;

use serde_json::{Map, Value, json};
use sysmon_config::time::format_span;
use sysmon_wire::alerts::Alerts;
use sysmon_wire::message::{AlertLine, FleetUpdate, HostLine, HostTick, HubStatus};
use sysmon_wire::metrics::{
    ALIASES, HUB_AGENTS, HUB_COMMIT_TIME, HUB_INGEST_ROWS, HUB_INGEST_VALUES, HUB_LAG,
    HUB_MEMORY_USAGE, HUB_RING_UNSEALED, SUMMARY, unscale,
};
use sysmon_wire::quantity::{self, Prefixes};
use sysmon_wire::{ABSENT, Kind, UnixMs};

use self::alerts::{alerts_json, alerts_table, routes_json};
pub use self::connections::exports_json;
use self::connections::{
    edges_json, edges_table, exports_table, maintenance_json, maintenance_table,
};
use self::limits::{limits_json, limits_table};
use crate::hub_figures::{FIGURES, ReceivedFigures};
use crate::skew::{Skew, upgrade};

const SCHEMA: u32 = 1;

/// The fleet at one moment, assembled from a hub's replies.
#[derive(Clone, Debug, Default)]
pub struct FleetSnapshot {
    /// The moment, by the hub's clock.
    pub now: UnixMs,
    /// The hub's status.
    pub hub: Option<HubStatus>,
    /// The hub's own figures, if requested.
    pub figures: Option<ReceivedFigures>,
    /// Firing alerts and the state of their routes, if requested.
    pub alerts: Option<Alerts>,
    /// Hosts, sorted by name.
    pub hosts: Vec<(HostLine, HostTick)>,
}

impl FleetSnapshot {
    /// Adds a part of the hub's reply.
    pub fn add(&mut self, update: FleetUpdate) {
        self.now = update.now;
        for line in update.lines {
            let tick = update.ticks.iter().find(|tick| tick.index == line.index);
            if let Some(tick) = tick {
                self.hosts.push((line, tick.clone()));
            }
        }
        self.hosts.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    }

    /// Removes all hosts but `name`; false if there is no such host.
    pub fn retain_host(&mut self, name: &str) -> bool {
        self.hosts.retain(|(line, _)| line.name == name);
        !self.hosts.is_empty()
    }

    /// JSON in SI base units, with times in Unix milliseconds.
    pub fn to_json(&self) -> Value {
        let hub_version = self.hub.as_ref().map(|hub| hub.version.as_str());
        json!({
            "schema": SCHEMA,
            "now_ms": self.now.0,
            "hub": self.hub.as_ref().map(|hub| hub_json(hub, self.figures.as_ref())),
            "alerts": self.alerts.as_ref().map(alerts_json),
            "alerts_left_out": self.alerts.as_ref().map(|alerts| alerts.more),
            "routes": self.alerts.as_ref().map(routes_json),
            "edges": self.hub.as_ref().map(|hub| edges_json(&hub.edges)),
            "exports": self.hub.as_ref().map(|hub| exports_json(&hub.exports)),
            "maintenance": self.hub.as_ref().map(|hub| maintenance_json(&hub.maintenance)),
            "limits": self.hub.as_ref().map(|hub| limits_json(&hub.limits)),
            "hosts": self.hosts.iter().map(|host| host_json(host, hub_version)).collect::<Vec<_>>(),
        })
    }

    /// The agents that are older than the hub; empty if there are none.
    fn old_agents(&self, hub: &str) -> String {
        let old = self.hosts.iter().filter_map(|(line, _)| {
            Some(format!(
                "{}: {}\n",
                line.name,
                Skew::note(&line.facts, hub)?
            ))
        });
        let old: Vec<String> = old.collect();
        let more = old.len().saturating_sub(OLD_AGENTS_SHOWN);
        let mut out = String::new();
        if !old.is_empty() {
            out.push_str("\nOLDER AGENTS\n");
        }
        out.extend(old.into_iter().take(OLD_AGENTS_SHOWN));
        if more > 0 {
            out.push_str(&format!("and {more} more\n"));
        }
        out
    }

    /// A table for people.
    pub fn to_table(&self) -> String {
        let mut out = String::new();
        if let Some(hub) = &self.hub {
            out.push_str(&format!(
                "hub {} · version {} · up {} · {} rows received · {}B in memory · {} subscribers\n\n",
                hub.name,
                hub.version,
                format_span(i64::try_from(hub.uptime_ms).unwrap_or(i64::MAX)),
                hub.ingest_rows_total,
                bytes(hub.ring_bytes as f64),
                hub.subscribers
            ));
            if let Some(figures) = &self.figures {
                // Between the hub's line and the empty one.
                out.insert_str(out.len() - 1, &figures_line(figures, hub));
            }
        }
        let width = self
            .hosts
            .iter()
            .map(|(line, _)| line.name.as_str().chars().count());
        let width = width.max().unwrap_or(0).clamp(4, 24);
        let mut row = |name: &str, state: &str, cells: &[String], age: &str| {
            out.push_str(&format!("{name:<width$}  {state:<7}"));
            for (cell, (_, width)) in cells.iter().zip(COLUMNS) {
                out.push_str(&format!("  {cell:>width$}"));
            }
            out.push_str(&format!("  {age:>7}\n"));
        };
        row(
            "HOST",
            "STATE",
            &COLUMNS.map(|(heading, _)| heading.to_owned()),
            "AGE",
        );
        for (line, tick) in &self.hosts {
            let cells: Vec<String> = (0..SUMMARY).map(|at| cell(tick, at)).collect();
            let age = match tick.time.0 {
                0 => "–".to_owned(),
                time => format!("{:.1} s", (self.now.0 - time).max(0) as f64 / 1000.0),
            };
            row(line.name.as_str(), tick.state.as_str(), &cells, &age);
        }
        if self.hosts.is_empty() {
            out.push_str("no hosts yet\n");
        }
        if let Some(alerts) = &self.alerts {
            out.push_str(&alerts_table(alerts, self.now));
        }
        if let Some(hub) = &self.hub {
            out.push_str(&edges_table(&hub.edges));
            out.push_str(&exports_table(&hub.exports));
            out.push_str(&maintenance_table(&hub.maintenance));
            out.push_str(&limits_table(&hub.limits));
            out.push_str(&self.old_agents(hub.version.as_str()));
        }
        out
    }
}

/// Old agents that the table lists.
const OLD_AGENTS_SHOWN: usize = 20;

/// The value of the `at`th column of the fleet's table, in its metric's unit.
pub fn summary_value(tick: &HostTick, at: usize) -> Option<f64> {
    let value = tick
        .values
        .get(at)
        .copied()
        .filter(|value| *value != ABSENT)?;
    Some(unscale(value, ALIASES.get(at)?.metric.scale))
}

/// Heading and width of each value of the summary.
const COLUMNS: [(&str, usize); SUMMARY] = [
    ("CPU", 5),
    ("MEM", 5),
    ("LOAD", 6),
    ("NET RX", 8),
    ("NET TX", 8),
    ("READ", 8),
    ("WRITE", 8),
    ("FS", 5),
    ("TEMP", 5),
];

fn cell(tick: &HostTick, at: usize) -> String {
    let (Some(value), Some(alias)) = (summary_value(tick, at), ALIASES.get(at)) else {
        return "–".to_owned();
    };
    match (alias.metric.unit, alias.metric.kind) {
        ("1", _) if alias.metric.scale == -3 => format!("{:.0}%", value * 100.0),
        ("By", Kind::Counter) => bytes(value),
        ("Cel", _) => format!("{value:.0}°"),
        _ => format!("{value:.2}"),
    }
}

fn bytes(value: f64) -> String {
    quantity::format(value, Prefixes::Si, "")
}

fn figures_line(figures: &ReceivedFigures, hub: &HubStatus) -> String {
    let number = |value: Option<f64>, show: fn(f64) -> String| value.map_or("–".to_owned(), show);
    let memory = number(figures.value(&HUB_MEMORY_USAGE), bytes);
    format!(
        "{} rows/s · commit {} · rings {} ({} not compressed) of {memory} resident · history {} · agents {} · refused {} · worst lag {}\n",
        number(figures.rate(&HUB_INGEST_ROWS), |rate| format!("{rate:.0}")),
        number(figures.value(&HUB_COMMIT_TIME), |s| format!(
            "{:.1} ms",
            s * 1000.0
        )),
        bytes(hub.ring_bytes as f64),
        number(figures.value(&HUB_RING_UNSEALED), bytes),
        bytes(hub.history_bytes as f64),
        number(figures.value(&HUB_AGENTS), |count| format!("{count:.0}")),
        hub.refused_total,
        number(figures.value(&HUB_LAG), |s| format!("{s:.1} s")),
    )
}

fn hub_json(hub: &HubStatus, figures: Option<&ReceivedFigures>) -> Value {
    let mut json = json!({
        "name": hub.name,
        "version": hub.version,
        "uptime_ms": hub.uptime_ms,
        "ingest_rows_total": hub.ingest_rows_total,
        "ingest_values_total": hub.ingest_values_total,
        "ring_bytes": hub.ring_bytes,
        "ring_values": hub.ring_values,
        "history_bytes": hub.history_bytes,
        "subscribers": hub.subscribers,
        "refused_total": hub.refused_total,
    });
    if let (Some(figures), Some(fields)) = (figures, json.as_object_mut()) {
        // Fields of the status are newer: recorded figures are up to a second old.
        for figure in FIGURES {
            let value = figures
                .value(&figure.metric)
                .map(|value| match figure.metric.scale {
                    0 => json!(value as i64),
                    _ => json!(value),
                });
            fields.entry(figure.name).or_insert_with(|| json!(value));
        }
        let rates = [
            ("ingest_rows_per_second", HUB_INGEST_ROWS),
            ("ingest_values_per_second", HUB_INGEST_VALUES),
        ];
        for (name, metric) in rates {
            fields.insert(name.to_owned(), json!(figures.rate(&metric)));
        }
    }
    json
}

fn alert_json(alert: &AlertLine) -> Value {
    json!({
        "rule": alert.rule,
        "severity": alert.severity.as_str(),
        "since_ms": alert.since.0,
        "summary": alert.summary,
    })
}

/// The command that upgrades a host's agent to the hub's version, if that is newer.
fn upgrade_to(line: &HostLine, hub: &str) -> Option<String> {
    Skew::of(line.facts.agent_version.as_str(), hub)?;
    Some(upgrade(&line.facts, hub))
}

fn host_json((line, tick): &(HostLine, HostTick), hub_version: Option<&str>) -> Value {
    let moment = |time: UnixMs| {
        if time.0 == 0 {
            Value::Null
        } else {
            json!(time.0)
        }
    };
    let metrics: Map<String, Value> = ALIASES
        .iter()
        .take(SUMMARY)
        .enumerate()
        .map(|(at, alias)| (alias.alias.to_owned(), json!(summary_value(tick, at))))
        .collect();
    json!({
        "name": line.name,
        "state": tick.state.as_str(),
        "last_sample_ms": moment(tick.time),
        "rows": line.health.rows,
        "duplicate_rows": line.health.duplicate_rows,
        "missing_rows": line.health.missing_rows,
        "refused_rows": line.health.refused_rows,
        "oldest_ms": moment(line.health.oldest),
        "clock_offset_ms": line.health.clock_offset_ms,
        "series": line.health.series,
        "agent_version": line.facts.agent_version,
        "agent_upgrade": hub_version.and_then(|hub| upgrade_to(line, hub)),
        "source": match line.facts.source.as_str() {
            "" => "agent",
            source => source,
        },
        "interval_ms": line.facts.interval_ms,
        "os": line.facts.os,
        "tags": line.facts.tags,
        "notes": line.notes,
        "metrics": metrics,
        "alerts": line.alerts.iter().map(alert_json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::HostFacts;
    use sysmon_wire::message::{HostHealth, HostState};

    fn hub(version: &str) -> HubStatus {
        HubStatus {
            name: "h".into(),
            version: version.into(),
            now: UnixMs(10_000),
            uptime_ms: 0,
            ingest_rows_total: 0,
            ingest_values_total: 0,
            ring_bytes: 0,
            ring_values: 0,
            history_bytes: 0,
            subscribers: 0,
            refused_total: 0,
            limits: Vec::new(),
            edges: Vec::new(),
            exports: Vec::new(),
            maintenance: Vec::new(),
        }
    }

    fn snapshot() -> FleetSnapshot {
        let line = HostLine {
            index: 3,
            name: "db-1".into(),
            facts: HostFacts::unknown(),
            health: HostHealth {
                rows: 7,
                ..HostHealth::default()
            },
            notes: Vec::new(),
            alerts: Vec::new(),
        };
        let mut values = vec![ABSENT; SUMMARY];
        values[..4].copy_from_slice(&[613, 405, 52, 1_234_567]);
        let tick = HostTick {
            index: 3,
            state: HostState::Live,
            time: UnixMs(9_500),
            values,
        };
        let update = FleetUpdate {
            gone: Vec::new(),
            now: UnixMs(10_000),
            lines: vec![line],
            ticks: vec![tick],
            sparks: Vec::new(),
        };
        let mut snapshot = FleetSnapshot::default();
        snapshot.add(update);
        snapshot
    }

    #[test]
    fn json_has_base_units_and_null_for_missing_values() {
        let json = snapshot().to_json();
        let host = &json["hosts"][0];
        assert_eq!(
            (&json["schema"], &host["state"]),
            (&json!(1), &json!("live"))
        );
        assert_eq!(host["metrics"]["cpu"], json!(0.613));
        assert_eq!(host["metrics"]["load1"], json!(0.52));
        assert_eq!(host["metrics"]["net.rx"], json!(1_234_567.0));
        assert_eq!(host["metrics"]["temp.max"], Value::Null);
        assert_eq!(
            (&host["rows"], &host["oldest_ms"]),
            (&json!(7), &Value::Null)
        );
    }

    #[test]
    fn the_table_has_units_for_people() {
        let table = snapshot().to_table();
        let line = table.lines().nth(1).unwrap();
        for cell in ["db-1", "live", "61%", "0.52", "1.2M", "0.5 s"] {
            assert!(line.contains(cell), "{cell} in {line}");
        }
        assert!(FleetSnapshot::default().to_table().contains("no hosts yet"));
    }

    #[test]
    fn agents_older_than_the_hub_are_named_with_the_command_that_upgrades_them() {
        let mut snapshot = snapshot();
        snapshot.hosts[0].0.facts = HostFacts {
            os: "Debian GNU/Linux 12".into(),
            arch: "x86_64".into(),
            agent_version: "0.1.0".into(),
            ..HostFacts::unknown()
        };
        snapshot.hub = Some(hub("0.1.0"));
        assert_eq!(snapshot.to_json()["hosts"][0]["agent_upgrade"], Value::Null);
        assert!(!snapshot.to_table().contains("OLDER AGENTS"));
        snapshot.hub = Some(hub("0.2.0"));
        let command = "apt install ./sysmon-agent_0.2.0-1_amd64.deb";
        assert_eq!(
            snapshot.to_json()["hosts"][0]["agent_upgrade"],
            json!(command)
        );
        let table = snapshot.to_table();
        let line = table.lines().last().unwrap();
        assert!(line.starts_with("db-1: agent 0.1.0 is older"), "{table}");
        assert!(line.ends_with(command), "{table}");
        snapshot.hosts = vec![snapshot.hosts[0].clone(); 25];
        assert!(snapshot.to_table().ends_with("and 5 more\n"));
    }

    #[test]
    fn a_snapshot_of_an_unknown_host_is_empty() {
        assert!(snapshot().retain_host("db-1") && !snapshot().retain_host("x"));
    }
}
