//! Clicks.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use sysmon_config::Column;
use sysmon_wire::UnixMs;
use sysmon_wire::message::{HostProcess, Reply};

use super::{Effect, Message, fleet, open_host, press, processes, reply, screen, update};
use crate::app::State;
use crate::fleet::first_row;
use crate::keys::Mode;
use crate::subscriptions::Topic;
use crate::testing::{change, process};

/// Clicks on a cell; what that did apart from requests.
fn click(state: &mut State, column: u16, row: u16) -> Vec<Effect> {
    let event = MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column,
        row,
        modifiers: KeyModifiers::NONE,
    };
    let mut effects = update(state, Message::Mouse(event));
    effects.retain(|effect| !matches!(effect, Effect::Hub(_)));
    effects
}

/// Clicks on the first letter of a word of the screen.
fn click_on(state: &mut State, word: &str) -> Vec<Effect> {
    let text = screen(state, state.context.size.width, state.context.size.height);
    let (row, line) = text
        .lines()
        .enumerate()
        .find(|(_, line)| line.contains(word))
        .unwrap();
    let column = line.split(word).next().unwrap().chars().count();
    click(state, column as u16, row as u16)
}

#[test]
fn a_heading_sorts_and_then_reverses_the_order() {
    let mut state = fleet();
    click_on(&mut state, "CPU");
    assert_eq!(
        (state.screens.fleet.sort.name(), state.screens.fleet.reverse),
        ("cpu", false)
    );
    click_on(&mut state, "CPU");
    assert!(state.screens.fleet.reverse);
    click_on(&mut state, "LOAD");
    assert_eq!(
        (state.screens.fleet.sort.name(), state.screens.fleet.reverse),
        ("load", false)
    );
    click_on(&mut state, "HOST");
    assert_eq!(state.screens.fleet.sort.name(), "name");
    state.context.size.width = 160;
    click_on(&mut state, "WRITE");
    assert_eq!(state.screens.fleet.sort.name(), "disk.write");
    press(&mut state, "s");
    assert_eq!(state.screens.fleet.sort.name(), "worst");
    press(&mut state, "s");
    assert_eq!(state.screens.fleet.sort.name(), "cpu");
}

#[test]
fn a_click_on_the_selected_group_folds_it_and_one_on_a_column_hides_it() {
    let mut state = fleet();
    press(&mut state, "#j");
    click_on(&mut state, "untagged");
    assert_eq!(
        state.screens.fleet.selected_group().unwrap().name(),
        "untagged"
    );
    assert_eq!(state.screens.fleet.rows_len(), 4);
    click_on(&mut state, "untagged");
    assert_eq!(state.screens.fleet.rows_len(), 1);
    press(&mut state, "|");
    click_on(&mut state, "fullest");
    assert!(!state.screens.fleet.columns.contains(&Column::Filesystem));
    assert_eq!(state.context.mode(), Mode::Columns);
}

#[test]
fn a_word_of_the_footer_performs_its_action() {
    let mut state = fleet();
    click_on(&mut state, "help");
    assert_eq!(state.context.mode(), Mode::Help);
    click_on(&mut state, "Esc back");
    assert_eq!(state.context.mode(), Mode::Fleet);
    press(&mut state, "/a");
    click_on(&mut state, "cancel");
    assert_eq!(
        (state.context.mode(), state.screens.fleet.filter.as_str()),
        (Mode::Fleet, "")
    );
    click_on(&mut state, ": all");
    assert_eq!(state.context.mode(), Mode::Palette);
}

#[test]
fn a_sign_marks_its_host_and_a_chart_is_selected() {
    let mut state = fleet();
    let first = first_row(&state.screens.fleet, &state.context);
    for row in [first + 1, first + 2] {
        click(&mut state, 1, row);
    }
    let marked: Vec<_> = state
        .screens
        .fleet
        .marked()
        .map(ToString::to_string)
        .collect();
    assert_eq!(marked, ["b", "c"]);
    press(&mut state, "c");
    click_on(&mut state, "c  ");
    assert_eq!(state.screens.compare.selected().unwrap().host, "c");
    press(&mut state, "\u{1b}");
    click(&mut state, 1, first + 1);
    assert!(!state.screens.fleet.is_marked(&"b".into()));
}

#[test]
fn the_busiest_of_all_hosts_are_sorted_selected_and_opened() {
    let mut state = fleet();
    press(&mut state, "p");
    let row = |host: &str, pid| HostProcess {
        host: host.into(),
        process: process(pid, "cc1", 900, 5),
    };
    let top = Reply::Top {
        time: UnixMs(5),
        hosts: 2,
        processes: vec![row("one", 7), row("two", 8)],
        complete_to: None,
    };
    reply(&mut state, Topic::Top, top);
    click_on(&mut state, "MEM");
    assert_eq!(
        (state.screens.top.sort.name(), state.screens.top.reverse),
        ("memory", false)
    );
    click_on(&mut state, "MEM");
    assert!(state.screens.top.reverse);
    click_on(&mut state, "two ");
    assert_eq!(state.screens.top.selected().unwrap().host, "two");
    click_on(&mut state, "two ");
    assert_eq!(state.context.mode(), Mode::Processes);
    assert_eq!(state.context.host.as_ref().unwrap().name, "two");
}

#[test]
fn rows_of_lists_are_selected() {
    let mut state = fleet();
    press(&mut state, "\np");
    processes(
        &mut state,
        vec![process(7, "cc1", 900, 5), process(8, "make", 1, 9)],
    );
    click_on(&mut state, "make");
    assert_eq!(state.screens.processes.selected().unwrap().identity.pid, 8);
    click_on(&mut state, "make");
    assert_eq!(state.context.mode(), Mode::Process);
    press(&mut state, "h");
    click_on(&mut state, "MEM");
    assert_eq!(state.screens.processes.sort.name(), "memory");
    click_on(&mut state, "COMMAND");
    assert_eq!(state.screens.processes.sort.name(), "command");
    press(&mut state, "w");
    let changes = vec![change("a", "x", 0.0, 1.0), change("b", "y", 0.0, 1.0)];
    let time = UnixMs(5);
    reply(&mut state, Topic::Changes, Reply::Changes { time, changes });
    click_on(&mut state, "y ");
    assert_eq!(state.screens.changes.selected_at(), 1);
}

#[test]
fn a_click_selects_and_another_opens() {
    let mut state = fleet();
    let first = first_row(&state.screens.fleet, &state.context);
    click(&mut state, 5, first + 2);
    assert_eq!(state.screens.fleet.selected().unwrap().line.name, "c");
    click(&mut state, 5, first + 2);
    assert_eq!(open_host(&state), Some(("c".to_owned(), None)));
}
