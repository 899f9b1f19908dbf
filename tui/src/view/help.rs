//! The help: every key, from the table that makes them work.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::{Pen, fill};
use crate::state::State;

/// What the signs mean, below the keys.
const SIGNS: [(&str, &str, &str); 4] = [
    ("▲", "#", "critical: the value in this colour"),
    ("◆", "!", "warning: the value in this colour"),
    ("○", "o", "stale: no sample for some seconds"),
    ("✕", "x", "offline: no sample for longer"),
];

/// Screens at least this wide have the help in two columns.
const TWO_COLUMNS_FROM: u16 = 118;

/// Cells the keys take before their explanation.
const KEYS_WIDTH: usize = 16;

fn lines(state: &State) -> Vec<Line> {
    let theme = &state.theme;
    let mut lines = vec![Line::Title("Keys")];
    for bound in state.keys.all().filter(|b| !b.binding.is_of_prompts()) {
        let keys: Vec<_> = bound.keys.iter().map(|key| key.name(theme.ascii)).collect();
        let entry = Line::Entry(keys.join("  "), bound.binding.help);
        // The same key may stand in the footer of one screen and not of another.
        if lines.last() != Some(&entry) {
            lines.push(entry);
        }
    }
    lines.push(Line::Title(""));
    lines.push(Line::Title("Signs"));
    for (unicode, ascii, meaning) in SIGNS {
        lines.push(Line::Entry(theme.pick(unicode, ascii).to_owned(), meaning));
    }
    lines
}

/// Lines a column has, and columns: on a wide screen two, else one that scrolls.
fn columns(area: Rect, lines: usize) -> (usize, usize) {
    let rows = usize::from(area.height.saturating_sub(1)).max(1);
    let columns = if lines > rows && area.width >= TWO_COLUMNS_FROM {
        2
    } else {
        1
    };
    (rows, columns)
}

/// How far the help can be scrolled.
pub fn scroll_max(state: &State) -> u16 {
    let lines = lines(state).len();
    let (rows, columns) = columns(super::body(state.size), lines);
    u16::try_from(lines.saturating_sub(rows * columns)).unwrap_or(u16::MAX)
}

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    fill(buffer, area, theme.text);
    let lines = lines(state);
    let (rows, columns) = columns(area, lines.len());
    let width = area.width / columns as u16;
    let shown = lines.iter().skip(usize::from(state.help_scroll));
    for (at, line) in shown.take(rows * columns).enumerate() {
        let x = area.x + width * (at / rows) as u16;
        let place = Rect { x, width, ..area };
        let mut pen = Pen::new(buffer, place, (at % rows) as u16 + 1);
        pen.skip(2);
        match line {
            Line::Title(title) => pen.text(title, theme.title),
            Line::Entry(keys, help) => pen
                .text(keys, theme.key)
                .to(place.x + 2 + KEYS_WIDTH as u16)
                .text(help, theme.text),
        };
    }
}

#[derive(PartialEq)]
enum Line {
    Title(&'static str),
    Entry(String, &'static str),
}

#[cfg(test)]
mod tests {
    use crate::keys::{BINDINGS, Mode};
    use crate::testing::state;

    #[test]
    fn every_action_is_in_the_help() {
        let mut state = state();
        state.mode = Mode::Help;
        let text = crate::testing::screen(&state, 100, 60);
        for binding in BINDINGS.iter().filter(|b| !b.is_of_prompts()) {
            assert!(text.contains(binding.help), "{}", binding.help);
            for key in binding.keys {
                assert!(text.contains(&key.name(false)), "{}", key.name(false));
            }
        }
    }
}
