//! The mouse: clicks on the footer, the strip and the screen, and the wheel.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::act::{act, apply, scroll};
use super::footer;
use super::message::Effect;
use super::navigation::show;
use super::state::State;
use super::{drag, way};
use crate::events::strip;
use crate::layout::parts;

const WHEEL_ROWS: isize = 3;

pub(super) fn mouse(state: &mut State, event: MouseEvent) -> Vec<Effect> {
    let place = Position::new(event.column, event.row);
    match event.kind {
        MouseEventKind::ScrollDown => scroll(state, WHEEL_ROWS),
        MouseEventKind::ScrollUp => scroll(state, -WHEEL_ROWS),
        MouseEventKind::Down(MouseButton::Left) => {
            state.is_dirty = true;
            // Over a chart it is a click when the button is released where it was pressed.
            return match drag::begin(state, place) {
                true => Vec::new(),
                false => click(state, place),
            };
        }
        MouseEventKind::Drag(MouseButton::Left) => drag::follow(state, place),
        MouseEventKind::Up(MouseButton::Left) => match drag::end(state) {
            Some(place) => {
                state.is_dirty = true;
                return click(state, place);
            }
            None => return Vec::new(),
        },
        MouseEventKind::Moved => {
            let mode = state.context.mode();
            if mode.is_place() {
                let screen = state.screens.of_mut(mode);
                state.is_dirty |= screen.hover(place, &state.context);
            }
            return Vec::new();
        }
        _ => return Vec::new(),
    }
    state.is_dirty = true;
    Vec::new()
}

fn click(state: &mut State, place: Position) -> Vec<Effect> {
    let size = state.context.size;
    let Some(parts) = parts(Rect::new(0, 0, size.width, size.height)) else {
        return Vec::new();
    };
    let is_in = |part: Option<Rect>| part.is_some_and(|part| part.contains(place));
    if is_in(parts.footer) {
        let action = footer::action_at(state, place.x);
        return action.map_or_else(Vec::new, |action| act(state, action));
    }
    if parts.header.contains(place) {
        if let Some(target) = way::crumb_at(state, place.x) {
            way::go_to(state, target);
        }
        return Vec::new();
    }
    if let Some(area) = parts.strip.filter(|strip| strip.contains(place)) {
        let plot = strip::plot(state.context.window(), area);
        if plot.area.contains(place) {
            show(state, Some(plot.middle(plot.cell(place.x)).floor(1000)));
        }
        return Vec::new();
    }
    let mode = state.context.mode();
    if mode.is_prompt() {
        return Vec::new();
    }
    let outcomes = state.screens.of_mut(mode).click(place, &state.context);
    apply(state, outcomes.unwrap_or_default())
}
