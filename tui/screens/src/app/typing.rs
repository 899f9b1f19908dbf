//! Keys: actions, or text at a prompt.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::act::act;
use super::message::Effect;
use super::prompt::typed;
use super::state::State;
use crate::keys::{Action, Mode};

const INPUT_MAX: usize = 200;

pub(super) fn key(state: &mut State, event: KeyEvent) -> Vec<Effect> {
    // A remark has been read by now.
    state.remark = None;
    let mode = state.context.mode();
    let action = state.context.keys.action(mode, event);
    state.has_copied &= action == Some(Action::Copy);
    match action {
        Some(action) => return act(state, action),
        None if mode.is_prompt() => type_key(state, event),
        None => {}
    }
    Vec::new()
}

/// Pasted text is typed, but only at a prompt: no line of it becomes a command.
pub(super) fn paste(state: &mut State, text: &str) {
    if state.context.mode().is_prompt() {
        for c in text.lines().next().unwrap_or_default().chars() {
            type_key(state, KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
    }
}

fn type_key(state: &mut State, event: KeyEvent) {
    let is_plain = !event
        .modifiers
        .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    let prompt = &mut state.prompt;
    let was_proposed = std::mem::take(&mut prompt.is_proposed);
    match event.code {
        KeyCode::Char(c) if is_plain && was_proposed && !c.is_control() => {
            prompt.input = c.to_string();
        }
        KeyCode::Char(c) if is_plain && !c.is_control() && prompt.input.len() < INPUT_MAX => {
            prompt.input.push(c);
        }
        KeyCode::Backspace => {
            prompt.input.pop();
        }
        KeyCode::Char('u') if event.modifiers == KeyModifiers::CONTROL => prompt.input.clear(),
        _ => {}
    }
    // Another input has other commands; the scope of a silence stays.
    if state.context.mode() != Mode::Silence {
        prompt.chosen = 0;
    }
    typed(state);
}
