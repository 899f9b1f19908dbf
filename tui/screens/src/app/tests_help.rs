#[cfg(test)]
mod tests {
    use crate::keys::{BINDINGS, Mode};
    use crate::testing::state;

    #[test]
    fn every_action_is_in_the_help() {
        let mut state = state();
        state.mode = Mode::Help;
        let text = crate::testing::screen(&state, 180, 60);
        for binding in BINDINGS.iter().filter(|b| !b.is_of_prompts()) {
            assert!(text.contains(binding.help), "{}", binding.help);
            for key in binding.keys {
                assert!(text.contains(&key.name(false)), "{}", key.name(false));
            }
        }
    }

    #[test]
    fn what_counts_here_comes_first_and_what_is_below_is_told() {
        let mut state = state();
        (state.mode, state.back) = (Mode::Help, vec![Mode::Host]);
        state.size = ratatui::layout::Size::new(80, 24);
        let top = crate::testing::screen(&state, 80, 24);
        let second = top.lines().nth(2).unwrap();
        assert!(second.starts_with("  Host"), "{top}");
        assert!(top.contains("more ↓") && !top.contains("more ↑"), "{top}");
        state.help_scroll = super::scroll_max(&state);
        let end = crate::testing::screen(&state, 80, 24);
        assert!(end.contains("more ↑") && !end.contains("more ↓"), "{end}");
    }
}
