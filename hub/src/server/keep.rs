//! Between the fleet and its history: what is taken back at the start, and what is handed over since.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sysmon_wire::UnixMs;

use super::{HistoryOptions, Hub, now};
use crate::fleet::Fleet;
use crate::history::Limits;
use crate::history::store::{Reader, Store, StoreError};
use crate::history::worker::Worker;
use crate::own;

/// When in a second the history gets what changed. Agents sample on whole seconds, so on a LAN their rows are
/// here by the first; and QUIC confirms a packet within 25 ms, so that one packet does for both. Rows from
/// further away, and those of a fleet of thousands, are here by the second, which is left out if there are none.
const KEEP_AT_MS: [i64; 2] = [15, 300];

/// Less than this before its time, a timer that fires early makes two of one.
const EARLY_MS: i64 = 5;

/// How long a hub that stops waits for its disk.
const FINISH_MAX: Duration = Duration::from_secs(5);

impl Hub {
    /// Whether the history is written, at `now`; if not, why. Without a history all is well.
    pub(super) fn health(&self, now: Instant) -> Result<(), String> {
        let Some(history) = &self.history else {
            return Ok(());
        };
        let worker = history.lock().unwrap_or_else(PoisonError::into_inner);
        worker.health(now)
    }

    /// Bytes of history on disk, and microseconds of the last commit.
    pub(super) fn history_figures(&self) -> (u64, u64) {
        let worker = |history: &Mutex<Worker>| {
            history
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .figures()
        };
        self.history.as_ref().map_or((0, 0), worker)
    }

    /// Has the history keep so much from now on.
    pub(super) fn set_history_limits(&self, limits: Option<Limits>) {
        if let (Some(history), Some(limits)) = (&self.history, limits) {
            history
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .set_limits(limits);
        }
    }

    /// How much of the past there is; without a history all that is in memory, as rows.
    pub(super) fn history_limits(&self) -> Limits {
        let all = Limits {
            bytes: 0,
            rows: Duration::MAX,
            minutes: Duration::MAX,
            hours: Duration::MAX,
        };
        self.history.as_ref().map_or(all, |worker| {
            worker
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .limits()
        })
    }

    /// Where the history is, if there is one.
    pub(super) fn history_path(&self) -> Option<PathBuf> {
        let worker = self.history.as_ref()?.lock();
        Some(
            worker
                .unwrap_or_else(PoisonError::into_inner)
                .path()
                .to_owned(),
        )
    }

    /// Hands the history what changed, if it has written what it was given before; whether it took it, or
    /// nothing changed.
    fn keep(&self) -> bool {
        if *self.durable.borrow() == self.fleet().generation() {
            return true;
        }
        let Some(history) = &self.history else {
            let generation = self.fleet().generation();
            self.durable_at_once.send_replace(generation);
            return true;
        };
        let worker = history.lock().unwrap_or_else(PoisonError::into_inner);
        worker.offer(|| self.fleet().take_batch(now()))
    }
}

/// Opens the history and takes back what it knows; its sealed rows follow later.
pub(super) fn open_history(
    options: &HistoryOptions,
    fleet: &mut Fleet,
) -> Result<Worker, StoreError> {
    let mut store = Store::open(&options.path)?;
    fleet.record();
    let kept = store.load()?;
    let known = kept.iter().filter(|host| !own::is_own(&host.name)).count();
    if known > 0 {
        tracing::info!("{known} hosts are known from {}", options.path.display());
    }
    kept.into_iter().for_each(|host| fleet.restore(host));
    store
        .events()?
        .into_iter()
        .for_each(|event| fleet.restore_event(event));
    Worker::start(store, &options.path, options.limits)
}

/// Takes back sealed rows on a thread of its own, the newest first, as far as there is memory for them.
pub(super) fn restore_chunks(hub: &Arc<Hub>) {
    let Some(path) = hub.history_path() else {
        return;
    };
    let hub = Arc::clone(hub);
    let restore = move || {
        let reader = Reader::open(&path)?;
        let mut restored_from = UnixMs(i64::MIN);
        let horizon = hub.fleet().horizon(now());
        for place in reader.newest_first(horizon)? {
            let Some((name, chunk)) = reader.read(place)? else {
                continue;
            };
            let mut fleet = hub.fleet();
            if !fleet.restore_chunk(&name, chunk) {
                tracing::info!(
                    "the memory limit leaves no room for older rows: they are read from disk when asked for"
                );
                restored_from = place.last + 1;
                break;
            }
            let generation = fleet.generation();
            drop(fleet);
            hub.announce(generation);
        }
        hub.fleet().set_restored_from(restored_from);
        Ok::<(), StoreError>(())
    };
    let spawned = std::thread::Builder::new()
        .name("restore".to_owned())
        .spawn(move || {
            if let Err(error) = restore() {
                tracing::error!("older rows cannot be read: {error}");
            }
        });
    if let Err(error) = spawned {
        tracing::error!("older rows are not read: {error}");
    }
}

/// Hands the history what changed, again and again.
pub(super) async fn keep(hub: &Hub) {
    loop {
        tokio::time::sleep(until_keep(now())).await;
        hub.keep();
    }
}

/// Time until the history gets what changed next.
fn until_keep(now: UnixMs) -> Duration {
    let second = (now + EARLY_MS).floor(1_000);
    let [early, late] = KEEP_AT_MS;
    let next = [early, late, early + 1_000]
        .into_iter()
        .map(|at| second + at - now)
        .find(|wait| *wait > EARLY_MS);
    Duration::from_millis(next.map_or(1_000, i64::unsigned_abs))
}

/// Hands the history the last changes, and waits for them to be written.
pub(super) async fn finish(hub: &Hub) {
    let Some(history) = &hub.history else { return };
    let end = Instant::now() + FINISH_MAX;
    while !hub.keep() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    history
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .finish();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_gets_what_changed_a_little_after_the_whole_second_and_once_more() {
        let wait = |now| until_keep(UnixMs(now)).as_millis() as i64;
        assert_eq!(wait(5_000), 15);
        assert_eq!(wait(5_015), 285);
        assert_eq!(wait(5_300), 715);
        // A timer that fired early, and one that fired late.
        assert_eq!(wait(5_012), 288);
        assert_eq!(wait(5_297), 718);
        assert_eq!(wait(5_303), 712);
        for now in 5_000..7_000 {
            let then = (now + wait(now)) % 1_000;
            assert!(KEEP_AT_MS.contains(&then), "{now} {then}");
            assert!((EARLY_MS + 1..=720).contains(&wait(now)));
        }
    }
}
