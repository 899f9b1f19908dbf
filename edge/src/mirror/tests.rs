//! The mirror as hubs update it.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use sysmon_wire::HostFacts;
use sysmon_wire::alerts::Acknowledgement;
use sysmon_wire::message::Spark;
use sysmon_wire::message::{HostHealth, HostLine, Severity};

fn line(index: u32, name: &str) -> HostLine {
    HostLine {
        index,
        name: name.into(),
        facts: HostFacts::unknown(),
        health: HostHealth::default(),
        notes: Vec::new(),
        alerts: Vec::new(),
    }
}

fn tick(index: u32, time: i64, cpu: i64) -> HostTick {
    let mut values = vec![ABSENT; SUMMARY];
    values[0] = cpu;
    HostTick {
        index,
        state: HostState::Live,
        time: UnixMs(time),
        values,
    }
}

fn update(now: i64, lines: Vec<HostLine>, ticks: Vec<HostTick>, sparks: Vec<Spark>) -> FleetUpdate {
    FleetUpdate {
        gone: Vec::new(),
        now: UnixMs(now),
        lines,
        ticks,
        sparks,
    }
}

fn names(mirror: &Mirror) -> Vec<&str> {
    mirror.hosts.keys().map(Label::as_str).collect()
}

fn spark(end: i64, points: &[i64]) -> Spark {
    Spark {
        index: 0,
        alias: 0,
        end: UnixMs(end),
        points: points.to_vec(),
    }
}

fn points(mirror: &Mirror, from: i64, to: i64) -> Value {
    let series = mirror.series("a", "cpu", UnixMs(from), UnixMs(to), 1);
    json!(series.unwrap().points)
}

#[test]
fn an_acknowledgement_belongs_to_one_firing_of_one_rule() {
    let alert = |since: i64| AlertLine {
        metric: "".into(),
        acknowledged: None,
        silenced: None,
        rule: "full".into(),
        severity: Severity::Critical,
        since: UnixMs(since),
        summary: "".into(),
    };
    let acknowledged = |host: &str, since: i64| AlertState {
        host: host.into(),
        rule: "full".into(),
        device: "".into(),
        severity: Severity::Critical,
        since: UnixMs(since),
        summary: "".into(),
        acknowledged: Some(Acknowledgement {
            by: "".into(),
            at: UnixMs(70),
            note: "".into(),
        }),
        silenced: None,
    };
    let mut mirror = Mirror::default();
    let stream = mirror.begin();
    let mut host = line(0, "a");
    host.alerts = vec![alert(50), alert(60)];
    let first = update(100, vec![host], Vec::new(), Vec::new());
    mirror.apply(stream, first, UnixMs(100)).unwrap();
    let before = mirror.generation;
    let states = [acknowledged("a", 50), acknowledged("unknown", 50)];
    mirror.set_acknowledged(stream, &states).unwrap();
    assert!(mirror.generation > before, "live viewers get an update");
    let shown = |mirror: &Mirror| {
        let alerts = json!(mirror.alerts());
        [0, 1].map(|at| alerts["alerts"][at]["acknowledged_ms"].clone())
    };
    assert_eq!(shown(&mirror), [json!(70), Value::Null]);
    let host = json!(mirror.host("a").unwrap());
    assert_eq!(host["alerts"][0]["acknowledged_ms"], 70);
    mirror.set_acknowledged(stream, &[]).unwrap();
    assert_eq!(shown(&mirror), [Value::Null, Value::Null]);
    mirror.set_acknowledged(stream, &states).unwrap();
    mirror.begin();
    let again = &shown(&mirror)[0];
    assert_eq!(again, &Value::Null, "a new stream sends them again");
    assert_eq!(mirror.set_acknowledged(stream, &states), Err(Superseded));
}

#[test]
fn updates_are_shown_and_a_reconnecting_hub_fills_the_gap() {
    let mut mirror = Mirror::default();
    let stream = mirror.begin();
    let first = update(
        105_000,
        vec![line(0, "a"), line(1, "b")],
        vec![tick(0, 105_000, 500)],
        vec![spark(100_000, &[100, 200, 300])],
    );
    // The edge's clock is half a minute behind the hub's.
    mirror.apply(stream, first, UnixMs(75_000)).unwrap();
    mirror.complete(stream).unwrap();
    assert_eq!(
        points(&mirror, 80_000, 109_000),
        json!([[80_000, 0.1], [90_000, 0.2], [100_000, 0.5]])
    );
    assert!(mirror.is_live(UnixMs(80_000)) && !mirror.is_live(UnixMs(100_000)));
    // The hub is disconnected for ten steps, then sends what is missing.
    let stream = mirror.begin();
    let later = update(
        205_000,
        vec![line(0, "a")],
        vec![tick(0, 205_000, 900)],
        vec![spark(200_000, &[700; 10])],
    );
    mirror.apply(stream, later, UnixMs(175_000)).unwrap();
    mirror.complete(stream).unwrap();
    let all = points(&mirror, 100_000, 200_000);
    assert_eq!(all[0], json!([100_000, 0.5]), "a known point stays");
    assert_eq!(
        (&all[1], &all[9]),
        (&json!([110_000, 0.7]), &json!([190_000, 0.7]))
    );
    assert_eq!(names(&mirror), ["a"], "b is no longer shared");
    let fleet = json!(mirror.fleet("t", UnixMs(176_000)));
    assert_eq!(
        (&fleet["live"], &fleet["hosts"][0]["metrics"]["cpu"]),
        (&json!(true), &json!(0.9))
    );
    assert_eq!(fleet["metrics"], json!(["cpu"]));
    let sparks = json!(mirror.sparks("cpu").unwrap());
    assert_eq!(
        (&sparks["end_ms"], &sparks["hosts"]["a"][29]),
        (&json!(180_000), &json!(0.7667)),
        "two steps of 0.7 and one of 0.9"
    );
}

#[test]
fn updates_of_a_superseded_stream_are_refused() {
    let mut mirror = Mirror::default();
    let old = mirror.begin();
    let sent = update(1000, vec![line(0, "a"), line(1, "b")], vec![], vec![]);
    mirror.apply(old, sent, UnixMs(1000)).unwrap();
    // The hub reconnects before its first stream is complete; indices differ.
    let new = mirror.begin();
    let sent = update(2000, vec![line(1, "a")], vec![tick(1, 2000, 100)], vec![]);
    mirror.apply(new, sent, UnixMs(2000)).unwrap();
    let stale = update(1000, vec![], vec![tick(1, 1000, 900)], vec![]);
    assert_eq!(mirror.apply(old, stale, UnixMs(2000)), Err(Superseded));
    assert_eq!(mirror.complete(old), Err(Superseded));
    mirror.complete(new).unwrap();
    assert_eq!(names(&mirror), ["a"]);
    assert_eq!(json!(mirror.host("a").unwrap())["metrics"]["cpu"], 0.1);
}

#[test]
fn older_and_future_values_do_not_enter_the_history() {
    let mut mirror = Mirror::default();
    let stream = mirror.begin();
    let mut send = |now, ticks, sparks| {
        let sent = update(now, vec![line(0, "a")], ticks, sparks);
        mirror.apply(stream, sent, UnixMs(now)).unwrap();
        points(&mirror, 0, 10_000_000)
    };
    let known = |points: &Value| {
        let points = points.as_array().unwrap().iter();
        points
            .filter(|point| !point[1].is_null())
            .cloned()
            .collect::<Vec<_>>()
    };
    send(105_000, vec![tick(0, 105_000, 500)], vec![]);
    let older = send(
        106_000,
        vec![tick(0, 95_000, 100), tick(0, 104_000, 900)],
        vec![],
    );
    assert_eq!(known(&older), [json!([100_000, 0.5])]);
    let future = send(
        107_000,
        vec![tick(0, 9_000_000, 900)],
        vec![spark(9_000_000, &[300; 5])],
    );
    assert_eq!(known(&future), [json!([100_000, 0.5])]);
}

#[test]
fn a_missing_view_names_what_is_wrong() {
    let mut mirror = Mirror::default();
    let stream = mirror.begin();
    let sent = update(1, vec![line(0, "a")], Vec::new(), Vec::new());
    mirror.apply(stream, sent, UnixMs(1)).unwrap();
    let error = |host: &str, metric: &str, from, to, step| {
        mirror
            .series(host, metric, UnixMs(from), UnixMs(to), step)
            .unwrap_err()
    };
    assert_eq!(error("x", "cpu", 0, 1, 1), NotFound::Host);
    assert_eq!(error("a", "uptime", 0, 1, 1), NotFound::Metric);
    assert_eq!(error("a", "cpu", 1, 1, 1), NotFound::Range);
    assert_eq!(error("a", "cpu", 0, 1, 0), NotFound::Range);
    let all = mirror.series("a", "cpu", UnixMs(0), UnixMs(i64::MAX / 2), i64::MAX / 4);
    assert!(all.unwrap().points.len() <= POINTS_MAX + 1);
}

proptest! {
    #[test]
    fn arbitrary_updates_neither_panic_nor_grow_the_history(
        ticks in proptest::collection::vec((any::<i64>(), any::<i64>()), 0..50),
        end in any::<i64>(),
    ) {
        let mut mirror = Mirror::default();
        let stream = mirror.begin();
        let sent = update(end / 4, vec![line(0, "a")], Vec::new(), vec![spark(end / 4, &[5; 100])]);
        mirror.apply(stream, sent, UnixMs(0)).unwrap();
        for (time, value) in ticks {
            let sent = update(time / 4, Vec::new(), vec![tick(0, time / 4, value)], Vec::new());
            mirror.apply(stream, sent, UnixMs(0)).unwrap();
            let _ = mirror.sparks("cpu");
        }
        prop_assert!(mirror.hosts.values().all(|host| host.history.iter().all(|h| h.len() <= POINTS_MAX)));
    }
}
