//! The line at the bottom: the few keys that matter here, or what is being typed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::paint::Pen;
use crate::keys::{BINDINGS, Mode};
use crate::state::State;

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let mut pen = Pen::new(buffer, area, 0);
    let prompt = match state.mode {
        Mode::Filter => Some("filter"),
        Mode::Time => Some("time (14:03, -2h, yesterday 9:00)"),
        Mode::Export => Some("save as (.svg .txt .json .csv)"),
        Mode::Palette => Some(":"),
        _ => None,
    };
    pen.skip(1);
    if let Some(prompt) = prompt {
        let cursor = theme.pick("▏", "_");
        pen.text(prompt, theme.dim)
            .skip(1)
            .text(&state.input, theme.text)
            .text(cursor, theme.key);
        pen.skip(3);
    } else if let Some((remark, _)) = &state.remark {
        pen.text(remark, theme.text).skip(3);
    } else if !state.fleet.filter.is_empty() && state.mode == Mode::Fleet {
        pen.text("filter ", theme.dim)
            .text(&state.fleet.filter, theme.text)
            .skip(3);
    }
    for binding in BINDINGS
        .iter()
        .filter(|binding| binding.modes.contains(&state.mode))
    {
        let (Some(word), Some(key)) = (binding.footer, binding.keys.first()) else {
            continue;
        };
        let key = key.name(theme.ascii);
        if pen.room() < key.width() + 1 + word.width() {
            break;
        }
        pen.text(&key, theme.key)
            .skip(1)
            .text(word, theme.dim)
            .skip(3);
    }
}
