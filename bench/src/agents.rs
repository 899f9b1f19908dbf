//! Many agents in this process, each with an identity and a connection of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use sysmon_agent::run::{AgentOptions, Source, Summary, run_observed};
use sysmon_certs::{Authority, PeerName, Role};
use sysmon_link::Connector;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::VERSION;
use crate::progress::Progress;
use crate::tally::{Tally, Watched};

/// Agents that share a socket: one would be a bottleneck, one each too many files.
const AGENTS_PER_SOCKET: usize = 64;

/// Time those have whose first attempt failed: the longest wait between attempts, and the next.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long identities are good for.
const DAYS: u32 = 1;

/// What agents are to connect with.
pub(crate) fn connectors(
    authority: &Authority,
    names: impl ExactSizeIterator<Item = PeerName>,
) -> anyhow::Result<Vec<Connector>> {
    let mut progress = Progress::new("identities are made", names.len());
    let mut connectors = Vec::with_capacity(names.len());
    let mut socket: Option<Connector> = None;
    for name in names {
        let identity = authority.issue(Role::Agent, &name, SystemTime::now(), DAYS)?;
        connectors.push(match &socket {
            Some(shared) if connectors.len() % AGENTS_PER_SOCKET != 0 => {
                shared.with_identity(&identity)?
            }
            _ => socket
                .insert(Connector::new(
                    &identity,
                    VERSION,
                    &sysmon_clock::Clock::system(),
                )?)
                .clone(),
        });
        progress.tell(connectors.len());
    }
    Ok(connectors)
}

/// Starts agents, so many at a time, and waits until all are connected or have had their time.
pub(crate) async fn connect<S: Source + Send + 'static>(
    options: &AgentOptions,
    handshakes: usize,
    agents: impl ExactSizeIterator<Item = (Connector, S)>,
    tally: &Arc<Tally>,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<JoinSet<Summary>> {
    let hosts = agents.len();
    let mut progress = Progress::new("agents are connected", hosts);
    let mut up = tally.up();
    let handshakes = Arc::new(Semaphore::new(handshakes));
    let mut running = JoinSet::new();
    for (connector, source) in agents {
        let attempt = Arc::clone(&handshakes).acquire_owned().await?;
        let mut stopped = stopped.clone();
        let stop = async move {
            // A sender that is gone says the same.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let observer = Arc::new(Watched::new(tally, attempt));
        running.spawn(run_observed(
            options.clone(),
            connector,
            source,
            stop,
            observer,
        ));
        let connected = *up.borrow_and_update();
        if connected == 0 && tally.counts().failed > 0 {
            bail!("no agent is let in: {}", tally.counts().last_error);
        }
        progress.tell(connected);
    }
    let all = up.wait_for(|up| {
        progress.tell(*up);
        *up >= hosts
    });
    let all = timeout(PATIENCE, all).await.is_ok();
    let connected = *tally.up().borrow();
    if !all {
        let error = tally.counts().last_error.clone();
        if connected == 0 {
            bail!("no agent is let in: {error}");
        }
        tracing::warn!("{connected} of {hosts} agents are connected: {error}");
    }
    Ok(running)
}
