//! Start-up time, snapshot time, and the usage of hub, agent and terminal at rest.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::process::count;
use crate::programs::{LocalHub, output, program, usages};
use crate::pty::{PtyProgram, Size};
use crate::report::{Times, core_percent, mib};

const SIZE: Size = (40, 120);

/// Measurements of each start.
const TRIES: usize = 11;

/// Time for programs to settle before they are measured at rest.
const SETTLE: Duration = Duration::from_secs(5);

/// The median time of `start`; what it returns is dropped after the clock was stopped.
fn timed<T>(mut start: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let begin = Instant::now();
        let done = start()?;
        times.push(begin.elapsed());
        drop(done);
    }
    Ok(Times::new(times).quantile(0.5))
}

/// The terminal program, once its screen contains `text`.
fn shows(tui: &Path, text: &str) -> anyhow::Result<PtyProgram> {
    let session = PtyProgram::start(tui, &[], SIZE)?;
    session.wait_for(text)?;
    Ok(session)
}

pub fn figures(rest: Duration) -> anyhow::Result<String> {
    let tui = program("sysmon-tui")?;
    let mut out = String::new();
    // The first frame has the title bar; the name of a host needs data.
    let first_frame = timed(|| shows(&tui, "sysmon"))?;
    let first_data = timed(|| shows(&tui, "1 live"))?;
    writeln!(
        out,
        "standalone: first frame after {} ms, this machine live after {} ms",
        first_frame.as_millis(),
        first_data.as_millis()
    )?;
    let hub = LocalHub::start()?;
    let agent = hub.agent("a", &hub.address)?;
    let args = ["--hub", &hub.address, "--state", &hub.state];
    let attached = PtyProgram::start(&tui, &args, SIZE)?;
    attached.wait_for("1 live")?;
    let snapshot = timed(|| output(&tui, &[&["snapshot", "--json"], &args[..]].concat()))?;
    writeln!(
        out,
        "snapshot of a running hub: {:.1} ms",
        snapshot.as_secs_f64() * 1000.0
    )?;
    std::thread::sleep(SETTLE);
    let programs = [
        ("sysmon-hub", hub.pid()),
        ("sysmon-agent", agent.0.id()),
        ("sysmon-tui", attached.pid()),
    ];
    at_rest(&mut out, &programs, &attached, rest)?;
    Ok(out)
}

fn at_rest(
    out: &mut String,
    programs: &[(&str, u32)],
    terminal: &PtyProgram,
    rest: Duration,
) -> anyhow::Result<()> {
    let written = terminal.bytes();
    let (before, start) = (usages(programs)?, Instant::now());
    std::thread::sleep(rest);
    let (after, seconds) = (usages(programs)?, start.elapsed().as_secs_f64());
    let written = terminal.bytes() - written;
    writeln!(
        out,
        "\nat rest for {seconds:.0} s on a machine with {} processes, one sample per second:",
        count()
    )?;
    writeln!(
        out,
        "{:<14} {:>12} {:>12} {:>12}",
        "", "% of a core", "memory MiB", "switches/s"
    )?;
    let mut total = 0.0;
    for ((name, _), (before, after)) in programs.iter().zip(before.iter().zip(&after)) {
        let share = core_percent(after.cpu - before.cpu, seconds);
        total += share;
        writeln!(
            out,
            "{name:<14} {share:>12.3} {:>12.1} {:>12.1}",
            mib(after.memory_bytes as f64),
            (after.switches - before.switches) as f64 / seconds
        )?;
    }
    writeln!(out, "{:<14} {total:>12.3}", "total")?;
    writeln!(
        out,
        "the terminal receives {:.0} bytes per second",
        written as f64 / seconds
    )?;
    Ok(())
}
