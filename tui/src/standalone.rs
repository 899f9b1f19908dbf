//! A hub and agents inside this program, so that one machine needs no setup.
//!
//! They are the ones of `sysmon-hub` and `sysmon-agent` and talk QUIC over loopback. The certificate authority is in
//! memory, and nothing is written to disk.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use sysmon_agent::run::{AgentOptions, Source, Summary, run};
use sysmon_agent::sampler::Sampler;
use sysmon_agent::simulated::Simulated;
use sysmon_agent::spool::SpoolLimits;
use sysmon_alerts::rule::DEFAULTS;
use sysmon_certs::{Authority, CertError, Identity, PeerName, Role};
use sysmon_clock::Clock;
use sysmon_config::{AgentConfig, HubConfig, host_name};
use sysmon_hub::fleet::FleetOptions;
use sysmon_hub::server::{AlertOptions, BoundHub, EdgeOptions, HubOptions, StartError};
use sysmon_link::{Connector, LinkError};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::VERSION;

/// Validity of its certificates, far longer than a terminal stays open.
pub(crate) const CERTIFICATE_DAYS: u32 = 30;

/// Most simulated hosts.
pub const DEMO_HOSTS_MAX: usize = 1_000;

/// History that simulated hosts begin with, so that charts are not empty.
const DEMO_HISTORY: Duration = Duration::from_mins(10);

/// Why the hub inside cannot start.
#[derive(Debug, Error)]
pub enum StandaloneError {
    /// Its certificates cannot be made.
    #[error(transparent)]
    Certificates(#[from] CertError),
    /// It cannot open its sockets.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The hub's own reasons.
    #[error(transparent)]
    Hub(#[from] StartError),
    /// The system refuses a thread or a timer.
    #[error("cannot start the built-in hub: {0}")]
    Start(#[from] std::io::Error),
    /// It stopped while it started.
    #[error("the built-in hub stopped while it started")]
    Stopped,
}

/// A running hub with its agents; dropping it stops them.
#[derive(Debug)]
pub struct Standalone {
    /// Its address.
    pub hub: String,
    /// An operator's identity to connect with.
    pub owner: Identity,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Standalone {
    /// Starts a hub, an agent for this machine and `demo_hosts` simulated hosts.
    ///
    /// # Errors
    /// A certificate, socket or thread cannot be made.
    pub fn start(
        agent: AgentConfig,
        hub: &HubConfig,
        demo_hosts: usize,
        clock: &Clock,
    ) -> Result<Self, StandaloneError> {
        let authority = Authority::in_memory(clock.system_time())?;
        let edges = EdgeOptions::default();
        Self::with_authority(authority, agent, hub, demo_hosts, edges, clock)
    }

    /// Starts the same with an existing certificate authority, and relays to `edges`.
    ///
    /// # Errors
    /// A certificate, socket or thread cannot be made.
    pub fn with_authority(
        authority: Authority,
        agent: AgentConfig,
        hub: &HubConfig,
        demo_hosts: usize,
        edges: EdgeOptions,
        clock: &Clock,
    ) -> Result<Self, StandaloneError> {
        let now = clock.system_time();
        let name = PeerName::nearest(&host_name());
        let hub_identity = authority.issue(Role::Hub, &name, now, CERTIFICATE_DAYS)?;
        let owner = authority.issue(
            Role::Operator,
            &PeerName::nearest("owner"),
            now,
            CERTIFICATE_DAYS,
        )?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let bound = {
            // Sockets belong to the runtime that is current when they are opened.
            let _guard = runtime.enter();
            BoundHub::bind(hub_options(hub, &name, edges), &hub_identity)?
        };
        let address = bound
            .loopback()
            .ok_or(StandaloneError::Stopped)?
            .to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let agents = Agents {
            authority,
            name,
            hub: address.clone(),
            agent,
            clock: clock.clone(),
        };
        let thread = thread::Builder::new()
            .name("hub".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let stopped = async {
                        // A dropped sender means stop as well.
                        let _ = stopped.await;
                    };
                    tokio::select! {
                        () = bound.serve(stopped) => {}
                        error = agents.run(demo_hosts) => tracing::error!(%error, "built-in agents stopped"),
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
            // A panic has already been printed.
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
        trust: None,
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

/// The agent of this machine and the simulated ones.
struct Agents {
    authority: Authority,
    name: PeerName,
    hub: String,
    agent: AgentConfig,
    clock: Clock,
}

impl Agents {
    /// Runs all agents; returns only if one cannot start.
    async fn run(self, demo_hosts: usize) -> StandaloneError {
        let own = match self.connector(&self.name, None) {
            Ok(connector) => connector,
            Err(error) => return error,
        };
        let mut simulated = tokio::task::JoinSet::new();
        for number in 0..demo_hosts.min(DEMO_HOSTS_MAX) {
            let source = Simulated::new(number as u64).with_past(DEMO_HISTORY);
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

    /// A connector for one agent; all share the socket of the first.
    fn connector(
        &self,
        name: &PeerName,
        socket: Option<&Connector>,
    ) -> Result<Connector, StandaloneError> {
        let identity = self.authority.issue(
            Role::Agent,
            name,
            self.clock.system_time(),
            CERTIFICATE_DAYS,
        )?;
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
