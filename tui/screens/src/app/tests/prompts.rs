//! What is typed, and the footer.

use super::{connect, empty, fleet, press, screen};
use crate::keys::{BINDINGS, Keymap, Mode};

#[test]
fn the_filter_follows_what_is_typed() {
    let mut state = fleet();
    press(&mut state, "/c");
    assert_eq!(state.context.mode(), Mode::Filter);
    assert_eq!(state.screens.fleet.shown_len(), 1);
    press(&mut state, "\n");
    assert_eq!(state.context.mode(), Mode::Fleet);
    assert_eq!(state.screens.fleet.shown_len(), 1);
    press(&mut state, "\u{1b}");
    assert_eq!(state.screens.fleet.shown_len(), 3);
}

#[test]
fn esc_restores_the_filter_before() {
    let mut state = fleet();
    press(&mut state, "/c\n/b");
    assert_eq!(state.screens.fleet.filter, "cb");
    press(&mut state, "\u{1b}");
    assert_eq!(state.screens.fleet.filter, "c");
    assert_eq!(state.context.mode(), Mode::Fleet);
}

#[test]
fn invalid_input_stays_and_a_remark_goes_with_the_next_key() {
    let mut state = fleet();
    press(&mut state, "tsoon\n");
    assert_eq!(state.context.mode(), Mode::Time);
    assert_eq!(state.prompt.input, "soon");
    assert!(state.remark.is_some());
    press(&mut state, "x");
    assert_eq!(state.remark, None);
    press(&mut state, "\u{1b}e");
    assert_eq!(state.context.mode(), Mode::Export);
    press(&mut state, "a.csv");
    assert_eq!(state.prompt.input, "a.csv", "typing replaces the proposal");
}

#[test]
fn an_invalid_regular_expression_is_reported_while_it_is_typed() {
    let mut state = fleet();
    press(&mut state, "p/a(");
    assert!(screen(&state, 80, 24).contains("a(▏   not a regular expression"));
    press(&mut state, "b)");
    assert!(!screen(&state, 80, 24).contains("not a regular expression"));
}

#[test]
fn the_end_of_a_long_input_is_visible() {
    let mut state = fleet();
    press(&mut state, "e");
    let text = screen(&state, 20, 5);
    let last = text.lines().last().unwrap();
    assert!(last.ends_with("16-40.svg▏"), "{text}");
    assert!(screen(&state, 120, 24).contains("save as"));
}

#[test]
fn the_footer_explains_the_filter() {
    let mut state = fleet();
    press(&mut state, "/");
    assert!(screen(&state, 80, 24).contains("#tag  is:alert  !not"));
    press(&mut state, "b !is:o");
    let text = screen(&state, 80, 24);
    assert!(text.contains("b and not offline: 1 of 3   ⏎ OK"), "{text}");
    press(&mut state, "x");
    assert!(screen(&state, 120, 24).contains("is: live, stale, offline"));
    assert!(screen(&state, 40, 24).contains("⏎ OK"));
}

#[test]
fn every_action_is_in_the_help() {
    let mut state = empty();
    state.context.enter(Mode::Help);
    let text = screen(&state, 180, 60);
    for binding in BINDINGS.iter().filter(|b| !b.is_of_prompts()) {
        assert!(text.contains(binding.help), "{}", binding.help);
        for key in binding.keys {
            assert!(text.contains(&key.name(false)), "{}", key.name(false));
        }
    }
}

#[test]
fn the_help_begins_with_the_current_screen_and_says_that_there_is_more() {
    let mut state = empty();
    state.context.enter(Mode::Host);
    state.context.enter(Mode::Help);
    let top = screen(&state, 80, 24);
    let second = top.lines().nth(2).unwrap();
    assert!(second.starts_with("  Host"), "{top}");
    assert!(top.contains("more ↓") && !top.contains("more ↑"), "{top}");
    press(&mut state, "G");
    let end = screen(&state, 80, 24);
    assert!(end.contains("more ↑") && !end.contains("more ↓"), "{end}");
}

#[test]
fn rebound_keys_are_in_footer_help_and_messages() {
    let mut state = empty();
    let keys = ["quit = x, ctrl-q", "open = o, enter", "clear-filter = f9"];
    state.context.keys = Keymap::new(&keys.map(str::to_owned)).unwrap();
    assert!(screen(&state, 120, 30).contains("o open"));
    state.context.enter(Mode::Help);
    assert!(screen(&state, 120, 60).contains("x  ^Q"));
    press(&mut state, "\u{1b}");
    connect(&mut state);
    press(&mut state, "/nothing");
    assert!(screen(&state, 80, 24).contains("Esc cancels"));
    press(&mut state, "\n");
    assert!(screen(&state, 80, 24).contains("F9 shows all hosts"));
}
