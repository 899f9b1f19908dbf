//! From the state to cells: a file for each thing on screen. Pure.

mod burst;
pub mod changes;
mod chart;
pub mod chooser;
pub mod compare;
mod cores;
pub mod events;
pub mod fleet;
pub mod fleet_columns;
mod fleet_detail;
mod fleet_rows;
pub mod footer;
mod header;
pub mod help;
pub mod host;
mod host_tables;
mod paint;
mod palette;
mod pane_charts;
mod pane_tables;
mod panel;
pub mod panes;
mod process;
pub mod processes;
mod sparkline;
pub mod strip;
pub mod top;
mod trace;

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
    let Some(Parts {
        top,
        body,
        strip,
        bottom,
    }) = split(area)
    else {
        return;
    };
    let place = state.place();
    header::draw(state, place, top, buffer);
    match place {
        Mode::Host => host::draw(state, body, buffer),
        Mode::Pane => panes::draw(state, body, buffer),
        Mode::Burst => burst::draw(state, body, buffer),
        Mode::Processes => processes::draw(state, body, buffer),
        Mode::Process => process::draw(state, body, buffer),
        Mode::Top => top::draw(state, body, buffer),
        Mode::Changes => changes::draw(state, body, buffer),
        Mode::Events => events::draw(state, body, buffer),
        Mode::Compare => compare::draw(state, body, buffer),
        _ => fleet::draw(state, body, buffer),
    }
    if state.mode == Mode::Help {
        help::draw(state, body, buffer);
    }
    if let Some(strip) = strip {
        strip::draw(state, strip, buffer);
    }
    if state.mode == Mode::Columns {
        chooser::draw(state, body, buffer);
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

/// Whether a screen of this size has a strip of time.
pub fn has_strip(size: Size) -> bool {
    strip::has_room(size)
}

/// The part of the screen between header and footer.
fn body(size: Size) -> Rect {
    let area = Rect::new(0, 0, size.width, size.height);
    split(area).map_or(Rect::ZERO, |parts| parts.body)
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

/// The lines of a screen.
struct Parts {
    /// The header.
    top: Rect,
    body: Rect,
    /// The strip of time, where there is room for one.
    strip: Option<Rect>,
    /// The footer, where there is room for one.
    bottom: Option<Rect>,
}

fn split(area: Rect) -> Option<Parts> {
    if area.width == 0 || area.height == 0 {
        return None;
    }
    let footer_rows = u16::from(area.height >= 4);
    let strip_rows = u16::from(strip::has_room(area.as_size()));
    let line = |y: u16| Rect {
        y: area.y + y,
        height: 1,
        ..area
    };
    let body = Rect {
        y: area.y + 1,
        height: area.height - 1 - footer_rows - strip_rows,
        ..area
    };
    Some(Parts {
        top: line(0),
        body,
        strip: (strip_rows > 0).then(|| line(area.height - 2)),
        bottom: (footer_rows > 0).then(|| line(area.height - 1)),
    })
}

/// An area without its first rows.
fn below(area: Rect, rows: u16) -> Rect {
    Rect {
        y: area.y + rows.min(area.height),
        height: area.height.saturating_sub(rows),
        ..area
    }
}
