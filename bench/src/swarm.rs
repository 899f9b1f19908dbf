//! Many agents in one process, each with an identity and a connection of its own, that play what was recorded.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use sysmon_agent::run::{AgentOptions, Summary, run_observed};
use sysmon_agent::spool::SpoolLimits;
use sysmon_certs::{Authority, HubState, PeerName, Role};
use sysmon_link::Connector;
use sysmon_wire::UnixMs;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::VERSION;
use crate::process::usage;
use crate::progress::Progress;
use crate::recorded::Recorded;
use crate::recording::Recording;
use crate::swarm_report::{Lag, SwarmReport};
use crate::tally::{Tally, Watched};
use crate::tape::Tape;

/// Agents that share a socket: one would be a bottleneck, one each too many files.
const AGENTS_PER_SOCKET: usize = 64;

/// Memory one agent may keep for rows that the hub has not taken.
const SPOOL_BYTES: usize = 1 << 20;

/// Time those have whose first attempt failed: the longest wait between attempts, and the next.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long identities are good for.
const DAYS: u32 = 1;

/// What a swarm does.
#[derive(Clone, Debug)]
pub struct SwarmOptions {
    /// The hub as `HOST:PORT`.
    pub hub: String,
    /// How many agents.
    pub hosts: usize,
    /// The first so many of the recorded series; all if none.
    pub series: Option<usize>,
    /// How many agents connect at the same time.
    pub handshakes: usize,
    /// Time between samples.
    pub interval: Duration,
    /// How long, once all are connected.
    pub length: Duration,
}

/// Runs a swarm whose identities are made by the hub's authority in `state`.
pub async fn swarm(options: SwarmOptions, state: &Path) -> anyhow::Result<SwarmReport> {
    let authority = HubState::new(state)
        .existing_authority()
        .with_context(|| format!("{} is not the state directory of a hub", state.display()))?;
    let tape = Arc::new(Tape::new(&Recording::load()?, options.series)?);
    let connectors = connectors(&authority, options.hosts)?;
    let tally = Arc::new(Tally::new(options.interval));
    let (stop, stopped) = watch::channel(false);

    let start = Instant::now();
    let mut agents = connect(&options, connectors, &tape, &tally, &stopped).await?;
    let connected = *tally.up().borrow();
    let connecting = start.elapsed();

    // A row that is on its way at this moment is of the time before.
    tally.begin(now() + 1);
    let (start, cpu_before) = (Instant::now(), cpu());
    tokio::time::sleep(options.length).await;
    let (steady, cpu_after) = (start.elapsed(), cpu());
    stop.send_replace(true);
    let mut total = Summary::default();
    while let Some(summary) = agents.join_next().await {
        let summary = summary?;
        total.rows += summary.rows;
        total.dropped += summary.dropped;
        total.waiting += summary.waiting;
    }
    let counts = tally.counts();
    let lag = |share| counts.lags.quantile(share);
    let used = cpu_before.zip(cpu_after);
    let seconds = steady.as_secs_f64();
    let values = counts.lags.count() as f64 * tape.keys().len() as f64;
    Ok(SwarmReport {
        agents: options.hosts,
        connected,
        series: tape.keys().len(),
        connecting,
        steady,
        total,
        late: counts.late,
        values_per_second: values / seconds,
        lag: lag(0.5)
            .zip(lag(0.99))
            .zip(counts.lags.worst())
            .map(|((median, p99), worst)| Lag { median, p99, worst }),
        failed: counts.failed,
        lost: counts.lost,
        last_error: counts.last_error.clone(),
        cpu_percent: used
            .map(|(before, after)| after.saturating_sub(before).as_secs_f64() / seconds * 100.0),
    })
}

fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

/// Processor time of this process so far.
fn cpu() -> Option<Duration> {
    usage(std::process::id()).map(|usage| usage.cpu)
}

/// What each agent connects with.
fn connectors(authority: &Authority, hosts: usize) -> anyhow::Result<Vec<Connector>> {
    let mut progress = Progress::new("identities are made", hosts);
    let mut connectors = Vec::with_capacity(hosts);
    let mut socket: Option<Connector> = None;
    for number in 0..hosts {
        let name = PeerName::nearest(&format!("swarm-{:05}", number + 1));
        let identity = authority.issue(Role::Agent, &name, SystemTime::now(), DAYS)?;
        connectors.push(match &socket {
            Some(shared) if number % AGENTS_PER_SOCKET != 0 => shared.with_identity(&identity)?,
            _ => socket.insert(Connector::new(&identity, VERSION)?).clone(),
        });
        progress.tell(number + 1);
    }
    Ok(connectors)
}

/// Starts the agents, so many at a time, and waits until all are connected or have had their time.
async fn connect(
    options: &SwarmOptions,
    connectors: Vec<Connector>,
    tape: &Arc<Tape>,
    tally: &Arc<Tally>,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<JoinSet<Summary>> {
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
    let hosts = connectors.len();
    let mut progress = Progress::new("agents are connected", hosts);
    let mut up = tally.up();
    let handshakes = Arc::new(Semaphore::new(options.handshakes));
    let mut agents = JoinSet::new();
    for (number, connector) in (0..).zip(connectors) {
        let attempt = Arc::clone(&handshakes).acquire_owned().await?;
        let mut stopped = stopped.clone();
        let stop = async move {
            // A sender that is gone says the same.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let source = Recorded::new(Arc::clone(tape), number);
        let observer = Arc::new(Watched::new(tally, attempt));
        agents.spawn(run_observed(
            agent.clone(),
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
    Ok(agents)
}
