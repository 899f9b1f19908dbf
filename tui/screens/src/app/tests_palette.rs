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
