//! Hub, agents and terminal over QUIC on loopback: hosts, refusals, start-up errors.

use crate::place::{Place, until};
use serde_json::Value;
use sysmon_certs::Identity;
use sysmon_link::Connector;
use sysmon_wire::message::Purpose;

fn host<'a>(snapshot: &'a Value, name: &str) -> &'a Value {
    let hosts = snapshot["hosts"].as_array().unwrap();
    let host = hosts.iter().find(|host| host["name"] == name);
    host.unwrap_or_else(|| panic!("no host {name} in {snapshot}"))
}

fn state(snapshot: &Value, name: &str) -> String {
    let hosts = snapshot["hosts"].as_array().unwrap();
    let host = hosts.iter().find(|host| host["name"] == name);
    host.map_or_else(String::new, |host| {
        host["state"].as_str().unwrap().to_owned()
    })
}

/// Metrics that every host has.
const METRICS: [&str; 8] = [
    "cpu",
    "mem",
    "load1",
    "net.rx",
    "net.tx",
    "disk.read",
    "disk.write",
    "fs.worst",
];

#[test]
fn hosts_go_stale_offline_and_live_again() {
    let place = Place::new();
    let _hub = place.hub();
    let agent_a = place.agent("a");
    let agent_b = place.agent("b");
    place.issue("operator", "me");
    let snapshot = || place.snapshot("me");
    let first = until("both hosts are live", snapshot, |s| {
        ["a", "b"]
            .iter()
            .all(|name| state(s, name) == "live" && host(s, name)["rows"].as_u64() > Some(1))
    });
    assert_eq!(first["schema"], 1);
    for field in [
        "version",
        "uptime_ms",
        "ingest_rows_total",
        "ingest_values_total",
        "ring_bytes",
        "ring_values",
        "history_bytes",
        "subscribers",
    ] {
        assert!(
            !first["hub"][field].is_null(),
            "{field} in {}",
            first["hub"]
        );
    }
    let a = host(&first, "a");
    for field in [
        "last_sample_ms",
        "rows",
        "duplicate_rows",
        "missing_rows",
        "oldest_ms",
        "clock_offset_ms",
        "agent_version",
        "alerts",
    ] {
        assert!(!a[field].is_null(), "{field} in {a}");
    }
    for metric in METRICS {
        assert!(a["metrics"][metric].is_number(), "{metric} in {a}");
    }
    // Both agents continue to sample, on whole seconds.
    let later = until("both hosts have newer rows", snapshot, |s| {
        ["a", "b"]
            .iter()
            .all(|name| host(s, name)["rows"].as_u64() > host(&first, name)["rows"].as_u64())
    });
    let time = host(&later, "b")["last_sample_ms"].as_i64().unwrap();
    assert_eq!(time % 1000, 0, "samples are on whole seconds");
    assert_eq!(host(&later, "a")["missing_rows"], 0);
    drop(agent_b);
    until("b is stale, a goes on", snapshot, |s| {
        state(s, "b") == "stale" && state(s, "a") == "live"
    });
    until("b is offline, a goes on", snapshot, |s| {
        state(s, "b") == "offline" && state(s, "a") == "live"
    });
    let _agent_b = place.agent("b");
    until("b is back", snapshot, |s| state(s, "b") == "live");
    drop(agent_a);
    // The same as a table.
    let table = place.tui("me", &["snapshot"]);
    assert!(table.contains("HOST") && table.contains("live"), "{table}");
    let screen = place.tui("me", &["snapshot", "--host", "b"]);
    assert!(screen.contains("FILESYSTEMS"), "{screen}");
    let query = place.tui(
        "me",
        &[
            "query", "cpu", "--since", "5s", "--step", "1s", "--format", "json",
        ],
    );
    let query: Value = serde_json::from_str(&query).unwrap();
    assert_eq!(
        (&query["metric"], &query["step_ms"]),
        (&Value::from("system.cpu.utilization"), &Value::from(1000))
    );
    assert!(query["series"].as_array().unwrap().len() >= 2, "{query}");
}

#[test]
fn peers_of_the_wrong_role_or_authority_are_refused_with_a_reason() {
    let place = Place::new();
    let hub = place.hub();
    place.issue("agent", "a");
    // The certificate of an agent does not permit the view of an operator, whatever the client requests.
    let identity = Identity::load(&place.dir("a")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let error = runtime.block_on(async {
        let connector = Connector::new(&identity, "1", &sysmon_clock::Clock::system()).unwrap();
        connector
            .connect(&place.address(), Purpose::View)
            .await
            .unwrap_err()
    });
    assert!(error.to_string().contains("role operator"), "{error}");
    hub.has_logged("agent a");
    hub.has_logged("only a certificate of role operator may view the fleet");
    // The command line refuses before connecting.
    let (code, stderr) = place.tui_fails("a", &["snapshot"]);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("is for agent a, not for an operator"),
        "{stderr}"
    );
    // An operator of another hub.
    let elsewhere = Place::new();
    let _other = elsewhere.hub();
    elsewhere.issue("operator", "eve");
    let (code, stderr) = place.tui_fails_with(&elsewhere.dir("eve"), &["snapshot"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("another authority"), "{stderr}");
    hub.has_logged("from=127.0.0.1");
}

#[test]
fn errors_at_startup_are_one_line() {
    let place = Place::new();
    let hub = place.hub();
    // The port is in use.
    let (code, stderr) = place.fails(
        "sysmon-hub",
        &["--state", "second", "--listen", &place.address()],
    );
    assert_eq!(code, 1);
    assert!(
        stderr.lines().last().unwrap().contains("cannot listen on"),
        "{stderr}"
    );
    // No identity.
    let (code, stderr) = place.fails(
        "sysmon-tui",
        &["--state", "nobody", "--hub", "127.0.0.1", "snapshot"],
    );
    assert_eq!((code, stderr.lines().count()), (1, 1), "{stderr}");
    assert!(stderr.contains("nobody"), "{stderr}");
    // A broken configuration.
    std::fs::write(place.dir("c.toml"), "[hub]\n[agent]\nintervall = \"2s\"\n").unwrap();
    for program in ["sysmon-hub", "sysmon-agent", "sysmon-tui"] {
        let (code, stderr) = place.fails(program, &["--config", "c.toml", "--state", "x"]);
        assert_eq!((code, stderr.lines().count()), (2, 1), "{stderr}");
        assert!(stderr.contains("c.toml:3"), "{stderr}");
        assert!(stderr.contains("did you mean \"interval\"?"), "{stderr}");
    }
    // A state directory that cannot be created.
    std::fs::write(place.dir("file"), "").unwrap();
    let (code, stderr) = place.fails("sysmon-hub", &["--state", "file/hub"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("file/hub"), "{stderr}");
    drop(hub);
    // The hub is not running; its address file is missing or outdated.
    let (code, stderr) = place.fails("sysmon-hub", &["--state", "hub", "status"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("hub"), "{stderr}");
}

#[test]
fn without_a_terminal_a_snapshot_is_printed_and_no_state_is_written() {
    let place = Place::new();
    let table = place.output("sysmon-tui", &["--demo", "2"]);
    assert!(
        table.contains("build-1") || table.contains("web-1"),
        "{table}"
    );
    assert_eq!(table.matches(" live ").count(), 3, "{table}");
    assert!(
        !place.dir("home").join(".local").exists(),
        "standalone mode stores nothing"
    );
    let demo = ["top", "--demo", "2", "--limit", "5", "--host", "web-1"];
    let top = place.output("sysmon-tui", &[&demo[..], &["--json"]].concat());
    let top: Value = serde_json::from_str(&top).unwrap();
    let processes = top["processes"].as_array().unwrap();
    assert!((1..=5).contains(&processes.len()), "{top}");
    assert!(
        processes.iter().all(|process| process["host"] == "web-1"),
        "{top}"
    );
    let top = place.output("sysmon-tui", &demo);
    assert!(top.contains("CPU%") && top.contains("web-1  "), "{top}");
    let svg = place.output("sysmon-tui", &["snapshot", "--svg", "--demo", "1"]);
    assert!(svg.starts_with("<svg") && svg.contains("web-1"));
}

#[test]
fn a_terminated_hub_removes_its_address_file() {
    let place = Place::new();
    let hub = place.hub();
    assert!(place.dir("hub/address").exists());
    assert_eq!(hub.terminate(), Some(0));
    assert!(!place.dir("hub/address").exists());
}
