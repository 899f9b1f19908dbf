//! Running what was chosen in the palette.

use super::act::{act, open_named, set_theme, sort_fleet, sort_processes};
use super::travel::go_to;
use super::{Effect, compare, remark, top};
use crate::keys::Mode;
use crate::state::State;
use crate::state::palette::{Command, entries};
use crate::theme::ThemeName;

/// Does what the chosen entry says, where the palette was opened.
pub(super) fn run(state: &mut State) -> Vec<Effect> {
    let chosen = entries(state).into_iter().nth(state.chosen);
    if let Some(Command::Complete(begin)) = chosen.as_ref().map(|entry| &entry.command) {
        state.input = (*begin).to_owned();
        state.chosen = 0;
        return Vec::new();
    }
    let Some(entry) = chosen else {
        // What was typed stays, to be mended.
        let typed = state.input.trim().to_owned();
        let (command, word) = typed.split_once(' ').unwrap_or((typed.as_str(), ""));
        let text = match command {
            "host" => format!("there is no host {word:?}"),
            "compare" => format!("hosts are not compared by {word:?}"),
            "theme" => format!("there is no theme {word:?}"),
            "sort" => format!("nothing here is sorted by {word:?}"),
            _ => format!("there is no command {typed:?}"),
        };
        remark(state, text);
        return Vec::new();
    };
    state.mode = state.back.pop().unwrap_or(Mode::Fleet);
    state.input.clear();
    match entry.command {
        Command::Act(action) => return act(state, action),
        Command::Host(name) => return open_named(state, name),
        Command::Time(text) if text.is_empty() => {}
        Command::Time(text) => return go_to(state, &text),
        Command::Theme(theme) => {
            let known = ThemeName::ALL.iter().find(|(_, name)| *name == theme);
            set_theme(state, known.map_or("", |(label, _)| label), theme);
        }
        Command::SortFleet(sort) => sort_fleet(state, sort),
        Command::SortProcesses(sort) => sort_processes(state, sort),
        Command::SortTop(sort) => top::sort(state, sort),
        Command::Compare(alias) => compare::show_metric(state, alias),
        Command::Complete(_) => {}
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fleet, press};
    use sysmon_wire::UnixMs;

    #[test]
    fn what_is_chosen_is_done() {
        let mut state = fleet();
        assert_eq!(press(&mut state, ":quit\n"), [Effect::Quit]);
        assert!(
            matches!(&press(&mut state, ":c\n:host b\n")[..], [Effect::OpenHost { name, .. }] if *name == "b")
        );
        assert_eq!(
            (state.mode, &state.back[..]),
            (Mode::Host, &[Mode::Fleet][..])
        );
        assert!(matches!(
            &press(&mut state, ":time -5m\n")[..],
            [
                Effect::WatchFleet {
                    at: Some(UnixMs(700_000))
                },
                ..
            ]
        ));
        press(&mut state, ":theme mono\n");
        assert_eq!(state.theme_name, ThemeName::Mono);
        press(&mut state, ":fleet of ships\n");
        assert!(state.remark.as_ref().unwrap().0.contains("no command"));
        assert_eq!(state.mode, Mode::Palette, "to be mended");
        press(&mut state, "\u{1b}:host nosuch\n");
        assert!(state.remark.as_ref().unwrap().0.contains("no host"));
        press(&mut state, "\u{1b}");
        assert_eq!((state.mode, &state.remark), (Mode::Host, &None));
    }

    #[test]
    fn a_command_that_needs_a_word_is_completed_and_esc_leaves_all_as_it_was() {
        let mut state = fleet();
        press(&mut state, ":sort COL\u{1b}:sort cpu\n");
        assert_eq!(state.fleet.sort.name(), "cpu");
        press(&mut state, ":time W\u{1b}:theme N\u{1b}:");
        press(&mut state, "time\n");
        assert_eq!((state.mode, state.input.as_str()), (Mode::Palette, "time "));
    }

    #[test]
    fn tab_and_arrows_choose_and_stay_inside() {
        let mut state = fleet();
        press(&mut state, ":host \t\t\t\t\t");
        assert_eq!(state.chosen, 2);
        assert!(
            matches!(&press(&mut state, "\n")[..], [Effect::OpenHost { name, .. }] if *name == "c")
        );
    }
}
