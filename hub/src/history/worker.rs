//! The thread that writes the history, so that a slow disk delays nobody but the acknowledgements.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Batch;
use super::store::{Store, StoreError};

/// Time to wait before a batch that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How often old rows are removed.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

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
    /// A batch is being written, or tried again.
    busy: AtomicBool,
    stop: AtomicBool,
}

impl Worker {
    /// Starts the thread for a store of at most `bytes_max`.
    pub fn start(store: Store, path: &Path, bytes_max: u64) -> Result<Self, StoreError> {
        // At most one batch is under way: `busy` sees to that.
        let (orders, batches) = sync_channel(1);
        let shared = Arc::new(Shared {
            durable: watch::Sender::new(0),
            bytes: AtomicU64::new(store.bytes()),
            commit_us: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || write(store, &batches, bytes_max, &of_thread))?;
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

    /// Writes what was handed over and ends the thread.
    pub fn finish(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(mut store: Store, batches: &Receiver<Batch>, bytes_max: u64, shared: &Shared) {
    let mut tidied = Instant::now();
    while let Ok(batch) = batches.recv() {
        let start = Instant::now();
        let mut failing = false;
        while let Err(error) = store.commit(&batch) {
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
        shared.durable.send_replace(batch.generation);
        shared.busy.store(false, Ordering::Release);
        if tidied.elapsed() >= TIDY_INTERVAL {
            tidied = Instant::now();
            if let Err(error) = store.tidy(batch.horizon, bytes_max) {
                tracing::warn!("old rows cannot be removed: {error}");
            }
        }
        shared.bytes.store(store.bytes(), Ordering::Relaxed);
    }
}
