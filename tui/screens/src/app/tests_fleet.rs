#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fleet, press, screen};

    #[test]
    fn hosts_are_sorted_by_what_can_be_seen() {
        let mut state = fleet();
        state.columns = vec![Column::Load, Column::Read];
        let mut sorts = Vec::new();
        for _ in 0..5 {
            press(&mut state, "s");
            sorts.push(state.fleet.sort.name());
        }
        assert_eq!(sorts, ["name", "load", "disk", "worst", "name"]);
    }

    #[test]
    fn columns_are_hidden_and_come_back_where_they_were() {
        let mut state = fleet();
        press(&mut state, "|");
        assert_eq!(state.mode, Mode::Columns);
        press(&mut state, "jjjj \u{1b}");
        assert_eq!(state.mode, Mode::Fleet);
        assert!(!state.columns.contains(&Column::Memory));
        press(&mut state, "|jjjj ");
        assert_eq!(state.columns, Column::all());
        state.columns = vec![Column::Temperature, Column::Up];
        press(&mut state, "kkkkkkkkkkkkkkjj ");
        assert_eq!(
            state.columns,
            [Column::Cpu, Column::Temperature, Column::Up]
        );
        press(&mut state, "k jjjjjjjjjjjjjjjj ");
        state.columns = vec![Column::Temperature];
        press(&mut state, " ");
        assert_eq!(state.columns, [Column::Temperature], "the last one stays");
    }

    #[test]
    fn groups_are_folded_with_the_key_that_opens_hosts() {
        let mut state = fleet();
        press(&mut state, "z");
        assert!(state.remark.as_ref().unwrap().0.contains("# makes them"));
        press(&mut state, "#");
        let text = screen(&state, 80, 24);
        assert!(text.contains("▾ untagged"), "{text}");
        state.fleet.select(0);
        assert_eq!(press(&mut state, "\n"), []);
        let text = screen(&state, 80, 24);
        assert!(
            text.contains("▸ untagged") && text.contains("3 hosts"),
            "{text}"
        );
        assert_eq!(state.fleet.rows_len(), 1);
        press(&mut state, "z");
        assert_eq!(state.fleet.rows_len(), 4);
        press(&mut state, "jj\n");
        assert_eq!(state.mode, Mode::Host);
    }

    #[test]
    fn a_filter_that_is_left_leaves_the_selection_where_it_is() {
        let mut state = fleet();
        press(&mut state, "/b\n\u{1b}");
        assert_eq!(state.fleet.selected().unwrap().line.name, "b");
        assert_eq!(state.fleet.shown_len(), 3);
    }
}
