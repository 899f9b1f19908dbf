//! What the mouse does.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::act::{act, scroll, sort_fleet, sort_processes};
use super::top::sort as sort_top;
use super::travel::show;
use super::{Effect, panes};
use crate::keys::{Action, Mode};
use crate::state::State;
use crate::view::{
    self, changes, chooser, compare, events, fleet, fleet_columns, footer, processes, strip, top,
};

/// Rows the wheel moves.
const WHEEL_ROWS: isize = 3;

/// Screens at least this high have a footer.
const FOOTER_FROM: u16 = 4;

pub(super) fn mouse(state: &mut State, event: MouseEvent) -> Vec<Effect> {
    match event.kind {
        MouseEventKind::ScrollDown => scroll(state, WHEEL_ROWS),
        MouseEventKind::ScrollUp => scroll(state, -WHEEL_ROWS),
        MouseEventKind::Down(MouseButton::Left) => {
            state.dirty = true;
            return click(state, event.column, event.row);
        }
        _ => return Vec::new(),
    }
    state.dirty = true;
    Vec::new()
}

/// A click on a word of the footer does it, one on a heading sorts, one on a row selects it.
fn click(state: &mut State, column: u16, row: u16) -> Vec<Effect> {
    let height = state.size.height;
    if height >= FOOTER_FROM && row + 1 == height {
        let action = footer::action_at(state, column);
        return action.map_or_else(Vec::new, |action| act(state, action));
    }
    if view::has_strip(state.size) && row + 2 == height {
        let window = state.timeline.window(state.now, state.at);
        let moment = strip::moment(window, column, state.size.width);
        return moment.map_or_else(Vec::new, |at| show(state, Some(at.floor(1000))));
    }
    match state.mode {
        Mode::Fleet if row + 1 == fleet::FIRST_ROW => sort_hosts_at(state, column),
        Mode::Processes if row + 1 == processes::FIRST_ROW => sort_processes_at(state, column),
        Mode::Fleet => return click_host(state, column, row),
        Mode::Top if row + 1 == top::FIRST_ROW => sort_top_at(state, column),
        Mode::Top => {
            let rows = top::rows(state.size);
            if let Some(at) = at(row, top::FIRST_ROW, rows, state.top.top)
                && at < state.top.shown_len()
            {
                if state.top.selected_at() == Some(at) {
                    return act(state, Action::Open);
                }
                state.top.select(at);
            }
        }
        Mode::Columns => {
            if let Some(at) = chooser::column_at(state, column, row) {
                state.chosen = at;
                return act(state, Action::Toggle);
            }
        }
        Mode::Host => panes::click(state, column, row),
        Mode::Pane if row == view::panes::HEADING_ROW => {
            if let Some(sort) = view::panes::sort_at(state, column) {
                panes::sort_by(state, sort);
            }
        }
        Mode::Processes => {
            let rows = processes::rows(state.size);
            if let Some(at) = at(row, processes::FIRST_ROW, rows, state.processes.top)
                && at < state.processes.shown().count()
            {
                if state.processes.selected_at() == Some(at) {
                    return act(state, Action::Open);
                }
                state.processes.select(at);
            }
        }
        Mode::Compare => {
            if let Some(at) = compare::line_at(state, column, row) {
                if state.compare.selected_at() == at {
                    return act(state, Action::Open);
                }
                state.compare.select(at);
            }
        }
        Mode::Changes => {
            let rows = changes::rows(state.size);
            if let Some(at) = at(row, changes::FIRST_ROW, rows, state.changes.top)
                && at < state.changes.rows().len()
            {
                state.changes.select(at);
            }
        }
        Mode::Events => {
            let rows = events::rows(state.size);
            if let Some(at) = at(row, events::FIRST_ROW, rows, state.timeline.top)
                && at < state.timeline.len()
            {
                state.timeline.select(at);
            }
        }
        _ => {}
    }
    Vec::new()
}

/// Which row of a list stands on a line of the screen.
fn at(line: u16, first: u16, rows: usize, top: usize) -> Option<usize> {
    let row = line.checked_sub(first).map(usize::from)?;
    (row < rows).then_some(top + row)
}

/// A click selects a host, and on its sign marks it; a click on the selected one opens it.
fn click_host(state: &mut State, column: u16, row: u16) -> Vec<Effect> {
    let rows = state.fleet_rows();
    let Some(at) = at(row, fleet::FIRST_ROW, rows, state.fleet.top) else {
        return Vec::new();
    };
    if at >= state.fleet.rows_len() {
        return Vec::new();
    }
    if column < fleet_columns::SIGN as u16 {
        state.fleet.select(at);
        state.fleet.mark();
        return Vec::new();
    }
    if state.fleet.selected_at() == Some(at) {
        return act(state, Action::Open);
    }
    state.fleet.select(at);
    Vec::new()
}

/// The first click on a heading sorts by it, another turns the order around.
fn sort_hosts_at(state: &mut State, column: u16) {
    if state.fleet.rows_len() == 0 {
        return;
    }
    match fleet_columns::sort_at(state, column) {
        Some(sort) if sort == state.fleet.sort => drop(act(state, Action::Reverse)),
        Some(sort) => sort_fleet(state, sort),
        None => {}
    }
    state.fleet.scroll(state.fleet_rows());
}

fn sort_processes_at(state: &mut State, column: u16) {
    if state.processes.time.is_none() {
        return;
    }
    match processes::sort_at(state, column) {
        Some(sort) if sort == state.processes.sort => drop(act(state, Action::Reverse)),
        Some(sort) => sort_processes(state, sort),
        None => {}
    }
    state.processes.scroll(processes::rows(state.size));
}

fn sort_top_at(state: &mut State, column: u16) {
    match top::sort_at(state, column) {
        Some(sort) if sort == state.top.sort => drop(act(state, Action::Reverse)),
        Some(sort) => sort_top(state, sort),
        None => {}
    }
    state.top.scroll(top::rows(state.size));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Feed;
    use crate::testing::{change, fleet, press, process, screen};
    use crate::update::{Message, update};
    use crossterm::event::KeyModifiers;
    use sysmon_config::Column;
    use sysmon_wire::UnixMs;

    /// Clicks on the first letter of a word of the screen.
    fn click_on(state: &mut State, word: &str) -> Vec<Effect> {
        let text = screen(state, state.size.width, state.size.height);
        let (row, line) = text
            .lines()
            .enumerate()
            .find(|(_, line)| line.contains(word))
            .unwrap();
        let column = line.split(word).next().unwrap().chars().count();
        update(
            state,
            Message::Mouse(MouseEvent {
                kind: MouseEventKind::Down(MouseButton::Left),
                column: column as u16,
                row: row as u16,
                modifiers: KeyModifiers::NONE,
            }),
        )
    }

    #[test]
    fn a_heading_sorts_and_then_turns_the_order_around() {
        let mut state = fleet();
        click_on(&mut state, "CPU");
        assert_eq!(
            (state.fleet.sort.name(), state.fleet.reverse),
            ("cpu", false)
        );
        click_on(&mut state, "CPU");
        assert!(state.fleet.reverse);
        click_on(&mut state, "LOAD");
        assert_eq!(
            (state.fleet.sort.name(), state.fleet.reverse),
            ("load", false)
        );
        click_on(&mut state, "HOST");
        assert_eq!(state.fleet.sort.name(), "name");
        state.size.width = 160;
        click_on(&mut state, "WRIT");
        assert_eq!(state.fleet.sort.name(), "disk.write");
        press(&mut state, "s");
        assert_eq!(state.fleet.sort.name(), "worst");
        press(&mut state, "s");
        assert_eq!(state.fleet.sort.name(), "name");
    }

    #[test]
    fn a_click_on_the_selected_group_folds_it_and_one_on_a_column_hides_it() {
        let mut state = fleet();
        press(&mut state, "#j");
        click_on(&mut state, "untagged");
        assert_eq!(state.fleet.selected_group().unwrap().name(), "untagged");
        assert_eq!(state.fleet.rows_len(), 4);
        click_on(&mut state, "untagged");
        assert_eq!(state.fleet.rows_len(), 1);
        press(&mut state, "|");
        click_on(&mut state, "fullest");
        assert!(!state.columns.contains(&Column::Filesystem));
        assert_eq!(state.mode, Mode::Columns);
    }

    #[test]
    fn a_word_of_the_footer_is_done() {
        let mut state = fleet();
        click_on(&mut state, "help");
        assert_eq!(state.mode, Mode::Help);
        click_on(&mut state, "Esc back");
        assert_eq!(state.mode, Mode::Fleet);
        press(&mut state, "/a");
        click_on(&mut state, "leave");
        assert_eq!((state.mode, state.fleet.filter.as_str()), (Mode::Fleet, ""));
        assert_eq!(click_on(&mut state, "quit"), [Effect::Quit]);
    }

    #[test]
    fn a_sign_marks_its_host_and_a_chart_is_selected() {
        let mut state = fleet();
        let click = |state: &mut State, column, row| {
            let kind = MouseEventKind::Down(MouseButton::Left);
            let modifiers = KeyModifiers::NONE;
            let event = MouseEvent {
                kind,
                column,
                row,
                modifiers,
            };
            update(state, Message::Mouse(event))
        };
        for row in [fleet::FIRST_ROW + 1, fleet::FIRST_ROW + 2] {
            click(&mut state, 1, row);
        }
        let marked: Vec<_> = state.fleet.marked().map(ToString::to_string).collect();
        assert_eq!(marked, ["b", "c"]);
        press(&mut state, "c");
        click_on(&mut state, "c  ");
        assert_eq!(state.compare.selected().unwrap().host, "c");
        press(&mut state, "\u{1b}");
        click(&mut state, 1, fleet::FIRST_ROW + 1);
        assert!(!state.fleet.is_marked(&"b".into()));
    }

    #[test]

    fn the_busiest_of_all_hosts_are_sorted_chosen_and_gone_to() {
        let mut state = fleet();
        press(&mut state, "p");
        let row = |host: &str, pid| sysmon_wire::message::HostProcess {
            host: host.into(),
            process: process(pid, "cc1", 900, 5),
        };
        let top = Feed::Top {
            time: UnixMs(5),
            hosts: 2,
            processes: vec![row("one", 7), row("two", 8)],
        };
        update(&mut state, Message::Feed(top));
        click_on(&mut state, "MEM");
        assert_eq!(
            (state.top.sort.name(), state.top.reverse),
            ("memory", false)
        );
        click_on(&mut state, "MEM");
        assert!(state.top.reverse);
        click_on(&mut state, "two ");
        assert_eq!(state.top.selected().unwrap().host, "two");
        click_on(&mut state, "two ");
        assert_eq!(state.mode, Mode::Processes);
        assert_eq!(state.host.as_ref().unwrap().name, "two");
    }

    #[test]
    fn rows_of_lists_are_selected() {
        let mut state = fleet();
        press(&mut state, "\np");
        let processes = vec![process(7, "cc1", 900, 5), process(8, "make", 1, 9)];
        let feed = Feed::Processes {
            time: UnixMs(5),
            all: true,
            processes,
        };
        update(&mut state, Message::Feed(feed));
        click_on(&mut state, "make");
        assert_eq!(state.processes.selected().unwrap().identity.pid, 8);
        click_on(&mut state, "make");
        assert_eq!(state.mode, Mode::Process);
        press(&mut state, "h");
        click_on(&mut state, "MEM");
        assert_eq!(state.processes.sort.name(), "memory");
        click_on(&mut state, "COMMAND");
        assert_eq!(state.processes.sort.name(), "command");
        press(&mut state, "w");
        let changes = vec![change("a", "x", 0.0, 1.0), change("b", "y", 0.0, 1.0)];
        update(
            &mut state,
            Message::Feed(Feed::Changes {
                time: UnixMs(5),
                changes,
            }),
        );
        click_on(&mut state, "y ");
        assert_eq!(state.changes.selected_at(), 1);
    }
}
