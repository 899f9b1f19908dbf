//! A page of simulated hosts for measurements, without a hub: `load HOSTS ADDRESS:PORT`. Prints its CPU, memory and viewers
//! once a second.

#![expect(clippy::print_stdout, reason = "a command line program")]

use std::sync::Arc;
use std::time::Duration;

use sysmon_clock::{Clock, Random};
use sysmon_edge::web::{App, Listener, Options, serve};
use sysmon_wire::message::{FleetUpdate, HostHealth, HostLine, HostState, HostTick};
use sysmon_wire::metrics::SUMMARY;
use sysmon_wire::{HostFacts, Label, UnixMs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn lines(hosts: u32) -> Vec<HostLine> {
    let line = |index| HostLine {
        index,
        name: Label::new(&format!("host-{index}")),
        facts: HostFacts::unknown(),
        health: HostHealth::default(),
        notes: Vec::new(),
        alerts: Vec::new(),
    };
    (0..hosts).map(line).collect()
}

fn ticks(hosts: u32, time: UnixMs, random: &Random) -> Vec<HostTick> {
    // Upper bounds in each metric's unit: permille, hundredths of load, bytes per second, millidegrees.
    let sizes = [
        1000, 1000, 800, 9_000_000, 4_000_000, 2_000_000, 9_000_000, 1000, 60_000,
    ];
    let values = || {
        sizes
            .iter()
            .take(SUMMARY)
            .map(|size: &i64| 1 + (random.f64() * (*size - 1) as f64) as i64)
    };
    let tick = |index| HostTick {
        index,
        state: HostState::Live,
        time,
        values: values().collect(),
    };
    (0..hosts).map(tick).collect()
}

/// CPU time in seconds and resident memory in bytes.
fn used() -> (f64, i64) {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<i64> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    let field = |at: usize| fields.get(at).copied().unwrap_or(0);
    // Places count from the field after the state: utime, stime and rss of proc(5).
    ((field(10) + field(11)) as f64 / 100.0, field(20) * 4096)
}

async fn update(app: &App, hosts: u32) {
    let (clock, random) = (app.clock(), Random::system());
    let stream = app.mirror().begin();
    let mut timer = tokio::time::interval(Duration::from_secs(1));
    let mut lines = lines(hosts);
    let (mut before, mut at) = (used().0, clock.instant());
    loop {
        timer.tick().await;
        let now = clock.now();
        let update = FleetUpdate {
            gone: Vec::new(),
            now,
            lines: std::mem::take(&mut lines),
            ticks: ticks(hosts, now, &random),
            sparks: Vec::new(),
        };
        if app.mirror().apply(stream, update, now).is_err() {
            return;
        }
        let ((cpu, memory), seconds) = (used(), (clock.instant() - at).as_secs_f64());
        let share = (cpu - before) / seconds.max(0.001) * 100.0;
        println!(
            "{share:.0} % of a core, {:.0} MiB, {} viewers, {} requests",
            memory as f64 / f64::from(1u32 << 20),
            app.viewers(),
            app.requests()
        );
        (before, at) = (cpu, clock.instant());
    }
}

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let hosts = args
        .next()
        .and_then(|hosts| hosts.parse().ok())
        .unwrap_or(50);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let app = Arc::new(App::new(Options::default(), Clock::system()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let address = address.parse().map_err(std::io::Error::other)?;
        let listener = Listener::bind(address, None)?;
        println!("{} of {hosts} hosts", listener.url()?);
        tokio::select! {
            () = update(&app, hosts) => {}
            () = app.publish_forever() => {}
            () = serve(Arc::clone(&app), listener) => {}
        }
        Ok(())
    })
}
