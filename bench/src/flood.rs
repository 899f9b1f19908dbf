//! Thousands of peers that nobody knows, at once, while a few agents push: what becomes of their rows.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};
use sysmon_agent::run::{AgentOptions, Summary};
use sysmon_agent::spool::SpoolLimits;
use sysmon_certs::{HubState, PeerName, Role, join_config, server_name};
use sysmon_clock::{Clock, Random};
use sysmon_wire::ALPN;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::agents::{connect, connectors};
use crate::hub_figures::{Asked, HubFigures};
use crate::recorded::Recorded;
use crate::recording::Recording;
use crate::swarm::now;
use crate::tally::{Counts, Tally};
use crate::tape::Tape;

/// Agents that push meanwhile.
const AGENTS: usize = 20;

/// Time before and after the flood, in which the hub's memory is read.
const REST: Duration = Duration::from_secs(4);

/// Attempts to finish a handshake that are under way at the same time.
const AT_ONCE: usize = 512;

/// How long one of those waits for the hub.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the hub is asked what it costs.
const LOOK: Duration = Duration::from_secs(1);

/// What was attempted, and what came of it.
#[derive(Debug, Default)]
struct Attempts {
    first_packets: AtomicU64,
    finished: AtomicU64,
    unanswered: AtomicU64,
}

/// Makes so many attempts against a hub whose state is in `state`, and tells in words.
pub async fn flood(hub: &str, attempts: usize, state: &Path) -> anyhow::Result<String> {
    let address = tokio::net::lookup_host(hub).await?.next();
    let address = address.context("the hub has no address")?;
    let asked = Asked::new(hub, state)?;
    let authority = HubState::new(state).existing_authority()?;
    let tape = Arc::new(Tape::new(&Recording::load()?, None)?);
    let name = |number| PeerName::nearest(&format!("flood-{number:02}"));
    let sources = connectors(&authority, (0..AGENTS).map(name))?;
    let mut number = 0..;
    let sources = sources.into_iter().map(|connector| {
        let number = number.next().unwrap_or_default();
        (connector, Recorded::new(Arc::clone(&tape), number))
    });
    let interval = Duration::from_secs(1);
    let tally = Arc::new(Tally::new(interval));
    let (stop, stopped) = watch::channel(false);
    let agent = AgentOptions {
        hub: hub.to_owned(),
        interval,
        spool: SpoolLimits {
            memory_bytes: 1 << 20,
            disk_bytes: 0,
            age: Duration::from_hours(1),
        },
        clock: Clock::system(),
        random: Random::system(),
        state: None,
    };
    let packets = first_packets(attempts / 2).await?;
    let mut agents = connect(&agent, AGENTS, sources, &tally, &stopped).await?;
    tokio::time::sleep(REST).await;
    let before = asked.figures().await?;
    tally.begin(now() + 1);

    let start = Instant::now();
    let made = Arc::new(Attempts::default());
    let config = config(authority.fingerprint()?)?;
    let peak = {
        let attack = attack(address, packets, attempts - attempts / 2, config, &made);
        tokio::pin!(attack);
        let mut peak = before;
        loop {
            tokio::select! {
                done = &mut attack => break done.map(|()| peak)?,
                () = tokio::time::sleep(LOOK) => {}
            }
            // What the hub does not tell under this load is no reason to stop.
            if let Ok(Ok(seen)) = timeout(PATIENCE, asked.figures()).await {
                peak.memory_bytes = peak.memory_bytes.max(seen.memory_bytes);
            }
        }
    };
    let took = start.elapsed();
    tokio::time::sleep(REST).await;
    let after = asked.figures().await?;
    stop.send_replace(true);
    let mut total = Summary::default();
    while let Some(summary) = agents.join_next().await {
        let summary = summary?;
        total.rows += summary.rows;
        total.dropped += summary.dropped;
        total.waiting += summary.waiting;
    }
    let counts = tally.counts().clone();
    tell(&made, took, &total, &counts, [before, peak, after])
}

/// What a machine sends first that wants to connect: as many, and each another.
async fn first_packets(count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let nobody = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = nobody.local_addr()?;
    let endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let config = config(sysmon_certs::Fingerprint([0; 32]))?;
    let mut packets = Vec::with_capacity(count);
    let mut packet = [0; 2048];
    while packets.len() < count {
        let connecting = endpoint.connect_with(config.clone(), address, server_name(Role::Hub))?;
        let received = timeout(PATIENCE, nobody.recv_from(&mut packet)).await;
        drop(connecting);
        let (length, _) = received??;
        // The first is as long as a packet must be; what follows it says that nobody is there any more.
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

/// Half send their first packet and are never heard of again; the others finish, and then say nothing.
async fn attack(
    address: SocketAddr,
    packets: Vec<Vec<u8>>,
    others: usize,
    config: ClientConfig,
    made: &Arc<Attempts>,
) -> anyhow::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let count = Arc::clone(made);
    let sending = tokio::task::spawn_blocking(move || {
        for packet in packets {
            if socket.send_to(&packet, address).is_ok() {
                count.first_packets.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for _ in 0..others {
        let place = Arc::clone(&room).acquire_owned().await?;
        let connecting = endpoint.connect_with(config.clone(), address, server_name(Role::Hub))?;
        let made = Arc::clone(made);
        running.spawn(async move {
            let connected = timeout(PATIENCE, connecting).await;
            drop(place);
            match connected {
                Ok(Ok(connection)) => {
                    made.finished.fetch_add(1, Ordering::Relaxed);
                    // Says nothing, until the hub has had enough.
                    connection.closed().await;
                }
                _ => {
                    made.unanswered.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    sending.await?;
    while running.join_next().await.is_some() {}
    Ok(())
}

fn tell(
    made: &Attempts,
    took: Duration,
    total: &Summary,
    counts: &Counts,
    [before, peak, after]: [HubFigures; 3],
) -> anyhow::Result<String> {
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let [first, finished, unanswered] =
        [&made.first_packets, &made.finished, &made.unanswered].map(read);
    let all = first + finished + unanswered;
    let seconds = took.as_secs_f64();
    let mib = |bytes: f64| format!("{:.1}", bytes / f64::from(1 << 20));
    let mut out = String::new();
    let mut line = |what: &str, value: &dyn std::fmt::Display| writeln!(out, "{what:<34} {value}");
    line("attempts", &all)?;
    line("  only a first packet", &first)?;
    line("  finished, and silent", &finished)?;
    line("  turned away or not answered", &unanswered)?;
    line("s until all were over", &format!("{seconds:.1}"))?;
    line("attempts a second", &format!("{:.0}", all as f64 / seconds))?;
    line(
        "refused by the hub's count",
        &(after.refused - before.refused),
    )?;
    line("agents that push", &AGENTS)?;
    line("  connections lost", &counts.lost)?;
    line("  rows made", &total.rows)?;
    line("  rows missing", &(total.waiting + total.dropped))?;
    let worst = counts.lags.worst().unwrap_or_default();
    line("  ms to acknowledgement, worst", &worst)?;
    line("hub's memory before, MiB", &mib(before.memory_bytes))?;
    line("  at most", &mib(peak.memory_bytes))?;
    line("  after", &mib(after.memory_bytes))?;
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    line("hub's CPU, s", &format!("{cpu:.1}"))?;
    Ok(out)
}
