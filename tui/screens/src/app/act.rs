//! What the actions of the key table do, as far as no screen gives them a meaning of its own.

use super::message::Effect;
use super::navigation::{self, STEP_MS};
use super::state::State;
use super::{comparison, drag, operate, output, palette, prompt, way};
use crate::changes::Changes;
use crate::fleet;
use crate::keys::{Action, Mode};
use crate::screen::Outcome;

/// Performs an action: the screen's own meaning first, then that of the application.
pub(super) fn act(state: &mut State, action: Action) -> Vec<Effect> {
    let mode = state.context.mode();
    let is_back = matches!(action, Action::Back | Action::ClearFilter);
    if is_back && state.drag.take().is_some() {
        return Vec::new();
    }
    if action == Action::ClearFilter && drag::back(state) {
        return Vec::new();
    }
    if !mode.is_prompt() {
        let outcomes = state.screens.of_mut(mode).act(action, &state.context);
        if let Some(outcomes) = outcomes {
            return apply(state, outcomes);
        }
    }
    match action {
        Action::Quit => return vec![Effect::Quit],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Redraw => return vec![Effect::Redraw],
        Action::Copy => return output::copy(state),
        Action::CopyLink => return output::copy_link(state),
        Action::Accept => {
            let outcomes = prompt::accept(state);
            return match outcomes {
                prompt::Accepted::Outcomes(outcomes) => apply(state, outcomes),
                prompt::Accepted::Export(path) => output::export(state, &path),
            };
        }
        Action::Back if drag::back(state) => {}
        Action::Back => way::back(state),
        Action::Acknowledge => {
            let outcomes = operate::acknowledge(state);
            return apply(state, outcomes);
        }
        _ => perform(state, action),
    }
    state.screens.of_mut(Mode::Fleet).reveal(&state.context);
    Vec::new()
}

fn perform(state: &mut State, action: Action) {
    let page = fleet::page(&state.screens.fleet, &state.context) as isize;
    match action {
        Action::Help if state.context.mode() == Mode::Help => way::back(state),
        Action::Help => {
            state.screens.help.scroll = 0;
            state.context.enter(Mode::Help);
        }
        Action::Processes => state.context.enter(Mode::Processes),
        Action::Top => state.context.enter(Mode::Top),
        Action::Checks => state.context.enter(Mode::Checks),
        Action::Changes => {
            let host = state.context.host_name().cloned();
            state.screens.changes = Changes::of(host);
            state.context.enter(Mode::Changes);
        }
        Action::Events => {
            state.screens.events.select(0);
            state.context.enter(Mode::Events);
        }
        Action::Silence => operate::silence(state),
        Action::Silences => {
            state.context.enter(Mode::Events);
            state.screens.events.select_silences();
        }
        Action::Burst => burst(state),
        Action::Compare => comparison::open(state),
        Action::Metric => comparison::next_metric(state),
        Action::PreviousEvent => navigation::previous_event(state),
        Action::NextEvent => navigation::next_event(state),
        Action::NextProblem => navigation::problem(state, 1),
        Action::PreviousProblem => navigation::problem(state, -1),
        Action::MinuteEarlier => navigation::travel_minutes(state, -1),
        Action::MinuteLater => navigation::travel_minutes(state, 1),
        Action::ZoomOut => navigation::zoom(state, 1),
        Action::ZoomIn => navigation::zoom(state, -1),
        Action::Up => scroll(state, -1),
        Action::Down => scroll(state, 1),
        Action::PageUp => scroll(state, -page),
        Action::PageDown => scroll(state, page),
        Action::First => scroll(state, isize::MIN / 2),
        Action::Last => scroll(state, isize::MAX / 2),
        Action::Filter => prompt::filter(state),
        Action::GoToTime => prompt::open(state, Mode::Time),
        Action::Palette => prompt::open(state, Mode::Palette),
        Action::Export => prompt::export(state, output::file_name(state)),
        Action::Theme => navigation::next_theme(state),
        Action::Earlier => navigation::travel(state, -STEP_MS),
        Action::Later => navigation::travel(state, STEP_MS),
        Action::MuchEarlier => navigation::travel(state, -10 * STEP_MS),
        Action::MuchLater => navigation::travel(state, 10 * STEP_MS),
        Action::Freeze if state.context.at.is_none() => navigation::travel(state, 0),
        Action::Freeze | Action::Live => {
            drag::forget(state);
            navigation::show(state, None);
        }
        _ => {}
    }
}

pub(super) fn scroll(state: &mut State, rows: isize) {
    let mode = state.context.mode();
    if mode == Mode::Palette {
        palette::choose(state, rows);
    } else if mode == Mode::Silence {
        operate::choose_scope(state, rows.signum());
    } else if !mode.is_prompt() {
        state.screens.of_mut(mode).scroll(rows, &state.context);
    }
}

pub(super) fn apply(state: &mut State, outcomes: Vec<Outcome>) -> Vec<Effect> {
    let mut effects = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Remark(text) => state.remark(text),
            Outcome::Enter(mode) => state.context.enter(mode),
            Outcome::Open(name) => way::open_host(state, name),
            Outcome::OpenProcess { host, pid } => {
                let modes = [Mode::Fleet, Mode::Top, Mode::Processes];
                navigation::open(state, host, &modes);
                state.screens.processes.want(pid);
            }
            Outcome::OpenAt {
                host,
                at,
                is_process,
            } => way::open_at(state, host, at, is_process),
            Outcome::Operate(operation) => operate::operate(state, operation),
            Outcome::Silence(scopes) => operate::prompt_silence(state, scopes),
            Outcome::Act(action) => effects.extend(act(state, action)),
        }
    }
    effects
}

/// Shows the open host at ten samples per second; live, requests them.
fn burst(state: &mut State) {
    if state.context.mode() == Mode::Fleet {
        let selected = state.screens.fleet.selected();
        let Some(name) = selected.map(|host| host.line.name.clone()) else {
            return state.remark("no host is selected");
        };
        state.screens.fleet.hold();
        way::open_host(state, name);
    }
    let Some(name) = state.context.host_name().cloned() else {
        return;
    };
    if state.context.mode() != Mode::Burst {
        state.context.enter(Mode::Burst);
    }
    if state.context.at.is_none() {
        state.screens.burst.start(name, state.context.now);
    }
}
