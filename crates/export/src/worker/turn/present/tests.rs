//! Turns of engines that want no past, against a model of a hub.

use std::sync::{Arc, Mutex, PoisonError};

use sysmon_clock::{ManualTime, Random};
use sysmon_wire::message::HostState;
use sysmon_wire::metrics::SUMMARY;
use sysmon_wire::timeline::{Event, EventKind};
use sysmon_wire::{ABSENT, Label, UnixMs};

use super::*;
use crate::worker::{Status, WorkerOptions};
use crate::{
    Batch, Committed, Engine, EngineError, HostMinutes, HostNow, HostRows, LateRows, Sent, Source,
    SourceError, Span,
};

const BEGIN: i64 = 1_700_000_000_000;

/// A hub with one host and some events, and an engine with a stream whose ids only rise.
#[derive(Default)]
struct Model {
    newest_event: i64,
    stream: Vec<(i64, i64)>,
    has_present: usize,
    fails: bool,
    created: i64,
    position: Option<EventPosition>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Model>>);

impl Shared {
    fn with<R>(&self, work: impl FnOnce(&mut Model) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Source for Shared {
    fn committed(&mut self) -> Committed {
        unreachable!("the past is not asked for")
    }

    fn present(&mut self) -> Result<Vec<HostNow>, SourceError> {
        Ok(vec![HostNow {
            host: "a".into(),
            state: HostState::Live,
            time: UnixMs(BEGIN),
            values: [ABSENT; SUMMARY],
        }])
    }

    fn late_since(&mut self, _: i64) -> Result<Vec<LateRows>, SourceError> {
        unreachable!("the past is not asked for")
    }

    fn newest_late(&mut self) -> Result<i64, SourceError> {
        unreachable!("the past is not asked for")
    }

    fn rows(&mut self, _: &Label, _: Span) -> Result<Option<HostRows>, SourceError> {
        unreachable!("the past is not asked for")
    }

    fn minutes(&mut self, _: &Label, _: Span) -> Result<Option<HostMinutes>, SourceError> {
        unreachable!("the past is not asked for")
    }

    fn oldest(&mut self, _: &Label) -> Result<Option<UnixMs>, SourceError> {
        unreachable!("the past is not asked for")
    }

    fn exports_events_of(&self, host: &Label) -> bool {
        *host != "left-out"
    }

    fn newest_event(&mut self) -> Result<i64, SourceError> {
        Ok(self.with(|model| model.newest_event))
    }

    fn events_since(&mut self, id: i64) -> Result<Vec<(i64, Event)>, SourceError> {
        let event = |id| {
            let event = Event {
                time: UnixMs(BEGIN),
                host: "a".into(),
                kind: EventKind::Joined,
                text: "".into(),
            };
            (id, event)
        };
        let newest = self.with(|model| model.newest_event);
        Ok((id + 1..=newest).take(7).map(event).collect())
    }
}

impl Engine for Shared {
    fn batch_cells(&self) -> usize {
        0
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn wants_past(&self) -> bool {
        false
    }

    fn takes_events(&self) -> bool {
        true
    }

    fn event_position(&self) -> Option<EventPosition> {
        self.with(|model| model.position)
    }

    fn send_present(&mut self, present: &Present<'_>) -> Result<Sent, EngineError> {
        self.with(|model| {
            if model.fails {
                return Err(EngineError::unavailable("down"));
            }
            model.has_present += present.hosts.len();
            model.created = present.created.0;
            model.position = Some(match model.stream.last() {
                Some((created, id)) => EventPosition::Newest {
                    created: UnixMs(*created),
                    id: *id,
                },
                None => EventPosition::Empty { room: 100 },
            });
            Ok(Sent::default())
        })
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<Sent, EngineError> {
        self.with(|model| {
            for (id, _) in batch.events {
                let id = (batch.cursor.created.0, *id);
                assert!(
                    model.stream.last() < Some(&id),
                    "{id:?} stands in the stream twice or out of order"
                );
                model.stream.push(id);
            }
            Ok(Sent::default())
        })
    }

    fn test(&mut self) -> Result<String, EngineError> {
        Ok(String::new())
    }
}

struct Scene {
    dir: tempfile::TempDir,
    time: ManualTime,
    model: Shared,
    turns: Turns,
    status: Arc<Mutex<Status>>,
}

impl Scene {
    fn new(newest_event: i64) -> Self {
        let (dir, time) = (tempfile::tempdir().unwrap(), ManualTime::new(UnixMs(BEGIN)));
        let (model, status) = (Shared::default(), Arc::default());
        model.with(|model| model.newest_event = newest_event);
        let turns = turns(&dir, &time, &model, &status);
        let mut scene = Self {
            dir,
            time,
            model,
            turns,
            status,
        };
        scene.run(1);
        scene
    }

    fn restart(&mut self) {
        self.turns = turns(&self.dir, &self.time, &self.model, &self.status);
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 2 {
            self.turns.turn();
            self.time.advance(Duration::from_millis(500));
        }
    }

    fn ids(&self) -> Vec<i64> {
        let stream = self.model.with(|model| model.stream.clone());
        stream.into_iter().map(|(_, id)| id).collect()
    }

    fn status(&self) -> Status {
        lock(&self.status).clone()
    }
}

fn turns(
    dir: &tempfile::TempDir,
    time: &ManualTime,
    model: &Shared,
    status: &Arc<Mutex<Status>>,
) -> Turns {
    let options = WorkerOptions {
        name: "hot".to_owned(),
        cursor: dir.path().join("hot.json"),
        every: None,
        clock: time.clock(),
        random: Random::seeded(7),
    };
    Turns::new(
        options,
        Box::new(model.clone()),
        Box::new(model.clone()),
        Arc::clone(status),
    )
}

#[test]
fn the_present_is_sent_each_interval_and_events_once() {
    let mut scene = Scene::new(20);
    assert_eq!(
        scene.ids(),
        (1..=20).collect::<Vec<_>>(),
        "an empty stream is filled"
    );
    let before = scene.model.with(|model| model.has_present);
    scene.run(10);
    assert_eq!(scene.model.with(|model| model.has_present), before + 10);
    scene.model.with(|model| model.newest_event = 25);
    scene.run(1);
    assert_eq!(scene.ids(), (1..=25).collect::<Vec<_>>());
    assert_eq!(
        (scene.status().lag_ms, scene.status().state),
        (0, State::Running)
    );
}

#[test]
fn a_hub_that_was_killed_before_it_stored_its_cursor_sends_no_event_twice() {
    let mut scene = Scene::new(5);
    let old = std::fs::read(scene.dir.path().join("hot.json")).unwrap();
    scene.model.with(|model| model.newest_event = 9);
    scene.run(1);
    std::fs::write(scene.dir.path().join("hot.json"), old).unwrap();
    scene.restart();
    scene.model.with(|model| model.newest_event = 11);
    scene.run(1);
    assert_eq!(scene.ids(), (1..=11).collect::<Vec<_>>());
}

#[test]
fn a_stream_that_was_lost_is_filled_again_and_one_of_a_later_history_is_continued() {
    let mut scene = Scene::new(250);
    scene.model.with(|model| model.stream.clear());
    scene.run(1);
    assert_eq!(
        scene.ids(),
        (151..=250).collect::<Vec<_>>(),
        "as many as there is room for"
    );
    // The history is restored from before event 200, and other events get its ids.
    scene.model.with(|model| model.newest_event = 199);
    scene.run(1);
    scene.model.with(|model| model.newest_event = 202);
    scene.run(1);
    assert_eq!(scene.ids().split_off(100), [200, 201, 202]);
    let created = scene.model.with(|model| model.created);
    scene.restart();
    scene.run(1);
    assert_eq!(
        scene.model.with(|model| model.created),
        created,
        "it is stored"
    );
}

#[test]
fn an_outage_shows_as_lag_and_pausing_stops_everything() {
    let mut scene = Scene::new(0);
    scene.model.with(|model| model.fails = true);
    scene.run(30);
    assert!(matches!(scene.status().state, State::Failing { .. }));
    assert!(
        (25_000..=31_000).contains(&scene.status().lag_ms),
        "{}",
        scene.status().lag_ms
    );
    scene.model.with(|model| model.fails = false);
    scene.run(70);
    assert_eq!(
        (scene.status().lag_ms, scene.status().state),
        (0, State::Running)
    );
    scene.turns.set_paused(true);
    let before = scene.model.with(|model| model.has_present);
    scene.run(20);
    assert_eq!(scene.model.with(|model| model.has_present), before);
    assert_eq!(scene.status().state, State::Paused);
    scene.turns.set_paused(false);
    scene.run(2);
    assert!(scene.model.with(|model| model.has_present) > before);
}

fn aligned(event: i64, position: EventPosition, newest: i64) -> (i64, i64) {
    let mut cursor = Cursor::new(&Committed::default(), 0, event, UnixMs(100));
    cursor.created = UnixMs(100);
    align(&mut cursor, position, newest, UnixMs(900));
    (cursor.created.0, cursor.event)
}

fn newest(created: i64, id: i64) -> EventPosition {
    EventPosition::Newest {
        created: UnixMs(created),
        id,
    }
}

#[test]
fn events_go_on_after_the_newest_that_the_engine_has() {
    assert_eq!(aligned(40, newest(100, 40), 40), (100, 40));
    assert_eq!(
        aligned(40, newest(100, 30), 50),
        (100, 30),
        "the engine was restored from a backup"
    );
    assert_eq!(
        aligned(40, newest(7, 9_000), 50),
        (100, 40),
        "of an earlier cursor"
    );
    assert_eq!(
        aligned(50, newest(2_000, 3), 60),
        (2_001, 50),
        "of a hub with a later clock"
    );
}
