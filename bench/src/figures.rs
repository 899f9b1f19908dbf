//! What it costs and how long it takes: start-up, snapshot, and all three programs at rest.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

use crate::on_terminal::{OnTerminal, Size};
use crate::process::{Usage, count, usage};
use crate::programs::{Running, program, wait_for_file};

/// Rows and columns of the terminal.
const SIZE: Size = (40, 120);

/// Times each start is measured.
const TRIES: usize = 11;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The median time; what `what` returns is ended after the clock was stopped.
fn timed<T>(mut what: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let start = Instant::now();
        let done = what()?;
        times.push(start.elapsed());
        drop(done);
    }
    Ok(median(times))
}

/// The terminal program, once this is on its screen.
fn shows(tui: &Path, wanted: &str) -> anyhow::Result<OnTerminal> {
    let session = OnTerminal::start(tui, &[], SIZE)?;
    session.wait_for(wanted)?;
    Ok(session)
}

/// Measures, with all programs at rest for `rest`, and tells in words.
pub fn figures(rest: Duration) -> anyhow::Result<String> {
    let (tui, hub, agent) = (
        program("sysmon-tui")?,
        program("sysmon-hub")?,
        program("sysmon-agent")?,
    );
    let mut out = String::new();
    // The title bar comes with the first frame; a host's name only with the first data.
    let first_frame = timed(|| shows(&tui, "sysmon"))?;
    let first_data = timed(|| shows(&tui, "1 live"))?;
    writeln!(
        out,
        "standalone: first frame after {} ms, this machine live after {} ms",
        first_frame.as_millis(),
        first_data.as_millis()
    )?;

    let dir = tempfile::tempdir()?;
    let state = |name: &str| dir.path().join(name).display().to_string();
    let hub_state = state("hub");
    let running_hub = Running::start(
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
    let running_agent = Running::start(
        &agent,
        &["--state", &agent_state, "--hub", &address],
        dir.path(),
    )?;
    let attached = OnTerminal::start(&tui, &["--hub", &address, "--state", &hub_state], SIZE)?;
    attached.wait_for("1 live")?;
    let snapshot = timed(|| {
        let asked = Command::new(&tui)
            .args([
                "snapshot", "--json", "--hub", &address, "--state", &hub_state,
            ])
            .output()?;
        asked
            .status
            .success()
            .then_some(())
            .ok_or_else(|| anyhow!("{}", String::from_utf8_lossy(&asked.stderr)))
    })?;
    writeln!(
        out,
        "snapshot of a running hub: {:.1} ms",
        snapshot.as_secs_f64() * 1000.0
    )?;

    std::thread::sleep(Duration::from_secs(5));
    let programs = [
        ("sysmon-hub", running_hub.0.id()),
        ("sysmon-agent", running_agent.0.id()),
        ("sysmon-tui", attached.pid()),
    ];
    let look = || -> anyhow::Result<Vec<Usage>> {
        programs
            .iter()
            .map(|(name, pid)| usage(*pid).with_context(|| format!("{name} is gone")))
            .collect()
    };
    let written = attached.bytes();
    let (before, start) = (look()?, Instant::now());
    std::thread::sleep(rest);
    let (after, seconds) = (look()?, start.elapsed().as_secs_f64());
    let written = attached.bytes() - written;
    writeln!(
        out,
        "\nat rest for {seconds:.0} s on a machine with {} processes, a sample a second:",
        count()
    )?;
    writeln!(
        out,
        "{:<14} {:>12} {:>12} {:>12}",
        "", "% of a core", "memory MiB", "switches/s"
    )?;
    let mut total = 0.0;
    for ((name, _), (before, after)) in programs.iter().zip(before.iter().zip(&after)) {
        let share = (after.cpu - before.cpu).as_secs_f64() / seconds * 100.0;
        total += share;
        writeln!(
            out,
            "{name:<14} {share:>12.3} {:>12.1} {:>12.1}",
            after.memory_bytes as f64 / 1048576.0,
            (after.switches - before.switches) as f64 / seconds
        )?;
    }
    writeln!(out, "{:<14} {total:>12.3}", "together")?;
    writeln!(
        out,
        "the terminal gets {:.0} bytes a second",
        written as f64 / seconds
    )?;
    Ok(out)
}
