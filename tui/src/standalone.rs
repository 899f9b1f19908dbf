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
use sysmon_clock::{Clock, Random};
use sysmon_config::{AgentConfig, HubConfig, host_name};
use sysmon_hub::fleet::FleetOptions;
use sysmon_hub::server::{AlertOptions, BoundHub, EdgeOptions, HubOptions, StartError};
use sysmon_link::{Connector, LinkError};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use crate::VERSION;

pub(crate) const CERTIFICATE_DAYS: u32 = 30;

pub const DEMO_HOSTS_MAX: usize = 1_000;

/// History that simulated hosts begin with, so that charts are not empty.
const DEMO_HISTORY: Duration = Duration::from_mins(20);

/// Rules for simulated hosts besides the usual ones, which wait longer than somebody who only looks.
const DEMO_RULES: [&str; 2] = [
    "saturated: psi.cpu > 60% clear 40% for 1m on #demo critical",
    "filling: system.filesystem.utilization > 92.5% for 30s on #demo",
];

#[derive(Debug, Error)]
pub enum StandaloneError {
    #[error(transparent)]
    Certificates(#[from] CertError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Hub(#[from] StartError),
    #[error("cannot start the built-in hub: {0}")]
    Start(#[from] std::io::Error),
    #[error("the built-in hub stopped while it started")]
    Stopped,
}

/// A running hub with its agents; dropping it stops them.
#[derive(Debug)]
pub struct Standalone {
    pub hub: String,
    pub owner: Identity,
    stop: Option<oneshot::Sender<()>>,
    /// Why the hub has ended.
    exited: watch::Receiver<Option<String>>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Clone, Debug)]
pub struct StandaloneOptions {
    /// Configuration of this machine's agent, and in part of the simulated ones.
    pub agent: AgentConfig,
    pub hub: HubConfig,
    pub demo_hosts: usize,
    pub clock: Clock,
    pub random: Random,
}

impl Standalone {
    pub fn start(options: StandaloneOptions) -> Result<Self, StandaloneError> {
        let authority = Authority::in_memory(options.clock.system_time(), &options.random)?;
        Self::with_authority(options, authority, EdgeOptions::default())
    }

    /// Starts the same with an existing certificate authority, and relays to `edges`.
    pub fn with_authority(
        options: StandaloneOptions,
        authority: Authority,
        edges: EdgeOptions,
    ) -> Result<Self, StandaloneError> {
        let days = CERTIFICATE_DAYS;
        let now = options.clock.system_time();
        let name = PeerName::nearest(&host_name());
        let hub_identity = authority.issue(Role::Hub, &name, now, days)?;
        let owner = authority.issue(Role::Operator, &PeerName::nearest("owner"), now, days)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let bound = {
            // Sockets belong to the runtime that is current when they are opened.
            let _guard = runtime.enter();
            BoundHub::bind(hub_options(&options, &name, edges), &hub_identity)?
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
            options,
        };
        let (exit, exited) = watch::channel(None);
        let thread = thread::Builder::new()
            .name("hub".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let stopped = async {
                        // A dropped sender means stop as well.
                        let _ = stopped.await;
                    };
                    let reason = tokio::select! {
                        _ = bound.serve(stopped) => "its sockets were closed".to_owned(),
                        error = agents.run() => {
                            tracing::error!(%error, "built-in agents stopped");
                            error.to_string()
                        }
                    };
                    exit.send_replace(Some(reason));
                });
            })?;
        Ok(Self {
            hub: address,
            owner,
            stop: Some(stop),
            exited,
            thread: Some(thread),
        })
    }
}

impl Standalone {
    /// Waits until the built-in hub has ended, and returns why.
    pub async fn exited(&self) -> String {
        let mut exited = self.exited.clone();
        let reason = exited.wait_for(Option::is_some).await;
        let reason = reason.ok().and_then(|reason| reason.clone());
        // Its thread panicked, and has printed that.
        reason.unwrap_or_else(|| "it failed".to_owned())
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

fn hub_options(options: &StandaloneOptions, name: &PeerName, edges: EdgeOptions) -> HubOptions {
    let hub = &options.hub;
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
        clock: options.clock.clone(),
        random: options.random.clone(),
        metrics: None,
        otlp: None,
        otlp_http: None,
        exports: Vec::new(),
        history_beyond: None,
        heartbeat: None,
        edges,
        alerts: AlertOptions {
            rules: DEFAULTS
                .iter()
                .chain(DEMO_RULES.iter().filter(|_| options.demo_hosts > 0))
                .filter_map(|rule| rule.parse().ok())
                .collect(),
            ..AlertOptions::default()
        },
    }
}

struct Agents {
    authority: Authority,
    name: PeerName,
    hub: String,
    options: StandaloneOptions,
}

impl Agents {
    /// Runs all agents; returns only if one cannot start.
    async fn run(self) -> StandaloneError {
        let own = match self.connector(&self.name, None) {
            Ok(connector) => connector,
            Err(error) => return error,
        };
        let mut simulated = tokio::task::JoinSet::new();
        for number in 0..self.options.demo_hosts.min(DEMO_HOSTS_MAX) {
            let source = Simulated::new(number as u64).with_past(DEMO_HISTORY);
            let started = self.connector(&source.name(), Some(&own));
            match started {
                Ok(connector) => simulated.spawn(self.agent(connector, source)),
                Err(error) => return error,
            };
        }
        let sampler = Sampler::new(&self.options.agent, &self.options.clock);
        self.agent(own, sampler).await;
        StandaloneError::Stopped
    }

    /// A connector for one agent; all share the socket of the first.
    fn connector(
        &self,
        name: &PeerName,
        socket: Option<&Connector>,
    ) -> Result<Connector, StandaloneError> {
        let now = self.options.clock.system_time();
        let days = CERTIFICATE_DAYS;
        let identity = self.authority.issue(Role::Agent, name, now, days)?;
        Ok(match socket {
            Some(socket) => socket.with_identity(&identity)?,
            None => Connector::new(&identity, VERSION, &self.options.clock)?,
        })
    }

    fn agent(
        &self,
        connector: Connector,
        source: impl Source + 'static,
    ) -> impl Future<Output = Summary> + 'static {
        let config = &self.options.agent;
        let options = AgentOptions {
            hub: self.hub.clone(),
            interval: config.interval.max(Duration::from_millis(100)),
            spool: SpoolLimits {
                memory_bytes: usize::try_from(config.spool_memory).unwrap_or(usize::MAX),
                disk_bytes: 0,
                age: config.spool_age,
            },
            state: None,
            clock: self.options.clock.clone(),
            random: self.options.random.clone(),
        };
        run(options, connector, source, std::future::pending())
    }
}
