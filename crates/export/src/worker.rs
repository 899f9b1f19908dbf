//! The thread of a destination: compares what it has with what is committed, and sends what is missing.

mod cursor_file;
mod status;
mod turn;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sysmon_clock::{Clock, Random};
use sysmon_wire::UnixMs;

use crate::{Engine, Source};

pub use cursor_file::CursorFile;
pub use status::{State, Status};
use turn::Turns;

/// Orders that wait.
const ORDERS_MAX: usize = 8;

/// What a thread is started with.
#[derive(Debug)]
pub struct WorkerOptions {
    /// The destination's name.
    pub name: String,
    /// Where its cursor is stored, or would be if the engine did not store it.
    pub cursor: PathBuf,
    /// Rows are aggregated to this.
    pub every: Option<Duration>,
    /// Time.
    pub clock: Clock,
    /// Jitter.
    pub random: Random,
}

#[derive(Debug)]
enum Order {
    Pause,
    Resume,
    Backfill(UnixMs),
    Stop,
}

/// A running destination.
#[derive(Debug)]
pub struct Exporter {
    orders: SyncSender<Order>,
    status: Arc<Mutex<Status>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Exporter {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        options: WorkerOptions,
        engine: Box<dyn Engine>,
        source: Box<dyn Source>,
    ) -> std::io::Result<Self> {
        let (orders, received) = sync_channel(ORDERS_MAX);
        let status = Arc::new(Mutex::new(Status::default()));
        let shown = Arc::clone(&status);
        let name: String = format!("export {}", options.name)
            .chars()
            .take(15)
            .collect();
        let mut turns = Turns::new(options, engine, source, shown);
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || run(&mut turns, &received))?;
        Ok(Self {
            orders,
            status,
            thread: Some(thread),
        })
    }

    /// What it does now, and has done since it was started.
    pub fn status(&self) -> Status {
        lock(&self.status).clone()
    }

    /// Sends nothing until [`Exporter::resume`], over restarts too.
    pub fn pause(&self) {
        self.order(Order::Pause);
    }

    /// Sends what was missed since [`Exporter::pause`].
    pub fn resume(&self) {
        self.order(Order::Resume);
    }

    /// Sends the past from a moment on, or what the history has of it.
    pub fn backfill(&self, from: UnixMs) {
        self.order(Order::Backfill(from));
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::error!("a destination's thread has ended: restart the hub");
        }
    }

    /// Ends the thread after the request under way, for which it waits no longer than `max`.
    pub fn stop(&mut self, clock: &Clock, max: Duration) {
        let _ = self.orders.try_send(Order::Stop);
        let end = clock.instant() + max;
        let Some(thread) = self.thread.take() else {
            return;
        };
        while !thread.is_finished() && clock.instant() < end {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(turns: &mut Turns, orders: &Receiver<Order>) {
    lower_priority();
    loop {
        let wait = turns.turn();
        match orders.recv_timeout(wait) {
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return turns.finish(),
            Ok(Order::Pause) => turns.set_paused(true),
            Ok(Order::Resume) => turns.set_paused(false),
            Ok(Order::Backfill(from)) => turns.backfill(from),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Filling an engine from the past may use every idle processor, but no other.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    // On Linux this sets the calling thread's alone. It may not be permitted, and is not needed.
    let _ = rustix::process::setpriority_process(None, 10);
}
