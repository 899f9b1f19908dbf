//! What is at hand: problems one after the other, values, links, saved filters, the bell.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use sysmon_wire::UnixMs;
use sysmon_wire::message::{AlertLine, FleetUpdate, Reply, Severity};

use super::{
    Effect, Message, State, deliver, fleet, fleet_at, press, remark, reply, screen, tick, update,
};
use crate::keys::Mode;
use crate::subscriptions::Topic;
use crate::testing::fleet_update;

/// Four hosts, of which two have a firing alert.
fn update_with_alerts(alerted: &[&str]) -> FleetUpdate {
    let mut all = fleet_update(&[("a", 100), ("b", 200), ("c", 300), ("d", 400)]);
    for line in &mut all.lines {
        if alerted.contains(&line.name.as_str()) {
            line.alerts = vec![AlertLine {
                rule: "hot".into(),
                severity: Severity::Critical,
                since: UnixMs(5),
                metric: "".into(),
                summary: "".into(),
                acknowledged: None,
                silenced: None,
            }];
        }
    }
    all
}

fn with_alerts(alerted: &[&str]) -> State {
    let mut state = fleet();
    let all = Reply::Fleet(update_with_alerts(alerted));
    deliver(&mut state, Topic::Fleet, Some(all), true);
    reply(&mut state, Topic::Fleet, Reply::Complete);
    state
}

fn selected(state: &State) -> String {
    let host = state.screens.fleet.selected();
    host.map(|host| host.line.name.to_string())
        .unwrap_or_default()
}

#[test]
fn n_goes_from_problem_to_problem_in_the_fleet_and_on_a_host() {
    let mut state = with_alerts(&["b", "d"]);
    press(&mut state, ":sort name\n");
    let mut at = Vec::new();
    for key in ["n", "n", "n", "N"] {
        press(&mut state, key);
        at.push(selected(&state));
    }
    assert_eq!(at, ["b", "d", "b", "d"]);
    press(&mut state, "\npn");
    let host = state.context.host_name().map(ToString::to_string);
    assert_eq!(
        (host.as_deref(), state.context.mode()),
        (Some("b"), Mode::Processes)
    );
    press(&mut state, "\u{1b}\u{1b}");
    assert_eq!(state.context.mode(), Mode::Fleet);
    let mut quiet = with_alerts(&[]);
    press(&mut quiet, "n");
    assert_eq!(remark(&quiet), "no host has a firing alert");
}

#[test]
fn control_and_an_arrow_travel_by_minutes() {
    let mut state = fleet();
    let mut arrow = |code| {
        let key = KeyEvent::new(code, KeyModifiers::CONTROL);
        update(&mut state, Message::Key(key));
        fleet_at(&state)
    };
    assert_eq!(arrow(KeyCode::Left), Some(UnixMs(940_000)));
    assert_eq!(arrow(KeyCode::Left), Some(UnixMs(880_000)));
    assert_eq!(arrow(KeyCode::Right), Some(UnixMs(940_000)));
}

#[test]
fn most_memory_is_two_keys_and_sorting_shows_the_top() {
    let mut state = with_alerts(&[]);
    press(&mut state, "jjss");
    assert_eq!(state.screens.fleet.sort.name(), "memory");
    assert_eq!(
        (state.screens.fleet.selected_at(), state.screens.fleet.top),
        (Some(0), 0)
    );
}

#[test]
fn y_copies_the_row_and_again_the_value() {
    let mut state = with_alerts(&[]);
    press(&mut state, "s");
    let copied = |effects: Vec<Effect>| match effects.as_slice() {
        [Effect::Copy(text)] => text.clone(),
        other => panic!("{other:?}"),
    };
    let row = copied(press(&mut state, "y"));
    assert!(row.starts_with("d  live  cpu 40"), "{row}");
    let value = copied(press(&mut state, "y"));
    assert!(value.starts_with("40"), "{value}");
    assert!(
        remark(&state).starts_with("copied cpu of d: 40"),
        "{}",
        remark(&state)
    );
    press(&mut state, "j");
    assert!(
        copied(press(&mut state, "y")).starts_with("c  live"),
        "another row"
    );
}

#[test]
fn the_link_names_hub_host_and_moment_and_opens_there() {
    let mut state = fleet();
    state.hub_address = "lan-box:7979".to_owned();
    press(&mut state, "\n<");
    let link = "sysmon-tui --hub lan-box:7979 --host a --at 995000";
    let copied = press(&mut state, "Y");
    assert_eq!(copied, [Effect::Copy(link.to_owned())]);
    let mut other = fleet();
    other.opens = Some((Some("a".into()), Some(UnixMs(995_000))));
    reply(&mut other, Topic::Fleet, Reply::Complete);
    let host = other.context.host_name().map(ToString::to_string);
    assert_eq!(
        (host.as_deref(), other.context.at),
        (Some("a"), Some(UnixMs(995_000)))
    );
    let mut wrong = fleet();
    wrong.opens = Some((Some("x".into()), None));
    reply(&mut wrong, Topic::Fleet, Reply::Complete);
    assert_eq!(remark(&wrong), "there is no host \"x\"");
}

#[test]
fn saved_filters_and_hosts_of_a_pattern_are_in_the_palette() {
    let mut state = with_alerts(&[]);
    press(&mut state, ":filter web\n");
    assert_eq!(state.screens.fleet.filter, "#web");
    press(&mut state, "\u{1b}:compare *\n");
    assert_eq!(state.context.mode(), Mode::Compare);
    assert_eq!(state.screens.compare.lines().len(), 4);
}

#[test]
fn without_marks_what_is_filtered_is_compared_and_that_is_said() {
    let mut state = with_alerts(&[]);
    press(&mut state, "/a or b\nc");
    let hosts: Vec<_> = state
        .screens
        .compare
        .lines()
        .iter()
        .map(|line| line.host.as_str())
        .collect();
    assert_eq!(hosts.len(), 2, "{hosts:?}");
    assert!(
        remark(&state).contains("the 2 hosts of the filter"),
        "{}",
        remark(&state)
    );
}

#[test]
fn a_burst_of_the_selected_host_is_one_key_away() {
    let mut state = fleet();
    press(&mut state, "jb");
    assert_eq!(state.context.mode(), Mode::Burst);
    assert_eq!(
        state
            .context
            .host_name()
            .map(ToString::to_string)
            .as_deref(),
        Some("b")
    );
    press(&mut state, "\u{1b}");
    assert_eq!(state.context.mode(), Mode::Host);
}

#[test]
fn a_pinned_host_stays_at_the_top() {
    let mut state = with_alerts(&["b"]);
    press(&mut state, ":sort cpu\n");
    assert_eq!(selected(&state), "d");
    press(&mut state, "jjP");
    let first = |state: &State| {
        state
            .screens
            .fleet
            .shown()
            .next()
            .unwrap()
            .line
            .name
            .to_string()
    };
    assert_eq!(first(&state), "b");
    press(&mut state, ":sort name\n");
    assert_eq!(first(&state), "b");
    press(&mut state, "P");
    assert_eq!(first(&state), "a");
}

#[test]
fn a_pinned_host_has_a_sign() {
    let mut state = with_alerts(&[]);
    press(&mut state, ":sort name\njP");
    let lines = screen(&state, 100, 20);
    assert!(
        lines.lines().any(|line| line.starts_with("▌↥ b")),
        "{lines}"
    );
    press(&mut state, "P");
    assert!(!screen(&state, 100, 20).contains('↥'));
}

#[test]
fn a_new_user_is_told_the_first_keys_until_one_is_pressed() {
    let mut state = with_alerts(&[]);
    state.greet();
    let greeting =
        "⏎ opens a host   ← goes back in time   : finds everything   ? explains the screen";
    assert_eq!(remark(&state), greeting);
    assert!(screen(&state, 100, 20).contains(greeting));
    press(&mut state, "j");
    assert!(!screen(&state, 100, 20).contains("opens a host"));
    state.greet();
    let later = state.context.now.0 + 61_000;
    tick(&mut state, later);
    assert_eq!(state.remark, None);
}

#[test]
fn a_wrong_time_is_explained_in_full() {
    let mut state = fleet();
    press(&mut state, "txyz\n");
    let said = remark(&state).to_owned();
    assert!(screen(&state, 140, 24).contains(&said), "{said}");
}

#[test]
fn the_bell_rings_for_a_new_critical_alert_and_not_for_those_of_the_first_picture() {
    let mut state = with_alerts(&["b"]);
    let rings = |state: &mut State, update: FleetUpdate| {
        let effects = deliver(state, Topic::Fleet, Some(Reply::Fleet(update)), false);
        effects.into_iter().find_map(|effect| match effect {
            Effect::Ring(text) => Some(text),
            _ => None,
        })
    };
    assert_eq!(rings(&mut state, update_with_alerts(&["b"])), None);
    let said = rings(&mut state, update_with_alerts(&["b", "d"]));
    assert_eq!(said.as_deref(), Some("critical: hot on d"));
    assert_eq!(
        rings(&mut state, update_with_alerts(&["b", "d"])),
        None,
        "once"
    );
    let mut taken = update_with_alerts(&["a", "b", "d"]);
    taken.lines[0].alerts[0].silenced = Some("load test".into());
    assert_eq!(rings(&mut state, taken), None, "silenced");
}
