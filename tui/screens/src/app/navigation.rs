//! From screen to screen and through time.

use jiff::tz::TimeZone;
use sysmon_config::time::parse_moment;
use sysmon_wire::{Label, UnixMs};

use super::state::State;
use crate::fleet;
use crate::keys::Mode;
use crate::model::host_rows::HostRows;
use crate::model::window::ChartSpan;
use crate::theme::ThemeName;

/// The step of an arrow key at the least: a point of the usual charts.
pub(super) const STEP_MS: i64 = 5_000;

pub(super) fn close_host(state: &mut State) {
    state.selected.retain(|selected| selected.host.is_none());
    state.context.host = None;
    state.screens.burst.stop();
    state.screens.processes.clear();
    state.screens.host.request(&state.context);
}

/// Opens a host; `modes` become the current mode and the way back.
pub(super) fn open(state: &mut State, name: Label, modes: &[Mode]) {
    state.selected.retain(|selected| selected.host.is_none());
    state.screens.burst.stop();
    state.screens.host.reset();
    state.screens.processes.clear();
    let known = state.screens.fleet.host(&name);
    state.context.host_heard = known.and_then(fleet::heard);
    let mut host = HostRows::new(name);
    host.set_span(state.context.chart_span);
    state.context.host = Some(host);
    state.context.set_modes(modes);
    state.screens.host.request(&state.context);
}

/// Shows another moment on every screen. A moment in the future is now.
pub(super) fn show(state: &mut State, at: Option<UnixMs>) {
    let at = at.filter(|at| *at <= state.context.now);
    if at == state.context.at {
        return;
    }
    state.context.at = at;
    // Through time the same host stays selected, not the one that is worst there.
    state.screens.fleet.hold();
    state.screens.host.request(&state.context);
}

/// Moves in time; a step is at least a point of the charts, and where only minutes or hours are stored, one of them.
pub(super) fn travel(state: &mut State, ms: i64) {
    let context = &state.context;
    let from = context.at.unwrap_or_else(|| context.now.floor(1000));
    let cell = context.chart_span.step_ms().max(context.resolution_ms());
    show(state, Some(from + ms * (cell.max(STEP_MS) / STEP_MS)));
}

/// Moves by whole minutes, or where only hours are stored, by these.
pub(super) fn travel_minutes(state: &mut State, minutes: i64) {
    const MINUTE_MS: i64 = 60_000;
    let context = &state.context;
    let from = context.at.unwrap_or_else(|| context.now.floor(1000));
    let step = MINUTE_MS.max(context.resolution_ms());
    show(state, Some(from + minutes * step));
}

/// Selects the next host with a firing alert in the order of the fleet; on a host's screen, opens it there.
pub(super) fn problem(state: &mut State, by: isize) {
    let is_fleet = state.context.place() == Mode::Fleet;
    let here = match is_fleet {
        true => state.screens.fleet.selected().map(|host| &host.line.name),
        false => state.context.host_name(),
    };
    let Some(name) = state.screens.fleet.problem(here, by).cloned() else {
        return state.remark("no host has a firing alert");
    };
    if is_fleet {
        state.screens.fleet.select_host(&name);
    } else if state.context.host_name() != Some(&name) {
        let modes = state.context.modes().to_vec();
        let pane = state.screens.host.panes.focus;
        open(state, name, &modes);
        state.screens.host.panes.go(pane);
    } else {
        state.remark("no other host has a firing alert");
    }
}

pub(super) fn go_to(state: &mut State, text: &str) {
    match moment(text, state.context.now, &state.context.zone) {
        Ok(at) => show(state, Some(at)),
        Err(error) => state.remark(error),
    }
}

pub(super) fn moment(text: &str, now: UnixMs, zone: &TimeZone) -> Result<UnixMs, String> {
    let moment = parse_moment(text, now.0, zone);
    moment.map(UnixMs).map_err(|error| error.to_string())
}

pub(super) fn previous_event(state: &mut State) {
    let moment = state.context.moment().floor(1000);
    let Some(event) = state.screens.events.before(moment) else {
        return state.remark("no earlier event; - shows more time");
    };
    let (text, time) = (crate::events::text(event), event.time);
    state.remark(text);
    show(state, Some(time));
}

/// Shows the event after the moment shown, or now.
pub(super) fn next_event(state: &mut State) {
    let moment = state.context.moment().floor(1000) + 999;
    let event = state.screens.events.after(moment);
    let Some(event) = event.filter(|_| state.context.at.is_some()) else {
        return show(state, None);
    };
    let (text, time) = (crate::events::text(event), event.time);
    state.remark(text);
    show(state, Some(time));
}

pub(super) fn zoom(state: &mut State, by: isize) {
    // From here on back does not lead to what was before a selection.
    state.selected.clear();
    let mut span = state.context.chart_span;
    span.widen(by);
    set_span(state, span);
    let text = span.text();
    state.remark(format!("charts show {text}"));
}

pub(super) fn set_span(state: &mut State, span: ChartSpan) {
    state.context.chart_span = span;
    if let Some(host) = &mut state.context.host {
        host.set_span(span);
    }
}

pub(super) fn next_theme(state: &mut State) {
    // What the terminal's background says was settled at the start.
    let all: Vec<_> = ThemeName::ALL
        .iter()
        .filter(|(_, name)| *name != ThemeName::Auto)
        .collect();
    let is_current = |(_, name): &&(&str, ThemeName)| *name == state.context.theme_name;
    let at = all.iter().position(is_current).unwrap_or(0);
    if let Some((_, name)) = all.get((at + 1) % all.len()) {
        set_theme(state, *name);
    }
}

pub(super) fn set_theme(state: &mut State, name: ThemeName) {
    state.context.set_theme(name);
    let known = ThemeName::ALL.iter().find(|(_, known)| *known == name);
    let label = known.map_or("", |(label, _)| label);
    state.remark(format!("theme {label}"));
}
