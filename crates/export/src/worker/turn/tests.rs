//! Turns against a model of a hub and of an engine: what is sent, and when.

mod model;

use std::collections::BTreeMap;

use sysmon_clock::{ManualTime, Random};

use super::*;
use model::{FakeEngine, FakeHub, MINUTE_MS, Shared};

const BEGIN: i64 = 1_700_000_000_000;

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

    /// The rows of whole minutes since the destination was made.
    fn whole_minutes(&self) -> BTreeMap<(Label, i64), Vec<i64>> {
        let mut minutes: BTreeMap<_, Vec<i64>> = BTreeMap::new();
        for (host, rows) in self.hub.with(|hub| hub.rows.clone()) {
            let end = UnixMs(rows.last().unwrap() + 1).floor(MINUTE_MS).0;
            for time in rows.into_iter().filter(|time| *time < end) {
                let at = (host.clone(), UnixMs(time).floor(MINUTE_MS).0);
                minutes.entry(at).or_default().push(time);
            }
        }
        minutes
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
fn minutes_are_of_all_their_rows_after_outages_restarts_and_late_rows() {
    let mut scene = Scene::new();
    scene.engine.with(|engine| engine.stores = true);
    scene.restart();
    scene.turns.turn();
    scene.run(250, &["a", "b"]);
    scene.engine.with(|engine| engine.fails = Some("away"));
    scene.run(333, &["a"]);
    scene.restart();
    scene.engine.with(|engine| engine.fails = None);
    scene.run(95, &["a", "b"]);
    scene.hub.with(|hub| {
        (0..90).for_each(|second| hub.add("b", BEGIN + 300_000 + second * 1_000));
        hub.add("a", BEGIN + 61_500);
        hub.add("a", BEGIN + 119_999);
    });
    scene.settle();
    assert_eq!(scene.missing(), 0);
    let minutes = scene.engine.with(|engine| engine.minutes.clone());
    assert_eq!(minutes, scene.whole_minutes());
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
