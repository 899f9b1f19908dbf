//! Between the fleet and its history: what is taken back at the start, and what is handed over since.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sysmon_wire::UnixMs;

use super::{HistoryOptions, Hub, now};
use crate::fleet::{Fleet, HostId};
use crate::own;
use sysmon_clock::Clock;
use sysmon_store::Limits;
use sysmon_store::store::{Reader, Store, StoreError};
use sysmon_store::worker::Worker;

/// When in a second the history gets what changed. Agents sample on whole seconds, so on a LAN their rows are
/// here by the first; and QUIC confirms a packet within 25 ms, so that one packet does for both. Rows from
/// further away, and those of a fleet of thousands, are here by the second, which is left out if there are none.
const KEEP_AT_MS: [i64; 2] = [15, 300];

/// Less than this before its time, a timer that fires early makes two of one.
const EARLY_MS: i64 = 5;

/// Time of the past that rules look at when the hub starts, and how long that may take.
const RECALL_MS: i64 = 3_600_000;
const RECALL_MAX: Duration = Duration::from_secs(2);

/// How long a hub that stops waits for its disk.
const FINISH_MAX: Duration = Duration::from_secs(5);

impl Hub {
    /// Whether the history is written, at `now`; if not, why. Without a history all is well.
    pub(super) fn health(&self, now: Instant) -> Result<(), String> {
        let Some(history) = &self.history else {
            return Ok(());
        };
        let worker = history.lock().unwrap_or_else(PoisonError::into_inner);
        worker.health(now).map_err(|error| error.to_string())
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
    recall(&options.path, fleet, now());
    Worker::start(store, &options.path, options.limits, Clock::system())
}

/// Has the rules look at the last hour, so that what has begun to be bad goes on being so; at as many hosts as
/// there is time for.
fn recall(path: &Path, fleet: &mut Fleet, now: UnixMs) {
    let (end, from) = (Instant::now() + RECALL_MAX, now - RECALL_MS);
    let ids: Vec<HostId> = fleet.watched_hosts().map(|(id, _)| id).collect();
    let recalled = Reader::open(path).and_then(|reader| {
        for (at, id) in ids.iter().enumerate() {
            if Instant::now() >= end {
                tracing::info!("rules look at {} hosts as if they were new", ids.len() - at);
                break;
            }
            let Some(name) = fleet.host(*id).map(|host| host.name.clone()) else {
                continue;
            };
            for place in reader.between(&name, from, now)? {
                if let Some((name, chunk)) = reader.read(place)? {
                    fleet.restore_chunk(&name, chunk);
                }
            }
            fleet.recall(*id, from)?;
        }
        Ok(())
    });
    if let Err(error) = recalled {
        tracing::warn!("rules begin anew: {error}");
    }
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
    use crate::fleet::tests::{fleet, host_with_cpu, row};
    use sysmon_alerts::Alert;
    use sysmon_wire::message::RunId;

    const BEGIN: i64 = 1_700_000_000_000;

    /// Rows of a second each, from one second to before another; what is told, with the second of its row.
    fn take(
        fleet: &mut Fleet,
        seconds: std::ops::Range<i64>,
        cpu: impl Fn(i64) -> i64,
    ) -> Vec<(i64, String, bool)> {
        let id = fleet.find("a").unwrap();
        let mut told = Vec::new();
        for second in seconds {
            let at = UnixMs(BEGIN + second * 1_000);
            fleet
                .apply(id, RunId(7), &row(second as u64 + 1, at.0, cpu(second)), at)
                .unwrap();
            let news = fleet.take_news().into_iter();
            told.extend(news.map(|t| (second, t.alert.rule, t.firing)));
        }
        told
    }

    fn watch(fleet: &mut Fleet, firing: Vec<Alert>) {
        let rules = [
            "long: cpu > 90% for 10m",
            "short: cpu > 50% for 1m clear 20%",
        ];
        fleet.watch(rules.map(|rule| rule.parse().unwrap()).to_vec(), firing);
    }

    /// The hub started anew with what was on disk then.
    fn started_anew(store: Store, path: &Path, firing: Vec<Alert>, second: i64) -> Fleet {
        drop(store);
        let mut fleet = fleet();
        watch(&mut fleet, firing);
        fleet.record();
        let mut store = Store::open(path).unwrap();
        store
            .load()
            .unwrap()
            .into_iter()
            .for_each(|host| fleet.restore(host));
        recall(path, &mut fleet, UnixMs(BEGIN + second * 1_000));
        fleet
    }

    /// When which rule began to fire, or was over.
    fn said(told: &[(i64, String, bool)]) -> Vec<(i64, &str, bool)> {
        let said = told.iter();
        said.map(|(at, rule, firing)| (*at, rule.as_str(), *firing))
            .collect()
    }

    #[test]
    fn what_has_begun_to_be_bad_goes_on_over_a_restart_and_nobody_is_told_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        let mut before = fleet();
        watch(&mut before, Vec::new());
        before.record();
        host_with_cpu(&mut before, "a");
        let mut store = Store::open(&path).unwrap();
        // Bad for two minutes, good, and bad again for five; then in between, which is good for none.
        let cpu = |second: i64| match second {
            0..120 | 600..1_250 => 950,
            1_250.. => 300,
            _ => 100,
        };
        let told = take(&mut before, 0..900, cpu);
        assert_eq!(
            said(&told),
            [
                (60, "short", true),
                (120, "short", false),
                (660, "short", true)
            ]
        );
        store
            .commit(&before.take_batch(UnixMs(BEGIN + 900_000)))
            .unwrap();
        let firing: Vec<Alert> = before.firing().cloned().collect();
        let mut after = started_anew(store, &path, firing, 905);
        assert!(after.take_news().is_empty(), "of the past nothing is told");
        let told = take(&mut after, 905..1_300, cpu);
        assert_eq!(said(&told), [(1_200, "long", true), (1_250, "long", false)]);
    }

    #[test]
    fn what_fired_in_a_moment_that_the_hub_did_not_survive_is_told_at_its_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        let mut before = fleet();
        watch(&mut before, Vec::new());
        before.record();
        host_with_cpu(&mut before, "a");
        let mut store = Store::open(&path).unwrap();
        take(&mut before, 0..300, |_| 800);
        store
            .commit(&before.take_batch(UnixMs(BEGIN + 300_000)))
            .unwrap();
        let mut after = started_anew(store, &path, Vec::new(), 310);
        let news = after.take_news();
        assert_eq!((news.len(), news[0].alert.since), (1, UnixMs(BEGIN)));
    }

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
