//! The thread that writes the history, so that a slow disk delays nothing but acknowledgements.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sysmon_clock::Clock;
use sysmon_wire::{Label, UnixMs};
use thiserror::Error;
use tokio::sync::watch;

use super::store::{Store, StoreError, mark_damaged};
use super::{Batch, Limits};

const RETRY: Duration = Duration::from_secs(1);

/// A commit is due every second; when the last is older than this, the disk hangs.
const COMMIT_AGE_MAX: Duration = Duration::from_secs(30);

/// Time between two removals of old data.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// Longest time of downsampling between two commits.
const ROLL_UP_MAX: Duration = Duration::from_millis(300);

/// The history's thread.
#[derive(Debug)]
pub struct Worker {
    batches: Option<SyncSender<Batch>>,
    thread: Option<thread::JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    /// The generation up to which everything is on disk.
    durable: watch::Sender<u64>,
    bytes: AtomicU64,
    /// Duration of the last commit in microseconds.
    commit_us: AtomicU64,
    commits: Mutex<Commits>,
    limits: Mutex<Limits>,
    /// A batch is being written or retried.
    busy: AtomicBool,
    stop: AtomicBool,
    path: PathBuf,
    is_recovered: bool,
    /// Hosts of which nothing was left at the last removal of old data.
    emptied: Mutex<Vec<Label>>,
    /// The file turned out to be damaged: it has to be opened anew, which recovers it.
    damaged: watch::Sender<bool>,
}

/// Why rows are not becoming durable.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unhealthy {
    /// The current commit fails and is retried.
    #[error("{0}")]
    Failing(String),
    /// The last commit was long ago.
    #[error("the history was last written {} s ago", .0.as_secs())]
    Stalled(Duration),
}

#[derive(Clone, Debug)]
struct Commits {
    /// When the last commit succeeded, or the thread started.
    last: Instant,
    failing: Option<String>,
}

impl Commits {
    fn health(&self, now: Instant) -> Result<(), Unhealthy> {
        let age = now.saturating_duration_since(self.last);
        match &self.failing {
            Some(error) => Err(Unhealthy::Failing(error.clone())),
            None if age > COMMIT_AGE_MAX => Err(Unhealthy::Stalled(age)),
            None => Ok(()),
        }
    }
}

impl Worker {
    /// Starts the thread for a store.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        store: Store,
        path: &Path,
        limits: Limits,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        // `busy` ensures that at most one batch is under way.
        let (sender, batches) = sync_channel(1);
        let shared = Arc::new(Shared {
            durable: watch::Sender::new(0),
            bytes: AtomicU64::new(store.bytes()),
            commit_us: AtomicU64::new(0),
            commits: Mutex::new(Commits {
                last: clock.instant(),
                failing: None,
            }),
            limits: Mutex::new(limits),
            busy: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            path: path.to_owned(),
            is_recovered: store.recovery().is_some(),
            emptied: Mutex::default(),
            damaged: watch::Sender::new(false),
            clock,
        });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || of_thread.run(store, &batches))?;
        Ok(Self {
            batches: Some(sender),
            thread: Some(thread),
            shared,
        })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Takes the hosts of which nothing was left at the last removal of old data.
    pub fn take_emptied(&self) -> Vec<Label> {
        std::mem::take(&mut *lock(&self.shared.emptied))
    }

    /// Whether the file was damaged when it was opened.
    pub fn is_recovered(&self) -> bool {
        self.shared.is_recovered
    }

    /// Whether the file turned out to be damaged. Nothing is written any more then; [`Store::open`] recovers it.
    pub fn damaged(&self) -> watch::Receiver<bool> {
        self.shared.damaged.subscribe()
    }

    /// Notes an error of another reader of the file, if it says that the file is damaged.
    pub fn note_error(&self, error: &StoreError) {
        self.shared.note_error(error);
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        *self.shared.limits()
    }

    /// Replaces the limits.
    pub fn set_limits(&self, limits: Limits) {
        *self.shared.limits() = limits;
    }

    /// The generation up to which everything is durable.
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.shared.durable.subscribe()
    }

    /// Commits a batch. While the previous one is not committed yet, it makes none and returns false: changes
    /// accumulate in the fleet.
    pub fn offer(&self, batch: impl FnOnce() -> Batch) -> bool {
        let batches = self.batches.as_ref();
        let idle = batches.filter(|_| !self.shared.busy.swap(true, Ordering::AcqRel));
        let Some(batches) = idle else {
            return false;
        };
        if batches.send(batch()).is_err() {
            tracing::error!("the history's thread has ended: rows are no longer acknowledged");
        }
        true
    }

    /// Bytes on disk, and the duration of the last commit in microseconds.
    pub fn figures(&self) -> (u64, u64) {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (of(&self.shared.bytes), of(&self.shared.commit_us))
    }

    /// Whether commits succeed and the last is recent at `now`.
    ///
    /// # Errors
    /// Why rows are not becoming durable.
    pub fn health(&self, now: Instant) -> Result<(), Unhealthy> {
        self.shared.commits().health(now)
    }

    /// Commits the batch under way, and ends the thread.
    pub fn finish(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an error says that the file is damaged, which is noted.
    fn note_error(&self, error: &StoreError) -> bool {
        let is_damage = error.is_damage();
        if is_damage && !self.damaged.send_replace(true) {
            tracing::error!(path = %self.path.display(), %error, "the history is damaged");
            mark_damaged(&self.path, &error.to_string());
        }
        is_damage
    }

    fn elapsed(&self, since: Instant) -> Duration {
        self.clock.instant().saturating_duration_since(since)
    }

    fn run(&self, mut store: Store, batches: &Receiver<Batch>) {
        let mut retained = self.clock.instant();
        while let Ok(batch) = batches.recv() {
            if !self.commit(&mut store, &batch) {
                return;
            }
            if self.elapsed(retained) >= RETENTION_INTERVAL {
                retained = self.clock.instant();
                let limits = *self.limits();
                if let Err(error) = store.tidy(batch.now, &limits) {
                    self.note_error(&error);
                    tracing::warn!(%error, "cannot remove old rows from the history");
                }
                match store.empty_hosts() {
                    Ok(hosts) => *lock(&self.emptied) = hosts,
                    Err(error) => drop(self.note_error(&error)),
                }
            }
            self.roll_up(&mut store, batch.now);
            self.bytes.store(store.bytes(), Ordering::Relaxed);
        }
    }

    /// Commits a batch, retrying until it succeeds; false if the thread has to stop first.
    fn commit(&self, store: &mut Store, batch: &Batch) -> bool {
        let start = self.clock.instant();
        let mut failing = false;
        while let Err(error) = store.commit(batch) {
            self.commits().failing = Some(error.to_string());
            if self.note_error(&error) {
                return false;
            }
            if !std::mem::replace(&mut failing, true) {
                tracing::error!(%error, "cannot write the history, retrying: rows are not acknowledged meanwhile");
            }
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            thread::sleep(RETRY);
        }
        if failing {
            tracing::info!("the history is written again");
        }
        let commit_us = self.elapsed(start).as_micros() as u64;
        self.commit_us.store(commit_us, Ordering::Relaxed);
        *self.commits() = Commits {
            last: self.clock.instant(),
            failing: None,
        };
        self.durable.send_replace(batch.generation);
        self.busy.store(false, Ordering::Release);
        true
    }

    /// Downsamples until nothing is due or a commit should not wait longer.
    fn roll_up(&self, store: &mut Store, now: UnixMs) {
        let start = self.clock.instant();
        while self.elapsed(start) < ROLL_UP_MAX {
            match store.roll_up(now) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    self.note_error(&error);
                    tracing::warn!(%error, "cannot downsample old rows");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_clock::ManualTime;

    #[test]
    fn failing_and_stalled_commits_are_unhealthy() {
        let time = ManualTime::new(UnixMs(0));
        let (clock, last) = (time.clock(), time.clock().instant());
        let mut commits = Commits {
            last,
            failing: None,
        };
        time.advance(COMMIT_AGE_MAX);
        assert_eq!(commits.health(clock.instant()), Ok(()));
        time.advance(Duration::from_secs(15));
        let stalled = commits.health(clock.instant()).unwrap_err();
        assert_eq!(stalled.to_string(), "the history was last written 45 s ago");
        commits.failing = Some("disk full".to_owned());
        let failing = Unhealthy::Failing("disk full".to_owned());
        assert_eq!(commits.health(last), Err(failing));
    }
}
