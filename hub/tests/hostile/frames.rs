//! Malformed bytes on every stream that the hub reads.

use std::time::Duration;

use sysmon_certs::Role;
use sysmon_link::{Connection, LinkError};
use sysmon_wire::message::{Blob, Lane, Purpose, Push, RunId};
use sysmon_wire::metrics::UPTIME;
use sysmon_wire::{ALPN, MINOR, RowEncoder, SeriesTable, UnixMs};

use crate::raw::{HERE, Papers, connect, frame, garbage, hello};
use crate::scene::Scene;

/// The close code for a violation of the protocol.
const PROTOCOL: u64 = 2;

async fn ended(connection: &Connection) -> String {
    let ended = tokio::time::timeout(Duration::from_secs(20), connection.closed()).await;
    LinkError::from(ended.unwrap()).to_string()
}

/// The code with which the hub stopped a stream.
async fn stopped(connection: &Connection, bytes: &[u8]) -> u64 {
    let mut stream = connection.open_uni().await.unwrap();
    // The hub may stop it before everything is written.
    let _ = stream.write_all(bytes).await;
    let code = tokio::time::timeout(Duration::from_secs(20), stream.stopped()).await;
    code.unwrap().unwrap().unwrap().into_inner()
}

#[tokio::test]
async fn a_malformed_hello_is_refused_with_the_reason() {
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
                "malformed message",
                "bytes follow the message",
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
async fn garbage_on_the_control_stream_ends_the_connection_and_its_streams() {
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
        // A valid stream of rows that stays open.
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

/// Otherwise neither a revocation nor the expiry of its certificate could end it later.
#[tokio::test]
async fn ending_the_control_stream_ends_the_connection_and_its_streams() {
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
async fn garbage_on_a_stream_of_rows_ends_only_that_stream() {
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
        // A table with a dangling reference: one series of metric 7.
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
async fn an_incomplete_frame_holds_up_nobody_else() {
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
async fn a_garbage_request_ends_only_its_stream() {
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
