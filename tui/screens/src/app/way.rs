//! The way back: from a host that was opened from a list, to that list, its row and its moment; and the crumbs that name
//! the way.

use sysmon_wire::{Label, UnixMs};
use unicode_width::UnicodeWidthStr;

use super::state::State;
use super::visit::Visit;
use super::{comparison, navigation};
use crate::context::Link;
use crate::keys::Mode;

/// Places that are remembered: nobody goes back further.
const VISITS_MAX: usize = 32;

/// Between two crumbs: a sign between two blanks.
const CRUMB_GAP: usize = 3;

pub(super) fn back(state: &mut State) {
    if state.context.mode() == Mode::Compare && comparison::back_to_hosts(state) {
        return;
    }
    let is_first = matches!(state.context.modes(), [only] if *only != Mode::Fleet);
    if is_first && return_to_last(state) {
        return;
    }
    let left = state.context.leave();
    match left {
        Mode::Burst => state.screens.burst.stop(),
        Mode::Process => state.screens.processes.open = None,
        Mode::Host | Mode::Processes if state.context.mode() != Mode::Host => {
            navigation::close_host(state);
        }
        Mode::Filter => {
            let before = std::mem::take(&mut state.prompt.filter_before);
            let place = state.context.place();
            state.screens.of_mut(place).set_filter(&before);
        }
        _ => {}
    }
}

/// Opens a host; back leads to where it was opened from.
pub fn open_host(state: &mut State, name: Label) {
    if matches!(state.context.modes(), [Mode::Fleet]) {
        return navigation::open(state, name, &[Mode::Fleet, Mode::Host]);
    }
    remember(state, false);
    navigation::open(state, name, &[Mode::Host]);
}

/// Opens a host at a moment; if it is open already, its focused pane stays. Back leads to the list that the moment is
/// from, as it was.
pub(super) fn open_at(state: &mut State, name: Label, at: UnixMs, is_process: bool) {
    let modes: &[Mode] = match is_process {
        true => &[Mode::Host, Mode::Processes],
        false => &[Mode::Host],
    };
    remember(state, true);
    if state.context.host_name() != Some(&name) {
        navigation::open(state, name, modes);
    }
    state.context.set_modes(modes);
    state.context.at = None;
    navigation::show(state, Some(at));
    state.screens.host.request(&state.context);
}

/// Remembers the place before another host is opened from it; with `moves` its moment too.
fn remember(state: &mut State, moves: bool) {
    if state.visits.len() >= VISITS_MAX {
        state.visits.remove(0);
    }
    let events = &state.screens.events;
    let visit = Visit {
        modes: state.context.modes().to_vec(),
        host: state.context.host_name().cloned(),
        at: moves.then_some(state.context.at),
        events: (events.selected_at(), events.top),
        changes: state.screens.changes.clone(),
        compare: state.screens.compare.clone(),
    };
    state.visits.push(visit);
}

/// Returns to the place from which the open host was opened; whether there is one.
fn return_to_last(state: &mut State) -> bool {
    let Some(visit) = state.visits.pop() else {
        return false;
    };
    if state.context.host_name() != visit.host.as_ref() {
        match visit.host {
            Some(host) => navigation::open(state, host, &[Mode::Fleet]),
            None => navigation::close_host(state),
        }
    }
    state.context.set_modes(&visit.modes);
    if let Some(at) = visit.at {
        navigation::show(state, at);
    }
    state.screens.changes = visit.changes;
    state.screens.compare = visit.compare;
    let (selected, top) = visit.events;
    state.screens.events.restore(selected, top);
    true
}

/// Where a crumb leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Fleet,
    Host,
    /// It is what is shown.
    Here,
}

/// The way to what is shown: program, hub, host, view.
pub(super) fn crumbs(state: &State) -> Vec<(String, Target)> {
    let context = &state.context;
    let mut crumbs = vec![("sysmon".to_owned(), Target::Fleet)];
    match &context.link {
        Link::Connected { hub } => crumbs.push((hub.to_string(), Target::Fleet)),
        Link::Connecting { to } => crumbs.push((format!("connecting to {to}"), Target::Fleet)),
        Link::Lost { .. } if !context.was_reached => {
            crumbs.push(("connecting".to_owned(), Target::Fleet));
        }
        Link::Lost { .. } => {}
    }
    let place = context.place();
    if let Some(host) = context.host_name()
        && !matches!(place, Mode::Fleet | Mode::Top | Mode::Checks)
    {
        crumbs.push((host.to_string(), Target::Host));
    }
    let view = match place {
        Mode::Processes | Mode::Process | Mode::Top => "processes",
        Mode::Checks => "checks",
        Mode::Changes => "what changed",
        Mode::Events => "alerts and events",
        Mode::Compare => "compare",
        Mode::Burst => "burst",
        _ => "",
    };
    let view = match place {
        Mode::Pane => state.screens.host.panes.focus.title().to_lowercase(),
        _ => view.to_owned(),
    };
    if !view.is_empty() {
        crumbs.push((view, Target::Here));
    }
    if let Some((_, target)) = crumbs.last_mut() {
        *target = Target::Here;
    }
    crumbs
}

/// The crumb at a column of the header, which begins with them in its second column.
pub(super) fn crumb_at(state: &State, x: u16) -> Option<Target> {
    let mut begin = 1;
    for (text, target) in crumbs(state) {
        let end = begin + text.width();
        if (begin..end).contains(&usize::from(x)) {
            return Some(target);
        }
        begin = end + CRUMB_GAP;
    }
    None
}

/// Goes where a crumb leads; what lies between is left for good.
pub(super) fn go_to(state: &mut State, target: Target) {
    match target {
        Target::Here => {}
        Target::Fleet => {
            state.visits.clear();
            state.context.set_modes(&[Mode::Fleet]);
            state.screens.processes.open = None;
            navigation::close_host(state);
        }
        Target::Host => {
            let modes = state.context.modes();
            let to = modes.iter().position(|mode| *mode == Mode::Host);
            let modes = match to {
                Some(at) => modes.iter().take(at + 1).copied().collect(),
                None => vec![Mode::Fleet, Mode::Host],
            };
            state.screens.processes.open = None;
            state.screens.burst.stop();
            state.context.set_modes(&modes);
        }
    }
}
