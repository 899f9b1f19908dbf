//! Time of queries, of history on disk and of the start of a hub, with a day of real rows.
//!
//! `cargo bench -p sysmon-bench --bench fleet`. Hosts are copies of one recorded machine.
#![expect(clippy::print_stdout, reason = "prints its report")]
#![allow(clippy::disallowed_methods, reason = "measures real time")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use sysmon_bench::recording::Recording;
use sysmon_bench::tape::Tape;
use sysmon_hub::changes;
use sysmon_hub::core::Core;
use sysmon_hub::fleet::{Fleet, FleetOptions};
use sysmon_hub::query::{Past, Plan, combine};
use sysmon_hub::view::{SparkRequest, fleet_picture};
use sysmon_series::{Changes, Chunk, HeadChanges};
use sysmon_store::store::{Reader, Store};
use sysmon_store::{Batch, BatchSeries, HostBatch, Limits, Tier};
use sysmon_wire::message::{Aggregate, Group, Points, Query, Reply, RunId};
use sysmon_wire::{Label, Row, SeriesKey, UnixMs, codec};

/// The same allocator as the hub.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A day, at one row per second.
const ROWS: i64 = 86_400;

/// Rows per commit, to save time; a hub commits every second.
const ROWS_PER_COMMIT: i64 = 10;

/// Time of row 0: the start of a day.
const START_MS: i64 = 1_700_006_400_000;

const END: UnixMs = UnixMs(START_MS + ROWS * 1000);

/// Hosts with a day of rows each.
const HOSTS: usize = 100;

/// Hosts whose newest values are requested.
const MANY_HOSTS: usize = 10_000;

/// Hosts shown at a past moment, and the rows of each.
const PAST_HOSTS: usize = 1_000;
const PAST_ROWS: i64 = 900;

const POINTS: i64 = 200;

/// Attempts per measurement; the shortest counts, because the others were disturbed.
const TRIES: usize = 5;

fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let tape = Tape::new(&Recording::load()?, None)?;
    let day = Day::write(&tape, &dir.path().join("one.db"))?;
    day.report()?;
    day.report_start(&dir.path().join("many.db"))?;
    let core = day.core()?;
    day.report_queries(&core.fleet)?;
    report_noon(&core.fleet)?;
    drop(core);
    report_newest(&tape)?;
    report_moment(&tape)
}

fn options() -> FleetOptions {
    FleetOptions {
        stale_after: Duration::from_secs(5),
        offline_after: Duration::from_secs(30),
        retention: Duration::from_hours(25),
        memory_bytes: 8 << 30,
    }
}

fn limits() -> Limits {
    Limits {
        bytes: u64::MAX,
        rows: Duration::from_hours(25),
        minutes: Duration::from_hours(24 * 30),
        hours: Duration::from_hours(24 * 730),
    }
}

/// The shortest time of all attempts in milliseconds, and its result.
fn quickest<T>(mut run: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<(f64, T)> {
    let mut best: Option<(f64, T)> = None;
    for _ in 0..TRIES {
        let start = Instant::now();
        let result = run()?;
        let took = start.elapsed().as_secs_f64() * 1000.0;
        if best.as_ref().is_none_or(|(quickest, _)| took < *quickest) {
            best = Some((took, result));
        }
    }
    best.context("no attempt")
}

fn print(what: &str, took: f64, unit: &str, aim: Option<f64>) {
    let verdict = aim.map_or(String::new(), |aim| {
        let met = if took <= aim { "met" } else { "missed" };
        format!("   aim {aim}: {met}")
    });
    println!("{what:<62} {took:>9.3} {unit}{verdict}");
}

/// A day of one host, in memory and on disk.
struct Day {
    keys: Vec<Arc<SeriesKey>>,
    chunks: Vec<Chunk>,
    head: Vec<u8>,
    path: std::path::PathBuf,
    commits: Duration,
    values: f64,
}

impl Day {
    fn write(tape: &Tape, path: &Path) -> anyhow::Result<Self> {
        let mut core = Core::new(options());
        core.track_unsaved();
        let id = core.host_id(&Label::new("host-0"))?;
        core.fleet.series(id, tape.keys().to_vec());
        let mut store = Store::open(path)?;
        let mut position = tape.start(0);
        let mut row = Row {
            values: vec![0; tape.keys().len()],
            ..Row::default()
        };
        let mut head = Vec::new();
        let mut commits = Duration::ZERO;
        for n in 0..ROWS {
            row.seq += 1;
            row.time = UnixMs(START_MS + n * 1000);
            tape.play(&mut position, &mut row.values);
            core.apply(id, RunId(1), &row, row.time)?;
            if n % ROWS_PER_COMMIT != ROWS_PER_COMMIT - 1 {
                continue;
            }
            let batch = core.take_batch(row.time);
            for host in &batch.hosts {
                let [changes, _] = &host.ring.heads;
                if changes.restarted {
                    head.clear();
                }
                head.extend_from_slice(&changes.bytes);
            }
            let start = Instant::now();
            store.commit(&batch)?;
            commits += start.elapsed();
        }
        let reader = Reader::open(path)?;
        let places = reader.newest_first(UnixMs(0))?;
        let chunks = places
            .into_iter()
            .filter_map(|place| reader.read(place).transpose())
            .map(|found| found.map(|(_, chunk)| chunk))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            keys: tape.keys().iter().cloned().map(Arc::new).collect(),
            chunks,
            head,
            path: path.to_owned(),
            commits,
            values: (ROWS as usize * tape.keys().len()) as f64,
        })
    }

    fn report(&self) -> anyhow::Result<()> {
        println!("a day of {} series of one host on disk\n", self.keys.len());
        let mut store = Store::open(&self.path)?;
        store.load()?;
        let sealed: usize = self.chunks.iter().map(|chunk| chunk.encode().len()).sum();
        print(
            "bytes per value, sealed",
            sealed as f64 / self.values,
            "",
            Some(0.5),
        );
        print(
            "bytes per value, file and log",
            store.bytes() as f64 / self.values,
            "",
            None,
        );
        let commits = ROWS / ROWS_PER_COMMIT;
        let commit = self.commits.as_secs_f64() * 1000.0 / commits as f64;
        let text = format!("a commit of {ROWS_PER_COMMIT} rows, synced");
        print(&text, commit, "ms", None);
        let (start, mut windows) = (Instant::now(), 0);
        while store.roll_up(END + 3_600_000)? {
            windows += 1;
        }
        let took = start.elapsed().as_secs_f64() * 1000.0;
        print(
            "roll-up of two hours of rows",
            took / f64::from(windows),
            "ms",
            None,
        );
        let reader = Reader::open(&self.path)?;
        for (tier, days) in [(Tier::Minute, 30.0), (Tier::Hour, 730.0)] {
            let series: Vec<SeriesKey> = self.keys.iter().map(|key| (**key).clone()).collect();
            let found = reader.buckets(&Label::new("host-0"), tier, &series, UnixMs(0), END)?;
            let found = found.parts;
            let bytes: usize = found.iter().map(|(_, chunk)| chunk.encode().len()).sum();
            let first = found.iter().filter(|(part, _)| *part == 0);
            let rows: usize = first.map(|(_, chunk)| chunk.rows()).sum();
            let buckets_a_day = 86_400_000.0 / tier.step_ms() as f64;
            let stored = bytes as f64 / rows as f64 * buckets_a_day * days / 1e6;
            print(
                &format!("{tier:?}s of a host, {days} days"),
                stored,
                "MB",
                None,
            );
        }
        println!();
        Ok(())
    }

    /// Time until a hub with a day of many hosts on disk is ready.
    fn report_start(&self, path: &Path) -> anyhow::Result<()> {
        let mut store = Store::open(path)?;
        for number in 0..HOSTS {
            let host = HostBatch {
                name: Label::new(&format!("host-{number}")),
                facts: None,
                series: (0..).zip(self.keys.iter().map(stored)).collect(),
                retired: None,
                processes: Vec::new(),
                runs: Vec::new(),
                oldest_unsealed: None,
                late: None,
                ring: Changes {
                    chunks: self.chunks.clone(),
                    heads: [
                        HeadChanges {
                            restarted: true,
                            bytes: self.head.clone(),
                        },
                        HeadChanges::default(),
                    ],
                },
            };
            store.commit(&Batch {
                host_changes: Vec::new(),
                generation: 1,
                hosts: vec![host],
                events: Vec::new(),
                now: END,
            })?;
        }
        drop(store);
        println!("{HOSTS} hosts with a day of rows each\n");
        let (took, _) = quickest(|| {
            let mut core = Core::new(options());
            let mut store = Store::open(path)?;
            core.track_unsaved();
            store
                .load()?
                .into_iter()
                .for_each(|host| core.restore(host));
            Ok(core.fleet.hosts().count())
        })?;
        print("start until ready", took, "ms", Some(2_000.0));
        Ok(())
    }

    /// A fleet of copies of this day.
    fn core(&self) -> anyhow::Result<Core> {
        let mut core = Core::new(options());
        for number in 0..HOSTS {
            let name = Label::new(&format!("host-{number}"));
            let id = core.host_id(&name)?;
            core.fleet
                .series(id, self.keys.iter().map(|key| (**key).clone()).collect());
            for chunk in &self.chunks {
                core.fleet.restore_chunk(&name, chunk.clone());
            }
        }
        Ok(core)
    }

    fn report_queries(&self, fleet: &Fleet) -> anyhow::Result<()> {
        let reader = Reader::open(&self.path)?;
        let mean = Aggregate::Mean;
        let measure = |query: &Query| quickest(|| answer(fleet, &reader, query));
        for metric in ["load1", "net.rx"] {
            let (took, points) = measure(&day_query(metric, mean, None, 0))?;
            let series = points.len();
            let text = format!("a day of {metric}, {series} series, {POINTS} points");
            print(&text, took, "ms", Some(50.0));
        }
        let all = Group {
            by: Vec::new(),
            across: Aggregate::Sum,
        };
        let p95 = Aggregate::Quantile(950);
        let others = [
            (
                "a day of net.rx, summed over all hosts",
                day_query("net.rx", mean, Some(all), 0),
            ),
            (
                "the ten hosts with the highest load1 of a day",
                day_query("load1", mean, None, 10),
            ),
            (
                "95th percentiles of a day, from every row",
                day_query("load1", p95, None, 0),
            ),
        ];
        for (text, query) in &others {
            print(text, measure(query)?.0, "ms", None);
        }
        Ok(())
    }
}

/// A query over the whole day.
fn day_query(metric: &str, aggregate: Aggregate, group: Option<Group>, top: u16) -> Query {
    Query {
        metric: Label::new(metric),
        host: None,
        from: UnixMs(START_MS),
        to: END - 1,
        step_ms: ROWS * 1000 / POINTS,
        aggregate,
        group,
        top,
    }
}

fn stored(key: &Arc<SeriesKey>) -> Option<BatchSeries> {
    Some(BatchSeries {
        key: Arc::clone(key),
        idle_since: None,
    })
}

fn answer(fleet: &Fleet, reader: &Reader, query: &Query) -> anyhow::Result<Vec<Points>> {
    let plan = Plan::new(query, fleet, &limits(), END)?;
    let mut all = Vec::new();
    for (id, series) in &plan.hosts {
        let host = fleet.host(*id).context("no host")?;
        let past = match plan.tier() {
            Some(tier) => {
                // All hosts are copies of this one.
                let name = Label::new("host-0");
                let rolled = reader.rolled(&name)?;
                let from = plan.resample.from;
                let rows_from = plan.rows_from(tier, from, rolled);
                let key = |index: &u32| host.keys().get(*index as usize).map(|key| (**key).clone());
                let keys: Vec<SeriesKey> = series.iter().filter_map(key).collect();
                Past {
                    buckets: reader.buckets(&name, tier, &keys, from, rows_from)?,
                    rows_from,
                    ..Past::default()
                }
            }
            None => Past::default(),
        };
        all.extend(plan.of_host(host.into(), series, &past)?);
    }
    Ok(combine(all, query.group.as_ref(), query.top.into()))
}

fn report_noon(fleet: &Fleet) -> anyhow::Result<()> {
    let (took, found) = quickest(|| {
        let mut all = Vec::new();
        for (_, host) in fleet.machines() {
            all.extend(changes::of_host(host.into(), END - 43_200_000, 100)?);
        }
        Ok(changes::ranked(all, 100).len())
    })?;
    print(
        &format!("significant changes at noon, {found} found"),
        took,
        "ms",
        None,
    );
    let sparks = SparkRequest {
        points: 60,
        step_ms: 1000,
        aliases: vec![0, 3],
    };
    let noon = Some(END - 43_200_000);
    let (took, _) = quickest(|| Ok(fleet_picture(&fleet.view(), noon, END, &sparks).len()))?;
    print(
        "the fleet at noon, with two sparklines per host",
        took,
        "ms",
        Some(100.0),
    );
    println!();
    Ok(())
}

fn report_newest(tape: &Tape) -> anyhow::Result<()> {
    println!("{MANY_HOSTS} hosts\n");
    let mut core = Core::new(options());
    let mut row = Row {
        seq: 1,
        time: UnixMs(START_MS),
        values: vec![0; tape.keys().len()],
    };
    for number in 0..MANY_HOSTS {
        let id = core.host_id(&Label::new(&format!("host-{number}")))?;
        core.fleet.series(id, tape.keys().to_vec());
        tape.play(&mut tape.start(number as u64), &mut row.values);
        core.apply(id, RunId(1), &row, row.time)?;
    }
    let none = SparkRequest {
        points: 0,
        step_ms: 1000,
        aliases: Vec::new(),
    };
    let (took, frames) = quickest(|| Ok(fleet_picture(&core.fleet.view(), None, row.time, &none)))?;
    print("newest values of all hosts", took, "ms", Some(5.0));
    let replies: Vec<Reply> = frames.into_iter().map(Reply::Fleet).collect();
    let (took, bytes) = quickest(|| {
        let mut bytes = 0;
        for reply in &replies {
            let mut out = Vec::new();
            codec::encode(reply, &mut out)?;
            bytes += out.len();
        }
        Ok(bytes)
    })?;
    print(&format!("encoded to {bytes} bytes"), took, "ms", None);
    Ok(())
}

/// The requests of a terminal that opens a moment of the past.
fn report_moment(tape: &Tape) -> anyhow::Result<()> {
    println!("\n{PAST_HOSTS} hosts\n");
    let mut core = Core::new(options());
    let mut row = Row {
        values: vec![0; tape.keys().len()],
        ..Row::default()
    };
    for number in 0..PAST_HOSTS {
        let id = core.host_id(&Label::new(&format!("host-{number}")))?;
        core.fleet.series(id, tape.keys().to_vec());
        let mut position = tape.start(number as u64);
        for n in 0..PAST_ROWS {
            row.seq = n as u64 + 1;
            row.time = UnixMs(START_MS + n * 1000);
            tape.play(&mut position, &mut row.values);
            core.apply(id, RunId(number as u64 + 1), &row, row.time)?;
        }
    }
    let now = row.time;
    let sparks = SparkRequest {
        points: 60,
        step_ms: 5000,
        aliases: vec![0, 4],
    };
    let none = SparkRequest {
        points: 0,
        ..sparks.clone()
    };
    let moment = Some(now - PAST_ROWS * 400);
    let (took, _) = quickest(|| Ok(fleet_picture(&core.fleet.view(), moment, now, &none)))?;
    print("values of all hosts at a past moment", took, "ms", None);
    let (took, frames) = quickest(|| Ok(fleet_picture(&core.fleet.view(), moment, now, &sparks)))?;
    print(
        "the same with two sparklines per host",
        took,
        "ms",
        Some(50.0),
    );
    let (took, bytes) = quickest(|| {
        let mut bytes = 0;
        for frame in &frames {
            let mut out = Vec::new();
            codec::encode(&Reply::Fleet(frame.clone()), &mut out)?;
            bytes += out.len();
        }
        Ok(bytes)
    })?;
    print(&format!("encoded to {bytes} bytes"), took, "ms", None);
    Ok(())
}
