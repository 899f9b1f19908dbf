//! CPU of alert rules: ten thousand hosts, twenty rules, one row per host and second; and the time from a row to
//! the request of a webhook.
//!
//! `cargo bench -p sysmon-bench --bench alerts`
#![expect(clippy::print_stdout, reason = "prints its report")]
#![allow(clippy::disallowed_methods, reason = "measures real time")]

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use sysmon_alerts::engine::{Engine, HostRow, SeriesKeys};
use sysmon_alerts::notify::{Notifier, NotifierOptions, NotifierState};
use sysmon_alerts::rule::{DEFAULTS, Rule};
use sysmon_bench::recording::Recording;
use sysmon_bench::tape::Tape;
use sysmon_clock::Clock;
use sysmon_hub::fleet::HostId;
use sysmon_wire::{Label, SeriesKey, UnixMs};

/// The same allocator as the hub.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HOSTS: u32 = 10_000;

/// Seconds measured; includes minute boundaries, at which forecasts are computed.
const SECONDS: i64 = 150;

/// Rules besides the default ones, to make twenty.
const MORE: [&str; 3] = [
    "leak: system.linux.memory.available < 1MB within 4h",
    "dirty: rate(system.linux.memory.dirty) > 50GB/s over 2m",
    "inodes: system.filesystem.inodes.usage < 1 within 4h and load5 > 2*load15",
];

const TRIES: usize = 20;

fn main() -> anyhow::Result<()> {
    engine()?;
    webhook()
}

fn rules() -> anyhow::Result<Vec<Rule>> {
    let lines = DEFAULTS.iter().chain(&MORE);
    Ok(lines.map(|line| line.parse()).collect::<Result<_, _>>()?)
}

fn engine() -> anyhow::Result<()> {
    let hosts = std::env::var("HOSTS").map_or(Ok(HOSTS), |hosts| hosts.parse())?;
    let tape = Tape::new(&Recording::load()?, None)?;
    let keys: Vec<Arc<SeriesKey>> = tape.keys().iter().cloned().map(Arc::new).collect();
    let keys = SeriesKeys::from(keys);
    let rules = rules()?;
    let count = rules.len();
    let mut engine = Engine::new(rules, Vec::new());
    let names: Vec<Label> = (0..hosts)
        .map(|n| Label::new(&format!("host-{n}")))
        .collect();
    let mut positions: Vec<_> = (0..hosts).map(|n| tape.start(u64::from(n))).collect();
    let mut row = vec![0; keys.len()];
    let (mut times, mut transition_count) = (Vec::new(), 0);
    for second in 0..SECONDS {
        let mut spent = Duration::ZERO;
        for (id, (name, position)) in (0..).zip(names.iter().zip(&mut positions)) {
            tape.play(position, &mut row);
            let start = Instant::now();
            let transitions = engine.observe(HostRow {
                id: HostId(id),
                name,
                tags: &[],
                keys: &keys,
                time: UnixMs(1_700_000_000_000 + second * 1000),
                values: &row,
            });
            spent += start.elapsed();
            transition_count += transitions.len();
        }
        // The first second resolves series.
        if second > 0 {
            times.push(spent);
        }
    }
    times.sort_unstable();
    let share = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 100.0);
    let mean = times.iter().sum::<Duration>() / times.len().max(1) as u32;
    println!(
        "{hosts} hosts, {count} rules, {} series per host, one row per second; {transition_count} transitions",
        keys.len()
    );
    println!(
        "of a core: mean {:.2} %, median {:.2} %, worst second {:.2} %   aim 5 %",
        share(Some(&mean)),
        share(times.get(times.len() / 2)),
        share(times.last())
    );
    Ok(())
}

/// Time from the row to the first byte of the request.
fn webhook() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut times = Vec::new();
    for attempt in 0..TRIES {
        let url = format!("http://{}/", listener.local_addr()?);
        let options = NotifierOptions {
            routes: vec![url.parse()?],
            ..NotifierOptions::default()
        };
        let notifier = Notifier::start(options, NotifierState::default(), Clock::system())?;
        let mut engine = Engine::new(vec!["busy: load1 > 5".parse()?], Vec::new());
        let key = Arc::new(sysmon_wire::metrics::LOAD_1M.series(&[]));
        let start = Instant::now();
        let transitions = engine.observe(HostRow {
            id: HostId(0),
            name: &Label::new(&format!("host-{attempt}")),
            tags: &[],
            keys: &vec![key].into(),
            time: UnixMs(1_700_000_000_000),
            values: &[900],
        });
        notifier.apply(transitions);
        let (mut stream, _) = listener.accept()?;
        stream.read_exact(&mut [0])?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let last = times.last().context("no time was measured")?;
    let median = times.get(TRIES / 2).unwrap_or(last);
    println!(
        "from the row to the request of the webhook: median {median:.1?}, maximum {last:.1?}   aim 200 ms"
    );
    Ok(())
}
