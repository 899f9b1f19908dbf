//! Many agents in one process, each with its own identity and connection.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use sysmon_agent::run::{AgentOptions, Source, Summary, run_observed};
use sysmon_certs::{Authority, PeerName, Role};
use sysmon_link::Connector;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connector;
use crate::progress::Progress;
use crate::tally::{AgentObserver, Tally};

/// Agents per socket: one socket for all is a bottleneck, one each needs too many files.
const AGENTS_PER_SOCKET: usize = 64;

/// Time-out for agents whose first attempt failed: the longest back-off and the next attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(40);

const DAYS: u32 = 1;

pub(crate) fn connectors(
    authority: &Authority,
    names: impl ExactSizeIterator<Item = PeerName>,
) -> anyhow::Result<Vec<Connector>> {
    let mut progress = Progress::new("identities issued", names.len());
    let mut connectors = Vec::with_capacity(names.len());
    let mut socket: Option<Connector> = None;
    for name in names {
        let identity = authority.issue(Role::Agent, &name, SystemTime::now(), DAYS)?;
        connectors.push(match &socket {
            Some(shared) if connectors.len() % AGENTS_PER_SOCKET != 0 => {
                shared.with_identity(&identity)?
            }
            _ => socket.insert(connector(&identity)?).clone(),
        });
        progress.update(connectors.len());
    }
    Ok(connectors)
}

/// Starts agents, with `handshakes` attempts at a time, and waits until all are connected or time out.
pub(crate) async fn connect<S: Source + Send + 'static>(
    options: &AgentOptions,
    handshakes: usize,
    agents: impl ExactSizeIterator<Item = (Connector, S)>,
    tally: &Arc<Tally>,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<JoinSet<Summary>> {
    let hosts = agents.len();
    let mut progress = Progress::new("agents connected", hosts);
    let mut up = tally.up();
    let handshakes = Arc::new(Semaphore::new(handshakes));
    let mut running = JoinSet::new();
    for (connector, source) in agents {
        let attempt = Arc::clone(&handshakes).acquire_owned().await?;
        let mut stopped = stopped.clone();
        let stop = async move {
            // A dropped sender stops the agent too.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let observer = Arc::new(AgentObserver::new(tally, attempt));
        running.spawn(run_observed(
            options.clone(),
            connector,
            source,
            stop,
            observer,
        ));
        let connected = *up.borrow_and_update();
        if connected == 0 && tally.counts().failed > 0 {
            bail!("no agent can connect: {}", tally.counts().last_error);
        }
        progress.update(connected);
    }
    let all = up.wait_for(|up| {
        progress.update(*up);
        *up >= hosts
    });
    let all = timeout(CONNECT_TIMEOUT, all).await.is_ok();
    let connected = *tally.up().borrow();
    if !all {
        let error = tally.counts().last_error.clone();
        if connected == 0 {
            bail!("no agent can connect: {error}");
        }
        tracing::warn!(connected, hosts, %error, "not every agent is connected");
    }
    Ok(running)
}

pub(crate) async fn total(mut agents: JoinSet<Summary>) -> anyhow::Result<Summary> {
    let mut total = Summary::default();
    while let Some(summary) = agents.join_next().await {
        let summary = summary?;
        total.rows += summary.rows;
        total.dropped += summary.dropped;
        total.waiting += summary.waiting;
    }
    Ok(total)
}
