//! Requests and rows with extreme numbers, rows of another host, and silences that are refused.

use std::time::Duration;

use sysmon_alerts::silence::SILENCES_MAX;
use sysmon_certs::Role;
use sysmon_clock::Clock;
use sysmon_link::HubSession;
use sysmon_wire::alerts::Alerts;
use sysmon_wire::message::{
    Aggregate, Blob, Group, Hello, Lane, Purpose, Push, Query, Reply, Request, RunId, TopBy,
};
use sysmon_wire::metrics::{ALIASES, UPTIME};
use sysmon_wire::timeline::EventKind;
use sysmon_wire::{Label, MINOR, RowEncoder, SeriesKey, SeriesTable, UnixMs};
use tokio::time::timeout;

use crate::raw::{agent, frame, hello};
use crate::scene::Scene;

const MIN: UnixMs = UnixMs(i64::MIN);
const MAX: UnixMs = UnixMs(i64::MAX);

/// Every kind of request for a span of time.
fn requests(host: &str, from: UnixMs, to: UnixMs) -> Vec<Request> {
    let name = || Label::new(host);
    let host = || Some(name());
    let mut all = vec![
        Request::Fleet {
            at: Some(to),
            once: true,
            spark_points: u16::MAX,
            spark_step_ms: u32::MAX,
            sparks: (0..=u8::MAX).collect(),
        },
        Request::Host {
            host: name(),
            from,
            until: Some(to),
        },
        Request::Processes {
            host: name(),
            at: Some(to),
        },
        Request::Changes {
            host: None,
            at: Some(to),
            limit: u16::MAX,
        },
        Request::Top {
            host: None,
            at: Some(to),
            by: TopBy::Disk,
            limit: u16::MAX,
            each: u16::MAX,
        },
        Request::Timeline {
            host: host(),
            from,
            to,
            steps: 0,
        },
        Request::Timeline {
            host: None,
            from,
            to,
            steps: u16::MAX,
        },
    ];
    for step_ms in [i64::MIN, -1, 0, 1, i64::MAX] {
        for aggregate in [
            Aggregate::Mean,
            Aggregate::Rate,
            Aggregate::Quantile(u16::MAX),
        ] {
            all.push(Request::Query(Query {
                metric: "cpu".into(),
                host: host(),
                from,
                to,
                step_ms,
                aggregate,
                group: None,
                top: 0,
            }));
            all.push(Request::Query(Query {
                metric: "net.rx".into(),
                host: None,
                from,
                to,
                step_ms,
                aggregate,
                group: Some(Group {
                    by: vec!["host".into(); 1000],
                    across: aggregate,
                }),
                top: u16::MAX,
            }));
        }
    }
    all
}

/// A task that panics leaves a stream that ends without `Complete`.
async fn is_answered(session: &HubSession, request: &Request) {
    let mut replies = session.request(request).await.unwrap();
    let mut last = None;
    while let Some(reply) = timeout(Duration::from_secs(30), replies.next())
        .await
        .unwrap()
        .unwrap()
    {
        last = Some(reply);
    }
    let is_whole = matches!(
        last,
        Some(Reply::Complete | Reply::Refused { .. } | Reply::Timeline(_))
    );
    assert!(is_whole, "{request:?} ended with {last:?}");
}

#[tokio::test]
async fn every_request_is_answered_whatever_its_numbers() {
    let scene = Scene::new().await;
    let session = scene.session(Role::Operator, "o").await;
    for (from, to) in [
        (MIN, MAX),
        (MAX, MIN),
        (MIN, MIN),
        (MAX, MAX),
        (UnixMs(0), UnixMs(0)),
    ] {
        for request in requests("good-1", from, to) {
            is_answered(&session, &request).await;
        }
    }
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn a_burst_is_bounded_whatever_is_requested() {
    let scene = Scene::new().await;
    let session = scene.session(Role::Operator, "o").await;
    let request = Request::Burst {
        host: "good-1".into(),
        interval_ms: 0,
        for_ms: u32::MAX,
    };
    let mut burst = session.request(&request).await.unwrap();
    assert!(matches!(burst.next().await.unwrap(), Some(Reply::Complete)));
    drop(burst);
    scene.stays_unharmed().await;
}

/// The certificate alone names the host.
#[tokio::test]
async fn rows_belong_to_the_host_that_the_certificate_names() {
    let scene = Scene::new().await;
    let time = || UnixMs::from_system(std::time::SystemTime::now());
    let series = Push::Series(SeriesTable::new(&[UPTIME.series(&[])]));
    let stream = |seq: u64| {
        let mut block = Vec::new();
        RowEncoder::new().encode(seq, time(), &[5], &mut block);
        let begin = Push::Begin {
            run: RunId(1),
            lane: Lane::Live,
        };
        [
            frame(&begin),
            frame(&series),
            frame(&Push::Keyframe(Blob(block))),
        ]
        .concat()
    };
    let evil = scene.session(Role::Agent, "evil").await;
    let mut rows = evil.connection.open_uni().await.unwrap();
    rows.write_all(&stream(1)).await.unwrap();
    scene
        .until("its row is there", || scene.health("evil").rows == 1)
        .await;
    // An operator with the name of a host cannot push.
    let operator = scene.session(Role::Operator, "good-1").await;
    let mut rows = operator.connection.open_uni().await.unwrap();
    rows.write_all(&stream(9_999_999)).await.unwrap();
    // An agent cannot make requests.
    for request in requests("good-1", MIN, MAX) {
        let mut replies = evil.request(&request).await.unwrap();
        match replies.next().await.unwrap() {
            Some(Reply::Refused { reason }) => {
                assert!(reason.as_str().contains("only certificate renewals"));
            }
            other => panic!("{request:?}: {other:?}"),
        }
    }
    scene.stays_unharmed().await;
}

/// Rows and clocks with extreme times.
#[tokio::test]
async fn rows_with_extreme_times_are_refused() {
    let scene = Scene::new().await;
    for now in [MIN, MAX, UnixMs(0)] {
        let said = Hello {
            now,
            ..hello(MINOR, Purpose::Push)
        };
        let evil = agent(&scene, "evil", &said).await;
        let connection = &evil.raw.connection;
        let begin = Push::Begin {
            run: RunId(2),
            lane: Lane::Live,
        };
        let series = Push::Series(SeriesTable::new(&[UPTIME.series(&[])]));
        for (seq, time) in [(1, MIN), (2, MAX), (3, UnixMs(0)), (u64::MAX, MAX)] {
            let mut block = Vec::new();
            RowEncoder::new().encode(seq, time, &[i64::MAX], &mut block);
            let mut rows = connection.open_uni().await.unwrap();
            let bytes = [
                frame(&begin),
                frame(&series),
                frame(&Push::Keyframe(Blob(block))),
            ]
            .concat();
            let _ = rows.write_all(&bytes).await;
            let _ = rows.finish();
            let _ = rows.stopped().await;
        }
        // A valid row after all the others.
        let mut block = Vec::new();
        let time = UnixMs::from_system(std::time::SystemTime::now());
        RowEncoder::new().encode(10 + now.0.unsigned_abs() % 5, time, &[1], &mut block);
        let mut rows = connection.open_uni().await.unwrap();
        let bytes = [
            frame(&begin),
            frame(&series),
            frame(&Push::Keyframe(Blob(block))),
        ]
        .concat();
        let before = scene.health("evil").rows;
        rows.write_all(&bytes).await.unwrap();
        scene
            .until("the row in time is there", || {
                scene.health("evil").rows > before
            })
            .await;
        assert_eq!(connection.close_reason(), None);
    }
    scene.stays_unharmed().await;
}

/// Every metric that screens and rules read, with a wrong scale and extreme values.
#[tokio::test]
async fn extreme_values_are_sent_like_others() {
    let scene = Scene::new().await;
    let evil = scene.session(Role::Agent, "evil").await;
    let operator = scene.session(Role::Operator, "o").await;
    for (run, scale) in [(1, i8::MAX), (2, i8::MIN), (3, 0)] {
        let keys: Vec<SeriesKey> = ALIASES
            .iter()
            .map(|alias| {
                let mut key = alias.metric.series(&[("x", &format!("{run}"))]);
                if run != 3 {
                    key.metric.scale = scale;
                } else {
                    key = alias.metric.series(&[]);
                }
                key
            })
            .collect();
        let begin = Push::Begin {
            run: RunId(run),
            lane: Lane::Live,
        };
        let mut encoder = RowEncoder::new();
        let mut block = Vec::new();
        let now = UnixMs::from_system(std::time::SystemTime::now());
        for seq in 1..=100u64 {
            let value = [i64::MAX, i64::MIN + 1, 0, -1, i64::MAX][seq as usize % 5];
            let time = now - 100_000 + seq as i64 * 1000;
            encoder.encode(seq, time, &vec![value; keys.len()], &mut block);
        }
        let mut rows = evil.connection.open_uni().await.unwrap();
        let bytes = [
            frame(&begin),
            frame(&Push::Series(SeriesTable::new(&keys))),
            frame(&Push::Keyframe(Blob(block))),
        ];
        rows.write_all(&bytes.concat()).await.unwrap();
        rows.finish().unwrap();
        scene
            .until("its rows are there", || {
                scene.health("evil").rows == 100 * run
            })
            .await;
        for request in requests("evil", now - 200_000, now) {
            is_answered(&operator, &request).await;
        }
    }
    scene.stays_unharmed().await;
}

fn silence(scope: &str, until: UnixMs, reason: &str) -> Request {
    Request::Silence {
        scope: scope.into(),
        until,
        reason: reason.into(),
    }
}

async fn answered(session: &HubSession, request: &Request) -> Result<Alerts, String> {
    let mut replies = session.request(request).await.unwrap();
    match replies.next().await.unwrap().unwrap() {
        Reply::Alerts(alerts) => Ok(alerts),
        Reply::Refused { reason } => Err(reason.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn silences_of_an_operator_are_checked_and_bounded() {
    let scene = Scene::new().await;
    let session = scene.session(Role::Operator, "jane").await;
    let now = Clock::system().now();
    let soon = now + 3_600_000;
    for (request, why) in [
        (silence("good-7", soon, ""), "no host is called \"good-7\""),
        (
            silence("good-1:nope", soon, ""),
            "no rule is called \"nope\"",
        ),
        (silence("#lab", soon, ""), "no host has the tag \"lab\""),
        (silence(&"a,".repeat(120), soon, ""), "host"),
        (silence("good-1", now - 1, ""), "in the future"),
        (silence("good-1", MIN, ""), "in the future"),
        (silence("good-1", MAX, ""), "a year at most"),
        (Request::Unsilence { id: "7".into() }, "no silence \"7\""),
    ] {
        let said = answered(&session, &request).await.unwrap_err();
        assert!(said.contains(why), "{request:?}: {said}");
    }
    // As many as there may be, and not one more.
    for _ in 0..SILENCES_MAX {
        answered(&session, &silence("good-*", soon, ""))
            .await
            .unwrap();
    }
    let full = answered(&session, &silence("good-*", soon, ""))
        .await
        .unwrap_err();
    assert!(full.contains("200 silences, the limit"), "{full}");
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn who_silenced_what_and_ended_it_is_in_the_audit_log_and_the_events() {
    let scene = Scene::new().await;
    let session = scene.session(Role::Operator, "jane").await;
    let now = Clock::system().now();
    let soon = now + 3_600_000;
    let request = silence("good-1:up", soon, "load test");
    let alerts = answered(&session, &request).await.unwrap();
    let [known] = alerts.silences.as_slice() else {
        panic!("{alerts:?}");
    };
    let who = (
        known.scope.as_str(),
        known.by.as_str(),
        known.reason.as_str(),
    );
    assert_eq!(who, ("good-1:up", "jane", "load test"));
    assert_eq!((alerts.changed, known.until), (1, soon));
    let other = scene.session(Role::Operator, "joe").await;
    let end = Request::Unsilence {
        id: known.id.clone(),
    };
    assert_eq!(answered(&other, &end).await.unwrap().silences, []);
    let audit = std::fs::read_to_string(scene.state.dir().join("audit.jsonl")).unwrap();
    let line = |event: &str| {
        audit
            .lines()
            .find(|line| line.contains(event))
            .unwrap_or("")
    };
    let (added, ended) = (line("\"silenced\""), line("\"unsilenced\""));
    assert!(
        added.contains("\"jane\"") && added.contains("good-1:up for 1 h: load test"),
        "{audit}"
    );
    assert!(
        ended.contains("\"joe\"") && ended.contains("good-1:up"),
        "{audit}"
    );
    let timeline = Request::Timeline {
        host: Some("good-1".into()),
        from: now - 60_000,
        to: now + 60_000,
        steps: 1,
    };
    let mut replies = session.request(&timeline).await.unwrap();
    let Some(Reply::Timeline(timeline)) = replies.next().await.unwrap() else {
        panic!("no timeline");
    };
    let events = timeline.events.iter();
    let of = |kind| {
        let found = events.clone().find(|event| event.kind == kind);
        found
            .map(|event| event.text.to_string())
            .unwrap_or_default()
    };
    assert_eq!(
        of(EventKind::Silenced),
        "good-1:up by jane for 1 h: load test"
    );
    assert_eq!(of(EventKind::Unsilenced), "good-1:up by joe");
    scene.stays_unharmed().await;
}
