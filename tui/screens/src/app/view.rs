//! From the state to cells. Pure.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::state::State;
use super::{drag, footer, header, palette as commands};
use crate::events::{self, strip};
use crate::fleet;
use crate::keys::Mode;
use crate::layout::{Parts, parts};
use crate::palette;
use crate::screen::Screen;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some(Parts {
        header,
        body,
        strip,
        footer,
    }) = parts(area)
    else {
        return;
    };
    let context = &state.context;
    header::draw(state, header, buffer);
    state.screen().draw(context, body, buffer);
    if context.place() == Mode::Fleet
        && let Some(area) = fleet::events_area(&state.screens.fleet, context)
        && state.screens.fleet.rows_len() > 0
    {
        events::recent::draw(&state.screens.events, context, area, buffer);
    }
    if let Some(strip) = strip {
        strip::draw(&state.screens.events, context, strip, buffer);
    }
    drag::draw(state, buffer);
    match context.mode() {
        Mode::Help => state.screens.help.draw(context, body, buffer),
        Mode::Palette => {
            let entries = commands::entries(state);
            palette::draw(&entries, state.prompt.chosen, context, body, buffer);
        }
        _ => {}
    }
    if let Some(footer) = footer {
        footer::draw(state, footer, buffer);
    }
    if context.theme.ascii {
        to_ascii(area, buffer);
    }
}

/// Replaces every character that is not ASCII by something readable.
fn to_ascii(area: Rect, buffer: &mut Buffer) {
    let area = area.intersection(buffer.area);
    for position in area.positions() {
        let Some(cell) = buffer
            .cell_mut(position)
            .filter(|cell| !cell.symbol().is_ascii())
        else {
            continue;
        };
        let plain = match cell.symbol() {
            "–" | "−" => "-",
            "…" => "~",
            "·" => "|",
            "×" => "x",
            "°" => " ",
            _ => "?",
        };
        cell.set_symbol(plain);
    }
}
