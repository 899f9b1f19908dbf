//! One turn after the other: live rows when they are due, and pending ones in between.

mod confirm;
mod pending;
mod present;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sysmon_wire::timeline::Event;
use sysmon_wire::{Label, UnixMs};
use thiserror::Error;

use self::pending::{Pending, retain_exported, retain_exported_minutes};
use super::cursor_file::CursorFile;
use super::status::{State, Status};
use super::{WorkerOptions, lock};
use crate::aggregate::Aggregator;
use crate::cursor::Task;
use crate::{Batch, Committed, Cursor, Engine, EngineError, Sent, Source, SourceError};

/// Time after a failure; doubles with each up to the maximum.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Longest time that an engine can ask to wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// Wait after an error that somebody has to correct.
const MISCONFIGURED: Duration = Duration::from_secs(30);

/// Time between two looks at what is behind while nothing is sent.
const IDLE: Duration = Duration::from_secs(5);

/// A cursor in a file is stored this often while the past is sent; what is sent in between may be sent again.
const STORE_EVERY: Duration = Duration::from_secs(2);

/// Rows of one host that are read at once.
const SLICE_MS: i64 = 60_000;

#[derive(Debug, Error)]
enum TurnError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("cannot store how far the destination is: {0}")]
    Cursor(#[from] io::Error),
}

pub(super) struct Turns {
    options: WorkerOptions,
    engine: Box<dyn Engine>,
    source: Box<dyn Source>,
    status: Arc<Mutex<Status>>,
    file: CursorFile,
    aggregator: Aggregator,
    cursor: Option<Cursor>,
    /// Whether the file has the cursor.
    is_stored: bool,
    stored: Instant,
    next_live: Instant,
    blocked_until: Instant,
    failures: u32,
    /// The host whose past was sent last.
    turn_of: Option<Label>,
    /// Hosts that are gone, until the engine knows.
    gone: Vec<Label>,
    /// Whether the last attempt failed, so that the engine may have more or less than the cursor says.
    is_doubtful: bool,
}

impl Turns {
    pub(super) fn new(
        options: WorkerOptions,
        engine: Box<dyn Engine>,
        source: Box<dyn Source>,
        status: Arc<Mutex<Status>>,
    ) -> Self {
        let now = options.clock.instant();
        Self {
            file: CursorFile::new(options.cursor.clone()),
            options,
            engine,
            source,
            status,
            aggregator: Aggregator::default(),
            cursor: None,
            is_stored: true,
            stored: now,
            next_live: now,
            blocked_until: now,
            failures: 0,
            turn_of: None,
            gone: Vec::new(),
            is_doubtful: false,
        }
    }

    fn now(&self) -> Instant {
        self.options.clock.instant()
    }

    fn every_ms(&self) -> i64 {
        let every = self.options.every.map_or(1, |every| every.as_millis());
        i64::try_from(every).unwrap_or(i64::MAX).max(1)
    }

    /// Sends what is due; returns how long to wait for the next turn.
    pub(super) fn turn(&mut self) -> Duration {
        let left = self.blocked_until.saturating_duration_since(self.now());
        if !left.is_zero() {
            self.observe();
            return left.min(IDLE);
        }
        match self.send_due() {
            Ok(wait) => wait,
            Err(error) => {
                self.fail(&error);
                Duration::ZERO
            }
        }
    }

    fn send_due(&mut self) -> Result<Duration, TurnError> {
        self.confirm()?;
        let mut cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => self.load()?,
        };
        let result = match self.engine.wants_past() {
            true => self.send(&mut cursor),
            false => self.send_present(&mut cursor),
        };
        self.cursor = Some(cursor);
        result
    }

    fn send(&mut self, cursor: &mut Cursor) -> Result<Duration, TurnError> {
        let committed = self.take_note(cursor)?;
        if cursor.is_paused {
            self.show(cursor, &committed, Some(State::Paused));
            self.store(cursor, false)?;
            return Ok(IDLE);
        }
        if self.now() >= self.next_live {
            self.send_live(cursor, &committed)?;
            self.next_live = self.now() + self.engine.interval();
        }
        self.send_pending(cursor)?;
        self.succeed();
        self.show(cursor, &committed, Some(State::Running));
        let has_pending = cursor.pending_ms().1 > 0;
        self.store(cursor, has_pending)?;
        match has_pending {
            true => Ok(Duration::ZERO),
            false => Ok(self.next_live.saturating_duration_since(self.now())),
        }
    }

    /// Takes note of what was committed since the last turn.
    fn take_note(&mut self, cursor: &mut Cursor) -> Result<Committed, TurnError> {
        if self.source.newest_late()? < cursor.late {
            // The history is another or went back: all late rows that it knows of are sent again.
            cursor.late = 0;
        }
        loop {
            let late = self.source.late_since(cursor.late)?;
            if late.is_empty() {
                break;
            }
            cursor.add_late(&late);
            self.is_stored = false;
        }
        let committed = self.source.committed();
        let source = &mut self.source;
        let oldest = |host: &Label| source.oldest(host).ok().flatten();
        self.gone.extend(cursor.catch_up(&committed, oldest));
        for host in &committed.silent {
            if !self.gone.contains(host) {
                self.gone.push(host.clone());
            }
        }
        Ok(committed)
    }

    /// Reads how far the destination is, from where that is stored.
    fn load(&mut self) -> Result<Cursor, TurnError> {
        if self.engine.stores_cursor() {
            if let Some(mut stored) = self.engine.stored_cursor()? {
                // Whether somebody paused it is none of the engine's business.
                let of_file = self.file.load().ok().flatten();
                stored.is_paused = of_file.is_some_and(|cursor| cursor.is_paused);
                return Ok(stored);
            }
        } else if let Some(cursor) = self.file.load()? {
            return Ok(cursor);
        }
        let (committed, late) = match self.engine.wants_past() {
            true => (self.source.committed(), self.source.newest_late()?),
            false => (Committed::default(), 0),
        };
        let event = self.source.newest_event()?;
        self.is_stored = false;
        Ok(Cursor::new(
            &committed,
            late,
            event,
            self.options.clock.now(),
        ))
    }

    fn store(&mut self, cursor: &Cursor, may_wait: bool) -> Result<(), TurnError> {
        let is_due = !may_wait || self.now() >= self.stored + STORE_EVERY;
        if !self.is_stored && is_due {
            self.file.store(cursor)?;
            self.is_stored = true;
            self.stored = self.now();
        }
        Ok(())
    }

    fn send_live(&mut self, cursor: &mut Cursor, committed: &Committed) -> Result<(), TurnError> {
        let (tasks, events) = (
            cursor.live(committed, self.every_ms()),
            self.events(cursor)?,
        );
        let mut batch = Pending::default();
        for event in events {
            batch.cursor(cursor).event = event.0;
            if self.source.exports_events_of(&event.1.host) {
                batch.events.push(event);
            }
        }
        for task in tasks {
            self.add(&mut batch, cursor, &task)?;
        }
        if !self.gone.is_empty() {
            batch.cursor(cursor);
        }
        self.flush(batch, cursor)
    }

    fn events(&mut self, cursor: &Cursor) -> Result<Vec<(i64, Event)>, TurnError> {
        match self.engine.takes_events() {
            true => Ok(self.source.events_since(cursor.event)?),
            false => Ok(Vec::new()),
        }
    }

    /// Sends one batch of pending rows.
    fn send_pending(&mut self, cursor: &mut Cursor) -> Result<(), TurnError> {
        let mut batch = Pending::default();
        while batch.cells < self.engine.batch_cells() {
            let position = batch.next.as_ref().unwrap_or(cursor);
            let turn_of = self.turn_of.clone();
            let Some(task) = position.next_pending(turn_of.as_ref(), SLICE_MS, self.every_ms())
            else {
                break;
            };
            let oldest = self.source.oldest(&task.host)?;
            if oldest.is_none_or(|oldest| task.span.to < oldest) {
                batch.cursor(cursor).give_up(&task.host, oldest);
                continue;
            }
            self.turn_of = Some(task.host.clone());
            batch.turns += 1;
            self.add(&mut batch, cursor, &task)?;
            if batch.turns >= TURNS_MAX {
                break;
            }
        }
        self.flush(batch, cursor)
    }

    /// Adds the rows of a task to a batch, which is sent once it is full.
    fn add(
        &mut self,
        batch: &mut Pending,
        cursor: &mut Cursor,
        task: &Task,
    ) -> Result<(), TurnError> {
        let rows = self.source.rows(&task.host, task.span)?;
        if let Some(mut rows) = rows.filter(|rows| !rows.times.is_empty()) {
            retain_exported(&mut rows);
            rows.is_late = task.is_late;
            rows.span = task.span;
            if let Some(every) = self.options.every {
                let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
                rows = self.aggregator.aggregate(&rows, every_ms.max(1));
            }
            batch.cells += rows.cells();
            batch.hosts.push(rows);
        }
        if self.engine.wants_minutes()
            && let Some(span) = batch.cursor(cursor).whole_minutes(task)
            && let Some(mut minutes) = self.source.minutes(&task.host, span)?
        {
            retain_exported_minutes(&mut minutes);
            minutes.is_late = task.is_late;
            batch.cells += minutes.minutes.len();
            batch.minutes.push(minutes);
        }
        batch.cursor(cursor).complete(task);
        if batch.cells >= self.engine.batch_cells() {
            let (full, turns) = (std::mem::take(batch), batch.turns);
            self.flush(full, cursor)?;
            batch.turns = turns;
            if task.is_late {
                batch.turns = TURNS_MAX;
            }
        }
        Ok(())
    }

    fn flush(&mut self, batch: Pending, cursor: &mut Cursor) -> Result<(), TurnError> {
        let Some(next) = batch.next else {
            return Ok(());
        };
        let has_content =
            !batch.hosts.is_empty() || !batch.events.is_empty() || !self.gone.is_empty();
        if has_content || self.engine.stores_cursor() {
            let sent = self.engine.send(&Batch {
                hosts: &batch.hosts,
                minutes: &batch.minutes,
                events: &batch.events,
                gone: &self.gone,
                cursor: &next,
            })?;
            self.gone.clear();
            let rows = batch.hosts.iter().map(|rows| rows.times.len()).sum();
            self.count(rows, sent, has_content);
        }
        *cursor = next;
        self.is_stored = false;
        Ok(())
    }

    fn count(&mut self, rows: usize, sent: Sent, has_content: bool) {
        let mut status = lock(&self.status);
        status.rows += rows as u64;
        status.samples += sent.samples;
        status.bytes += sent.bytes;
        for (reason, samples) in sent.refused {
            tracing::warn!(destination = %self.options.name, reason, samples, "the engine refuses values for good");
            status.refuse(reason, samples);
        }
        if has_content {
            status.last_success = Some(self.options.clock.now());
        }
    }

    fn succeed(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            tracing::info!(destination = %self.options.name, "the destination takes rows again");
        }
    }

    fn fail(&mut self, error: &TurnError) {
        let backoff = RETRY_MIN
            .saturating_mul(1 << self.failures.min(6))
            .min(RETRY_MAX);
        let wait = match error {
            TurnError::Engine(EngineError::Unavailable {
                retry_after: Some(wait),
                ..
            }) => (*wait).max(RETRY_MIN).min(RETRY_AFTER_MAX),
            TurnError::Engine(EngineError::Misconfigured(_)) => MISCONFIGURED,
            // With jitter, so that many hubs do not come back to an engine at once.
            _ => backoff.mul_f64(0.5 + self.options.random.f64() / 2.0),
        };
        self.failures = self.failures.saturating_add(1);
        self.is_doubtful = true;
        self.blocked_until = self.now() + wait;
        let (now, error) = (self.options.clock.now(), error.to_string());
        let mut status = lock(&self.status);
        let since = match &status.state {
            State::Failing {
                since,
                error: known,
            } => {
                if *known != error {
                    tracing::warn!(destination = %self.options.name, %error, "cannot send to the destination");
                }
                *since
            }
            _ => {
                tracing::warn!(destination = %self.options.name, %error, "cannot send to the destination; it gets what it misses later");
                now
            }
        };
        status.state = State::Failing { error, since };
    }

    /// Shows how far the destination is behind while nothing can be sent.
    fn observe(&mut self) {
        if !self.engine.wants_past() {
            return self.show_present(None);
        }
        let Some(mut cursor) = self.cursor.take() else {
            return;
        };
        if let Ok(committed) = self.take_note(&mut cursor) {
            self.show(&cursor, &committed, None);
        }
        self.cursor = Some(cursor);
    }

    fn show(&self, cursor: &Cursor, committed: &Committed, state: Option<State>) {
        let mut status = lock(&self.status);
        status.lag_ms = cursor.lag_ms(committed);
        (status.pending_ms, status.pending_hosts) = cursor.pending_ms();
        status.lost_ms = cursor.lost_ms;
        if let Some(state) = state {
            status.state = state;
        }
    }

    pub(super) fn set_paused(&mut self, is_paused: bool) {
        self.change(|cursor, _| {
            cursor.is_paused = is_paused;
            Ok(())
        });
        self.blocked_until = self.now();
        self.next_live = self.now();
    }

    pub(super) fn backfill(&mut self, from: UnixMs) {
        self.change(|cursor, source| {
            let committed = source.committed();
            let mut oldest = std::collections::BTreeMap::new();
            for host in committed.newest.keys() {
                oldest.insert(host.clone(), source.oldest(host)?);
            }
            cursor.backfill(from, |host| oldest.get(host).copied().flatten());
            Ok(())
        });
    }

    fn change(
        &mut self,
        change: impl FnOnce(&mut Cursor, &mut dyn Source) -> Result<(), TurnError>,
    ) {
        let changed = self
            .cursor
            .take()
            .map_or_else(|| self.load(), Ok)
            .and_then(|mut cursor| {
                let changed = change(&mut cursor, &mut *self.source);
                self.is_stored = false;
                let stored = self.store(&cursor, false);
                let state = cursor.is_paused.then_some(State::Paused);
                if self.engine.wants_past() {
                    let committed = self.source.committed();
                    self.show(&cursor, &committed, state);
                } else {
                    self.show_present(state);
                }
                self.cursor = Some(cursor);
                changed.and(stored)
            });
        if let Err(error) = changed {
            self.fail(&error);
        }
    }

    /// Stores how far the destination is.
    pub(super) fn finish(&mut self) {
        if let Some(cursor) = self.cursor.take()
            && let Err(error) = self.store(&cursor, false)
        {
            tracing::warn!(destination = %self.options.name, %error, "rows will be sent again");
        }
    }
}

/// Reads of the history for one batch of pending rows; many of them may find nothing.
const TURNS_MAX: usize = 1_000;

#[cfg(test)]
mod tests;
