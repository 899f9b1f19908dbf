//! History beyond one-second rows: minutes, then hours.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use sysmon_hub::core::Core;
use sysmon_hub::fleet::FleetOptions;
use sysmon_store::Limits;
use sysmon_store::store::Store;
use sysmon_wire::message::RunId;
use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO};
use sysmon_wire::{Row, UnixMs};

use crate::place::Place;
#[cfg(unix)]
use crate::terminal::Session;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Fills the history with eight hours of a host up to `end`, of which only minutes or hours remain.
fn fill(place: &Place, end: UnixMs, now: UnixMs, minutes: Duration) {
    let mut core = Core::new(FleetOptions {
        stale_after: Duration::from_secs(5),
        offline_after: Duration::from_secs(30),
        retention: Duration::from_hours(24 * 90),
        memory_bytes: 1 << 30,
    });
    core.track_unsaved();
    let id = core.host_id(&"old".into()).unwrap();
    let receive = NET_IO.series(&[("network.io.direction", "receive")]);
    core.fleet
        .series(id, vec![CPU_UTILIZATION.series(&[]), receive]);
    std::fs::create_dir_all(place.dir("hub")).unwrap();
    let mut store = Store::open(&place.dir("hub").join("history.db")).unwrap();
    let rows = 8 * 360;
    for seq in 1..=rows {
        let time = end - (rows - seq) * 10_000;
        // 20%, 22%, … 30% within each minute, and 10,000 bytes per second.
        let cpu = 200 + 20 * (time.0.rem_euclid(60_000) / 10_000);
        let row = Row {
            seq: seq as u64,
            time,
            values: vec![cpu, 10_000 * (time.0 / 1_000)],
        };
        core.apply(id, RunId(1), &row, time).unwrap();
    }
    store.commit(&core.take_batch(now)).unwrap();
    while store.roll_up(now).unwrap() {}
    let limits = Limits {
        bytes: u64::MAX,
        rows: Duration::from_hours(24),
        minutes,
        hours: Duration::from_hours(24 * 730),
    };
    store.tidy(now, &limits).unwrap();
}

fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

/// The host's values at a moment.
fn metrics(place: &Place, at: &str) -> Value {
    let address = place.address();
    let args = [
        "--state", "me", "--hub", &address, "snapshot", "--json", "--at", at,
    ];
    let text = place.output("sysmon-tui", &args);
    let snapshot: Value = serde_json::from_str(&text).unwrap();
    let hosts = snapshot["hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["name"] == "old").unwrap()["metrics"].clone()
}

#[test]
fn a_moment_days_ago_is_shown_in_minutes() {
    let place = Place::new();
    let (end, now) = (now() - 3 * DAY_MS, now());
    fill(&place, end, now, Duration::from_hours(24 * 30));
    let _hub = place.hub();
    place.issue("operator", "me");
    let at = (end - 6 * HOUR_MS).0.to_string();
    let then = metrics(&place, &at);
    assert_eq!(
        (&then["cpu"], &then["net.rx"]),
        (&0.25.into(), &10_000.0.into())
    );
    let before = metrics(&place, &(end - 9 * HOUR_MS).0.to_string());
    assert_eq!(before["cpu"], Value::Null, "before the first row");
    let address = place.address();
    let args = [
        "--state", "me", "--hub", &address, "snapshot", "--svg", "--host", "old", "--at", &at,
    ];
    let picture = place.output("sysmon-tui", &args);
    for wanted in ["by the minute", "25%", "10k", "not stored for that long"] {
        assert!(picture.contains(wanted), "{wanted} in {picture}");
    }
}

#[test]
fn a_moment_past_the_minutes_is_shown_in_hours() {
    let place = Place::new();
    let (end, now) = (now() - 40 * DAY_MS, now());
    fill(&place, end, now, Duration::from_hours(24 * 30));
    let _hub = place.hub();
    place.issue("operator", "me");
    let at = (end - 6 * HOUR_MS).0.to_string();
    assert_eq!(metrics(&place, &at)["cpu"], 0.25);
    let address = place.address();
    let args = [
        "--state", "me", "--hub", &address, "snapshot", "--svg", "--at", &at,
    ];
    let picture = place.output("sysmon-tui", &args);
    assert!(picture.contains("by the hour"), "{picture}");
}

#[test]
#[cfg(unix)]
fn the_terminal_shows_minutes_and_the_strip_marks_them() {
    let place = Place::new();
    let (end, now) = (now() - 3 * DAY_MS, now());
    fill(&place, end, now, Duration::from_hours(24 * 30));
    let _hub = place.hub();
    place.issue("operator", "me");
    let state = place.dir("me");
    let address = place.address();
    let args = ["--state", state.to_str().unwrap(), "--hub", &address];
    let mut session = Session::start(120, 40, &args, &[]);
    session.is("the host", |text| text.contains("old"));
    session.press(&format!("t{}\r", (end - 6 * HOUR_MS).0));
    session.is("minutes", |text| {
        text.contains("by the minute") && text.contains("25")
    });
    // A host that is alone is open at once. The strip has bars where there is data, and dots elsewhere.
    session.is("the host's screen", |text| text.contains("─ MEM "));
    session.press("---");
    session.is("what is there", |text| {
        let mut lines = text.lines().rev().skip(1);
        let (time, load) = (lines.next(), lines.next().unwrap_or_default());
        time.is_some_and(|time| time.contains("7 d"))
            && load.contains("·····")
            && load.contains(['▁', '▂', '▃', '▄', '▅', '▆', '▇'])
    });
    session.press("c");
    session.is("the comparison", |text| {
        text.contains("COMPARE cpu") && text.contains("25%")
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}
