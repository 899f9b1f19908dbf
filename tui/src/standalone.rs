//! A hub and an agent inside this program, for looking at one machine without setting anything up.
//!
//! They are the real ones, over QUIC on loopback, with an authority that lives in memory: nothing
//! is left behind.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, SystemTime};

use sysmon_agent::run::{AgentOptions, Source, Summary, run};
use sysmon_agent::sampler::Sampler;
use sysmon_agent::simulated::Simulated;
use sysmon_agent::spool::SpoolLimits;
use sysmon_alerts::rule::DEFAULTS;
use sysmon_certs::{Authority, CertError, Identity, PeerName, Role};
use sysmon_config::{AgentConfig, HubConfig, host_name};
use sysmon_clock::{Clock, Random};
use sysmon_hub::fleet::FleetOptions;
use sysmon_hub::server::{AlertOptions, BoundHub, EdgeOptions, HubOptions, StartError};
use sysmon_link::{Connector, LinkError};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::VERSION;

/// Days its certificates are valid; it never runs that long.
pub(crate) const DAYS: u32 = 30;

/// Simulated hosts there can be.
pub const DEMO_HOSTS_MAX: usize = 1_000;

/// How far back simulated hosts remember, so that there is something to look at.
const DEMO_PAST: Duration = Duration::from_mins(10);

/// Why it cannot start.
#[derive(Debug, Error)]
pub enum StandaloneError {
    /// No certificates.
    #[error(transparent)]
    Certificates(#[from] CertError),
    /// No sockets.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// No hub.
    #[error(transparent)]
    Hub(#[from] StartError),
    /// No thread or timer.
    #[error("cannot start the hub inside: {0}")]
    Start(#[from] std::io::Error),
    /// It stopped before it began.
    #[error("the hub inside stopped at once")]
    Stopped,
}

/// The hub inside; it ends when this is dropped.
#[derive(Debug)]
pub struct Standalone {
    /// Where it listens.
    pub hub: String,
    /// Its owner, who may look at it.
    pub owner: Identity,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Standalone {
    /// Starts a hub, an agent for this machine and `demo_hosts` simulated hosts.
    pub fn start(
        agent: AgentConfig,
        hub: &HubConfig,
        demo_hosts: usize,
    ) -> Result<Self, StandaloneError> {
        let authority = Authority::in_memory(SystemTime::now())?;
        Self::under(authority, agent, hub, demo_hosts, EdgeOptions::default())
    }

    /// The same under an authority that is there, and shown to edges that it knows.
    pub fn under(
        authority: Authority,
        agent: AgentConfig,
        hub: &HubConfig,
        demo_hosts: usize,
        edges: EdgeOptions,
    ) -> Result<Self, StandaloneError> {
        let now = SystemTime::now();
        let name = PeerName::nearest(&host_name());
        let hub_identity = authority.issue(Role::Hub, &name, now, DAYS)?;
        let owner = authority.issue(Role::Operator, &PeerName::nearest("owner"), now, DAYS)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let bound = {
            // Sockets belong to the runtime that is entered when they are made.
            let _guard = runtime.enter();
            BoundHub::bind(hub_options(hub, &name, edges), &hub_identity)?
        };
        let address = bound
            .loopback()
            .ok_or(StandaloneError::Stopped)?
            .to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let inside = Inside {
            authority,
            name,
            hub: address.clone(),
            agent,
        };
        let thread = thread::Builder::new()
            .name("hub".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let stopped = async {
                        // A sender that is dropped says the same.
                        let _ = stopped.await;
                    };
                    tokio::select! {
                        () = bound.serve(stopped) => {}
                        error = inside.push(demo_hosts) => tracing::error!("{error}"),
                    }
                });
            })?;
        Ok(Self {
            hub: address,
            owner,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has told so itself.
            let _ = thread.join();
        }
    }
}

fn hub_options(hub: &HubConfig, name: &PeerName, edges: EdgeOptions) -> HubOptions {
    HubOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        name: name.to_string(),
        fleet: FleetOptions {
            stale_after: hub.stale_after,
            offline_after: hub.offline_after,
            retention: hub.retention,
            memory_bytes: hub.memory,
        },
        history: None,
        access: None,
        clock: Clock::system(),
        random: Random::system(),
        metrics: None,
        edges,
        alerts: AlertOptions {
            rules: DEFAULTS
                .iter()
                .filter_map(|rule| rule.parse().ok())
                .collect(),
            ..AlertOptions::default()
        },
    }
}

/// The agents inside.
struct Inside {
    authority: Authority,
    name: PeerName,
    hub: String,
    agent: AgentConfig,
}

impl Inside {
    /// Runs all agents; returns only if one cannot.
    async fn push(self, demo_hosts: usize) -> StandaloneError {
        let own = match self.connector(&self.name, None) {
            Ok(connector) => connector,
            Err(error) => return error,
        };
        let mut simulated = tokio::task::JoinSet::new();
        for number in 0..demo_hosts.min(DEMO_HOSTS_MAX) {
            let source = Simulated::new(number as u64).with_past(DEMO_PAST);
            let started = self.connector(&source.name(), Some(&own));
            match started {
                Ok(connector) => simulated.spawn(self.agent(connector, source)),
                Err(error) => return error,
            };
        }
        let this = self.agent(own, Sampler::new(&self.agent));
        this.await;
        StandaloneError::Stopped
    }

    /// A connector of an agent; many agents share the socket of the first.
    fn connector(
        &self,
        name: &PeerName,
        socket: Option<&Connector>,
    ) -> Result<Connector, StandaloneError> {
        let identity = self
            .authority
            .issue(Role::Agent, name, SystemTime::now(), DAYS)?;
        Ok(match socket {
            Some(socket) => socket.with_identity(&identity)?,
            None => Connector::new(&identity, VERSION)?,
        })
    }

    fn agent(
        &self,
        connector: Connector,
        source: impl Source + 'static,
    ) -> impl Future<Output = Summary> + 'static {
        let options = AgentOptions {
            hub: self.hub.clone(),
            interval: self.agent.interval.max(Duration::from_millis(100)),
            spool: SpoolLimits {
                memory_bytes: usize::try_from(self.agent.spool_memory).unwrap_or(usize::MAX),
                disk_bytes: 0,
                age: self.agent.spool_age,
            },
            state: None,
        };
        run(options, connector, source, std::future::pending())
    }
}
