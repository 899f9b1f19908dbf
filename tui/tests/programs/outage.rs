//! Nothing is lost: hubs that are killed, agents that are killed, and networks that go away.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{Place, until};

/// Rows of a host, and those known to be missing.
fn rows(snapshot: &Value, name: &str) -> (u64, u64) {
    let hosts = snapshot["hosts"].as_array().unwrap();
    let host = hosts.iter().find(|host| host["name"] == name);
    let number = |field: &str| host.and_then(|host| host[field].as_u64()).unwrap_or(0);
    (number("rows"), number("missing_rows"))
}

/// Seconds without a sample between the first and the last one of a query, per series.
fn holes(query: &Value) -> Vec<usize> {
    let points = |series: &Value| {
        let values: Vec<bool> = series["points"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| !p[1].is_null())
            .collect();
        let first = values.iter().position(|there| *there).unwrap_or(0);
        let last = values.iter().rposition(|there| *there).unwrap_or(0);
        values[first..=last].iter().filter(|there| !**there).count()
    };
    query["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(points)
        .collect()
}

#[test]
fn rows_of_an_outage_arrive_even_if_the_agent_is_killed_in_its_middle() {
    let place = Place::new();
    let hub = place.hub();
    let address = place.address();
    let agent = place.agent("a");
    place.issue("operator", "me");
    let start = Instant::now();
    until(
        "rows come in",
        || rows(&place.snapshot("me"), "a"),
        |(rows, _)| *rows > 2,
    );
    // The hub is killed, not stopped; the agent goes on, is killed too, and starts again.
    drop(hub);
    std::thread::sleep(Duration::from_secs(5));
    drop(agent);
    let _agent = place.agent_for("a", &address);
    std::thread::sleep(Duration::from_secs(3));
    let _hub = place.hub_at(&address);
    let seconds = start.elapsed().as_secs();
    let wanted = seconds.saturating_sub(3);
    until(
        "all rows are there",
        || rows(&place.snapshot("me"), "a"),
        |(rows, missing)| *rows >= wanted && *missing == 0,
    );
    let query = place.tui(
        "me",
        &[
            "query", "load1", "--since", "60s", "--step", "1s", "--format", "json",
        ],
    );
    let holes = holes(&serde_json::from_str(&query).unwrap());
    // One second may fall into the moment in which the agent was not running.
    assert!(
        holes.iter().all(|holes| *holes <= 2),
        "{holes:?} in {query}"
    );
}

#[test]
fn a_hub_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let place = Place::new();
    let mut hub = Some(place.hub());
    let address = place.address();
    let _agents = ["a", "b", "c"].map(|name| place.agent(name));
    place.issue("operator", "me");
    let start = Instant::now();
    let kills = std::env::var("SYSMON_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(5);
    for kill in 0..kills {
        // At a different moment of the second each time.
        std::thread::sleep(Duration::from_millis(700 + kill * 137 % 1000));
        drop(hub.take());
        hub = Some(place.hub_at(&address));
    }
    let wanted = start.elapsed().as_secs();
    for name in ["a", "b", "c"] {
        let (rows, _) = until(
            "all rows are there",
            || rows(&place.snapshot("me"), name),
            |(rows, missing)| *rows >= wanted && *missing == 0,
        );
        let most = start.elapsed().as_secs() + 10;
        assert!(rows <= most, "{rows} rows in {most} s: some are doubled");
    }
    let query = place.tui(
        "me",
        &[
            "query", "load1", "--since", "120s", "--step", "1s", "--format", "json",
        ],
    );
    let holes = holes(&serde_json::from_str(&query).unwrap());
    assert!(
        holes.len() == 3 && holes.iter().all(|holes| *holes == 0),
        "{holes:?} in {query}"
    );
    // And each second has the value that it had then: the time since the machine started rises with it.
    let query = place.tui(
        "me",
        &[
            "query",
            "system.uptime",
            "--since",
            "120s",
            "--step",
            "1s",
            "--format",
            "json",
        ],
    );
    let query: Value = serde_json::from_str(&query).unwrap();
    let series = query["series"].as_array().unwrap().iter();
    let starts: Vec<f64> = series
        .flat_map(|series| series["points"].as_array().unwrap())
        .filter_map(|point| Some(point[0].as_f64()? / 1000.0 - point[1].as_f64()?))
        .collect();
    let least = starts.iter().copied().fold(f64::MAX, f64::min);
    let most = starts.iter().copied().fold(f64::MIN, f64::max);
    assert!(
        starts.len() as u64 >= 3 * wanted.min(100) && most - least < 1.0,
        "{} values, {least} to {most}",
        starts.len()
    );
}
