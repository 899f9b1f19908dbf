//! The strip of time and the list of what happened.

use super::act::go;
use super::travel::{open_host, show};
use super::{Effect, remark};
use crate::keys::Mode;
use crate::state::host::HostView;
use crate::state::{Link, State};
use crate::view;

/// What the strip has to ask for, if anything has changed.
pub(super) fn refresh(state: &mut State) -> Option<Effect> {
    let is_shown = view::has_strip(state.size) || state.place() == Mode::Events;
    if !is_shown || !matches!(state.link, Link::Connected { .. }) {
        return None;
    }
    let window = state.timeline.window(state.now, state.at);
    let host = state.host.as_ref().map(|host| &host.name);
    let (host, window) = state.timeline.ask(host, window)?;
    Some(Effect::AskTimeline {
        host,
        from: window.from,
        to: window.to,
    })
}

/// Shows more time, or less.
pub(super) fn zoom(state: &mut State, by: isize) {
    state.timeline.zoom(by);
    let span = state.timeline.span_text();
    remark(state, format!("the strip shows {span}"));
}

/// To the event before the moment shown.
pub(super) fn earlier(state: &mut State) -> Vec<Effect> {
    let Some(event) = state.timeline.before(state.moment().floor(1000)).cloned() else {
        remark(
            state,
            "nothing happened before; - shows more time".to_owned(),
        );
        return Vec::new();
    };
    tell(state, &event);
    show(state, Some(event.time))
}

/// To the event after it, or back to now.
pub(super) fn later(state: &mut State) -> Vec<Effect> {
    match state
        .timeline
        .after(state.moment().floor(1000) + 999)
        .cloned()
    {
        Some(event) if state.at.is_some() => {
            tell(state, &event);
            show(state, Some(event.time))
        }
        _ => show(state, None),
    }
}

fn tell(state: &mut State, event: &sysmon_wire::timeline::Event) {
    let text = format!("{}: {} {}", event.host, event.kind.as_str(), event.text);
    remark(state, text.trim_end().to_owned());
}

/// Shows the list.
pub(super) fn list(state: &mut State) {
    state.timeline.move_by(isize::MIN / 2);
    go(state, Mode::Events);
}

/// Shows the selected event's host at its moment.
pub(super) fn go_to_event(state: &mut State) -> Vec<Effect> {
    let Some(event) = state.timeline.selected().cloned() else {
        return Vec::new();
    };
    if state
        .host
        .as_ref()
        .is_none_or(|host| host.name != event.host)
    {
        state.host_scroll = 0;
        state.processes.clear();
        state.host = Some(HostView::new(event.host.clone()));
    }
    state.back = vec![Mode::Fleet];
    state.mode = Mode::Host;
    tell(state, &event);
    state.at = None;
    let effects = show(state, Some(event.time));
    if effects.is_empty() {
        return vec![open_host(state, event.host)];
    }
    effects
}
