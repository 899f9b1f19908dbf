//! Computes the bytes that turn one frame on the screen into another. Pure.
//!
//! Sequences are those of ECMA-48 (5th edition, 1991) that every terminal since the VT102 knows: CUP and CUF move,
//! SGR sets the style, EL erases the rest of a line, DCH and ICH delete and insert a character, DL and IL a line. With
//! those a line of bars that moved by one, or a list in which a row appeared or disappeared, is moved on the terminal
//! instead of being written again.

mod lines;
mod pen;
mod print;

use std::ops::Range;

use ratatui::buffer::{Buffer, Cell};

use self::pen::{Look, Pen};
pub(super) use self::print::Print;
use super::colours::Colours;

/// Smallest saving, in bytes, for which cells are moved: the sequences need about twenty.
const MOVE_SAVES_MIN: usize = 24;

/// Blanks at the end of a line that are erased rather than written.
const ERASED_MIN: usize = 4;

/// Appends to `out` what turns `shown` into `next`, from and to a cursor with the default style;
/// nothing if they are equal. A screen of another size has been cleared.
pub(super) fn write_difference(
    shown: &mut Vec<Print>,
    next: &Buffer,
    colours: Colours,
    out: &mut Vec<u8>,
) {
    let width = usize::from(next.area.width);
    if width == 0 {
        return;
    }
    shown.resize(next.content.len(), Print::BARE);
    let prints: Vec<Print> = next.content.iter().map(Print::of).collect();
    let mut pen = Pen::new(out, next.area.width, colours);
    lines::scroll(shown, &prints, width, &mut pen);
    let rows = shown.chunks_mut(width).zip(prints.chunks(width));
    let mut changes = Changes::default();
    for (((shown, next), cells), y) in rows.zip(next.content.chunks(width)).zip(0..) {
        // Most lines did not change at all.
        if shown != next {
            let mut line = Line {
                y,
                cells,
                next,
                shown,
            };
            line.write(&mut pen, &mut changes);
        }
    }
    changes.write(next, &mut pen);
    pen.end();
    *shown = prints;
}

/// Cells to write, by their style: changing it costs more bytes than moving.
#[derive(Default)]
struct Changes<'a> {
    looks: Vec<Look>,
    cells: Vec<Change<'a>>,
}

struct Change<'a> {
    look: usize,
    at: (u16, u16),
    cell: &'a Cell,
    /// Whether the line is blank from here on.
    is_last: bool,
}

impl<'a> Changes<'a> {
    fn push(&mut self, (x, y): (u16, u16), cell: &'a Cell, is_last: bool) {
        // A blank has the style of what is written before it, where only the background is visible.
        let before = self.cells.last().filter(|before| before.at.1 == y);
        let before = before.and_then(|before| self.looks.get(before.look));
        let look = before.copied().unwrap_or(Look::DEFAULT).of(cell);
        let known = self.looks.iter().position(|known| *known == look);
        let look = known.unwrap_or_else(|| {
            self.looks.push(look);
            self.looks.len() - 1
        });
        self.cells.push(Change {
            look,
            at: (x, y),
            cell,
            is_last,
        });
    }

    fn write(mut self, next: &Buffer, pen: &mut Pen<'_>) {
        self.cells.sort_by_key(|change| change.look);
        for Change {
            at: (x, y),
            cell,
            is_last,
            ..
        } in self.cells
        {
            if is_last {
                pen.erase(x, y, cell);
                continue;
            }
            // On a line of narrow characters the cells between can be written again.
            let from = pen.at.filter(|(from, row)| *row == y && *from < x);
            let gap = from.and_then(|(from, _)| {
                let line = usize::from(y) * usize::from(next.area.width);
                next.content
                    .get(line + usize::from(from)..line + usize::from(x))
            });
            pen.cell(x, y, gap.unwrap_or_default(), cell);
        }
    }
}

/// A line of the screen before and after.
struct Line<'a> {
    y: u16,
    cells: &'a [Cell],
    next: &'a [Print],
    shown: &'a mut [Print],
}

impl<'a> Line<'a> {
    fn write(&mut self, pen: &mut Pen<'_>, changes: &mut Changes<'a>) {
        // A wide character that is cut by a move looks different on each terminal.
        let has_wide = |prints: &[Print]| prints.iter().any(|print| print.is_wide());
        let has_wide = has_wide(self.next) || has_wide(self.shown);
        if !has_wide && changed(self.shown, self.next) >= MOVE_SAVES_MIN {
            self.shift(Shift::Left, pen);
            self.shift(Shift::Right, pen);
        }
        // Cells that a wide character covered, or covers.
        let (mut broken, mut covered) = (false, false);
        let prints = self.next.iter().zip(self.shown.iter());
        for ((next, shown), (x, cell)) in prints.zip((0..).zip(self.cells)) {
            if !covered && (broken || shown != next) {
                let is_last = *next == Print::BARE && self.is_bare_from(x);
                match (has_wide, is_last) {
                    (false, _) => changes.push((x, self.y), cell, is_last),
                    (true, true) => pen.erase(x, self.y, cell),
                    // Halves of wide characters are written from left to right.
                    (true, false) => pen.cell(x, self.y, &[], cell),
                }
                if is_last {
                    return;
                }
            }
            broken = shown.is_wide() || next.is_wide();
            covered = !covered && next.is_wide();
        }
    }

    /// Whether the line ends in enough bare cells from here.
    fn is_bare_from(&self, x: u16) -> bool {
        let rest = self.next.get(usize::from(x)..).unwrap_or_default();
        rest.len() >= ERASED_MIN && rest.iter().all(|print| *print == Print::BARE)
    }

    /// Moves parts of the line that moved by one cell.
    fn shift(&mut self, shift: Shift, pen: &mut Pen<'_>) {
        let mut from = 0;
        while let Some(part) = self.moved(shift, from) {
            from = part.end;
            let next = self.next.get(part.clone()).unwrap_or_default();
            let Some(shown) = self.shown.get_mut(part.clone()) else {
                return;
            };
            if changed(shown, next) < MOVE_SAVES_MIN {
                continue;
            }
            pen.shift(shift, &part, self.y);
            let free = match shift {
                Shift::Left => {
                    shown.rotate_left(1);
                    shown.last_mut()
                }
                Shift::Right => {
                    shown.rotate_right(1);
                    shown.first_mut()
                }
            };
            if let Some(free) = free {
                *free = Print::BARE;
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
            before.is_some() && before == self.next.get(x)
        };
        let is_changed = |x: &usize| self.shown.get(*x) != self.next.get(*x);
        let start = (from..self.next.len()).find(|x| is_changed(x) && fits(*x))?;
        let end = (start..self.next.len()).find(|x| !fits(*x));
        let end = end.unwrap_or(self.next.len());
        Some(match shift {
            Shift::Left => start..(end + 1).min(self.next.len()),
            Shift::Right => start.saturating_sub(1)..end,
        })
    }
}

#[derive(Clone, Copy)]
enum Shift {
    Left,
    Right,
}

/// Bytes of the cells that have to be written for one line to become another.
fn changed(shown: &[Print], next: &[Print]) -> usize {
    let both = shown.iter().zip(next);
    both.map(|(shown, next)| if shown == next { 0 } else { next.bytes() })
        .sum()
}

#[cfg(test)]
mod tests;
