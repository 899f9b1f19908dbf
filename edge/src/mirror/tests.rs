//! What the mirror makes of what hubs say.

use super::*;
use proptest::prelude::*;
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
        now: UnixMs(now),
        lines,
        ticks,
        sparks,
    }
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
    mirror
        .series("a", "cpu", UnixMs(from), UnixMs(to), 1)
        .unwrap()["points"]
        .clone()
}

#[test]
fn an_alert_that_somebody_takes_care_of_says_so_until_it_is_another() {
    let alert = |since: i64| AlertLine {
        rule: "full".into(),
        severity: Severity::Critical,
        since: UnixMs(since),
        summary: "".into(),
    };
    let cared = |host: &str, since: i64| AlertState {
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
    let told = [cared("a", 50), cared("unknown", 50)];
    mirror.care(stream, &told).unwrap();
    assert!(mirror.generation > before, "the page is drawn anew");
    let seen = |mirror: &Mirror| {
        let alerts = mirror.alerts();
        [0, 1].map(|at| alerts["alerts"][at]["acknowledged_ms"].clone())
    };
    assert_eq!(seen(&mirror), [json!(70), Value::Null]);
    assert_eq!(
        mirror.host("a").unwrap()["alerts"][0]["acknowledged_ms"],
        70
    );
    mirror.care(stream, &[]).unwrap();
    assert_eq!(seen(&mirror), [Value::Null, Value::Null]);
    mirror.care(stream, &told).unwrap();
    mirror.begin();
    assert_eq!(
        seen(&mirror)[0],
        Value::Null,
        "a hub that tells anew tells this too"
    );
    assert_eq!(mirror.care(stream, &told), Err(Superseded));
}

#[test]
fn what_the_hub_says_is_shown_and_a_gap_is_filled_when_it_comes_back() {
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
    // Ten steps away; then the hub tells what was.
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
    assert_eq!(all[0], json!([100_000, 0.5]), "what was known stays");
    assert_eq!(
        (&all[1], &all[9]),
        (&json!([110_000, 0.7]), &json!([190_000, 0.7]))
    );
    assert_eq!(
        mirror.names().collect::<Vec<_>>(),
        ["a"],
        "b is not shown any more"
    );
    let fleet = mirror.fleet("t", UnixMs(176_000));
    assert_eq!(
        (&fleet["live"], &fleet["hosts"][0]["metrics"]["cpu"]),
        (&json!(true), &json!(0.9))
    );
    assert_eq!(fleet["metrics"], json!(["cpu"]));
    let sparks = mirror.sparks("cpu").unwrap();
    assert_eq!(
        (&sparks["end_ms"], &sparks["hosts"]["a"][29]),
        (&json!(180_000), &json!(0.7667)),
        "two steps of 0.7 and one of 0.9"
    );
}

#[test]
fn a_hub_that_reconnects_while_it_tells_is_not_mixed_up_with_itself() {
    let mut mirror = Mirror::default();
    let old = mirror.begin();
    let said = update(1000, vec![line(0, "a"), line(1, "b")], vec![], vec![]);
    mirror.apply(old, said, UnixMs(1000)).unwrap();
    // Before it has told everything it is back, with other indices.
    let new = mirror.begin();
    let said = update(2000, vec![line(1, "a")], vec![tick(1, 2000, 100)], vec![]);
    mirror.apply(new, said, UnixMs(2000)).unwrap();
    let stale = update(1000, vec![], vec![tick(1, 1000, 900)], vec![]);
    assert_eq!(mirror.apply(old, stale, UnixMs(2000)), Err(Superseded));
    assert_eq!(mirror.complete(old), Err(Superseded));
    mirror.complete(new).unwrap();
    assert_eq!(mirror.names().collect::<Vec<_>>(), ["a"]);
    assert_eq!(mirror.host("a").unwrap()["metrics"]["cpu"], json!(0.1));
}

#[test]
fn older_data_and_data_of_the_future_leave_the_history_as_it_is() {
    let mut mirror = Mirror::default();
    let stream = mirror.begin();
    let mut say = |now, ticks, sparks| {
        let said = update(now, vec![line(0, "a")], ticks, sparks);
        mirror.apply(stream, said, UnixMs(now)).unwrap();
        points(&mirror, 0, 10_000_000)
    };
    let known = |points: &Value| {
        let points = points.as_array().unwrap().iter();
        points
            .filter(|point| !point[1].is_null())
            .cloned()
            .collect::<Vec<_>>()
    };
    say(105_000, vec![tick(0, 105_000, 500)], vec![]);
    let older = say(
        106_000,
        vec![tick(0, 95_000, 100), tick(0, 104_000, 900)],
        vec![],
    );
    assert_eq!(known(&older), [json!([100_000, 0.5])]);
    let future = say(
        107_000,
        vec![tick(0, 9_000_000, 900)],
        vec![spark(9_000_000, &[300; 5])],
    );
    assert_eq!(known(&future), [json!([100_000, 0.5])]);
}

#[test]
fn questions_without_an_answer_are_told_apart() {
    let mut mirror = Mirror::default();
    let stream = mirror.begin();
    let said = update(1, vec![line(0, "a")], Vec::new(), Vec::new());
    mirror.apply(stream, said, UnixMs(1)).unwrap();
    let ask = |host: &str, metric: &str, from, to, step| {
        mirror
            .series(host, metric, UnixMs(from), UnixMs(to), step)
            .unwrap_err()
    };
    assert_eq!(ask("x", "cpu", 0, 1, 1), Unknown::Host);
    assert_eq!(ask("a", "uptime", 0, 1, 1), Unknown::Metric);
    assert_eq!(ask("a", "cpu", 1, 1, 1), Unknown::Range);
    assert_eq!(ask("a", "cpu", 0, 1, 0), Unknown::Range);
    let all = mirror.series("a", "cpu", UnixMs(0), UnixMs(i64::MAX / 2), i64::MAX / 4);
    assert!(all.unwrap()["points"].as_array().unwrap().len() <= POINTS_MAX + 1);
}

proptest! {
    #[test]
    fn nothing_a_hub_says_makes_it_grow_or_panic(
        ticks in proptest::collection::vec((any::<i64>(), any::<i64>()), 0..50),
        end in any::<i64>(),
    ) {
        let mut mirror = Mirror::default();
        let stream = mirror.begin();
        let said = update(end / 4, vec![line(0, "a")], Vec::new(), vec![spark(end / 4, &[5; 100])]);
        mirror.apply(stream, said, UnixMs(0)).unwrap();
        for (time, value) in ticks {
            let said = update(time / 4, Vec::new(), vec![tick(0, time / 4, value)], Vec::new());
            mirror.apply(stream, said, UnixMs(0)).unwrap();
            let _ = mirror.sparks("cpu");
        }
        prop_assert!(mirror.hosts.values().all(|host| host.history.iter().all(|h| h.len() <= POINTS_MAX)));
    }
}
