//! Idle streams, thousands of streams, and replies that are not read.

use std::time::Duration;

use quinn::TransportConfig;
use sysmon_certs::Role;
use sysmon_client::Client;
use sysmon_link::{HELLO_TIMEOUT, LinkError};
use sysmon_wire::message::{Blob, Lane, Purpose, Push, Request, RunId};
use sysmon_wire::{ALPN, MINOR};
use tokio::time::timeout;

use crate::raw::{HERE, Papers, connect, connect_with, frame, hello};
use crate::scene::Scene;

const STREAMS: usize = 10_000;

/// Longer than the hub waits for any peer.
const LONG: Duration = HELLO_TIMEOUT.saturating_mul(3);

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let scene = Scene::new().await;
    let silent = connect(&scene, HERE, None, ALPN).await.unwrap();
    let known = connect(
        &scene,
        HERE,
        Some(Papers::of(&scene.identity(Role::Agent, "evil"))),
        ALPN,
    )
    .await
    .unwrap();
    let half = known.connection.open_bi().await.unwrap();
    for raw in [&silent, &known] {
        let ended = timeout(LONG, raw.connection.closed()).await.unwrap();
        let ended = LinkError::from(ended).to_string();
        assert!(ended.contains("no hello in time"), "{ended}");
    }
    drop(half);
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn an_unfinished_request_is_ended() {
    let scene = Scene::new().await;
    for role in [Role::Operator, Role::Agent] {
        let session = scene.session(role, "evil").await;
        let (mut send, mut recv) = session.connection.open_bi().await.unwrap();
        send.write_all(&[5]).await.unwrap();
        let answer = timeout(LONG, recv.read_to_end(1000)).await.unwrap();
        assert!(answer.is_err(), "{role}: {answer:?}");
        assert_eq!(session.connection.close_reason(), None, "{role}");
    }
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn streams_per_connection_are_limited() {
    let scene = Scene::new().await;
    let session = scene.session(Role::Operator, "o").await;
    let mut held = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), session.connection.open_bi()).await {
        let (mut send, recv) = stream.unwrap();
        send.write_all(&[5]).await.unwrap();
        held.push((send, recv));
        assert!(held.len() < STREAMS);
    }
    assert!(held.len() <= 64, "{}", held.len());
    drop(held);
    for _ in 0..STREAMS {
        let opened = timeout(LONG, session.connection.open_bi()).await;
        let (mut send, mut recv) = opened.unwrap().unwrap();
        let _ = send.write(&[5]).await;
        let _ = (send.reset(0u32.into()), recv.stop(0u32.into()));
    }
    // An agent may have a few streams of rows.
    let agent = scene.session(Role::Agent, "evil").await;
    let mut held = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), agent.connection.open_uni()).await {
        let mut stream = stream.unwrap();
        stream.write_all(&[5]).await.unwrap();
        held.push(stream);
        assert!(held.len() < STREAMS);
    }
    assert!(held.len() <= 4, "{}", held.len());
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_delays_only_itself() {
    let scene = Scene::new().await;
    let slow = scene.session(Role::Operator, "slow").await;
    let fleet = frame(&Request::Fleet {
        at: None,
        once: false,
        spark_points: 512,
        spark_step_ms: 1000,
        sparks: (0..8).collect(),
    });
    let mut unread = Vec::new();
    for _ in 0..32 {
        let (mut send, recv) = slow.connection.open_bi().await.unwrap();
        send.write_all(&fleet).await.unwrap();
        unread.push((send, recv));
    }
    let other = scene.connector(Role::Operator, "o");
    for _ in 0..10 {
        let address = scene.address.to_string();
        let picture = async { Client::connect(&other, &address).await?.fleet(None).await };
        assert!(timeout(LONG, picture).await.unwrap().is_ok());
    }
    scene.stays_unharmed().await;
}

/// Neither the hub's welcome nor its refusal is read.
#[tokio::test]
async fn the_hub_does_not_wait_for_a_peer_that_reads_nothing() {
    let scene = Scene::new().await;
    let mut waiting = Vec::new();
    for (has_papers, purpose) in [
        (false, Purpose::Join),
        (false, Purpose::View),
        (true, Purpose::Push),
        (true, Purpose::View),
    ] {
        let papers = has_papers.then(|| Papers::of(&scene.identity(Role::Agent, "evil")));
        let mut transport = TransportConfig::default();
        transport
            .stream_receive_window(0u32.into())
            .keep_alive_interval(Some(Duration::from_secs(2)));
        let raw = connect_with(&scene, HERE, papers, ALPN, transport).await;
        let raw = raw.unwrap();
        let (mut send, recv) = raw.connection.open_bi().await.unwrap();
        send.write_all(&frame(&hello(MINOR, purpose)))
            .await
            .unwrap();
        waiting.push((purpose, raw, send, recv));
    }
    for (purpose, raw, ..) in &waiting {
        let ended = timeout(LONG, raw.connection.closed()).await;
        assert!(ended.is_ok(), "{purpose:?}");
    }
    scene.stays_unharmed().await;
}

/// Empty frames as fast as the link allows, without reading acknowledgements.
#[tokio::test]
async fn a_flood_of_empty_frames_delays_nobody_else() {
    let scene = Scene::new().await;
    let evil = scene.session(Role::Agent, "evil").await;
    let begin = Push::Begin {
        run: RunId(1),
        lane: Lane::Live,
    };
    let empty = frame(&Push::Keyframe(Blob::default()));
    let flood = [frame(&begin), empty.repeat(300_000)].concat();
    let mut rows = evil.connection.open_uni().await.unwrap();
    let pushed = async {
        loop {
            rows.write_all(&flood).await.unwrap();
        }
    };
    let looked = async {
        let other = scene.connector(Role::Operator, "o");
        let address = scene.address.to_string();
        for _ in 0..20 {
            let picture = async { Client::connect(&other, &address).await?.fleet(None).await };
            assert!(timeout(LONG, picture).await.unwrap().is_ok());
        }
    };
    tokio::select! {
        () = pushed => {}
        () = looked => {}
    }
    scene.stays_unharmed().await;
}
