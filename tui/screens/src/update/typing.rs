//! Keys: what they do, or what is typed with them at a prompt.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::act::act;
use super::travel::{go_to, moment};
use super::{Effect, give, palette, remark};
use crate::keys::Mode;
use crate::state::State;
use crate::state::pattern::Pattern;

/// Characters that can be typed at a prompt.
const INPUT_MAX: usize = 200;

pub(super) fn key(state: &mut State, event: KeyEvent) -> Vec<Effect> {
    state.dirty = true;
    // What was told has been read by now.
    state.remark = None;
    match state.keys.action(state.mode, event) {
        Some(action) => act(state, action),
        None if state.mode.is_prompt() => {
            type_key(state, event);
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// Pasted text counts as typed, but only where one types: no line of it becomes a command.
pub(super) fn paste(state: &mut State, text: &str) {
    if state.mode.is_prompt() {
        for c in text.lines().next().unwrap_or_default().chars() {
            type_key(state, KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
        state.dirty = true;
    }
}

fn type_key(state: &mut State, event: KeyEvent) {
    let plain = !event
        .modifiers
        .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    let was_proposed = std::mem::take(&mut state.is_proposed);
    match event.code {
        KeyCode::Char(c) if plain && was_proposed && !c.is_control() => {
            // The first letter takes the place of what was proposed.
            state.input = c.to_string();
        }
        KeyCode::Char(c) if plain && !c.is_control() && state.input.len() < INPUT_MAX => {
            state.input.push(c);
        }
        KeyCode::Backspace => {
            state.input.pop();
        }
        KeyCode::Char('u') if event.modifiers == KeyModifiers::CONTROL => state.input.clear(),
        _ => {}
    }
    // Another text has other commands.
    state.chosen = 0;
    if state.mode == Mode::Filter {
        // The table follows while one types.
        set_filter(state, state.input.clone());
    }
}

pub(super) fn set_filter(state: &mut State, filter: String) {
    match state.place() {
        Mode::Processes => {
            state.processes.filter = Pattern::new(&filter);
            state.processes.reorder();
        }
        Mode::Top => {
            state.top.filter = Pattern::new(&filter);
            state.top.reorder();
        }
        _ => {
            state.fleet.filter = filter;
            state.fleet.reorder();
        }
    }
}

pub(super) fn accept(state: &mut State) -> Vec<Effect> {
    let mode = state.mode;
    if mode == Mode::Palette {
        return palette::run(state);
    }
    if mode == Mode::Time
        && let Err(error) = moment(&state.input, state.now, &state.zone)
        && !state.input.trim().is_empty()
    {
        // What was typed stays, to be mended.
        remark(state, error);
        return Vec::new();
    }
    state.mode = state.back.pop().unwrap_or(Mode::Fleet);
    if mode == Mode::Filter && state.mode == Mode::Fleet {
        state.fleet.hold();
    }
    if mode == Mode::Filter || state.input.trim().is_empty() {
        return Vec::new();
    }
    let text = std::mem::take(&mut state.input);
    if mode == Mode::Export {
        return give::export(state, text.trim());
    }
    go_to(state, &text)
}
