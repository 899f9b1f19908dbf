//! The hub and its hosts in Prometheus's text format, version 0.0.4. Pure.
//!
//! The format: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>. Counters
//! stay counters: the scraper computes rates.

use std::fmt::Write;
use std::sync::Arc;

use sysmon_client::hub_figures::{FIGURES, Figures};
use sysmon_export::names::{alias_name, prometheus};
use sysmon_wire::message::{HostState, Severity};
use sysmon_wire::metrics::{ALIASES, SUMMARY, metric, unscale};
use sysmon_wire::{ABSENT, Kind, Label, SeriesKey, UnixMs};

use crate::VERSION;
use crate::custom_metrics::CustomFamilies;
use crate::fleet::Fleet;
use crate::host::Host;
use crate::self_monitoring::{counts, lag_ms};

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A hub and its hosts at one moment: copied first, so that the core is free while the text is rendered.
#[derive(Clone, Debug)]
pub struct Scrape {
    hub: Figures,
    uptime_ms: u64,
    counts: [(SeriesKey, i64); 5],
    hosts: Vec<HostScrape>,
}

#[derive(Clone, Debug)]
struct HostScrape {
    name: Label,
    state: HostState,
    rows_stored: u64,
    duplicate_rows: u64,
    missing_rows: u64,
    lag_ms: Option<i64>,
    warnings: usize,
    criticals: usize,
    summary: [i64; SUMMARY],
    custom: Vec<(Arc<SeriesKey>, i64)>,
}

type Family = (
    &'static str,
    &'static str,
    &'static str,
    fn(&HostScrape) -> Option<f64>,
);

macro_rules! families {
    ($($name:literal $kind:literal $about:literal: $get:expr;)*) => { &[$(($name, $about, $kind, $get)),*] };
}

const HOST_FAMILIES: &[Family] = families! {
    "sysmon_host_up" "gauge" "1 while the host reports, else 0": |host| Some(f64::from(u8::from(host.state == HostState::Live)));
    "sysmon_host_rows_total" "counter" "Rows stored since the hub started": |host| Some(host.rows_stored as f64);
    "sysmon_host_duplicate_rows_total" "counter" "Repeated rows that were ignored": |host| Some(host.duplicate_rows as f64);
    "sysmon_host_missing_rows" "gauge" "Rows missing between the first and the last of each agent run": |host| Some(host.missing_rows as f64);
    "sysmon_host_lag_seconds" "gauge" "Age of the host's newest row": |host| Some(host.lag_ms? as f64 / 1000.0);
};

impl HostScrape {
    fn of(host: &Host, now: UnixMs) -> Self {
        let health = host.health();
        let alerts = |severity: Severity| {
            let alerts = host.alerts.iter();
            alerts.filter(|alert| alert.severity == severity).count()
        };
        Self {
            name: host.name.clone(),
            state: host.state,
            rows_stored: host.rows_stored,
            duplicate_rows: health.duplicate_rows,
            missing_rows: health.missing_rows,
            lag_ms: lag_ms(host, now),
            warnings: alerts(Severity::Warning),
            criticals: alerts(Severity::Critical),
            // Values of an offline host are not present ones.
            summary: match host.state {
                HostState::Offline => [ABSENT; SUMMARY],
                HostState::Live | HostState::Stale => host.present_raw(),
            },
            custom: match host.state {
                HostState::Offline => Vec::new(),
                HostState::Live | HostState::Stale => {
                    host.custom.present(host.keys(), &host.ring, now)
                }
            },
        }
    }
}

impl Scrape {
    pub fn of(fleet: &Fleet, hub: Figures, uptime_ms: u64, now: UnixMs) -> Self {
        let hosts = fleet.machines();
        Self {
            hub,
            uptime_ms,
            counts: counts(fleet),
            hosts: hosts.map(|(_, host)| HostScrape::of(host, now)).collect(),
        }
    }

    pub fn render(&self) -> String {
        let mut out = String::new();
        self.hub(&mut out);
        self.hosts(&mut out);
        for (at, alias) in ALIASES.iter().take(SUMMARY).enumerate() {
            let values = self.hosts.iter().filter_map(|host| {
                let raw = host.summary.get(at).copied().filter(|raw| *raw != ABSENT)?;
                Some((host, unscale(raw, alias.metric.scale)))
            });
            let name = alias_name(alias);
            family(
                &mut out,
                &name,
                alias.metric.about,
                kind(alias.metric.kind),
                values,
            );
        }
        self.custom(&mut out);
        out
    }

    fn custom(&self, out: &mut String) {
        let mut families = CustomFamilies::default();
        for host in &self.hosts {
            families.add(&host.name, &host.custom);
        }
        for (name, of, lines) in families.iter() {
            head(out, name, "Custom metric of agents", kind(of));
            for (labels, value) in lines {
                let labels = labels.iter();
                let labels: Vec<_> = labels.map(|(n, v)| (n.as_str(), v.as_str())).collect();
                sample(out, name, &labels, *value);
            }
        }
    }

    fn hub(&self, out: &mut String) {
        head(out, "sysmon_hub_build_info", "The hub's version", "gauge");
        sample(out, "sysmon_hub_build_info", &[("version", VERSION)], 1.0);
        let uptime = self.uptime_ms as f64 / 1000.0;
        let name = "sysmon_hub_uptime_seconds";
        head(out, name, "Time since the hub started", "gauge");
        sample(out, name, &[], uptime);
        for figure in FIGURES {
            let raw = (figure.get)(&self.hub);
            if raw == ABSENT {
                continue;
            }
            let name = prometheus(&figure.metric.series(&[])).name;
            head(out, &name, figure.metric.about, kind(figure.metric.kind));
            sample(out, &name, &[], unscale(raw, figure.metric.scale));
        }
        let mut family = String::new();
        for (key, count) in &self.counts {
            let series = prometheus(key);
            if series.name != family {
                let about = metric(key.metric.name.as_str()).map_or("", |metric| metric.about);
                head(out, &series.name, about, kind(key.metric.kind));
                family.clone_from(&series.name);
            }
            let labels = series.labels.iter();
            let labels: Vec<_> = labels.map(|(n, v)| (n.as_str(), v.as_str())).collect();
            sample(out, &series.name, &labels, *count as f64);
        }
    }

    fn hosts(&self, out: &mut String) {
        for &(name, about, kind, get) in HOST_FAMILIES {
            let values = self
                .hosts
                .iter()
                .filter_map(|host| Some((host, get(host)?)));
            family(out, name, about, kind, values);
        }
        let name = "sysmon_host_alerts";
        head(out, name, "Alerts that fire, by severity", "gauge");
        for host in &self.hosts {
            let counts = [
                (Severity::Warning, host.warnings),
                (Severity::Critical, host.criticals),
            ];
            for (severity, count) in counts {
                let labels = [
                    ("host", host.name.as_str()),
                    ("severity", severity.as_str()),
                ];
                sample(out, name, &labels, count as f64);
            }
        }
    }
}

fn family<'a>(
    out: &mut String,
    name: &str,
    about: &str,
    kind: &str,
    values: impl Iterator<Item = (&'a HostScrape, f64)>,
) {
    head(out, name, about, kind);
    for (host, value) in values {
        sample(out, name, &[("host", host.name.as_str())], value);
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    }
}

fn head(out: &mut String, name: &str, about: &str, kind: &str) {
    let about = about.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a text cannot fail.
    let _ = writeln!(out, "# HELP {name} {about}\n# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: f64) {
    out.push_str(name);
    for (at, (label, text)) in labels.iter().enumerate() {
        out.push(if at == 0 { '{' } else { ',' });
        let _ = write!(out, "{label}=\"");
        escape(out, text);
        out.push('"');
    }
    let end = if labels.is_empty() { "" } else { "}" };
    let _ = writeln!(out, "{end} {value}");
}

/// A label's value: backslash, quote and line feed are escaped, all else stands as it is.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tests::{core, host_with_cpu, row};
    use crate::self_monitoring::tests::figures;
    use std::collections::HashSet;
    use sysmon_wire::message::RunId;

    fn text() -> String {
        let mut core = core();
        for (name, time) in [("a", 60_000), ("away", 1_000), ("x\\y\"z", 60_000)] {
            let id = host_with_cpu(&mut core, name);
            let row = row(1, time, 613);
            core.apply(id, RunId(1), &row, UnixMs(time)).unwrap();
        }
        core.host_id(&"hub:h".into()).unwrap();
        core.review_silence(UnixMs(60_500));
        Scrape::of(&core.fleet, figures(), 9_500, UnixMs(60_500)).render()
    }

    #[test]
    fn the_hub_and_each_host_are_told_in_base_units() {
        let text = text();
        for line in [
            "sysmon_hub_ingest_rows_total 100",
            "sysmon_hub_commit_time_seconds 0.0025",
            "sysmon_hub_ring_usage_bytes 4096",
            "sysmon_hub_uptime_seconds 9.5",
            "sysmon_hub_host_count{sysmon_host_state=\"offline\"} 1",
            "sysmon_host_up{host=\"a\"} 1",
            "sysmon_host_up{host=\"away\"} 0",
            "sysmon_host_rows_total{host=\"a\"} 1",
            "sysmon_host_missing_rows{host=\"a\"} 0",
            "sysmon_host_lag_seconds{host=\"a\"} 0.5",
            "sysmon_host_cpu_ratio{host=\"a\"} 0.613",
            "sysmon_host_cpu_ratio{host=\"x\\\\y\\\"z\"} 0.613",
            "sysmon_host_alerts{host=\"a\",severity=\"critical\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        assert!(
            !text.contains("cpu_ratio{host=\"away\"}"),
            "its value is old"
        );
        assert!(!text.contains("hub:h"), "the hub is no host");
    }

    #[test]
    fn custom_metrics_of_hosts_that_report_are_families_of_their_own() {
        let mut core = core();
        for (name, time) in [("a", 60_000), ("away", 1_000)] {
            let id = core.host_id(&name.into()).unwrap();
            let mut key = sysmon_wire::metrics::UPTIME.series(&[("job", "db \"1\"")]);
            key.metric.name = "backup_age_seconds".into();
            core.fleet.series(id, vec![key]);
            let row = row(1, time, 77);
            core.apply(id, RunId(1), &row, UnixMs(time)).unwrap();
        }
        core.review_silence(UnixMs(60_500));
        let text = Scrape::of(&core.fleet, figures(), 9_500, UnixMs(60_500)).render();
        let lines: Vec<_> = text.lines().filter(|l| l.contains("backup")).collect();
        assert_eq!(
            lines,
            [
                "# HELP backup_age_seconds Custom metric of agents",
                "# TYPE backup_age_seconds gauge",
                "backup_age_seconds{host=\"a\",job=\"db \\\"1\\\"\"} 77",
            ]
        );
    }

    /// Each family's lines stand together, after one HELP and one TYPE; no series is told twice.
    #[test]
    fn every_line_is_as_the_format_wants_it() {
        let text = text();
        let (mut family, mut families, mut series) = ("", HashSet::new(), HashSet::new());
        let mut helped = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                helped = rest.split_once(' ').unwrap().0;
                assert!(families.insert(helped), "{helped} twice");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name, helped);
                assert!(["counter", "gauge"].contains(&kind));
                assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
                family = name;
            } else {
                let (id, value) = line.rsplit_once(' ').unwrap();
                assert_eq!(id.split('{').next(), Some(family));
                assert!(series.insert(id), "{id} twice");
                value.parse::<f64>().unwrap();
            }
        }
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn a_line_feed_in_a_label_is_escaped() {
        let mut out = String::new();
        sample(&mut out, "x", &[("a", "1\n2"), ("b", "ä")], 0.5);
        assert_eq!(out, "x{a=\"1\\n2\",b=\"ä\"} 0.5\n");
    }
}
