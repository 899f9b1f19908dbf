//! What the store gives back of what a core had.

mod forgotten;
mod formats;
mod series;

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use sysmon_store::store::{Reader, Store};
use sysmon_store::{Limits, Tier};
use sysmon_wire::UnixMs;
use sysmon_wire::message::{Blob, Lane, Push, RunId};
use sysmon_wire::metrics::{CPU_UTILIZATION, TEMPERATURE};
use sysmon_wire::{ABSENT, RowEncoder, SeriesKey, SeriesTable};

use crate::core::Core;
use crate::core::tests::{core, host_with_cpu, row};
use crate::ingest::RowStream;

fn now() -> UnixMs {
    UnixMs(10_000_000)
}

#[test]
fn what_was_committed_is_there_again_and_repeated_rows_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let mut core = core();
    core.track_unsaved();
    let id = host_with_cpu(&mut core, "a");
    let mut store = Store::open(&path).unwrap();
    for seq in 1..=1500 {
        let time = now().0 - 1_500_000 + seq * 1000;
        core.apply(id, RunId(7), &row(seq as u64, time, seq % 11), now())
            .unwrap();
        if seq % 100 == 0 {
            store.commit(&core.take_batch(now())).unwrap();
        }
    }
    // One late row, and one that is not committed.
    core.apply(id, RunId(7), &row(1501, 9_000_500, 3), now())
        .unwrap();
    store.commit(&core.take_batch(now())).unwrap();
    core.apply(id, RunId(7), &row(1502, 9_999_999, 3), now())
        .unwrap();
    drop(store);

    let mut store = Store::open(&path).unwrap();
    let mut again = crate::core::tests::core();
    again.track_unsaved();
    for host in store.load().unwrap() {
        again.restore(host);
    }
    let reader = Reader::open(&path).unwrap();
    for place in reader.newest_first(UnixMs(0)).unwrap() {
        let (name, chunk) = reader.read(place).unwrap().unwrap();
        again.fleet.restore_chunk(&name, chunk);
    }
    let id = again.fleet.find("a").unwrap();
    let health = again.fleet.host(id).unwrap().health();
    assert_eq!((health.rows, health.missing_rows), (1501, 0));
    let read = |core: &Core| {
        let ring = &core.fleet.host(core.fleet.find("a").unwrap()).unwrap().ring;
        ring.read(&[0], UnixMs(0), UnixMs(9_999_000)).unwrap()
    };
    let (was, is) = (read(&core), read(&again));
    assert_eq!(is.times.len(), 1500);
    assert_eq!(was.times[..1499], is.times[..1499]);
    assert_eq!(was.columns[0][..1400], is.columns[0][..1400]);
    assert!(
        again.take_batch(now()).hosts.is_empty(),
        "nothing changed yet"
    );
    let applied = again
        .apply(id, RunId(7), &row(700, 9_200_000, 5), now())
        .unwrap();
    assert_eq!(applied, crate::fleet::Appended::Duplicate);
    let applied = again
        .apply(id, RunId(7), &row(1502, 9_999_999, 3), now())
        .unwrap();
    assert!(applied.is_stored());
    store.commit(&again.take_batch(now())).unwrap();
    let runs = store.load().unwrap().remove(0).runs;
    assert_eq!(runs[0].1.ranges(), [(1, 1502)]);
}

#[test]
fn a_damaged_file_is_set_aside_and_the_hub_starts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    fs::write(
        &path,
        "this is no database, but it is long enough to be looked at as one".repeat(40),
    )
    .unwrap();
    let mut store = Store::open(&path).unwrap();
    assert!(store.load().unwrap().is_empty());
    assert!(path.with_extension("damaged-1").exists());
}

const HOUR_MS: i64 = 3_600_000;

fn limits(bytes: u64, rows_ms: i64) -> Limits {
    Limits {
        bytes,
        rows: Duration::from_millis(rows_ms.unsigned_abs()),
        minutes: Duration::from_hours(24 * 30),
        hours: Duration::from_hours(24 * 730),
    }
}

/// A store with a host that tells a row every ten seconds for so many hours up to now.
fn filled(path: &Path, hours: i64, now: UnixMs) -> (Store, Core) {
    let mut core = Core::new(crate::fleet::FleetOptions {
        retention: Duration::from_hours(24 * 9),
        ..crate::core::tests::options()
    });
    core.track_unsaved();
    let id = host_with_cpu(&mut core, "a");
    let store = Store::open(path).unwrap();
    let rows = hours * 360;
    for seq in 1..=rows {
        let time = now.0 - (rows - seq) * 10_000;
        let row = row(seq as u64, time, (seq * seq * 7919) % 100_003);
        core.apply(id, RunId(7), &row, UnixMs(time)).unwrap();
    }
    (store, core)
}

#[test]
fn what_is_old_or_too_much_is_removed_and_a_backup_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let now = UnixMs(1_000 * HOUR_MS);
    let (mut store, mut core) = filled(&path, 20, now);
    store.commit(&core.take_batch(now)).unwrap();
    let chunks = |path: &Path| {
        let reader = Reader::open(path).unwrap();
        reader.newest_first(UnixMs(0)).unwrap().len()
    };
    assert_eq!(chunks(&path), 14);
    let copy = dir.path().join("copy.db");
    Store::backup(&path, &copy, |_, _| {}).unwrap();
    store.tidy(now, &limits(u64::MAX, 8 * HOUR_MS)).unwrap();
    assert_eq!(chunks(&path), 14, "what is not summed up yet stays");
    while store.roll_up(now).unwrap() {}
    store.tidy(now, &limits(u64::MAX, 8 * HOUR_MS)).unwrap();
    assert_eq!(
        chunks(&path),
        6,
        "those that end before the horizon are gone"
    );
    while store.roll_up(now).unwrap() {}
    store.tidy(now, &limits(0, 8 * HOUR_MS)).unwrap();
    assert_eq!(chunks(&path), 0);
    let reader = Reader::open(&path).unwrap();
    let host = "a".into();
    let hours = reader.covered(Some(&host), Tier::Hour, (UnixMs(0), now), 1);
    assert_eq!(hours.unwrap(), []);
    assert!(store.bytes() > 0);
    assert_eq!(chunks(&copy), 14);
}

#[test]
fn rows_become_minutes_and_hours_and_late_ones_are_added() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let now = UnixMs(1_000 * HOUR_MS);
    let (mut store, mut core) = filled(&path, 30, now);
    store.commit(&core.take_batch(now)).unwrap();
    while store.roll_up(now).unwrap() {}
    let count = |tier: Tier| -> (i64, usize) {
        let reader = Reader::open(&path).unwrap();
        let chunks = reader
            .buckets(
                &"a".into(),
                tier,
                &[CPU_UTILIZATION.series(&[])],
                UnixMs(0),
                now,
            )
            .unwrap();
        let counts: Vec<i64> = chunks
            .of(0)
            .flat_map(|(chunk, _)| {
                let mut counts = Vec::new();
                chunk.values(0, &mut counts).unwrap();
                counts
            })
            .collect();
        (counts.iter().sum(), counts.len())
    };
    // Up to 998 h: the head holds what came after that.
    let (rows, minutes, hours) = (28 * 360 - 1, 28 * 60, 28);
    assert_eq!(count(Tier::Minute), (rows, minutes));
    assert_eq!(count(Tier::Hour), (rows, hours));
    // A late row in the middle, and what was summed up there is summed up again.
    let id = core.fleet.find("a").unwrap();
    let late = row(900_000, now.0 - 20 * HOUR_MS + 5_000, 7);
    core.apply(id, RunId(8), &late, now).unwrap();
    core.fleet.settle(now);
    core.fleet.settle(now);
    store.commit(&core.take_batch(now)).unwrap();
    while store.roll_up(now).unwrap() {}
    assert_eq!(count(Tier::Minute), (rows + 1, minutes));
    assert_eq!(count(Tier::Hour), (rows + 1, hours));
    // Nothing is lost when the store is opened again, and nothing done twice.
    drop(store);
    let mut store = Store::open(&path).unwrap();
    store.load().unwrap();
    while store.roll_up(now).unwrap() {}
    assert_eq!(count(Tier::Hour), (rows + 1, hours));
}

#[test]
fn the_log_stays_short_and_what_was_not_sealed_is_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let mut core = core();
    core.track_unsaved();
    let mut store = Store::open(&path).unwrap();
    let busy = host_with_cpu(&mut core, "busy");
    let idle = host_with_cpu(&mut core, "idle");
    let now = UnixMs(1_000 * HOUR_MS);
    for seq in 1..=2_000i64 {
        let at = now + seq * 1000;
        core.apply(busy, RunId(1), &row(seq as u64, at.0, seq % 7), at)
            .unwrap();
        if seq % 300 == 0 {
            core.apply(idle, RunId(2), &row(seq as u64, at.0, seq), at)
                .unwrap();
        }
        store.commit(&core.take_batch(at)).unwrap();
    }
    let parts: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT COUNT(*) FROM log", [], |row| row.get(0))
        .unwrap();
    assert!((590..=602).contains(&parts), "{parts}");
    drop(store);
    let mut store = Store::open(&path).unwrap();
    let told: Vec<_> = store.events().unwrap();
    assert_eq!(told.len(), 2, "that both joined: {told:?}");
    let kept = store.load().unwrap();
    let mut again = crate::core::tests::core();
    kept.into_iter().for_each(|host| again.restore(host));
    for name in ["busy", "idle"] {
        let host = again.fleet.host(again.fleet.find(name).unwrap()).unwrap();
        let was = core.fleet.host(core.fleet.find(name).unwrap()).unwrap();
        let oldest = was.ring.oldest_unsealed();
        assert_eq!(host.ring.oldest_unsealed(), oldest);
        let read = |ring: &sysmon_series::Ring| ring.read(&[0], oldest.unwrap(), now + 9_999_000);
        assert_eq!(read(&host.ring).unwrap(), read(&was.ring).unwrap());
        assert_eq!(host.health().missing_rows, was.health().missing_rows);
    }
}

#[test]
fn a_full_history_lets_go_of_what_is_summed_up_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let now = UnixMs(1_000 * HOUR_MS);
    let (mut store, mut core) = filled(&path, 30, now);
    store.commit(&core.take_batch(now)).unwrap();
    while store.roll_up(now).unwrap() {}
    let reader = Reader::open(&path).unwrap();
    let oldest = || {
        reader
            .newest_first(UnixMs(0))
            .unwrap()
            .pop()
            .map(|p| p.last)
    };
    let rolled = reader.rolled(&"a".into()).unwrap();
    // A few chunks go at once; rows without buckets stay, and no bucket goes before the last chunk with one.
    let buckets = || {
        let host = "a".into();
        let minutes = reader.covered(Some(&host), Tier::Minute, (UnixMs(0), now), 1);
        minutes.unwrap()
    };
    let before = buckets();
    while oldest().unwrap() < rolled {
        assert!(store.remove_oldest().unwrap());
        assert_eq!(buckets(), before);
    }
    let host = "a".into();
    let minutes = reader.covered(Some(&host), Tier::Minute, (UnixMs(0), now), 1);
    assert!(!minutes.unwrap().is_empty());
    // A row that comes late does not have minutes made anew whose rows are gone.
    let id = core.fleet.find("a").unwrap();
    let late = row(900_000, now.0 - 20 * HOUR_MS + 5_000, 7);
    core.apply(id, RunId(8), &late, now).unwrap();
    core.fleet.settle(now);
    core.fleet.settle(now);
    store.commit(&core.take_batch(now)).unwrap();
    assert_eq!(reader.rolled(&"a".into()).unwrap(), rolled);
    assert!(store.remove_oldest().unwrap() && store.remove_oldest().unwrap());
}

#[test]
fn a_damaged_log_loses_its_newest_rows_and_doubles_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let mut core = core();
    core.track_unsaved();
    let id = host_with_cpu(&mut core, "a");
    let mut store = Store::open(&path).unwrap();
    let now = UnixMs(1_000 * HOUR_MS);
    // The head is sealed after the part that will be damaged.
    for seq in 1..=300i64 {
        let at = now + seq * 1000;
        core.apply(id, RunId(1), &row(seq as u64, at.0, seq % 7), at)
            .unwrap();
        store.commit(&core.take_batch(at)).unwrap();
    }
    let damage = "UPDATE log SET data = substr(data, 1, 20) WHERE id = 200";
    drop(store);
    let damaged = Connection::open(&path).unwrap().execute(damage, []);
    assert_eq!(damaged.unwrap(), 1);
    let mut store = Store::open(&path).unwrap();
    let mut again = crate::core::tests::core();
    store
        .load()
        .unwrap()
        .into_iter()
        .for_each(|host| again.restore(host));
    let reader = Reader::open(&path).unwrap();
    for place in reader.newest_first(UnixMs(0)).unwrap() {
        let (name, chunk) = reader.read(place).unwrap().unwrap();
        again.fleet.restore_chunk(&name, chunk);
    }
    let host = again.fleet.host(again.fleet.find("a").unwrap()).unwrap();
    let table = host.ring.read(&[0], UnixMs(0), now + 999_000).unwrap();
    assert_eq!(table.times.len(), 256, "what was sealed, once");
    assert!(table.times.windows(2).all(|pair| pair[0] < pair[1]));
}

/// A history of two hosts in one file, with its number of chunks.
fn two_hosts(path: &Path, now: UnixMs) -> usize {
    let (mut store, mut core) = filled(path, 6, now);
    let other = host_with_cpu(&mut core, "b");
    for seq in 1..=1_200 {
        let time = now.0 - (1_200 - seq) * 1_000;
        let row = row(seq as u64, time, seq * 31 % 997);
        core.apply(other, RunId(8), &row, UnixMs(time)).unwrap();
        if seq % 200 == 0 {
            store.commit(&core.take_batch(UnixMs(time))).unwrap();
        }
    }
    store.commit(&core.take_batch(now)).unwrap();
    while store.roll_up(now).unwrap() {}
    drop(store);
    let connection = Connection::open(path).unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    connection
        .query_row("SELECT COUNT(*) FROM chunk", [], |row| row.get::<_, i64>(0))
        .unwrap() as usize
}

#[test]
fn whatever_page_is_garbage_the_hub_starts_with_the_rest_and_commits_again() {
    const PAGE: usize = 4_096;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let now = UnixMs(1_000 * HOUR_MS);
    let chunks = two_hosts(&path, now);
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / PAGE;
    assert!(pages > 20 && chunks > 5, "{pages} pages, {chunks} chunks");
    let (mut recovered, mut best) = (0, 0);
    for page in 0..pages {
        for garbage in [0x00, 0xa5] {
            for entry in fs::read_dir(dir.path()).unwrap().flatten() {
                fs::remove_file(entry.path()).unwrap();
            }
            let mut damaged = whole.clone();
            damaged[page * PAGE..(page + 1) * PAGE].fill(garbage);
            fs::write(&path, &damaged).unwrap();
            let mut store = Store::open(&path).unwrap();
            let mut core = core();
            core.track_unsaved();
            for host in store.load().unwrap() {
                core.restore(host);
            }
            store.events().unwrap();
            let id = host_with_cpu(&mut core, "c");
            let new = row(1, now.0, 5);
            core.apply(id, RunId(9), &new, now).unwrap();
            // Damage that loading does not meet shows at the next commit at the latest.
            if let Err(error) = store.commit(&core.take_batch(now)) {
                assert!(error.is_damage(), "page {page}: {error}");
                drop(store);
                let (mut store, _) = Store::recover(&path, true).unwrap();
                store.load().unwrap();
                recovered += 1;
                continue;
            }
            if let Some(recovery) = store.recovery() {
                assert!(recovery.aside.exists());
                recovered += 1;
                drop(store);
                let left = Store::check(&path).unwrap();
                let left = left.iter().find(|rows| rows.table == "chunk").unwrap();
                best = best.max(left.rows as usize);
            }
        }
    }
    assert!(recovered > 10, "{recovered} recoveries");
    assert_eq!(best, chunks, "damage elsewhere costs no chunk");
}

#[test]
fn a_history_that_was_marked_as_damaged_is_recovered_whole_if_it_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let chunks = two_hosts(&path, UnixMs(1_000 * HOUR_MS));
    let before = Store::check(&path).unwrap();
    sysmon_store::store::mark_damaged(&path, "a test");
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.recovery().unwrap().hosts_lost, 0);
    let names: Vec<_> = store
        .load()
        .unwrap()
        .iter()
        .map(|h| h.name.clone())
        .collect();
    assert_eq!(names, ["a", "b"]);
    drop(store);
    assert_eq!(Store::check(&path).unwrap(), before);
    assert!(chunks > 0 && sysmon_store::store::damaged_copies(&path) == 1);
    assert!(Store::open(&path).unwrap().recovery().is_none(), "once");
}
