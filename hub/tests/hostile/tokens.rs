//! Attempts to join with a token that is unknown, altered, used or expired.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use sysmon_certs::{Identity, JoinKey, Role, Token};
use sysmon_link::{Connector, FrameReceiver, FrameSender, LinkError};
use sysmon_wire::message::{Blob, JoinReply, JoinRequest, Purpose, Welcome};
use sysmon_wire::{ALPN, MINOR};

use crate::raw::{HERE, connect, hello};
use crate::scene::Scene;

/// More guesses than the hub answers in a minute.
const GUESSES: u8 = 80;

fn token(scene: &Scene, name: Option<&str>, made: SystemTime) -> Token {
    let name = name.map(|name| name.parse().unwrap());
    let (print, hour) = (
        scene.authority.fingerprint().unwrap(),
        Duration::from_hours(1),
    );
    let made = scene
        .state
        .tokens()
        .create(print, Role::Agent, name.as_ref(), hour, made);
    made.unwrap().0
}

async fn join(scene: &Scene, token: &Token, name: &str) -> Result<Identity, LinkError> {
    let connector =
        Connector::for_joining(token.fingerprint(), "1", &sysmon_clock::Clock::system()).unwrap();
    connector
        .join(
            &scene.address.to_string(),
            token,
            name,
            &sysmon_clock::Random::system(),
        )
        .await
}

/// Sends any secret and any signing request, from any address of this machine.
async fn ask(scene: &Scene, from: IpAddr, secret: &[u8], name: &str, request: &[u8]) -> JoinReply {
    let raw = connect(scene, from, None, ALPN).await.unwrap();
    let (send, recv) = raw.connection.open_bi().await.unwrap();
    let (mut sender, mut receiver) = (FrameSender::new(send), FrameReceiver::new(recv));
    sender.send(&hello(MINOR, Purpose::Join)).await.unwrap();
    let welcome = receiver.next::<Welcome>().await.unwrap().unwrap();
    assert!(matches!(welcome, Welcome::Accepted { .. }), "{welcome:?}");
    let request = JoinRequest {
        secret: Blob(secret.to_vec()),
        name: name.into(),
        request: Blob(request.to_vec()),
    };
    sender.send(&request).await.unwrap();
    receiver.next().await.unwrap().unwrap()
}

fn reason(reply: JoinReply) -> String {
    match reply {
        JoinReply::Refused { reason } => reason.to_string(),
        JoinReply::Granted { .. } => panic!("it was let in"),
    }
}

#[tokio::test]
async fn a_token_works_once_unaltered_and_before_it_expires() {
    let scene = Scene::new().await;
    let now = SystemTime::now();
    let good = token(&scene, None, now);
    assert_eq!(
        join(&scene, &good, "new").await.unwrap().peer().to_string(),
        "agent new"
    );
    let old = token(&scene, None, now - Duration::from_hours(2));
    let fresh = token(&scene, None, now);
    let mut text = fresh.to_string().into_bytes();
    let at = text.len() - 5;
    text[at] = if text[at] == b'A' { b'B' } else { b'A' };
    let altered: Token = String::from_utf8(text).unwrap().parse().unwrap();
    for (token, wanted) in [
        (&good, "already used"),
        (&old, "has expired"),
        (&altered, "unknown token"),
    ] {
        let before = scene.refusals();
        let told = join(&scene, token, "next").await.unwrap_err().to_string();
        assert!(told.contains(wanted), "{wanted}: {told}");
        scene
            .until("it is counted", || scene.refusals() > before)
            .await;
    }
    // Nobody takes the place of another, and what is refused does not use the token up.
    let key = JoinKey::generate(&sysmon_clock::Random::system())
        .unwrap()
        .request()
        .unwrap();
    for (name, request, wanted) in [
        ("new", &key[..], "is taken"),
        ("../x", &key, "cannot be a name"),
        ("a\u{202e}b", &key, "cannot be a name"),
        ("next", b"garbage", "certificate"),
        ("next", &[], "certificate"),
    ] {
        let told = reason(ask(&scene, HERE, fresh.secret(), name, request).await);
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    assert!(join(&scene, &fresh, "next").await.is_ok());
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn only_the_address_that_guesses_tokens_is_limited() {
    let scene = Scene::new().await;
    let key = JoinKey::generate(&sysmon_clock::Random::system())
        .unwrap()
        .request()
        .unwrap();
    let guesser = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let mut told = String::new();
    for guess in 0..GUESSES {
        told = reason(ask(&scene, guesser, &[guess; 16], "x", &key).await);
    }
    assert!(told.contains("too many failed attempts"), "{told}");
    // Even the right token has to wait.
    let right = token(&scene, None, SystemTime::now());
    let told = reason(ask(&scene, guesser, right.secret(), "x", &key).await);
    assert!(told.contains("too many failed attempts"), "{told}");
    assert!(join(&scene, &right, "honest").await.is_ok());
    scene.stays_unharmed().await;
}
