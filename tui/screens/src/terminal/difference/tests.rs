//! A terminal that receives the difference has to show the frame.

use proptest::prelude::*;
use ratatui::buffer::CellWidth;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::print::is_blank;
use super::*;

const AREA: Rect = Rect::new(0, 0, 40, 8);

/// A terminal, and the frame that it should show.
struct Shown {
    terminal: vt100::Parser,
    prints: Vec<Print>,
    buffer: Buffer,
}

impl Shown {
    fn new() -> Self {
        let cells = |count: u16| std::num::NonZeroU16::new(count).unwrap();
        Self {
            terminal: vt100::Parser::new(cells(AREA.height), cells(AREA.width), 0),
            prints: Vec::new(),
            buffer: Buffer::empty(AREA),
        }
    }

    /// Shows another frame; returns the bytes written.
    fn show(&mut self, next: &Buffer) -> usize {
        let mut out = Vec::new();
        write_difference(&mut self.prints, next, Colours::Many, &mut out);
        self.buffer = next.clone();
        self.terminal.process(&out);
        out.len()
    }

    /// The cells that differ from the frame.
    fn wrong(&self) -> Option<String> {
        let screen = self.terminal.screen();
        for y in 0..AREA.height {
            let mut covered = 0;
            for x in 0..AREA.width {
                let wanted = self.buffer.cell((x, y)).unwrap();
                if covered > 0 {
                    covered -= 1;
                    continue;
                }
                covered = wanted.cell_width() - 1;
                let is = screen.cell(y, x).unwrap();
                let text = if is.contents().is_empty() {
                    " "
                } else {
                    is.contents()
                };
                let ink = is_blank(wanted)
                    || (is.fgcolor() == colour(wanted.fg)
                        && is.bold() == wanted.modifier.contains(Modifier::BOLD)
                        && is.dim() == wanted.modifier.contains(Modifier::DIM)
                        && is.italic() == wanted.modifier.contains(Modifier::ITALIC));
                let ground = is.bgcolor() == colour(wanted.bg)
                    && is.inverse() == wanted.modifier.contains(Modifier::REVERSED)
                    && is.underline() == wanted.modifier.contains(Modifier::UNDERLINED);
                if text != wanted.symbol() || !ink || !ground {
                    return Some(format!("{x},{y} shows {is:?}, not {wanted:?}"));
                }
            }
        }
        None
    }
}

fn colour(colour: Color) -> vt100::Color {
    match colour {
        Color::Indexed(index) => vt100::Color::Idx(index),
        Color::Rgb(red, green, blue) => vt100::Color::Rgb(red, green, blue),
        _ => vt100::Color::Default,
    }
}

fn styles() -> impl Strategy<Value = Style> {
    let colours = || {
        prop_oneof![
            4 => Just(Color::Reset),
            2 => prop_oneof![Just(3u8), Just(12), Just(109), Just(238)].prop_map(Color::Indexed),
            1 => Just(Color::Rgb(1, 200, 30)),
        ]
    };
    let modifiers = prop_oneof![
        4 => Just(Modifier::empty()),
        1 => Just(Modifier::BOLD),
        1 => Just(Modifier::DIM),
        1 => Just(Modifier::BOLD | Modifier::UNDERLINED),
        1 => Just(Modifier::REVERSED),
    ];
    (colours(), colours(), modifiers)
        .prop_map(|(fg, bg, modifier)| Style::new().fg(fg).bg(bg).add_modifier(modifier))
}

/// Frames of random pieces of text with few symbols and styles, so that many cells stay the same.
fn frames(
    texts: &'static [&'static str],
) -> impl Strategy<Value = Vec<(u16, u16, &'static str, Style)>> {
    let piece = (
        0..AREA.width,
        0..AREA.height,
        prop::sample::select(texts),
        prop_oneof![3 => Just(Style::new()), 2 => styles()],
    );
    prop::collection::vec(piece, 0..40)
}

fn drawn(pieces: &[(u16, u16, &'static str, Style)]) -> Buffer {
    let mut buffer = Buffer::empty(AREA);
    for (x, y, text, style) in pieces {
        let room = usize::from(AREA.width - x);
        buffer.set_stringn(*x, *y, text, room, Style::reset().patch(*style));
    }
    buffer
}

/// A frame whose line `y` is moved between two columns.
fn moved(buffer: &Buffer, y: u16, columns: Range<u16>, shift: Shift) -> Buffer {
    let mut out = buffer.clone();
    let place = |x: u16| usize::from(y * AREA.width + x);
    let cells = &mut out.content[place(columns.start)..place(columns.end)];
    match shift {
        Shift::Left => cells.rotate_left(1),
        Shift::Right => cells.rotate_right(1),
    }
    out
}

const NARROW: &[&str] = &[
    "a",
    " ",
    "12.5",
    "      ",
    "▁▂▃▅▇▇█▃▁▂▅▅▁▇▃█",
    "▁▁▁▁▁▂▂▂▂▃▃▃▃",
    "web-1 critical",
    "│",
    "─────",
];
const WIDE: &[&str] = &["a", " ", "12.5", "漢字", "é", "é", "🦀", "▁▂▃", "      "];

proptest! {
    #[test]
    fn a_terminal_shows_what_it_is_told(frames in prop::collection::vec(frames(NARROW), 1..5)) {
        let mut shown = Shown::new();
        for frame in &frames {
            shown.show(&drawn(frame));
            prop_assert_eq!(shown.wrong(), None);
        }
    }

    #[test]
    fn wide_characters_stay_whole(frames in prop::collection::vec(frames(WIDE), 1..5)) {
        let mut shown = Shown::new();
        for frame in &frames {
            shown.show(&drawn(frame));
            prop_assert_eq!(shown.wrong(), None);
        }
    }

    #[test]
    fn lines_that_move_are_where_they_belong(
        frame in frames(NARROW),
        lines in prop::collection::vec(0..AREA.height, AREA.height as usize),
        more in frames(NARROW),
    ) {
        let mut shown = Shown::new();
        let before = drawn(&frame);
        shown.show(&before);
        let mut after = Buffer::empty(AREA);
        for (y, from) in (0..).zip(&lines) {
            for x in 0..AREA.width {
                after[(x, y)] = before[(x, *from)].clone();
            }
        }
        shown.show(&after);
        prop_assert_eq!(shown.wrong(), None);
        shown.show(&drawn(&more));
        prop_assert_eq!(shown.wrong(), None);
    }

    #[test]
    fn what_moves_takes_its_look_along(
        frame in frames(NARROW),
        y in 0..AREA.height,
        from in 0..AREA.width,
        to in 0..AREA.width,
        is_left: bool,
        more in frames(NARROW),
    ) {
        let mut shown = Shown::new();
        let before = drawn(&frame);
        shown.show(&before);
        let columns = from.min(to)..from.max(to) + 1;
        let shift = if is_left { Shift::Left } else { Shift::Right };
        shown.show(&moved(&before, y, columns, shift));
        prop_assert_eq!(shown.wrong(), None);
        shown.show(&drawn(&more));
        prop_assert_eq!(shown.wrong(), None);
    }
}

fn line(text: &str) -> Buffer {
    drawn_at(0, text)
}

fn drawn_at(y: u16, text: &str) -> Buffer {
    let mut buffer = Buffer::empty(AREA);
    buffer.set_string(0, y, text, Style::new());
    buffer
}

/// The bytes written between two frames.
fn between(before: &Buffer, after: &Buffer) -> String {
    let mut prints = Vec::new();
    write_difference(&mut prints, before, Colours::Many, &mut Vec::new());
    let mut out = Vec::new();
    write_difference(&mut prints, after, Colours::Many, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    assert_eq!(between(&line("cpu"), &line("cpu")), "");
}

#[test]
fn a_number_that_changes_costs_its_digits() {
    let (before, after) = (drawn_at(2, "web 12.5% 31"), drawn_at(2, "web 13.8% 32"));
    // Over one equal digit it is shorter to write it again; over more than four to move.
    assert_eq!(between(&before, &after), "\x1b[3;6H3.8% 32");
}

#[test]
fn bars_are_moved_where_they_stand() {
    let before = line("db ▁▂▃▅▇▇█▃▁▂▅▅▁▇▃█ 12");
    let after = line("db ▂▃▅▇▇█▃▁▂▅▅▁▇▃█▄ 12");
    let written = between(&before, &after);
    assert_eq!(written, "\x1b[1;4H\x1b[P\x1b[15C\x1b[@▄");
}

#[test]
fn few_that_move_are_written() {
    let written = between(&line("▁▂▃ x"), &line("▂▃▄ x"));
    assert_eq!(written, "\x1b[H▂▃▄");
}

#[test]
fn the_end_of_a_line_is_erased() {
    assert_eq!(between(&line("a long line"), &line("a")), "\x1b[1;3H\x1b[K");
}

#[test]
fn a_style_is_set_once_and_reset() {
    let mut after = Buffer::empty(AREA);
    let warning = Style::new()
        .fg(Color::Indexed(179))
        .add_modifier(Modifier::BOLD);
    after.set_string(0, 0, "a b", warning);
    after.set_string(0, 1, "c", warning);
    let written = between(&Buffer::empty(AREA), &after);
    assert_eq!(written, "\x1b[H\x1b[1;38;5;179ma b\n\x08\x08\x08c\x1b[m");
}

#[test]
fn a_terminal_of_few_colours_gets_the_nearest() {
    let mut after = Buffer::empty(AREA);
    let style = Style::new().fg(Color::Indexed(243)).bg(Color::Indexed(160));
    after.set_string(0, 0, "a", style);
    let mut out = Vec::new();
    write_difference(&mut Vec::new(), &after, Colours::Sixteen, &mut out);
    assert_eq!(out, b"\x1b[H\x1b[90;41ma\x1b[m");
}

/// A list of hosts with their load; longer than a screen of few lines.
fn list(names: &[&str]) -> Buffer {
    let mut buffer = Buffer::empty(LIST);
    for (y, name) in (0..).zip(names) {
        let bar = |at: usize| ['▁', '▂', '▃', '▅', '▇'][(at + name.len() * name.len()) / 3 % 5];
        let bars: String = (0..30).map(bar).collect();
        let text = format!(" {name:<12} {bars}  {} %", name.len());
        buffer.set_string(0, y, text, Style::new());
    }
    buffer
}

const LIST: Rect = Rect::new(0, 0, 60, 12);

const HOSTS: [&str; 10] = [
    "alpha",
    "beta",
    "gamma-gamma",
    "delta",
    "epsilon",
    "zeta-1",
    "eta",
    "theta",
    "iota",
    "kappa-22",
];

#[test]
fn a_row_that_comes_into_a_list_moves_the_others() {
    let before = list(&HOSTS);
    let mut names = HOSTS.to_vec();
    let last = names.pop().unwrap();
    names.insert(1, last);
    let after = list(&names);
    let written = between(&before, &after);
    assert!(
        written.starts_with("\x1b[2;10r\x1b[2H\x1b[L\x1b[r"),
        "{written:?}"
    );
    assert!(written.len() < 200, "{}", written.len());
    let cells = |count: u16| std::num::NonZeroU16::new(count).unwrap();
    let mut terminal = vt100::Parser::new(cells(LIST.height), cells(LIST.width), 0);
    terminal.process(between(&Buffer::empty(LIST), &before).as_bytes());
    terminal.process(written.as_bytes());
    let rows: Vec<String> = terminal.screen().rows(0, LIST.width).collect();
    for (row, name) in rows.iter().zip(&names) {
        assert!(row.contains(name), "{rows:?}");
    }
    assert!(rows[10].is_empty() && rows[11].is_empty(), "{rows:?}");
}
