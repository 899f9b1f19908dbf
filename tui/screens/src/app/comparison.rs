//! Which hosts and which metric are compared.

use sysmon_wire::Label;
use sysmon_wire::metrics::{ALIASES, SUMMARY};

use super::state::State;
use crate::compare::UNMARKED;
use crate::keys::Mode;

/// Compares the marked hosts or the top hosts; on a host's screen, the host with its past.
pub(super) fn open(state: &mut State) {
    match state.context.mode() {
        Mode::Host => {
            let Some(name) = state.context.host_name().cloned() else {
                return;
            };
            if state.screens.compare.ago_text().is_some() {
                // Starts with a day again.
                state.screens.compare.hosts(Vec::new(), false);
            }
            state.screens.compare.itself(name);
        }
        Mode::Compare => return itself(state),
        _ => of_hosts(state),
    }
    state.screens.compare.select(0);
    state.context.enter(Mode::Compare);
}

/// Compares the selected host with its past; each time with another time before.
fn itself(state: &mut State) {
    let compare = &mut state.screens.compare;
    if let Some(name) = compare.selected().map(|line| line.host.clone()) {
        compare.itself(name);
        let ago = compare.ago_text().unwrap_or_default();
        state.remark(format!("compared with {ago} before"));
    }
}

fn of_hosts(state: &mut State) {
    let marked: Vec<Label> = state.screens.fleet.marked().cloned().collect();
    let compare = &mut state.screens.compare;
    let is_filtered = !state.screens.fleet.filter.trim().is_empty();
    if marked.is_empty() && is_filtered {
        let shown = state.screens.fleet.shown();
        let shown: Vec<Label> = shown.map(|host| host.line.name.clone()).collect();
        let text = match shown.len() {
            1 => "comparing the host of the filter".to_owned(),
            count => format!("comparing the {count} hosts of the filter; space marks others"),
        };
        compare.hosts(shown, false);
        state.remark(text);
    } else if marked.is_empty() {
        let highest = state.screens.fleet.highest(compare.metric, UNMARKED);
        compare.hosts(highest, false);
    } else {
        compare.hosts(marked, true);
    }
}

/// Compares another metric; hosts that were the top of the one before are chosen again.
fn set_metric(state: &mut State, metric: usize) {
    state.screens.compare.set_metric(metric % SUMMARY);
    if state.context.place() == Mode::Compare && state.screens.compare.ago_text().is_none() {
        of_hosts(state);
    }
}

pub(super) fn next_metric(state: &mut State) {
    set_metric(state, state.screens.compare.metric + 1);
    let alias = state.screens.compare.alias();
    state.remark(format!("comparing {alias}"));
}

pub(super) fn show_metric(state: &mut State, alias: &str) {
    let aliases = &mut ALIASES.iter().take(SUMMARY);
    let place = aliases.position(|known| known.alias == alias);
    set_metric(state, place.unwrap_or(state.screens.compare.metric));
    if state.context.mode() != Mode::Compare {
        open(state);
    }
}

/// The hosts whose names match a pattern with `*`.
pub(super) fn matching(state: &State, pattern: &str) -> Vec<Label> {
    let parts: Vec<&str> = pattern.split(',').filter(|part| !part.is_empty()).collect();
    let names = state.screens.fleet.names();
    let is_in = |name: &&Label| parts.iter().any(|part| matches(part, name.as_str()));
    names.filter(is_in).cloned().collect()
}

/// Whether a name matches a pattern in which `*` stands for any letters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(begin) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return name.ends_with(part);
        }
        match name.find(part).and_then(|at| name.get(at + part.len()..)) {
            Some(after) => name = after,
            None => return false,
        }
    }
    true
}

/// Compares the hosts whose names match a pattern.
pub(super) fn compare_hosts(state: &mut State, pattern: &str) {
    let hosts = matching(state, pattern);
    let count = hosts.len();
    state.screens.compare.hosts(hosts, true);
    state.screens.compare.select(0);
    state.remark(format!("comparing {count} hosts: {pattern}"));
    if state.context.mode() != Mode::Compare {
        state.context.enter(Mode::Compare);
    }
}

/// Returns from a host and its past to the hosts it was chosen from, if it was.
pub(super) fn back_to_hosts(state: &mut State) -> bool {
    let is_so = state.screens.compare.ago_text().is_some() && state.context.host.is_none();
    if is_so {
        of_hosts(state);
    }
    is_so
}
