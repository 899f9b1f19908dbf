//! The thread that writes the history, so that a slow disk delays nobody but the acknowledgements.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sysmon_wire::UnixMs;
use tokio::sync::watch;

use super::store::{Store, StoreError};
use super::{Batch, Limits};

/// Time to wait before a batch that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A commit is due every second; one that is this old says that the disk hangs.
const COMMIT_AGE_MAX: Duration = Duration::from_secs(30);

/// How often old rows are removed.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

/// How long minutes and hours may be made between two commits.
const ROLL_UP_MAX: Duration = Duration::from_millis(300);

/// The history's thread.
#[derive(Debug)]
pub struct Worker {
    path: PathBuf,
    orders: Option<SyncSender<Batch>>,
    thread: Option<thread::JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The generation up to which everything is on disk.
    durable: watch::Sender<u64>,
    bytes: AtomicU64,
    /// Microseconds that the last commit took.
    commit_us: AtomicU64,
    commits: Mutex<Commits>,
    limits: Mutex<Limits>,
    /// A batch is being written, or tried again.
    busy: AtomicBool,
    stop: AtomicBool,
}

/// How commits do. Pure.
#[derive(Clone, Debug)]
struct Commits {
    /// When the last was done, or the thread began.
    last: Instant,
    /// Why the present one fails, if it does.
    failing: Option<String>,
}

impl Commits {
    fn health(&self, now: Instant) -> Result<(), String> {
        let age = now.saturating_duration_since(self.last);
        match &self.failing {
            Some(why) => Err(why.clone()),
            None if age > COMMIT_AGE_MAX => Err(format!(
                "the history was last written {} s ago",
                age.as_secs()
            )),
            None => Ok(()),
        }
    }
}

impl Worker {
    /// Starts the thread for a store.
    pub fn start(store: Store, path: &Path, limits: Limits) -> Result<Self, StoreError> {
        // At most one batch is under way: `busy` sees to that.
        let (orders, batches) = sync_channel(1);
        let shared = Arc::new(Shared {
            durable: watch::Sender::new(0),
            bytes: AtomicU64::new(store.bytes()),
            commit_us: AtomicU64::new(0),
            commits: Mutex::new(Commits {
                last: Instant::now(),
                failing: None,
            }),
            limits: Mutex::new(limits),
            busy: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || write(store, &batches, &of_thread))?;
        Ok(Self {
            path: path.to_owned(),
            orders: Some(orders),
            thread: Some(thread),
            shared,
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How much of the past it keeps.
    pub fn limits(&self) -> Limits {
        *self.shared.limits()
    }

    /// Keeps so much from now on.
    pub fn set_limits(&self, limits: Limits) {
        *self.shared.limits() = limits;
    }

    /// Tells the generation up to which everything is durable.
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.shared.durable.subscribe()
    }

    /// Hands over a batch, unless the one before is not written yet: then changes go on gathering in
    /// the fleet. Whether it was taken.
    pub fn offer(&self, batch: impl FnOnce() -> Batch) -> bool {
        let Some(orders) = self
            .orders
            .as_ref()
            .filter(|_| !self.shared.busy.swap(true, Ordering::AcqRel))
        else {
            return false;
        };
        if orders.send(batch()).is_err() {
            tracing::error!("the history's thread is gone: rows are not acknowledged any more");
        }
        true
    }

    /// Bytes on disk, and microseconds of the last commit.
    pub fn figures(&self) -> (u64, u64) {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (of(&self.shared.bytes), of(&self.shared.commit_us))
    }

    /// Whether commits succeed and the last is not long ago, at `now`; if not, why.
    pub fn health(&self, now: Instant) -> Result<(), String> {
        self.shared.commits().health(now)
    }

    /// Writes what was handed over and ends the thread.
    pub fn finish(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(mut store: Store, batches: &Receiver<Batch>, shared: &Shared) {
    let mut tidied = Instant::now();
    while let Ok(batch) = batches.recv() {
        let start = Instant::now();
        let mut failing = false;
        while let Err(error) = store.commit(&batch) {
            shared.commits().failing = Some(error.to_string());
            if !std::mem::replace(&mut failing, true) {
                tracing::error!(
                    "{error}; rows are not acknowledged meanwhile, and agents keep them"
                );
            }
            if shared.stop.load(Ordering::Acquire) {
                return;
            }
            thread::sleep(RETRY);
        }
        if failing {
            tracing::info!("the history is written again");
        }
        shared
            .commit_us
            .store(start.elapsed().as_micros() as u64, Ordering::Relaxed);
        *shared.commits() = Commits {
            last: Instant::now(),
            failing: None,
        };
        shared.durable.send_replace(batch.generation);
        shared.busy.store(false, Ordering::Release);
        if tidied.elapsed() >= TIDY_INTERVAL {
            tidied = Instant::now();
            let limits = *shared.limits();
            if let Err(error) = store.tidy(batch.now, &limits) {
                tracing::warn!("old rows cannot be removed: {error}");
            }
        }
        roll_up(&mut store, batch.now);
        shared.bytes.store(store.bytes(), Ordering::Relaxed);
    }
}

/// Makes minutes and hours while nobody waits for a commit.
fn roll_up(store: &mut Store, now: UnixMs) {
    let start = Instant::now();
    while start.elapsed() < ROLL_UP_MAX {
        match store.roll_up(now) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!("old rows cannot be summed up: {error}");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_fail_or_stay_away_are_told() {
        let last = Instant::now();
        let mut commits = Commits {
            last,
            failing: None,
        };
        assert_eq!(commits.health(last + COMMIT_AGE_MAX), Ok(()));
        let late = commits.health(last + Duration::from_secs(45)).unwrap_err();
        assert_eq!(late, "the history was last written 45 s ago");
        commits.failing = Some("disk full".to_owned());
        assert_eq!(commits.health(last), Err("disk full".to_owned()));
    }
}
