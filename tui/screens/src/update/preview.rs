//! What is asked for the panel below the table of hosts.

use sysmon_wire::Label;

use super::Effect;
use crate::keys::Mode;
use crate::state::host::WINDOW_MS;
use crate::state::preview::Preview;
use crate::state::{Link, State};
use crate::view;

/// How long the selection has to rest: who holds an arrow key wants none of the hosts on the way.
const REST_MS: i64 = 300;

/// How often the processes that use most are asked for.
const PROCESSES_MS: i64 = 5_000;

/// The host that the panel is to show.
fn wanted(state: &State) -> Option<Label> {
    let is_shown = state.place() == Mode::Fleet && view::fleet::has_panel(state.size);
    let selected = state.fleet.selected().filter(|_| is_shown);
    selected.map(|host| host.line.name.clone())
}

/// What has to be asked for, if anything has changed.
pub(super) fn refresh(state: &mut State) -> Option<Effect> {
    if !matches!(state.link, Link::Connected { .. }) {
        return None;
    }
    let Some(name) = wanted(state) else {
        state.preview_wanted = None;
        return state.preview.take().map(|_| Effect::Preview(None));
    };
    let (at, now) = (state.at, state.now);
    if let Some(preview) = state.preview.as_mut().filter(|p| p.is_of(&name, at)) {
        state.preview_wanted = None;
        let is_due = at.is_none() && now - preview.asked >= PROCESSES_MS;
        return is_due.then(|| {
            preview.asked = now;
            Effect::PreviewProcesses {
                host: name,
                at: now,
            }
        });
    }
    let rested = match &state.preview_wanted {
        Some((other, since)) if *other == name => now - *since >= REST_MS,
        _ => {
            state.preview_wanted = Some((name.clone(), now));
            false
        }
    };
    // The first has nothing to disturb, and of the same host only the moment is another.
    let is_same = |preview: &Preview| preview.host.name == name;
    if !rested && !state.preview.as_ref().is_none_or(is_same) {
        return None;
    }
    state.preview_wanted = None;
    state.preview = Some(Preview::new(name.clone(), at, now));
    Some(Effect::Preview(Some((
        name,
        state.moment() - WINDOW_MS,
        at,
    ))))
}

/// After a new connection everything is asked for again.
pub(super) fn forget(state: &mut State) {
    state.preview = None;
    state.preview_wanted = None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Feed;
    use crate::testing::{fleet_update, state as empty};
    use crate::update::{Message, update};
    use ratatui::layout::Size;
    use sysmon_wire::UnixMs;

    fn key(state: &mut State, c: char) -> Vec<Effect> {
        use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
        let event = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
        update(state, Message::Key(event))
    }

    fn preview_of(effects: &[Effect]) -> Vec<Option<Label>> {
        let of = |effect: &Effect| match effect {
            Effect::Preview(wanted) => Some(wanted.as_ref().map(|(name, ..)| name.clone())),
            _ => None,
        };
        effects.iter().filter_map(of).collect()
    }

    #[test]
    fn the_selected_host_is_asked_for_when_the_selection_rests() {
        let mut state = empty();
        state.size = Size::new(120, 40);
        let feed = |state: &mut State, feed| update(state, Message::Feed(feed));
        feed(
            &mut state,
            Feed::Connected {
                hub: "h".into(),
                version: "1".into(),
                clock_offset_ms: 0,
            },
        );
        let update_of = fleet_update(&[("a", 1), ("b", 2), ("c", 3)]);
        let first = feed(&mut state, Feed::Fleet(update_of));
        assert_eq!(preview_of(&first), [Some("a".into())], "at once");
        // Held down, the key passes b by.
        assert_eq!(preview_of(&key(&mut state, 'j')), []);
        assert_eq!(preview_of(&key(&mut state, 'j')), []);
        let rested = update(&mut state, Message::Tick(UnixMs(REST_MS + 1)));
        assert_eq!(preview_of(&rested), [Some("c".into())]);
        let later = update(&mut state, Message::Tick(UnixMs(6_000)));
        assert!(
            later.iter().any(
                |effect| matches!(effect, Effect::PreviewProcesses { host, .. } if *host == "c")
            )
        );
        // On a small screen there is none.
        let small = update(&mut state, Message::Resize(Size::new(80, 24)));
        assert_eq!(preview_of(&small), [None]);
    }
}
