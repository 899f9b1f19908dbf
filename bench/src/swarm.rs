//! Load on a hub: many agents in one process that replay the recording.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use sysmon_certs::PeerName;
use sysmon_config::HubAddress;
use sysmon_config::time::parse_span;
use sysmon_wire::UnixMs;
use tokio::sync::watch;

use crate::agents::{connect, connectors, total};
use crate::process::usage;
use crate::recorded::Recorded;
use crate::recording::Recording;
use crate::swarm_report::{Lag, SwarmReport};
use crate::tally::Tally;
use crate::tape::Tape;
use crate::{agent_options, concurrency, hub_state};

const SPOOL_BYTES: usize = 1 << 20;

#[derive(Clone, Debug, clap::Args)]
pub struct SwarmOptions {
    /// Hub to connect to
    #[arg(long, value_name = "HOST:PORT")]
    pub hub: HubAddress,
    /// Number of agents
    #[arg(long, default_value_t = 100)]
    pub hosts: usize,
    /// Use only the first N of the recorded series [default: all 368]
    #[arg(long, value_name = "N")]
    pub series: Option<usize>,
    /// Concurrent connection attempts
    #[arg(long, value_name = "N", default_value = "32", value_parser = concurrency)]
    pub handshakes: usize,
    /// Time between samples
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = parse_span)]
    pub interval: Duration,
    /// Duration of the measurement, once all are connected
    #[arg(long = "for", value_name = "SPAN", default_value = "60s", value_parser = parse_span)]
    pub length: Duration,
}

/// Runs a swarm with identities issued by the authority in `state`, the state directory of the hub.
pub async fn swarm(options: &SwarmOptions, state: &Path) -> anyhow::Result<SwarmReport> {
    let authority = hub_state(state)
        .existing_authority()
        .with_context(|| format!("{} is not the state directory of a hub", state.display()))?;
    let tape = Arc::new(Tape::new(&Recording::load()?, options.series)?);
    let name = |number| PeerName::nearest(&format!("swarm-{number:05}"));
    let connectors = connectors(&authority, (0..options.hosts).map(|at| name(at + 1)))?;
    let tally = Arc::new(Tally::new(options.interval));
    let (stop, stopped) = watch::channel(false);
    let agent = agent_options(&options.hub.to_string(), options.interval, SPOOL_BYTES);
    let sources = Recorded::assign(connectors, &tape);

    let start = Instant::now();
    let agents = connect(&agent, options.handshakes, sources, &tally, &stopped).await?;
    let connected = *tally.up().borrow();
    let connecting = start.elapsed();

    // Rows in flight are not counted.
    tally.start(now() + 1);
    let (start, cpu_before) = (Instant::now(), cpu());
    tokio::time::sleep(options.length).await;
    let (steady, cpu_after) = (start.elapsed(), cpu());
    stop.send_replace(true);
    let total = total(agents).await?;
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

pub(crate) fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

/// Processor time of this process.
fn cpu() -> Option<Duration> {
    usage(std::process::id()).map(|usage| usage.cpu)
}
