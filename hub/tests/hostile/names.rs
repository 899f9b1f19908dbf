//! Texts with control and bidi characters, and more text than fits.

use std::time::{Duration, SystemTime};

use sysmon_certs::Role;
use sysmon_client::Client;
use sysmon_link::Connection;
use sysmon_wire::limits::FRAME_BYTES_MAX;
use sysmon_wire::message::{
    Aggregate, Blob, Lane, Purpose, Push, Query, Reply, Request, RunId, TopBy,
};
use sysmon_wire::{MINOR, ProcessIdentity, RowEncoder, UnixMs};
use tokio::time::timeout;

use crate::raw::{Agent, agent, frame, hello};
use crate::scene::Scene;

/// What each dirty text holds after a marker.
const DIRT: &str = "\u{1b}[2J\u{202e}\u{9b}\r\n\u{0}";

const WORD: &str = "filth";

fn dirty(number: usize) -> String {
    format!("{WORD}{DIRT}{number}")
}

async fn evil(scene: &Scene) -> Agent {
    agent(scene, "evil", &hello(MINOR, Purpose::Push)).await
}

fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

/// `FromAgent::Facts` as no honest encoder writes it.
fn facts(text: &str, tags: &[String]) -> Vec<u8> {
    let interval_ms = 1_000u32;
    let values = (
        text,
        text,
        text,
        text,
        text,
        1u32,
        2u64,
        3i64,
        text,
        text,
        interval_ms,
        tags,
    );
    frame(&(0u32, values))
}

/// The bytes of the hub's replies to a request.
async fn answer(connection: &Connection, request: &Request) -> Vec<u8> {
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(&frame(request)).await.unwrap();
    send.finish().unwrap();
    let mut all = Vec::new();
    while let Ok(Ok(Some(chunk))) =
        timeout(Duration::from_millis(500), recv.read_chunk(1 << 20, true)).await
    {
        all.extend(chunk.bytes.iter());
    }
    all
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// One series with dirty names, a process with dirty names, and rows of both.
async fn push_dirt(connection: &Connection) {
    let text = dirty(0);
    // The table: labels, metrics (name, unit, kind, scale), series.
    let ranked = ["sysmon.rank", "0"];
    let labels = vec![text.as_str(), text.as_str(), ranked[0], ranked[1]];
    let identity = ProcessIdentity {
        pid: 7,
        start: UnixMs(1),
        user: text.as_str().into(),
        command: text.as_str().into(),
        cgroup: text.as_str().into(),
    };
    let metrics = vec![
        (text.as_str(), text.as_str(), 0u32, 0i8),
        ("sysmon.process.identity", "1", 0, 0),
        ("process.cpu.utilization", "1", 0, 0),
    ];
    let series = vec![
        (0u32, vec![(0u32, 1u32)]),
        (1, vec![(2, 3)]),
        (2, vec![(2, 3)]),
    ];
    let mut block = Vec::new();
    let mut encoder = RowEncoder::new();
    for seq in 1..=5u64 {
        let time = now() - 5000 + seq as i64 * 1000;
        encoder.encode(seq, time, &[1, identity.id(), 500], &mut block);
    }
    let begin = Push::Begin {
        run: RunId(1),
        lane: Lane::Live,
    };
    let process = (
        4u32,
        vec![(7u32, 1i64, text.as_str(), text.as_str(), text.as_str())],
    );
    let mut rows = connection.open_uni().await.unwrap();
    let all = [
        frame(&begin),
        frame(&(1u32, (labels, metrics, series))),
        frame(&process),
        frame(&Push::Keyframe(Blob(block))),
    ]
    .concat();
    rows.write_all(&all).await.unwrap();
    rows.finish().unwrap();
}

#[tokio::test]
async fn no_reply_contains_control_or_bidi_characters() {
    let scene = Scene::new().await;
    let mut evil = evil(&scene).await;
    evil.up
        .write_all(&facts(&dirty(1), &[dirty(2)]))
        .await
        .unwrap();
    evil.up
        .write_all(&frame(&(2u32, vec![dirty(3)])))
        .await
        .unwrap();
    push_dirt(&evil.raw.connection).await;
    scene
        .until("its rows are there", || scene.health("evil").rows == 5)
        .await;
    let operator = scene.session(Role::Operator, "o").await;
    let host = || Some("evil".into());
    let requests = [
        Request::Fleet {
            at: None,
            once: true,
            spark_points: 4,
            spark_step_ms: 1000,
            sparks: vec![0],
        },
        Request::Host {
            host: "evil".into(),
            from: UnixMs(0),
            until: Some(now()),
        },
        Request::Query(Query {
            metric: dirty(0).as_str().into(),
            host: host(),
            from: now() - 60_000,
            to: now(),
            step_ms: 1000,
            aggregate: Aggregate::Max,
            group: None,
            top: 0,
        }),
        Request::Processes {
            host: "evil".into(),
            at: Some(now()),
        },
        Request::Top {
            host: host(),
            at: Some(now()),
            by: TopBy::Cpu,
            limit: 10,
            each: 0,
        },
        Request::Host {
            host: dirty(9).as_str().into(),
            from: UnixMs(0),
            until: None,
        },
    ];
    for request in &requests {
        let said = answer(&operator.connection, request).await;
        assert!(
            holds(&said, WORD.as_bytes()),
            "{request:?}: nothing of it is told"
        );
        for dirt in ["\u{1b}", "\u{202e}", "\u{9b}[", "\r\n", "\u{0}0"] {
            let part = format!("{WORD}{dirt}");
            assert!(
                !holds(&said, part.as_bytes()) && !holds(&said, "\u{202e}".as_bytes()),
                "{request:?}: {dirt:?}"
            );
        }
        let part = format!("{WORD}\u{fffd}[2J\u{fffd}");
        assert!(holds(&said, part.as_bytes()), "{request:?}");
    }
    drop(evil);
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn one_host_with_too_much_text_does_not_affect_others() {
    let scene = Scene::new().await;
    let mut evil = evil(&scene).await;
    // As many tags as fit a frame; cleaning makes them three times as long.
    let tags: Vec<String> = (0..11_000).map(|_| "\u{1}".repeat(85)).collect();
    let long = "\u{1}".repeat(85);
    let said = facts(&long, &tags);
    assert!(said.len() > FRAME_BYTES_MAX / 2 && said.len() < FRAME_BYTES_MAX);
    let notes = frame(&(2u32, vec![long.as_str(); 10_000]));
    evil.up.write_all(&[said, notes].concat()).await.unwrap();
    scene
        .until("its facts are there", || {
            let core = scene.hub.core();
            let fleet = &core.fleet;
            let host = fleet.find("evil").and_then(|id| fleet.host(id));
            host.is_some_and(|host| !host.notes.is_empty())
        })
        .await;
    let operator = scene.connector(Role::Operator, "o");
    let client = Client::connect(&operator, &scene.address.to_string()).await;
    let picture = client.unwrap().fleet(None).await.unwrap();
    assert_eq!(picture.hosts.len(), 3);
    scene.stays_unharmed().await;
}

/// 4,000 series with long names, in short frames, and a row of them.
async fn push_long_names(connection: &Connection) {
    let mut rows = connection.open_uni().await.unwrap();
    let begin = Push::Begin {
        run: RunId(1),
        lane: Lane::Live,
    };
    rows.write_all(&frame(&begin)).await.unwrap();
    for part in 0..8 {
        let labels: Vec<String> = (0..501)
            .map(|n| format!("{part}-{n}-{}", "\u{1}".repeat(80)))
            .collect();
        let series: Vec<_> = (1..501u32)
            .map(|n| (0u32, vec![(0u32, n), (n, n)]))
            .collect();
        let table = (1u32, (labels, vec![("m", "1", 0u32, 0i8)], series));
        rows.write_all(&frame(&table)).await.unwrap();
    }
    let mut block = Vec::new();
    RowEncoder::new().encode(1, now(), &[1; 4000], &mut block);
    rows.write_all(&frame(&Push::Keyframe(Blob(block))))
        .await
        .unwrap();
}

#[tokio::test]
async fn series_and_processes_with_long_names_are_still_sent() {
    let scene = Scene::new().await;
    let mut evil = evil(&scene).await;
    let operator = scene.session(Role::Operator, "o").await;
    let mut watched = operator
        .request(&Request::Processes {
            host: "evil".into(),
            at: None,
        })
        .await
        .unwrap();
    assert!(matches!(
        watched.next().await.unwrap(),
        Some(Reply::Complete)
    ));
    push_long_names(&evil.raw.connection).await;
    scene
        .until("its row is there", || scene.health("evil").rows == 1)
        .await;
    let mut replies = operator
        .request(&Request::Host {
            host: "evil".into(),
            from: now() - 60_000,
            until: Some(now() + 1000),
        })
        .await
        .unwrap();
    let mut series = 0;
    loop {
        match replies.next().await.unwrap().unwrap() {
            Reply::HostSeries(table) => series += table.len(),
            Reply::Complete => break,
            _ => {}
        }
    }
    assert_eq!(series, 4000);
    // A process table that fits a frame until it is cleaned.
    let long = "\u{1}".repeat(85);
    let process = |pid: u32| {
        (
            (pid, 1i64, long.as_str(), long.as_str(), long.as_str()),
            1u32,
            b'S',
            1u32,
            pid,
            1u64,
            1u64,
            1u64,
        )
    };
    let processes: Vec<_> = (1..1_800).map(process).collect();
    evil.up
        .write_all(&frame(&(1u32, now().0, processes)))
        .await
        .unwrap();
    let told = timeout(Duration::from_secs(20), watched.next()).await;
    let ended = evil.raw.connection.close_reason();
    let told = told
        .unwrap_or_else(|_| panic!("nothing is told: {ended:?}"))
        .unwrap();
    assert!(
        matches!(told, Some(Reply::Processes { all: true, processes, .. }) if processes.len() > 100)
    );
    scene.stays_unharmed().await;
}
