//! Streams that are opened and left, or opened by the thousand, and answers that nobody reads.

use std::time::Duration;

use sysmon_certs::Role;
use sysmon_hub::client;
use sysmon_link::{HELLO_TIMEOUT, LinkError};
use sysmon_wire::ALPN;
use sysmon_wire::message::Request;
use tokio::time::timeout;

use crate::raw::{HERE, Papers, connect, frame};
use crate::scene::Scene;

const STREAMS: usize = 10_000;

/// Longer than anybody is waited for.
const LONG: Duration = HELLO_TIMEOUT.saturating_mul(3);

#[tokio::test]
async fn who_connects_and_says_nothing_is_told_to_go() {
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
async fn a_request_that_is_begun_and_left_is_broken_off() {
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
async fn ten_thousand_streams_are_no_more_than_a_few_at_a_time() {
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
async fn who_reads_nothing_waits_alone() {
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
        let picture = timeout(
            Duration::from_secs(10),
            client::picture(&other, &address, None),
        )
        .await;
        assert!(picture.unwrap().is_ok());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    scene.stays_unharmed().await;
}
