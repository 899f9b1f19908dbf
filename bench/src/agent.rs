//! What the agent costs on a machine with many processes: at rest, and while somebody looks.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use sysmon_certs::{HubState, Identity};
use sysmon_client::Client;
use sysmon_link::Connector;
use sysmon_wire::message::{Purpose, Query, Request};
use sysmon_wire::metrics::AGENT_SAMPLE_TIME;
use sysmon_wire::{Label, UnixMs};

use crate::VERSION;
use crate::on_terminal::OnTerminal;
use crate::process::{Usage, count, usage};
use crate::programs::{Running, program, wait_for_file};

/// A program of others that is measured beside ours where it is installed.
struct Peer {
    name: &'static str,
    args: &'static [&'static str],
    /// What makes it work as its users do: a request a second to this port, or a program of its own.
    port: u16,
    client: Option<(&'static str, &'static [&'static str])>,
}

const PEERS: [Peer; 3] = [
    Peer {
        name: "node_exporter",
        args: &["--web.listen-address=127.0.0.1:39001"],
        port: 39001,
        client: None,
    },
    Peer {
        name: "prometheus-node-exporter",
        args: &["--web.listen-address=127.0.0.1:39002"],
        port: 39002,
        client: None,
    },
    Peer {
        name: "socktop_agent",
        args: &["--port", "39000"],
        port: 39000,
        client: Some(("socktop", &["ws://127.0.0.1:39000/ws"])),
    },
];

/// Time for everything to start and for sleeping processes to be known as such.
const SETTLE: Duration = Duration::from_secs(30);

/// Passes datagrams on between an agent and its hub, and counts their bytes.
struct Relay {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Relay {
    fn start(hub: &str) -> anyhow::Result<Self> {
        let front = UdpSocket::bind("127.0.0.1:0")?;
        let back = UdpSocket::bind("127.0.0.1:0")?;
        back.connect(hub)?;
        let address = front.local_addr()?;
        let bytes = Arc::<AtomicU64>::default();
        let (front_in, back_out, up) = (front.try_clone()?, back.try_clone()?, Arc::clone(&bytes));
        let agent = Arc::new(std::sync::Mutex::new(None::<SocketAddr>));
        let seen = Arc::clone(&agent);
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok((n, from)) = front_in.recv_from(&mut buffer) {
                *seen
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(from);
                up.fetch_add(n as u64, Ordering::Relaxed);
                let _ = back_out.send(buffer.get(..n).unwrap_or_default());
            }
        });
        let down = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(n) = back.recv(&mut buffer) {
                down.fetch_add(n as u64, Ordering::Relaxed);
                let to = *agent
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                if let Some(to) = to {
                    let _ = front.send_to(buffer.get(..n).unwrap_or_default(), to);
                }
            }
        });
        Ok(Self { address, bytes })
    }
}

fn sleepers(wanted: usize) -> anyhow::Result<Vec<Running>> {
    let missing = wanted.saturating_sub(count());
    let sleeper = |_| {
        let child = Command::new("sleep")
            .arg("100000")
            .stdin(Stdio::null())
            .spawn();
        child.map(Running).context("cannot start `sleep`")
    };
    (0..missing).map(sleeper).collect()
}

/// A peer at work, and whoever looks at it.
struct PeerAtWork {
    name: &'static str,
    running: Running,
    _client: Option<OnTerminal>,
}

/// Programs of others that could be started.
fn peers() -> Vec<PeerAtWork> {
    let start = |peer: &'static Peer| {
        let mut command = Command::new(peer.name);
        command
            .args(peer.args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let running = Running(command.spawn().ok()?);
        std::thread::sleep(PEER_START);
        let client = match peer.client {
            Some((client, args)) => OnTerminal::start(Path::new(client), args, (40, 120)).ok(),
            None => {
                std::thread::spawn(move || scrape(peer.port));
                None
            }
        };
        Some(PeerAtWork {
            name: peer.name,
            running,
            _client: client,
        })
    };
    PEERS.iter().filter_map(start).collect()
}

/// Time a peer has to open its port.
const PEER_START: Duration = Duration::from_secs(1);

/// Asks for all metrics once a second, as Prometheus would, until nobody answers.
fn scrape(port: u16) {
    loop {
        let asked = std::net::TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
            std::io::copy(&mut stream, &mut std::io::sink())
        });
        if asked.is_err() {
            return;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Measures for `span` at rest and for `span` while processes are shown.
pub fn agent(processes: usize, span: Duration) -> anyhow::Result<String> {
    let _sleepers = sleepers(processes)?;
    let dir = tempfile::tempdir()?;
    let state = |name: &str| dir.path().join(name).display().to_string();
    let (hub, agent) = (program("sysmon-hub")?, program("sysmon-agent")?);
    let hub_state = state("hub");
    let _hub = Running::start(
        &hub,
        &["--state", &hub_state, "--listen", "127.0.0.1:0"],
        dir.path(),
    )?;
    let address = wait_for_file(&dir.path().join("hub/address"))?;
    let agent_state = state("a");
    let issue = [
        "--state",
        &hub_state,
        "cert",
        "issue",
        "--role",
        "agent",
        "--name",
        "a",
        "--out",
        &agent_state,
    ];
    let issued = Command::new(&hub).args(issue).output()?;
    if !issued.status.success() {
        bail!("{}", String::from_utf8_lossy(&issued.stderr));
    }
    let relay = Relay::start(&address)?;
    let through = relay.address.to_string();
    let running = Running::start(
        &agent,
        &["--state", &agent_state, "--hub", &through],
        dir.path(),
    )?;
    let peers = peers();
    std::thread::sleep(SETTLE);

    let mut watched: Vec<(&str, u32)> = vec![("sysmon-agent", running.0.id())];
    watched.extend(peers.iter().map(|peer| (peer.name, peer.running.0.id())));
    let mut out = format!(
        "{} processes, a sample a second, {} s each\n\n",
        count(),
        span.as_secs()
    );
    writeln!(
        out,
        "{:<36} {:>12} {:>12} {:>14}",
        "", "% of a core", "peak MiB", "UDP bytes/s"
    )?;
    let at_rest = measure(&watched, &relay, span, || std::thread::sleep(span))?;
    for ((name, _), (share, peak, bytes)) in watched.iter().zip(&at_rest) {
        let bytes = if *name == "sysmon-agent" {
            format!("{bytes:.0}")
        } else {
            "-".to_owned()
        };
        writeln!(
            out,
            "{:<36} {share:>12.3} {peak:>12.1} {bytes:>14}",
            match *name {
                "sysmon-agent" => "sysmon-agent, nobody looking".to_owned(),
                "socktop_agent" => "socktop_agent, socktop looking".to_owned(),
                other => format!("{other}, a scrape a second"),
            }
        )?;
    }
    let owner = HubState::new(std::path::Path::new(&hub_state)).existing_owner()?;
    let shown = measure(&watched, &relay, span, || watch(&owner, &address, span))?;
    if let Some((share, peak, bytes)) = shown.first() {
        writeln!(
            out,
            "{:<36} {share:>12.3} {peak:>12.1} {bytes:>14.0}",
            "sysmon-agent, processes shown"
        )?;
    }
    let (series, sample_ms) = about(&owner, &address)?;
    writeln!(
        out,
        "\n{series} series; reading a sample takes {sample_ms:.2} ms on average"
    )?;
    Ok(out)
}

type Cost = (f64, f64, f64);

fn measure(
    watched: &[(&str, u32)],
    relay: &Relay,
    span: Duration,
    meanwhile: impl FnOnce(),
) -> anyhow::Result<Vec<Cost>> {
    let look = || -> anyhow::Result<Vec<Usage>> {
        let of = |(name, pid): &(&str, u32)| usage(*pid).with_context(|| format!("{name} is gone"));
        watched.iter().map(of).collect()
    };
    let bytes = || relay.bytes.load(Ordering::Relaxed);
    let (before, bytes_before, start) = (look()?, bytes(), Instant::now());
    meanwhile();
    let rest = span.saturating_sub(start.elapsed());
    std::thread::sleep(rest);
    let seconds = start.elapsed().as_secs_f64();
    let (after, bytes) = (look()?, (bytes() - bytes_before) as f64 / seconds);
    let cost = |(before, after): (&Usage, &Usage)| {
        let share = (after.cpu.saturating_sub(before.cpu)).as_secs_f64() / seconds * 100.0;
        (share, after.peak_bytes as f64 / 1_048_576.0, bytes)
    };
    Ok(before.iter().zip(&after).map(cost).collect())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

/// Looks at the agent's processes for a while.
fn watch(owner: &Identity, hub: &str, span: Duration) {
    let looked = runtime().and_then(|runtime| {
        runtime.block_on(async {
            let connector = Connector::new(owner, VERSION)?;
            let session = connector.connect(hub, Purpose::View).await?;
            let request = Request::Processes {
                host: Label::new("a"),
                at: None,
            };
            let mut replies = session.request(&request).await?;
            let end = tokio::time::Instant::now() + span;
            while let Ok(Ok(Some(_))) = tokio::time::timeout_at(end, replies.next()).await {}
            Ok(())
        })
    });
    if let Err(error) = looked {
        tracing::warn!("cannot look at processes: {error}");
    }
}

/// How many series there are, and milliseconds that reading a sample takes.
fn about(owner: &Identity, hub: &str) -> anyhow::Result<(u32, f64)> {
    runtime()?.block_on(async {
        let connector = Connector::new(owner, VERSION)?;
        let client = Client::connect(&connector, hub).await?;
        let picture = client.fleet(None).await?;
        let series = picture
            .hosts
            .first()
            .map_or(0, |(line, _)| line.health.series);
        let now = UnixMs::from_system(SystemTime::now());
        let metric = Label::new(AGENT_SAMPLE_TIME.name);
        let points = client
            .query(Query::new(metric, now - 60_000, now, 60_000))
            .await?;
        let mut values = points
            .iter()
            .flat_map(|points| points.values.iter().copied());
        let seconds = values.find(|value| value.is_finite()).unwrap_or(f64::NAN);
        Ok((series, seconds * 1000.0))
    })
}
