//! Back leads to where one came from: the list, its row and its moment.

use sysmon_wire::UnixMs;
use sysmon_wire::message::{Blob, HostProcess, Reply};
use sysmon_wire::timeline::{Event, EventKind, Timeline};

use super::{State, fleet, fleet_at, open_host, press, reply, tick};
use crate::keys::Mode;
use crate::subscriptions::Topic;
use crate::testing::{change, process};

const NOW: i64 = 1_000_000;

fn timeline(state: &mut State, hosts: &[(&str, i64)]) {
    let event = |(host, time): &(&str, i64)| Event {
        time: UnixMs(*time),
        host: (*host).into(),
        kind: EventKind::Offline,
        text: "".into(),
    };
    let timeline = Timeline {
        from: UnixMs(0),
        step_ms: 10_000,
        oldest: UnixMs(0),
        covered: Blob(vec![1; 100]),
        events: hosts.iter().map(event).collect(),
    };
    reply(state, Topic::Timeline, Reply::Timeline(timeline));
}

fn selected_event(state: &State) -> Option<String> {
    let row = state.screens.events.selected()?;
    Some(row.host().to_string())
}

/// Where one is: the screen, the open host, and the moment.
fn place(state: &State) -> (Mode, Option<String>, Option<i64>) {
    let host = state.context.host_name().map(ToString::to_string);
    (state.context.mode(), host, state.context.at.map(|at| at.0))
}

#[test]
fn from_an_event_back_leads_to_the_list_its_row_and_the_present() {
    let mut state = fleet();
    press(&mut state, "a");
    timeline(
        &mut state,
        &[("a", 700_000), ("b", 800_000), ("c", 900_000)],
    );
    press(&mut state, "j\n");
    let b = Some("b".to_owned());
    assert_eq!(place(&state), (Mode::Host, b.clone(), Some(800_000)));
    // Further in, and through time: each step back leads where it came from.
    press(&mut state, "p<");
    assert_eq!(state.context.mode(), Mode::Processes);
    press(&mut state, "\u{1b}");
    assert_eq!(place(&state), (Mode::Host, b, Some(795_000)));
    press(&mut state, "\u{1b}");
    assert_eq!(place(&state), (Mode::Events, None, None));
    assert_eq!(selected_event(&state).as_deref(), Some("b"));
    assert_eq!((open_host(&state), fleet_at(&state)), (None, None));
    press(&mut state, "\u{1b}");
    assert_eq!(place(&state), (Mode::Fleet, None, None));
}

#[test]
fn the_events_of_a_host_that_was_opened_from_the_events_do_not_lose_the_row() {
    let mut state = fleet();
    press(&mut state, "a");
    timeline(
        &mut state,
        &[("a", 700_000), ("b", 800_000), ("c", 900_000)],
    );
    press(&mut state, "jj\na");
    timeline(&mut state, &[("a", 700_000)]);
    press(&mut state, "\u{1b}\u{1b}");
    assert_eq!(place(&state), (Mode::Events, None, None));
    timeline(
        &mut state,
        &[("a", 700_000), ("b", 800_000), ("c", 900_000)],
    );
    assert_eq!(selected_event(&state).as_deref(), Some("a"));
}

#[test]
fn from_a_change_back_leads_to_the_list_of_changes_also_from_within_another() {
    let mut state = fleet();
    press(&mut state, "w");
    let list = Reply::Changes {
        time: UnixMs(NOW),
        changes: vec![change("b", "x", 0.0, 1.0), change("c", "y", 0.0, 1.0)],
    };
    reply(&mut state, Topic::Changes, list);
    press(&mut state, "j\n");
    assert_eq!(place(&state).1.as_deref(), Some("c"));
    press(&mut state, "w");
    assert_eq!(place(&state).0, Mode::Changes);
    press(&mut state, "\u{1b}");
    assert_eq!(place(&state).0, Mode::Host);
    press(&mut state, "\u{1b}");
    assert_eq!(place(&state), (Mode::Changes, None, None));
    let selected = state.screens.changes.selected();
    assert_eq!(selected.map(|change| change.host.as_str()), Some("c"));
}

#[test]
fn from_the_busiest_processes_back_leads_to_their_list() {
    let mut state = fleet();
    press(&mut state, "p");
    let list = Reply::Top {
        time: UnixMs(5),
        hosts: 2,
        processes: ["a", "b"]
            .map(|host| HostProcess {
                host: host.into(),
                process: process(7, "cc1", 900, 5),
            })
            .to_vec(),
        complete_to: None,
    };
    reply(&mut state, Topic::Top, list);
    press(&mut state, "j\n");
    assert_eq!(place(&state), (Mode::Processes, Some("b".to_owned()), None));
    press(&mut state, "\u{1b}");
    assert_eq!(place(&state), (Mode::Top, None, None));
    assert_eq!(
        state.screens.top.selected().map(|row| row.host.as_str()),
        Some("b")
    );
}

#[test]
fn from_a_comparison_back_leads_to_its_hosts_and_from_the_palette_to_where_it_was_opened() {
    let mut state = fleet();
    press(&mut state, " j c");
    assert_eq!(place(&state).0, Mode::Compare);
    let names = |state: &State| -> Vec<String> {
        let lines = state.screens.compare.lines().iter();
        lines.map(|line| line.host.to_string()).collect()
    };
    let before = names(&state);
    press(&mut state, "\nc");
    assert_ne!(names(&state), before, "the host with its own past");
    press(&mut state, "\u{1b}\u{1b}");
    assert_eq!((place(&state).0, names(&state)), (Mode::Compare, before));
    press(&mut state, ":host c\n");
    assert_eq!(place(&state).1.as_deref(), Some("c"));
    press(&mut state, "\u{1b}");
    assert_eq!(place(&state), (Mode::Compare, None, None));
    press(&mut state, "\u{1b}");
    assert_eq!(place(&state).0, Mode::Fleet);
    // From one host to another, and back to the first.
    press(&mut state, "g\n:host b\n\u{1b}");
    let a = Some("a".to_owned());
    assert_eq!((place(&state).0, place(&state).1), (Mode::Host, a.clone()));
    assert_eq!(open_host(&state).map(|(host, _)| host), a);
}

#[test]
fn crumbs_name_the_way_and_a_click_goes_there() {
    use crate::app::way::{Target, crumb_at, crumbs};
    let mut state = fleet();
    press(&mut state, "\np");
    tick(&mut state, NOW);
    let texts: Vec<String> = crumbs(&state).into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, ["sysmon", "h", "a", "processes"]);
    // ` sysmon ▸ h ▸ a ▸ processes`
    let at = |x| crumb_at(&state, x);
    assert_eq!(
        (at(0), at(1), at(6)),
        (None, Some(Target::Fleet), Some(Target::Fleet))
    );
    assert_eq!(
        (at(10), at(14), at(18)),
        (Some(Target::Fleet), Some(Target::Host), Some(Target::Here))
    );
    crate::app::way::go_to(&mut state, Target::Host);
    assert_eq!(place(&state), (Mode::Host, Some("a".to_owned()), None));
    crate::app::way::go_to(&mut state, Target::Fleet);
    tick(&mut state, NOW);
    assert_eq!((place(&state).0, open_host(&state)), (Mode::Fleet, None));
}
