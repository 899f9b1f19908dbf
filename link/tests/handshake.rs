//! Who gets in: mutual TLS over QUIC on loopback.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use sysmon_certs::{Authority, Fingerprint, Identity, PeerName, Role};
use sysmon_link::{Connector, Greeted, LinkError, Listener, PeerSession};
use sysmon_wire::message::Purpose;

fn authority() -> Authority {
    Authority::in_memory(SystemTime::now()).unwrap()
}

fn issue(authority: &Authority, role: Role, name: &str) -> Identity {
    let name: PeerName = name.parse().unwrap();
    authority.issue(role, &name, SystemTime::now(), 1).unwrap()
}

fn listen(identity: &Identity) -> (Listener, String) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = Listener::bind(any, identity).unwrap();
    let address = listener.address().unwrap().to_string();
    (listener, address)
}

/// Greets the next peer, and accepts it if it may come in.
async fn greet(listener: &Listener) -> Result<PeerSession, LinkError> {
    match listener.accept().await.unwrap().greet().await? {
        Greeted::Peer(mut session) => {
            session.accept("h", "1").await?;
            Ok(session)
        }
        Greeted::Stranger(stranger) => {
            stranger.refuse("a certificate is needed").await;
            Err(LinkError::Refused("a stranger".to_owned()))
        }
    }
}

#[tokio::test]
async fn peers_of_one_authority_know_each_other_by_role_and_name() {
    let authority = authority();
    let (listener, address) = listen(&issue(&authority, Role::Hub, "h"));
    let connector = Connector::new(&issue(&authority, Role::Agent, "a"), "1").unwrap();
    let other = connector
        .with_identity(&issue(&authority, Role::Operator, "o"))
        .unwrap();
    let (session, peer) =
        tokio::join!(connector.connect(&address, Purpose::Push), greet(&listener));
    assert_eq!(
        (
            session.unwrap().hub.as_str(),
            peer.unwrap().who.peer.to_string().as_str()
        ),
        ("h", "agent a")
    );
    let (session, peer) = tokio::join!(other.connect(&address, Purpose::View), greet(&listener));
    assert_eq!(
        (
            session.unwrap().hub.as_str(),
            peer.unwrap().who.peer.to_string().as_str()
        ),
        ("h", "operator o")
    );
}

#[tokio::test]
async fn a_peer_of_another_authority_is_refused_and_both_sides_say_why() {
    let (listener, address) = listen(&issue(&authority(), Role::Hub, "h"));
    let stranger = Connector::new(&issue(&authority(), Role::Agent, "a"), "1").unwrap();
    let (session, peer) = tokio::join!(stranger.connect(&address, Purpose::Push), greet(&listener));
    let (mine, theirs) = (
        session.unwrap_err().to_string(),
        peer.unwrap_err().to_string(),
    );
    assert!(mine.contains("another authority"), "{mine}");
    assert!(theirs.contains("authority"), "{theirs}");
}

#[tokio::test]
async fn a_peer_that_is_no_hub_is_not_taken_for_one() {
    let authority = authority();
    let (listener, address) = listen(&issue(&authority, Role::Agent, "liar"));
    let connector = Connector::new(&issue(&authority, Role::Agent, "a"), "1").unwrap();
    let (session, peer) =
        tokio::join!(connector.connect(&address, Purpose::Push), greet(&listener));
    let error = session.unwrap_err().to_string();
    assert!(error.contains("not that of a hub"), "{error}");
    assert!(peer.is_err());
}

#[tokio::test]
async fn a_peer_without_a_certificate_is_refused() {
    let authority = authority();
    let (listener, address) = listen(&issue(&authority, Role::Hub, "h"));
    let stranger = Connector::joining(authority.fingerprint().unwrap(), "1").unwrap();
    let (session, peer) = tokio::join!(stranger.connect(&address, Purpose::View), greet(&listener));
    assert!(
        matches!(session.unwrap_err(), LinkError::Refused(reason) if reason.contains("certificate"))
    );
    assert!(peer.unwrap_err().to_string().contains("stranger"));
    // And a hub of another authority is not told anything at all.
    let elsewhere = Connector::joining(Fingerprint([1; 32]), "1").unwrap();
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
async fn where_nobody_listens_the_answer_names_the_place() {
    let connector = Connector::new(&issue(&authority(), Role::Agent, "a"), "1").unwrap();
    let error = connector
        .connect("no-such-host.invalid:1", Purpose::Push)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("no-such-host.invalid"),
        "{error}"
    );
}
