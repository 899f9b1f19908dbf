//! Series that appear and disappear, and hosts that use more than their share.

use super::*;

fn sensor(day: i64, n: i64) -> SeriesKey {
    TEMPERATURE.series(&[("hw.name", &format!("sensor{day}-{n}"))])
}

/// One row of a host whose sensors have other names each day, as its agent sends it.
fn push_day(core: &mut Core, run: u64, day: i64, sensors: i64, at: UnixMs) {
    let id = core.host_id(&"a".into()).unwrap();
    let mut stream = RowStream::new(id);
    let mut keys = vec![CPU_UTILIZATION.series(&[])];
    keys.extend((0..sensors).map(|n| sensor(day, n)));
    let mut block = Vec::new();
    let mut values: Vec<i64> = (0..sensors).map(|n| day * 1_000_000 + n).collect();
    values.insert(0, day);
    RowEncoder::new().encode(1, at, &values, &mut block);
    let begin = Push::Begin {
        run: RunId(run),
        lane: Lane::Live,
    };
    for push in [
        begin,
        Push::Series(SeriesTable::new(&keys)),
        Push::Keyframe(Blob(block)),
    ] {
        stream.ingest(push, core, at).unwrap();
    }
}

/// Once names counted for ever: after 4,096 of them every row of the host was refused, for good.
#[test]
fn series_that_come_and_go_are_forgotten_with_their_rows_and_their_hours_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let mut core = core();
    core.track_unsaved();
    let mut store = Store::open(&path).unwrap();
    let limits = limits(u64::MAX, HOUR_MS);
    let table = |query: &str| -> i64 {
        let connection = Connection::open(&path).unwrap();
        connection.query_row(query, [], |row| row.get(0)).unwrap()
    };
    const SENSORS: i64 = 1_200;
    for day in 0..4i64 {
        let begin = UnixMs(2_000 * HOUR_MS + day * 24 * HOUR_MS);
        for minute in 0..3 {
            let run = (day * 10 + minute) as u64 + 1;
            push_day(&mut core, run, day, SENSORS, begin + minute * 60_000);
        }
        for minute in (10..24 * 60).step_by(40) {
            let now = begin + minute * 60_000;
            push_day(
                &mut core,
                10_000 + (day * 1_440 + minute) as u64,
                day,
                0,
                now,
            );
            core.fleet.settle(now);
            store.commit(&core.take_batch(now)).unwrap();
            while store.roll_up(now).unwrap() {}
            store.tidy(now, &limits).unwrap();
        }
        let host = core.fleet.host(core.fleet.find("a").unwrap()).unwrap();
        assert_eq!(
            host.health().series,
            1,
            "day {day}: rows are stored for an hour"
        );
        assert!(
            host.keys().len() <= SENSORS as usize + 1,
            "indices are used again"
        );
        assert_eq!(table("SELECT COUNT(*) FROM series"), 1, "day {day}");
        if day == 1 {
            // What is free and idle is so after a restart too.
            drop(store);
            store = Store::open(&path).unwrap();
            let mut again = crate::core::tests::core();
            again.track_unsaved();
            for host in store.load().unwrap() {
                again.restore(host);
            }
            core = again;
        }
    }
    assert_eq!(table("SELECT COUNT(*) FROM bucket_series"), 4 * SENSORS + 1);
    let reader = Reader::open(&path).unwrap();
    for (day, n) in [0, 1, 2, 3]
        .map(|day| [(day, 0), (day, SENSORS - 1)])
        .concat()
    {
        assert_eq!(
            hours_of(&reader, sensor(day, n)),
            [day * 1_000_000 + n],
            "{day} {n}"
        );
    }
}

/// The last value of each hour of a series.
fn hours_of(reader: &Reader, key: SeriesKey) -> Vec<i64> {
    let end = UnixMs(2_100 * HOUR_MS);
    let found = reader.buckets(&"a".into(), Tier::Hour, &[key], UnixMs(0), end);
    let mut hours = Vec::new();
    for (chunk, place) in found.unwrap().of(0) {
        let mut column = Vec::new();
        let last = (place + 1) * sysmon_series::Bucket::COLUMNS - 1;
        chunk.values(last as u32, &mut column).unwrap();
        hours.extend(column.into_iter().filter(|value| *value != ABSENT));
    }
    hours
}

/// Once the oldest data of all hosts went first, so that one busy host took everybody's history.
#[test]
fn a_host_that_uses_more_than_its_share_of_the_disk_loses_its_own_history_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let now = UnixMs(1_000 * HOUR_MS);
    let (mut store, mut core) = filled(&path, 20, now);
    let id = core.host_id(&"greedy".into()).unwrap();
    core.fleet
        .series(id, (0..60).map(|n| sensor(0, n)).collect());
    for seq in 1..=3_000i64 {
        let at = now - (3_000 - seq) * 1000;
        let values = (0..60).map(|n| (seq + n) * seq * 7919 % 100_003).collect();
        let (seq, time) = (seq as u64, at);
        let row = sysmon_wire::Row { seq, time, values };
        core.apply(id, RunId(9), &row, now).unwrap();
    }
    store.commit(&core.take_batch(now)).unwrap();
    let reader = Reader::open(&path).unwrap();
    let chunks = |host: &str| {
        let all = reader.between(&host.into(), UnixMs(0), now);
        all.unwrap().len()
    };
    let (modest, greedy) = (chunks("a"), chunks("greedy"));
    assert!(modest > 10 && greedy > 2, "{modest} {greedy}");
    assert!(store.remove_oldest().unwrap());
    assert_eq!(chunks("a"), modest, "although its rows are older");
    assert!(chunks("greedy") < greedy);
    // What is used is known again when the file is opened again, and is none when all is gone.
    drop(store);
    let store = Store::open(&path).unwrap();
    while store.remove_oldest().unwrap() {}
    assert_eq!(chunks("a") + chunks("greedy"), 0);
    let connection = Connection::open(&path).unwrap();
    let used = connection.query_row("SELECT SUM(bytes) FROM usage", [], |row| row.get(0));
    assert_eq!(used, Ok(0i64));
}
