//! Usage of the agent on a machine with many processes: at rest, and while a terminal shows the processes.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use sysmon_certs::Identity;
use sysmon_client::Client;
use sysmon_wire::message::{Purpose, Query, Request};
use sysmon_wire::metrics::AGENT_SAMPLE_TIME;
use sysmon_wire::{Label, UnixMs};

use crate::process::count;
use crate::programs::{LocalHub, Running, usages};
use crate::pty::PtyProgram;
use crate::relay::Relay;
use crate::report::{core_percent, mib};
use crate::{connector, hub_state, runtime};

struct Comparison {
    name: &'static str,
    args: &'static [&'static str],
    /// Scraped once per second, unless there is a client.
    port: u16,
    /// The program that makes it work as in normal use.
    client: Option<(&'static str, &'static [&'static str])>,
    /// How it is used during the measurement.
    label: &'static str,
}

const COMPARISONS: [Comparison; 3] = [
    Comparison {
        name: "node_exporter",
        args: &["--web.listen-address=127.0.0.1:39001"],
        port: 39001,
        client: None,
        label: "node_exporter, one scrape per second",
    },
    Comparison {
        name: "prometheus-node-exporter",
        args: &["--web.listen-address=127.0.0.1:39002"],
        port: 39002,
        client: None,
        label: "node exporter, one scrape per second",
    },
    Comparison {
        name: "socktop_agent",
        args: &["--port", "39000"],
        port: 39000,
        client: Some(("socktop", &["ws://127.0.0.1:39000/ws"])),
        label: "socktop_agent, one socktop attached",
    },
];

/// Time for everything to start, and for idle processes to be recognized as such.
const SETTLE: Duration = Duration::from_secs(30);

const COMPARISON_START: Duration = Duration::from_secs(1);

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

struct Compared {
    label: &'static str,
    running: Running,
    _client: Option<PtyProgram>,
}

fn comparisons() -> Vec<Compared> {
    let start = |other: &'static Comparison| {
        let mut command = Command::new(other.name);
        command
            .args(other.args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let running = Running(command.spawn().ok()?);
        std::thread::sleep(COMPARISON_START);
        let client = match other.client {
            Some((client, args)) => PtyProgram::start(Path::new(client), args, (40, 120)).ok(),
            None => {
                std::thread::spawn(move || scrape(other.port));
                None
            }
        };
        Some(Compared {
            label: other.label,
            running,
            _client: client,
        })
    };
    COMPARISONS.iter().filter_map(start).collect()
}

/// Requests all metrics once per second, as Prometheus does, until the program exits.
fn scrape(port: u16) {
    loop {
        let scraped = std::net::TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
            std::io::copy(&mut stream, &mut std::io::sink())
        });
        if scraped.is_err() {
            return;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

pub fn agent(processes: usize, span: Duration) -> anyhow::Result<String> {
    let _sleepers = sleepers(processes)?;
    let hub = LocalHub::start()?;
    let relay = Relay::start(&hub.address)?;
    let agent = hub.agent("a", &relay.address.to_string())?;
    let others = comparisons();
    std::thread::sleep(SETTLE);
    let mut measured: Vec<(&str, u32)> = vec![("sysmon-agent, at rest", agent.0.id())];
    measured.extend(
        others
            .iter()
            .map(|other| (other.label, other.running.0.id())),
    );
    let mut out = format!(
        "{} processes, one sample per second, {} s each\n\n",
        count(),
        span.as_secs()
    );
    writeln!(
        out,
        "{:<36} {:>12} {:>12} {:>14}",
        "", "% of a core", "peak MiB", "UDP bytes/s"
    )?;
    let at_rest = measure(&measured, &relay, span, || {})?;
    for (at, ((label, _), cost)) in measured.iter().zip(&at_rest).enumerate() {
        line(&mut out, label, cost, at == 0)?;
    }
    let owner = hub_state(&hub.state).existing_owner()?;
    let follow = || follow_processes(&owner, &hub.address, span);
    let shown = measure(&measured, &relay, span, follow)?;
    if let Some(cost) = shown.first() {
        line(&mut out, "sysmon-agent, processes shown", cost, true)?;
    }
    let (series, sample_ms) = sampling(&owner, &hub.address)?;
    writeln!(
        out,
        "\n{series} series; one sample takes {sample_ms:.2} ms on average"
    )?;
    Ok(out)
}

struct Cost {
    core_percent: f64,
    peak_mib: f64,
    bytes_per_s: f64,
}

fn line(out: &mut String, label: &str, cost: &Cost, has_traffic: bool) -> std::fmt::Result {
    let Cost {
        core_percent,
        peak_mib,
        bytes_per_s,
    } = cost;
    let traffic = match has_traffic {
        true => format!("{bytes_per_s:.0}"),
        false => "-".to_owned(),
    };
    writeln!(
        out,
        "{label:<36} {core_percent:>12.3} {peak_mib:>12.1} {traffic:>14}"
    )
}

fn measure(
    programs: &[(&str, u32)],
    relay: &Relay,
    span: Duration,
    meanwhile: impl FnOnce(),
) -> anyhow::Result<Vec<Cost>> {
    let (before, bytes_before, start) = (usages(programs)?, relay.bytes(), Instant::now());
    meanwhile();
    std::thread::sleep(span.saturating_sub(start.elapsed()));
    let seconds = start.elapsed().as_secs_f64();
    let (after, bytes) = (usages(programs)?, relay.bytes() - bytes_before);
    let costs = before.iter().zip(&after).map(|(before, after)| Cost {
        core_percent: core_percent(after.cpu.saturating_sub(before.cpu), seconds),
        peak_mib: mib(after.peak_bytes as f64),
        bytes_per_s: bytes as f64 / seconds,
    });
    Ok(costs.collect())
}

fn follow_processes(owner: &Identity, hub: &str, span: Duration) {
    let follow = async {
        let connector = connector(owner)?;
        let session = connector.connect(hub, Purpose::View).await?;
        let request = Request::Processes {
            host: Label::new("a"),
            at: None,
        };
        let mut replies = session.request(&request).await?;
        let end = tokio::time::Instant::now() + span;
        while let Ok(Ok(Some(_))) = tokio::time::timeout_at(end, replies.next()).await {}
        anyhow::Ok(())
    };
    let followed = runtime()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(follow));
    if let Err(error) = followed {
        tracing::warn!(%error, "cannot follow the processes");
    }
}

/// The number of series, and the time that one sample takes in milliseconds.
fn sampling(owner: &Identity, hub: &str) -> anyhow::Result<(u32, f64)> {
    runtime()?.block_on(async {
        let connector = connector(owner)?;
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
