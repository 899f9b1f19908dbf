//! Prompts: what opens one, and what accepting the input does.

use super::navigation::{go_to, moment};
use super::state::State;
use super::{operate, palette};
use crate::keys::Mode;
use crate::screen::Outcome;

pub(super) enum Accepted {
    Outcomes(Vec<Outcome>),
    Export(String),
}

pub(super) fn open(state: &mut State, mode: Mode) {
    state.prompt.input.clear();
    state.prompt.chosen = 0;
    state.context.enter(mode);
}

pub(super) fn filter(state: &mut State) {
    if let Some(filter) = state.screen().filter() {
        state.prompt.input.clone_from(&filter);
        state.prompt.filter_before = filter;
        state.context.enter(Mode::Filter);
    }
}

pub(super) fn export(state: &mut State, proposal: String) {
    state.prompt.input = proposal;
    state.prompt.is_proposed = true;
    state.context.enter(Mode::Export);
}

pub(super) fn typed(state: &mut State) {
    if state.context.mode() == Mode::Filter {
        let place = state.context.place();
        let screen = state.screens.of_mut(place);
        screen.set_filter(&state.prompt.input);
    }
}

pub(super) fn accept(state: &mut State) -> Accepted {
    let nothing = Accepted::Outcomes(Vec::new());
    let mode = state.context.mode();
    if mode == Mode::Palette {
        return Accepted::Outcomes(palette::run(state));
    }
    if mode == Mode::Silence {
        return Accepted::Outcomes(operate::accept_silence(state));
    }
    let is_empty = state.prompt.input.trim().is_empty();
    if mode == Mode::Time
        && !is_empty
        && let Err(error) = moment(&state.prompt.input, state.context.now, &state.context.zone)
    {
        // The input stays, to be corrected.
        state.remark(error);
        return nothing;
    }
    state.context.leave();
    if mode == Mode::Filter && state.context.mode() == Mode::Fleet {
        state.screens.fleet.hold();
    }
    if mode == Mode::Filter || is_empty {
        return nothing;
    }
    let text = std::mem::take(&mut state.prompt.input);
    if mode == Mode::Export {
        return Accepted::Export(text.trim().to_owned());
    }
    go_to(state, &text);
    nothing
}
