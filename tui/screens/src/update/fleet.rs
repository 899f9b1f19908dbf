//! How the table of hosts is shown: groups, filter and columns.

use sysmon_config::Column;

use super::remark;
use crate::keys::{Action, Mode};
use crate::state::State;

/// Shows all hosts again; the selection stays where it is. If all are shown, marks none.
pub(super) fn clear_filter(state: &mut State) {
    if state.fleet.filter.is_empty() {
        state.fleet.unmark();
    }
    state.fleet.hold();
    state.fleet.filter.clear();
    state.fleet.reorder();
}

/// Files hosts under their tags, or lists them all.
pub(super) fn group(state: &mut State) {
    state.fleet.grouped = !state.fleet.grouped;
    state.fleet.reorder();
    let how = if state.fleet.grouped {
        "hosts by their first tag"
    } else {
        "hosts in one list"
    };
    remark(state, how.to_owned());
}

/// Folds all groups, or unfolds them.
pub(super) fn fold_all(state: &mut State) {
    if !state.fleet.grouped {
        let ascii = state.theme.ascii;
        let key = state.keys.key_of(Mode::Fleet, Action::Group, ascii);
        let key = key.unwrap_or_default();
        remark(state, format!("there are no groups; {key} makes them"));
    } else if state.fleet.fold_all() {
        remark(state, "all groups folded".to_owned());
    } else {
        remark(state, "all groups unfolded".to_owned());
    }
}

/// Hides the chosen column, or shows it in its usual place. The last one stays.
pub(super) fn toggle_column(state: &mut State) {
    let Some(&(_, column)) = Column::ALL.get(state.chosen) else {
        return;
    };
    let shown = &mut state.columns;
    if shown.contains(&column) {
        if shown.len() > 1 {
            shown.retain(|other| *other != column);
        }
        return;
    }
    let place = |column: Column| Column::ALL.iter().position(|(_, of)| *of == column);
    let later = |other: &Column| place(*other) > place(column);
    let at = shown.iter().position(later).unwrap_or(shown.len());
    shown.insert(at, column);
}

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
