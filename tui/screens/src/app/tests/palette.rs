//! The command palette.

use sysmon_wire::UnixMs;

use super::super::palette::entries;
use super::{Effect, empty, fleet, fleet_at, open_host, press, remark, screen};
use crate::keys::{Action, BINDINGS, Mode};
use crate::testing::fleet_update;
use crate::theme::ThemeName;

fn texts(typed: &str, mode: Mode) -> Vec<String> {
    let mut state = empty();
    let hosts = fleet_update(&[("web-1", 1), ("db-1", 2)]);
    state.screens.fleet.apply(hosts);
    state.context.enter(mode);
    state.context.enter(Mode::Palette);
    state.prompt.input = typed.to_owned();
    entries(&state)
        .into_iter()
        .map(|entry| entry.text)
        .collect()
}

#[test]
fn every_action_of_a_screen_is_a_command() {
    let places = [
        Mode::Fleet,
        Mode::Host,
        Mode::Processes,
        Mode::Process,
        Mode::Top,
        Mode::Changes,
    ];
    for place in places {
        let all = texts("", place);
        for binding in BINDINGS.iter().filter(|b| b.modes.contains(&place)) {
            let name = binding.action.name();
            let is_there = all.iter().any(|text| text == name);
            assert!(
                is_there || binding.action == Action::Palette,
                "{name} in {place:?}"
            );
        }
    }
}

#[test]
fn the_best_match_comes_first() {
    assert_eq!(texts("qu", Mode::Fleet)[0], "quit");
    assert_eq!(texts("db", Mode::Fleet)[0], "host db-1");
    assert_eq!(texts("wha", Mode::Fleet)[0], "changes", "what changed");
    assert_eq!(texts("host w", Mode::Host), ["host web-1"]);
    assert_eq!(texts("theme mo", Mode::Host), ["theme mono"]);
    assert_eq!(texts("SORT mem", Mode::Processes), ["sort memory"]);
    assert_eq!(texts("time -2h", Mode::Fleet), ["time -2h"]);
    let date = "time 2026-05-04T09:00";
    assert_eq!(texts(date, Mode::Fleet), [date]);
    assert!(texts("freeze", Mode::Fleet).contains(&"freeze".to_owned()));
    assert!(texts("pgd", Mode::Fleet).contains(&"page-down".to_owned()));
    assert!(texts("no such thing", Mode::Fleet).is_empty());
    assert!(!texts("", Mode::Host).contains(&"sort COLUMN".to_owned()));
}

#[test]
fn the_list_is_above_the_prompt_at_every_size() {
    let mut state = fleet();
    press(&mut state, ":");
    let text = screen(&state, 80, 24);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[11].starts_with("▌ open"), "{text}");
    assert!(lines[10].starts_with("────"), "{text}");
    assert!(lines[23].starts_with(" : ▏"), "{text}");
    press(&mut state, "\t\t\t\t\t\t\t\t\t\t\t\t");
    assert!(screen(&state, 80, 24).contains('▌'));
    press(&mut state, "quit");
    let text = screen(&state, 20, 5);
    assert!(text.contains("▌ quit"), "{text}");
    press(&mut state, " nothing like it");
    assert!(screen(&state, 80, 24).contains("no matching command"));
    for (width, height) in [(1, 1), (3, 3), (300, 100)] {
        screen(&state, width, height);
    }
}

#[test]
fn the_chosen_command_is_run() {
    let mut state = fleet();
    assert_eq!(press(&mut state, ":quit\n"), [Effect::Quit]);
    press(&mut state, ":cl\n:host b\n");
    assert_eq!(open_host(&state), Some(("b".to_owned(), None)));
    assert_eq!(state.context.modes(), [Mode::Fleet, Mode::Host]);
    press(&mut state, ":time -5m\n");
    assert_eq!(fleet_at(&state), Some(UnixMs(700_000)));
    press(&mut state, ":theme mono\n");
    assert_eq!(state.context.theme_name, ThemeName::Mono);
    press(&mut state, ":fleet of ships\n");
    assert!(remark(&state).contains("no command"));
    assert_eq!(state.context.mode(), Mode::Palette, "to be corrected");
    press(&mut state, "\u{1b}:host nosuch\n");
    assert!(remark(&state).contains("no host"));
    press(&mut state, "\u{1b}");
    assert_eq!((state.context.mode(), &state.remark), (Mode::Host, &None));
}

#[test]
fn a_command_that_needs_a_word_is_completed_and_esc_changes_nothing() {
    let mut state = fleet();
    press(&mut state, ":sort COL\u{1b}:sort cpu\n");
    assert_eq!(state.screens.fleet.sort.name(), "cpu");
    press(&mut state, ":time W\u{1b}:theme N\u{1b}:");
    press(&mut state, "time\n");
    assert_eq!(state.context.mode(), Mode::Palette);
    assert_eq!(state.prompt.input, "time ");
}

#[test]
fn tab_and_arrows_choose_within_the_list() {
    let mut state = fleet();
    press(&mut state, ":host \t\t\t\t\t");
    assert_eq!(state.prompt.chosen, 2);
    press(&mut state, "\n");
    assert_eq!(open_host(&state), Some(("c".to_owned(), None)));
}
