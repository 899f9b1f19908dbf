//! What following a fleet in a terminal costs, and how soon it shows what it is asked for.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use sysmon_agent::run::AgentOptions;
use sysmon_agent::simulated::Simulated;
use sysmon_agent::spool::SpoolLimits;
use sysmon_certs::{HubState, Identity, PeerName};
use sysmon_client::Client;
use sysmon_clock::{Clock, Random};
use sysmon_link::Connector;
use tokio::sync::{oneshot, watch};

use crate::VERSION;
use crate::agents::{connect, connectors};
use crate::on_terminal::{OnTerminal, Size};
use crate::probe::{self, Newest, Probe};
use crate::process::{Usage, usage};
use crate::programs::{Running, program, wait_for_file};
use crate::tally::Tally;

/// Programs of others that are measured beside ours where they are installed; each shows one host.
const PEERS: [&str; 3] = ["btop", "btm", "socktop"];

/// Time for everything to start.
const SETTLE: Duration = Duration::from_secs(10);

/// Times each start is measured.
const STARTS: usize = 11;

/// How often the others are measured.
const KEYS: usize = 200;
const SAMPLES: usize = 30;
const SCRUBS: usize = 100;

/// What stands behind that which is typed.
const CURSOR: char = '▏';

/// Letters of which a filter is typed in a row.
const LETTERS: usize = 4;

/// Time between two keys; no whole part of a second, so that some come with a sample and some between.
const BETWEEN_KEYS: Duration = Duration::from_millis(37);

/// How long anything that was asked for has to appear.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many agents connect at the same time.
const HANDSHAKES: usize = 32;

/// Time that the hub has to take in the past of one host, and of each host more.
const PAST_WITHIN: (Duration, Duration) = (Duration::from_mins(2), Duration::from_secs(20));

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct TerminalOptions {
    /// Simulated hosts, besides one whose load says when it was.
    pub hosts: usize,
    /// How far back they tell what was.
    pub past: Duration,
    /// How long the programs are watched at rest.
    pub span: Duration,
    /// Rows and columns.
    pub size: Size,
}

/// Measures, and tells in words.
pub fn terminal(options: TerminalOptions) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    let hub_state = dir.path().join("hub").display().to_string();
    let _hub = Running::start(
        &program("sysmon-hub")?,
        &["--state", &hub_state, "--listen", "127.0.0.1:0"],
        dir.path(),
    )?;
    let address = wait_for_file(&dir.path().join("hub/address"))?;
    let newest = Arc::<Newest>::default();
    let _fleet = FleetAtWork::start(options, &address, &hub_state, &newest)?;
    let bench = Bench {
        tui: program("sysmon-tui")?,
        args: ["--hub", &address, "--state", &hub_state].map(str::to_owned),
        options,
        newest,
    };
    let (rows, columns) = options.size;
    let mut out = format!(
        "{} hosts with a past of {} s, {columns} columns and {rows} rows\n\n",
        options.hosts + 1,
        options.past.as_secs()
    );
    bench.costs(&mut out)?;
    writeln!(out, "\nmilliseconds{:>58}", "median     99 %    worst")?;
    let mut tell = |what: &str, times: Vec<Duration>| writeln!(out, "{what:<44}{}", Told(times));
    tell(
        "first frame with all hosts, from the start",
        bench.starts()?,
    )?;
    let session = bench.start(&["--stats"])?;
    session.wait_for(&bench.all_live())?;
    tell("a key, until its effect shows", Bench::keys(&session)?)?;
    session.type_in(&format!("/{}\r", probe::NAME))?;
    tell("a sample, until it shows", bench.samples(&session)?)?;
    tell("a moment, until it shows", bench.scrubs(&session)?)?;
    session.type_in("q")?;
    let last = session.last_words();
    let stats = last.lines().skip_while(|line| !line.starts_with("frames"));
    writeln!(
        out,
        "\nof that run\n{}",
        stats.collect::<Vec<_>>().join("\n")
    )?;
    Ok(out)
}

/// What the times of something were.
struct Told(Vec<Duration>);

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut times = self.0.clone();
        times.sort_unstable();
        let of = |share: f64| {
            let at = (times.len() as f64 * share).ceil() as usize;
            times.get(at.saturating_sub(1)).copied().unwrap_or_default()
        };
        for share in [0.5, 0.99, 1.0] {
            write!(f, " {:>8.1}", of(share).as_secs_f64() * 1000.0)?;
        }
        write!(f, "   of {}", times.len())
    }
}

struct Bench {
    tui: PathBuf,
    args: [String; 4],
    options: TerminalOptions,
    newest: Arc<Newest>,
}

impl Bench {
    fn start(&self, more: &[&str]) -> anyhow::Result<OnTerminal> {
        let args = self
            .args
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied());
        OnTerminal::start(&self.tui, &args.collect::<Vec<_>>(), self.options.size)
    }

    fn all_live(&self) -> String {
        format!("{} live", self.options.hosts + 1)
    }

    /// What programs at rest take, all at the same time.
    fn costs(&self, out: &mut String) -> anyhow::Result<()> {
        let mut programs = vec![
            ("sysmon-tui", self.start(&[])?),
            (
                "sysmon-tui --low-bandwidth",
                self.start(&["--low-bandwidth"])?,
            ),
        ];
        for name in PEERS {
            if let Ok(peer) = OnTerminal::start(Path::new(name), &[], self.options.size) {
                programs.push((name, peer));
            }
        }
        std::thread::sleep(SETTLE);
        let look = || -> Vec<(Usage, u64)> {
            let of = |(_, session): &(&str, OnTerminal)| {
                session.forget();
                (usage(session.pid()).unwrap_or_default(), session.bytes())
            };
            programs.iter().map(of).collect()
        };
        let (before, start) = (look(), Instant::now());
        std::thread::sleep(self.options.span);
        let (after, seconds) = (look(), start.elapsed().as_secs_f64());
        writeln!(
            out,
            "{:<32}{:>12}{:>12}{:>12}",
            "", "% of a core", "peak MiB", "KiB/s"
        )?;
        for ((name, _), (before, after)) in programs.iter().zip(before.iter().zip(&after)) {
            let cpu = after.0.cpu.saturating_sub(before.0.cpu);
            if cpu.is_zero() {
                // It has ended: it may want what is not here.
                continue;
            }
            writeln!(
                out,
                "{name:<32}{:>12.3}{:>12.1}{:>12.2}",
                cpu.as_secs_f64() / seconds * 100.0,
                after.0.peak_bytes as f64 / 1_048_576.0,
                (after.1 - before.1) as f64 / seconds / 1024.0
            )?;
        }
        Ok(())
    }

    fn starts(&self) -> anyhow::Result<Vec<Duration>> {
        let start = |_| {
            let session = self.start(&[])?;
            Ok(session.wait_for(&self.all_live())? - session.started())
        };
        (0..STARTS).map(start).collect()
    }

    /// Types filters, which every letter changes the list for.
    fn keys(session: &OnTerminal) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(KEYS);
        let mut letters = "abdegkmnoprsuvwx".chars().cycle();
        while times.len() < KEYS {
            let mut typed = String::new();
            session.type_in("/")?;
            for letter in letters.by_ref().take(LETTERS) {
                std::thread::sleep(BETWEEN_KEYS);
                session.forget();
                typed.push(letter);
                let at = session.type_in(&letter.to_string())?;
                times.push(seen(session, at, &format!("{typed}{CURSOR}"))?);
            }
            session.type_in("\x1b")?;
            std::thread::sleep(BETWEEN_KEYS);
        }
        Ok(times)
    }

    /// Waits for samples of the host whose load says when it was.
    fn samples(&self, session: &OnTerminal) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let before = self.newest.get();
            let (time, at) = loop {
                match self.newest.get() {
                    Some(newest) if Some(newest) != before => break newest,
                    _ => std::thread::sleep(Duration::from_millis(1)),
                }
            };
            times.push(seen(session, at, &probe::shown(time))?);
        }
        Ok(times)
    }

    /// Goes to moments all over the past.
    fn scrubs(&self, session: &OnTerminal) -> anyhow::Result<Vec<Duration>> {
        let past = self.options.past.as_secs().max(120);
        let mut times = Vec::with_capacity(SCRUBS);
        for n in 0..SCRUBS as u64 {
            // Steps by the golden ratio are spread evenly and never come twice.
            let back = 60 + (n * 618_034) % (past - 90);
            session.type_in(&format!("t-{back}s"))?;
            std::thread::sleep(BETWEEN_KEYS);
            session.forget();
            let at = session.type_in("\r")?;
            let moment = sysmon_wire::UnixMs::from_system(SystemTime::now()) - back as i64 * 1000;
            let wanted = [-1000, 0, 1000].map(|off| probe::shown(moment + off));
            let shown = session.wait_until(PATIENCE, |text| {
                text.contains("PAST") && wanted.iter().any(|load| text.contains(load.as_str()))
            })?;
            let shown = shown.with_context(|| format!("{back} s before now never appeared"))?;
            times.push(shown.saturating_duration_since(at));
        }
        Ok(times)
    }
}

/// How long after a moment this was on the screen.
fn seen(session: &OnTerminal, at: Instant, wanted: &str) -> anyhow::Result<Duration> {
    let shown = session.wait_until(PATIENCE, |text| text.contains(wanted))?;
    let shown = shown.with_context(|| format!("{wanted:?} never came on the screen"))?;
    Ok(shown.saturating_duration_since(at))
}

/// The agents, on a thread of their own until this is dropped.
struct FleetAtWork {
    _stop: watch::Sender<bool>,
}

impl FleetAtWork {
    /// Starts them, and waits until the hub has their past.
    fn start(
        options: TerminalOptions,
        hub: &str,
        hub_state: &str,
        newest: &Arc<Newest>,
    ) -> anyhow::Result<Self> {
        let state = HubState::new(Path::new(hub_state));
        let authority = state.existing_authority()?;
        let simulated = move |at: usize| Simulated::new(at as u64).with_past(options.past);
        let agent = AgentOptions {
            hub: hub.to_owned(),
            interval: Duration::from_secs(1),
            spool: SpoolLimits {
                memory_bytes: 64 << 20,
                disk_bytes: 0,
                age: options.past + Duration::from_hours(1),
            },
            clock: Clock::system(),
            random: Random::system(),
            state: None,
        };
        let (stop, stopped) = watch::channel(false);
        let (up, is_up) = oneshot::channel();
        let newest = Arc::clone(newest);
        std::thread::spawn(move || {
            let run = async {
                let tally = || Arc::new(Tally::new(agent.interval));
                let probe = connectors(&authority, [PeerName::nearest(probe::NAME)].into_iter())?;
                let probe = probe
                    .into_iter()
                    .map(|connector| (connector, Probe::new(options.past, Arc::clone(&newest))));
                let probe = connect(&agent, 1, probe, &tally(), &stopped).await?;
                let names = (0..options.hosts).map(|at| simulated(at).name());
                let hosts = connectors(&authority, names)?;
                let mut number = 0..;
                let hosts = hosts
                    .into_iter()
                    .map(|connector| (connector, simulated(number.next().unwrap_or_default())));
                let hosts = connect(&agent, HANDSHAKES, hosts, &tally(), &stopped).await?;
                anyhow::Ok((probe, hosts))
            };
            let Ok(runtime) = runtime() else { return };
            runtime.block_on(async {
                let running = run.await;
                let failed = running.as_ref().err().map(|error| format!("{error:#}"));
                let _ = up.send(failed);
                if let Ok((mut probe, mut hosts)) = running {
                    while probe.join_next().await.is_some() {}
                    while hosts.join_next().await.is_some() {}
                }
            });
        });
        if let Some(failed) = is_up.blocking_recv()? {
            bail!("{failed}");
        }
        wait_for_past(&state.existing_owner()?, hub, options)?;
        Ok(Self { _stop: stop })
    }
}

/// Waits until the hub has all rows of the time before the agents were started.
fn wait_for_past(owner: &Identity, hub: &str, options: TerminalOptions) -> anyhow::Result<()> {
    let end = Instant::now() + PAST_WITHIN.0 + PAST_WITHIN.1 * options.hosts as u32;
    runtime()?.block_on(async {
        let connector = Connector::new(owner, VERSION)?;
        let client = Client::connect(&connector, hub).await?;
        while Instant::now() < end {
            let picture = client.fleet(None).await?;
            let mut rows = picture.hosts.iter().map(|(line, _)| line.health.rows);
            if rows.len() > options.hosts && rows.all(|rows| rows >= options.past.as_secs()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        bail!("the hub does not have the past of all hosts in time")
    })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}
