//! Pictures of the fleet and of one host, as subscribers get them.

use std::sync::Arc;

use sysmon_series::Resample;
use sysmon_wire::limits::{HOSTS_PER_FRAME_MAX, SPARK_POINTS_MAX};
use sysmon_wire::message::{
    Aggregate, Blob, FleetUpdate, HostLine, HostState, HostTick, Reply, Spark,
};
use sysmon_wire::metrics::{ALIASES, Alias, SUMMARY};
use sysmon_wire::{ABSENT, RowEncoder, SeriesKey, SeriesTable, SeriesTableBuilder, UnixMs};

use crate::fleet::{Fleet, HostId};
use crate::host::Host;

/// How far before a past moment a row may lie to be shown for it.
pub const PAST_REACH_MS: i64 = 10_000;

/// Rows of a host in one frame; 600 rows of 400 busy series are about 400 KiB.
const ROWS_PER_FRAME: usize = sysmon_wire::limits::ROWS_PER_FRAME_MAX;

/// Bytes of rows after which a frame is sent.
const ROW_BYTES_PER_FRAME: usize = 256 * 1024;

/// Bytes of names of series after which a frame is sent; a usual host's are a tenth.
const SERIES_BYTES_PER_FRAME: usize = 512 * 1024;

/// Which history goes with the fleet's first picture.
#[derive(Clone, Debug, Default)]
pub struct SparkRequest {
    /// Points of each.
    pub points: u16,
    /// Milliseconds a point stands for.
    pub step_ms: u32,
    /// Places in [`ALIASES`], of the first [`SUMMARY`].
    pub aliases: Vec<u8>,
}

impl SparkRequest {
    /// When the history of a picture of `at` begins.
    pub fn from(&self, at: UnixMs) -> UnixMs {
        let points = i64::from(self.points.min(SPARK_POINTS_MAX));
        at - points.saturating_mul(i64::from(self.step_ms.max(1)))
    }
}

/// The whole fleet as it is at `now`, or was at `at`, in frames of some hosts each.
///
/// Always at least one frame, so that an empty fleet is told too.
pub fn fleet_picture(
    fleet: &Fleet,
    at: Option<UnixMs>,
    now: UnixMs,
    sparks: &SparkRequest,
) -> Vec<FleetUpdate> {
    fleet_picture_by(fleet, at, now, sparks, 1_000)
}

/// The same, of a past of which there is a row every `rows_ms` only.
pub fn fleet_picture_by(
    fleet: &Fleet,
    at: Option<UnixMs>,
    now: UnixMs,
    sparks: &SparkRequest,
    rows_ms: i64,
) -> Vec<FleetUpdate> {
    let hosts: Vec<_> = fleet.watched_hosts().collect();
    let moment = at.unwrap_or(now);
    let picture = |part: &[(HostId, &Host)]| {
        let mut update = FleetUpdate {
            now: moment,
            lines: Vec::with_capacity(part.len()),
            ticks: Vec::with_capacity(part.len()),
            sparks: Vec::new(),
        };
        for (id, host) in part {
            update.lines.push(line_at(*id, host, moment));
            let (tick, history) = match at {
                None => (tick(*id, host), history(*id, host, None, sparks, rows_ms)),
                Some(at) => past(*id, host, at, sparks, rows_ms),
            };
            update.ticks.push(tick);
            update.sparks.extend(history);
        }
        update
    };
    if hosts.is_empty() {
        return vec![picture(&[])];
    }
    hosts.chunks(HOSTS_PER_FRAME_MAX).map(picture).collect()
}

/// What changed after `generation`; empty if nothing did.
pub fn fleet_changes(fleet: &Fleet, generation: u64, now: UnixMs) -> Vec<FleetUpdate> {
    let changed: Vec<_> = fleet
        .watched_hosts()
        .filter(|(_, host)| host.changed > generation)
        .collect();
    let update = |part: &[(HostId, &Host)]| FleetUpdate {
        now,
        lines: part
            .iter()
            .filter(|(_, host)| host.line_changed > generation)
            .map(|(id, host)| line(*id, host))
            .collect(),
        ticks: part.iter().map(|(id, host)| tick(*id, host)).collect(),
        sparks: Vec::new(),
    };
    changed.chunks(HOSTS_PER_FRAME_MAX).map(update).collect()
}

/// History of the hosts that got rows of the past after `generation`; empty if none did.
pub fn history_changes(
    fleet: &Fleet,
    generation: u64,
    now: UnixMs,
    sparks: &SparkRequest,
) -> Vec<FleetUpdate> {
    let changed: Vec<_> = fleet
        .watched_hosts()
        .filter(|(_, host)| host.past_changed > generation)
        .collect();
    let update = |part: &[(HostId, &Host)]| FleetUpdate {
        now,
        lines: Vec::new(),
        ticks: Vec::new(),
        sparks: part
            .iter()
            .flat_map(|(id, host)| history(*id, host, None, sparks, 1_000))
            .collect(),
    };
    changed.chunks(HOSTS_PER_FRAME_MAX).map(update).collect()
}

/// History of some hosts up to now.
pub fn histories(
    fleet: &Fleet,
    hosts: &[HostId],
    now: UnixMs,
    sparks: &SparkRequest,
) -> FleetUpdate {
    let known = hosts
        .iter()
        .filter_map(|id| fleet.host(*id).map(|host| (*id, host)));
    FleetUpdate {
        now,
        lines: Vec::new(),
        ticks: Vec::new(),
        sparks: known
            .flat_map(|(id, host)| history(id, host, None, sparks, 1_000))
            .collect(),
    }
}

/// Hosts that got rows of the past after `generation`.
pub fn hosts_with_new_past(fleet: &Fleet, generation: u64) -> Vec<HostId> {
    let hosts = fleet.watched_hosts();
    let changed = hosts.filter(|(_, host)| host.past_changed > generation);
    changed.map(|(id, _)| id).collect()
}

/// History of some hosts up to a moment.
pub fn history_until(
    fleet: &Fleet,
    hosts: &[HostId],
    end: UnixMs,
    sparks: &SparkRequest,
) -> Vec<Spark> {
    let known = hosts
        .iter()
        .filter_map(|id| fleet.host(*id).map(|host| (*id, host)));
    known
        .flat_map(|(id, host)| history(id, host, Some(end), sparks, 1_000))
        .collect()
}

/// A host's line.
pub fn line(id: HostId, host: &Host) -> HostLine {
    HostLine {
        index: id.0,
        name: host.name.clone(),
        facts: host.facts.clone(),
        health: host.health(),
        notes: host.notes.clone(),
        alerts: host.alerts.clone(),
    }
}

/// A host's line without the alerts that began after a moment.
fn line_at(id: HostId, host: &Host, moment: UnixMs) -> HostLine {
    let mut line = line(id, host);
    line.alerts.retain(|alert| alert.since <= moment);
    line
}

fn tick(id: HostId, host: &Host) -> HostTick {
    let (time, values) = host.present();
    HostTick {
        index: id.0,
        state: host.state,
        time,
        values: values.to_vec(),
    }
}

/// A host as it was at a moment, and its history until then: both are made of the same rows.
fn past(
    id: HostId,
    host: &Host,
    at: UnixMs,
    request: &SparkRequest,
    rows_ms: i64,
) -> (HostTick, Vec<Spark>) {
    // The row before makes its rates.
    let since = at - PAST_REACH_MS.max(2 * rows_ms);
    let resample = resample(at, request, rows_ms);
    let from = resample.as_ref().map_or(since, |resample| {
        since.min(resample.from - PAST_REACH_MS.max(rows_ms))
    });
    let table = host.summary_rows(from, at).unwrap_or_default();
    let found = Host::newest_of(&table, since);
    let tick = match found.filter(|(time, _)| at - *time <= PAST_REACH_MS.max(rows_ms)) {
        Some((time, values)) => {
            let state = if at - time <= (PAST_REACH_MS / 2).max(rows_ms) {
                HostState::Live
            } else {
                HostState::Stale
            };
            HostTick {
                index: id.0,
                state,
                time,
                values: values.to_vec(),
            }
        }
        None => HostTick {
            index: id.0,
            state: HostState::Offline,
            time: UnixMs(0),
            values: vec![ABSENT; SUMMARY],
        },
    };
    let Some(resample) = resample.filter(|_| host.ring.newest().is_some()) else {
        return (tick, Vec::new());
    };
    let columns = aliases(host, request).filter_map(|(place, _, alias)| {
        let column = table.columns.get(usize::from(place))?;
        Some(spark(id, place, alias, &resample, &table.times, column))
    });
    (tick, columns.collect())
}

fn history(
    id: HostId,
    host: &Host,
    at: Option<UnixMs>,
    request: &SparkRequest,
    rows_ms: i64,
) -> Vec<Spark> {
    let Some(newest) = host.ring.newest() else {
        return Vec::new();
    };
    let end = at.unwrap_or(newest);
    let Some(resample) = resample(end, request, rows_ms) else {
        return Vec::new();
    };
    let aliases: Vec<_> = aliases(host, request).collect();
    let series: Vec<u32> = aliases.iter().map(|(_, index, _)| *index).collect();
    // The row before the first step makes the first rate.
    let from = resample.from - PAST_REACH_MS.max(rows_ms);
    let Ok(table) = host.ring.read(&series, from, end) else {
        return Vec::new();
    };
    let columns = aliases.iter().zip(&table.columns);
    columns
        .map(|((place, _, alias), column)| {
            spark(id, *place, alias, &resample, &table.times, column)
        })
        .collect()
}

/// The steps of a history up to a moment; none if it has no points.
fn resample(end: UnixMs, request: &SparkRequest, rows_ms: i64) -> Option<Resample> {
    let points = i64::from(request.points.min(SPARK_POINTS_MAX));
    let step_ms = i64::from(request.step_ms.max(1)).max(rows_ms);
    let from = end - (points - 1).saturating_mul(step_ms);
    (points > 0).then(|| Resample::aligned(from, end, step_ms, Aggregate::Mean))
}

/// The place, the series and what it stands for, of each alias that is wanted and the host has.
fn aliases<'a>(
    host: &'a Host,
    request: &'a SparkRequest,
) -> impl Iterator<Item = (u8, u32, &'static Alias)> + 'a {
    let known = request.aliases.iter().filter_map(|&place| {
        let index = (*host.summary().get(usize::from(place))?)?;
        Some((place, index, ALIASES.get(usize::from(place))?))
    });
    known.take(SUMMARY)
}

fn spark(
    id: HostId,
    place: u8,
    alias: &Alias,
    resample: &Resample,
    times: &[i64],
    column: &[i64],
) -> Spark {
    let real = resample.apply(&alias.metric.def(), times, column);
    let scale = 10f64.powi(-i32::from(alias.metric.scale));
    let scaled = |v: &f64| {
        if v.is_nan() {
            ABSENT
        } else {
            (v * scale).round() as i64
        }
    };
    Spark {
        index: id.0,
        alias: place,
        end: resample.to,
        points: real.iter().map(scaled).collect(),
    }
}

/// The two halves of an update that is too long for one message; none if it is of one host only.
pub fn halves(update: FleetUpdate) -> Option<[FleetUpdate; 2]> {
    let lines = update.lines.iter().map(|line| line.index);
    let ticks = update.ticks.iter().map(|tick| tick.index);
    let sparks = update.sparks.iter().map(|spark| spark.index);
    let mut all: Vec<u32> = lines.chain(ticks).chain(sparks).collect();
    all.sort_unstable();
    all.dedup();
    let middle = *all.get(all.len() / 2).filter(|_| all.len() > 1)?;
    let lines = update.lines.into_iter();
    let (lines, more_lines) = lines.partition(|line| line.index < middle);
    let ticks = update.ticks.into_iter();
    let (ticks, more_ticks) = ticks.partition(|tick| tick.index < middle);
    let sparks = update.sparks.into_iter();
    let (sparks, more_sparks) = sparks.partition(|spark| spark.index < middle);
    let half = |lines, ticks, sparks| FleetUpdate {
        now: update.now,
        lines,
        ticks,
        sparks,
    };
    Some([
        half(lines, ticks, sparks),
        half(more_lines, more_ticks, more_sparks),
    ])
}

/// Tables of these series, each of which fits a message whatever they are called.
fn tables(keys: &[Arc<SeriesKey>]) -> Vec<SeriesTable> {
    let mut tables = Vec::new();
    let (mut builder, mut bytes) = (SeriesTableBuilder::default(), 0);
    for key in keys {
        let attributes = key
            .attributes
            .iter()
            .flat_map(|(name, value)| [name, value]);
        let texts = attributes.chain([&key.metric.name, &key.metric.unit]);
        bytes += texts.map(|text| text.as_str().len() + 8).sum::<usize>();
        if bytes > SERIES_BYTES_PER_FRAME {
            tables.push(std::mem::take(&mut builder).finish());
            bytes = 0;
        }
        builder.push(key);
    }
    tables.push(builder.finish());
    tables
}

/// What a subscriber to one host has been sent so far.
#[derive(Debug)]
pub struct HostWatch {
    host: HostId,
    from: UnixMs,
    /// The fleet's generation up to which everything was sent.
    seen: u64,
    /// The same, when the rows were last begun.
    seen_past: u64,
    line_generation: u64,
    series: usize,
    /// The newest row sent; rows after it are new.
    newest: UnixMs,
    encoder: RowEncoder,
    rows: u64,
}

impl HostWatch {
    /// Watches `host` from `from` on.
    pub fn new(host: HostId, from: UnixMs) -> Self {
        Self {
            host,
            from,
            seen: 0,
            seen_past: 0,
            line_generation: 0,
            series: 0,
            newest: from - 1,
            encoder: RowEncoder::new(),
            rows: 0,
        }
    }

    /// Whether rows of the past came since; what was sent of them is begun anew by [`Self::restart`].
    pub fn is_past_changed(&self, fleet: &Fleet) -> bool {
        fleet
            .host(self.host)
            .is_some_and(|host| host.past_changed > self.seen_past)
    }

    /// Sends all rows again with the next update.
    pub fn restart(&mut self) {
        self.newest = self.from - 1;
        self.rows = 0;
        self.encoder = RowEncoder::new();
        self.seen = 0;
    }

    /// Everything up to `until` that was not sent yet.
    pub fn updates(&mut self, fleet: &Fleet, until: Option<UnixMs>) -> Vec<Reply> {
        let Some(host) = fleet.host(self.host) else {
            return Vec::new();
        };
        if host.changed <= self.seen {
            return Vec::new();
        }
        self.seen = fleet.generation();
        if self.rows == 0 {
            self.seen_past = self.seen;
        }
        let mut replies = Vec::new();
        if host.line_changed > self.line_generation || self.line_generation == 0 {
            self.line_generation = fleet.generation();
            replies.push(Reply::Host(Box::new(line(self.host, host))));
        }
        if let Some(new @ [_, ..]) = host.keys().get(self.series..) {
            replies.extend(tables(new).into_iter().map(Reply::HostSeries));
            self.series = host.keys().len();
        }
        let all: Vec<u32> = (0..self.series as u32).collect();
        let until = until.unwrap_or(UnixMs(i64::MAX));
        match host.ring.read(&all, self.newest + 1, until) {
            Ok(table) => self.rows(&table, &mut replies),
            Err(error) => replies.push(Reply::Refused {
                reason: error.to_string().as_str().into(),
            }),
        }
        replies
    }

    fn rows(&mut self, table: &sysmon_series::Table, replies: &mut Vec<Reply>) {
        let mut values = vec![ABSENT; table.columns.len()];
        let (mut block, mut count) = (Vec::new(), 0);
        let mut first = self.rows == 0;
        for (n, &time) in table.times.iter().enumerate() {
            for (value, column) in values.iter_mut().zip(&table.columns) {
                *value = column.get(n).copied().unwrap_or(ABSENT);
            }
            self.rows += 1;
            self.newest = UnixMs(time);
            self.encoder
                .encode(self.rows, UnixMs(time), &values, &mut block);
            count += 1;
            let last = n + 1 == table.times.len();
            if last || count >= ROWS_PER_FRAME || block.len() >= ROW_BYTES_PER_FRAME {
                let rows = Blob(std::mem::take(&mut block));
                replies.push(if first {
                    Reply::HostKeyframe(rows)
                } else {
                    Reply::HostRows(rows)
                });
                (count, first) = (0, false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::tests::{fleet, host_with_cpu, row};
    use sysmon_wire::RowDecoder;
    use sysmon_wire::message::RunId;

    const SPARKS: SparkRequest = SparkRequest {
        points: 4,
        step_ms: 5000,
        aliases: Vec::new(),
    };

    fn filled() -> (Fleet, HostId) {
        let mut fleet = fleet();
        let id = host_with_cpu(&mut fleet, "a");
        for n in 1..=30i64 {
            fleet
                .apply(
                    id,
                    RunId(1),
                    &row(n as u64, n * 1000, n * 10),
                    UnixMs(n * 1000),
                )
                .unwrap();
        }
        fleet.review_states(UnixMs(30_000));
        (fleet, id)
    }

    #[test]
    fn a_picture_of_the_past_has_no_alert_that_began_later() {
        let mut fleet = fleet();
        fleet.watch(
            vec!["busy: cpu > 20% critical".parse().unwrap()],
            Vec::new(),
        );
        let id = host_with_cpu(&mut fleet, "a");
        for n in 1..=30i64 {
            let row = row(n as u64, n * 1000, n * 10);
            let time = UnixMs(n * 1000);
            fleet.apply(id, RunId(1), &row, time).unwrap();
        }
        let alerts = |at: Option<UnixMs>| {
            let picture = fleet_picture(&fleet, at, UnixMs(30_000), &SPARKS);
            picture[0].lines[0].alerts.len()
        };
        assert_eq!(alerts(None), 1);
        assert_eq!(alerts(Some(UnixMs(29_000))), 1);
        assert_eq!(alerts(Some(UnixMs(10_000))), 0);
    }

    #[test]
    fn the_first_picture_has_all_and_later_ones_what_changed() {
        let (mut fleet, id) = filled();
        host_with_cpu(&mut fleet, "b");
        let first = fleet_picture(&fleet, None, UnixMs(30_000), &SPARKS);
        assert_eq!(
            (
                first.len(),
                first[0].lines.len(),
                first[0].ticks[0].values[0]
            ),
            (1, 2, 300)
        );
        let seen = fleet.generation();
        assert!(fleet_changes(&fleet, seen, UnixMs(30_500)).is_empty());
        fleet
            .apply(id, RunId(1), &row(31, 31_000, 7), UnixMs(31_000))
            .unwrap();
        let then = fleet_changes(&fleet, seen, UnixMs(31_000));
        assert_eq!((then[0].lines.len(), then[0].ticks.len()), (0, 1));
        assert_eq!(then[0].ticks[0].values[0], 7);
    }

    #[test]
    fn the_past_is_what_was() {
        let (fleet, _) = filled();
        let then = fleet_picture(&fleet, Some(UnixMs(12_500)), UnixMs(30_000), &SPARKS);
        assert_eq!(
            (then[0].ticks[0].time, then[0].ticks[0].values[0]),
            (UnixMs(12_000), 120)
        );
        assert_eq!(then[0].ticks[0].state, HostState::Live);
        let before = fleet_picture(&fleet, Some(UnixMs(500)), UnixMs(30_000), &SPARKS);
        assert_eq!(before[0].ticks[0].state, HostState::Offline);
    }

    #[test]
    fn a_past_of_minutes_is_that_of_the_minute_a_moment_lies_in() {
        let mut fleet = fleet();
        let id = host_with_cpu(&mut fleet, "a");
        for minute in 1..=9i64 {
            let row = row(minute as u64, minute * 60_000, minute * 10);
            let now = UnixMs(minute * 60_000);
            fleet.apply(id, RunId(1), &row, now).unwrap();
        }
        let picture = |at: i64| {
            let at = Some(UnixMs(at));
            let mut frames = fleet_picture_by(&fleet, at, UnixMs(900_000), &SPARKS, 60_000);
            let frame = frames.remove(0);
            (frame.ticks[0].clone(), frame.sparks)
        };
        let (tick, _) = picture(359_999);
        assert_eq!(
            (tick.state, tick.time, tick.values[0]),
            (HostState::Live, UnixMs(300_000), 50)
        );
        let (tick, _) = picture(660_000);
        assert_eq!(tick.state, HostState::Offline, "the last minute is over");
        let request = SparkRequest {
            aliases: vec![0],
            ..SPARKS
        };
        let at = Some(UnixMs(330_000));
        let frames = fleet_picture_by(&fleet, at, UnixMs(900_000), &request, 60_000);
        assert_eq!(frames[0].sparks[0].points, [20, 30, 40, 50]);
    }

    #[test]
    fn history_is_the_mean_of_each_step() {
        let (fleet, _) = filled();
        let request = SparkRequest {
            aliases: vec![0, 200],
            ..SPARKS
        };
        let picture = fleet_picture(&fleet, None, UnixMs(30_000), &request);
        let [spark] = &picture[0].sparks[..] else {
            panic!("one spark")
        };
        assert_eq!(
            (spark.end, &spark.points[..]),
            (UnixMs(30_000), &[170, 220, 270, 300][..])
        );
    }

    #[test]
    fn a_watch_sends_every_row_once() {
        let (mut fleet, id) = filled();
        let mut watch = HostWatch::new(id, UnixMs(11_000));
        let (mut decoder, mut seen) = (RowDecoder::new(), Vec::new());
        let mut take = |replies: Vec<Reply>| {
            for reply in replies {
                let (Reply::HostKeyframe(block) | Reply::HostRows(block)) = reply else {
                    continue;
                };
                let mut bytes = &block.0[..];
                while let Some(row) = decoder.decode(&mut bytes, 1).unwrap() {
                    seen.push((row.time.0, row.values[0]));
                }
            }
        };
        take(watch.updates(&fleet, None));
        take(watch.updates(&fleet, None));
        fleet
            .apply(id, RunId(1), &row(31, 31_000, 7), UnixMs(31_000))
            .unwrap();
        take(watch.updates(&fleet, None));
        let mut want: Vec<_> = (11..=30).map(|n| (n * 1000, n * 10)).collect();
        want.push((31_000, 7));
        assert_eq!(seen, want);
    }
}
