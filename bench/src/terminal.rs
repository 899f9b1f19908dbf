//! Usage of a terminal that follows a fleet, and its latency to keys, samples and moments of the past.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use sysmon_agent::simulated::Simulated;
use sysmon_certs::{Identity, PeerName};
use sysmon_client::Client;
use sysmon_config::time::parse_span;
use tokio::sync::{oneshot, watch};

use crate::agents::{connect, connectors};
use crate::probe::{self, Newest, Probe};
use crate::process::{Usage, usage};
use crate::programs::{LocalHub, program};
use crate::pty::{PtyProgram, Size};
use crate::report::{Times, core_percent, mib};
use crate::tally::Tally;
use crate::{agent_options, connector, hub_state, runtime};

/// Other programs that are measured too where they are installed; each shows one host.
const COMPARISONS: [&str; 3] = ["btop", "btm", "socktop"];

const SETTLE: Duration = Duration::from_secs(10);

const STARTS: usize = 11;

/// Measurements of the other latencies.
const KEYS: usize = 200;
const SAMPLES: usize = 30;
const SCRUBS: usize = 100;

const CURSOR: char = '▏';

const LETTERS: usize = 4;

/// Time between two keys; not a fraction of a second, so that keys coincide with samples only sometimes.
const BETWEEN_KEYS: Duration = Duration::from_millis(37);

const SCREEN_TIMEOUT: Duration = Duration::from_secs(5);

const HANDSHAKES: usize = 32;

/// Time-out for the hub to store the past of one host, and of each further host.
const PAST_TIMEOUT: (Duration, Duration) = (Duration::from_mins(2), Duration::from_secs(20));

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct TerminalOptions {
    /// Number of simulated hosts
    #[arg(long, default_value_t = 40)]
    pub hosts: usize,
    /// How far before the start the hosts have rows
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = parse_span)]
    pub past: Duration,
    /// Duration of the measurement at rest
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = parse_span)]
    pub span: Duration,
    /// Columns and rows
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "200x50", value_parser = parse_size)]
    pub size: Size,
}

fn parse_size(text: &str) -> Result<(u16, u16), String> {
    let size = text.split_once('x');
    let size = size.and_then(|(width, height)| Some((height.parse().ok()?, width.parse().ok()?)));
    size.filter(|(rows, columns)| (1..=1000).contains(rows) && (1..=1000).contains(columns))
        .ok_or_else(|| "expected columns and rows from 1 to 1000, such as 200x50".to_owned())
}

pub fn terminal(options: TerminalOptions) -> anyhow::Result<String> {
    let hub = LocalHub::start()?;
    let newest = Arc::<Newest>::default();
    let _fleet = RunningFleet::start(options, &hub, &newest)?;
    let bench = Bench {
        tui: program("sysmon-tui")?,
        args: ["--hub", &hub.address, "--state", &hub.state].map(str::to_owned),
        options,
        newest,
    };
    let (rows, columns) = options.size;
    let mut out = format!(
        "{} hosts with {} s of past rows, {columns} columns and {rows} rows\n\n",
        options.hosts + 1,
        options.past.as_secs()
    );
    bench.costs(&mut out)?;
    writeln!(out, "\nmilliseconds{:>58}", "median     99 %  maximum")?;
    let mut line = |what: &str, times: Vec<Duration>| {
        let times = Times::new(times);
        write!(out, "{what:<44}")?;
        for share in [0.5, 0.99, 1.0] {
            write!(out, " {:>8.1}", times.quantile_ms(share))?;
        }
        writeln!(out, "   of {}", times.count())
    };
    line(
        "first frame with all hosts, after the start",
        bench.starts()?,
    )?;
    let session = bench.start(&["--stats"])?;
    session.wait_for(&bench.all_live())?;
    line("key, until its effect is visible", Bench::keys(&session)?)?;
    session.type_in(&format!("/{}\r", probe::NAME))?;
    line("sample, until it is visible", bench.samples(&session)?)?;
    line(
        "moment of the past, until it is visible",
        bench.scrubs(&session)?,
    )?;
    session.type_in("q")?;
    writeln!(
        out,
        "\nstatistics of that session\n{}",
        statistics(&session)
    )?;
    Ok(out)
}

struct Bench {
    tui: PathBuf,
    args: [String; 4],
    options: TerminalOptions,
    newest: Arc<Newest>,
}

impl Bench {
    fn start(&self, more: &[&str]) -> anyhow::Result<PtyProgram> {
        let args = self
            .args
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            // This terminal does not say what its background is, which takes real ones a moment.
            .chain(["--theme", "dark"]);
        PtyProgram::start(&self.tui, &args.collect::<Vec<_>>(), self.options.size)
    }

    fn all_live(&self) -> String {
        format!("{} hosts", self.options.hosts + 1)
    }

    /// Usage of the programs at rest, all at the same time.
    fn costs(&self, out: &mut String) -> anyhow::Result<()> {
        let mut programs = vec![
            ("sysmon-tui", self.start(&[])?),
            (
                "sysmon-tui --low-bandwidth",
                self.start(&["--low-bandwidth"])?,
            ),
            ("sysmon-tui --stats", self.start(&["--stats"])?),
        ];
        for name in COMPARISONS {
            if let Ok(other) = PtyProgram::start(Path::new(name), &[], self.options.size) {
                programs.push((name, other));
            }
        }
        std::thread::sleep(SETTLE);
        let read = || -> Vec<(Usage, u64)> {
            let of = |(_, session): &(&str, PtyProgram)| {
                session.discard();
                (usage(session.pid()).unwrap_or_default(), session.bytes())
            };
            programs.iter().map(of).collect()
        };
        let (before, start) = (read(), Instant::now());
        std::thread::sleep(self.options.span);
        let (after, seconds) = (read(), start.elapsed().as_secs_f64());
        writeln!(
            out,
            "{:<32}{:>12}{:>12}{:>12}",
            "", "% of a core", "peak MiB", "KiB/s"
        )?;
        for ((name, _), (before, after)) in programs.iter().zip(before.iter().zip(&after)) {
            let cpu = after.0.cpu.saturating_sub(before.0.cpu);
            if cpu.is_zero() {
                // It has exited, perhaps because it does not work here.
                continue;
            }
            writeln!(
                out,
                "{name:<32}{:>12.3}{:>12.1}{:>12.2}",
                core_percent(cpu, seconds),
                mib(after.0.peak_bytes as f64),
                (after.1 - before.1) as f64 / seconds / 1024.0
            )?;
        }
        if let Some((_, session)) = programs.iter().find(|(name, _)| name.ends_with("--stats")) {
            session.type_in("q")?;
            writeln!(out, "\nstatistics at rest\n{}", statistics(session))?;
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

    /// Types filters: every letter changes the list of hosts.
    fn keys(session: &PtyProgram) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(KEYS);
        let mut letters = "abdegkmnoprsuvwx".chars().cycle();
        while times.len() < KEYS {
            let mut typed = String::new();
            session.type_in("/")?;
            for letter in letters.by_ref().take(LETTERS) {
                std::thread::sleep(BETWEEN_KEYS);
                session.discard();
                typed.push(letter);
                let at = session.type_in(&letter.to_string())?;
                times.push(delay(session, at, &format!("{typed}{CURSOR}"))?);
            }
            session.type_in("\x1b")?;
            std::thread::sleep(BETWEEN_KEYS);
        }
        Ok(times)
    }

    /// Waits for samples of the [`Probe`].
    fn samples(&self, session: &PtyProgram) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let before = self.newest.get();
            let (time, at) = loop {
                match self.newest.get() {
                    Some(newest) if Some(newest) != before => break newest,
                    _ => std::thread::sleep(Duration::from_millis(1)),
                }
            };
            times.push(delay(session, at, &probe::shown(time))?);
        }
        Ok(times)
    }

    fn scrubs(&self, session: &PtyProgram) -> anyhow::Result<Vec<Duration>> {
        let past = self.options.past.as_secs().max(120);
        let mut times = Vec::with_capacity(SCRUBS);
        for n in 0..SCRUBS as u64 {
            // Steps of the golden ratio are evenly spread and never repeat.
            let back = 60 + (n * 618_034) % (past - 90);
            session.type_in(&format!("t-{back}s"))?;
            std::thread::sleep(BETWEEN_KEYS);
            session.discard();
            let at = session.type_in("\r")?;
            let moment = sysmon_wire::UnixMs::from_system(SystemTime::now()) - back as i64 * 1000;
            let wanted = [-1000, 0, 1000].map(|off| probe::shown(moment + off));
            let shown = session.wait_until(SCREEN_TIMEOUT, |text| {
                text.contains("PAST") && wanted.iter().any(|load| text.contains(load.as_str()))
            })?;
            let shown = shown.with_context(|| {
                format!("the moment {back} s ago did not appear within {SCREEN_TIMEOUT:?}")
            })?;
            times.push(shown.saturating_duration_since(at));
        }
        Ok(times)
    }
}

/// What a program that was started with `--stats` printed at its end.
fn statistics(session: &PtyProgram) -> String {
    let last = session.last_screen();
    let lines = last.lines().skip_while(|line| !line.starts_with("frames"));
    lines.collect::<Vec<_>>().join("\n")
}

fn delay(session: &PtyProgram, at: Instant, wanted: &str) -> anyhow::Result<Duration> {
    let shown = session.wait_until(SCREEN_TIMEOUT, |text| text.contains(wanted))?;
    let shown = shown.with_context(|| {
        let screen = session.last_screen();
        format!("{wanted:?} did not appear within {SCREEN_TIMEOUT:?} on this screen:\n{screen}")
    })?;
    Ok(shown.saturating_duration_since(at))
}

/// Agents on a thread of their own, stopped on drop.
struct RunningFleet {
    _stop: watch::Sender<bool>,
}

impl RunningFleet {
    /// Starts the agents, and waits until the hub has their past rows.
    fn start(
        options: TerminalOptions,
        hub: &LocalHub,
        newest: &Arc<Newest>,
    ) -> anyhow::Result<Self> {
        let state = hub_state(&hub.state);
        let authority = state.existing_authority()?;
        let simulated = move |at: usize| Simulated::new(at as u64).with_past(options.past);
        let mut agent = agent_options(&hub.address, Duration::from_secs(1), 64 << 20);
        agent.spool.age += options.past;
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
        wait_for_past(&state.existing_owner()?, &hub.address, options)?;
        Ok(Self { _stop: stop })
    }
}

/// Waits until the hub has every row of the time before the start.
fn wait_for_past(owner: &Identity, hub: &str, options: TerminalOptions) -> anyhow::Result<()> {
    let end = Instant::now() + PAST_TIMEOUT.0 + PAST_TIMEOUT.1 * options.hosts as u32;
    runtime()?.block_on(async {
        let connector = connector(owner)?;
        let client = Client::connect(&connector, hub).await?;
        while Instant::now() < end {
            let picture = client.fleet(None).await?;
            let mut rows = picture.hosts.iter().map(|(line, _)| line.health.rows);
            if rows.len() > options.hosts && rows.all(|rows| rows >= options.past.as_secs()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        bail!("the hub did not receive the past rows of every host in time")
    })
}
