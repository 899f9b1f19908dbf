//! A cell as a number; equal cells have equal numbers.

use std::hash::{DefaultHasher, Hash, Hasher};

use ratatui::buffer::{Cell, CellWidth};
use ratatui::style::{Color, Modifier};

/// Modifiers that do not show on a blank.
pub(super) const OF_INK: Modifier = Modifier::BOLD.union(Modifier::DIM).union(Modifier::ITALIC);

/// A character with its style; comparing and moving these is far cheaper than cells.
///
/// Characters of up to four bytes in colours of the palette are distinguished exactly: 32 bits of the character, 3 of its
/// length, 9 of each colour and 9 of modifiers. All others are distinguished by a hash of 59 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::terminal) struct Print(u64);

const BYTES_AT: u32 = 32;
const FOREGROUND_AT: u32 = 35;
const BACKGROUND_AT: u32 = 44;
const MODIFIER_AT: u32 = 53;
const WIDE: u64 = 1 << 62;
const HASHED: u64 = 1 << 63;

impl Print {
    /// A blank as a cleared screen has it.
    pub(in crate::terminal) const BARE: Self = Self(b' ' as u64 | 1 << BYTES_AT);

    pub(super) fn of(cell: &Cell) -> Self {
        let symbol = cell.symbol().as_bytes();
        let wide = match symbol {
            [_] => 0,
            // Lines, bars and braille: most of a screen.
            [0xe2, 0x94..=0x96 | 0xa0..=0xa3, _] => 0,
            _ if cell.cell_width() > 1 => WIDE,
            _ => 0,
        };
        let (foreground, modifier) = if is_blank(cell) {
            (Color::Reset, Modifier::empty())
        } else {
            (cell.fg, cell.modifier)
        };
        let bytes = (symbol.len().min(7) as u64) << BYTES_AT;
        let looks = code(foreground).zip(code(cell.bg));
        match (symbol, looks) {
            (&[a], Some(looks)) => Self::exact([a, 0, 0, 0], looks, modifier, bytes | wide),
            (&[a, b], Some(looks)) => Self::exact([a, b, 0, 0], looks, modifier, bytes | wide),
            (&[a, b, c], Some(looks)) => Self::exact([a, b, c, 0], looks, modifier, bytes | wide),
            (&[a, b, c, d], Some(looks)) => {
                Self::exact([a, b, c, d], looks, modifier, bytes | wide)
            }
            _ => {
                let mut hasher = DefaultHasher::new();
                (symbol, foreground, cell.bg, modifier.bits()).hash(&mut hasher);
                let taken = WIDE | HASHED | 7 << BYTES_AT;
                Self(hasher.finish() & !taken | HASHED | bytes | wide)
            }
        }
    }

    fn exact(symbol: [u8; 4], looks: (u64, u64), modifier: Modifier, rest: u64) -> Self {
        let (foreground, background) = (looks.0 << FOREGROUND_AT, looks.1 << BACKGROUND_AT);
        let modifier = u64::from(modifier.bits() & 0x1ff) << MODIFIER_AT;
        Self(u64::from(u32::from_le_bytes(symbol)) | foreground | background | modifier | rest)
    }

    pub(super) fn bytes(self) -> usize {
        (self.0 >> BYTES_AT & 7) as usize
    }

    /// Whether it is two cells wide.
    pub(super) fn is_wide(self) -> bool {
        self.0 & WIDE != 0
    }
}

/// A space of which only the background is visible.
pub(super) fn is_blank(cell: &Cell) -> bool {
    cell.symbol() == " " && OF_INK.contains(cell.modifier)
}

/// A colour of the palette as a number of nine bits.
fn code(colour: Color) -> Option<u64> {
    match colour {
        Color::Reset => Some(0),
        Color::Indexed(index) => Some(1 + u64::from(index)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::style::Style;

    fn print(symbol: &str, style: Style) -> Print {
        let mut cell = Cell::default();
        cell.set_symbol(symbol).set_style(style);
        Print::of(&cell)
    }

    #[test]
    fn what_looks_different_has_another_print() {
        let plain = Style::new();
        let red = plain.fg(Color::Indexed(160));
        let on_red = plain.bg(Color::Indexed(160));
        let bold = plain.add_modifier(Modifier::BOLD);
        let under = plain.add_modifier(Modifier::UNDERLINED);
        let rgb = plain.fg(Color::Rgb(1, 2, 3));
        let mut prints = Vec::new();
        for symbol in [
            "a",
            "b",
            "\u{e9}",
            "e\u{301}",
            "▁",
            "▂",
            "漢",
            "🦀",
            "👩\u{200d}👩",
        ] {
            for style in [plain, red, on_red, bold, under, rgb] {
                prints.push(print(symbol, style));
            }
        }
        for style in [plain, on_red, under] {
            prints.push(print(" ", style));
        }
        for (at, one) in prints.iter().enumerate() {
            assert!(!prints[..at].contains(one), "{at}");
        }
    }

    #[test]
    fn of_a_blank_only_its_ground_shows() {
        let bold = Style::new()
            .fg(Color::Indexed(9))
            .add_modifier(Modifier::BOLD);
        assert_eq!(print(" ", bold), Print::BARE);
        assert_eq!(Print::of(&Cell::EMPTY), Print::BARE);
        assert_eq!(Print::BARE.bytes(), 1);
    }

    #[test]
    fn wide_ones_and_lengths_are_known() {
        for (symbol, wide, bytes) in [
            ("a", false, 1),
            ("▁", false, 3),
            ("⣿", false, 3),
            ("│", false, 3),
            ("漢", true, 3),
            ("🦀", true, 4),
            ("☕", true, 3),
            ("◾", true, 3),
            ("◆", false, 3),
        ] {
            let print = print(symbol, Style::new());
            assert_eq!((print.is_wide(), print.bytes()), (wide, bytes), "{symbol}");
        }
    }
}
