//! Peers with a wrong certificate, or none.

use std::time::{Duration, SystemTime};

use std::net::{Ipv4Addr, SocketAddr};

use rcgen::{CertificateParams, Issuer, KeyPair, SanType};
use sysmon_certs::{Authority, HubState, Identity, ResetSecret, Role};
use sysmon_clock::{Clock, Random};
use sysmon_hub::server::EdgeOptions;
use sysmon_link::{AdmissionLimits, Connector, LinkError, ListenOptions, Listener, NewSession};
use sysmon_wire::ALPN;
use sysmon_wire::message::{Purpose, Welcome};

use crate::raw::{HERE, Papers, connect, knock};
use crate::scene::Scene;

const DAY: Duration = Duration::from_hours(24);

fn said(answer: Result<Welcome, LinkError>) -> String {
    match answer {
        Ok(Welcome::Refused { reason } | Welcome::Copy { reason }) => reason.to_string(),
        Ok(welcome) => panic!("it was let in: {welcome:?}"),
        Err(error) => error.to_string(),
    }
}

/// Parameters of a forged certificate for `good-1`.
fn forged_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI("sysmon://agent/good-1".try_into().unwrap())];
    params
}

fn made_at(authority: &Authority, role: Role, name: &str, moment: SystemTime) -> Identity {
    let name = name.parse().unwrap();
    authority.issue(role, &name, moment, 1).unwrap()
}

#[tokio::test]
async fn foreign_and_expired_certificates_are_refused_with_the_reason() {
    let scene = Scene::new().await;
    let now = SystemTime::now();
    let key = KeyPair::generate().unwrap();
    let own = forged_params().self_signed(&key).unwrap();
    let self_signed = Papers::of_pem(&own.pem(), &key.serialize_pem());
    // The right authority's name with another one's signature.
    let real = std::fs::read_to_string(scene.dir().join("ca/ca.pem")).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&real, KeyPair::generate().unwrap()).unwrap();
    let forged = forged_params().signed_by(&key, &issuer).unwrap();
    let forged = Papers::of_pem(&forged.pem(), &key.serialize_pem());
    let elsewhere = Authority::in_memory(now, &Random::system()).unwrap();
    let issued = |authority: &Authority, moment| {
        Papers::of(&made_at(authority, Role::Agent, "good-1", moment))
    };
    let cases = [
        (self_signed, "another authority"),
        (forged, "refused the TLS handshake"),
        (issued(&elsewhere, now), "another authority"),
        (issued(&scene.authority, now - 3 * DAY), "has expired"),
        (issued(&scene.authority, now + 2 * DAY), "set the clock"),
    ];
    for (papers, wanted) in cases {
        let before = scene.refusals();
        let told = said(knock(&scene, Some(papers), Purpose::Push).await);
        assert!(told.contains(wanted), "{wanted}: {told}");
        scene
            .until("it is counted", || scene.refusals() > before)
            .await;
    }
    for purpose in [Purpose::Push, Purpose::View, Purpose::Mirror] {
        let told = said(knock(&scene, None, purpose).await);
        assert!(told.contains("no certificate was shown"), "{told}");
    }
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn a_newer_major_protocol_is_refused_and_a_newer_minor_one_accepted() {
    let scene = Scene::new().await;
    let papers = || Some(Papers::of(&scene.identity(Role::Operator, "o")));
    let error = connect(&scene, HERE, papers(), b"sysmon/2")
        .await
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("does not support this version"),
        "{error}"
    );
    let raw = connect(&scene, HERE, papers(), ALPN).await.unwrap();
    let (send, recv) = raw.connection.open_bi().await.unwrap();
    let mut sender = sysmon_link::FrameSender::new(send);
    sender
        .send(&crate::raw::hello(u16::MAX, Purpose::View))
        .await
        .unwrap();
    let mut receiver = sysmon_link::FrameReceiver::new(recv);
    match receiver.next::<Welcome>().await.unwrap().unwrap() {
        Welcome::Accepted { minor, .. } => assert_eq!(minor, sysmon_wire::MINOR),
        Welcome::Refused { reason } | Welcome::Copy { reason } => panic!("{reason}"),
    }
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn each_role_is_limited_to_its_purpose() {
    use Purpose::{Join, Mirror, Push, Renew, View};
    let scene = Scene::new().await;
    for role in Role::ALL {
        let connector = scene.connector(role, "wrong");
        for purpose in [Push, View, Join, Mirror, Renew] {
            let wanted = match (purpose, role) {
                (Push, Role::Agent) | (View, Role::Operator) => continue,
                (Renew, Role::Agent | Role::Gateway) => continue,
                (Renew, _) => "only agents and gateways connect to renew",
                (Push, _) => "only a certificate of role agent may push",
                (View, _) => "only a certificate of role operator may view",
                (Join, _) => "has joined already",
                (Mirror, _) => "edges do not connect to the hub",
            };
            let before = scene.refusals();
            let answer = connector.connect(&scene.address.to_string(), purpose).await;
            let told = answer.unwrap_err().to_string();
            assert!(told.contains(wanted), "{role} {purpose:?}: {told}");
            scene
                .until("it is counted", || scene.refusals() > before)
                .await;
        }
    }
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn revoking_a_certificate_closes_its_connections_and_keeps_it_out() {
    let scene = Scene::new().await;
    for (role, name) in [(Role::Agent, "a"), (Role::Operator, "o")] {
        let identity = scene.identity(role, name);
        let purpose = if role == Role::Agent {
            Purpose::Push
        } else {
            Purpose::View
        };
        let connector = Connector::new(&identity, "1", &Clock::system()).unwrap();
        let address = scene.address.to_string();
        let session = connector.connect(&address, purpose).await.unwrap();
        let revoked = scene
            .state
            .register()
            .revoke(&name.parse().unwrap(), None, SystemTime::now())
            .unwrap();
        assert_eq!(revoked, 1);
        let ended = LinkError::from(session.connection.closed().await).to_string();
        assert!(ended.contains("has been revoked"), "{ended}");
        let again = connector
            .connect(&address, purpose)
            .await
            .unwrap_err()
            .to_string();
        assert!(again.contains("has been revoked"), "{again}");
    }
    scene.stays_unharmed().await;
}

/// The hub connects to edges; revocation closes those connections too.
#[tokio::test]
async fn a_revoked_edge_receives_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let state = HubState::new(dir.path(), &Random::system());
    let now = SystemTime::now();
    let authority = state.authority(now).unwrap();
    let name = "edge-1".parse().unwrap();
    let identity = authority.issue(Role::Edge, &name, now, 30).unwrap();
    state.register().record(&identity, now).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = ListenOptions {
        clock: Clock::system(),
        reset: ResetSecret::generate(&Random::system()).unwrap(),
        limits: AdmissionLimits {
            connections: 10,
            handshakes_per_network: 10,
            challenge_from: 10,
        },
        accepts_joins: false,
    };
    let edge = Listener::bind(any, &identity, options).unwrap();
    let edges = EdgeOptions {
        edges: vec![edge.address().unwrap().to_string()],
        share: vec!["*".parse().unwrap()],
        ..EdgeOptions::default()
    };
    let greet = async || {
        let arrival = edge.accept().await.unwrap().unwrap();
        let NewSession::Peer(mut hub) = arrival.handshake().await.unwrap() else {
            panic!("the hub shows no certificate");
        };
        hub.accept("edge-1", "1").await.unwrap();
        hub
    };
    let (scene, hub) = tokio::join!(Scene::with_edges(dir, authority, edges), greet());
    assert!(hub.connection.accept_uni().await.is_ok());
    scene
        .state
        .register()
        .revoke(&name, None, SystemTime::now())
        .unwrap();
    for hub in [hub, greet().await] {
        let ended = LinkError::from(hub.connection.closed().await).to_string();
        assert!(ended.contains("has been revoked"), "{ended}");
    }
    scene.stays_unharmed().await;
}

/// What a stolen certificate authority allows, and that replacing it without an overlap ends that.
#[tokio::test]
async fn a_stolen_authority_works_until_it_is_replaced() {
    let scene = Scene::new().await;
    let stolen = Authority::open(&scene.dir().join("ca"), &Random::system()).unwrap();
    let now = SystemTime::now();
    let name = "owner".parse().unwrap();
    let thief = stolen.issue(Role::Operator, &name, now, 30).unwrap();
    let connector = Connector::new(&thief, "1", &Clock::system()).unwrap();
    let address = scene.address.to_string();
    let session = connector.connect(&address, Purpose::View).await.unwrap();
    scene.state.rotate_authority(now).unwrap();
    scene.state.retire_authority().unwrap();
    session.connection.closed().await;
    let told = knock(&scene, Some(Papers::of(&thief)), Purpose::View).await;
    let told = said(told);
    assert!(told.contains("another authority"), "{told}");
}
