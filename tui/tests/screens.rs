//! What the screens look like: real rows through a real fleet, drawn at several sizes.
//!
//! After an intended change: `INSTA_UPDATE=always cargo test -p sysmon-tui --test screens`, then look
//! at the difference.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use sysmon_agent::run::Source;
use sysmon_agent::simulated::Simulated;
use sysmon_agent::spool::SpoolHealth;
use sysmon_config::Theme;
use sysmon_hub::fleet::{Fleet, FleetOptions};
use sysmon_hub::view::{HostWatch, SparkRequest, fleet_picture};
use sysmon_tui::feed::{of_fleet, of_host};
use sysmon_tui::keys::{Keymap, Mode};
use sysmon_tui::state::fleet::{CPU, RECEIVED, SPARK_POINTS, SPARK_STEP_MS};
use sysmon_tui::state::host::{HostView, WINDOW_MS};
use sysmon_tui::state::{Feed, Options, State};
use sysmon_tui::text::plain;
use sysmon_tui::update::{Message, update};
use sysmon_wire::message::{Reply, RunId};
use sysmon_wire::{Row, UnixMs};

/// 2026-05-04 12:00:00 UTC.
const NOON: i64 = 1_777_896_000_000;

/// Eight hosts with ten minutes behind them; the last was cut off a minute ago.
fn fleet() -> Fleet {
    let mut fleet = Fleet::new(FleetOptions {
        stale_after: Duration::from_secs(5),
        offline_after: Duration::from_secs(30),
        retention: Duration::from_hours(24),
        memory_bytes: 1 << 30,
    });
    for number in 0..8 {
        let mut host = Simulated::new(number);
        let id = fleet.host_id(&host.name().as_str().into()).unwrap();
        fleet.set_facts(id, host.facts());
        fleet.series(id, host.row().series.to_vec()).unwrap();
        let silent_s = if number == 7 { 60 } else { 0 };
        for second in 0..=600 - silent_s {
            let time = UnixMs(NOON + (second - 600) * 1000);
            host.sample(time, SpoolHealth::default());
            let row = Row {
                seq: second as u64 + 1,
                time,
                values: host.row().values.to_vec(),
            };
            fleet.apply(id, RunId(number), &row, time).unwrap();
        }
    }
    fleet.review_states(UnixMs(NOON));
    fleet
}

fn state(theme: Theme, ascii: bool, size: Size) -> State {
    let mut state = State::new(Options {
        theme,
        ascii,
        zone: TimeZone::UTC,
        keys: Keymap::default(),
    });
    state.size = size;
    update(&mut state, Message::Tick(UnixMs(NOON + 200)));
    let connected = Feed::Connected {
        hub: "lan-box".into(),
        version: "0.1.0".into(),
        clock_offset_ms: 0,
    };
    update(&mut state, Message::Feed(connected));
    update(&mut state, Message::Feed(Feed::FleetBegin));
    let sparks = SparkRequest {
        points: SPARK_POINTS,
        step_ms: SPARK_STEP_MS,
        aliases: vec![CPU as u8, RECEIVED as u8],
    };
    for frame in fleet_picture(&fleet(), None, UnixMs(NOON + 200), &sparks) {
        let feed = of_fleet(Reply::Fleet(frame)).unwrap();
        update(&mut state, Message::Feed(feed));
    }
    update(&mut state, Message::Feed(Feed::FleetComplete));
    state
}

fn open(state: &mut State, name: &str) {
    let fleet = fleet();
    let id = fleet.find(name).unwrap();
    state.host = Some(HostView::new(name.into()));
    state.mode = Mode::Host;
    let mut watch = HostWatch::new(id, UnixMs(NOON - WINDOW_MS));
    for reply in watch.updates(&fleet, None) {
        let feed = of_host(reply).unwrap();
        update(state, Message::Feed(feed));
    }
}

fn drawn(state: &State) -> String {
    let area = Rect::new(0, 0, state.size.width, state.size.height);
    let mut buffer = Buffer::empty(area);
    sysmon_tui::view::draw(state, area, &mut buffer);
    plain(&buffer)
}

fn sizes() -> [(u16, u16); 4] {
    [(120, 30), (80, 24), (200, 50), (20, 5)]
}

#[test]
fn the_fleet() {
    for (width, height) in sizes() {
        let state = state(Theme::Dark, false, Size::new(width, height));
        insta::assert_snapshot!(format!("fleet-{width}x{height}"), drawn(&state));
    }
}

#[test]
fn a_host() {
    for (width, height) in sizes() {
        let mut state = state(Theme::Dark, false, Size::new(width, height));
        open(&mut state, "db-1");
        insta::assert_snapshot!(format!("host-{width}x{height}"), drawn(&state));
    }
}

#[test]
fn in_ascii_there_is_nothing_else() {
    let mut state = state(Theme::Mono, true, Size::new(100, 30));
    let fleet = drawn(&state);
    open(&mut state, "web-1");
    let host = drawn(&state);
    state.back.push(Mode::Host);
    state.mode = Mode::Help;
    let help = drawn(&state);
    assert!(fleet.is_ascii() && host.is_ascii() && help.is_ascii());
    insta::assert_snapshot!("fleet-ascii", fleet);
    insta::assert_snapshot!("host-ascii", host);
    insta::assert_snapshot!("help-ascii", help);
}

#[test]
fn the_past_and_a_lost_hub_cannot_be_taken_for_the_present() {
    let mut state = state(Theme::Dark, false, Size::new(120, 20));
    state.at = Some(UnixMs(NOON - 7_200_000));
    let past = drawn(&state);
    assert!(past.lines().next().unwrap().contains("PAST"), "{past}");
    state.at = None;
    let lost = Feed::Lost {
        reason: "no answer".to_owned(),
        retry_in_ms: 3000,
    };
    update(&mut state, Message::Feed(lost));
    let lost = drawn(&state);
    assert!(lost.lines().next().unwrap().contains("hub lost"), "{lost}");
}
