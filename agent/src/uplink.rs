//! The agent's connection to its hub: reconnects, and moves rows and acknowledgements over it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sysmon_clock::{Clock, Random};
use sysmon_link::{
    Backoff, Connection, Connector, FrameReceiver, FrameSender, HubSession, LinkError,
};
use sysmon_wire::limits::{ARGUMENTS_PER_FRAME_MAX, NOTES_PER_HOST_MAX, PROCESSES_PER_TABLE_MAX};
use sysmon_wire::message::{FromAgent, Lane, Purpose, Push, RunId, ToAgent};
use sysmon_wire::{HostFacts, Label, LimitState, Process, ProcessArguments, UnixMs};
use tokio::sync::Notify;

use crate::demand::Demand;
use crate::observer::Observer;
use crate::outbox::Outbox;
use crate::spool::journal::{self, Journal};
use crate::spool::{Backfill, records};

/// How often the spool is checked for rows that missed the live lane.
const BACKFILL_INTERVAL: Duration = Duration::from_secs(10);

/// QUIC stream priority: live rows precede everything else on the connection.
const LIVE_PRIORITY: i32 = 1;

/// QUIC stream priority: backfill uses the bandwidth that is left.
const BACKFILL_PRIORITY: i32 = -1;

/// Time between two reports of limits, which may change with every sample.
const LIMITS_INTERVAL: Duration = Duration::from_secs(10);

/// Arguments that may wait for a connection that is slow; for more, all are sent again.
const ARGUMENTS_MAX: usize = 2 * PROCESSES_PER_TABLE_MAX;

/// Time between two attempts at a hub that refuses this agent.
const REFUSED_WAIT_MIN: Duration = Duration::from_millis(500);
const REFUSED_WAIT_MAX: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Shared {
    outbox: Mutex<Outbox>,
    demand: Mutex<Demand>,
    reports: Mutex<Reports>,
    /// Signalled after each pushed row.
    pub pushed: Notify,
    /// Signalled when the hub changes its [`Demand`].
    pub demand_changed: Notify,
    report_ready: Notify,
    /// Whether the hub has acknowledged rows on this connection.
    acknowledged: AtomicBool,
}

/// Messages besides rows; only the newest process list is sent.
#[derive(Debug, Default)]
struct Reports {
    processes: Option<FromAgent>,
    /// Arguments that this connection has not sent.
    arguments: Vec<ProcessArguments>,
    /// Whether all arguments have to be sent again, because the hub may not have those of before.
    wants_arguments: bool,
    /// Facts that changed since this connection sent them.
    facts: Option<HostFacts>,
    spool_note: Option<String>,
    notes: Vec<Label>,
    /// Whether this connection has sent the current notes.
    notes_sent: bool,
    /// The limits that were reached, as of when they last changed.
    limits: Vec<LimitState>,
    limits_sent: bool,
    limits_changed: Option<Instant>,
}

impl Reports {
    /// A new connection has sent nothing yet but the facts; what the hub knows may be from an earlier run.
    fn connected(&mut self) {
        self.facts = None;
        self.arguments.clear();
        self.wants_arguments = true;
        self.notes_sent = false;
        self.limits_sent = false;
    }

    fn take(&mut self) -> Vec<FromAgent> {
        let facts = self.facts.take().map(FromAgent::Facts);
        let mut messages: Vec<FromAgent> = facts.into_iter().collect();
        let arguments = std::mem::take(&mut self.arguments);
        let parts = arguments.chunks(ARGUMENTS_PER_FRAME_MAX);
        messages.extend(parts.map(|part| FromAgent::Arguments(part.to_vec())));
        messages.extend(self.processes.take());
        if !std::mem::replace(&mut self.notes_sent, true) {
            messages.push(FromAgent::Notes(self.notes.clone()));
        }
        if !std::mem::replace(&mut self.limits_sent, true) {
            messages.push(FromAgent::Limits(self.limits.clone()));
        }
        messages
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(outbox: Outbox) -> Self {
        Self {
            outbox: Mutex::new(outbox),
            demand: Mutex::default(),
            reports: Mutex::default(),
            pushed: Notify::new(),
            demand_changed: Notify::new(),
            report_ready: Notify::new(),
            acknowledged: AtomicBool::new(false),
        }
    }

    pub fn demand(&self) -> Demand {
        *lock(&self.demand)
    }

    /// Sends the process list as soon as the connection accepts it, instead of an older unsent one.
    pub fn report_processes(&self, time: UnixMs, processes: Vec<Process>) {
        lock(&self.reports).processes = Some(FromAgent::Processes { time, processes });
        self.report_ready.notify_one();
    }

    /// Whether the next arguments to report are all that are known.
    pub fn wants_arguments(&self) -> bool {
        std::mem::take(&mut lock(&self.reports).wants_arguments)
    }

    /// Sends arguments of processes, before any list of processes that follows. While there is no connection they are
    /// dropped: the next one is sent all.
    pub fn report_arguments(&self, arguments: Vec<ProcessArguments>) {
        if arguments.is_empty() || !self.outbox().is_connected() {
            return;
        }
        let mut reports = lock(&self.reports);
        if reports.arguments.len() + arguments.len() > ARGUMENTS_MAX {
            reports.arguments.clear();
            reports.wants_arguments = true;
            return;
        }
        reports.arguments.extend(arguments);
        drop(reports);
        self.report_ready.notify_one();
    }

    /// Replaces the notes on collection problems, to be sent on this and every later connection.
    pub fn report_notes(&self, notes: &[String]) {
        let mut shown: Vec<Label> = notes.iter().map(|note| Label::new(note)).collect();
        if shown.len() > NOTES_PER_HOST_MAX {
            let more = shown.len() - NOTES_PER_HOST_MAX + 1;
            shown.truncate(NOTES_PER_HOST_MAX - 1);
            shown.push(Label::new(&format!("and {more} more; see the agent's log")));
        }
        let mut reports = lock(&self.reports);
        reports.notes = shown;
        reports.notes_sent = false;
        drop(reports);
        self.report_ready.notify_one();
    }

    /// The notes that are reported.
    #[cfg(test)]
    pub(crate) fn notes(&self) -> Vec<String> {
        let reports = lock(&self.reports);
        reports.notes.iter().map(ToString::to_string).collect()
    }

    /// Why rows are not written to disk, while that is so.
    pub fn set_spool_note(&self, note: Option<String>) {
        lock(&self.reports).spool_note = note;
    }

    pub fn spool_note(&self) -> Option<String> {
        lock(&self.reports).spool_note.clone()
    }

    /// Replaces the facts of the host, to be sent on this and every later connection.
    pub fn report_facts(&self, facts: HostFacts) {
        lock(&self.reports).facts = Some(facts.clone());
        self.outbox().set_facts(facts);
        self.report_ready.notify_one();
    }

    /// Reports the limits that were reached, on this and every later connection, if they changed.
    pub fn report_limits(&self, mut limits: Vec<LimitState>, now: Instant) {
        limits.retain(|limit| limit.reached_total > 0);
        let mut reports = lock(&self.reports);
        let is_soon = |at: Instant| now.saturating_duration_since(at) < LIMITS_INTERVAL;
        if reports.limits == limits || reports.limits_changed.is_some_and(is_soon) {
            return;
        }
        reports.limits = limits;
        reports.limits_sent = false;
        reports.limits_changed = Some(now);
        drop(reports);
        self.report_ready.notify_one();
    }

    /// The outbox, locked: the guard must not be held across an await.
    pub fn outbox(&self) -> MutexGuard<'_, Outbox> {
        lock(&self.outbox)
    }
}

#[derive(Debug)]
pub struct Uplink {
    pub hub: String,
    pub connector: Connector,
    pub shared: Arc<Shared>,
    /// The spool's writer and its folder; none where rows are kept in memory only.
    pub journal: Option<(Journal, PathBuf)>,
    /// State directory of the identity, which the hub renews; none to keep the renewed one in memory only.
    pub identity: Option<PathBuf>,
    pub observer: Arc<dyn Observer>,
    pub clock: Clock,
    pub random: Random,
}

impl Uplink {
    pub async fn run(&self) {
        let mut backoff = Backoff::default();
        let mut refused = Backoff::new(REFUSED_WAIT_MIN, REFUSED_WAIT_MAX);
        let mut logged = String::new();
        loop {
            let error = match self.connector.connect(&self.hub, Purpose::Push).await {
                Ok(session) => {
                    tracing::info!(hub = %session.hub, address = %self.hub, "connected to hub");
                    self.shared.acknowledged.store(false, Ordering::Relaxed);
                    self.shared.outbox().connected();
                    self.observer.connected();
                    let error = self.serve(session).await;
                    self.shared.outbox().disconnected();
                    self.observer.disconnected(&error);
                    // A hub that accepts the connection may still refuse its rows.
                    if self.shared.acknowledged.load(Ordering::Relaxed) {
                        logged.clear();
                        backoff.reset();
                        refused.reset();
                    }
                    error
                }
                Err(error) => {
                    self.observer.failed(&error);
                    error
                }
            };
            if let LinkError::Copy(_) = error {
                self.shared.outbox().refused_as_copy();
            }
            // Repeated attempts log the same error once.
            let text = error.to_string();
            if text != logged {
                tracing::warn!(address = %self.hub, %error, "hub unreachable; rows are spooled, retrying");
                logged = text;
            }
            // A hub that does not answer may be back at any moment; one that refuses waits for somebody to act.
            let backoff = match error {
                LinkError::Refused(_) | LinkError::Copy(_) | LinkError::Certificate(_) => {
                    &mut refused
                }
                _ => &mut backoff,
            };
            tokio::time::sleep(backoff.next(self.random.f64())).await;
        }
    }

    async fn serve(&self, session: HubSession) -> LinkError {
        let (connection, offset_ms) = (session.connection.clone(), session.clock_offset_ms);
        tokio::select! {
            error = self.serve_rows(session) => error,
            never = self.connector.renew_periodically(&connection, offset_ms, self.identity.as_deref()) => match never {},
        }
    }

    async fn serve_rows(&self, session: HubSession) -> LinkError {
        let HubSession {
            connection,
            mut sender,
            receiver,
            ..
        } = session;
        lock(&self.shared.reports).connected();
        let first = {
            let outbox = self.shared.outbox();
            let spooled = FromAgent::Spooled(outbox.spool.runs());
            [FromAgent::Facts(outbox.facts().clone()), spooled]
        };
        for message in &first {
            if let Err(error) = sender.queue(message) {
                return error;
            }
        }
        let may_backfill = Notify::new();
        let ended = tokio::try_join!(
            self.send_reports(sender),
            self.send_live(&connection),
            self.send_backfill(&connection, &may_backfill),
            self.receive(receiver, &may_backfill),
            answer_hub(&connection),
        );
        match ended {
            Err(error) => connection.close_reason().map_or(error, Into::into),
            Ok((never, ..)) => match never {},
        }
    }

    async fn send_reports(&self, mut sender: FrameSender) -> Result<Never, LinkError> {
        loop {
            let messages = lock(&self.shared.reports).take();
            for message in &messages {
                sender.queue(message)?;
            }
            sender.flush().await?;
            self.shared.report_ready.notified().await;
        }
    }

    async fn open_lane(
        &self,
        connection: &Connection,
        lane: Lane,
        priority: i32,
    ) -> Result<FrameSender, LinkError> {
        let mut sender = FrameSender::new(connection.open_uni().await?);
        sender.set_priority(priority);
        let run = self.shared.outbox().spool.run();
        sender.queue(&Push::Begin { run, lane })?;
        Ok(sender)
    }

    async fn send_live(&self, connection: &Connection) -> Result<Never, LinkError> {
        let mut sender = self
            .open_lane(connection, Lane::Live, LIVE_PRIORITY)
            .await?;
        loop {
            let frames = self.shared.outbox().take_live();
            if frames.is_empty() {
                self.shared.pushed.notified().await;
                continue;
            }
            for frame in &frames {
                sender.queue(frame)?;
            }
            sender.flush().await?;
        }
    }

    async fn send_backfill(
        &self,
        connection: &Connection,
        may_begin: &Notify,
    ) -> Result<Never, LinkError> {
        may_begin.notified().await;
        let mut stream = None;
        loop {
            let next = self.shared.outbox().next_backfill();
            let Some(frames) = next.and_then(|backfill| self.frames(backfill)) else {
                tokio::time::sleep(BACKFILL_INTERVAL).await;
                continue;
            };
            // Most connections have nothing to backfill and never open the stream.
            let sender = match &mut stream {
                Some(sender) => sender,
                None => stream.insert(
                    self.open_lane(connection, Lane::Backfill, BACKFILL_PRIORITY)
                        .await?,
                ),
            };
            for frame in &frames {
                sender.queue(frame)?;
            }
            sender.flush().await?;
        }
    }

    fn frames(&self, backfill: Backfill) -> Option<Vec<Push>> {
        let (file, known) = match backfill {
            Backfill::Frames(frames) => return Some(frames),
            Backfill::File { file, known } => (file, known),
        };
        let folder = &self.journal.as_ref()?.1;
        match journal::read(folder, &file) {
            Ok(frames) if !frames.is_empty() => Some(records::without(frames, &known)),
            _ => {
                let path = folder.join(&file);
                tracing::warn!(path = %path.display(), "spool file missing or damaged; its rows are lost");
                self.shared.outbox().spool.lost_file(&file);
                Some(Vec::new())
            }
        }
    }

    async fn receive(
        &self,
        mut receiver: FrameReceiver,
        may_backfill: &Notify,
    ) -> Result<Never, LinkError> {
        while let Some(message) = receiver.next::<ToAgent>().await? {
            let now = self.clock.now();
            match message {
                ToAgent::Ack { run, ranges } => {
                    self.acknowledge(run, &ranges);
                    continue;
                }
                ToAgent::Backfill => {
                    may_backfill.notify_one();
                    continue;
                }
                ToAgent::WatchProcesses { for_ms } => {
                    lock(&self.shared.demand).watch_processes(for_ms, now);
                }
                ToAgent::Burst {
                    interval_ms,
                    for_ms,
                } => lock(&self.shared.demand).burst(interval_ms, for_ms, now),
            }
            self.shared.demand_changed.notify_one();
        }
        Err(LinkError::StreamEnded)
    }

    fn acknowledge(&self, run: RunId, ranges: &[(u64, u64)]) {
        self.shared.acknowledged.store(true, Ordering::Relaxed);
        let (ops, is_this_run) = {
            let mut outbox = self.shared.outbox();
            outbox.acknowledge(run, ranges);
            (outbox.spool.take_disk_ops(), outbox.spool.run() == run)
        };
        if is_this_run {
            self.observer.acknowledged(ranges);
        }
        if let Some((journal, _)) = &self.journal {
            journal.submit(ops);
        }
    }
}

/// Takes the empty streams by which the hub learns that this connection is alive, before it lets in another agent with
/// the same identity; QUIC acknowledges them.
async fn answer_hub(connection: &Connection) -> Result<Never, LinkError> {
    loop {
        drop(connection.accept_uni().await?);
    }
}

/// The success value of a task that ends only with an error.
enum Never {}
