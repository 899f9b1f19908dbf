//! Bytes that are not what they should be, at every place where a peer is listened to.

use std::time::Duration;

use sysmon_certs::Role;
use sysmon_link::{Connection, LinkError};
use sysmon_wire::message::{Blob, Lane, Purpose, Push, RunId};
use sysmon_wire::metrics::UPTIME;
use sysmon_wire::{ALPN, MINOR, RowEncoder, SeriesTable, UnixMs};

use crate::raw::{HERE, Papers, connect, frame, garbage, hello};
use crate::scene::Scene;

/// The code that says that somebody did not keep to the protocol.
const PROTOCOL: u64 = 2;

async fn ended(connection: &Connection) -> String {
    let ended = tokio::time::timeout(Duration::from_secs(20), connection.closed()).await;
    LinkError::from(ended.unwrap()).to_string()
}

/// The code with which the hub broke off a stream.
async fn stopped(connection: &Connection, bytes: &[u8]) -> u64 {
    let mut stream = connection.open_uni().await.unwrap();
    // The hub may break it off before all is written.
    let _ = stream.write_all(bytes).await;
    let code = tokio::time::timeout(Duration::from_secs(20), stream.stopped()).await;
    code.unwrap().unwrap().unwrap().into_inner()
}

#[tokio::test]
async fn who_does_not_say_hello_properly_is_told_so() {
    let scene = Scene::new().await;
    for has_papers in [true, false] {
        for bytes in garbage() {
            let papers = has_papers.then(|| Papers::of(&scene.identity(Role::Agent, "evil")));
            let raw = connect(&scene, HERE, papers, ALPN).await.unwrap();
            let (mut send, _recv) = raw.connection.open_bi().await.unwrap();
            let before = scene.refusals();
            send.write_all(&bytes).await.unwrap();
            let _ = send.finish();
            let told = ended(&raw.connection).await;
            let is_named = [
                "over the limit",
                "no message of this kind",
                "too many after a message",
            ]
            .iter()
            .any(|word| told.contains(word));
            assert!(is_named, "{bytes:?}: {told}");
            scene
                .until("it is counted", || scene.refusals() > before)
                .await;
        }
    }
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn a_control_stream_with_garbage_ends_the_connection_and_all_that_is_open_on_it() {
    let scene = Scene::new().await;
    for bytes in garbage() {
        let raw = connect(
            &scene,
            HERE,
            Some(Papers::of(&scene.identity(Role::Agent, "evil"))),
            ALPN,
        )
        .await
        .unwrap();
        let (mut send, _recv) = raw.connection.open_bi().await.unwrap();
        send.write_all(&frame(&hello(MINOR, Purpose::Push)))
            .await
            .unwrap();
        // A stream of rows that is in order, and stays open.
        let mut rows = raw.connection.open_uni().await.unwrap();
        let begin = Push::Begin {
            run: RunId(1),
            lane: Lane::Live,
        };
        rows.write_all(&frame(&begin)).await.unwrap();
        let _ = send.write_all(&bytes).await;
        let told = ended(&raw.connection).await;
        assert!(
            told.contains("code 2") || told.contains("limit") || told.contains("message"),
            "{bytes:?}: {told}"
        );
    }
    scene.stays_unharmed().await;
}

/// Otherwise nothing could cut it off later: not a revocation, and not the end of its certificate.
#[tokio::test]
async fn who_ends_its_control_stream_is_gone_with_all_that_is_open() {
    let scene = Scene::new().await;
    let mut session = scene.session(Role::Agent, "evil").await;
    let mut rows = session.connection.open_uni().await.unwrap();
    let begin = Push::Begin {
        run: RunId(1),
        lane: Lane::Live,
    };
    rows.write_all(&frame(&begin)).await.unwrap();
    session.sender.finish();
    let told = ended(&session.connection).await;
    assert!(told.contains("ended the stream"), "{told}");
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn a_stream_of_rows_with_garbage_is_broken_off_and_the_connection_stays() {
    let scene = Scene::new().await;
    let session = scene.session(Role::Agent, "evil").await;
    let begin = Push::Begin {
        run: RunId(1),
        lane: Lane::Live,
    };
    let series = Push::Series(SeriesTable::new(&[UPTIME.series(&[])]));
    let mut block = Vec::new();
    RowEncoder::new().encode(1, UnixMs(1), &[5], &mut block);
    let mut streams = garbage();
    let rows = |block: &[u8]| frame(&Push::Rows(Blob(block.to_vec())));
    let keyframe = |block: &[u8]| frame(&Push::Keyframe(Blob(block.to_vec())));
    streams.extend([
        rows(&block),
        keyframe(&block),
        [frame(&begin), rows(&block)].concat(),
        // More values than there are series.
        [frame(&begin), keyframe(&block)].concat(),
        [frame(&begin), frame(&series), keyframe(&[0xff; 200])].concat(),
        [
            frame(&begin),
            frame(&series),
            keyframe(&block[..block.len() - 1]),
        ]
        .concat(),
        // A table that names what it does not have: one series of metric 7.
        [
            frame(&begin),
            frame(&(
                1u32,
                (
                    Vec::<u8>::new(),
                    Vec::<u8>::new(),
                    vec![(7u32, Vec::<u8>::new())],
                ),
            )),
        ]
        .concat(),
    ]);
    for bytes in streams {
        let before = scene.refusals();
        assert_eq!(
            stopped(&session.connection, &bytes).await,
            PROTOCOL,
            "{bytes:?}"
        );
        scene
            .until("it is counted", || scene.refusals() > before)
            .await;
    }
    assert_eq!(session.connection.close_reason(), None);
    assert_eq!(scene.health("evil").rows, 0);
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn a_length_that_promises_more_than_comes_holds_nobody_up() {
    let scene = Scene::new().await;
    let session = scene.session(Role::Agent, "evil").await;
    let before = scene.refusals();
    let mut rows = session.connection.open_uni().await.unwrap();
    let mut bytes = Vec::new();
    sysmon_wire::varint::put_u64(&mut bytes, 1 << 20);
    bytes.extend([0; 100]);
    rows.write_all(&bytes).await.unwrap();
    rows.finish().unwrap();
    scene
        .until("it is counted", || scene.refusals() > before)
        .await;
    assert_eq!(session.connection.close_reason(), None);
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn a_request_of_garbage_is_broken_off_alone() {
    let scene = Scene::new().await;
    let session = scene.session(Role::Operator, "o").await;
    for bytes in garbage() {
        let (mut send, mut recv) = session.connection.open_bi().await.unwrap();
        let before = scene.refusals();
        send.write_all(&bytes).await.unwrap();
        let _ = send.finish();
        let error = recv.read_to_end(1000).await.unwrap_err();
        let quinn::ReadToEndError::Read(quinn::ReadError::Reset(code)) = error else {
            panic!("{bytes:?}: {error}");
        };
        assert_eq!(code.into_inner(), PROTOCOL, "{bytes:?}");
        scene
            .until("it is counted", || scene.refusals() > before)
            .await;
    }
    assert_eq!(session.connection.close_reason(), None);
    scene.stays_unharmed().await;
}
