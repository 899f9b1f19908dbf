//! Exports to real servers: outages of either side leave no hole, and values are those that queries show.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use sysmon_clock::Clock;

use crate::engines::{
    Postgres, Server, has_timescale, points, prometheus, victoria_metrics, victoria_metrics_with,
};
use crate::otlp_receiver::Otlp;
use crate::place::{Place, TIMEOUT, until, until_within};

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

fn destinations(victoria: &Server, prometheus: &Server, postgres: &Postgres) -> Vec<String> {
    vec![
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
        destination("narrow", "postgres", &postgres.url_of("narrow"))
            .replace(" }", ", narrow = true }"),
    ]
}

#[test]
#[ignore = "needs root and postgresql and prometheus and victoria-metrics"]
fn engines_that_were_down_while_the_hub_was_killed_have_every_second_afterwards() {
    let place = Place::new();
    let mut victoria = victoria_metrics(&place.dir("vm"));
    let mut prometheus = prometheus(&place.dir("prometheus"));
    let mut postgres = Postgres::new(&place.dir("postgres"));
    let mut otlp = ["otlp-grpc", "otlp-http"].map(Otlp::new);
    let mut exports = destinations(&victoria, &prometheus, &postgres);
    exports.extend(
        otlp.iter()
            .map(|otlp| destination(otlp.kind, otlp.kind, &otlp.url())),
    );
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
    otlp.iter_mut().for_each(Otlp::stop);
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
    otlp.iter_mut().for_each(Otlp::start);
    let is_done = all(|line| {
        line["pending_ms"] == 0
            && line["lag_ms"].as_i64() < Some(12_000)
            && line["state"] == "running"
    });
    // After a long outage an engine is asked once a minute, and has as much to catch up with.
    let limit = TIMEOUT + outage();
    let list = until_within(limit, "everything is sent", || listed(&place), is_done);
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
    has_every_second(&postgres, &wanted);
    for otlp in &otlp {
        compare(otlp.kind, &wanted, &otlp.loads());
        otlp.same_values(&place);
    }
}

/// Every second and minute is in PostgreSQL, in arrays and as single values.
fn has_every_second(postgres: &Postgres, wanted: &BTreeMap<(String, i64), f64>) {
    for database in ["metrics", "narrow"] {
        let lacks = || -> Vec<_> {
            let found = loads_in(postgres, database);
            let lacks = wanted.keys().filter(|at| !found.contains_key(at));
            lacks.cloned().collect()
        };
        until(
            &format!("every second is in {database}"),
            lacks,
            Vec::is_empty,
        );
        compare(database, wanted, &loads_in(postgres, database));
        same_minutes(postgres, database);
    }
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
fn loads_in(postgres: &Postgres, database: &str) -> BTreeMap<(String, i64), f64> {
    let sql = "SELECT host, (floor(extract(epoch FROM time)) * 1000)::bigint, value FROM sysmon.samples \
         WHERE metric = 'system.cpu.load_average.1m'";
    let lines = postgres.query_in(database, sql);
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

/// Minutes of gauges are those that the database itself makes of the rows; of the last one there may be more rows by now.
fn same_minutes(postgres: &Postgres, database: &str) {
    let sql = "WITH made AS (SELECT host, metric, attributes, date_trunc('minute', time) AS time, min(value) AS min, \
             max(value) AS max, avg(value) AS mean, count(*) AS count FROM sysmon.samples WHERE kind = 'gauge' GROUP BY 1, 2, 3, 4), \
         ends AS (SELECT host, date_trunc('minute', max(time)) AS until FROM sysmon.samples GROUP BY 1) \
         SELECT count(*), count(*) FILTER (WHERE sent.min = made.min AND sent.max = made.max AND sent.count = made.count \
             AND abs(sent.mean - made.mean) <= 1e-9 * abs(made.mean) + 1e-12) \
         FROM made JOIN ends USING (host) LEFT JOIN sysmon.minutes AS sent USING (host, metric, attributes, time) \
         WHERE made.time < ends.until";
    let equal = |answer: &String| {
        let (all, equal) = answer.trim().split_once('|').unwrap();
        all == equal && all != "0"
    };
    until(
        "minutes are those of their rows",
        || postgres.query_in(database, sql),
        equal,
    );
    let counters = "SELECT count(*) FROM sysmon.minutes WHERE kind = 'counter' AND unit LIKE '%/s' AND count > 5";
    assert_ne!(postgres.query_in(database, counters).trim(), "0");
    let hypertables =
        "SELECT count(*) FROM timescaledb_information.hypertables WHERE compression_enabled";
    if has_timescale() {
        assert_eq!(postgres.query_in(database, hypertables).trim(), "3");
    }
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

/// Values of one metric of host `a` three hours ago, by aggregate.
fn three_hours_ago(place: &Place, metric: &str) -> BTreeMap<&'static str, Vec<f64>> {
    let of = |aggregate: &'static str| {
        let args = [
            "query",
            metric,
            "--host",
            "a",
            "--from",
            "-180m",
            "--to",
            "-170m",
            "--step",
            "1m",
            "--aggregate",
            aggregate,
            "--format",
            "json",
        ];
        let answer: Value = serde_json::from_str(&place.tui("me", &args)).unwrap();
        let series = answer["series"].as_array().unwrap().iter();
        let points = series.flat_map(|series| series["points"].as_array().unwrap());
        let values = points.filter_map(|point| point[1].as_f64());
        (aggregate, values.collect())
    };
    ["mean", "min", "max", "last"].map(of).into()
}

/// An hour of minutes from before this hub, such as an earlier one has sent, and another hub's of a host of that name.
fn write_the_past(postgres: &Postgres, victoria: &Server) {
    postgres.query(
        "INSERT INTO sysmon.hubs (identity, name) VALUES ('other', 'elsewhere'); \
         INSERT INTO sysmon.hosts (hub, name) SELECT id, 'a' FROM sysmon.hubs WHERE identity = 'other'; \
         CREATE TABLE IF NOT EXISTS sysmon.before PARTITION OF sysmon.minute_values DEFAULT; \
         INSERT INTO sysmon.minute_values (time, host, series, count, min, mean, max, last) \
         SELECT minute, hosts.id, series.id, 60, 0.5, 1.25, 4, CASE hubs.identity WHEN 'other' THEN 99 ELSE 2 END \
         FROM sysmon.hosts JOIN sysmon.hubs ON hubs.id = hosts.hub, sysmon.series, \
             generate_series(date_trunc('minute', now()) - interval '220 minutes', now() - interval '130 minutes', '1 minute') AS minute \
         WHERE series.metric IN ('system.cpu.load_average.1m', 'system.uptime') AND hosts.name = 'a'",
    );
    let now = Clock::system().now().floor(60_000).0;
    let lines: String = (0..90)
        .map(|minute| {
            let time = now - 220 * 60_000 + minute * 60_000;
            let line = |at: i64, value: f64| {
                format!("sysmon_host_load1{{host=\"a\",job=\"sysmon\"}} {value} {at}\n")
            };
            let share = f64::from(share_of(time)) / 1_000.0;
            let middle = time + 30_000;
            let share =
                format!("sysmon_host_mem_ratio{{host=\"a\",job=\"sysmon\"}} {share} {middle}\n");
            line(time, 0.5) + &line(time + 30_000, 2.0) + &share
        })
        .collect();
    victoria.post("/api/v1/import/prometheus", &lines);
}

/// Another number for each minute.
fn share_of(time: i64) -> u16 {
    (time / 60_000 % 1_000) as u16
}

/// A value is of the minute that it is shown at, in a long answer too.
fn each_minute_has_its_own(place: &Place) {
    let args = [
        "query", "mem", "--host", "a", "--from", "-210m", "--to", "-135m", "--step", "1m",
        "--format", "json",
    ];
    let answer: Value = serde_json::from_str(&place.tui("me", &args)).unwrap();
    let points = answer["series"][0]["points"].as_array().unwrap().iter();
    let points = points.filter_map(|point| Some((point[0].as_i64()?, point[1].as_f64()?)));
    let mut minutes = 0;
    for (time, value) in points {
        assert_eq!(
            (value * 1_000.0).round() as u16,
            share_of(time),
            "at {time}"
        );
        minutes += 1;
    }
    assert!(minutes > 70, "{minutes}");
}

/// The words on the screen of three hours ago.
fn screen(place: &Place, of: &[&str]) -> String {
    let svg = place.tui("me", &[&["snapshot", "--svg", "--at", "-3h"], of].concat());
    let words = svg.split('<').filter_map(|tag| tag.split_once('>'));
    let words: Vec<&str> = words
        .flat_map(|(_, text)| text.split_whitespace())
        .collect();
    words.join(" ")
}

/// The fleet and the host have the values of three hours ago, and say from where.
fn is_shown(place: &Place, engine: &str) {
    let (fleet, host) = (screen(place, &[]), screen(place, &["--host", "a"]));
    for (screen, value) in [(&fleet, " 1.25 "), (&host, "load 1.25")] {
        let from = format!("by the minute from {engine}");
        assert!(screen.contains(&from) && screen.contains(value), "{screen}");
    }
}

#[test]
#[ignore = "needs root and postgresql and victoria-metrics"]
fn what_the_hub_does_not_have_is_read_back_from_an_engine() {
    let place = Place::new();
    // As people run it: its cache moves the steps of long answers.
    let victoria = victoria_metrics_with(&place.dir("vm"), &[]);
    let mut postgres = Postgres::new(&place.dir("postgres"));
    let exports = format!("[{}]", destination("pg", "postgres", &postgres.url()));
    let hub = place.hub_with(&[("SYSMON_HUB__EXPORT", &exports)]);
    let address = place.address();
    let _agent = place.agent("a");
    place.issue("operator", "me");
    let has_series = || postgres.try_query("SELECT count(*) FROM sysmon.series");
    let some =
        |count: &Result<String, String>| count.as_ref().is_ok_and(|count| count.trim() > "0");
    until("the engine has rows", has_series, some).unwrap();
    write_the_past(&postgres, &victoria);
    drop(hub);

    let beyond = postgres.url();
    let hub = place.hub_again_with(&address, &[("SYSMON_HUB__HISTORY_BEYOND", &beyond)]);
    let found = until(
        "it is read back",
        || three_hours_ago(&place, "load1"),
        |found| found["mean"].len() >= 10,
    );
    for (aggregate, value) in [("mean", 1.25), ("min", 0.5), ("max", 4.0), ("last", 2.0)] {
        assert!(
            found[aggregate].iter().all(|found| *found == value),
            "{found:?}"
        );
    }
    is_shown(&place, "postgres://127.0.0.1");
    postgres.server.stop();
    let screen = screen(&place, &[]);
    assert!(
        screen.contains("cannot read from postgres://127.0.0.1"),
        "{screen}"
    );
    drop(hub);

    let beyond = format!("prometheus:http://127.0.0.1:{}", victoria.port);
    let _hub = place.hub_again_with(&address, &[("SYSMON_HUB__HISTORY_BEYOND", &beyond)]);
    let found = until(
        "it is read back",
        || three_hours_ago(&place, "load1"),
        |found| found["mean"].len() >= 10,
    );
    for (aggregate, value) in [("mean", 1.25), ("min", 0.5), ("max", 2.0), ("last", 2.0)] {
        assert!(
            found[aggregate].iter().all(|found| *found == value),
            "{aggregate}: {found:?}"
        );
    }
    is_shown(&place, "prometheus:http://127.0.0.1");
    each_minute_has_its_own(&place);
}
