//! Who gets in: mutual TLS over QUIC on loopback.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::net::{Ipv4Addr, SocketAddr};

use sysmon_certs::{Authority, Fingerprint, Identity, PeerName, ResetSecret, Role};
use sysmon_clock::{Clock, Random};
use sysmon_link::{
    AdmissionLimits, Connector, FrameReceiver, FrameSender, LinkError, ListenOptions, Listener,
    NewSession, PeerSession,
};
use sysmon_wire::message::{Blob, Purpose, Reply, Request};

fn authority() -> Authority {
    Authority::in_memory(Clock::system().system_time(), &Random::system()).unwrap()
}

fn issue(authority: &Authority, role: Role, name: &str) -> Identity {
    let name: PeerName = name.parse().unwrap();
    authority
        .issue(role, &name, Clock::system().system_time(), 1)
        .unwrap()
}

fn options(accepts_joins: bool) -> ListenOptions {
    ListenOptions {
        clock: Clock::system(),
        reset: ResetSecret::generate(&Random::system()).unwrap(),
        limits: AdmissionLimits {
            connections: 100,
            handshakes_per_network: 4,
            challenge_from: 2,
        },
        accepts_joins,
    }
}

fn listen(identity: &Identity) -> (Listener, String) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = Listener::bind(any, identity, options(true)).unwrap();
    let address = listener.address().unwrap().to_string();
    (listener, address)
}

/// Greets the next peer, and accepts it if it may come in.
async fn greet(listener: &Listener) -> Result<PeerSession, LinkError> {
    match listener
        .accept()
        .await
        .unwrap()
        .unwrap()
        .handshake()
        .await?
    {
        NewSession::Peer(mut session) => {
            session.accept("h", "1").await?;
            Ok(session)
        }
        NewSession::Join(session) => {
            session.refuse("a certificate is needed").await;
            Err(LinkError::Refused("no certificate".to_owned()))
        }
    }
}

#[tokio::test]
async fn peers_of_one_authority_know_each_other_by_role_and_name() {
    let authority = authority();
    let (listener, address) = listen(&issue(&authority, Role::Hub, "h"));
    let connector =
        Connector::new(&issue(&authority, Role::Agent, "a"), "1", &Clock::system()).unwrap();
    let other = connector
        .with_identity(&issue(&authority, Role::Operator, "o"))
        .unwrap();
    let (session, peer) =
        tokio::join!(connector.connect(&address, Purpose::Push), greet(&listener));
    assert_eq!(
        (
            session.unwrap().hub.as_str(),
            peer.unwrap().certificate.peer.to_string().as_str()
        ),
        ("h", "agent a")
    );
    let (session, peer) = tokio::join!(other.connect(&address, Purpose::View), greet(&listener));
    assert_eq!(
        (
            session.unwrap().hub.as_str(),
            peer.unwrap().certificate.peer.to_string().as_str()
        ),
        ("h", "operator o")
    );
}

#[tokio::test]
async fn a_peer_of_another_authority_is_refused_and_both_sides_say_why() {
    let (listener, address) = listen(&issue(&authority(), Role::Hub, "h"));
    let connector = Connector::new(
        &issue(&authority(), Role::Agent, "a"),
        "1",
        &Clock::system(),
    )
    .unwrap();
    let (session, peer) =
        tokio::join!(connector.connect(&address, Purpose::Push), greet(&listener));
    let (mine, theirs) = (
        session.unwrap_err().to_string(),
        peer.unwrap_err().to_string(),
    );
    assert!(mine.contains("another authority"), "{mine}");
    assert!(theirs.contains("authority"), "{theirs}");
}

#[tokio::test]
async fn clients_reject_a_listener_that_is_not_a_hub() {
    let authority = authority();
    let (listener, address) = listen(&issue(&authority, Role::Agent, "liar"));
    let connector =
        Connector::new(&issue(&authority, Role::Agent, "a"), "1", &Clock::system()).unwrap();
    let (session, peer) =
        tokio::join!(connector.connect(&address, Purpose::Push), greet(&listener));
    let error = session.unwrap_err().to_string();
    assert!(error.contains("not a hub's"), "{error}");
    assert!(peer.is_err());
}

#[tokio::test]
async fn a_peer_without_a_certificate_is_refused() {
    let authority = authority();
    let (listener, address) = listen(&issue(&authority, Role::Hub, "h"));
    let connector =
        Connector::for_joining(authority.fingerprint().unwrap(), "1", &Clock::system()).unwrap();
    let (session, peer) =
        tokio::join!(connector.connect(&address, Purpose::View), greet(&listener));
    assert!(
        matches!(session.unwrap_err(), LinkError::Refused(reason) if reason.contains("certificate"))
    );
    assert!(peer.unwrap_err().to_string().contains("no certificate"));
    // And a hub of another authority is not told anything at all.
    let elsewhere = Connector::for_joining(Fingerprint([1; 32]), "1", &Clock::system()).unwrap();
    let (session, peer) =
        tokio::join!(elsewhere.connect(&address, Purpose::Join), greet(&listener));
    assert!(
        session
            .unwrap_err()
            .to_string()
            .contains("another authority")
    );
    assert!(peer.is_err());
}

#[tokio::test]
async fn a_connection_without_an_answer_names_the_address() {
    let connector = Connector::new(
        &issue(&authority(), Role::Agent, "a"),
        "1",
        &Clock::system(),
    )
    .unwrap();
    let error = connector
        .connect("no-such-host.invalid:1", Purpose::Push)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("no-such-host.invalid"),
        "{error}"
    );
}

/// Answers one request on a connection as a hub that renews certificates.
async fn renew_one(
    session: &PeerSession,
    authority: &Authority,
    asked: &std::sync::atomic::AtomicU32,
) {
    while let Ok((send, recv)) = session.connection.accept_bi().await {
        asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (mut sender, mut receiver) = (FrameSender::new(send), FrameReceiver::new(recv));
        let Some(Request::Renew { request }) = receiver.next().await.unwrap() else {
            panic!("something else was asked");
        };
        let (peer, now) = (&session.certificate.peer, Clock::system().system_time());
        let signed = authority.sign(&request.0, peer.role, &peer.name, now, 30);
        let signed = signed.unwrap();
        let reply = Reply::Renewed {
            authority: Blob(signed.authority_pem.into_bytes()),
            certificate: Blob(signed.certificate_pem.into_bytes()),
        };
        sender.send(&reply).await.unwrap();
        sender.finish();
    }
}

#[tokio::test]
async fn renewal_follows_the_hub_clock_and_a_new_authority() {
    let dir = tempfile::tempdir().unwrap();
    let (now, hub) = (Clock::system().system_time(), "h".parse().unwrap());
    let old = Authority::open_or_create(dir.path(), now, &Random::system()).unwrap();
    let agent = old
        .issue(Role::Agent, &"a".parse().unwrap(), now, 30)
        .unwrap();
    let (listener, address) = listen(&old.issue(Role::Hub, &hub, now, 30).unwrap());
    let connector = Connector::new(&agent, "1", &Clock::system()).unwrap();
    let asked = std::sync::atomic::AtomicU32::new(0);
    let count = || asked.load(std::sync::atomic::Ordering::Relaxed);
    let (session, peer) =
        tokio::join!(connector.connect(&address, Purpose::Push), greet(&listener));
    let (session, peer) = (session.unwrap(), peer.unwrap());
    let day_ms = 24 * 3_600_000;
    let by = |days: i64| -days * day_ms;
    let renewed = tokio::select! {
        () = renew_one(&peer, &old, &asked) => unreachable!(),
        renewed = async {
            let early = connector.renew_if_due(&session.connection, by(19)).await.unwrap();
            assert!(early.is_none() && count() == 0);
            connector.renew_if_due(&session.connection, by(21)).await.unwrap()
        } => renewed.unwrap(),
    };
    assert!(count() == 1 && renewed.serial() != agent.serial());
    // The next connection shows the new one, and the hub a new authority beside the old.
    let both = Authority::rotate(dir.path(), now, &Random::system()).unwrap();
    listener
        .set_identity(&both.issue(Role::Hub, &hub, now, 30).unwrap())
        .unwrap();
    let (session, peer) =
        tokio::join!(connector.connect(&address, Purpose::Push), greet(&listener));
    let (session, peer) = (session.unwrap(), peer.unwrap());
    assert_eq!(peer.certificate.serial, renewed.serial());
    let renewed = tokio::select! {
        () = renew_one(&peer, &both, &asked) => unreachable!(),
        renewed = connector.renew_if_due(&session.connection, session.clock_offset_ms) => renewed.unwrap(),
    };
    assert_eq!(renewed.unwrap().authorities().len(), 2);
    // Without the old one, who has renewed is let in, and who has not is refused.
    let new = Authority::retire(dir.path(), &Random::system()).unwrap();
    listener
        .set_identity(&new.issue(Role::Hub, &hub, now, 30).unwrap())
        .unwrap();
    let (session, peer) =
        tokio::join!(connector.connect(&address, Purpose::Push), greet(&listener));
    assert!(session.is_ok() && peer.is_ok());
    let late = Connector::new(&agent, "1", &Clock::system()).unwrap();
    let (session, peer) = tokio::join!(late.connect(&address, Purpose::Push), greet(&listener));
    assert!(session.is_err() && peer.is_err());
}

#[tokio::test]
async fn a_listener_that_accepts_no_joins_demands_a_certificate_in_tls() {
    let authority = authority();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let identity = issue(&authority, Role::Hub, "h");
    let listener = Listener::bind(any, &identity, options(false)).unwrap();
    let address = listener.address().unwrap().to_string();
    let fingerprint = authority.fingerprint().unwrap();
    let stranger = Connector::for_joining(fingerprint, "1", &Clock::system()).unwrap();
    let (session, peer) = tokio::join!(stranger.connect(&address, Purpose::Join), greet(&listener));
    let (theirs, ours) = (
        session.unwrap_err().to_string(),
        peer.unwrap_err().to_string(),
    );
    assert!(theirs.contains("requires a certificate"), "{theirs}");
    assert!(ours.contains("presented no certificate"), "{ours}");
    let known = Connector::new(&issue(&authority, Role::Agent, "a"), "1", &Clock::system());
    let known = known.unwrap();
    let (session, peer) = tokio::join!(known.connect(&address, Purpose::Push), greet(&listener));
    assert!(session.is_ok() && peer.is_ok());
}

/// Handshakes that were begun and never go on: a certificate that nobody checks costs nothing.
#[tokio::test]
async fn peers_that_never_finish_a_handshake_are_limited_and_others_are_let_in() {
    let authority = authority();
    let (listener, address) = listen(&issue(&authority, Role::Hub, "h"));
    let agent = issue(&authority, Role::Agent, "a");
    let known = Connector::new(&agent, "1", &Clock::system()).unwrap();
    let (mut held, mut refused) = (Vec::new(), 0);
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (stranger, address) = (known.clone(), address.clone());
        attempts.spawn(async move { stranger.connect(&address, Purpose::Push).await.is_ok() });
    }
    while refused == 0 {
        match listener.accept().await.unwrap() {
            Ok(arrival) => held.push(arrival),
            Err(refusal) => {
                assert!(refusal.reason.contains("too many handshakes"));
                refused += 1;
            }
        }
    }
    assert_eq!(held.len(), 4);
    // They give up; then the next peer is let in.
    drop((held, attempts));
    let (session, peer) = tokio::join!(known.connect(&address, Purpose::Push), async {
        loop {
            if let Ok(arrival) = listener.accept().await.unwrap()
                && let Ok(NewSession::Peer(mut session)) = arrival.handshake().await
            {
                session.accept("h", "1").await.unwrap();
                return session;
            }
        }
    });
    assert!(session.is_ok() && peer.hello.purpose == Purpose::Push);
}
