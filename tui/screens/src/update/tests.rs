//! What keys, the mouse, time and the hub do to the screen.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Size;
use sysmon_wire::{Label, UnixMs};

use super::travel::STEP_MS;
use super::{Effect, Message, update};
use crate::keys::Mode;
use crate::state::{Feed, State};
use crate::testing::{fleet, fleet_update, press, process, state};
use crate::view::fleet::FIRST_ROW;

#[test]
fn a_change_is_gone_to_at_the_moment_it_began() {
    let mut state = state();
    state.now = UnixMs(900_000);
    update(
        &mut state,
        Message::Feed(Feed::Fleet(fleet_update(&[("a", 1)]))),
    );
    let asked = press(&mut state, "w");
    assert_eq!(
        asked,
        [Effect::AskChanges {
            host: None,
            at: None
        }]
    );
    assert_eq!(press(&mut state, "\n"), [], "nothing has come yet");
    let mut change = crate::testing::change("a", "system.cpu.utilization", 0.1, 0.9);
    change.began = UnixMs(500_000);
    let feed = Feed::Changes {
        time: UnixMs(900_000),
        changes: vec![crate::testing::change("b", "x", 0.0, 1.0), change],
    };
    update(&mut state, Message::Feed(feed));
    press(&mut state, "j");
    let effects = press(&mut state, "\n");
    assert_eq!(
        effects[0],
        Effect::WatchFleet {
            at: Some(UnixMs(500_000))
        }
    );
    let Effect::OpenHost { name, until, .. } = &effects[1] else {
        panic!("{effects:?}")
    };
    assert_eq!((name.as_str(), *until), ("a", Some(UnixMs(500_000))));
    assert_eq!(state.mode, Mode::Host);
    // From there the list is of this host and this moment, and follows it.
    let host = Some(Label::new("a"));
    let at = Some(UnixMs(500_000));
    assert_eq!(
        press(&mut state, "w"),
        [Effect::AskChanges {
            host: host.clone(),
            at
        }]
    );
    let at = Some(UnixMs(500_000 - STEP_MS));
    assert!(press(&mut state, "<").contains(&Effect::AskChanges { host, at }));
}

#[test]
fn a_host_is_opened_and_left_again() {
    let mut state = fleet();
    let effects = press(&mut state, "j\n");
    let want = Effect::OpenHost {
        name: "b".into(),
        from: UnixMs(400_000),
        until: None,
    };
    assert_eq!((effects, state.mode), (vec![want], Mode::Host));
    assert_eq!(press(&mut state, "\u{1b}"), [Effect::CloseHost]);
    assert_eq!(state.mode, Mode::Fleet);
    assert_eq!(press(&mut state, "q"), [Effect::Quit]);
}

#[test]
fn the_past_is_shown_on_every_screen_until_now_is_wanted() {
    let mut state = fleet();
    press(&mut state, "\n");
    let effects = press(&mut state, "<");
    let at = UnixMs(995_000);
    assert_eq!(effects[0], Effect::WatchFleet { at: Some(at) });
    assert!(matches!(&effects[1], Effect::OpenHost { until: Some(u), .. } if *u == at));
    assert_eq!(state.moment(), at);
    press(&mut state, ">");
    let effects = press(&mut state, ">");
    assert_eq!(
        effects[0],
        Effect::WatchFleet { at: None },
        "past now is now"
    );
}

#[test]
fn a_time_can_be_typed_and_what_is_none_is_told() {
    let mut state = fleet();
    let effects = press(&mut state, "t-5m\n");
    assert_eq!(
        effects,
        [Effect::WatchFleet {
            at: Some(UnixMs(700_000))
        }]
    );
    press(&mut state, "tsoon\n");
    assert!(state.remark.as_ref().unwrap().0.contains("is not a time"));
    assert_eq!(state.at, Some(UnixMs(700_000)));
}

#[test]
fn the_filter_follows_what_is_typed() {
    let mut state = fleet();
    press(&mut state, "/c");
    assert_eq!((state.mode, state.fleet.shown_len()), (Mode::Filter, 1));
    press(&mut state, "\n");
    assert_eq!((state.mode, state.fleet.shown_len()), (Mode::Fleet, 1));
    press(&mut state, "\u{1b}");
    assert_eq!(state.fleet.shown_len(), 3);
}

#[test]
fn processes_are_a_screen_of_their_own_with_a_filter_of_their_own() {
    let mut state = fleet();
    press(&mut state, "\np");
    let processes = vec![process(7, "cc1", 900, 5), process(8, "make", 1, 9)];
    let feed = Feed::Processes {
        time: UnixMs(5),
        all: true,
        processes,
    };
    update(&mut state, Message::Feed(feed));
    assert_eq!(state.mode, Mode::Processes);
    press(&mut state, "/mak\n");
    assert_eq!(state.processes.shown().count(), 1);
    assert_eq!(
        (state.mode, state.fleet.filter.as_str()),
        (Mode::Processes, "")
    );
    press(&mut state, "s");
    assert_eq!(state.processes.sort.name(), "memory");
    assert_eq!(press(&mut state, "\u{1b}"), []);
    assert_eq!(state.mode, Mode::Host);
    assert_eq!(press(&mut state, "\u{1b}"), [Effect::CloseHost]);
    assert!(state.processes.is_empty());
}

#[test]
fn esc_at_the_filter_brings_back_the_one_before() {
    let mut state = fleet();
    press(&mut state, "/c\n/b");
    assert_eq!(state.fleet.filter, "cb");
    press(&mut state, "\u{1b}");
    assert_eq!(
        (state.fleet.filter.as_str(), state.mode),
        ("c", Mode::Fleet)
    );
}

#[test]
fn a_new_picture_takes_the_place_of_the_old_only_when_it_is_whole() {
    let mut state = fleet();
    press(&mut state, "jj");
    let feed = |state: &mut State, feed| update(state, Message::Feed(feed));
    feed(&mut state, Feed::FleetBegin);
    feed(&mut state, Feed::Fleet(fleet_update(&[("a", 1)])));
    assert_eq!(state.fleet.shown_len(), 3);
    feed(&mut state, Feed::Fleet(fleet_update(&[("b", 1), ("c", 1)])));
    feed(&mut state, Feed::FleetComplete);
    assert_eq!(state.fleet.selected().unwrap().line.name, "c");
}

#[test]
fn help_is_left_the_way_it_was_called_and_scrolls_by_itself() {
    let mut state = fleet();
    update(&mut state, Message::Resize(Size::new(80, 10)));
    press(&mut state, "?G");
    let last = state.help_scroll;
    assert!(last > 0);
    press(&mut state, "k");
    assert_eq!(
        state.help_scroll,
        last - 1,
        "the end is where the last line is"
    );
    press(&mut state, "?");
    assert_eq!((state.mode, state.host_scroll), (Mode::Fleet, 0));
}

#[test]
fn only_a_new_second_is_worth_a_frame() {
    let mut state = fleet();
    state.dirty = false;
    update(&mut state, Message::Tick(UnixMs(1_000_400)));
    assert!(!state.dirty);
    update(&mut state, Message::Tick(UnixMs(1_001_000)));
    assert!(state.dirty);
}

#[test]
fn a_click_selects_and_another_opens() {
    let mut state = fleet();
    let click = || {
        Message::Mouse(MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column: 5,
            row: FIRST_ROW + 2,
            modifiers: KeyModifiers::NONE,
        })
    };
    assert_eq!(update(&mut state, click()), []);
    assert_eq!(state.fleet.selected().unwrap().line.name, "c");
    assert!(matches!(
        &update(&mut state, click())[..],
        [Effect::OpenHost { .. }]
    ));
}

#[test]
fn what_was_mistyped_stays_to_be_mended_and_what_was_told_goes_with_the_next_key() {
    let mut state = fleet();
    press(&mut state, "tsoon\n");
    assert_eq!((state.mode, state.input.as_str()), (Mode::Time, "soon"));
    assert!(state.remark.is_some());
    press(&mut state, "x");
    assert_eq!(state.remark, None);
    press(&mut state, "\u{1b}e");
    assert_eq!(state.mode, Mode::Export);
    press(&mut state, "a.csv");
    assert_eq!(state.input, "a.csv", "what was proposed has made room");
}
