//! The comparison of hosts.

use sysmon_wire::Label;
use sysmon_wire::metrics::{ALIASES, SUMMARY};

use super::act::{go, open_named};
use super::{Effect, remark};
use crate::keys::Mode;
use crate::state::compare::UNMARKED;
use crate::state::{Link, State};

/// What has to be asked for, if anything has changed.
pub(super) fn refresh(state: &mut State) -> Option<Effect> {
    if state.place() != Mode::Compare || !matches!(state.link, Link::Connected { .. }) {
        return None;
    }
    let window = state.timeline.window(state.now, state.at);
    state.compare.ask(window).map(Effect::Compare)
}

/// Opens it: of the marked hosts, or of those that are highest; from a host's screen of that and its past.
pub(super) fn open(state: &mut State) {
    match state.mode {
        Mode::Host => {
            let Some(name) = state.host.as_ref().map(|host| host.name.clone()) else {
                return;
            };
            if state.compare.ago_text().is_some() {
                // Begins with a day again.
                state.compare.hosts(Vec::new(), false);
            }
            state.compare.itself(name);
        }
        Mode::Compare => return itself(state),
        _ => of_hosts(state),
    }
    state.compare.select(0);
    go(state, Mode::Compare);
}

/// Compares the selected host with its past, each time with that of another time.
fn itself(state: &mut State) {
    if let Some(name) = state.compare.selected().map(|line| line.host.clone()) {
        state.compare.itself(name);
        let ago = state.compare.ago_text().unwrap_or_default();
        remark(state, format!("against itself {ago} before"));
    }
}

/// Compares the hosts that are marked, or else those that are highest.
fn of_hosts(state: &mut State) {
    let marked: Vec<Label> = state.fleet.marked().cloned().collect();
    if marked.is_empty() {
        let highest = state.fleet.highest(state.compare.metric, UNMARKED);
        state.compare.hosts(highest, false);
    } else {
        state.compare.hosts(marked, true);
    }
}

/// Shows another metric; hosts that were the highest of the one before are chosen anew.
pub(super) fn set_metric(state: &mut State, metric: usize) {
    state.compare.set_metric(metric % SUMMARY);
    if state.place() == Mode::Compare && state.compare.ago_text().is_none() {
        of_hosts(state);
    }
}

pub(super) fn next_metric(state: &mut State) {
    set_metric(state, state.compare.metric + 1);
    remark(state, format!("comparing {}", state.compare.alias()));
}

/// What was typed: shows this metric, wherever one is.
pub(super) fn show_metric(state: &mut State, alias: &str) {
    let place = ALIASES
        .iter()
        .take(SUMMARY)
        .position(|known| known.alias == alias);
    set_metric(state, place.unwrap_or(state.compare.metric));
    if state.mode != Mode::Compare {
        open(state);
    }
}

/// One chart of all, or one of each.
pub(super) fn overlay(state: &mut State) {
    state.compare.is_overlaid = !state.compare.is_overlaid;
}

/// Opens the selected host.
pub(super) fn open_selected(state: &mut State) -> Vec<Effect> {
    match state.compare.selected().map(|line| line.host.clone()) {
        Some(name) => open_named(state, name),
        None => Vec::new(),
    }
}

/// Back from a host and its past to the hosts it was chosen from; whether that was so.
pub(super) fn back_to_hosts(state: &mut State) -> bool {
    let is_so = state.compare.ago_text().is_some() && state.host.is_none();
    if is_so {
        of_hosts(state);
    }
    is_so
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Feed;
    use crate::testing::{fleet, press};
    use crate::update::{Message, update};
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::Points;

    fn connected() -> State {
        let mut state = fleet();
        let feed = Feed::Connected {
            hub: "h".into(),
            version: "1".into(),
            clock_offset_ms: 0,
        };
        update(&mut state, Message::Feed(feed));
        state
    }

    fn asked(effects: &[Effect]) -> Option<(Vec<String>, &'static str)> {
        effects.iter().find_map(|effect| match effect {
            Effect::Compare(question) => {
                let names = question.lines.iter().map(|(name, ..)| name.to_string());
                Some((names.collect(), question.metric))
            }
            _ => None,
        })
    }

    fn names(effects: &[Effect]) -> String {
        asked(effects).map_or_else(String::new, |(names, _)| names.concat())
    }

    #[test]
    fn the_marked_hosts_are_compared_and_without_marks_the_highest() {
        let mut state = connected();
        assert_eq!(names(&press(&mut state, "c")), "cba", "the highest first");
        press(&mut state, "\u{1b} j ");
        assert_eq!(state.mode, Mode::Fleet);
        assert_eq!(names(&press(&mut state, "c")), "ac");
        let mem = press(&mut state, "m");
        assert_eq!(asked(&mem), Some((vec!["a".into(), "c".into()], "mem")));
        let disk = press(&mut state, ":compare disk.r\n");
        assert_eq!(asked(&disk).unwrap().1, "disk.read");
        // The first Esc shows all, so that nothing is marked.
        press(&mut state, "\u{1b}\u{1b}:compare cpu\n");
        assert_eq!(state.compare.lines().len(), 3);
    }

    #[test]
    fn a_host_is_compared_with_its_past() {
        let mut state = connected();
        let effects = press(&mut state, "\nc");
        assert_eq!(names(&effects), "aa");
        let Some(Effect::Compare(question)) = effects.last() else {
            panic!("{effects:?}")
        };
        assert_eq!(question.lines[0].1 - question.lines[1].1, 86_400_000);
        press(&mut state, "c");
        assert_eq!(state.compare.ago_text(), Some("7 d"));
        press(&mut state, "\u{1b}");
        assert_eq!(state.mode, Mode::Host);
        press(&mut state, "c");
        assert_eq!(state.compare.ago_text(), Some("1 d"));
        press(&mut state, "\u{1b}\u{1b}cjc");
        assert_eq!(state.compare.lines()[1].host, "b");
        press(&mut state, "\u{1b}");
        assert_eq!(
            (state.mode, state.compare.lines().len()),
            (Mode::Compare, 3)
        );
        assert!(
            matches!(&press(&mut state, "\n")[..], [Effect::OpenHost { name, .. }, ..] if *name == "b")
        );
    }

    #[test]
    fn live_it_asks_for_a_new_point_when_one_is_due_and_again_of_another_hub() {
        let mut state = connected();
        let effects = press(&mut state, "c");
        let Some(Effect::Compare(question)) = effects.last() else {
            panic!("{effects:?}")
        };
        let (number, step) = (question.number, question.step_ms);
        let tell = |state: &mut State, feed| update(state, Message::Feed(feed));
        let part = Points {
            host: "c".into(),
            metric: "system.cpu.utilization".into(),
            unit: "1".into(),
            attributes: Vec::new(),
            start: question.lines[0].1,
            step_ms: step,
            values: vec![0.25],
        };
        let line = 0;
        tell(&mut state, Feed::Compare { number, line, part });
        tell(&mut state, Feed::CompareComplete { number });
        assert_eq!(state.compare.lines()[0].points().count(), 1);
        let tick = |state: &mut State, ms| update(state, Message::Tick(UnixMs(1_000_000 + ms)));
        assert_eq!(asked(&tick(&mut state, 1)), None);
        let later = tick(&mut state, step);
        assert_eq!(names(&later), "cba");
        assert_eq!(asked(&tick(&mut state, 5 * step)), None, "not answered yet");
        let again = Feed::Connected {
            hub: "h".into(),
            version: "1".into(),
            clock_offset_ms: 0,
        };
        assert_eq!(names(&tell(&mut state, again)), "cba");
    }
}
