//! What has to be written so that the screen shows another frame. Pure.
//!
//! Sequences are those of ECMA-48 (5th edition, 1991) that every terminal since the VT102 knows: CUP and CUF move,
//! SGR sets the look, EL erases the rest of a line, DCH and ICH delete and insert a character, DL and IL a line. With
//! those a line of bars that moved on by one, or a list in which a row came or went, is moved where it stands instead
//! of being written anew.

mod lines;
mod pen;

use std::ops::Range;

use ratatui::buffer::{Buffer, Cell, CellWidth};
use ratatui::style::{Color, Modifier};

use self::pen::Pen;
use super::colours::Colours;

/// A move is worth it if so many bytes of cells need not be written; its sequences take about twenty.
const MOVE_SAVES_MIN: usize = 24;

/// Blanks at the end of a line that are erased rather than written.
const ERASED_MIN: u16 = 4;

/// Modifiers that do not show on a blank.
const OF_INK: Modifier = Modifier::BOLD.union(Modifier::DIM).union(Modifier::ITALIC);

/// Appends to `out` what makes a screen that shows `shown` show `next`, from and to a cursor with the default look;
/// nothing if they look alike. `shown` is left of no use.
pub(super) fn write_difference(
    shown: &mut Buffer,
    next: &Buffer,
    colours: Colours,
    out: &mut Vec<u8>,
) {
    let area = next.area;
    let width = usize::from(area.width);
    if width == 0 || shown.area != area {
        return;
    }
    let mut pen = Pen::new(out, area.width, colours);
    lines::scroll(&mut shown.content, &next.content, width, &mut pen);
    let rows = shown.content.chunks_mut(width);
    for ((shown, next), y) in rows.zip(next.content.chunks(width)).zip(0..) {
        // Most lines did not change at all.
        if shown != next {
            Line { y, next, shown }.write(&mut pen);
        }
    }
    pen.end();
}

/// A line of the screen, as it is and as it shall be.
struct Line<'a> {
    y: u16,
    shown: &'a mut [Cell],
    next: &'a [Cell],
}

impl Line<'_> {
    fn write(&mut self, pen: &mut Pen<'_>) {
        // A wide character that is cut by a move looks different on each terminal.
        let is_wide = |cell: &Cell| cell.cell_width() > 1;
        let has_wide = self.next.iter().any(is_wide) || self.shown.iter().any(is_wide);
        if !has_wide && self.changed(0..self.next.len()) >= MOVE_SAVES_MIN {
            self.shift(Shift::Left, pen);
            self.shift(Shift::Right, pen);
        }
        // Cells that a wide character covered, or covers.
        let (mut broken, mut covered) = (0u16, 0u16);
        for ((next, shown), x) in self.next.iter().zip(self.shown.iter()).zip(0..) {
            if covered == 0 && (broken > 0 || !looks_alike(shown, next)) {
                if is_bare(next) && self.is_bare_from(x) {
                    pen.erase(x, self.y, next);
                    return;
                }
                let gap = if has_wide { &[] } else { self.gap(pen, x) };
                pen.cell(x, self.y, gap, next);
            }
            let width = next.cell_width().max(1);
            broken = broken.max(shown.cell_width()).max(width) - 1;
            covered = if covered > 0 { covered - 1 } else { width - 1 };
        }
    }

    /// The cells between the pen and `x` on this line.
    fn gap(&self, pen: &Pen<'_>, x: u16) -> &[Cell] {
        pen.at
            .filter(|(_, y)| *y == self.y)
            .and_then(|(from, _)| self.next.get(usize::from(from)..usize::from(x)))
            .unwrap_or_default()
    }

    /// Whether the line ends in enough bare cells from here.
    fn is_bare_from(&self, x: u16) -> bool {
        let rest = self.next.get(usize::from(x)..).unwrap_or_default();
        rest.len() >= usize::from(ERASED_MIN) && rest.iter().all(is_bare)
    }

    /// Bytes of the cells of a part of the line that differ.
    fn changed(&self, part: Range<usize>) -> usize {
        let next = self.next.get(part.clone()).unwrap_or_default();
        changed(self.shown.get(part).unwrap_or_default(), next)
    }

    /// Moves what only moved by a cell.
    fn shift(&mut self, shift: Shift, pen: &mut Pen<'_>) {
        let mut from = 0;
        while let Some(part) = self.moved(shift, from) {
            from = part.end;
            if self.changed(part.clone()) < MOVE_SAVES_MIN {
                continue;
            }
            pen.shift(shift, &part, self.y);
            let Some(cells) = self.shown.get_mut(part) else {
                return;
            };
            match shift {
                Shift::Left => {
                    cells.rotate_left(1);
                    cells.last_mut().map(Cell::reset);
                }
                Shift::Right => {
                    cells.rotate_right(1);
                    cells.first_mut().map(Cell::reset);
                }
            }
        }
    }

    /// The next part of the line whose cells are its shown ones moved by one; with the cell that becomes free.
    fn moved(&self, shift: Shift, from: usize) -> Option<Range<usize>> {
        let fits = |x: usize| {
            let before = match shift {
                Shift::Left => self.shown.get(x + 1),
                Shift::Right => x.checked_sub(1).and_then(|x| self.shown.get(x)),
            };
            let next = self.next.get(x);
            before
                .zip(next)
                .is_some_and(|(before, next)| looks_alike(before, next))
        };
        let is_changed = |x: &usize| {
            let cells = self.shown.get(*x).zip(self.next.get(*x));
            cells.is_some_and(|(shown, next)| !looks_alike(shown, next))
        };
        let start = (from..self.next.len()).find(|x| is_changed(x) && fits(*x))?;
        let end = (start..self.next.len()).find(|x| !fits(*x));
        let end = end.unwrap_or(self.next.len());
        Some(match shift {
            Shift::Left => start..(end + 1).min(self.next.len()),
            Shift::Right => start.saturating_sub(1)..end,
        })
    }
}

/// Where something moved.
#[derive(Clone, Copy)]
enum Shift {
    Left,
    Right,
}

/// Bytes of the cells that have to be written for one line to become another.
fn changed(shown: &[Cell], next: &[Cell]) -> usize {
    let both = next.iter().zip(shown);
    let differ = both.filter(|(next, shown)| !looks_alike(shown, next));
    differ.map(|(next, _)| next.symbol().len()).sum()
}

/// Whether two cells cannot be told apart.
fn looks_alike(one: &Cell, other: &Cell) -> bool {
    one == other || (is_blank(one) && is_blank(other) && one.bg == other.bg)
}

/// A space of which only the ground shows.
fn is_blank(cell: &Cell) -> bool {
    cell.symbol() == " " && OF_INK.contains(cell.modifier)
}

/// A blank as a cleared screen has it.
fn is_bare(cell: &Cell) -> bool {
    is_blank(cell) && cell.bg == Color::Reset
}

#[cfg(test)]
mod tests;
