//! The hub's own figures, recorded once a second as the rows of a host that stands for it. Pure.
//!
//! The rows take the same path as an agent's, so ring, history, queries and rules have them. The host is called
//! `hub:NAME`, which no certificate can name, and is left out wherever machines are listed.

use std::collections::BTreeMap;

use sysmon_client::Skew;
use sysmon_client::hub_figures::{FIGURES, Figures, host_name};
use sysmon_wire::message::{Blob, ExportLine, HostLimit, HostState, Lane, Push, RunId, Severity};
use sysmon_wire::metrics::{
    ALIASES, EXPORT_BYTES, EXPORT_LAG, EXPORT_LOST, EXPORT_REFUSED, EXPORT_ROWS,
    FLEET_CPU_UTILIZATION, FLEET_DISK_RATE, FLEET_NETWORK_RATE, HUB_ALERTS, HUB_HOSTS,
    LIMIT_REACHED, Metric,
};
use sysmon_wire::{ABSENT, HostFacts, Label, RowEncoder, SeriesKey, SeriesTable, UnixMs};

use crate::VERSION;
use crate::core::Core;
use crate::fleet::Fleet;
use crate::host::Host;
use crate::ingest::{IngestError, RowStream};
use crate::limits::reached_by_name;

pub const INTERVAL_MS: i64 = 1_000;

/// Age of a host's newest row by the hub's clock, beyond the time until its next is due; none if it has no row.
pub fn lag_ms(host: &Host, now: UnixMs) -> Option<i64> {
    let (time, _) = host.present();
    let due_ms = match i64::from(host.facts.interval_ms) {
        ..=INTERVAL_MS => 0,
        interval_ms => interval_ms,
    };
    let age_ms = (now - time).saturating_add(host.clock_offset_ms);
    (time.0 != 0).then(|| (age_ms - due_ms).max(0))
}

/// The largest lag among live hosts; [`ABSENT`] if none is live.
pub fn largest_lag_ms(fleet: &Fleet, now: UnixMs) -> i64 {
    let live = fleet
        .machines()
        .filter(|(_, host)| host.state == HostState::Live);
    live.filter_map(|(_, host)| lag_ms(host, now))
        .max()
        .unwrap_or(ABSENT)
}

/// Live hosts whose agent the next release of the hub does not support.
pub fn outdated_agents(fleet: &Fleet, version: &str) -> i64 {
    let is_outdated = |host: &&Host| {
        let skew = Skew::of(host.facts.agent_version.as_str(), version);
        host.state == HostState::Live
            && matches!(skew, Some(Skew::LastSupported | Skew::Unsupported))
    };
    let hosts = fleet.machines().map(|(_, host)| host);
    hosts.filter(is_outdated).count() as i64
}

/// Hosts by state and firing alerts by severity, the hub's own among them.
pub fn counts(fleet: &Fleet) -> [(SeriesKey, i64); 5] {
    let hosts = |state: HostState| {
        let key = HUB_HOSTS.series(&[("sysmon.host.state", state.as_str())]);
        let count = fleet.machines().filter(|(_, host)| host.state == state);
        (key, count.count() as i64)
    };
    let alerts = |severity: Severity| {
        let key = HUB_ALERTS.series(&[("sysmon.alert.severity", severity.as_str())]);
        let alerts = fleet.hosts().flat_map(|(_, host)| &host.alerts);
        let count = alerts.filter(|alert| alert.severity == severity).count();
        (key, count as i64)
    };
    [
        hosts(HostState::Live),
        hosts(HostState::Stale),
        hosts(HostState::Offline),
        alerts(Severity::Warning),
        alerts(Severity::Critical),
    ]
}

/// What the live hosts use together: what a screen of the whole fleet would else read from every host.
pub fn totals(fleet: &Fleet) -> [(SeriesKey, i64); 5] {
    let live = fleet
        .machines()
        .filter(|(_, host)| host.state == HostState::Live);
    let shown: Vec<_> = live.map(|(_, host)| host.present().1).collect();
    let of = |name: &str| {
        let at = ALIASES.iter().position(|alias| alias.alias == name);
        let values = shown
            .iter()
            .filter_map(move |values| values.get(at?).copied());
        values.filter(|value| *value != ABSENT)
    };
    let sum = |name: &str| of(name).reduce(i64::saturating_add).unwrap_or(ABSENT);
    let cpu = match of("cpu").count() as i64 {
        0 => ABSENT,
        count => sum("cpu") / count,
    };
    let directed = |metric: Metric, attribute, direction, alias: &str| {
        (metric.series(&[(attribute, direction)]), sum(alias))
    };
    let (network, disk) = ("network.io.direction", "disk.io.direction");
    [
        (FLEET_CPU_UTILIZATION.series(&[]), cpu),
        directed(FLEET_NETWORK_RATE, network, "receive", "net.rx"),
        directed(FLEET_NETWORK_RATE, network, "transmit", "net.tx"),
        directed(FLEET_DISK_RATE, disk, "read", "disk.read"),
        directed(FLEET_DISK_RATE, disk, "write", "disk.write"),
    ]
}

#[derive(Debug)]
pub struct Recorder {
    stream: RowStream,
    encoder: RowEncoder,
    seq: u64,
    newest: UnixMs,
    /// Series with attributes, which come as they are needed, in the order of their values.
    others: Vec<SeriesKey>,
}

impl Recorder {
    pub fn start(
        core: &mut Core,
        name: &str,
        run: RunId,
        now: UnixMs,
    ) -> Result<Self, IngestError> {
        let host = core.host_id(&host_name(name))?;
        let facts = HostFacts {
            agent_version: Label::new(VERSION),
            ..HostFacts::unknown()
        };
        core.fleet.set_facts(host, facts);
        let mut stream = RowStream::new(host);
        let lane = Lane::Live;
        stream.ingest(Push::Begin { run, lane }, core, now)?;
        let keys: Vec<_> = FIGURES
            .iter()
            .map(|figure| figure.metric.series(&[]))
            .collect();
        stream.ingest(Push::Series(SeriesTable::new(&keys)), core, now)?;
        Ok(Self {
            stream,
            encoder: RowEncoder::new(),
            seq: 0,
            newest: UnixMs(0),
            others: Vec::new(),
        })
    }

    /// Records one row for the whole second at or before `now`; a second call within that second does nothing.
    pub fn record(
        &mut self,
        core: &mut Core,
        figures: &Figures,
        limits: &[HostLimit],
        exports: &[ExportLine],
        now: UnixMs,
    ) -> Result<(), IngestError> {
        let time = UnixMs(now.0 - now.0.rem_euclid(INTERVAL_MS));
        if time <= self.newest {
            return Ok(());
        }
        self.newest = time;
        self.seq += 1;
        let others = others(&core.fleet, limits, exports);
        self.add_series(core, &others, now)?;
        let figures = FIGURES.iter().map(|figure| (figure.get)(figures));
        let counts = self
            .others
            .iter()
            .map(|key| others.get(key).copied().unwrap_or(ABSENT));
        let values: Vec<i64> = figures.chain(counts).collect();
        let mut block = Vec::new();
        self.encoder.encode(self.seq, time, &values, &mut block);
        let push = match self.seq {
            1 => Push::Keyframe(Blob(block)),
            _ => Push::Rows(Blob(block)),
        };
        self.stream.ingest(push, core, now).map(|_| ())
    }

    fn add_series(
        &mut self,
        core: &mut Core,
        others: &BTreeMap<SeriesKey, i64>,
        now: UnixMs,
    ) -> Result<(), IngestError> {
        let is_new = |key: &&SeriesKey| !self.others.contains(key);
        let new: Vec<SeriesKey> = others.keys().filter(is_new).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let table = SeriesTable::new(&new);
        self.stream.ingest(Push::Series(table), core, now)?;
        self.others.extend(new);
        Ok(())
    }
}

/// What is counted by state, severity, limit and export, and what all hosts use.
fn others(fleet: &Fleet, limits: &[HostLimit], exports: &[ExportLine]) -> BTreeMap<SeriesKey, i64> {
    let limits = reached_by_name(limits).into_iter().map(|(name, reached)| {
        let key = LIMIT_REACHED.series(&[("limit", name.as_str())]);
        (key, reached.cast_signed())
    });
    let exports = exports.iter().flat_map(|export| {
        let of = |metric: Metric, value| {
            (
                metric.series(&[("sysmon.export.name", export.name.as_str())]),
                value,
            )
        };
        [
            of(EXPORT_LAG, export.lag_ms),
            of(EXPORT_ROWS, export.rows.cast_signed()),
            of(EXPORT_BYTES, export.bytes.cast_signed()),
            of(EXPORT_REFUSED, export.refused_total().cast_signed()),
            of(EXPORT_LOST, export.lost_ms),
        ]
    });
    let of_fleet = counts(fleet).into_iter().chain(totals(fleet));
    limits.chain(exports).chain(of_fleet).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::core::tests::{core, host_with_cpu, row};
    use crate::host::HostKind;
    use crate::query::{Past, Plan};
    use crate::view::{HostWatch, SparkRequest, fleet_changes, fleet_picture};
    use sysmon_client::hub_figures::ReceivedFigures;
    use sysmon_wire::message::{HUB_HOST, Query, Reply};
    use sysmon_wire::metrics::{HUB_INGEST_ROWS, HUB_LAG};

    pub(crate) fn figures() -> Figures {
        Figures {
            ingest_rows: 100,
            ingest_values: 900,
            commit_us: 2_500,
            ring_bytes: 4096,
            unsealed_bytes: 1024,
            history_bytes: 8192,
            damaged_histories: 0,
            subscribers: 2,
            agents: 3,
            outdated_agents: 0,
            refused: 1,
            datagrams_dropped: 0,
            otlp_points: 0,
            otlp_rejected: 0,
            lag_ms: 750,
            cpu_us: 1_500_000,
            resident_bytes: 1 << 24,
        }
    }

    #[test]
    fn names_of_agents_are_never_the_hub_s() {
        assert_eq!(HostKind::of_name(&host_name("lan-box")), HostKind::Hub);
        assert_eq!(host_name("lan-box"), "hub:lan-box");
        assert!("hub:lan-box".parse::<sysmon_certs::PeerName>().is_err());
    }

    #[test]
    fn figures_are_rows_like_those_of_any_host_but_are_not_listed() {
        let mut core = core();
        host_with_cpu(&mut core, "a");
        let mut recorder = Recorder::start(&mut core, "h", RunId(1), UnixMs(1000)).unwrap();
        for (now, rows) in [(5_900, 100), (6_100, 160), (6_900, 999), (8_050, 200)] {
            let figures = Figures {
                ingest_rows: rows,
                ..figures()
            };
            recorder
                .record(&mut core, &figures, &[], &[], UnixMs(now))
                .unwrap();
        }
        assert_eq!(
            core.fleet.totals(),
            (0, 0),
            "only rows of hosts are counted"
        );
        let id = core.fleet.find("hub:h").unwrap();
        let host = core.fleet.host(id).unwrap();
        assert_eq!(
            (host.health().rows, host.rows_stored),
            (3, 3),
            "one a second"
        );
        let mut seen = ReceivedFigures::default();
        for reply in HostWatch::new(id, UnixMs(0)).updates(&core.fleet.view(), None) {
            match reply {
                Reply::HostSeries(table) => seen.define(table.keys().unwrap()),
                Reply::HostKeyframe(block) | Reply::HostRows(block) => seen.add(&block.0).unwrap(),
                _ => {}
            }
        }
        assert_eq!(seen.value(&HUB_INGEST_ROWS), Some(200.0));
        assert_eq!(seen.rate(&HUB_INGEST_ROWS), Some(20.0), "40 in two seconds");
        assert_eq!(
            (seen.value(&HUB_LAG), seen.rate(&HUB_LAG)),
            (Some(0.75), None)
        );
        let sparks = SparkRequest {
            points: 0,
            step_ms: 1000,
            aliases: Vec::new(),
        };
        let picture = fleet_picture(&core.fleet.view(), None, UnixMs(9000), &sparks);
        let names: Vec<_> = picture[0].lines.iter().map(|line| &line.name).collect();
        assert_eq!(names, ["a"]);
        let changes = fleet_changes(&core.fleet, 0, UnixMs(9000));
        assert_eq!(changes[0].lines.len(), 1);
    }

    #[test]
    fn what_all_live_hosts_use_is_recorded_and_the_hub_is_asked_for_it_without_its_name() {
        let mut core = core();
        for (name, cpu) in [("a", 200), ("b", 600), ("old", 1_000)] {
            let id = host_with_cpu(&mut core, name);
            let time = if name == "old" { 1_000 } else { 100_000 };
            core.apply(id, RunId(1), &row(1, time, cpu), UnixMs(time))
                .unwrap();
        }
        core.review_silence(UnixMs(100_500));
        let mut recorder = Recorder::start(&mut core, "h", RunId(1), UnixMs(1000)).unwrap();
        recorder
            .record(&mut core, &figures(), &[], &[], UnixMs(100_500))
            .unwrap();
        let mut query = Query::new(
            FLEET_CPU_UTILIZATION.name.into(),
            UnixMs(100_000),
            UnixMs(100_000),
            1_000,
        );
        query.host = Some(HUB_HOST.into());
        let limits = crate::query::tests::limits();
        let plan = Plan::new(&query, &core.fleet, &limits, UnixMs(100_500)).unwrap();
        let [(id, series)] = &plan.hosts[..] else {
            panic!("the hub's own host")
        };
        let view = core.fleet.view();
        let host = view.host(*id).unwrap();
        let points = plan.of_host(host, series, &Past::default()).unwrap();
        assert_eq!(points[0].values, [0.4], "the mean of those that are live");
    }

    #[test]
    fn reached_limits_are_recorded_by_name_and_the_default_rule_fires_for_them() {
        let mut core = core();
        let rules = sysmon_alerts::rule::DEFAULTS;
        core.set_rules(rules.map(|rule| rule.parse().unwrap()).to_vec(), Vec::new());
        let mut recorder = Recorder::start(&mut core, "h", RunId(1), UnixMs(1000)).unwrap();
        let mut gauge = sysmon_wire::LimitGauge::new("hosts", 3);
        for second in 1..=400 {
            if second > 100 && second % 10 == 0 {
                assert!(!gauge.admits(3));
            }
            let limit = HostLimit {
                host: None,
                state: gauge.state(),
            };
            recorder
                .record(&mut core, &figures(), &[limit], &[], UnixMs(second * 1000))
                .unwrap();
        }
        let (_, host) = core.fleet.hosts().next().unwrap();
        let keys = host.keys();
        let key = LIMIT_REACHED.series(&[("limit", "hosts")]);
        let at = keys.iter().position(|known| **known == key).unwrap() as u32;
        let rows = host.ring.read(&[at], UnixMs(0), UnixMs(i64::MAX)).unwrap();
        assert_eq!(
            rows.columns[0].first(),
            Some(&0),
            "begins at 0, so that its rate is known"
        );
        assert_eq!(rows.columns[0].last(), Some(&30));
        let fired = core.take_transitions();
        let summary = fired.iter().find(|t| t.alert.rule == "limit-reached");
        let summary = summary.unwrap().alert.summary.clone();
        assert_eq!(
            summary,
            "the hub's limit of hosts leaves something out: see sysmon-hub status"
        );
    }

    #[test]
    fn agents_that_the_next_release_does_not_support_are_counted_while_they_are_live() {
        let mut core = core();
        for (name, version) in [("a", "0.1.0"), ("b", "0.2.3"), ("c", "0.3.0"), ("otlp", "")] {
            let id = host_with_cpu(&mut core, name);
            let facts = HostFacts {
                agent_version: version.into(),
                ..HostFacts::unknown()
            };
            core.fleet.set_facts(id, facts);
            core.apply(id, RunId(1), &row(1, 9_000, 5), UnixMs(9_500))
                .unwrap();
        }
        let counts = ["0.2.0", "0.3.0", "0.4.0", "0.5.0"];
        assert_eq!(
            counts.map(|version| outdated_agents(&core.fleet, version)),
            [0, 1, 2, 3]
        );
        core.review_silence(UnixMs(60_000));
        assert_eq!(outdated_agents(&core.fleet, "0.4.0"), 0);
    }

    #[test]
    fn the_default_rule_fires_while_there_are_such_agents() {
        let mut core = core();
        let rules = sysmon_alerts::rule::DEFAULTS;
        core.set_rules(rules.map(|rule| rule.parse().unwrap()).to_vec(), Vec::new());
        let mut recorder = Recorder::start(&mut core, "h", RunId(1), UnixMs(1000)).unwrap();
        for second in 1..=700 {
            let figures = Figures {
                outdated_agents: 2,
                ..figures()
            };
            recorder
                .record(&mut core, &figures, &[], &[], UnixMs(second * 1000))
                .unwrap();
        }
        let fired = core.take_transitions();
        let fired = fired.iter().find(|t| t.alert.rule == "agents-outdated");
        assert_eq!(
            fired.unwrap().alert.summary,
            "the next release does not support some agents: see sysmon-hub status"
        );
    }

    #[test]
    fn the_lag_is_that_of_the_live_host_furthest_behind_by_the_hub_s_clock() {
        let mut core = core();
        assert_eq!(largest_lag_ms(&core.fleet, UnixMs(9000)), ABSENT);
        for (name, time, ahead) in [("a", 9_000, 0), ("b", 8_000, -500), ("c", 9_900, 900)] {
            let id = host_with_cpu(&mut core, name);
            core.set_clock_offset(id, ahead, UnixMs(0));
            core.apply(id, RunId(1), &row(1, time, 5), UnixMs(9_500))
                .unwrap();
        }
        assert_eq!(largest_lag_ms(&core.fleet, UnixMs(10_000)), 1_500);
        core.review_silence(UnixMs(60_000));
        assert_eq!(
            largest_lag_ms(&core.fleet, UnixMs(60_000)),
            ABSENT,
            "none is live"
        );
    }
}
