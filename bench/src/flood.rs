//! Thousands of unauthenticated peers at once, while a few agents push: whether the agents lose rows.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};
use sysmon_agent::run::Summary;
use sysmon_certs::{PeerName, Role, join_config, server_name};
use sysmon_wire::ALPN;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::agents::{connect, connectors, total};
use crate::hub_status::{HubFigures, HubStatus};
use crate::recorded::Recorded;
use crate::recording::Recording;
use crate::report::{Lines, mib};
use crate::swarm::now;
use crate::tally::{Counts, Tally};
use crate::tape::Tape;
use crate::{agent_options, hub_state};

/// Agents that push during the flood.
const AGENTS: usize = 20;

/// Time before and after the flood, for reading the memory of the hub at rest.
const REST: Duration = Duration::from_secs(4);

const HANDSHAKES: usize = 512;

const TIMEOUT: Duration = Duration::from_secs(2);

const STATUS_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Attempts {
    first_packets: AtomicU64,
    finished: AtomicU64,
    unanswered: AtomicU64,
}

/// Makes `attempts` against a hub whose state directory is `state`.
pub async fn flood(hub: &str, attempts: usize, state: &Path) -> anyhow::Result<String> {
    let address = tokio::net::lookup_host(hub).await?.next();
    let address = address.context("the name of the hub has no address")?;
    let status = HubStatus::new(hub, state)?;
    let authority = hub_state(state).existing_authority()?;
    let tape = Arc::new(Tape::new(&Recording::load()?, None)?);
    let name = |number| PeerName::nearest(&format!("flood-{number:02}"));
    let sources = connectors(&authority, (0..AGENTS).map(name))?;
    let sources = Recorded::assign(sources, &tape);
    let interval = Duration::from_secs(1);
    let tally = Arc::new(Tally::new(interval));
    let (stop, stopped) = watch::channel(false);
    let agent = agent_options(hub, interval, 1 << 20);
    let packets = first_packets(attempts / 2).await?;
    let agents = connect(&agent, AGENTS, sources, &tally, &stopped).await?;
    tokio::time::sleep(REST).await;
    let before = status.read().await?;
    tally.start(now() + 1);

    let start = Instant::now();
    let counts = Arc::new(Attempts::default());
    let config = config(authority.fingerprint()?)?;
    let peak = {
        let attack = attack(address, packets, attempts - attempts / 2, config, &counts);
        tokio::pin!(attack);
        let mut peak = before;
        loop {
            tokio::select! {
                done = &mut attack => break done.map(|()| peak)?,
                () = tokio::time::sleep(STATUS_INTERVAL) => {}
            }
            // Under this load a reading may fail.
            if let Ok(Ok(seen)) = timeout(TIMEOUT, status.read()).await {
                peak.memory_bytes = peak.memory_bytes.max(seen.memory_bytes);
            }
        }
    };
    let took = start.elapsed();
    tokio::time::sleep(REST).await;
    let after = status.read().await?;
    stop.send_replace(true);
    let total = total(agents).await?;
    let agents = tally.counts().clone();
    Ok(report(&counts, took, &total, &agents, [before, peak, after]).to_string())
}

/// The first packets of `count` different connection attempts.
async fn first_packets(count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let sink = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = sink.local_addr()?;
    let endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let config = config(sysmon_certs::Fingerprint([0; 32]))?;
    let mut packets = Vec::with_capacity(count);
    let mut packet = [0; 2048];
    while packets.len() < count {
        let connecting = endpoint.connect_with(config.clone(), address, server_name(Role::Hub))?;
        let received = timeout(TIMEOUT, sink.recv_from(&mut packet)).await;
        drop(connecting);
        let (length, _) = received??;
        // An initial packet is padded to at least 1200 bytes; a shorter one is the close of a dropped attempt.
        let bytes = packet.get(..length).filter(|_| length >= 1200);
        packets.extend(bytes.map(<[u8]>::to_vec));
    }
    Ok(packets)
}

fn config(fingerprint: sysmon_certs::Fingerprint) -> anyhow::Result<ClientConfig> {
    let tls = join_config(fingerprint, &[ALPN])?;
    Ok(ClientConfig::new(Arc::new(QuicClientConfig::try_from(
        tls,
    )?)))
}

/// Half of the attempts send only a first packet; the others complete the handshake and then stay silent.
async fn attack(
    address: SocketAddr,
    packets: Vec<Vec<u8>>,
    others: usize,
    config: ClientConfig,
    counts: &Arc<Attempts>,
) -> anyhow::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let sent = Arc::clone(counts);
    let sending = tokio::task::spawn_blocking(move || {
        for packet in packets {
            if socket.send_to(&packet, address).is_ok() {
                sent.first_packets.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    let mut running = JoinSet::new();
    for _ in 0..others {
        let permit = Arc::clone(&handshakes).acquire_owned().await?;
        let connecting = endpoint.connect_with(config.clone(), address, server_name(Role::Hub))?;
        let counts = Arc::clone(counts);
        running.spawn(async move {
            let connected = timeout(TIMEOUT, connecting).await;
            drop(permit);
            match connected {
                Ok(Ok(connection)) => {
                    counts.finished.fetch_add(1, Ordering::Relaxed);
                    // Silent until the hub closes the connection.
                    connection.closed().await;
                }
                _ => {
                    counts.unanswered.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    sending.await?;
    while running.join_next().await.is_some() {}
    Ok(())
}

fn report(
    attempts: &Attempts,
    took: Duration,
    total: &Summary,
    counts: &Counts,
    [before, peak, after]: [HubFigures; 3],
) -> Lines {
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let Attempts {
        first_packets,
        finished,
        unanswered,
    } = attempts;
    let [first, finished, unanswered] = [first_packets, finished, unanswered].map(read);
    let all = first + finished + unanswered;
    let seconds = took.as_secs_f64();
    let memory = |figures: &HubFigures| format!("{:.1}", mib(figures.memory_bytes));
    let mut lines = Lines::default();
    lines.add("attempts", all);
    lines.add("  first packet only", first);
    lines.add("  completed, then silent", finished);
    lines.add("  refused or not answered", unanswered);
    lines.add("duration, s", format!("{seconds:.1}"));
    lines.add(
        "attempts per second",
        format!("{:.0}", all as f64 / seconds),
    );
    lines.add(
        "refused, counted by the hub",
        after.refused - before.refused,
    );
    lines.add("pushing agents", AGENTS);
    lines.add("  connections lost", counts.lost);
    lines.add("  rows sampled", total.rows);
    lines.add("  rows missing", total.waiting + total.dropped);
    let worst = counts.lags.worst().unwrap_or_default();
    lines.add("  ms to acknowledgement, maximum", worst);
    lines.add("hub memory before, MiB", memory(&before));
    lines.add("  peak", memory(&peak));
    lines.add("  after", memory(&after));
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    lines.add("hub CPU, s", format!("{cpu:.1}"));
    lines
}
