//! From the state to cells: a file for each thing on screen. Pure.

pub mod changes;
mod chart;
pub mod fleet;
pub mod fleet_columns;
pub mod footer;
mod header;
pub mod help;
pub mod host;
mod host_tables;
mod paint;
mod palette;
pub mod processes;
mod sparkline;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};

use crate::keys::Mode;
use crate::state::State;

/// Draws the whole screen.
pub fn view(state: &State, frame: &mut Frame<'_>) {
    draw(state, frame.area(), frame.buffer_mut());
}

/// Draws the whole screen into a buffer.
pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some((top, body, bottom)) = split(area) else {
        return;
    };
    let place = state.place();
    header::draw(state, place, top, buffer);
    match place {
        Mode::Host => host::draw(state, body, buffer),
        Mode::Processes => processes::draw(state, body, buffer),
        Mode::Changes => changes::draw(state, body, buffer),
        _ => fleet::draw(state, body, buffer),
    }
    if state.mode == Mode::Help {
        help::draw(state, body, buffer);
    }
    if state.mode == Mode::Palette {
        palette::draw(state, body, buffer);
    }
    if let Some(bottom) = bottom {
        footer::draw(state, bottom, buffer);
    }
    if state.theme.ascii {
        to_ascii(area, buffer);
    }
}

/// The part of the screen between header and footer.
fn body(size: Size) -> Rect {
    let area = Rect::new(0, 0, size.width, size.height);
    split(area).map_or(Rect::ZERO, |(_, body, _)| body)
}

/// Puts something readable in place of every character that is not ASCII, wherever it came from.
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

/// The header's line, the footer's where there is room for one, and what lies between.
fn split(area: Rect) -> Option<(Rect, Rect, Option<Rect>)> {
    if area.width == 0 || area.height == 0 {
        return None;
    }
    let footer_rows = u16::from(area.height >= 4);
    let top = Rect { height: 1, ..area };
    let body = Rect {
        y: area.y + 1,
        height: area.height - 1 - footer_rows,
        ..area
    };
    let bottom = Rect {
        y: area.y + area.height - 1,
        height: 1,
        ..area
    };
    Some((top, body, (footer_rows > 0).then_some(bottom)))
}
