//! What keys, the mouse, time and the hub do to the screen.

mod compare;
mod fleet;
mod host;
mod linear;
mod mouse;
mod navigation;
mod operations;
mod output;
mod palette;
mod prompts;
mod reach;
mod reading;
mod top;
mod way;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use sysmon_config::{Column, Order};
use sysmon_wire::message::{Reply, Request};
use sysmon_wire::{Process, UnixMs};

use super::{Effect, Message, Options, State, deliver, draw, update};
use crate::feed::HubEvent;
use crate::keys::{Keymap, Mode};
use crate::subscriptions::Topic;
use crate::testing::fleet_update;
use crate::theme::ThemeName;

/// An empty screen.
fn empty() -> State {
    State::new(Options {
        theme: ThemeName::Dark,
        ascii: false,
        zone: TimeZone::UTC,
        keys: Keymap::default(),
        sort: Order::default(),
        columns: Column::all(),
        filters: vec![("web".to_owned(), "#web".to_owned())],
        pinned: Vec::new(),
        bell: true,
        colours: Vec::new(),
    })
}

fn connect(state: &mut State) {
    let connected = HubEvent::Connected {
        hub: "h".into(),
        clock_offset_ms: 0,
    };
    update(state, Message::Hub(connected));
}

/// Three hosts, connected, at second 1000.
fn fleet() -> State {
    let mut state = empty();
    tick(&mut state, 1_000_000);
    connect(&mut state);
    let hosts = fleet_update(&[("a", 100), ("b", 200), ("c", 300)]);
    reply(&mut state, Topic::Fleet, Reply::Fleet(hosts));
    state
}

/// A reply that is not the first.
fn reply(state: &mut State, topic: Topic, reply: Reply) {
    deliver(state, topic, Some(reply), false);
}

fn processes(state: &mut State, processes: Vec<Process>) {
    let list = Reply::Processes {
        time: UnixMs(5),
        all: true,
        processes,
    };
    reply(state, Topic::HostProcesses, list);
}

fn tick(state: &mut State, ms: i64) {
    update(state, Message::Tick(UnixMs(ms)));
}

/// Presses keys one after the other; what the last one did apart from requests.
fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            '\u{8}' => KeyCode::Backspace,
            '<' => KeyCode::Left,
            '>' => KeyCode::Right,
            c => KeyCode::Char(c),
        };
        let (code, modifiers) = match code {
            KeyCode::Char('\u{15}') => (KeyCode::Char('u'), KeyModifiers::CONTROL),
            code => (code, KeyModifiers::NONE),
        };
        effects = update(state, Message::Key(KeyEvent::new(code, modifiers)));
    }
    effects.retain(|effect| !matches!(effect, Effect::Hub(_)));
    effects
}

/// The screen as text.
fn screen(state: &State, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw(state, area, &mut buffer);
    crate::text::plain(&buffer)
}

fn remark(state: &State) -> &str {
    state.remark.as_ref().map_or("", |(text, _)| text)
}

/// The open host and the moment that its rows are requested of.
fn open_host(state: &State) -> Option<(String, Option<UnixMs>)> {
    match state.request(Topic::Host)? {
        Request::Host { host, until, .. } => Some((host.to_string(), *until)),
        other => panic!("{other:?}"),
    }
}

/// The moment that the fleet is requested of.
fn fleet_at(state: &State) -> Option<UnixMs> {
    match state.request(Topic::Fleet) {
        Some(Request::Fleet { at, .. }) => *at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_a_new_second_is_worth_a_frame() {
    let mut state = fleet();
    state.is_dirty = false;
    tick(&mut state, 1_000_400);
    assert!(!state.is_dirty);
    tick(&mut state, 1_001_000);
    assert!(state.is_dirty);
}

#[test]
fn a_new_picture_replaces_the_old_one_only_when_it_is_complete() {
    let mut state = fleet();
    press(&mut state, "jj");
    let first = Reply::Fleet(fleet_update(&[("a", 1)]));
    deliver(&mut state, Topic::Fleet, Some(first), true);
    assert_eq!(state.screens.fleet.shown_len(), 3);
    let rest = fleet_update(&[("b", 1), ("c", 1)]);
    reply(&mut state, Topic::Fleet, Reply::Fleet(rest));
    reply(&mut state, Topic::Fleet, Reply::Complete);
    assert_eq!(state.screens.fleet.selected().unwrap().line.name, "c");
}

#[test]
fn the_header_shows_that_the_hub_is_unreachable() {
    let mut state = fleet();
    let lost = HubEvent::Lost {
        reason: "no answer".to_owned(),
        retry_in_ms: 3000,
    };
    update(&mut state, Message::Hub(lost));
    assert!(screen(&state, 120, 20).contains("HUB UNREACHABLE"));
    assert!(state.request(Topic::Fleet).is_some());
    connect(&mut state);
    assert!(state.request(Topic::Fleet).is_some());
    assert_eq!(state.context.mode(), Mode::Fleet);
}

#[test]
fn a_hub_that_was_never_reached_is_connecting_and_has_no_recorded_time() {
    let mut state = empty();
    tick(&mut state, 1_000_000);
    let lost = HubEvent::Lost {
        reason: "no answer from h:7979".to_owned(),
        retry_in_ms: 3000,
    };
    update(&mut state, Message::Hub(lost));
    let text = screen(&state, 120, 30);
    assert!(!text.contains("UNREACHABLE"), "{text}");
    assert!(text.contains("Connecting; next try in 3 s"), "{text}");
    assert!(text.contains("no answer from h:7979"), "{text}");
    assert!(!text.contains("fleet cpu"), "{text}");
}

#[test]
fn a_screen_of_any_size_is_drawn_clicked_and_scrolled() {
    let sizes = [
        (1, 1),
        (3, 2),
        (2, 40),
        (300, 1),
        (20, 5),
        (181, 28),
        (99, 13),
    ];
    for (width, height) in sizes {
        let mut state = fleet();
        update(&mut state, Message::Resize(Size::new(width, height)));
        for keys in [
            "",
            "\n",
            "z",
            "\u{1b}p",
            "\u{1b}w",
            "\u{1b}a",
            "\u{1b}\u{1b}c",
            "\u{1b}b",
            "?",
        ] {
            press(&mut state, keys);
            tick(&mut state, 1_002_000);
            screen(&state, width, height);
            for (x, y) in [(0, 0), (0, height - 1), (width - 1, height / 2)] {
                let event = crossterm::event::MouseEvent {
                    kind: crossterm::event::MouseEventKind::Down(
                        crossterm::event::MouseButton::Left,
                    ),
                    column: x,
                    row: y,
                    modifiers: KeyModifiers::NONE,
                };
                update(&mut state, Message::Mouse(event));
            }
            press(&mut state, "jjk");
            screen(&state, width, height);
        }
    }
}
