//! Through time: another moment on every screen.

use jiff::tz::TimeZone;
use sysmon_config::time::parse_moment;
use sysmon_wire::{Label, UnixMs};

use super::{Effect, remark};
use crate::keys::Mode;
use crate::state::State;
use crate::state::fleet::SPARK_STEP_MS;
use crate::state::host::WINDOW_MS;

/// What one press of an arrow moves in time: a cell of a sparkline.
pub(super) const STEP_MS: i64 = SPARK_STEP_MS as i64;

pub(super) fn open_host(state: &State, name: Label) -> Effect {
    Effect::OpenHost {
        name,
        from: state.moment() - WINDOW_MS,
        until: state.at,
    }
}

pub(super) fn moment(text: &str, now: UnixMs, zone: &TimeZone) -> Result<UnixMs, String> {
    parse_moment(text, now.0, zone)
        .map(UnixMs)
        .map_err(|e| e.to_string())
}

pub(super) fn travel(state: &mut State, ms: i64) -> Vec<Effect> {
    let from = state.at.unwrap_or_else(|| state.now.floor(1000));
    // Where only minutes are kept, a step is one of them.
    let cells = state.resolution_ms().max(STEP_MS) / STEP_MS;
    show(state, Some(from + ms * cells))
}

/// Shows another moment on every screen. One that has not come yet is now.
pub(super) fn show(state: &mut State, at: Option<UnixMs>) -> Vec<Effect> {
    let at = at.filter(|at| *at <= state.now);
    if at == state.at {
        return Vec::new();
    }
    state.at = at;
    // Whoever travels wants to see the same host, not what is worst there.
    state.fleet.hold();
    let mut effects = vec![Effect::WatchFleet { at }];
    if let Some(host) = &state.host {
        effects.push(open_host(state, host.name.clone()));
    }
    if state.place() == Mode::Changes {
        let host = state.changes.host.clone();
        effects.push(Effect::AskChanges { host, at });
    }
    effects
}

/// Shows the moment that was typed, or tells why it is none.
pub(super) fn go_to(state: &mut State, text: &str) -> Vec<Effect> {
    match moment(text, state.now, &state.zone) {
        Ok(at) => show(state, Some(at)),
        Err(error) => {
            remark(state, error);
            Vec::new()
        }
    }
}
