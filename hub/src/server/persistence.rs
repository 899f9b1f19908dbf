//! Between the core and its history: restoring it at the start, and committing what changes since.

use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use sysmon_alerts::HostId;
use sysmon_client::hub_figures;
use sysmon_clock::Clock;
use sysmon_store::Limits;
use sysmon_store::store::{Reader, Store, StoreError, damaged_copies, mark_damaged};
use sysmon_store::worker::Worker;
use sysmon_wire::timeline::{Event, EventKind};
use sysmon_wire::{Label, UnixMs};

use super::{HistoryOptions, Hub};
use crate::core::Core;
use crate::lock;

/// When in a second changes are committed. Agents sample on whole seconds, so on a LAN their rows are here by the
/// first; and QUIC confirms a packet within 25 ms, so one packet carries both acknowledgements. Rows from further
/// away, and those of a fleet of thousands, are here by the second, which is skipped if nothing changed.
const COMMIT_AT_MS: [i64; 2] = [15, 300];

/// A timer that fires up to this much early does not commit twice.
const EARLY_MS: i64 = 5;

/// Time before the start for which rules are evaluated again, and how long that may take.
const RECALL_MS: i64 = 3_600_000;
const RECALL_MAX: Duration = Duration::from_secs(2);

const FINISH_MAX: Duration = Duration::from_secs(5);

impl Hub {
    /// Completes once the history turns out to be damaged.
    pub(super) async fn history_damaged(&self) {
        let damaged = self.worker().map(|worker| worker.damaged());
        if let Some(mut damaged) = damaged
            && damaged.wait_for(|is| *is).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    /// Hosts that have nothing in the history; none without a history.
    pub(super) fn emptied_hosts(&self) -> Option<Vec<Label>> {
        self.worker().map(|worker| worker.take_emptied())
    }

    /// Whether the history was damaged at the start.
    pub fn is_history_recovered(&self) -> bool {
        self.worker().is_some_and(|worker| worker.is_recovered())
    }

    /// Notes an error of a reader: opening the history again repairs damage.
    pub(super) fn note_history_error(&self, error: &StoreError) {
        if let Some(worker) = self.worker() {
            worker.note_error(error);
        }
    }

    /// Damaged histories that were moved aside.
    pub(super) fn damaged_histories(&self) -> u32 {
        self.history_path().map_or(0, |path| damaged_copies(&path))
    }

    fn worker(&self) -> Option<MutexGuard<'_, Worker>> {
        self.history.as_ref().map(lock)
    }

    pub(super) fn health(&self) -> Result<(), String> {
        let now = self.clock.instant();
        self.worker().map_or(Ok(()), |worker| {
            worker.health(now).map_err(|error| error.to_string())
        })
    }

    /// Bytes of history on disk, and the duration of the last commit in microseconds.
    pub(super) fn history_figures(&self) -> (u64, u64) {
        self.worker().map_or((0, 0), |worker| worker.figures())
    }

    pub(super) fn set_history_limits(&self, limits: Option<Limits>) {
        if let (Some(worker), Some(limits)) = (self.worker(), limits) {
            worker.set_limits(limits);
        }
    }

    /// How much of the past there is; without a history everything in memory, as rows.
    pub(super) fn history_limits(&self) -> Limits {
        let all = Limits {
            bytes: 0,
            rows: Duration::MAX,
            minutes: Duration::MAX,
            hours: Duration::MAX,
        };
        self.worker().map_or(all, |worker| worker.limits())
    }

    pub(super) fn history_path(&self) -> Option<PathBuf> {
        Some(self.worker()?.path().to_owned())
    }

    /// Hands what changed to the history unless it still writes the batch before; true if nothing is left.
    fn commit(&self) -> bool {
        let generation = self.core().fleet.generation();
        if *self.durable.borrow() == generation {
            return true;
        }
        let Some(worker) = self.worker() else {
            self.durable_at_once.send_replace(generation);
            return true;
        };
        worker.offer(|| self.core().take_batch(self.now()))
    }
}

/// Opens the history and restores hosts and unsealed rows; chunks follow in the background.
pub(super) fn open(
    options: &HistoryOptions,
    name: &str,
    core: &mut Core,
    clock: &Clock,
) -> Result<Worker, StoreError> {
    let mut store = Store::open(&options.path)?;
    core.track_unsaved();
    for host in store.load()? {
        core.restore(host);
    }
    let hosts = core.fleet.machines().count();
    if hosts > 0 {
        tracing::info!(hosts, path = %options.path.display(), "history restored");
    }
    for event in store.events()? {
        core.events.restore(event);
    }
    if let Some(recovery) = store.recovery() {
        let text = format!(
            "history damaged: {} rows recovered, {} hosts begin anew",
            recovery.rows, recovery.hosts_lost
        );
        core.events.push(Event {
            time: clock.now(),
            host: hub_figures::host_name(name),
            kind: EventKind::HistoryRecovered,
            text: Label::new(&text),
        });
    }
    recall(&options.path, core, clock);
    Worker::start(store, &options.path, options.limits, clock.clone())
}

/// Evaluates the rules for the last hour, so that conditions that were true go on being true; for as many hosts
/// as there is time for.
fn recall(path: &Path, core: &mut Core, clock: &Clock) {
    let now = clock.now();
    let (end, from) = (clock.instant() + RECALL_MAX, now - RECALL_MS);
    let ids: Vec<HostId> = core.fleet.machines().map(|(id, _)| id).collect();
    let recalled = Reader::open(path).and_then(|reader| {
        for (at, id) in ids.iter().enumerate() {
            if clock.instant() >= end {
                let hosts = ids.len() - at;
                tracing::info!(hosts, "no time to evaluate the last hour of these hosts");
                break;
            }
            let Some(name) = core.fleet.host(*id).map(|host| host.name.clone()) else {
                continue;
            };
            for place in reader.between(&name, from, now)? {
                if let Some((name, chunk)) = reader.read(place)? {
                    core.fleet.restore_chunk(&name, chunk);
                }
            }
            core.recall(*id, from)?;
        }
        Ok(())
    });
    if let Err(error) = recalled {
        if error.is_damage() {
            // Recovered by the next start; what is readable serves until then.
            mark_damaged(path, &error.to_string());
        }
        tracing::warn!(%error, "cannot evaluate the last hour: rules start without it");
    }
}

/// Restores chunks on a thread of its own, the newest first, as far as the memory budget allows.
pub(super) fn restore_chunks(hub: &Arc<Hub>) {
    let Some(path) = hub.history_path() else {
        return;
    };
    let hub = Arc::clone(hub);
    let restore = move |hub: &Hub| {
        let reader = Reader::open(&path)?;
        let mut restored_from = UnixMs(i64::MIN);
        let horizon = hub.core().fleet.horizon(hub.now());
        for place in reader.newest_first(horizon)? {
            let Some((name, chunk)) = reader.read(place)? else {
                continue;
            };
            if !hub.update(|core| core.fleet.restore_chunk(&name, chunk)) {
                tracing::info!(
                    "memory limit reached: older rows are read from disk when requested"
                );
                restored_from = place.last + 1;
                break;
            }
        }
        hub.update(|core| core.fleet.set_restored_from(restored_from));
        Ok::<(), StoreError>(())
    };
    let thread = std::thread::Builder::new().name("restore".to_owned());
    let spawned = thread.spawn(move || {
        if let Err(error) = restore(&hub) {
            hub.note_history_error(&error);
            tracing::error!(%error, "cannot restore older rows");
        }
    });
    if let Err(error) = spawned {
        tracing::error!(%error, "cannot restore older rows");
    }
}

/// Commits what changed at the moments of [`COMMIT_AT_MS`], for as long as the hub runs.
pub(super) async fn commit_every_second(hub: &Hub) {
    loop {
        tokio::time::sleep(until_commit(hub.now())).await;
        hub.commit();
    }
}

fn until_commit(now: UnixMs) -> Duration {
    let second = (now + EARLY_MS).floor(1_000);
    let [early, late] = COMMIT_AT_MS;
    let next = [early, late, early + 1_000]
        .into_iter()
        .map(|at| second + at - now)
        .find(|wait| *wait > EARLY_MS);
    Duration::from_millis(next.map_or(1_000, i64::unsigned_abs))
}

pub(super) async fn finish(hub: &Hub) {
    let end = hub.clock.instant() + FINISH_MAX;
    let is_damaged = || {
        hub.worker()
            .is_some_and(|worker| *worker.damaged().borrow())
    };
    while !is_damaged() && !hub.commit() && hub.clock.instant() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    if let Some(mut worker) = hub.worker() {
        worker.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tests::{core, host_with_cpu, row};
    use sysmon_alerts::Alert;
    use sysmon_clock::ManualTime;
    use sysmon_wire::message::RunId;

    const BEGIN: i64 = 1_700_000_000_000;

    /// Applies one row for each of `seconds`; returns the transitions with the second of their row.
    fn take(
        core: &mut Core,
        seconds: std::ops::Range<i64>,
        cpu: impl Fn(i64) -> i64,
    ) -> Vec<(i64, String, bool)> {
        let id = core.fleet.find("a").unwrap();
        let mut told = Vec::new();
        for second in seconds {
            let at = UnixMs(BEGIN + second * 1_000);
            core.apply(id, RunId(7), &row(second as u64 + 1, at.0, cpu(second)), at)
                .unwrap();
            let transitions = core.take_transitions().into_iter();
            told.extend(transitions.map(|t| (second, t.alert.rule, t.firing)));
        }
        told
    }

    fn watch(core: &mut Core, firing: Vec<Alert>) {
        let rules = [
            "long: cpu > 90% for 10m",
            "short: cpu > 50% for 1m clear 20%",
        ];
        core.set_rules(rules.map(|rule| rule.parse().unwrap()).to_vec(), firing);
    }

    /// The hub started anew with what was on disk then.
    fn started_anew(store: Store, path: &Path, firing: Vec<Alert>, second: i64) -> Core {
        drop(store);
        let mut core = core();
        watch(&mut core, firing);
        core.track_unsaved();
        let mut store = Store::open(path).unwrap();
        store
            .load()
            .unwrap()
            .into_iter()
            .for_each(|host| core.restore(host));
        let time = ManualTime::new(UnixMs(BEGIN + second * 1_000));
        recall(path, &mut core, &time.clock());
        core
    }

    /// When which rule began to fire, or was over.
    fn said(told: &[(i64, String, bool)]) -> Vec<(i64, &str, bool)> {
        let said = told.iter();
        said.map(|(at, rule, firing)| (*at, rule.as_str(), *firing))
            .collect()
    }

    #[test]
    fn conditions_go_on_over_a_restart_and_no_transition_is_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        let mut before = core();
        watch(&mut before, Vec::new());
        before.track_unsaved();
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
        let firing: Vec<Alert> = before.engine.firing().cloned().collect();
        let mut after = started_anew(store, &path, firing, 905);
        assert!(
            after.take_transitions().is_empty(),
            "no transition of the past is sent"
        );
        let told = take(&mut after, 905..1_300, cpu);
        assert_eq!(said(&told), [(1_200, "long", true), (1_250, "long", false)]);
    }

    #[test]
    fn an_alert_that_began_right_before_a_crash_is_sent_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        let mut before = core();
        watch(&mut before, Vec::new());
        before.track_unsaved();
        host_with_cpu(&mut before, "a");
        let mut store = Store::open(&path).unwrap();
        take(&mut before, 0..300, |_| 800);
        store
            .commit(&before.take_batch(UnixMs(BEGIN + 300_000)))
            .unwrap();
        let mut after = started_anew(store, &path, Vec::new(), 310);
        let news = after.take_transitions();
        assert_eq!((news.len(), news[0].alert.since), (1, UnixMs(BEGIN)));
    }

    #[test]
    fn changes_are_committed_twice_in_each_second() {
        let wait = |now| until_commit(UnixMs(now)).as_millis() as i64;
        assert_eq!(wait(5_000), 15);
        assert_eq!(wait(5_015), 285);
        assert_eq!(wait(5_300), 715);
        // A timer that fired early, and one that fired late.
        assert_eq!(wait(5_012), 288);
        assert_eq!(wait(5_297), 718);
        assert_eq!(wait(5_303), 712);
        for now in 5_000..7_000 {
            let then = (now + wait(now)) % 1_000;
            assert!(COMMIT_AT_MS.contains(&then), "{now} {then}");
            assert!((EARLY_MS + 1..=720).contains(&wait(now)));
        }
    }
}
