//! What the hub tells of itself: a row a second, of a host that stands for it.
//!
//! The rows go the way of every agent's, so that ring, history and queries have them. The host is called
//! `hub:NAME`, which no certificate can name, and is left out wherever hosts are listed.

use sysmon_wire::message::{Blob, HostState, Lane, Push, RunId};
use sysmon_wire::metrics::{self, Metric, unscale};
use sysmon_wire::{
    ABSENT, HostFacts, Kind, Label, RowDecoder, RowEncoder, RowError, SeriesKey, SeriesTable,
    UnixMs,
};

use crate::VERSION;
use crate::core::Core;
use crate::fleet::Fleet;
use crate::host::{HUB_PREFIX, Host};
use crate::ingest::{IngestError, RowStream};

/// Milliseconds between two rows.
pub const INTERVAL_MS: i64 = 1_000;

/// What the host that stands for the hub `name` is called.
pub fn host_name(name: &str) -> Label {
    Label::new(&format!("{HUB_PREFIX}{name}"))
}

/// A hub's figures at a moment, scaled as their metrics say; [`ABSENT`] for what is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Rows taken in since it started.
    pub ingest_rows: i64,
    /// Values in them.
    pub ingest_values: i64,
    /// Microseconds of the last commit.
    pub commit_us: i64,
    /// Bytes of all rings.
    pub ring_bytes: i64,
    /// Of those, bytes of rows that are not sealed yet.
    pub unsealed_bytes: i64,
    /// Bytes of history on disk.
    pub history_bytes: i64,
    /// Subscriptions open.
    pub subscribers: i64,
    /// Agents connected.
    pub agents: i64,
    /// Connections, streams and requests refused since it started.
    pub refused: i64,
    /// Milliseconds that the live host furthest behind is behind.
    pub lag_ms: i64,
    /// Microseconds of processor time used since it started.
    pub cpu_us: i64,
    /// Bytes of resident memory.
    pub resident_bytes: i64,
}

/// One of the figures.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its metric.
    pub metric: Metric,
    /// What programs that are not ours know it by: `sysmon_hub_NAME`, and `NAME` in JSON.
    pub name: &'static str,
    /// Takes it from the others.
    pub get: fn(&Figures) -> i64,
}

macro_rules! figures {
    ($($metric:ident, $name:literal, $field:ident;)*) => {
        &[$(Figure { metric: metrics::$metric, name: $name, get: |figures| figures.$field }),*]
    };
}

/// Every figure, in the order of a row's values.
pub const FIGURES: &[Figure] = figures! {
    HUB_INGEST_ROWS, "ingest_rows_total", ingest_rows;
    HUB_INGEST_VALUES, "ingest_values_total", ingest_values;
    HUB_COMMIT_TIME, "commit_seconds", commit_us;
    HUB_RING_USAGE, "ring_bytes", ring_bytes;
    HUB_RING_UNSEALED, "ring_unsealed_bytes", unsealed_bytes;
    HUB_HISTORY_USAGE, "history_bytes", history_bytes;
    HUB_SUBSCRIBERS, "subscribers", subscribers;
    HUB_AGENTS, "agents", agents;
    HUB_REFUSED, "refused_total", refused;
    HUB_LAG, "lag_seconds", lag_ms;
    HUB_CPU_TIME, "cpu_seconds_total", cpu_us;
    HUB_MEMORY_USAGE, "resident_bytes", resident_bytes;
};

impl Figures {
    fn values(&self) -> Vec<i64> {
        FIGURES.iter().map(|figure| (figure.get)(self)).collect()
    }
}

/// Milliseconds since the newest row of a host was taken, by the hub's clock; none if it has no row.
pub fn lag_ms(host: &Host, now: UnixMs) -> Option<i64> {
    let (time, _) = host.present();
    (time.0 != 0).then(|| (now - time).saturating_add(host.clock_offset_ms).max(0))
}

/// The largest lag of the hosts that are live, in milliseconds; [`ABSENT`] if none is.
pub fn largest_lag_ms(fleet: &Fleet, now: UnixMs) -> i64 {
    let live = fleet
        .machines()
        .filter(|(_, host)| host.state == HostState::Live);
    live.filter_map(|(_, host)| lag_ms(host, now))
        .max()
        .unwrap_or(ABSENT)
}

/// Records figures as the rows of one run of an agent.
#[derive(Debug)]
pub struct Recorder {
    stream: RowStream,
    encoder: RowEncoder,
    seq: u64,
    newest: UnixMs,
}

impl Recorder {
    /// Begins a run of the hub `name`.
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
        stream.take(Push::Begin { run, lane }, core, now)?;
        let keys: Vec<_> = FIGURES
            .iter()
            .map(|figure| figure.metric.series(&[]))
            .collect();
        stream.take(Push::Series(SeriesTable::new(&keys)), core, now)?;
        Ok(Self {
            stream,
            encoder: RowEncoder::new(),
            seq: 0,
            newest: UnixMs(0),
        })
    }

    /// Records a row, of the whole second at or before `now`, if there is none of that yet.
    pub fn record(
        &mut self,
        core: &mut Core,
        figures: &Figures,
        now: UnixMs,
    ) -> Result<(), IngestError> {
        let time = UnixMs(now.0 - now.0.rem_euclid(INTERVAL_MS));
        if time <= self.newest {
            return Ok(());
        }
        self.newest = time;
        self.seq += 1;
        let mut block = Vec::new();
        self.encoder
            .encode(self.seq, time, &figures.values(), &mut block);
        let push = match self.seq {
            1 => Push::Keyframe(Blob(block)),
            _ => Push::Rows(Blob(block)),
        };
        self.stream.take(push, core, now).map(|_| ())
    }
}

/// The newest figures as a subscriber gets them: put together from the rows of the host that stands for a hub.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    keys: Vec<SeriesKey>,
    decoder: RowDecoder,
    /// The row before the newest, and the newest.
    rows: [Option<(UnixMs, Vec<i64>)>; 2],
}

impl Seen {
    /// Takes definitions of series.
    pub fn define(&mut self, keys: Vec<SeriesKey>) {
        self.keys.extend(keys);
    }

    /// Takes rows.
    pub fn take(&mut self, mut block: &[u8]) -> Result<(), RowError> {
        while let Some(row) = self.decoder.decode(&mut block, self.keys.len())? {
            let [before, newest] = &mut self.rows;
            *before = newest.replace((row.time, row.values.clone()));
        }
        Ok(())
    }

    /// A figure in its real unit.
    pub fn value(&self, metric: &Metric) -> Option<f64> {
        let [_, newest] = &self.rows;
        let raw = self.raw(newest.as_ref()?, metric)?;
        Some(unscale(raw, metric.scale))
    }

    /// How much a counter rises in a second.
    pub fn rate(&self, metric: &Metric) -> Option<f64> {
        let [Some(before), Some(newest)] = &self.rows else {
            return None;
        };
        let raw = |row: &(UnixMs, Vec<i64>)| Some((row.0.0, self.raw(row, metric)?));
        let rate = sysmon_series::rate(raw(before)?, raw(newest)?)?;
        (metric.kind == Kind::Counter).then(|| rate * 10f64.powi(i32::from(metric.scale)))
    }

    fn raw(&self, row: &(UnixMs, Vec<i64>), metric: &Metric) -> Option<i64> {
        let found = self
            .keys
            .iter()
            .position(|key| key.metric.name == metric.name && key.attributes.is_empty())?;
        row.1.get(found).copied().filter(|raw| *raw != ABSENT)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fleet::tests::{fleet, host_with_cpu, row};
    use crate::view::{HostWatch, SparkRequest, fleet_changes, fleet_picture};
    use sysmon_wire::message::Reply;
    use sysmon_wire::metrics::{HUB_INGEST_ROWS, HUB_LAG};

    pub(crate) fn figures() -> Figures {
        Figures {
            ingest_rows: 100,
            ingest_values: 900,
            commit_us: 2_500,
            ring_bytes: 4096,
            unsealed_bytes: 1024,
            history_bytes: 8192,
            subscribers: 2,
            agents: 3,
            refused: 1,
            lag_ms: 750,
            cpu_us: 1_500_000,
            resident_bytes: 1 << 24,
        }
    }

    #[test]
    fn names_of_agents_are_never_the_hub_s() {
        assert!(is_own(&host_name("lan-box")));
        assert_eq!(host_name("lan-box"), "hub:lan-box");
        assert!("hub:lan-box".parse::<sysmon_certs::PeerName>().is_err());
    }

    #[test]
    fn figures_are_rows_like_those_of_any_host_but_are_not_listed() {
        let mut fleet = fleet();
        host_with_cpu(&mut fleet, "a");
        let mut recorder = Recorder::start(&mut fleet, "h", RunId(1), UnixMs(1000)).unwrap();
        for (now, rows) in [(5_900, 100), (6_100, 160), (6_900, 999), (8_050, 200)] {
            let figures = Figures {
                ingest_rows: rows,
                ..figures()
            };
            recorder.record(&mut fleet, &figures, UnixMs(now)).unwrap();
        }
        assert_eq!(fleet.totals(), (0, 0), "only rows of hosts are counted");
        let id = fleet.find("hub:h").unwrap();
        let host = fleet.host(id).unwrap();
        assert_eq!(
            (host.health().rows, host.rows_taken),
            (3, 3),
            "one a second"
        );
        let mut seen = Seen::default();
        for reply in HostWatch::new(id, UnixMs(0)).updates(&fleet, None) {
            match reply {
                Reply::HostSeries(table) => seen.define(table.keys().unwrap()),
                Reply::HostKeyframe(block) | Reply::HostRows(block) => seen.take(&block.0).unwrap(),
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
        let picture = fleet_picture(&fleet, None, UnixMs(9000), &sparks);
        let names: Vec<_> = picture[0].lines.iter().map(|line| &line.name).collect();
        assert_eq!(names, ["a"]);
        let changes = fleet_changes(&fleet, 0, UnixMs(9000));
        assert_eq!(changes[0].lines.len(), 1);
    }

    #[test]
    fn the_lag_is_that_of_the_live_host_furthest_behind_by_the_hub_s_clock() {
        let mut fleet = fleet();
        assert_eq!(largest_lag_ms(&fleet, UnixMs(9000)), ABSENT);
        for (name, time, ahead) in [("a", 9_000, 0), ("b", 8_000, -500), ("c", 9_900, 900)] {
            let id = host_with_cpu(&mut fleet, name);
            fleet.set_clock_offset(id, ahead, UnixMs(0));
            fleet
                .apply(id, RunId(1), &row(1, time, 5), UnixMs(9_500))
                .unwrap();
        }
        assert_eq!(largest_lag_ms(&fleet, UnixMs(10_000)), 1_500);
        fleet.review_states(UnixMs(60_000));
        assert_eq!(
            largest_lag_ms(&fleet, UnixMs(60_000)),
            ABSENT,
            "none is live"
        );
    }
}
