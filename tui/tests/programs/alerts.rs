//! Alerts from rule to notification: a host that stops reporting fires once and resolves once.

use serde_json::Value;

use crate::place::{Place, until};
use crate::receivers::{mail_server, webhook};
use crate::terminal::Session;

#[test]
fn a_host_that_stops_reporting_fires_once_and_resolves_once() {
    let place = Place::new();
    let file = place.dir("notifications.jsonl");
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
    hub.has_logged("a is not reporting");
    let _agent = place.agent("a");
    until("the alert is resolved", alerts, |alerts| {
        alerts.as_array().is_some_and(Vec::is_empty)
    });
    let sent = || std::fs::read_to_string(&file).unwrap_or_default();
    let text = until("both notifications are sent", sent, |sent| {
        sent.contains("resolved")
    });
    let states: Vec<_> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["alerts"][0]["state"].clone())
        .collect();
    assert_eq!(states, ["firing", "resolved"]);
    // An invalid rule is refused with a suggestion.
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

#[test]
fn one_incident_is_one_notification_per_route_across_hub_restarts() {
    let place = Place::new();
    let (ca, secret) = (place.dir("ca.pem"), place.dir("route"));
    let (hook, posts, accepts) = webhook();
    let (smtp, letters) = mail_server(&ca);
    let mail = format!(
        "mail:smtps://hub:secret@{smtp}/?from=hub@example.org&to=me@example.org&ca={}",
        ca.display()
    );
    std::fs::write(&secret, mail).unwrap();
    let routes = format!("[\"{hook}\", \"critical file:{}\"]", secret.display());
    let env = [
        ("SYSMON_HUB__ALERTS", "[\"silent: silent for 2s critical\"]"),
        ("SYSMON_HUB__NOTIFY", routes.as_str()),
    ];
    let hub = place.hub_with(&env);
    let address = place.address();
    place.issue("operator", "me");
    let agent = place.agent("a");
    let rows = || place.snapshot("me")["hosts"][0]["rows"].as_u64();
    until("a has rows", rows, |rows| *rows > Some(0));
    drop(agent);
    // The mail arrives, the webhook fails: the hub is terminated before it retries.
    until(
        "a letter",
        || letters.count("CRITICAL a:"),
        |count| *count == 1,
    );
    until(
        "a try",
        || place.status(),
        |status| status.contains("HTTP status 500"),
    );
    let status = place.status();
    assert!(
        status.contains("mail to me@example.org via 127.0.0.1: last sent"),
        "{status}"
    );
    assert!(!status.contains("secret"), "{status}");
    assert_eq!((hub.terminate(), posts.all().len()), (Some(0), 0));
    accepts.store(true, std::sync::atomic::Ordering::SeqCst);
    let hub = place.hub_again_with(&address, &env);
    until(
        "a post",
        || posts.count("\"state\":\"firing\""),
        |count| *count == 1,
    );
    let line = format!(
        "{}: last",
        hook.replace("http://", "webhook at ").replace("/hook", "")
    );
    until(
        "it knows",
        || place.status(),
        |status| status.contains(&line),
    );
    // A killed hub repeats no notification.
    drop(hub);
    let hub = place.hub_again_with(&address, &env);
    assert!(
        place.status().contains("critical  a  silent"),
        "{}",
        place.status()
    );
    acknowledged_by_command(&place);
    acknowledged_by_key(&place, &address);
    let _agent = place.agent_for("a", &address);
    until(
        "the alert is resolved",
        || (posts.all().len(), letters.all().len()),
        |counts| *counts == (2, 2),
    );
    assert_eq!(posts.count("\"state\":\"resolved\""), 1);
    assert_eq!(letters.count("RESOLVED a:"), 1);
    assert!(
        letters.all()[0].contains("Subject: sysmon: 1 critical on a"),
        "{:?}",
        letters.all()
    );
    assert!(!place.status().contains("critical  a  silent"));
    drop(hub);
    let log = std::fs::read_to_string(place.dir("hub.log")).unwrap();
    assert!(!log.contains("secret@"), "{log}");
}

#[test]
fn rules_are_checked_and_alerts_silenced_on_the_command_line() {
    let place = Place::new();
    let file = place.dir("notifications");
    let routes = format!("[\"command:cat >> {}\"]", file.display());
    let env = [
        (
            "SYSMON_HUB__ALERTS",
            "[\"loaded: load1 > -1 critical\", \"silent: silent for 60s\"]",
        ),
        ("SYSMON_HUB__NOTIFY", routes.as_str()),
    ];
    let hub = |args: &[&str]| {
        place.output(
            "sysmon-hub",
            &[&["--state", "hub", "alerts"], args].concat(),
        )
    };
    let _hub = place.hub_with(&env);
    let silence = ["silence", "a", "--for", "1h", "--reason", "new disks"];
    let (_, unknown) = place.fails(
        "sysmon-hub",
        &[&["--state", "hub", "alerts"], &silence[..]].concat(),
    );
    assert!(unknown.contains("no host is called \"a\""), "{unknown}");
    let silenced = hub(&[&silence[..], &["--force"]].concat());
    assert!(
        silenced.contains("silence 1: notifications of a suppressed for 1 h"),
        "{silenced}"
    );
    let _agent = place.agent("a");
    let fires = |status: &String| status.contains("critical  a  loaded");
    let status = until("it fires", || place.status(), fires);
    assert!(status.contains("[silenced: new disks]"), "{status}");
    assert!(hub(&["silences"]).contains("new disks"));
    let sent = || std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(sent(), "");
    // A running hub notices that the silence was removed.
    hub(&["unsilence", "1"]);
    until("it is sent", sent, |sent| {
        sent.contains("\"rule\":\"loaded\"")
    });
    let check = hub(&["check", "x: load1 > -1", "--since", "1h"]);
    assert!(
        check.contains("replayed for 1 host over the ") && check.contains(", 1 s per value"),
        "{check}"
    );
    assert!(check.contains("it would have fired once"), "{check}");
    let never = hub(&["check", "x: load1 > 100000", "--since", "1h"]);
    assert!(never.contains("it would not have fired"), "{never}");
    let fails = |args: &[&str]| {
        place
            .fails(
                "sysmon-hub",
                &[&["--state", "hub", "alerts"], args].concat(),
            )
            .1
    };
    assert!(fails(&["check", "slient"]).contains("did you mean \"silent\"?"));
    assert!(fails(&["silence", "b", "--for", "1h", "--reason", "x"]).contains("no host is called"));
    assert!(fails(&["unsilence", "7"]).contains("there is no silence"));
    assert!(fails(&["ack", "b"]).contains("no alert is firing on b"));
    assert!(fails(&["test", "slack"]).contains("no route") || !fails(&["test"]).is_empty());
    let (code, stderr) = place.fails_with(
        "sysmon-hub",
        &["--state", "hub", "check"],
        &[("SYSMON_HUB__ALERTS", "[\"x: silent for 5s on aa\"]")],
    );
    assert_eq!(code, 2);
    assert!(
        stderr.contains("unknown host \"aa\"; did you mean \"a\"?"),
        "{stderr}"
    );
}

/// The command line acknowledges the alert, and withdraws the acknowledgement.
fn acknowledged_by_command(place: &Place) {
    let taken = place.output(
        "sysmon-hub",
        &[
            "--state", "hub", "alerts", "ack", "a:silent", "--note", "on it",
        ],
    );
    assert!(
        taken.contains("1 alert of a:silent acknowledged"),
        "{taken}"
    );
    assert!(
        place.status().contains("[acknowledged by owner: on it]"),
        "{}",
        place.status()
    );
    let taken = place.output(
        "sysmon-hub",
        &["--state", "hub", "alerts", "unack", "a:silent"],
    );
    assert!(taken.contains("acknowledgement of 1 alert"), "{taken}");
}

/// One key in the terminal acknowledges the alert, and the same key withdraws the acknowledgement.
fn acknowledged_by_key(place: &Place, address: &str) {
    let state = place.dir("hub").display().to_string();
    let args = ["--hub", address, "--state", &state];
    let mut session = Session::start(120, 30, &args, &[]);
    session.is("the host, which is alone", |text| text.contains("▸ a"));
    session.press("a");
    session.is("the firing alert", |text| {
        text.contains("1 firing") && text.contains("▲ FIRING")
    });
    session.press("A");
    session.is("the acknowledgement", |text| {
        text.contains("1 acknowledged") && text.contains("by owner: ")
    });
    let taken = place.status();
    assert!(taken.contains("[acknowledged by owner]"), "{taken}");
    session.press("A");
    session.is("the withdrawn acknowledgement", |text| {
        text.contains("1 firing")
    });
    session.press("\r");
    session.is("the host as it was", |text| text.contains("PAST"));
    session.press("q");
    assert_eq!(session.ended(), 0);
}
