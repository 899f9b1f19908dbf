//! What series are called elsewhere: in Prometheus, by one table for `/metrics`, remote write and dashboards, and in OTLP.
//! Pure.
//!
//! Names in Prometheus follow OpenTelemetry's rules for Prometheus
//! (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>): dots become underscores, the
//! unit and `_total` stand at the end. A host's total has a name of its own, `sysmon_host_…`, or `sysmon.host.…` in OTLP:
//! under the name of the series of single devices, a sum over the host would count it twice.

use std::borrow::Cow;

use sysmon_wire::metrics::{ALIASES, Alias, metric};
use sysmon_wire::{Kind, Label, SeriesKey};

/// A series as Prometheus names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromSeries {
    /// Its name.
    pub name: String,
    /// Its labels besides the host, in the order of their names.
    pub labels: Vec<(String, Label)>,
}

/// A series as OTLP names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpSeries<'a> {
    /// The name of its metric.
    pub name: Cow<'a, str>,
    /// Its attributes besides those of the host.
    pub attributes: &'a [(Label, Label)],
}

/// Metrics with a total beside the series of single devices: the attribute that the devices have.
const TOTALS: &[(&str, &str)] = &[
    ("system.cpu.utilization", "cpu.logical_number"),
    ("system.process.count", "process.state"),
    ("system.disk.io", "system.device"),
    ("system.disk.operations", "system.device"),
    ("system.disk.operation_time", "system.device"),
    ("system.disk.merged", "system.device"),
    ("system.disk.io_time", "system.device"),
    ("system.disk.weighted_io_time", "system.device"),
    ("system.disk.pending_operations", "system.device"),
    (
        "system.filesystem.utilization",
        "system.filesystem.mountpoint",
    ),
    ("system.network.io", "network.interface.name"),
    ("system.network.packet.count", "network.interface.name"),
    ("system.network.errors", "network.interface.name"),
    ("system.network.packet.dropped", "network.interface.name"),
    ("hw.temperature", "hw.name"),
    ("systemd.unit.failed", "systemd.unit.name"),
    ("systemd.unit.restarting", "systemd.unit.name"),
    ("system.package.update.count", "system.update.kind"),
    ("system.reboot.required", "system.reboot.reason"),
];

/// UCUM units and what names of metrics call them.
const UNITS: &[(&str, &str)] = &[
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("W", "watts"),
    ("J", "joules"),
    ("V", "volts"),
    ("A", "amperes"),
    ("bit", "bits"),
    ("%", "percent"),
];

const PER_UNITS: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("min", "minute"),
    ("h", "hour"),
];

/// Whether a series is of use elsewhere. The busiest processes are stored by rank, and one rank is another process each
/// second.
pub fn is_exported(key: &SeriesKey) -> bool {
    key.attribute("sysmon.rank").is_none() && key.metric.name != "sysmon.process.ranked"
}

/// What Prometheus calls a series.
pub fn prometheus(key: &SeriesKey) -> PromSeries {
    let suffixed = |base: &str| suffixed(base, key.metric.unit.as_str(), key.metric.kind);
    if let Some(alias) = ALIASES.iter().find(|alias| alias.is(key)) {
        return PromSeries {
            name: alias_name(alias),
            labels: Vec::new(),
        };
    }
    let own = key.metric.name.as_str();
    let (base, is_maximum) = base(own);
    let end = if is_maximum { "_max" } else { "" };
    let name = match (metric(base).is_some(), total_prefix(base, key)) {
        (true, Some(prefix)) => {
            let rest = base.strip_prefix("system.").unwrap_or(base);
            suffixed(&valid(&format!("{prefix}{rest}"), ":_"))
        }
        (true, None) => suffixed(&valid(base, ":_")),
        // The names of others: in the text format they are as they should be, and those of the hub are taken.
        (false, _) if own.starts_with("sysmon_") => format!("exported_{}", valid(own, ":_")),
        (false, _) if !own.contains('.') => valid(own, ":_"),
        (false, _) => suffixed(&valid(own, ":_")),
    };
    let end = if metric(base).is_some() { end } else { "" };
    PromSeries {
        name: name + end,
        labels: labels(&key.attributes),
    }
}

/// A metric's name without what aggregation to maxima adds, and whether it added that.
fn base(name: &str) -> (&str, bool) {
    match name.strip_suffix(".max") {
        Some(base) => (base, true),
        None => (name, false),
    }
}

/// What OTLP calls a series: OpenTelemetry's name but for totals, which Prometheus' rules for OTLP turn into the names of
/// [`prometheus`].
pub fn opentelemetry(key: &SeriesKey) -> OtlpSeries<'_> {
    let own = key.metric.name.as_str();
    let (base, is_maximum) = base(own);
    let end = if is_maximum { ".max" } else { "" };
    let named = |name: String| OtlpSeries {
        name: Cow::Owned(name),
        attributes: &key.attributes,
    };
    let same = OtlpSeries {
        name: Cow::Borrowed(own),
        attributes: &key.attributes,
    };
    if metric(base).is_none() {
        // The hub's own names are not for others.
        return match own.starts_with("sysmon.") {
            true => named(format!("exported.{own}")),
            false => same,
        };
    }
    let Some(prefix) = total_prefix(base, key) else {
        return same;
    };
    let is_of = |alias: &&Alias| {
        let attributes = key.attributes.iter();
        alias.metric.name == base
            && attributes
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .eq(alias.attributes.iter().copied())
    };
    if let Some(alias) = ALIASES.iter().find(is_of) {
        return OtlpSeries {
            attributes: &[],
            ..named(format!("sysmon.host.{}{end}", alias.alias))
        };
    }
    let rest = base.strip_prefix("system.").unwrap_or(base);
    named(format!("{}{rest}{end}", prefix.replace('_', ".")))
}

/// What Prometheus calls a series with an alias: a value of the host as a whole.
pub fn alias_name(alias: &Alias) -> String {
    let metric = &alias.metric;
    // Load averages and counts have the unit 1 too.
    let unit = match metric.unit {
        "1" if metric.scale != -3 => "",
        unit => unit,
    };
    let base = format!("sysmon_host_{}", alias.alias.replace('.', "_"));
    suffixed(&base, unit, metric.kind)
}

fn total_prefix(base: &str, key: &SeriesKey) -> Option<&'static str> {
    let (_, device) = TOTALS.iter().find(|(name, _)| *name == base)?;
    if key.attribute(device).is_none() {
        return Some("sysmon_host_");
    }
    // Of one processor there are the time busy and the times in each mode.
    let is_sum = base == "system.cpu.utilization" && key.attribute("cpu.mode").is_none();
    is_sum.then_some("sysmon_")
}

fn suffixed(base: &str, unit: &str, kind: Kind) -> String {
    let base = base
        .strip_suffix("_total")
        .filter(|_| kind == Kind::Counter)
        .unwrap_or(base);
    let mut name = base.to_owned();
    let unit = unit_suffix(unit, kind);
    if !unit.is_empty() && !name.ends_with(&unit) {
        name.push('_');
        name.push_str(&unit);
    }
    if kind == Kind::Counter {
        name.push_str("_total");
    }
    name
}

fn unit_suffix(unit: &str, kind: Kind) -> String {
    let (unit, per) = unit.split_once('/').unwrap_or((unit, ""));
    let named = |unit: &str, table: &[(&'static str, &'static str)]| {
        let known = table.iter().find(|(code, _)| *code == unit);
        known.map_or_else(|| valid(unit, "_"), |(_, name)| (*name).to_owned())
    };
    let is_annotation = |unit: &str| unit.starts_with('{') || unit.is_empty();
    match (unit, per) {
        ("1", "") if kind == Kind::Gauge => "ratio".to_owned(),
        ("1" | "", "") => String::new(),
        (unit, "") if is_annotation(unit) => String::new(),
        (unit, "") => named(unit, UNITS),
        (unit, per) if is_annotation(unit) || unit == "1" => {
            format!("per_{}", named(per, PER_UNITS))
        }
        (unit, per) => format!("{}_per_{}", named(unit, UNITS), named(per, PER_UNITS)),
    }
}

fn labels(attributes: &[(Label, Label)]) -> Vec<(String, Label)> {
    let mut labels: Vec<(String, Label)> = Vec::with_capacity(attributes.len());
    for (name, text) in attributes {
        let mut name = valid(name.as_str(), "_");
        while RESERVED.contains(&name.as_str()) || labels.iter().any(|(known, _)| *known == name) {
            name.insert_str(0, "exported_");
        }
        labels.push((name, text.clone()));
    }
    labels.sort();
    labels
}

/// Labels that the hub sets itself.
const RESERVED: [&str; 2] = ["host", "__name__"];

/// A name as every version of Prometheus accepts it.
pub fn valid(name: &str, allowed: &str) -> String {
    let letter = |c: char| match c.is_ascii_alphanumeric() || allowed.contains(c) {
        true => c,
        false => '_',
    };
    let mut name: String = name.chars().map(letter).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::maximum;
    use sysmon_wire::MetricDef;
    use sysmon_wire::metrics::{
        ALL, CPU_UTILIZATION, DISK_OPERATION_TIME, FS_USAGE, HUB_LAG, NET_IO, NET_SPEED,
        PRESSURE_TIME, PROCESS_CPU, PROCESS_DISK_RATE, UPTIME,
    };

    fn name(key: &SeriesKey) -> String {
        prometheus(key).name
    }

    fn custom(name: &str, unit: &str, kind: Kind, attributes: &[(&str, &str)]) -> SeriesKey {
        let attributes = attributes.iter().map(|(n, v)| ((*n).into(), (*v).into()));
        SeriesKey {
            metric: MetricDef {
                name: name.into(),
                unit: unit.into(),
                kind,
                scale: 0,
            },
            attributes: attributes.collect(),
        }
    }

    #[test]
    fn names_end_with_unit_and_total() {
        let state = [("system.filesystem.state", "used")];
        for (key, wanted) in [
            (FS_USAGE.series(&state), "system_filesystem_usage_bytes"),
            (
                NET_SPEED.series(&[]),
                "system_network_link_speed_bits_per_second",
            ),
            (
                PROCESS_DISK_RATE.series(&[]),
                "process_disk_rate_bytes_per_second",
            ),
            (HUB_LAG.series(&[]), "sysmon_hub_lag_seconds"),
            (UPTIME.series(&[]), "sysmon_host_uptime_seconds"),
            (
                DISK_OPERATION_TIME.series(&[("system.device", "sda")]),
                "system_disk_operation_time_seconds_total",
            ),
        ] {
            assert_eq!(name(&key), wanted);
        }
    }

    #[test]
    fn a_total_has_another_name_than_its_parts() {
        let receive = ("network.io.direction", "receive");
        let of_one = NET_IO.series(&[receive, ("network.interface.name", "eth0")]);
        assert_eq!(name(&of_one), "system_network_io_bytes_total");
        assert_eq!(
            name(&NET_IO.series(&[receive])),
            "sysmon_host_net_rx_bytes_total"
        );
        let write = DISK_OPERATION_TIME.series(&[("disk.io.direction", "write")]);
        assert_eq!(
            name(&write),
            "sysmon_host_disk_operation_time_seconds_total"
        );
        let [mode, number] = [("cpu.mode", "user"), ("cpu.logical_number", "0")];
        let names = [&[][..], &[mode], &[number], &[mode, number]]
            .map(|attributes| name(&CPU_UTILIZATION.series(attributes)));
        assert_eq!(
            names,
            [
                "sysmon_host_cpu_ratio",
                "sysmon_host_cpu_utilization_ratio",
                "sysmon_cpu_utilization_ratio",
                "system_cpu_utilization_ratio",
            ]
        );
        let waiting = PRESSURE_TIME.series(&[
            ("linux.pressure.resource", "io"),
            ("linux.pressure.scope", "full"),
        ]);
        assert_eq!(name(&waiting), "system_linux_pressure_time_seconds_total");
    }

    #[test]
    fn in_otlp_only_totals_have_other_names() {
        let name = |key: &SeriesKey| {
            let series = opentelemetry(key);
            let attributes = series.attributes.iter().map(|(n, v)| format!(" {n}={v}"));
            series.name.into_owned() + &attributes.collect::<String>()
        };
        let receive = ("network.io.direction", "receive");
        let of_one = NET_IO.series(&[receive, ("network.interface.name", "eth0")]);
        let write = DISK_OPERATION_TIME.series(&[("disk.io.direction", "write")]);
        let [mode, number] = [("cpu.mode", "user"), ("cpu.logical_number", "0")];
        for (key, wanted) in [
            (
                of_one,
                "system.network.io network.interface.name=eth0 network.io.direction=receive",
            ),
            (NET_IO.series(&[receive]), "sysmon.host.net.rx"),
            (maximum(&CPU_UTILIZATION.series(&[])), "sysmon.host.cpu.max"),
            (
                write,
                "sysmon.host.disk.operation_time disk.io.direction=write",
            ),
            (CPU_UTILIZATION.series(&[]), "sysmon.host.cpu"),
            (
                CPU_UTILIZATION.series(&[mode]),
                "sysmon.host.cpu.utilization cpu.mode=user",
            ),
            (
                CPU_UTILIZATION.series(&[number]),
                "sysmon.cpu.utilization cpu.logical_number=0",
            ),
            (
                CPU_UTILIZATION.series(&[mode, number]),
                "system.cpu.utilization cpu.logical_number=0 cpu.mode=user",
            ),
            (UPTIME.series(&[]), "system.uptime"),
            (
                custom("jobs.max", "", Kind::Gauge, &[("queue", "a")]),
                "jobs.max queue=a",
            ),
            (
                custom("sysmon.host.cpu", "1", Kind::Gauge, &[]),
                "exported.sysmon.host.cpu",
            ),
        ] {
            assert_eq!(name(&key), wanted);
        }
    }

    #[test]
    fn totals_have_the_same_names_in_prometheus_whether_they_come_by_remote_write_or_otlp() {
        for alias in ALIASES {
            let key = alias.metric.series(alias.attributes);
            let series = opentelemetry(&key);
            if series.name.starts_with("sysmon.host.") {
                let named = suffixed(
                    &valid(&series.name, ":_"),
                    alias.metric.unit,
                    alias.metric.kind,
                );
                assert_eq!(named, name(&key));
            }
        }
    }

    #[test]
    fn every_total_is_of_a_metric_that_exists() {
        for (name, _) in TOTALS {
            assert!(metric(name).is_some(), "{name}");
        }
        for metric in ALL {
            let key = metric.series(&[]);
            assert_eq!(name(&key), valid(&name(&key), "_"), "{}", metric.name);
        }
    }

    #[test]
    fn the_names_of_others_stay_unless_they_are_of_opentelemetry() {
        let name = |name: &str, unit: &str, kind| prometheus(&custom(name, unit, kind, &[])).name;
        assert_eq!(name("backup_bytes", "By", Kind::Gauge), "backup_bytes");
        assert_eq!(
            name("http_requests_count", "", Kind::Counter),
            "http_requests_count"
        );
        assert_eq!(
            name("jvm.memory.used", "By", Kind::Gauge),
            "jvm_memory_used_bytes"
        );
        assert_eq!(
            name("http.server.requests", "{request}", Kind::Counter),
            "http_server_requests_total"
        );
        assert_eq!(
            name("sysmon_host_up", "", Kind::Gauge),
            "exported_sysmon_host_up"
        );
        assert_eq!(name("7up", "", Kind::Gauge), "_7up");
    }

    #[test]
    fn labels_are_sorted_and_none_takes_the_place_of_the_host() {
        let key = custom(
            "x",
            "",
            Kind::Gauge,
            &[("z.a", "1"), ("host", "other"), ("a-b", "2"), ("a.b", "3")],
        );
        let labels = prometheus(&key).labels;
        let labels: Vec<_> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(
            labels,
            ["a_b=2", "exported_a_b=3", "exported_host=other", "z_a=1"]
        );
    }

    #[test]
    fn maxima_and_ranks() {
        let busiest = maximum(&CPU_UTILIZATION.series(&[]));
        assert_eq!(name(&busiest), "sysmon_host_cpu_utilization_ratio_max");
        assert!(!is_exported(&PROCESS_CPU.series(&[("sysmon.rank", "1")])));
        assert!(is_exported(&UPTIME.series(&[])));
    }
}
