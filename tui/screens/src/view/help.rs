//! The help: every key, from the table that makes them work.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::paint::{Pen, fill};
use crate::format::fit;
use crate::state::State;

/// What the signs mean, below the keys.
const SIGNS: [(&str, &str, &str); 5] = [
    ("▲", "#", "critical: the value in this colour"),
    ("◆", "!", "warning: the value in this colour"),
    ("○", "o", "stale: no sample for some seconds"),
    ("✕", "x", "offline: no sample for longer"),
    ("·", ".", "not recorded then: its first sample is newer"),
];

/// Cells a column of the help takes at least, and columns there are at most.
const COLUMN_WIDTH: u16 = 59;
const COLUMNS_MAX: u16 = 3;

/// Cells the keys take at most before their explanation.
const KEYS_WIDTH_MAX: usize = 20;

/// Keys that count on this many screens are not told for each of them,
const MANY: usize = 3;
/// and those that count on this many not even where one is.
const MOST: usize = 6;

#[derive(PartialEq)]
enum Line {
    Title(String),
    Entry(String, &'static str),
}

/// First what counts where one is, then what counts on most screens, then the others.
fn lines(state: &State) -> Vec<Line> {
    let theme = &state.theme;
    let place = state.place();
    let many = "Most screens".to_owned();
    let mut sections = vec![
        (capital(place.name()), Vec::new()),
        (many.clone(), Vec::new()),
    ];
    for bound in state.keys.all().filter(|b| !b.binding.is_of_prompts()) {
        let modes = bound.binding.modes;
        let title = match modes {
            modes if modes.contains(&place) && modes.len() < MOST => capital(place.name()),
            modes if modes.len() >= MANY => many.clone(),
            modes => {
                let names: Vec<_> = modes.iter().map(|mode| mode.name()).collect();
                capital(&names.join(", "))
            }
        };
        let keys: Vec<_> = bound.keys.iter().map(|key| key.name(theme.ascii)).collect();
        let entry = Line::Entry(keys.join("  "), bound.binding.help);
        // The same key may stand in the footer of one screen and not of another.
        if sections.iter().any(|(_, entries)| entries.contains(&entry)) {
            continue;
        }
        match sections.iter_mut().find(|(of, _)| *of == title) {
            Some((_, entries)) => entries.push(entry),
            None => sections.push((title, vec![entry])),
        }
    }
    let signs = SIGNS.iter().map(|(unicode, ascii, meaning)| {
        Line::Entry(theme.pick(unicode, ascii).to_owned(), meaning)
    });
    sections.push(("Signs".to_owned(), signs.collect()));
    let filled = sections.into_iter().filter(|(_, lines)| !lines.is_empty());
    let with_title = |(title, lines): (String, Vec<Line>)| {
        let gap = Line::Title(String::new());
        [gap, Line::Title(title)].into_iter().chain(lines)
    };
    filled.flat_map(with_title).skip(1).collect()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(chars).collect()
}

/// Lines a column has, and columns: as few as hold all, else as many as fit, which scroll.
fn columns(area: Rect, lines: usize) -> (usize, usize) {
    let rows = usize::from(area.height.saturating_sub(1)).max(1);
    let most = (area.width / COLUMN_WIDTH).clamp(1, COLUMNS_MAX);
    (rows, lines.div_ceil(rows).clamp(1, usize::from(most)))
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
    let top = usize::from(state.help_scroll);
    let widths = lines.iter().map(|line| match line {
        Line::Title(_) => 0,
        Line::Entry(keys, _) => keys.width() + 2,
    });
    let keys_width = widths.max().unwrap_or(0).min(KEYS_WIDTH_MAX);
    let shown = lines.iter().skip(top);
    for (at, line) in shown.take(rows * columns).enumerate() {
        let x = area.x + width * (at / rows) as u16;
        let place = Rect { x, width, ..area };
        let mut pen = Pen::new(buffer, place, (at % rows) as u16 + 1);
        pen.skip(2);
        match line {
            Line::Title(title) => pen.text(title, theme.title),
            Line::Entry(keys, help) => {
                pen.text(keys, theme.key)
                    .to(place.x + 2 + keys_width as u16);
                let room = pen.room().saturating_sub(1);
                pen.text(&fit(help, help.width().min(room)), theme.text)
            }
        };
    }
    let mut tell = |row: u16, text: &str| {
        let x = area.right().saturating_sub(text.width() as u16 + 1);
        Pen::new(buffer, area, row).to(x).text(text, theme.key);
    };
    if top > 0 {
        tell(0, theme.pick("more ↑", "more ^"));
    }
    if top + rows * columns < lines.len() && area.height > 1 {
        tell(area.height - 1, theme.pick("more ↓", "more v"));
    }
}

#[cfg(test)]
mod tests {
    use crate::keys::{BINDINGS, Mode};
    use crate::testing::state;

    #[test]
    fn every_action_is_in_the_help() {
        let mut state = state();
        state.mode = Mode::Help;
        let text = crate::testing::screen(&state, 180, 60);
        for binding in BINDINGS.iter().filter(|b| !b.is_of_prompts()) {
            assert!(text.contains(binding.help), "{}", binding.help);
            for key in binding.keys {
                assert!(text.contains(&key.name(false)), "{}", key.name(false));
            }
        }
    }

    #[test]
    fn what_counts_here_comes_first_and_what_is_below_is_told() {
        let mut state = state();
        (state.mode, state.back) = (Mode::Help, vec![Mode::Host]);
        state.size = ratatui::layout::Size::new(80, 24);
        let top = crate::testing::screen(&state, 80, 24);
        let second = top.lines().nth(2).unwrap();
        assert!(second.starts_with("  Host"), "{top}");
        assert!(top.contains("more ↓") && !top.contains("more ↑"), "{top}");
        state.help_scroll = super::scroll_max(&state);
        let end = crate::testing::screen(&state, 80, 24);
        assert!(end.contains("more ↑") && !end.contains("more ↓"), "{end}");
    }
}
