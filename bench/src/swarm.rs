//! Many simulated agents in one process, each with an identity and a connection of its own.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use sysmon_agent::run::{AgentOptions, Summary, run};
use sysmon_agent::simulated::Simulated;
use sysmon_agent::spool::SpoolLimits;
use sysmon_certs::{HubState, Role};
use sysmon_link::Connector;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::VERSION;

/// Agents that share a socket: one would be a bottleneck, one each too many files.
const AGENTS_PER_SOCKET: usize = 64;

/// Memory one agent may keep for rows that the hub has not taken.
const SPOOL_BYTES: usize = 1 << 20;

/// What a swarm does.
#[derive(Clone, Debug)]
pub struct SwarmOptions {
    /// The hub as `HOST:PORT`.
    pub hub: String,
    /// How many agents.
    pub hosts: usize,
    /// Time between samples.
    pub interval: Duration,
    /// How long.
    pub length: Duration,
}

/// Runs a swarm whose identities are made by the hub's authority in `state`.
pub async fn swarm(options: SwarmOptions, state: &Path) -> anyhow::Result<Summary> {
    let authority = HubState::new(state)
        .existing_authority()
        .with_context(|| format!("{} is not the state directory of a hub", state.display()))?;
    let (stop, stopped) = watch::channel(false);
    let mut agents = JoinSet::new();
    let mut socket: Option<Connector> = None;
    for number in 0..options.hosts {
        let source = Simulated::new(number as u64);
        let identity = authority.issue(Role::Agent, &source.name(), SystemTime::now(), 1)?;
        let connector = match &socket {
            Some(shared) if number % AGENTS_PER_SOCKET != 0 => shared.with_identity(&identity)?,
            _ => socket.insert(Connector::new(&identity, VERSION)?).clone(),
        };
        let agent = AgentOptions {
            hub: options.hub.clone(),
            interval: options.interval,
            spool: SpoolLimits {
                memory_bytes: SPOOL_BYTES,
                disk_bytes: 0,
                age: Duration::from_hours(1),
            },
            state: None,
        };
        let mut stopped = stopped.clone();
        let stop = async move {
            // A sender that is gone says the same.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        agents.spawn(run(agent, connector, source, stop));
        // Connections are made one after the other, as agents would come that are started by hand.
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(options.length).await;
    stop.send_replace(true);
    let mut total = Summary::default();
    while let Some(summary) = agents.join_next().await {
        let summary = summary?;
        total.rows += summary.rows;
        total.dropped += summary.dropped;
        total.waiting += summary.waiting;
    }
    Ok(total)
}
