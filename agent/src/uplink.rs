//! The agent's connection to its hub: keeps it up, and moves rows and acknowledgements over it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sysmon_link::{
    Backoff, Connection, Connector, FrameReceiver, FrameSender, HubSession, LinkError,
};
use sysmon_wire::message::{FromAgent, Lane, Purpose, Push, ToAgent};
use sysmon_wire::{Label, Process, UnixMs};
use tokio::sync::Notify;

use crate::demand::Demand;
use crate::observer::Observer;
use crate::outbox::Outbox;
use crate::spool::Backfill;
use crate::spool::journal::{self, Journal};

/// How often rows that missed the live lane are looked for.
const BACKFILL_INTERVAL: Duration = Duration::from_secs(10);

/// Live rows go before anything else on the connection.
const LIVE_PRIORITY: i32 = 1;

/// Backfill fills what is left.
const BACKFILL_PRIORITY: i32 = -1;

/// What the sampler and the uplink share.
#[derive(Debug)]
pub struct Shared {
    outbox: Mutex<Outbox>,
    demand: Mutex<Demand>,
    told: Mutex<Told>,
    /// A row was pushed.
    pub pushed: Notify,
    /// The hub wants something else than before.
    pub demanded: Notify,
    /// There is something to tell besides rows.
    telling: Notify,
}

/// What is told besides rows; only the newest counts.
#[derive(Debug, Default)]
struct Told {
    processes: Option<FromAgent>,
    notes: Vec<Label>,
    /// Whether the hub has been told the notes.
    notes_sent: bool,
}

/// Notes kept; an agent that finds more wrong than that has made its point.
const NOTES_MAX: usize = 16;

impl Shared {
    /// Shares an outbox.
    pub fn new(outbox: Outbox) -> Self {
        Self {
            outbox: Mutex::new(outbox),
            demand: Mutex::default(),
            told: Mutex::default(),
            pushed: Notify::new(),
            demanded: Notify::new(),
            telling: Notify::new(),
        }
    }

    /// What the hub wants now.
    pub fn demand(&self) -> Demand {
        *self.demand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all processes as soon as there is room.
    pub fn tell_processes(&self, time: UnixMs, processes: Vec<Process>) {
        self.told().processes = Some(FromAgent::Processes { time, processes });
        self.telling.notify_one();
    }

    /// Tells what could not be seen.
    pub fn tell_notes(&self, notes: &[String]) {
        let mut told = self.told();
        for note in notes {
            let note = Label::new(note);
            if told.notes.len() < NOTES_MAX && !told.notes.contains(&note) {
                told.notes.push(note);
                told.notes_sent = false;
            }
        }
        drop(told);
        self.telling.notify_one();
    }

    fn take_demand(&self, order: &ToAgent) {
        let now = UnixMs::from_system(SystemTime::now());
        let mut demand = self.demand.lock().unwrap_or_else(PoisonError::into_inner);
        match order {
            ToAgent::WatchProcesses { for_ms } => demand.watch_processes(*for_ms, now),
            ToAgent::Burst {
                interval_ms,
                for_ms,
            } => demand.burst(*interval_ms, *for_ms, now),
            ToAgent::Ack { .. } => return,
        }
        drop(demand);
        self.demanded.notify_one();
    }

    /// The outbox, for a moment: nothing may be awaited while it is held.
    pub fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the uplink goes and what it writes to.
#[derive(Debug)]
pub struct Uplink {
    /// The hub as `HOST:PORT`.
    pub hub: String,
    /// Opens connections.
    pub connector: Connector,
    /// What to send.
    pub shared: Arc<Shared>,
    /// The spool's files, and the folder they are in; none where nothing is kept on disk.
    pub journal: Option<(Journal, PathBuf)>,
    /// Where the identity is kept, which is renewed now and then; none if it is not.
    pub identity: Option<PathBuf>,
    /// Who hears what becomes of it.
    pub observer: Arc<dyn Observer>,
}

impl Uplink {
    /// Connects, serves, and connects again, for ever.
    pub async fn run(&self) {
        let mut backoff = Backoff::default();
        let mut told = String::new();
        loop {
            let error = match self.connector.connect(&self.hub, Purpose::Push).await {
                Ok(session) => {
                    tracing::info!("connected to hub {} at {}", session.hub, self.hub);
                    told.clear();
                    backoff.reset();
                    self.shared.outbox().connected();
                    self.observer.connected();
                    let error = self.serve(session).await;
                    self.shared.outbox().disconnected();
                    self.observer.disconnected(&error);
                    error
                }
                Err(error) => {
                    self.observer.failed(&error);
                    error
                }
            };
            // The same trouble is told once, not at every attempt.
            let text = error.to_string();
            if text != told {
                tracing::warn!(
                    "no connection to {}: {text}; rows are kept, trying again",
                    self.hub
                );
                told = text;
            }
            tokio::time::sleep(backoff.next(fastrand::f64())).await;
        }
    }

    async fn serve(&self, session: HubSession) -> LinkError {
        let (connection, with) = (session.connection.clone(), session.clock_offset_ms);
        tokio::select! {
            error = self.serve_rows(session) => error,
            never = self.connector.renew_periodically(&connection, with, self.identity.as_deref()) => match never {},
        }
    }

    async fn serve_rows(&self, session: HubSession) -> LinkError {
        let HubSession {
            connection,
            mut sender,
            receiver,
            ..
        } = session;
        let facts = FromAgent::Facts(self.shared.outbox().facts().clone());
        if let Err(error) = sender.send(&facts).await {
            return error;
        }
        self.shared.told().notes_sent = false;
        let ended = tokio::try_join!(
            self.tell(sender),
            self.send_live(&connection),
            self.send_backfill(&connection),
            self.take_acks(receiver),
        );
        match ended {
            Err(error) => connection.close_reason().map_or(error, Into::into),
            Ok((never, ..)) => match never {},
        }
    }

    async fn tell(&self, mut sender: FrameSender) -> Result<Never, LinkError> {
        loop {
            let (processes, notes) = {
                let mut told = self.shared.told();
                let is_new = !std::mem::replace(&mut told.notes_sent, true);
                let notes = (is_new && !told.notes.is_empty()).then(|| told.notes.clone());
                (told.processes.take(), notes)
            };
            for message in processes.into_iter().chain(notes.map(FromAgent::Notes)) {
                sender.queue(&message)?;
            }
            sender.flush().await?;
            self.shared.telling.notified().await;
        }
    }

    async fn lane(
        &self,
        connection: &Connection,
        lane: Lane,
        priority: i32,
    ) -> Result<FrameSender, LinkError> {
        let mut sender = FrameSender::new(connection.open_uni().await?);
        sender.set_priority(priority);
        let run = self.shared.outbox().run();
        sender.queue(&Push::Begin { run, lane })?;
        Ok(sender)
    }

    async fn send_live(&self, connection: &Connection) -> Result<Never, LinkError> {
        let mut sender = self.lane(connection, Lane::Live, LIVE_PRIORITY).await?;
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

    async fn send_backfill(&self, connection: &Connection) -> Result<Never, LinkError> {
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
                    self.lane(connection, Lane::Backfill, BACKFILL_PRIORITY)
                        .await?,
                ),
            };
            for frame in &frames {
                sender.queue(frame)?;
            }
            sender.flush().await?;
        }
    }

    /// The frames of a backfill; none if its file has gone.
    fn frames(&self, backfill: Backfill) -> Option<Vec<Push>> {
        let file = match backfill {
            Backfill::Frames(frames) => return Some(frames),
            Backfill::File(file) => file,
        };
        let folder = &self.journal.as_ref()?.1;
        match journal::read(folder, &file) {
            Ok(frames) if !frames.is_empty() => Some(frames),
            _ => {
                tracing::warn!(
                    "the spool file {} is gone or damaged",
                    folder.join(&file).display()
                );
                self.shared.outbox().lost_file(&file);
                Some(Vec::new())
            }
        }
    }

    async fn take_acks(&self, mut receiver: FrameReceiver) -> Result<Never, LinkError> {
        while let Some(message) = receiver.next::<ToAgent>().await? {
            let ToAgent::Ack { run, ranges } = message else {
                self.shared.take_demand(&message);
                continue;
            };
            let (orders, is_this_run) = {
                let mut outbox = self.shared.outbox();
                outbox.acknowledge(run, &ranges);
                (outbox.take_orders(), outbox.run() == run)
            };
            if is_this_run {
                self.observer.acknowledged(&ranges);
            }
            if let Some((journal, _)) = &self.journal {
                journal.carry_out(orders);
            }
        }
        Err(LinkError::StreamEnded)
    }
}

/// What a task that ends only with an error would return.
enum Never {}
