//! Writes cells with as few bytes as possible.

use std::ops::Range;

use ratatui::buffer::{Cell, CellWidth};
use ratatui::style::{Color, Modifier};

use super::Shift;
use super::print::{OF_INK, is_blank};
use crate::terminal::colours::Colours;

/// Columns up to which a carriage return and a line feed are shorter than a cursor address.
const NEAR: u16 = 99;

/// Writes cells, and tracks the cursor's position and style.
pub(super) struct Pen<'a> {
    out: &'a mut Vec<u8>,
    begin: usize,
    width: u16,
    colours: Colours,
    /// Unknown where terminals differ, such as after the last column.
    pub(super) at: Option<(u16, u16)>,
    look: Look,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

impl Look {
    pub(super) const DEFAULT: Self = Self {
        fg: Color::Reset,
        bg: Color::Reset,
        modifier: Modifier::empty(),
    };

    /// The style that shows a cell with the fewest changes to this one.
    pub(super) fn of(self, cell: &Cell) -> Self {
        if is_blank(cell) {
            Self {
                bg: cell.bg,
                modifier: self.modifier & OF_INK,
                ..self
            }
        } else {
            Self {
                fg: cell.fg,
                bg: cell.bg,
                modifier: cell.modifier,
            }
        }
    }
}

impl<'a> Pen<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, width: u16, colours: Colours) -> Self {
        Self {
            begin: out.len(),
            out,
            width,
            colours,
            at: None,
            look: Look::DEFAULT,
        }
    }

    /// Writes a cell; a short gap before it is written again instead of moving the cursor.
    pub(super) fn cell(&mut self, x: u16, y: u16, gap: &[Cell], cell: &Cell) {
        let bytes: usize = gap.iter().map(|cell| cell.symbol().len()).sum();
        let is_plain = |cell: &Cell| self.look.of(cell) == self.look;
        if bytes > 0 && bytes <= 4 && gap.iter().all(is_plain) {
            for cell in gap {
                self.out.extend_from_slice(cell.symbol().as_bytes());
            }
            self.at = Some((x, y));
        }
        self.go(x, y);
        self.set(self.look.of(cell));
        self.out.extend_from_slice(cell.symbol().as_bytes());
        let after = x.saturating_add(cell.cell_width().max(1));
        // Terminals differ in the width of a character of several code points, too.
        let is_known = after < self.width && cell.symbol().chars().nth(1).is_none();
        self.at = is_known.then_some((after, y));
    }

    pub(super) fn erase(&mut self, x: u16, y: u16, cell: &Cell) {
        self.go(x, y);
        self.set(self.look.of(cell));
        self.out.extend_from_slice(b"\x1b[K");
    }

    /// Moves the cells of a part of a line by one; what is right of it stays.
    pub(super) fn shift(&mut self, shift: Shift, part: &Range<usize>, y: u16) {
        let (first, last) = (part.start as u16, part.end.saturating_sub(1) as u16);
        let (delete, insert) = match shift {
            Shift::Left => (first, last),
            Shift::Right => (last, first),
        };
        // Cells that become free get the cursor's background.
        self.set(Look {
            bg: Color::Reset,
            modifier: self.look.modifier & OF_INK,
            ..self.look
        });
        self.go(delete, y);
        self.out.extend_from_slice(b"\x1b[P");
        self.go(insert, y);
        self.out.extend_from_slice(b"\x1b[@");
    }

    /// Moves the lines of a part of the screen up or down; lines that become free are blank.
    pub(super) fn scroll(&mut self, part: &Range<usize>, by: isize) {
        self.set(Look {
            bg: Color::Reset,
            modifier: self.look.modifier & OF_INK,
            ..self.look
        });
        let (first, last) = (part.start as u16, part.end as u16);
        self.sequence(&[(first + 1, 1), (last, 0)], b'r');
        // Terminals differ in where setting margins leaves the cursor.
        self.at = None;
        self.go(0, first);
        let lines = by.unsigned_abs() as u16;
        self.sequence(&[(lines, 1)], if by > 0 { b'M' } else { b'L' });
        self.sequence(&[], b'r');
        self.at = None;
    }

    fn go(&mut self, x: u16, y: u16) {
        match self.at {
            Some((from, row)) if row == y => self.go_across(from, x),
            // In raw mode a line feed does not return to the first column.
            Some((from, row)) if cfg!(unix) && row + 1 == y && from.abs_diff(x) <= NEAR => {
                self.out.push(b'\n');
                self.go_across(from, x);
            }
            _ => self.sequence(&[(y + 1, 1), (x + 1, 1)], b'H'),
        }
        self.at = Some((x, y));
    }

    fn go_across(&mut self, from: u16, to: u16) {
        match from.saturating_sub(to) {
            0 if from == to => {}
            0 => self.sequence(&[(to - from, 1)], b'C'),
            back @ 1..=4 => self.out.extend((0..back).map(|_| b'\x08')),
            back => self.sequence(&[(back, 1)], b'D'),
        }
    }

    /// Writes a control sequence; parameters that are their defaults are left out at the end.
    fn sequence(&mut self, parameters: &[(u16, u16)], kind: u8) {
        self.out.extend_from_slice(b"\x1b[");
        let told = parameters
            .iter()
            .rposition(|(value, default)| value != default)
            .map_or(0, |last| last + 1);
        for (place, (value, _)) in parameters.iter().take(told).enumerate() {
            if place > 0 {
                self.out.push(b';');
            }
            number(self.out, *value);
        }
        self.out.push(kind);
    }

    /// Sets colours and modifiers: what differs, or all after a reset, whichever is shorter.
    fn set(&mut self, look: Look) {
        if look == self.look {
            return;
        }
        let (mut onward, mut anew) = (Codes::of(self.colours), Codes::of(self.colours));
        onward.change(self.look, look);
        if look != Look::DEFAULT {
            anew.push(&[0]);
            anew.change(Look::DEFAULT, look);
        }
        let shorter = if anew.bytes() < onward.bytes() {
            anew
        } else {
            onward
        };
        self.out.extend_from_slice(b"\x1b[");
        for (place, code) in shorter.codes().iter().enumerate() {
            if place > 0 {
                self.out.push(b';');
            }
            number(self.out, u16::from(*code));
        }
        self.out.push(b'm');
        self.look = look;
    }

    pub(super) fn end(&mut self) {
        if self.out.len() > self.begin {
            self.set(Look::DEFAULT);
        }
    }
}

struct Codes {
    colours: Colours,
    codes: [u8; 24],
    len: usize,
}

const MODIFIERS: [(Modifier, u8, u8); 8] = [
    (Modifier::BOLD, 1, 22),
    (Modifier::DIM, 2, 22),
    (Modifier::ITALIC, 3, 23),
    (Modifier::UNDERLINED, 4, 24),
    (Modifier::SLOW_BLINK, 5, 25),
    (Modifier::REVERSED, 7, 27),
    (Modifier::HIDDEN, 8, 28),
    (Modifier::CROSSED_OUT, 9, 29),
];

impl Codes {
    fn of(colours: Colours) -> Self {
        Self {
            colours,
            codes: [0; 24],
            len: 0,
        }
    }

    fn push(&mut self, codes: &[u8]) {
        for code in codes {
            if let Some(place) = self.codes.get_mut(self.len) {
                *place = *code;
                self.len += 1;
            }
        }
    }

    fn codes(&self) -> &[u8] {
        self.codes.get(..self.len).unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        let digits = |code: &u8| 1 + usize::from(*code > 9) + usize::from(*code > 99);
        self.codes().iter().map(|code| digits(code) + 1).sum()
    }

    fn change(&mut self, from: Look, to: Look) {
        // One code resets both bold and dim.
        let weight = Modifier::BOLD | Modifier::DIM;
        let mut gone = from.modifier - to.modifier;
        if gone.intersects(weight) {
            gone |= from.modifier & weight;
        }
        let come = to.modifier - (from.modifier - gone);
        for (modifier, _, off) in MODIFIERS {
            if gone.contains(modifier) && !self.codes().contains(&off) {
                self.push(&[off]);
            }
        }
        for (modifier, on, _) in MODIFIERS {
            if come.contains(modifier) {
                self.push(&[on]);
            }
        }
        if from.fg != to.fg {
            self.colour(to.fg, 0);
        }
        if from.bg != to.bg {
            self.colour(to.bg, 10);
        }
    }

    /// A foreground colour, or a background colour with a `ground` of ten.
    fn colour(&mut self, colour: Color, ground: u8) {
        match colour {
            Color::Reset => self.push(&[39 + ground]),
            Color::Rgb(red, green, blue) => self.push(&[38 + ground, 2, red, green, blue]),
            Color::Indexed(index) => match self.colours.nearest(index) {
                index @ 16.. => self.push(&[38 + ground, 5, index]),
                index @ 8.. => self.push(&[82 + ground + index]),
                index => self.push(&[30 + ground + index]),
            },
            Color::Black => self.push(&[30 + ground]),
            Color::Red => self.push(&[31 + ground]),
            Color::Green => self.push(&[32 + ground]),
            Color::Yellow => self.push(&[33 + ground]),
            Color::Blue => self.push(&[34 + ground]),
            Color::Magenta => self.push(&[35 + ground]),
            Color::Cyan => self.push(&[36 + ground]),
            Color::Gray => self.push(&[37 + ground]),
            Color::DarkGray => self.push(&[90 + ground]),
            Color::LightRed => self.push(&[91 + ground]),
            Color::LightGreen => self.push(&[92 + ground]),
            Color::LightYellow => self.push(&[93 + ground]),
            Color::LightBlue => self.push(&[94 + ground]),
            Color::LightMagenta => self.push(&[95 + ground]),
            Color::LightCyan => self.push(&[96 + ground]),
            Color::White => self.push(&[97 + ground]),
        }
    }
}

fn number(out: &mut Vec<u8>, number: u16) {
    let mut digits = [0; 5];
    let mut rest = number;
    let mut from = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
        from -= 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(from..).unwrap_or_default());
}
