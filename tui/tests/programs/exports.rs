//! Exports to real servers: outages of either side leave no hole, and values are those that queries show.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::engines::{Postgres, Server, points, prometheus, victoria_metrics};
use crate::place::{Place, until};

const AGENTS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// How long the engines are down.
fn outage() -> Duration {
    let seconds = std::env::var("SYSMON_OUTAGE_S")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(75))
}

pub(crate) fn destination(name: &str, kind: &str, url: &str) -> String {
    format!("{{ name = \"{name}\", kind = \"{kind}\", url = \"{url}\" }}")
}

/// Values by host and second, as `sysmon-tui query` shows them.
fn queried(place: &Place, metric: &str) -> BTreeMap<(String, i64), f64> {
    let args = [
        "query",
        metric,
        "--since",
        "30m",
        "--step",
        "1s",
        "--aggregate",
        "last",
        "--format",
        "json",
    ];
    let answer: Value = serde_json::from_str(&place.tui("me", &args)).unwrap();
    let mut values = BTreeMap::new();
    for series in answer["series"].as_array().unwrap() {
        if series["attributes"]
            .as_object()
            .is_some_and(|attributes| !attributes.is_empty())
        {
            continue;
        }
        let host = series["host"].as_str().unwrap();
        for point in series["points"].as_array().unwrap() {
            if let Some(value) = point[1].as_f64() {
                values.insert((host.to_owned(), point[0].as_i64().unwrap()), value);
            }
        }
    }
    values.retain(|(host, _), _| AGENTS.contains(&host.as_str()));
    values
}

/// What the destinations do, by name.
pub(crate) fn listed(place: &Place) -> Value {
    let args = ["--state", "hub", "export", "list", "--json"];
    serde_json::from_str(&place.output("sysmon-hub", &args)).unwrap()
}

#[test]
#[ignore = "needs root and postgresql and prometheus and victoria-metrics"]
fn engines_that_were_down_while_the_hub_was_killed_have_every_second_afterwards() {
    let place = Place::new();
    let mut victoria = victoria_metrics(&place.dir("vm"));
    let mut prometheus = prometheus(&place.dir("prometheus"));
    let mut postgres = Postgres::new(&place.dir("postgres"));
    let exports = [
        destination(
            "vm",
            "remote-write",
            &format!("http://127.0.0.1:{}/api/v1/write", victoria.port),
        ),
        destination(
            "prometheus",
            "remote-write",
            &format!("http://127.0.0.1:{}/api/v1/write", prometheus.port),
        ),
        destination("postgres", "postgres", &postgres.url()),
    ];
    let exports = format!("[{}]", exports.join(", "));
    let env = [("SYSMON_HUB__EXPORT", exports.as_str())];
    let hub = place.hub_with(&env);
    let address = place.address();
    let _agents = AGENTS.map(|name| place.agent(name));
    place.issue("operator", "me");
    let all = |is: fn(&Value) -> bool| move |list: &Value| list.as_array().unwrap().iter().all(is);
    let has_sent = all(|line| line["samples_total"].as_u64() > Some(0));
    until("every engine has rows", || listed(&place), has_sent);
    for server in [&mut victoria, &mut prometheus, &mut postgres.server] {
        server.stop();
    }
    let failing = all(|line| line["state"] == "failing" && line["error"].is_string());
    until("the hub says so", || listed(&place), failing);
    // Not synchronization: rows of an outage are what this is about.
    std::thread::sleep(outage() / 2);
    drop(hub);
    let _hub = place.hub_again_with(&address, &env);
    std::thread::sleep(outage() / 2);
    for server in [&mut victoria, &mut prometheus, &mut postgres.server] {
        server.start();
    }
    let is_done = all(|line| {
        line["pending_ms"] == 0
            && line["lag_ms"].as_i64() < Some(12_000)
            && line["state"] == "running"
    });
    let list = until("everything is sent", || listed(&place), is_done);
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .all(|line| line["refused"] == serde_json::json!({}) && line["lost_ms"] == 0),
        "{list}"
    );

    let rows = queried(&place, "load1");
    let end = rows.keys().map(|(_, time)| *time).max().unwrap() - 15_000;
    let wanted: BTreeMap<_, _> = rows
        .into_iter()
        .filter(|((_, time), _)| *time <= end)
        .collect();
    assert!(
        wanted.len() > AGENTS.len() * outage().as_secs() as usize,
        "{} rows",
        wanted.len()
    );
    for (name, server) in [("victoria-metrics", &victoria), ("prometheus", &prometheus)] {
        compare(name, &wanted, &loads_found(server, &wanted));
    }
    let found = loads_in(&postgres);
    compare("postgres", &wanted, &found);
}

/// The load of every host and second, once all that is wanted is found: a moment after it was written.
fn loads_found(
    server: &Server,
    wanted: &BTreeMap<(String, i64), f64>,
) -> BTreeMap<(String, i64), f64> {
    let found = || {
        let answer = server.get("/api/v1/query?query=sysmon_host_load1%5B30m%5D");
        let found = points(&answer).into_iter();
        found
            .map(|(host, time, value)| ((host, time), value))
            .collect::<BTreeMap<_, _>>()
    };
    let lacks = || {
        let found = found();
        wanted.keys().filter(|at| !found.contains_key(at)).count()
    };
    until("every second is found", lacks, |lacks| *lacks == 0);
    found()
}

/// The load of every host and second, each of which is there once.
fn loads_in(postgres: &Postgres) -> BTreeMap<(String, i64), f64> {
    let sql = "SELECT host, (floor(extract(epoch FROM time)) * 1000)::bigint, value FROM sysmon.samples \
         WHERE metric = 'system.cpu.load_average.1m'";
    let lines = postgres.query(sql);
    let parse = |line: &str| {
        let mut fields = line.split('|');
        let mut next = || fields.next().unwrap().to_owned();
        ((next(), next().parse().unwrap()), next().parse().unwrap())
    };
    let found: Vec<((String, i64), f64)> = lines.lines().map(parse).collect();
    let once: BTreeSet<_> = found.iter().map(|(at, _)| at.clone()).collect();
    assert_eq!(once.len(), found.len(), "PostgreSQL has rows twice");
    found.into_iter().collect()
}

fn compare(
    engine: &str,
    wanted: &BTreeMap<(String, i64), f64>,
    found: &BTreeMap<(String, i64), f64>,
) {
    let missing: Vec<_> = wanted.keys().filter(|at| !found.contains_key(at)).collect();
    assert!(
        missing.is_empty(),
        "{engine} lacks {} of {}: {:?}",
        missing.len(),
        wanted.len(),
        &missing[..missing.len().min(5)]
    );
    for (at, value) in wanted {
        assert_eq!(found[at].to_bits(), value.to_bits(), "{engine} at {at:?}");
    }
}

#[test]
#[ignore = "needs victoria-metrics"]
fn a_destination_is_listed_tested_paused_and_filled_from_the_past() {
    let place = Place::new();
    let victoria = victoria_metrics(&place.dir("vm"));
    let url = format!("http://127.0.0.1:{}/api/v1/write", victoria.port);
    let hub = place.hub();
    let address = place.address();
    let _agent = place.agent("a");
    place.issue("operator", "me");
    until(
        "rows come in",
        || queried(&place, "load1").len().min(1),
        |rows| *rows > 0,
    );
    let told = place.output("sysmon-hub", &["--state", "hub", "export", "list"]);
    assert!(told.starts_with("no destinations"), "{told}");
    drop(hub);
    let exports = format!("[{}]", destination("vm", "remote-write", &url));
    let _hub = place.hub_again_with(&address, &[("SYSMON_HUB__EXPORT", &exports)]);
    let order = |args: &[&str]| {
        place.output(
            "sysmon-hub",
            &[&["--state", "hub", "export"], args].concat(),
        )
    };
    order(&["pause", "vm"]);
    until(
        "it is paused",
        || listed(&place),
        |list| list[0]["state"] == "paused",
    );
    let (code, error) = place.fails("sysmon-hub", &["--state", "hub", "export", "pause", "wm"]);
    assert_eq!(code, 2);
    assert!(error.contains("there are vm"), "{error}");
    order(&["resume", "vm"]);
    order(&["backfill", "vm", "--since", "1h"]);
    let oldest = |rows: Vec<(String, i64, f64)>| {
        rows.into_iter()
            .filter(|(host, ..)| host == "a")
            .map(|(_, time, _)| time)
            .min()
    };
    let first = queried(&place, "load1").keys().map(|(_, time)| *time).min();
    let found = || {
        oldest(points(
            &victoria.get("/api/v1/query?query=sysmon_host_load1%5B30m%5D"),
        ))
    };
    until("the past is there", found, |found| *found == first);
}
