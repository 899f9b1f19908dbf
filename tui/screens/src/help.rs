//! The help: every key, from the table that makes them work.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::context::Context;
use crate::format::fit;
use crate::layout::body;
use crate::screen::Screen;
use crate::widgets::paint::{Pen, fill};

const SIGNS: [(&str, &str, &str); 5] = [
    ("▲", "#", "critical: the value in this colour"),
    ("◆", "!", "warning: the value in this colour"),
    ("○", "o", "stale: no sample for some seconds"),
    ("✕", "x", "offline: no sample for longer"),
    ("·", ".", "no data yet: its first sample is newer"),
];

const COLUMN_WIDTH: u16 = 59;
const COLUMNS_MAX: u16 = 3;

const KEYS_WIDTH_MAX: usize = 20;

/// Keys of this many screens are not listed for each of them,
const MANY: usize = 3;
/// and keys of this many not even under the current screen.
const MOST: usize = 6;

#[derive(Debug, Default)]
pub struct Help {
    pub scroll: u16,
}

impl Screen for Help {
    fn draw(&self, context: &Context, area: Rect, buffer: &mut Buffer) {
        draw(self.scroll, context, area, buffer);
    }

    fn scroll(&mut self, rows: isize, context: &Context) {
        let to = usize::from(self.scroll).saturating_add_signed(rows);
        let to = u16::try_from(to).unwrap_or(u16::MAX);
        self.scroll = to.min(scroll_max(context));
    }
}

#[derive(PartialEq)]
enum Line {
    Title(String),
    Entry(String, &'static str),
}

fn lines(context: &Context) -> Vec<Line> {
    let theme = &context.theme;
    let place = context.place();
    let many = "Most screens".to_owned();
    let mut sections = vec![
        (capital(place.name()), Vec::new()),
        (many.clone(), Vec::new()),
    ];
    for bound in context.keys.all().filter(|b| !b.binding.is_of_prompts()) {
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
        // The same key may be in the footer of one screen and not of another.
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

fn scroll_max(context: &Context) -> u16 {
    let lines = lines(context).len();
    let (rows, columns) = columns(body(context.size), lines);
    u16::try_from(lines.saturating_sub(rows * columns)).unwrap_or(u16::MAX)
}

fn draw(scroll: u16, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    fill(buffer, area, theme.text);
    let lines = lines(context);
    let (rows, columns) = columns(area, lines.len());
    let width = area.width / columns as u16;
    let top = usize::from(scroll);
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
    let mut announce = |row: u16, text: &str| {
        let x = area.right().saturating_sub(text.width() as u16 + 1);
        Pen::new(buffer, area, row).to(x).text(text, theme.key);
    };
    if top > 0 {
        announce(0, theme.pick("more ↑", "more ^"));
    }
    if top + rows * columns < lines.len() && area.height > 1 {
        announce(area.height - 1, theme.pick("more ↓", "more v"));
    }
}
