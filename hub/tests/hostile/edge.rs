//! The edge's port, which is public.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connecting, Endpoint};
use sysmon_certs::{Authority, HubState, Identity, Role, server_name};
use sysmon_clock::{Clock, Random};
use sysmon_edge::ingest;
use sysmon_edge::web::{App, Options};
use sysmon_hub::server::EdgeOptions;
use sysmon_link::{Connector, LinkError};
use sysmon_wire::ALPN;
use sysmon_wire::message::Purpose;
use tokio::runtime::{Builder, Runtime};

use crate::raw;
use crate::scene::Scene;

/// Less than a handshake that never ends is held for: the hub does not get in because the attackers gave up.
const AT_ONCE: Duration = Duration::from_secs(8);

fn issue(authority: &Authority, role: Role, name: &str) -> Identity {
    let name = name.parse().unwrap();
    authority.issue(role, &name, SystemTime::now(), 1).unwrap()
}

/// Handshakes that were begun from `from` and never go on.
fn begin_handshakes(
    attacker: &Runtime,
    identity: &Identity,
    from: Ipv4Addr,
    edge: SocketAddr,
) -> Vec<(Endpoint, Connecting)> {
    let tls = identity.client_config(&[ALPN]).unwrap();
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    attacker.block_on(async {
        let begin = |_| {
            let endpoint = Endpoint::client(SocketAddr::from((from, 0))).unwrap();
            let connecting = endpoint
                .connect_with(config.clone(), edge, server_name(Role::Edge))
                .unwrap();
            (endpoint, connecting)
        };
        let begun = (0..100).map(begin).collect();
        // The first packets leave.
        tokio::time::sleep(Duration::from_millis(200)).await;
        begun
    })
}

#[tokio::test]
async fn the_hub_reaches_its_edge_whatever_unauthenticated_peers_do_at_its_port() {
    let dir = tempfile::tempdir().unwrap();
    let state = HubState::new(dir.path(), &Random::system());
    let authority = state.authority(SystemTime::now()).unwrap();
    let app = Arc::new(App::new(Options::default(), Clock::system()));
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let identity = issue(&authority, Role::Edge, "edge-1");
    let (clock, random) = (Clock::system(), Random::system());
    let edge = ingest::Endpoint::bind(any, identity, None, &clock, &random).unwrap();
    let address = edge.address().unwrap();
    let target = address.to_string();
    tokio::spawn(ingest::listen(Arc::clone(&app), Arc::new(edge)));

    // Without a certificate TLS itself refuses; other roles are refused by name.
    let knows = issue(&authority, Role::Operator, "x");
    let nobody = Endpoint::client(any).unwrap();
    let config = raw::client_config(&knows, None, ALPN);
    let connecting = nobody.connect_with(config, address, server_name(Role::Edge));
    let closed = match connecting.unwrap().await {
        Ok(connection) => connection.closed().await,
        Err(error) => error,
    };
    let told = LinkError::from(closed).to_string();
    assert!(told.contains("requires a certificate"), "{told}");
    for role in [Role::Agent, Role::Operator, Role::Edge] {
        let peer = Connector::new(&issue(&authority, role, "x"), "1", &Clock::system()).unwrap();
        let refused = peer.connect_as(&target, Role::Edge, Purpose::Mirror);
        let told = refused.await.unwrap_err();
        assert!(
            matches!(&told, LinkError::Refused(why) if why.contains("role hub")),
            "{told}"
        );
    }

    let attacker = Builder::new_current_thread().enable_all().build().unwrap();
    let thief = issue(&authority, Role::Agent, "thief");
    let attackers = std::thread::spawn(move || {
        let from = (2..6).map(|host| Ipv4Addr::new(127, 0, 0, host));
        let begun = from.map(|from| begin_handshakes(&attacker, &thief, from, address));
        let begun: Vec<_> = begun.collect();
        (attacker, begun)
    });
    let attack = tokio::task::spawn_blocking(|| attackers.join().unwrap())
        .await
        .unwrap();
    let start = Instant::now();
    let edges = EdgeOptions {
        edges: vec![address.to_string()],
        share: vec!["*".parse().unwrap()],
        ..EdgeOptions::default()
    };
    let scene = Scene::with_edges(dir, authority, edges).await;
    scene
        .until("the edge has both hosts", || {
            let mirror = app.mirror();
            ["good-1", "good-2"]
                .iter()
                .all(|name| mirror.state(name).is_ok())
        })
        .await;
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    // A runtime cannot be dropped where another runs.
    std::thread::spawn(move || drop(attack)).join().unwrap();
    scene.stays_unharmed().await;
}
