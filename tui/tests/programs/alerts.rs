//! A host falls silent: somebody is told, once, and once more when it is back.

use serde_json::Value;

use crate::place::{Place, until};

#[test]
fn a_silent_host_is_told_of_and_shown() {
    let place = Place::new();
    let file = place.dir("told.jsonl");
    let route = format!("[\"command:cat >> {0}; echo >> {0}\"]", file.display());
    let rules = "[\"silent: silent for 2s critical\", \"load: load1 > 100000\"]";
    let hub = place.hub_with(&[
        ("SYSMON_HUB__ALERTS", rules),
        ("SYSMON_HUB__NOTIFY", &route),
    ]);
    place.issue("operator", "me");
    let agent = place.agent("a");
    let host = || {
        let snapshot = place.snapshot("me");
        let hosts = snapshot["hosts"].as_array().unwrap().clone();
        let host = hosts.into_iter().find(|host| host["name"] == "a");
        host.unwrap_or_default()
    };
    let alerts = || host()["alerts"].clone();
    until("a has rows", host, |host| host["rows"].as_u64() > Some(0));
    assert_eq!(alerts(), Value::Array(Vec::new()));
    drop(agent);
    let firing = until("the alert fires", alerts, |alerts| !alerts[0].is_null());
    assert_eq!(
        (&firing[0]["rule"], &firing[0]["severity"]),
        (&Value::from("silent"), &Value::from("critical"))
    );
    hub.has_logged("CRITICAL a: a says nothing any more");
    let _agent = place.agent("a");
    until("it is over", alerts, |alerts| {
        alerts.as_array().is_some_and(Vec::is_empty)
    });
    let told = || std::fs::read_to_string(&file).unwrap_or_default();
    let text = until("both were told", told, |told| told.contains("resolved"));
    let states: Vec<_> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["alerts"][0]["state"].clone())
        .collect();
    assert_eq!(states, ["firing", "resolved"]);
    // A rule that is none is refused with what would be right.
    let (code, stderr) = place.fails_with(
        "sysmon-hub",
        &["check"],
        &[("SYSMON_HUB__ALERTS", "[\"x: system.cpu.utilisation > 1\"]")],
    );
    assert_eq!(code, 2);
    assert!(
        stderr.contains("did you mean system.cpu.utilization?"),
        "{stderr}"
    );
}
