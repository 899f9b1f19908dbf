//! The fleet as lines, for screen readers.

use sysmon_wire::UnixMs;
use sysmon_wire::message::{AlertLine, FleetUpdate, HostState, Reply, Request, Severity};

use super::{fleet, reply, tick};
use crate::app::linear::{Announcer, command};
use crate::subscriptions::Topic;
use crate::testing::fleet_update;

fn alert(acknowledged: Option<&str>) -> AlertLine {
    AlertLine {
        rule: "hot".into(),
        severity: Severity::Critical,
        since: UnixMs(5),
        metric: "".into(),
        summary: "cpu 97 %".into(),
        acknowledged: acknowledged.map(Into::into),
        silenced: None,
    }
}

fn hosts(change: impl FnOnce(&mut FleetUpdate)) -> Reply {
    let mut update = fleet_update(&[("a", 100), ("b", 200), ("c", 300)]);
    change(&mut update);
    Reply::Fleet(update)
}

#[test]
fn what_changes_is_said_once_in_a_line_without_any_escape() {
    let mut state = fleet();
    let mut announcer = Announcer::default();
    let first = announcer.news(&state);
    assert_eq!(first[0], "connected to h");
    assert!(
        first[1].starts_with("3 hosts: 3 live, 0 stale, 0 offline; 0 firing"),
        "{first:?}"
    );
    assert_eq!(announcer.news(&state), [""; 0], "nothing is new");
    let fired = hosts(|update| update.lines[1].alerts = vec![alert(None)]);
    reply(&mut state, Topic::Fleet, fired);
    assert_eq!(
        announcer.news(&state),
        ["00:16:40 critical: hot on b: cpu 97 %"]
    );
    let taken = hosts(|update| {
        update.lines[1].alerts = vec![alert(Some("jane"))];
        update.ticks[0].state = HostState::Offline;
    });
    reply(&mut state, Topic::Fleet, taken);
    let said = announcer.news(&state);
    assert_eq!(
        said,
        [
            "00:16:40 a is offline",
            "00:16:40 hot on b acknowledged by jane"
        ]
    );
    reply(&mut state, Topic::Fleet, hosts(|_| {}));
    let said = announcer.news(&state);
    assert_eq!(said, ["00:16:40 a is live", "00:16:40 resolved: hot on b"]);
}

#[test]
fn commands_are_answered_and_acknowledge_and_silence_as_the_keys_do() {
    let mut state = fleet();
    let fired = hosts(|update| update.lines[1].alerts = vec![alert(None)]);
    reply(&mut state, Topic::Fleet, fired);
    let mut said = |text: &str| command(&mut state, text).0.join("\n");
    assert!(said("hosts b or c").contains("b  live"));
    assert!(!said("hosts b").contains("c  live"));
    assert_eq!(said("alerts"), "critical: hot on b: cpu 97 %");
    assert!(said("host b").contains("critical: hot on b"));
    assert_eq!(said("host x"), "no host \"x\"");
    assert!(said("what").contains("commands: status"));
    command(&mut state, "ack b");
    tick(&mut state, 1_000_000);
    let asked = state.request(Topic::Alerts).cloned();
    assert!(matches!(asked, Some(Request::Acknowledge { host, .. }) if host == "b"));
    command(&mut state, "ack b:hot fan ordered");
    tick(&mut state, 1_000_000);
    let asked = state.request(Topic::Alerts).cloned();
    assert!(matches!(asked, Some(Request::Acknowledge { note, .. }) if note == "fan ordered"));
    command(&mut state, "silence b 2h load test");
    tick(&mut state, 1_000_000);
    let asked = state.request(Topic::Alerts).cloned();
    assert!(matches!(asked, Some(Request::Silence { reason, .. }) if reason == "load test"));
    command(&mut state, "silence b");
    let mut announcer = Announcer::default();
    let news = announcer.news(&state).join("\n");
    assert!(news.contains("for how long?"), "{news}");
}
