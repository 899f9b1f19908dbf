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
