//! Hosts that are forgotten.

use super::*;

#[test]
fn a_forgotten_host_is_gone_at_once_and_its_rows_soon_and_its_number_is_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let now = UnixMs(1_000 * HOUR_MS);
    two_hosts(&path, now);
    let limits = limits(u64::MAX, 24 * HOUR_MS);
    let mut store = Store::open(&path).unwrap();
    let mut core = core();
    core.track_unsaved();
    for host in store.load().unwrap() {
        core.restore(host);
    }
    core.review_silence(now + 3_600_000);
    assert!(core.forget("b") && !core.forget("b"));
    assert_eq!(core.fleet.machines().count(), 1);
    // A new host of the same name in the same batch.
    let id = host_with_cpu(&mut core, "b");
    core.apply(id, RunId(9), &row(1, now.0, 5), now).unwrap();
    store.commit(&core.take_batch(now)).unwrap();
    let rows_of = |number: i64| -> i64 {
        let connection = Connection::open(&path).unwrap();
        let query = "SELECT (SELECT COUNT(*) FROM chunk WHERE host = ?1) + \
                     (SELECT COUNT(*) FROM bucket WHERE host = ?1) + \
                     (SELECT COUNT(*) FROM series WHERE host = ?1)";
        connection
            .query_row(query, [number], |row| row.get(0))
            .unwrap()
    };
    assert!(rows_of(2) > 0);
    store.tidy(now, &limits).unwrap();
    assert_eq!(
        (rows_of(2), rows_of(3)),
        (0, 1),
        "only the new host's series"
    );
    drop(store);
    let mut store = Store::open(&path).unwrap();
    let loaded = store.load().unwrap();
    let names: Vec<_> = loaded.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(loaded[1].runs.iter().all(|(run, _)| *run == RunId(9)));
    store.tidy(now + 2 * HOUR_MS, &limits).unwrap();
    let connection = Connection::open(&path).unwrap();
    let hosts: i64 = connection
        .query_row("SELECT COUNT(*) FROM host", [], |row| row.get(0))
        .unwrap();
    assert_eq!(hosts, 2);
}

#[test]
fn a_renamed_host_has_its_history_and_events_after_a_restart_and_its_old_name_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let now = UnixMs(1_000 * HOUR_MS);
    two_hosts(&path, now);
    let mut store = Store::open(&path).unwrap();
    let mut core = core();
    core.track_unsaved();
    for host in store.load().unwrap() {
        core.restore(host);
    }
    core.review_silence(now + 3_600_000);
    // In one batch: b is forgotten, a becomes b, and another a joins.
    assert!(core.forget("b") && core.rename("a", &"b".into()));
    let id = host_with_cpu(&mut core, "a");
    core.apply(id, RunId(9), &row(1, now.0, 5), now).unwrap();
    let before = Reader::open(&path)
        .unwrap()
        .oldest_row(&"a".into())
        .unwrap();
    store.commit(&core.take_batch(now)).unwrap();
    drop(store);
    let reader = Reader::open(&path).unwrap();
    assert!(before.is_some());
    assert_eq!(reader.oldest_row(&"b".into()).unwrap(), before);
    let loaded = Store::open(&path).unwrap().load().unwrap();
    let names: Vec<_> = loaded.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    let is_of_new = |(run, _): &(RunId, _)| *run == RunId(9);
    assert!(loaded[0].runs.iter().all(|run| !is_of_new(run)));
    assert!(loaded[1].runs.iter().all(is_of_new));
}

#[test]
fn a_host_of_which_nothing_is_left_is_forgotten_unless_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let now = UnixMs(1_000 * HOUR_MS);
    two_hosts(&path, now);
    let mut store = Store::open(&path).unwrap();
    let mut core = core();
    core.track_unsaved();
    for host in store.load().unwrap() {
        core.restore(host);
    }
    assert!(store.empty_hosts().unwrap().is_empty());
    let later = now + 800 * 24 * HOUR_MS;
    core.fleet.settle(later);
    store.commit(&core.take_batch(later)).unwrap();
    while store.roll_up(later).unwrap() {}
    store.tidy(later, &limits(u64::MAX, HOUR_MS)).unwrap();
    store.tidy(later, &limits(u64::MAX, HOUR_MS)).unwrap();
    let emptied = store.empty_hosts().unwrap();
    core.review_silence(later);
    // One of the two is back.
    let id = core.fleet.find("a").unwrap();
    core.apply(id, RunId(10), &row(1, later.0, 5), later)
        .unwrap();
    assert_eq!(core.gone_hosts(Some(&emptied), later), ["b"]);
    assert!(core.gone_hosts(Some(&[]), later).is_empty());
}
