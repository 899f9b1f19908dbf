//! What the mouse does.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::Effect;
use super::act::{act, scroll};
use crate::keys::{Action, Mode};
use crate::state::State;
use crate::view::fleet::FIRST_ROW;

/// Rows the wheel moves.
const WHEEL_ROWS: isize = 3;

pub(super) fn mouse(state: &mut State, event: MouseEvent) -> Vec<Effect> {
    let wheel = match event.kind {
        MouseEventKind::ScrollDown => WHEEL_ROWS,
        MouseEventKind::ScrollUp => -WHEEL_ROWS,
        MouseEventKind::Down(MouseButton::Left) if state.mode == Mode::Fleet => {
            return click(state, event.row);
        }
        _ => return Vec::new(),
    };
    state.dirty = true;
    scroll(state, wheel);
    Vec::new()
}

/// A click selects a host; a click on the selected one opens it.
fn click(state: &mut State, row: u16) -> Vec<Effect> {
    let Some(row) = row.checked_sub(FIRST_ROW).map(usize::from) else {
        return Vec::new();
    };
    let at = state.fleet.top + row;
    if row >= state.fleet_rows() || at >= state.fleet.shown_len() {
        return Vec::new();
    }
    state.dirty = true;
    if state.fleet.selected_at() == Some(at) {
        return act(state, Action::Open);
    }
    state.fleet.select(at);
    Vec::new()
}
