#[cfg(test)]
mod tests {
    use crate::testing::{fleet, press, screen};

    #[test]
    fn the_list_stands_above_what_is_typed_at_every_size() {
        let mut state = fleet();
        press(&mut state, ":");
        let text = screen(&state, 80, 24);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[13].starts_with("▌ open"), "{text}");
        assert!(lines[12].starts_with("────"), "{text}");
        assert!(lines[23].starts_with(" : ▏"), "{text}");
        press(&mut state, "\t\t\t\t\t\t\t\t\t\t\t\t");
        assert!(screen(&state, 80, 24).contains('▌'));
        press(&mut state, "quit");
        let text = screen(&state, 20, 5);
        assert!(text.contains("▌ quit"), "{text}");
        press(&mut state, " nothing like it");
        assert!(screen(&state, 80, 24).contains("no such command"));
        for (width, height) in [(1, 1), (3, 3), (300, 100)] {
            screen(&state, width, height);
        }
    }
}
