//! The present of the fleet in Redis and at an MQTT broker, after restarts of the hub and of either server.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::engines::{Server, free_port};
use crate::exports::{destination, listed};
use crate::place::{Place, until};

fn redis(dir: &Path) -> Server {
    std::fs::create_dir_all(dir).unwrap();
    let port = free_port();
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        // Nothing is left of it after a restart.
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(dir);
    Server::new(command, port)
}

fn mosquitto() -> Server {
    let port = free_port();
    let mut command = Command::new("mosquitto");
    command.args(["-p", &port.to_string()]);
    Server::new(command, port)
}

/// What a client of Debian's prints; nothing while its server is unreachable.
fn printed(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn redis_says(server: &Server, command: &[&str]) -> Value {
    let port = server.port.to_string();
    let text = printed("redis-cli", &[&["-p", &port, "--json"], command].concat());
    serde_json::from_str(&text).unwrap_or_default()
}

/// The message that the broker has of a topic.
fn retained(server: &Server, topic: &str) -> String {
    let port = server.port.to_string();
    let args = ["-p", &port, "-C", "1", "-W", "2", "-t", topic];
    printed("mosquitto_sub", &args).trim().to_owned()
}

/// When the newest values of host `a` were measured, if it is live there.
fn newest_in_redis(server: &Server) -> i64 {
    let host = redis_says(server, &["HGETALL", "sysmon:host:a"]);
    let time = host["last_sample_ms"].as_str().unwrap_or_default();
    let has_values = host["state"] == "live" && host["cpu"].is_string();
    time.parse().ok().filter(|_| has_values).unwrap_or_default()
}

fn newest_by_mqtt(server: &Server) -> i64 {
    let is_online = retained(server, "sysmon/hub/availability") == "online"
        && retained(server, "sysmon/hosts/a/availability") == "online"
        && retained(server, "homeassistant/device/+/config").contains("\"components\"");
    let state = retained(server, "sysmon/hosts/a/state");
    let state: Value = serde_json::from_str(&state).unwrap_or_default();
    let has_values = state["state"] == "live" && state["metrics"]["cpu"].is_number();
    let time = state["last_sample_ms"].as_i64();
    time.filter(|_| is_online && has_values).unwrap_or_default()
}

/// The entries of the stream without their ids, each of which is there once.
fn events(server: &Server) -> BTreeSet<String> {
    let entries = redis_says(server, &["XRANGE", "sysmon:events", "-", "+"]);
    let entries = entries.as_array().cloned().unwrap_or_default();
    let all: BTreeSet<String> = entries.iter().map(|entry| entry[1].to_string()).collect();
    assert_eq!(all.len(), entries.len(), "an event is there twice");
    all
}

#[test]
#[ignore = "needs redis-server and redis-tools and mosquitto and mosquitto-clients"]
fn the_present_and_the_events_are_right_after_a_restart_of_either_side() {
    let place = Place::new();
    let (mut redis, mut broker) = (redis(&place.dir("redis")), mosquitto());
    let exports = format!(
        "[{}, {}]",
        destination("hot", "redis", &format!("redis://127.0.0.1:{}", redis.port)),
        destination("home", "mqtt", &format!("mqtt://127.0.0.1:{}", broker.port))
            .replace(" }", ", every = \"1s\" }"),
    );
    let env = [("SYSMON_HUB__EXPORT", exports.as_str())];
    let hub = place.hub_with(&env);
    let address = place.address();
    let agent = place.agent("a");
    let is_there = |time: &i64| *time > 0;
    let first = until("Redis has the host", || newest_in_redis(&redis), is_there);
    until(
        "the broker has the host",
        || newest_by_mqtt(&broker),
        is_there,
    );
    let joined = until(
        "the event is there",
        || events(&redis),
        |all| !all.is_empty(),
    );

    drop(hub);
    let will = || retained(&broker, "sysmon/hub/availability");
    until("the broker knows that the hub is gone", will, |is| {
        is == "offline"
    });
    let hub = place.hub_again_with(&address, &env);
    let is_newer = |time: &i64| *time > first;
    let second = until(
        "Redis has newer values",
        || newest_in_redis(&redis),
        is_newer,
    );
    until(
        "the broker has newer values",
        || newest_by_mqtt(&broker),
        is_newer,
    );
    assert!(events(&redis).is_superset(&joined));

    redis.stop();
    broker.stop();
    let is_failing = |list: &Value| {
        let mut list = list.as_array().unwrap().iter();
        list.all(|line| line["state"] == "failing")
    };
    until("the hub says so", || listed(&place), is_failing);
    // An event that neither server has seen.
    drop(agent);
    let _agent = place.agent("a");
    redis.start();
    broker.start();
    let is_newer = |time: &i64| *time > second;
    until("Redis has all again", || newest_in_redis(&redis), is_newer);
    until(
        "the broker has all again",
        || newest_by_mqtt(&broker),
        is_newer,
    );
    let all = until(
        "the stream has the events of before and of the outage",
        || events(&redis),
        |all| all.is_superset(&joined) && all.len() > joined.len(),
    );
    drop(hub);
    let _hub = place.hub_again_with(&address, &env);
    let third = newest_in_redis(&redis);
    let is_newer = |time: &i64| *time > third;
    until(
        "Redis has newer values",
        || newest_in_redis(&redis),
        is_newer,
    );
    assert!(events(&redis).is_superset(&all));
}
