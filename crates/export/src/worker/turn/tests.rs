//! Turns against a model of a hub and of an engine: what is sent, and when.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use sysmon_clock::{ManualTime, Random};
use sysmon_wire::metrics::LOAD_1M;
use sysmon_wire::timeline::EventKind;
use sysmon_wire::{HostFacts, SeriesKey};

use super::*;
use crate::{HostNow, LateRows, Span, Step};

const BEGIN: i64 = 1_700_000_000_000;

/// A hub with one series for each host.
#[derive(Default)]
struct FakeHub {
    rows: BTreeMap<Label, Vec<i64>>,
    late: Vec<LateRows>,
    /// Rows before this are gone.
    horizon: i64,
    /// Hosts of events, the first of which has the id 1.
    events: Vec<Label>,
}

impl FakeHub {
    fn add(&mut self, host: &str, time: i64) {
        let rows = self.rows.entry(host.into()).or_default();
        if rows.last().is_some_and(|newest| time <= *newest) {
            self.late.push(LateRows {
                id: self.late.len() as i64 + 1,
                host: host.into(),
                span: Span::from((time, time)),
            });
        }
        rows.push(time);
        rows.sort_unstable();
    }
}

#[derive(Default)]
struct FakeEngine {
    got: Vec<(Label, i64)>,
    stored: Option<Cursor>,
    stores: bool,
    fails: Option<&'static str>,
    gone: Vec<Label>,
    batches: Vec<usize>,
    events: Vec<(i64, Label)>,
}

#[derive(Default)]
struct Shared<T>(Arc<Mutex<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Shared<T> {
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Source for Shared<FakeHub> {
    fn present(&mut self) -> Result<Vec<HostNow>, SourceError> {
        Ok(Vec::new())
    }

    fn committed(&mut self) -> Committed {
        let newest = |hub: &mut FakeHub| {
            let hosts = hub.rows.iter();
            hosts
                .filter_map(|(host, rows)| Some((host.clone(), UnixMs(*rows.last()?))))
                .collect()
        };
        Committed {
            newest: self.with(newest),
            ..Committed::default()
        }
    }

    fn late_since(&mut self, id: i64) -> Result<Vec<LateRows>, SourceError> {
        Ok(self.with(|hub| {
            hub.late
                .iter()
                .filter(|late| late.id > id)
                .cloned()
                .collect()
        }))
    }

    fn newest_late(&mut self) -> Result<i64, SourceError> {
        Ok(self.with(|hub| hub.late.len() as i64))
    }

    fn rows(&mut self, host: &Label, span: Span) -> Result<Option<HostRows>, SourceError> {
        let times: Vec<i64> = self.with(|hub| {
            let rows = hub.rows.get(host).cloned().unwrap_or_default();
            let held = rows.into_iter().filter(|time| *time >= hub.horizon);
            held.filter(|time| (span.from.0..=span.to.0).contains(time))
                .collect()
        });
        let key: Arc<SeriesKey> = Arc::new(LOAD_1M.series(&[]));
        let ranked = Arc::new(LOAD_1M.series(&[("sysmon.rank", "1")]));
        Ok(Some(HostRows {
            host: host.clone(),
            facts: Arc::new(HostFacts::unknown()),
            columns: vec![
                times.iter().map(|time| *time as f64).collect(),
                vec![1.0; times.len()],
            ],
            keys: vec![key, ranked],
            times,
            span,
            step: Step::Rows,
            is_late: false,
        }))
    }

    fn oldest(&mut self, host: &Label) -> Result<Option<UnixMs>, SourceError> {
        let oldest = |hub: &mut FakeHub| {
            let rows = hub.rows.get(host)?.iter().copied();
            rows.filter(|time| *time >= hub.horizon).min().map(UnixMs)
        };
        Ok(self.with(oldest))
    }

    fn exports_events_of(&self, host: &Label) -> bool {
        *host != "left-out"
    }

    fn newest_event(&mut self) -> Result<i64, SourceError> {
        Ok(0)
    }

    fn events_since(&mut self, id: i64) -> Result<Vec<(i64, Event)>, SourceError> {
        let event = |(id, host): (i64, &Label)| {
            let event = Event {
                time: UnixMs(BEGIN),
                host: host.clone(),
                kind: EventKind::Joined,
                text: "".into(),
            };
            (id, event)
        };
        let new = |hub: &mut FakeHub| {
            let events = (1..).zip(&hub.events).filter(|(number, _)| *number > id);
            events.map(event).collect()
        };
        Ok(self.with(new))
    }
}

impl Engine for Shared<FakeEngine> {
    fn batch_cells(&self) -> usize {
        40
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn takes_events(&self) -> bool {
        true
    }

    fn stores_cursor(&self) -> bool {
        self.with(|engine| engine.stores)
    }

    fn stored_cursor(&mut self) -> Result<Option<Cursor>, EngineError> {
        Ok(self.with(|engine| engine.stored.clone()))
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<Sent, EngineError> {
        self.with(|engine| {
            if let Some(reason) = engine.fails {
                return Err(EngineError::unavailable(reason));
            }
            engine
                .batches
                .push(batch.hosts.iter().map(HostRows::cells).sum());
            for rows in batch.hosts {
                assert_eq!(rows.keys.len(), 1, "ranks are not exported");
                engine
                    .got
                    .extend(rows.times.iter().map(|time| (rows.host.clone(), *time)));
            }
            engine.gone.extend(batch.gone.iter().cloned());
            let events = batch.events.iter();
            engine
                .events
                .extend(events.map(|(id, event)| (*id, event.host.clone())));
            engine.stored = Some(batch.cursor.clone());
            Ok(Sent {
                samples: batch.hosts.iter().map(|rows| rows.samples() as u64).sum(),
                ..Sent::default()
            })
        })
    }

    fn test(&mut self) -> Result<String, EngineError> {
        Ok(String::new())
    }
}

struct Scene {
    dir: tempfile::TempDir,
    time: ManualTime,
    hub: Shared<FakeHub>,
    engine: Shared<FakeEngine>,
    turns: Turns,
    status: Arc<Mutex<Status>>,
}

impl Scene {
    fn new() -> Self {
        let (hub, engine): (Shared<FakeHub>, Shared<FakeEngine>) = Default::default();
        let (dir, time) = (tempfile::tempdir().unwrap(), ManualTime::new(UnixMs(BEGIN)));
        let status = Arc::default();
        let turns = turns(&dir, &time, &hub, &engine, &status);
        let mut scene = Self {
            dir,
            time,
            hub,
            engine,
            turns,
            status,
        };
        scene.turns.turn();
        scene
    }

    /// Another thread for the same destination, as after a restart of the hub.
    fn restart(&mut self) {
        self.turns = turns(&self.dir, &self.time, &self.hub, &self.engine, &self.status);
    }

    /// Lets time pass while each second has a row of these hosts.
    fn run(&mut self, seconds: i64, hosts: &[&str]) {
        for _ in 0..seconds {
            self.time.advance(Duration::from_secs(1));
            let now = self.time.clock().now().0;
            self.hub
                .with(|hub| hosts.iter().for_each(|host| hub.add(host, now)));
            self.turns.turn();
        }
    }

    /// Takes turns until nothing is pending, and ten seconds more for live rows.
    fn settle(&mut self) {
        self.run(1, &[]);
        for _ in 0..10_000 {
            self.time.advance(Duration::from_millis(100));
            self.turns.turn();
        }
    }

    fn missing(&self) -> usize {
        let got = self.engine.with(|engine| engine.got.clone());
        let all = self.hub.with(|hub| hub.rows.clone());
        let all = all
            .into_iter()
            .flat_map(|(host, rows)| rows.into_iter().map(move |row| (host.clone(), row)));
        all.filter(|row| !got.contains(row)).count()
    }

    fn status(&self) -> Status {
        lock(&self.status).clone()
    }
}

fn turns(
    dir: &tempfile::TempDir,
    time: &ManualTime,
    hub: &Shared<FakeHub>,
    engine: &Shared<FakeEngine>,
    status: &Arc<Mutex<Status>>,
) -> Turns {
    let options = WorkerOptions {
        name: "vm".to_owned(),
        cursor: dir.path().join("vm.json"),
        every: None,
        clock: time.clock(),
        random: Random::seeded(7),
    };
    Turns::new(
        options,
        Box::new(engine.clone()),
        Box::new(hub.clone()),
        Arc::clone(status),
    )
}

#[test]
fn an_engine_gets_after_an_outage_and_a_restart_what_it_missed() {
    let mut scene = Scene::new();
    scene.run(30, &["a", "b"]);
    scene
        .engine
        .with(|engine| engine.fails = Some("connection refused"));
    scene.run(300, &["a", "b"]);
    let status = scene.status();
    assert!(matches!(&status.state, State::Failing { error, .. } if error == "connection refused"));
    assert!(status.lag_ms > 290_000, "{}", status.lag_ms);
    scene.restart();
    scene.run(60, &["a", "b"]);
    scene.engine.with(|engine| engine.fails = None);
    scene.settle();
    assert_eq!(scene.missing(), 0);
    let status = scene.status();
    assert_eq!(
        (status.state, status.pending_ms, status.lag_ms),
        (State::Running, 0, 0)
    );
    assert!(
        scene
            .engine
            .with(|engine| engine.batches.iter().all(|cells| *cells < 200)),
        "batches are bounded"
    );
}

#[test]
fn late_rows_and_the_past_on_demand_are_sent() {
    let mut scene = Scene::new();
    scene.run(40, &["a"]);
    scene
        .hub
        .with(|hub| (1..20).for_each(|second| hub.add("a", BEGIN - 60_000 + second * 1_000)));
    scene.settle();
    assert_eq!(scene.missing(), 0);
    scene.hub.with(|hub| {
        hub.rows
            .get_mut(&Label::new("a"))
            .unwrap()
            .insert(0, BEGIN - 500_000);
    });
    scene.settle();
    assert_eq!(
        scene.missing(),
        1,
        "nobody asked for rows from before the destination"
    );
    scene.turns.backfill(UnixMs(BEGIN - 600_000));
    assert!(scene.status().pending_ms > 0);
    scene.settle();
    assert_eq!(scene.missing(), 0);
}

#[test]
fn a_paused_destination_gets_nothing_over_restarts_and_everything_afterwards() {
    let mut scene = Scene::new();
    scene.run(20, &["a"]);
    scene.turns.set_paused(true);
    let before = scene.engine.with(|engine| engine.got.len());
    scene.restart();
    scene.run(200, &["a"]);
    assert_eq!(scene.engine.with(|engine| engine.got.len()), before);
    assert_eq!(scene.status().state, State::Paused);
    scene.turns.set_paused(false);
    scene.settle();
    assert_eq!(scene.missing(), 0);
}

#[test]
fn an_engine_that_stores_the_cursor_gets_each_row_once_whatever_the_file_says() {
    let mut scene = Scene::new();
    scene.engine.with(|engine| engine.stores = true);
    scene.restart();
    scene.turns.turn();
    scene.run(35, &["a"]);
    std::fs::write(scene.dir.path().join("vm.json"), "{}").unwrap();
    scene.restart();
    scene.run(35, &["a"]);
    scene.settle();
    let got = scene.engine.with(|engine| engine.got.clone());
    let once: std::collections::BTreeSet<_> = got.iter().cloned().collect();
    assert_eq!((got.len(), scene.missing()), (once.len(), 0));
}

#[test]
fn what_the_history_has_removed_meanwhile_is_counted_as_lost() {
    let mut scene = Scene::new();
    scene.run(20, &["a"]);
    scene.engine.with(|engine| engine.fails = Some("away"));
    scene.run(600, &["a"]);
    scene.hub.with(|hub| hub.horizon = BEGIN + 400_000);
    scene.engine.with(|engine| engine.fails = None);
    scene.settle();
    let lost = scene.status().lost_ms;
    assert!((370_000..=400_000).contains(&lost), "{lost}");
    assert_eq!(scene.status().pending_ms, 0);
}

#[test]
fn a_forgotten_host_is_told_to_the_engine_even_if_it_fails_at_first() {
    let mut scene = Scene::new();
    scene.run(20, &["a", "b"]);
    scene.engine.with(|engine| engine.fails = Some("away"));
    scene
        .hub
        .with(|hub| drop(hub.rows.remove(&Label::new("b"))));
    scene.run(20, &["a"]);
    scene.engine.with(|engine| engine.fails = None);
    scene.settle();
    assert_eq!(
        scene.engine.with(|engine| engine.gone.clone()),
        [Label::new("b")]
    );
}

#[test]
fn events_of_hosts_that_are_left_out_are_passed_over() {
    let mut scene = Scene::new();
    scene
        .hub
        .with(|hub| hub.events = ["a", "left-out", "b", "left-out"].map(Label::new).to_vec());
    scene.settle();
    scene.restart();
    scene.settle();
    let events = scene.engine.with(|engine| engine.events.clone());
    assert_eq!(events, [(1, Label::new("a")), (3, Label::new("b"))]);
    let cursor = scene.engine.with(|engine| engine.stored.clone());
    assert_eq!(cursor.unwrap().event, 4, "none is looked at again");
}

#[test]
fn an_engine_that_was_restored_from_a_backup_gets_again_what_it_lacks() {
    let mut scene = Scene::new();
    scene.engine.with(|engine| engine.stores = true);
    scene.run(30, &["a"]);
    let (got, stored) = scene
        .engine
        .with(|engine| (engine.got.clone(), engine.stored.clone()));
    scene.run(200, &["a", "b"]);
    scene
        .engine
        .with(|engine| engine.fails = Some("connection refused"));
    scene.run(20, &["a", "b"]);
    scene.engine.with(|engine| {
        (engine.got, engine.stored, engine.fails) = (got, stored, None);
    });
    scene.settle();
    assert_eq!(scene.missing(), 0);
}
