//! The screen of a host, its panes and its burst.

use sysmon_wire::message::Reply;
use sysmon_wire::metrics::{CPU_UTILIZATION, FS_UTILIZATION};
use sysmon_wire::{RowEncoder, SeriesTable, UnixMs};

use super::super::output::records;
use super::{fleet, press, reply, screen, tick, update};
use crate::app::{Effect, Message};
use crate::host::Pane;
use crate::keys::Mode;
use crate::subscriptions::{Change, Topic};

#[test]
fn the_focused_pane_is_maximized_and_restored() {
    let mut state = fleet();
    press(&mut state, "\n\n");
    assert_eq!(
        state.context.mode(),
        Mode::Processes,
        "processes have it at first"
    );
    press(&mut state, "\u{1b}\t\tz");
    assert_eq!(
        (state.context.mode(), state.screens.host.panes.focus),
        (Mode::Pane, Pane::Pressure)
    );
    assert!(screen(&state, 80, 24).contains("PRESSURE ── loading"));
    press(&mut state, "\t");
    assert_eq!(
        (state.context.mode(), state.screens.host.panes.focus),
        (Mode::Pane, Pane::Filesystems)
    );
    press(&mut state, "\u{1b}");
    assert_eq!(
        (state.context.mode(), state.screens.host.panes.focus),
        (Mode::Host, Pane::Filesystems)
    );
}

#[test]
fn a_pane_is_exported_as_its_table() {
    let mut state = fleet();
    press(&mut state, "\n");
    let host = state.context.host.as_mut().unwrap();
    let keys = [
        FS_UTILIZATION.series(&[("system.filesystem.mountpoint", "/")]),
        CPU_UTILIZATION.series(&[]),
    ];
    host.add_series(&SeriesTable::new(&keys)).unwrap();
    let mut block = Vec::new();
    RowEncoder::new().encode(1, UnixMs(1000), &[500, 250], &mut block);
    host.add_rows(true, &block).unwrap();
    state.context.enter(Mode::Pane);
    state.screens.host.panes.go(Pane::Filesystems);
    let csv = records(&state).to_csv();
    let head = "name,system.filesystem.utilization,system.filesystem.usage.used,";
    assert!(csv.starts_with(head), "{csv}");
    assert!(csv.contains("\r\n/,0.5,,"), "{csv}");
    // Only columns on screen are sorted by.
    press(&mut state, "ss");
    assert_eq!(state.screens.host.panes.sort, Some(1));
    press(&mut state, "s");
    assert_eq!(state.screens.host.panes.sort, None);
    state.screens.host.panes.go(Pane::Cpu);
    let csv = records(&state).to_csv();
    assert_eq!(csv, "name,value\r\nbusy,0.25\r\n");
}

#[test]
fn a_burst_is_requested_once_and_ends_when_its_screen_is_left() {
    let mut state = fleet();
    press(&mut state, "\nb");
    assert_eq!(state.context.mode(), Mode::Burst);
    assert!(state.request(Topic::Burst).is_some());
    let key = |c| {
        Message::Key(crossterm::event::KeyEvent::from(
            crossterm::event::KeyCode::Char(c),
        ))
    };
    let is_open = |effect: &Effect| matches!(effect, Effect::Hub(Change::Open { .. }));
    let again = update(&mut state, key('b'));
    assert!(!again.iter().any(is_open), "it is still running");
    tick(&mut state, 1_061_000);
    let again = update(&mut state, key('b'));
    assert!(again.iter().any(is_open), "it has ended");
    press(&mut state, "\u{1b}");
    assert_eq!(state.request(Topic::Burst), None);
    assert_eq!(state.context.mode(), Mode::Host);
    press(&mut state, "b");
    let reason = "too many bursts".into();
    reply(&mut state, Topic::Burst, Reply::Refused { reason });
    assert_eq!(state.screens.burst.asked, None);
    assert!(state.context.host.as_ref().unwrap().refused.is_none());
    assert!(screen(&state, 80, 24).contains("too many bursts"));
}

#[test]
fn in_the_past_no_burst_is_requested() {
    let mut state = fleet();
    press(&mut state, "\n<b");
    assert_eq!(state.context.mode(), Mode::Burst);
    assert_eq!(state.request(Topic::Burst), None);
}
