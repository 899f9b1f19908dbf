#[cfg(test)]
mod tests {
    use crate::testing::{fleet, press, screen};

    #[test]
    fn the_list_floats_over_the_table_at_every_size() {
        let mut state = fleet();
        press(&mut state, "|");
        let text = screen(&state, 80, 24);
        assert!(
            text.contains("COLUMNS") && text.contains("✓ temp"),
            "{text}"
        );
        press(&mut state, "jjjjjjjjjjjj ");
        let text = screen(&state, 80, 24);
        assert!(
            text.contains("  temp") && !text.contains("✓ temp"),
            "{text}"
        );
        assert!(screen(&state, 40, 10).contains("hottest"));
        assert!(screen(&state, 20, 5).contains("temp"));
        for (width, height) in [(1, 1), (3, 3), (20, 5), (300, 100)] {
            screen(&state, width, height);
        }
        state.theme.ascii = true;
        assert!(screen(&state, 80, 24).is_ascii());
    }
}
