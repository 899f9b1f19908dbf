//! The agent at work: a sample on every whole interval, handed to the uplink.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sysmon_link::Connector;
use sysmon_wire::message::RunId;
use sysmon_wire::{HostFacts, Process, UnixMs};

use crate::observer::Observer;
use crate::outbox::Outbox;
use crate::sample::Sample;
use crate::spool::journal::{self, Journal};
use crate::spool::{Spool, SpoolHealth, SpoolLimits, folder};
use crate::uplink::{Shared, Uplink};

/// Time between the first look at counters and the first row, so that the row has rates.
const FIRST_ROW_AFTER: Duration = Duration::from_millis(60);

/// Makes rows: this machine's [`crate::sampler::Sampler`], or a simulated host.
pub trait Source {
    /// What the host is.
    fn facts(&self) -> HostFacts;
    /// How far before the start it can tell what was; a real machine's counters cannot.
    fn past(&self) -> Duration {
        Duration::ZERO
    }
    /// Takes a sample; how the spool fares is told in it.
    fn sample(&mut self, now: UnixMs, spool: SpoolHealth);
    /// The last sample.
    fn row(&self) -> Sample<'_>;
    /// Whether the next samples look at all processes, which costs more.
    fn watch_processes(&mut self, _all: bool) {}
    /// All processes as of the last sample; empty where that is not known.
    fn processes(&self) -> Vec<Process> {
        Vec::new()
    }
    /// What could not be seen and why, each once.
    fn notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// How an agent runs.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The hub as `HOST:PORT`.
    pub hub: String,
    /// Time between samples.
    pub interval: Duration,
    /// Bounds of the spool.
    pub spool: SpoolLimits,
    /// Where rows are kept that the hub does not take, and the identity is when it has been renewed; none to keep
    /// both in memory only.
    pub state: Option<PathBuf>,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows sampled.
    pub rows: u64,
    /// Of those, how many there was no room for.
    pub dropped: u64,
    /// How many the hub had not acknowledged when it ended.
    pub waiting: u64,
}

/// Time that acknowledgements have to come in before the agent ends.
const DRAIN: Duration = Duration::from_secs(2);

/// Samples and pushes until `stop` is done.
pub async fn run(
    options: AgentOptions,
    connector: Connector,
    source: impl Source,
    stop: impl Future<Output = ()>,
) -> Summary {
    run_observed(options, connector, source, stop, Arc::new(())).await
}

/// The same with somebody who looks on.
pub async fn run_observed(
    options: AgentOptions,
    connector: Connector,
    mut source: impl Source,
    stop: impl Future<Output = ()>,
    observer: Arc<dyn Observer>,
) -> Summary {
    let spool_folder = options.state.as_deref().map(folder);
    let found = spool_folder
        .as_deref()
        .map(journal::find)
        .unwrap_or_default();
    if !found.is_empty() {
        let rows: u64 = found.iter().map(|file| file.last - file.first + 1).sum();
        tracing::info!("{rows} rows of an earlier run wait in the spool");
    }
    let start = Instant::now();
    let spool = Spool::new(RunId(fastrand::u64(1..)), options.spool, found);
    let mut outbox = Outbox::new(spool, source.facts());
    let seq = tell_past(&mut source, &mut outbox, options.interval, now());
    source.sample(now(), SpoolHealth::default());
    let shared = Arc::new(Shared::new(outbox));
    let journal = match &spool_folder {
        Some(folder) => match Journal::start(folder.clone()) {
            Ok(journal) => Some((journal, folder.clone())),
            Err(error) => {
                tracing::warn!("rows are kept in memory only: {error}");
                None
            }
        },
        None => None,
    };
    let uplink = Uplink {
        hub: options.hub,
        connector,
        shared: Arc::clone(&shared),
        journal,
        identity: options.state,
        observer,
    };
    let first = FIRST_ROW_AFTER.saturating_sub(start.elapsed());
    let mut seq = seq;
    {
        let connected = uplink.run();
        tokio::pin!(connected);
        tokio::select! {
            () = &mut connected => {}
            () = sample(&mut source, &uplink, options.interval, first, &mut seq) => {}
            () = stop => {}
        }
        // What the hub says within a moment need not be sent again by the next run.
        tokio::select! {
            () = connected => {}
            () = settled(&shared) => {}
            () = tokio::time::sleep(DRAIN) => {}
        }
    }
    uplink.connector.close().await;
    let summary = {
        let outbox = shared.outbox();
        Summary {
            rows: seq,
            dropped: outbox.dropped_rows(),
            waiting: outbox.waiting_rows(),
        }
    };
    if let Some(folder) = &spool_folder {
        for order in shared.outbox().persist() {
            if let Err(error) = journal::carry_out(folder, &order) {
                tracing::warn!(
                    "rows are lost: cannot write to {}: {error}",
                    folder.display()
                );
            }
        }
    }
    summary
}

/// Done when nothing waits for the hub, or there is no hub to wait for.
async fn settled(shared: &Shared) {
    while shared.outbox().is_connected() && shared.outbox().waiting_rows() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

fn in_ms(interval: Duration) -> i64 {
    i64::try_from(interval.as_millis())
        .unwrap_or(i64::MAX)
        .max(1)
}

/// Rows of the time before the start, if the source knows it; how many there are.
fn tell_past(
    source: &mut impl Source,
    outbox: &mut Outbox,
    interval: Duration,
    now: UnixMs,
) -> u64 {
    let interval_ms = in_ms(interval);
    let mut time = (now - in_ms(source.past()) + 1).floor(interval_ms) + interval_ms;
    let mut seq = 0;
    while time < now.floor(interval_ms) {
        source.sample(time, SpoolHealth::default());
        seq += 1;
        outbox.push(seq, time, &source.row());
        time = time + interval_ms;
    }
    seq
}

/// Takes a sample on every whole interval of the wall clock, so that all hosts' rows line up.
async fn sample(
    source: &mut impl Source,
    uplink: &Uplink,
    interval: Duration,
    first: Duration,
    seq: &mut u64,
) {
    tokio::time::sleep(first).await;
    let mut last = UnixMs(0);
    loop {
        let now = now();
        let demand = uplink.shared.demand();
        let interval_ms = demand.interval_ms(in_ms(interval), now);
        let due = now.floor(interval_ms);
        // A timer may fire a little early; a clock set back makes rows of the same times again,
        // which are as real as the first.
        if due != last {
            *seq += 1;
            last = due;
            // A row that is late by more than a little keeps its own time: rates are made of times.
            let is_late = now - due > interval_ms / 10;
            let time = if is_late { now } else { due };
            push(source, uplink, *seq, time, demand.wants_processes(now));
        }
        let wait_ms = (due + interval_ms - now).clamp(1, interval_ms);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait_ms as u64)) => {}
            () = uplink.shared.demanded.notified() => {}
        }
    }
}

/// Tells the spool what of its orders was carried out.
fn take_outcomes(uplink: &Uplink) {
    let Some((journal, folder)) = &uplink.journal else {
        return;
    };
    let outcomes = journal.take_outcomes();
    if outcomes.iter().any(|appended| !appended.ok) {
        let note = format!(
            "rows cannot be written to {}: they wait in memory",
            folder.display()
        );
        uplink.shared.tell_notes(&[note]);
    }
    let mut outbox = uplink.shared.outbox();
    for appended in &outcomes {
        outbox.appended(&appended.file, appended.ok);
    }
}

fn push(source: &mut impl Source, uplink: &Uplink, seq: u64, time: UnixMs, all_processes: bool) {
    let shared = &uplink.shared;
    take_outcomes(uplink);
    source.watch_processes(all_processes);
    source.sample(time, shared.outbox().health());
    let orders = {
        let mut outbox = shared.outbox();
        outbox.push(seq, time, &source.row());
        outbox.take_orders()
    };
    if let Some((journal, _)) = &uplink.journal {
        journal.carry_out(orders);
    }
    uplink.observer.pushed(seq, time);
    shared.pushed.notify_one();
    if all_processes {
        shared.tell_processes(time, source.processes());
    }
    let notes = source.notes();
    if !notes.is_empty() {
        notes.iter().for_each(|note| tracing::warn!("{note}"));
        shared.tell_notes(&notes);
    }
}
