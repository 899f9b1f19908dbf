//! What each dashboard shows.

use sysmon_wire::metrics::{
    AGENT_READ_ERRORS, AGENT_ROWS_DROPPED, AGENT_SAMPLE_TIME, AGENT_SPOOL_ERRORS, CPU_UTILIZATION,
    DISK_IO, EXPORT_BYTES, EXPORT_LAG, EXPORT_LOST, EXPORT_REFUSED, EXPORT_ROWS,
    FLEET_CPU_UTILIZATION, FLEET_DISK_RATE, FLEET_NETWORK_RATE, FS_UTILIZATION, HUB_AGENTS,
    HUB_AGENTS_OUTDATED, HUB_ALERTS, HUB_COMMIT_TIME, HUB_CPU_TIME, HUB_DATAGRAMS_DROPPED,
    HUB_HISTORY_DAMAGED, HUB_HISTORY_USAGE, HUB_HOSTS, HUB_INGEST_ROWS, HUB_INGEST_VALUES, HUB_LAG,
    HUB_MEMORY_USAGE, HUB_OTLP_POINTS, HUB_OTLP_REJECTED, HUB_REFUSED, HUB_RING_UNSEALED,
    HUB_RING_USAGE, HUB_SUBSCRIBERS, LIMIT_REACHED, LOAD_1M, MEMORY_UTILIZATION, NET_IO,
    PAGING_UTILIZATION, PRESSURE_TIME, TEMPERATURE, UPTIME,
};

use super::Lines;
use super::host::host;
use super::limits::{is_about, limits};
use super::lines::{of, of_hub};
use super::model::{
    Dashboard, Panel, Row, Shape, Table, Variable, chart, number, row, sql, stacked,
};

/// Every dashboard.
pub(super) fn all() -> Vec<Dashboard> {
    let (host, hub) = (host(), hub());
    let alerts = alerts(&[&host, &hub]);
    vec![fleet(), host, alerts, hub]
}

fn in_state(state: &'static str) -> Lines {
    of_hub(HUB_HOSTS).with("sysmon.host.state", state).sum()
}

fn of_severity(severity: &'static str) -> Lines {
    of_hub(HUB_ALERTS)
        .with("sysmon.alert.severity", severity)
        .sum()
}

/// Both directions of a total.
fn both(
    metric: sysmon_wire::metrics::Metric,
    name: &'static str,
    ways: [&'static str; 2],
) -> Vec<Lines> {
    ways.map(|way| of(metric).with(name, way)).to_vec()
}

fn stalls(resource: &'static str) -> Vec<Lines> {
    let some = of(PRESSURE_TIME)
        .with("linux.pressure.resource", resource)
        .with("linux.pressure.scope", "some");
    vec![some.named("")]
}

fn now() -> Row {
    row(
        "Now",
        vec![
            number("Hosts that report", in_state("live")),
            number("Hosts that are late", in_state("stale")),
            number("Hosts that are offline", in_state("offline")),
            number("Critical alerts", of_severity("critical")),
            number("Warnings", of_severity("warning")),
            number("Rows a second", of_hub(HUB_INGEST_ROWS).named("rows").sum()),
        ],
    )
}

fn fleet() -> Dashboard {
    let hosts = Table(vec![
        ("Processor", of(CPU_UTILIZATION)),
        ("Memory", of(MEMORY_UTILIZATION)),
        ("Load", of(LOAD_1M)),
        ("Fullest filesystem", of(FS_UTILIZATION)),
        ("Swap", of(PAGING_UTILIZATION)),
        ("Hottest sensor", of(TEMPERATURE)),
        ("Uptime", of(UPTIME)),
    ]);
    let hosts = Panel {
        shape: Shape::Table(hosts),
        ..chart("Hosts", [])
    };
    Dashboard {
        id: "fleet",
        title: "Fleet",
        about: "All hosts beside each other",
        variables: vec![Variable::hosts(), Variable::hubs()],
        rows: vec![
            now(),
            row("Hosts", vec![hosts]),
            row(
                "Use",
                vec![
                    chart("Processor", [of(CPU_UTILIZATION)]),
                    chart("Memory", [of(MEMORY_UTILIZATION)]),
                    chart("Load over one minute", [of(LOAD_1M)]),
                    chart(
                        "Network",
                        both(NET_IO, "network.io.direction", ["receive", "transmit"]),
                    ),
                    chart(
                        "Disks",
                        both(DISK_IO, "disk.io.direction", ["read", "write"]),
                    ),
                    chart("Fullest filesystem", [of(FS_UTILIZATION)]),
                    chart("Swap", [of(PAGING_UTILIZATION)]),
                    chart("Hottest sensor", [of(TEMPERATURE)]),
                ],
            ),
            row(
                "Time that something waited",
                vec![
                    chart("For a processor", stalls("cpu")),
                    chart("For memory", stalls("memory")),
                    chart("For disks", stalls("io")),
                ],
            ),
        ],
    }
}

/// What the hub records of alerts, and a chart for each limit of the default rules.
fn alerts(others: &[&Dashboard]) -> Dashboard {
    let mut watched = Vec::new();
    for (rule, limit) in limits() {
        let panels = others.iter().flat_map(|dashboard| dashboard.panels());
        let lines = panels.flat_map(Panel::lines);
        let is_for_hubs = !rule.hosts.include("host", &[] as &[&str]);
        let lines: Vec<Lines> = lines
            .filter(|lines| is_about(&limit, lines) && (lines.is_of_hub || !is_for_hubs))
            .cloned()
            .collect();
        // The fullest filesystem is one of all.
        let has_devices = lines.iter().any(|lines| !lines.by.is_empty());
        let lines: Vec<Lines> = lines
            .into_iter()
            .filter(|lines| !has_devices || !lines.by.is_empty())
            .collect();
        watched.push(Panel {
            about: Some(format!("The default rule `{rule}`")),
            ..chart(&rule.name, lines)
        });
    }
    Dashboard {
        id: "alerts",
        title: "Alerts",
        about: "Firing alerts, and what the default rules watch",
        variables: vec![Variable::hosts(), Variable::hubs()],
        rows: vec![
            now(),
            row(
                "Alerts",
                vec![
                    stacked(
                        "Firing alerts",
                        [of_hub(HUB_ALERTS).by("sysmon.alert.severity")],
                    ),
                    stacked(
                        "Hosts by state",
                        [of_hub(HUB_HOSTS).by("sysmon.host.state")],
                    ),
                    sql("Firing now", false, FIRING),
                    sql("Alerts in this time", false, ALERTS),
                    sql("Alerts that began", true, BEGAN),
                    sql("Events", false, EVENTS),
                ],
            ),
            row("Default rules", watched),
        ],
    }
}

const FIRING: &str =
    "SELECT since AS \"Since\", host AS \"Host\", severity AS \"Severity\", message AS \"Alert\"
FROM sysmon.alerts
WHERE resolved IS NULL AND concat('hub:', hub) IN ($hub)
ORDER BY severity, since DESC
LIMIT 500";

const ALERTS: &str = "SELECT since AS \"Since\", resolved AS \"Resolved\", host AS \"Host\", severity AS \"Severity\", message AS \"Alert\"
FROM sysmon.alerts
WHERE $__timeFilter(since) AND concat('hub:', hub) IN ($hub)
ORDER BY since DESC
LIMIT 500";

const BEGAN: &str =
    "SELECT $__timeGroupAlias(since, $__interval), severity AS metric, count(*)::float8 AS value
FROM sysmon.alerts
WHERE $__timeFilter(since) AND concat('hub:', hub) IN ($hub)
GROUP BY 1, 2
ORDER BY 1";

const EVENTS: &str = "SELECT events.time AS \"Time\", events.host AS \"Host\", events.kind AS \"Event\", events.message AS \"Message\"
FROM sysmon.events
JOIN sysmon.hubs ON hubs.id = events.hub
WHERE $__timeFilter(events.time) AND concat('hub:', hubs.name) IN ($hub)
ORDER BY events.time DESC
LIMIT 500";

fn hub() -> Dashboard {
    let export = |metric| of_hub(metric).by("sysmon.export.name");
    Dashboard {
        id: "hub",
        title: "Hub",
        about: "The hub itself, its exports, and the agents",
        variables: vec![Variable::hubs(), Variable::hosts()],
        rows: vec![
            now(),
            row(
                "Hub",
                vec![
                    chart("Rows ingested", [of_hub(HUB_INGEST_ROWS)]),
                    chart("Values ingested", [of_hub(HUB_INGEST_VALUES)]),
                    chart("Greatest delay of a live host", [of_hub(HUB_LAG)]),
                    chart("Duration of a commit", [of_hub(HUB_COMMIT_TIME)]),
                    chart(
                        "Memory of rows",
                        [
                            of_hub(HUB_RING_USAGE).named("all"),
                            of_hub(HUB_RING_UNSEALED).named("not compressed yet"),
                        ],
                    ),
                    chart("History on disk", [of_hub(HUB_HISTORY_USAGE)]),
                    chart("Processor time", [of_hub(HUB_CPU_TIME)]),
                    chart("Resident memory", [of_hub(HUB_MEMORY_USAGE)]),
                    chart(
                        "Connections",
                        [
                            of_hub(HUB_AGENTS).named("agents"),
                            of_hub(HUB_AGENTS_OUTDATED).named("agents to be upgraded"),
                            of_hub(HUB_SUBSCRIBERS).named("subscriptions"),
                        ],
                    ),
                    chart("Refused", [of_hub(HUB_REFUSED)]),
                    chart("Datagrams dropped", [of_hub(HUB_DATAGRAMS_DROPPED)]),
                    chart("Limits reached", [of_hub(LIMIT_REACHED).by("limit")]),
                    chart("Damaged histories", [of_hub(HUB_HISTORY_DAMAGED)]),
                    chart(
                        "OTLP",
                        [
                            of_hub(HUB_OTLP_POINTS).named("points"),
                            of_hub(HUB_OTLP_REJECTED).named("rejected"),
                        ],
                    ),
                ],
            ),
            row(
                "All live hosts",
                vec![
                    chart("Processors", [of_hub(FLEET_CPU_UTILIZATION)]),
                    chart(
                        "Network",
                        [of_hub(FLEET_NETWORK_RATE).by("network.io.direction")],
                    ),
                    chart("Disks", [of_hub(FLEET_DISK_RATE).by("disk.io.direction")]),
                ],
            ),
            row(
                "Exports",
                vec![
                    chart("Behind", [export(EXPORT_LAG)]),
                    chart("Rows sent", [export(EXPORT_ROWS)]),
                    chart("Bytes sent", [export(EXPORT_BYTES)]),
                    chart("Values refused", [export(EXPORT_REFUSED)]),
                    chart("Lost", [export(EXPORT_LOST)]),
                ],
            ),
            row(
                "Agents",
                vec![
                    chart("Time for a sample", [of(AGENT_SAMPLE_TIME)]),
                    chart("Rows dropped", [of(AGENT_ROWS_DROPPED)]),
                    chart("Failed writes to the spool", [of(AGENT_SPOOL_ERRORS)]),
                    chart("Sources that failed", [of(AGENT_READ_ERRORS)]),
                    chart("Limits reached by agents", [of(LIMIT_REACHED).by("limit")]),
                ],
            ),
        ],
    }
}
