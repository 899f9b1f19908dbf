#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::BINDINGS;
    use crate::testing::{fleet_update, state};

    fn texts(typed: &str, mode: Mode) -> Vec<String> {
        let mut state = state();
        state
            .fleet
            .apply(fleet_update(&[("web-1", 1), ("db-1", 2)]));
        state.fleet.reorder();
        (state.mode, state.back) = (Mode::Palette, vec![mode]);
        state.input = typed.to_owned();
        entries(&state)
            .into_iter()
            .map(|entry| entry.text)
            .collect()
    }

    #[test]
    fn every_action_of_a_place_is_a_command() {
        let places = [
            Mode::Fleet,
            Mode::Host,
            Mode::Processes,
            Mode::Process,
            Mode::Top,
            Mode::Changes,
        ];
        for place in places {
            let all = texts("", place);
            for binding in BINDINGS.iter().filter(|b| b.modes.contains(&place)) {
                let name = binding.action.name();
                let is_there = all.iter().any(|text| text == name);
                assert!(
                    is_there || binding.action == Action::Palette,
                    "{name} in {place:?}"
                );
            }
        }
    }

    #[test]
    fn the_best_comes_first() {
        assert_eq!(texts("qu", Mode::Fleet)[0], "quit");
        assert_eq!(texts("db", Mode::Fleet)[0], "host db-1");
        assert_eq!(texts("wha", Mode::Fleet)[0], "changes", "what changed");
        assert_eq!(texts("host w", Mode::Host), ["host web-1"]);
        assert_eq!(texts("theme mo", Mode::Host), ["theme mono"]);
        assert_eq!(texts("SORT mem", Mode::Processes), ["sort memory"]);
        assert_eq!(texts("time -2h", Mode::Fleet), ["time -2h"]);
        let date = "time 2026-05-04T09:00";
        assert_eq!(texts(date, Mode::Fleet), [date]);
        assert!(texts("stop at this", Mode::Fleet).contains(&"freeze".to_owned()));
        assert!(texts("pgd", Mode::Fleet).contains(&"page-down".to_owned()));
        assert!(texts("no such thing", Mode::Fleet).is_empty());
        assert!(!texts("", Mode::Host).contains(&"sort COLUMN".to_owned()));
    }
}
