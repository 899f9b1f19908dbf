//! Killed hubs and agents lose no rows.

use std::time::Duration;

use serde_json::Value;
use sysmon_agent::spool::{folder, journal};
use sysmon_wire::message::Push;

use crate::place::{Place, until};

/// Stored rows of a host, and those known to be missing.
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

/// Row frames in the spool of an agent: at least as many rows are stored there.
fn spooled(place: &Place, agent: &str) -> usize {
    let folder = folder(&place.dir(agent));
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let frames = files.flat_map(|file| journal::read(&folder, &file).unwrap_or_default());
    frames
        .filter(|frame| matches!(frame, Push::Rows(_) | Push::Keyframe(_)))
        .count()
}

#[test]
fn rows_of_an_outage_arrive_even_if_the_agent_is_killed_during_it() {
    let place = Place::new();
    let hub = place.hub();
    let address = place.address();
    let agent = place.agent("a");
    place.issue("operator", "me");
    let stored = || rows(&place.snapshot("me"), "a");
    until("rows come in", stored, |(rows, _)| *rows > 2);
    // The hub is killed. The agent continues, is killed too, and starts again.
    drop(hub);
    let in_spool = || spooled(&place, "a");
    let before = until("rows are spooled", in_spool, |rows| *rows >= 5);
    drop(agent);
    let _agent = place.agent_for("a", &address);
    let in_spool = until("more rows are spooled", in_spool, |rows| {
        *rows >= before + 3
    });
    let _hub = place.hub_at(&address);
    until("all rows are there", stored, |(rows, missing)| {
        *rows >= in_spool as u64 && *missing == 0
    });
    let query = place.tui(
        "me",
        &[
            "query", "load1", "--since", "60s", "--step", "1s", "--format", "json",
        ],
    );
    let holes = holes(&serde_json::from_str(&query).unwrap());
    // The agent may miss a second while it restarts.
    assert!(
        holes.iter().all(|holes| *holes <= 2),
        "{holes:?} in {query}"
    );
}

#[test]
fn a_hub_that_is_killed_repeatedly_neither_loses_nor_duplicates_rows() {
    let place = Place::new();
    let mut hub = Some(place.hub());
    let address = place.address();
    let names = ["a", "b", "c"];
    let _agents = names.map(|name| place.agent(name));
    place.issue("operator", "me");
    let kills = std::env::var("SYSMON_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(5);
    let stored = |name: &str| rows(&place.snapshot("me"), name);
    for kill in 0..kills {
        let (before, _) = stored("a");
        until("a row comes in", || stored("a"), |(rows, _)| *rows > before);
        // Not synchronization: each kill is at another fraction of the second.
        std::thread::sleep(Duration::from_millis(kill * 137 % 1000));
        drop(hub.take());
        hub = Some(place.hub_at(&address));
    }
    let mut fewest = u64::MAX;
    for name in names {
        let (before, _) = stored(name);
        until(
            "all rows are there",
            || stored(name),
            |(rows, missing)| *rows > before + 1 && *missing == 0,
        );
        let snapshot = place.snapshot("me");
        let (rows, _) = rows(&snapshot, name);
        let hosts = snapshot["hosts"].as_array().unwrap();
        let host = hosts.iter().find(|host| host["name"] == name).unwrap();
        let second = |field: &str| host[field].as_u64().unwrap() / 1000;
        let seconds = second("last_sample_ms") - second("oldest_ms") + 1;
        assert!(rows <= seconds, "{rows} rows in {seconds} s: duplicates");
        fewest = fewest.min(rows);
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
    // Each second has its own value: uptime, which is in whole seconds, grows with time.
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
        starts.len() as u64 >= 3 * (fewest - 1).min(100) && most - least <= 1.0,
        "{} values, {least} to {most}",
        starts.len()
    );
}
