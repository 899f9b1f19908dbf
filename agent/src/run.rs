//! The agent's main loop: one sample per interval of the wall clock, handed to the uplink.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sysmon_clock::{Clock, Random};
use sysmon_link::Connector;
use sysmon_wire::message::RunId;
use sysmon_wire::{HostFacts, LimitState, Process, ProcessArguments, UnixMs};

use crate::observer::Observer;
use crate::outbox::Outbox;
use crate::sample::Sample;
use crate::spool::journal::{self, Journal};
use crate::spool::{Spool, SpoolHealth, SpoolLimits, folder};
use crate::uplink::{Shared, Uplink};

/// Time between the first reading of counters and the first row, so that the row has rates.
const FIRST_ROW_AFTER: Duration = Duration::from_millis(60);

/// Time for outstanding acknowledgements to arrive before the agent exits.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// How often acknowledgements are checked for while the agent exits.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);

/// Produces rows: this machine's [`crate::sampler::Sampler`], or a simulated host.
pub trait Source {
    fn facts(&self) -> HostFacts;
    /// How far before the start it can produce rows; a real machine's counters cannot.
    fn past(&self) -> Duration {
        Duration::ZERO
    }
    /// Samples at `now`; the state of the spool is reported in the sample.
    fn sample(&mut self, now: UnixMs, spool: SpoolHealth);
    fn row(&self) -> Sample<'_>;
    /// Whether the next samples read every process, which costs more.
    fn watch_processes(&mut self, _all: bool) {}
    /// Every process as of the last sample; empty for sources without processes.
    fn processes(&self) -> Vec<Process> {
        Vec::new()
    }
    /// Arguments of processes that are new since the last call; with `again` all that are known.
    fn take_arguments(&mut self, _again: bool) -> Vec<ProcessArguments> {
        Vec::new()
    }
    /// Every limit that it enforces, as it stands.
    fn limits(&self) -> Vec<LimitState> {
        Vec::new()
    }
    /// Every present problem of collection.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The hub as `HOST:PORT`.
    pub hub: String,
    pub interval: Duration,
    pub spool: SpoolLimits,
    /// Where unacknowledged rows and the renewed identity are stored; none to keep both in memory only.
    pub state: Option<PathBuf>,
    pub clock: Clock,
    pub random: Random,
}

/// Row counts of a finished run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub rows: u64,
    pub dropped: u64,
    /// Rows that the hub had not acknowledged at the end.
    pub waiting: u64,
}

pub async fn run(
    options: AgentOptions,
    connector: Connector,
    source: impl Source,
    stop: impl Future<Output = ()>,
) -> Summary {
    run_observed(options, connector, source, stop, Arc::new(())).await
}

/// [`run`] with an observer of connections and rows.
pub async fn run_observed(
    options: AgentOptions,
    connector: Connector,
    mut source: impl Source,
    stop: impl Future<Output = ()>,
    observer: Arc<dyn Observer>,
) -> Summary {
    let clock = options.clock;
    let interval_ms = in_ms(options.interval).max(1);
    let spool_folder = options.state.as_deref().map(folder);
    let files = spool_folder.as_deref().map(find_files).unwrap_or_default();
    let start = clock.instant();
    let run_id = RunId(options.random.u64().max(1));
    let spool = Spool::new(run_id, options.spool, files);
    let mut outbox = Outbox::new(spool, source.facts());
    let mut seq = push_past(&mut source, &mut outbox, interval_ms, clock.now());
    source.sample(clock.now(), SpoolHealth::default());
    let shared = Arc::new(Shared::new(outbox));
    let uplink = Uplink {
        hub: options.hub,
        connector,
        shared: Arc::clone(&shared),
        journal: spool_folder.clone().and_then(start_journal),
        identity: options.state,
        observer,
        clock: clock.clone(),
        random: options.random,
    };
    let first = FIRST_ROW_AFTER.saturating_sub(clock.instant() - start);
    {
        let connected = uplink.run();
        tokio::pin!(connected);
        tokio::select! {
            () = &mut connected => {}
            () = sample(&mut source, &uplink, interval_ms, first, &mut seq) => {}
            () = stop => {}
        }
        // Rows acknowledged now need not be sent again by the next run.
        tokio::select! {
            () = connected => {}
            () = drained(&shared) => {}
            () = tokio::time::sleep(DRAIN_TIMEOUT) => {}
        }
    }
    uplink.connector.close().await;
    let mut outbox = shared.outbox();
    let summary = Summary {
        rows: seq,
        dropped: outbox.spool.health().rows_dropped,
        waiting: outbox.spool.waiting_rows(),
    };
    if let Some(folder) = &spool_folder {
        persist(&mut outbox, folder);
    }
    summary
}

fn find_files(folder: &Path) -> Vec<journal::SpoolFile> {
    let files = journal::find(folder);
    if !files.is_empty() {
        let rows: u64 = files.iter().map(|file| file.last - file.first + 1).sum();
        tracing::info!(
            rows,
            "unacknowledged rows of an earlier run found in the spool"
        );
    }
    files
}

fn start_journal(folder: PathBuf) -> Option<(Journal, PathBuf)> {
    match Journal::start(folder.clone()) {
        Ok(journal) => Some((journal, folder)),
        Err(error) => {
            tracing::warn!(%error, "cannot start the spool's thread; rows are kept in memory only");
            None
        }
    }
}

/// Writes what is not acknowledged to disk, for the next run to send.
fn persist(outbox: &mut Outbox, folder: &Path) {
    for op in outbox.persist() {
        if let Err(error) = journal::execute(folder, &op) {
            let path = folder.display();
            tracing::warn!(%path, %error, "cannot write the spool; unacknowledged rows are lost");
        }
    }
}

/// Completes when every row is acknowledged, or there is no connection to wait for.
async fn drained(shared: &Shared) {
    while shared.outbox().is_connected() && shared.outbox().spool.waiting_rows() > 0 {
        tokio::time::sleep(DRAIN_INTERVAL).await;
    }
}

fn in_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Pushes rows of the time before the start, if the source can produce them; returns how many.
fn push_past(source: &mut impl Source, outbox: &mut Outbox, interval_ms: i64, now: UnixMs) -> u64 {
    let past_ms = in_ms(source.past()).max(1);
    let mut time = (now - past_ms + 1).floor(interval_ms) + interval_ms;
    let mut seq = 0;
    while time < now.floor(interval_ms) {
        source.sample(time, SpoolHealth::default());
        seq += 1;
        outbox.push(seq, time, &source.row());
        time = time + interval_ms;
    }
    seq
}

/// Samples at every whole interval of the wall clock, so that the rows of all hosts line up.
async fn sample(
    source: &mut impl Source,
    uplink: &Uplink,
    interval_ms: i64,
    first: Duration,
    seq: &mut u64,
) {
    tokio::time::sleep(first).await;
    let mut last = UnixMs(0);
    let mut reporter = Reporter::new(uplink.shared.outbox().facts().clone());
    loop {
        let now = uplink.clock.now();
        let demand = uplink.shared.demand();
        let interval_ms = demand.interval_ms(interval_ms, now);
        let due = now.floor(interval_ms);
        // A timer may fire a little early. Only an unchanged time is skipped: after the clock was set back,
        // rows of the same times are as real as the first.
        if due != last {
            *seq += 1;
            last = due;
            // A clearly late row has its actual time, because rates are computed from times.
            let is_late = now - due > interval_ms / 10;
            let time = if is_late { now } else { due };
            push(source, uplink, *seq, time, demand.wants_processes(now));
            reporter.report(source, &uplink.shared, *seq);
        }
        let wait_ms = (due + interval_ms - now).clamp(1, interval_ms);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait_ms as u64)) => {}
            () = uplink.shared.demand_changed.notified() => {}
        }
    }
}

/// Rows between two readings of the host's facts.
const FACTS_EVERY: u64 = 30;

/// Facts and notes as they were last reported.
#[derive(Debug)]
struct Reporter {
    facts: HostFacts,
    notes: Vec<String>,
}

impl Reporter {
    fn new(facts: HostFacts) -> Self {
        Self {
            facts,
            notes: Vec::new(),
        }
    }

    fn report(&mut self, source: &impl Source, shared: &Shared, seq: u64) {
        if seq.is_multiple_of(FACTS_EVERY) {
            let facts = source.facts();
            if facts != self.facts {
                self.facts = facts.clone();
                shared.report_facts(facts);
            }
        }
        let mut notes = source.notes();
        notes.extend(shared.spool_note());
        if notes == self.notes {
            return;
        }
        for note in notes.iter().filter(|note| !self.notes.contains(note)) {
            tracing::warn!(%note, "collection problem");
        }
        shared.report_notes(&notes);
        self.notes = notes;
    }
}

fn apply_write_results(uplink: &Uplink) {
    let Some((journal, folder)) = &uplink.journal else {
        return;
    };
    let results = journal.take_results();
    if let Some(newest) = results.last() {
        let note = format!(
            "cannot write rows to {}; they are kept in memory",
            folder.display()
        );
        uplink.shared.set_spool_note((!newest.ok).then_some(note));
    }
    let mut outbox = uplink.shared.outbox();
    for append in &results {
        outbox.spool.appended(&append.file, append.ok);
    }
}

fn push(source: &mut impl Source, uplink: &Uplink, seq: u64, time: UnixMs, all_processes: bool) {
    let shared = &uplink.shared;
    apply_write_results(uplink);
    source.watch_processes(all_processes);
    source.sample(time, shared.outbox().spool.health());
    let ops = {
        let mut outbox = shared.outbox();
        outbox.push(seq, time, &source.row());
        outbox.spool.take_disk_ops()
    };
    if let Some((journal, _)) = &uplink.journal {
        journal.submit(ops);
    }
    uplink.observer.pushed(seq, time);
    shared.pushed.notify_one();
    let arguments = source.take_arguments(shared.wants_arguments());
    shared.report_arguments(arguments);
    if all_processes {
        shared.report_processes(time, source.processes());
    }
    shared.report_limits(source.limits(), uplink.clock.instant());
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Changing {
        facts: HostFacts,
        notes: Vec<String>,
    }

    impl Source for Changing {
        fn facts(&self) -> HostFacts {
            self.facts.clone()
        }

        fn sample(&mut self, _now: UnixMs, _spool: SpoolHealth) {}

        fn row(&self) -> Sample<'_> {
            Sample {
                table: 0,
                series: &[],
                values: &[],
                processes: &[],
            }
        }

        fn notes(&self) -> Vec<String> {
            self.notes.clone()
        }
    }

    #[test]
    fn facts_that_change_and_notes_that_no_longer_hold_are_reported_anew() {
        let limits = SpoolLimits {
            memory_bytes: 1 << 20,
            disk_bytes: 0,
            age: Duration::from_secs(60),
        };
        let mut source = Changing {
            facts: HostFacts::unknown(),
            notes: vec!["cannot read a".to_owned(), "cannot read b".to_owned()],
        };
        let spool = Spool::new(RunId(1), limits, Vec::new());
        let shared = Shared::new(Outbox::new(spool, source.facts()));
        let mut reporter = Reporter::new(source.facts());
        reporter.report(&source, &shared, 1);
        assert_eq!(shared.notes(), source.notes);
        // The wall clock was set.
        source.facts.boot = UnixMs(5_000);
        source.notes.remove(0);
        for seq in 2..=FACTS_EVERY {
            reporter.report(&source, &shared, seq);
        }
        assert_eq!(shared.outbox().facts().boot, UnixMs(5_000));
        assert_eq!(shared.notes(), ["cannot read b"]);
        source.notes = (0..40).map(|n| format!("cannot read {n}")).collect();
        reporter.report(&source, &shared, 1);
        let notes = shared.notes();
        assert_eq!(notes.len(), sysmon_wire::limits::NOTES_PER_HOST_MAX);
        assert_eq!(notes.last().unwrap(), "and 25 more; see the agent's log");
    }
}
