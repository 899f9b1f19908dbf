//! Peers that make the hub buffer data before they are authenticated.

use std::time::Duration;

use quinn::SendStream;
use sysmon_certs::Role;
use sysmon_link::LinkError;
use sysmon_wire::message::Purpose;
use sysmon_wire::{ALPN, MINOR};
use tokio::time::timeout;

use crate::raw::{HERE, Papers, connect, frame, hello};
use crate::scene::Scene;

const WAIT: Duration = Duration::from_millis(300);

/// Bytes that a peer may send before it is accepted.
const BYTES_MAX: usize = 64 << 10;

/// How many bytes of a long frame the hub accepts before it stops the stream or its window is full.
async fn taken(stream: &mut SendStream, length: [u8; 3]) -> usize {
    let mut taken = 0;
    let _ = stream.write_all(&length).await;
    while let Ok(Ok(bytes)) = timeout(WAIT, stream.write(&[0; 4096])).await {
        taken += bytes;
    }
    taken
}

#[tokio::test]
async fn unaccepted_peers_cannot_make_the_hub_buffer_much() {
    let scene = Scene::new().await;
    for papers in [None, Some(Papers::of(&scene.identity(Role::Agent, "evil")))] {
        let raw = connect(&scene, HERE, papers, ALPN).await.unwrap();
        let (mut stream, _recv) = raw.connection.open_bi().await.unwrap();
        stream.write_all(&[0xff]).await.unwrap();
        // One stream is enough for a hello.
        assert!(timeout(WAIT, raw.connection.open_bi()).await.is_err());
        assert!(timeout(WAIT, raw.connection.open_uni()).await.is_err());
        let bytes = taken(&mut stream, [0xff, 0xff, 0x3f]).await;
        assert!(bytes <= BYTES_MAX, "{bytes} bytes");
    }
    // A joining peer with a long request cannot either.
    let raw = connect(&scene, HERE, None, ALPN).await.unwrap();
    let (mut stream, mut recv) = raw.connection.open_bi().await.unwrap();
    let hello = frame(&hello(MINOR, Purpose::Join));
    stream.write_all(&hello).await.unwrap();
    assert!(recv.read_chunk(1000, true).await.unwrap().is_some());
    let bytes = taken(&mut stream, [0xff, 0xff, 0x3f]).await;
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
    let told = LinkError::from(raw.connection.closed().await).to_string();
    assert!(told.contains("over the limit of 8192"), "{told}");
    scene.stays_unharmed().await;
}
