//! A page of simulated hosts for measurements, without a hub: `load HOSTS ADDRESS:PORT`. Once a second it prints its share of a
//! core, its memory and how many watch.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sysmon_edge::web::{App, Listener, Options, serve};
use sysmon_wire::message::{FleetUpdate, HostHealth, HostLine, HostState, HostTick};
use sysmon_wire::metrics::SUMMARY;
use sysmon_wire::{HostFacts, Label, UnixMs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

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

fn ticks(hosts: u32) -> Vec<HostTick> {
    // As large as such values are: shares in permille, bytes a second, hundredths of load, millidegrees.
    let sizes = [
        1000, 1000, 800, 9_000_000, 4_000_000, 2_000_000, 9_000_000, 1000, 60_000,
    ];
    let values = || {
        sizes
            .iter()
            .take(SUMMARY)
            .map(|size| fastrand::i64(1..*size))
    };
    let tick = |index| HostTick {
        index,
        state: HostState::Live,
        time: now(),
        values: values().collect(),
    };
    (0..hosts).map(tick).collect()
}

/// Seconds of processor time used so far, and bytes of memory.
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
    // Of those that are numbers after the state: user and system time, and resident pages.
    ((field(10) + field(11)) as f64 / 100.0, field(20) * 4096)
}

async fn tell(app: &App, hosts: u32) {
    let stream = app.mirror().begin();
    let mut timer = tokio::time::interval(Duration::from_secs(1));
    let mut lines = lines(hosts);
    let (mut before, mut at) = (used().0, Instant::now());
    loop {
        timer.tick().await;
        let update = FleetUpdate {
            now: now(),
            lines: std::mem::take(&mut lines),
            ticks: ticks(hosts),
            sparks: Vec::new(),
        };
        if app.mirror().apply(stream, update, now()).is_err() {
            return;
        }
        let ((cpu, memory), seconds) = (used(), at.elapsed().as_secs_f64());
        let share = (cpu - before) / seconds.max(0.001) * 100.0;
        println!(
            "{share:.0} % of a core, {:.0} MiB, {} watch, {} requests",
            memory as f64 / f64::from(1u32 << 20),
            app.viewers(),
            app.requests()
        );
        (before, at) = (cpu, Instant::now());
    }
}

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let hosts = args
        .next()
        .and_then(|hosts| hosts.parse().ok())
        .unwrap_or(50);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let app = Arc::new(App::new(Options::default()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let address = address.parse().map_err(std::io::Error::other)?;
        let listener = Listener::bind(address, None)?;
        println!("{} of {hosts} hosts", listener.url()?);
        tokio::select! {
            () = tell(&app, hosts) => {}
            () = app.tick() => {}
            () = serve(Arc::clone(&app), listener) => {}
        }
        Ok(())
    })
}
