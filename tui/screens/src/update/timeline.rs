//! The strip of time and the list of what happened.

use sysmon_wire::alerts::Alerts;
use sysmon_wire::timeline::Event;

use super::act::go;
use super::travel::{open_host, show};
use super::{Effect, remark};
use crate::keys::Mode;
use crate::state::host::HostView;
use crate::state::timeline::Entry;
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

/// What has to be asked for to show what fires: only now is known, and only the list shows it.
pub(super) fn refresh_alerts(state: &mut State) -> Option<Effect> {
    let alerts = &mut state.timeline.alerts;
    if state.mode != Mode::Events || state.at.is_some() {
        if !alerts.shown().is_empty() {
            alerts.clear();
            state.timeline.move_by(0);
        }
        return None;
    }
    let is_connected = matches!(state.link, Link::Connected { .. });
    (is_connected && alerts.ask(state.now)).then_some(Effect::AskAlerts)
}

/// Takes what fires, and tells what somebody did about it.
pub(super) fn take_alerts(state: &mut State, told: Alerts) {
    if let Some((host, rule, done)) = state.timeline.alerts.doing.take() {
        let text = match (told.changed, done) {
            (0, _) => format!("{rule} on {host} is over"),
            (_, true) => format!("you take care of {rule} on {host}; A takes it back"),
            (_, false) => format!("nobody takes care of {rule} on {host}"),
        };
        remark(state, text);
    }
    if state.mode != Mode::Events || state.at.is_some() {
        return;
    }
    let mut alerts = told.alerts;
    if let Some(host) = &state.host {
        alerts.retain(|alert| alert.host == host.name);
    }
    state.timeline.take_alerts(alerts);
    state.timeline.scroll(view::events::rows(state.size));
}

/// Whoever looks takes care of the selected alert, or does so no more.
pub(super) fn acknowledge(state: &mut State) -> Vec<Effect> {
    let Some(Entry::Alert(alert)) = state.timeline.selected() else {
        remark(
            state,
            "select an alert that fires: they stand first".to_owned(),
        );
        return Vec::new();
    };
    let (host, rule) = (alert.host.clone(), alert.rule.clone());
    let done = alert.acknowledged.is_none();
    if !matches!(state.link, Link::Connected { .. }) {
        remark(state, "the hub is away: it has to know".to_owned());
        return Vec::new();
    }
    state.timeline.alerts.doing = Some((host.clone(), rule.clone(), done));
    vec![Effect::Acknowledge { host, rule, done }]
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

fn tell(state: &mut State, event: &Event) {
    remark(state, told(event));
}

fn told(event: &Event) -> String {
    let text = format!("{}: {} {}", event.host, event.kind.as_str(), event.text);
    text.trim_end().to_owned()
}

/// Shows the list.
pub(super) fn list(state: &mut State) {
    state.timeline.move_by(isize::MIN / 2);
    go(state, Mode::Events);
}

/// Shows the selected event's host at its moment.
pub(super) fn go_to_event(state: &mut State) -> Vec<Effect> {
    let Some(entry) = state.timeline.selected() else {
        return Vec::new();
    };
    let (name, time) = (entry.host().clone(), entry.time());
    let text = match entry {
        Entry::Alert(alert) => format!("{name}: {} {}", alert.severity.as_str(), alert.summary),
        Entry::Event(event) => told(event),
    };
    if state.host.as_ref().is_none_or(|host| host.name != name) {
        state.host_scroll = 0;
        state.processes.clear();
        state.host = Some(HostView::new(name.clone()));
    }
    state.back = vec![Mode::Fleet];
    state.mode = Mode::Host;
    remark(state, text);
    state.at = None;
    let effects = show(state, Some(time));
    if effects.is_empty() {
        return vec![open_host(state, name)];
    }
    effects
}
