//! A hub with enrolment and a history, and two agents that push rows to it all the time.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use sysmon_agent::observer::Observer;
use sysmon_agent::run::{AgentOptions, Summary, run_observed};
use sysmon_agent::simulated::Simulated;
use sysmon_agent::spool::SpoolLimits;
use sysmon_certs::{Authority, HubState, Identity, PeerName, Role};
use sysmon_clock::{Clock, Random};
use sysmon_hub::fleet::FleetOptions;
use sysmon_hub::host::Host;
use sysmon_hub::server::{
    AccessOptions, AlertOptions, BoundHub, EdgeOptions, HistoryOptions, Hub, HubOptions,
};
use sysmon_link::{Connector, HubSession};
use sysmon_store::Limits;
use sysmon_wire::UnixMs;
use sysmon_wire::message::{HostHealth, Purpose};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Bound for every wait, for busy machines.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Time between two rows of the well-behaved agents.
const INTERVAL: Duration = Duration::from_millis(100);

/// The well-behaved agents.
const GOOD: [&str; 2] = ["good-1", "good-2"];

/// How long the rows of a well-behaved agent took to become durable.
#[derive(Debug, Default)]
pub(crate) struct Delays {
    waiting: Mutex<VecDeque<(u64, Instant)>>,
    longest: Mutex<Duration>,
}

impl Observer for Delays {
    fn pushed(&self, seq: u64, _: UnixMs) {
        self.waiting
            .lock()
            .unwrap()
            .push_back((seq, Instant::now()));
    }

    fn acknowledged(&self, ranges: &[(u64, u64)]) {
        self.waiting.lock().unwrap().retain(|(seq, since)| {
            let is_durable = ranges.iter().any(|(low, high)| (low..=high).contains(&seq));
            if is_durable {
                let mut longest = self.longest.lock().unwrap();
                *longest = longest.max(since.elapsed());
            }
            !is_durable
        });
    }
}

/// Fires on hosts of attackers that report how long they are up.
const RULE: &str = "up: system.uptime > 0 on a*";

/// A hub under attack.
pub(crate) struct Scene {
    pub(crate) state: HubState,
    pub(crate) authority: Authority,
    pub(crate) hub: Arc<Hub>,
    pub(crate) address: SocketAddr,
    stop: watch::Sender<bool>,
    agents: Option<JoinHandle<Vec<Summary>>>,
    delays: [Arc<Delays>; 2],
    stop_hub: watch::Sender<bool>,
    serving: Option<JoinHandle<()>>,
    dir: tempfile::TempDir,
}

fn options(dir: &Path, state: &HubState, name: &PeerName, edges: EdgeOptions) -> HubOptions {
    HubOptions {
        listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        name: name.to_string(),
        fleet: FleetOptions {
            stale_after: Duration::from_secs(5),
            offline_after: Duration::from_secs(30),
            retention: Duration::from_secs(3600),
            memory_bytes: 1 << 26,
        },
        history: Some(HistoryOptions {
            path: dir.join("history.db"),
            limits: Limits {
                bytes: 1 << 26,
                rows: Duration::from_hours(24),
                minutes: Duration::from_hours(24 * 30),
                hours: Duration::from_hours(24 * 730),
            },
        }),
        clock: Clock::system(),
        random: Random::system(),
        access: Some(AccessOptions {
            state: state.clone(),
            name: name.clone(),
            days: 30,
        }),
        alerts: AlertOptions {
            rules: vec![RULE.parse().unwrap()],
            ..AlertOptions::default()
        },
        edges,
        metrics: None,
        otlp: None,
        otlp_http: None,
        exports: Vec::new(),
        history_beyond: None,
        heartbeat: None,
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn until_set(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Pushes as several agents until stopped.
fn push(
    identities: &[Identity],
    hub: String,
    stopped: &watch::Receiver<bool>,
    delays: &[Arc<Delays>],
) -> Vec<Summary> {
    let options = AgentOptions {
        hub,
        interval: INTERVAL,
        spool: SpoolLimits {
            memory_bytes: 1 << 20,
            disk_bytes: 0,
            age: Duration::from_hours(1),
        },
        state: None,
        clock: Clock::system(),
        random: Random::system(),
    };
    runtime().block_on(async {
        let agents = identities.iter().zip(delays).zip(0..);
        let agents = agents.map(|((identity, delays), number)| {
            let connector = Connector::new(identity, "1", &sysmon_clock::Clock::system()).unwrap();
            let stop = until_set(stopped.clone());
            let delays: Arc<dyn Observer> = Arc::<Delays>::clone(delays);
            tokio::spawn(run_observed(
                options.clone(),
                connector,
                Simulated::new(number),
                stop,
                delays,
            ))
        });
        let mut summaries = Vec::new();
        for agent in agents.collect::<Vec<_>>() {
            summaries.push(agent.await.unwrap());
        }
        summaries
    })
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority =
            HubState::new(dir.path(), &sysmon_clock::Random::system()).authority(SystemTime::now());
        Self::with_edges(dir, authority.unwrap(), EdgeOptions::default()).await
    }

    /// The same with edges, whose identities the authority in `dir` issues before the hub starts.
    pub(crate) async fn with_edges(
        dir: tempfile::TempDir,
        authority: Authority,
        edges: EdgeOptions,
    ) -> Self {
        let state = HubState::new(dir.path(), &sysmon_clock::Random::system());
        let now = SystemTime::now();
        let name: PeerName = "lan-box".parse().unwrap();
        let identity = state.hub_identity(&authority, &name, now, 30).unwrap();
        let serving = runtime();
        let hub = {
            let _guard = serving.enter();
            BoundHub::bind(options(dir.path(), &state, &name, edges), &identity).unwrap()
        };
        let shared = Arc::clone(&hub.hub);
        let address = hub.loopback().unwrap();
        let (stop_hub, hub_stopped) = watch::channel(false);
        let serving = std::thread::spawn(move || {
            serving.block_on(hub.serve(until_set(hub_stopped)));
        });
        let (stop, stopped) = watch::channel(false);
        let good = GOOD.iter().map(|name| {
            let name = name.parse().unwrap();
            authority.issue(Role::Agent, &name, now, 30).unwrap()
        });
        let (good, to) = (good.collect::<Vec<_>>(), address.to_string());
        let delays: [Arc<Delays>; 2] = Default::default();
        let observers = delays.clone();
        let agents = std::thread::spawn(move || push(&good, to, &stopped, &observers));
        let scene = Self {
            state,
            authority,
            hub: shared,
            address,
            stop,
            agents: Some(agents),
            delays,
            stop_hub,
            serving: Some(serving),
            dir,
        };
        for name in GOOD {
            scene
                .until("rows come", || scene.health(name).rows > 0)
                .await;
        }
        scene
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The counts of a host; zeros if there is no such host.
    pub(crate) fn health(&self, name: &str) -> HostHealth {
        let core = self.hub.core();
        let fleet = &core.fleet;
        let host = fleet.find(name).and_then(|id| fleet.host(id));
        host.map(Host::health).unwrap_or_default()
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.hub.status().refused_total
    }

    pub(crate) async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A certificate that the hub has issued and recorded.
    pub(crate) fn identity(&self, role: Role, name: &str) -> Identity {
        let now = SystemTime::now();
        let name = name.parse().unwrap();
        let identity = self.authority.issue(role, &name, now, 30).unwrap();
        self.state.register().record(&identity, now).unwrap();
        identity
    }

    pub(crate) fn connector(&self, role: Role, name: &str) -> Connector {
        Connector::new(
            &self.identity(role, name),
            "1",
            &sysmon_clock::Clock::system(),
        )
        .unwrap()
    }

    /// An accepted session.
    pub(crate) async fn session(&self, role: Role, name: &str) -> HubSession {
        let purpose = match role {
            Role::Agent => Purpose::Push,
            _ => Purpose::View,
        };
        let connector = self.connector(role, name);
        let session = connector.connect(&self.address.to_string(), purpose).await;
        session.unwrap()
    }

    /// No row of the well-behaved agents waits, or waited since the last call, longer than `max` for the commit.
    pub(crate) fn all_rows_were_durable_within(&self, max: Duration) {
        for (name, delays) in GOOD.iter().zip(&self.delays) {
            let waiting = delays.waiting.lock().unwrap();
            let waits = waiting
                .front()
                .map_or(Duration::ZERO, |(_, since)| since.elapsed());
            let longest = std::mem::take(&mut *delays.longest.lock().unwrap());
            let longest = longest.max(waits);
            assert!(longest <= max, "{name}: {longest:?}");
        }
    }

    /// The well-behaved agents still push, have lost nothing, and the hub has neither duplicated nor refused rows.
    pub(crate) async fn stays_unharmed(mut self) {
        for name in GOOD {
            let before = self.health(name).rows;
            self.until("rows still come", || self.health(name).rows > before + 1)
                .await;
        }
        self.stop.send_replace(true);
        let agents = self.agents.take().unwrap();
        let summaries = agents.join().unwrap();
        for (name, summary) in GOOD.iter().zip(summaries) {
            assert_eq!((summary.dropped, summary.waiting), (0, 0), "{name}");
            let health = self.health(name);
            assert_eq!(health.rows, summary.rows, "{name}");
            assert_eq!((health.missing_rows, health.refused_rows), (0, 0), "{name}");
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.stop_hub.send_replace(true);
        if let Some(agents) = self.agents.take() {
            let _ = agents.join();
        }
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}
