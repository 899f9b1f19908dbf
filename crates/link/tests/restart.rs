//! A listener that is killed and started again is reached again at once.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;
use std::time::Duration;

use sysmon_certs::{Authority, Identity, ResetSecret, Role};
use sysmon_clock::{Clock, Random};
use sysmon_link::{
    AdmissionLimits, Connector, FrameSender, HubSession, ListenOptions, Listener, NewSession,
};
use sysmon_wire::message::Purpose;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Far below QUIC's idle time-out of 20 s, and above what a busy machine needs.
const AT_ONCE: Duration = Duration::from_secs(8);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A listener in a runtime of its own.
struct Running {
    address: SocketAddr,
    kill: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Running {
    fn start(address: SocketAddr, identity: &Identity, secret: &ResetSecret) -> Self {
        let options = ListenOptions {
            clock: Clock::system(),
            reset: secret.clone(),
            limits: AdmissionLimits {
                connections: 1_000,
                handshakes_per_network: 1_000,
                challenge_from: 1_000,
            },
            accepts_joins: false,
        };
        let runtime = runtime();
        let listener = {
            let _guard = runtime.enter();
            Listener::bind(address, identity, options).unwrap()
        };
        let address = listener.address().unwrap();
        let (kill, mut killed) = watch::channel(false);
        let serving = std::thread::spawn(move || {
            runtime.spawn(serve(listener));
            runtime.block_on(async { killed.changed().await.unwrap() });
        });
        Self {
            address,
            kill,
            serving,
        }
    }

    /// Drops the runtime with all its tasks: like the death of a process, it closes no connection.
    fn kill(self) -> SocketAddr {
        self.kill.send_replace(true);
        self.serving.join().unwrap();
        self.address
    }
}

async fn serve(listener: Listener) {
    while let Some(Ok(arrival)) = listener.accept().await {
        tokio::spawn(async move {
            if let Ok(NewSession::Peer(mut session)) = arrival.handshake().await {
                session.accept("h", "1").await.unwrap();
                session.connection.closed().await;
            }
        });
    }
}

fn authority() -> Authority {
    Authority::in_memory(Clock::system().system_time(), &Random::system()).unwrap()
}

fn issue(authority: &Authority, role: Role, name: &str) -> Identity {
    let now = Clock::system().system_time();
    authority
        .issue(role, &name.parse().unwrap(), now, 1)
        .unwrap()
}

/// Connects so many peers, kills and restarts the listener, and returns how many notice it at once.
fn noticing(peers: usize, role: Role, purpose: Purpose, secrets: [&ResetSecret; 2]) -> usize {
    let authority = authority();
    let hub = issue(&authority, Role::Hub, "h");
    let first = Running::start((Ipv4Addr::LOCALHOST, 0).into(), &hub, secrets[0]);
    let address = first.address;
    let clients = runtime();
    let identity = issue(&authority, role, "a");
    let sessions: Vec<(Connector, HubSession)> = clients.block_on(async {
        let mut sessions = Vec::new();
        for _ in 0..peers {
            let connector = Connector::new(&identity, "1", &Clock::system()).unwrap();
            let session = connector
                .connect(&address.to_string(), purpose)
                .await
                .unwrap();
            sessions.push((connector, session));
        }
        sessions
    });
    let second = Running::start(first.kill(), &hub, secrets[1]);
    let noticed = clients.block_on(async {
        let mut lost = JoinSet::new();
        for (connector, session) in sessions {
            lost.spawn(async move {
                if purpose == Purpose::Push {
                    let mut rows = FrameSender::new(session.connection.open_uni().await.unwrap());
                    rows.send(&7u64).await.unwrap();
                }
                let closed = tokio::time::timeout(AT_ONCE, session.connection.closed()).await;
                drop(connector);
                closed.is_ok()
            });
        }
        lost.join_all()
            .await
            .into_iter()
            .filter(|is_lost| *is_lost)
            .count()
    });
    second.kill();
    noticed
}

fn secret() -> ResetSecret {
    ResetSecret::generate(&Random::system()).unwrap()
}

#[test]
fn every_agent_of_a_fleet_notices_at_once_that_its_hub_was_killed_and_restarted() {
    let secret = secret();
    let noticed = noticing(400, Role::Agent, Purpose::Push, [&secret, &secret]);
    assert_eq!(noticed, 400);
}

#[test]
fn a_terminal_that_only_listens_notices_too() {
    let secret = secret();
    let noticed = noticing(1, Role::Operator, Purpose::View, [&secret, &secret]);
    assert_eq!(noticed, 1);
}

#[test]
fn a_listener_with_another_secret_cannot_end_connections() {
    let noticed = noticing(1, Role::Agent, Purpose::Push, [&secret(), &secret()]);
    assert_eq!(noticed, 0);
}
