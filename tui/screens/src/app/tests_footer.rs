#[cfg(test)]
mod tests {
    use crate::testing::{fleet, press, screen};

    #[test]
    fn what_is_no_expression_is_said_while_it_is_typed() {
        let mut state = fleet();
        press(&mut state, "p/a(");
        assert!(screen(&state, 80, 24).contains("a(▏   not an expression"));
        press(&mut state, "b)");
        assert!(!screen(&state, 80, 24).contains("not an expression"));
    }

    #[test]
    fn a_long_name_is_seen_where_it_is_typed() {
        let mut state = fleet();
        press(&mut state, "e");
        let text = screen(&state, 20, 5);
        assert!(
            text.lines().last().unwrap().ends_with("16-40.svg▏"),
            "{text}"
        );
        assert!(screen(&state, 120, 24).contains("save as"));
    }

    #[test]
    fn what_is_understood_of_a_filter_is_told() {
        let mut state = fleet();
        press(&mut state, "/");
        assert!(screen(&state, 80, 24).contains("#tag  is:alert  !not"));
        press(&mut state, "b !is:o");
        let text = screen(&state, 80, 24);
        assert!(
            text.contains("b and not offline: 1 of 3   ⏎ take"),
            "{text}"
        );
        press(&mut state, "x");
        assert!(screen(&state, 120, 24).contains("is: live, stale, offline"));
        assert!(screen(&state, 40, 24).contains("⏎ take"));
    }
}
