//! Finds lines that only moved up or down, after a row was inserted or removed or a list was scrolled.

use std::ops::Range;

use super::pen::Pen;
use super::{Print, changed};

const BY_MAX: isize = 3;

const MOVES_MAX: usize = 6;

/// Smallest saving, in bytes, for which lines are moved: the sequences need about twenty.
const SAVES_MIN: isize = 40;

/// Frames with fewer bytes to write are not searched.
const CHANGED_MIN: usize = 400;

struct Move {
    /// The lines that the terminal moves, including the lines that become blank.
    part: Range<usize>,
    /// Number of lines: up, or down if negative.
    by: isize,
    saves: isize,
}

pub(super) fn scroll(shown: &mut [Print], next: &[Print], width: usize, pen: &mut Pen<'_>) {
    let line = |cells: &[Print], y: usize| -> Range<usize> {
        let from = (y * width).min(cells.len());
        from..(from + width).min(cells.len())
    };
    let mut blank = Vec::new();
    for _ in 0..MOVES_MAX {
        let costs: Vec<usize> = shown
            .chunks(width)
            .zip(next.chunks(width))
            .map(|(shown, next)| {
                if shown == next {
                    0
                } else {
                    changed(shown, next)
                }
            })
            .collect();
        if costs.iter().sum::<usize>() < CHANGED_MIN {
            return;
        }
        if blank.is_empty() {
            let bare = vec![Print::BARE; width];
            let lines = next.chunks(width);
            blank.extend(lines.map(|next| changed(&bare, next)));
        }
        let search = Search {
            shown,
            next,
            width,
            costs: &costs,
            blank: &blank,
        };
        let moves = (1..=BY_MAX).flat_map(|by| [by, -by]);
        let best = moves
            .filter_map(|by| search.best(by))
            .max_by_key(|best| best.saves);
        let Some(best) = best else {
            return;
        };
        pen.scroll(&best.part, best.by);
        let (from, to) = (
            line(shown, best.part.start).start,
            line(shown, best.part.end).start,
        );
        let Some(cells) = shown.get_mut(from..to) else {
            return;
        };
        let by = best.by.unsigned_abs() * width;
        let free = if best.by > 0 {
            cells.rotate_left(by);
            cells.len() - by..cells.len()
        } else {
            cells.rotate_right(by);
            0..by
        };
        for cell in cells.get_mut(free).into_iter().flatten() {
            *cell = Print::BARE;
        }
    }
}

struct Search<'a> {
    shown: &'a [Print],
    next: &'a [Print],
    width: usize,
    /// Bytes of each line without a move.
    costs: &'a [usize],
    /// Bytes of each line if it is blank before.
    blank: &'a [usize],
}

impl Search<'_> {
    fn line<'a>(&self, cells: &'a [Print], y: usize) -> &'a [Print] {
        let from = y * self.width;
        cells.get(from..from + self.width).unwrap_or_default()
    }

    /// Bytes saved on each line if its content comes from `by` lines below.
    fn saved(&self, y: usize, by: isize) -> Option<isize> {
        let from = y
            .checked_add_signed(by)
            .filter(|from| *from < self.costs.len())?;
        let cost = *self.costs.get(y)?;
        // An unchanged line cannot gain.
        let moved = changed(self.line(self.shown, from), self.line(self.next, y));
        Some(cost as isize - moved as isize)
    }

    fn best(&self, by: isize) -> Option<Move> {
        let mut best: Option<Move> = None;
        // Kadane's algorithm, with the cost of beginning and ending a run.
        let (mut from, mut saves) = (0, isize::MIN / 2);
        for y in 0..self.costs.len() {
            let Some(saved) = self.saved(y, by) else {
                saves = isize::MIN / 2;
                continue;
            };
            let begin = if by < 0 {
                self.lost(y.saturating_add_signed(by)..y)
            } else {
                0
            };
            if saves < -begin {
                (from, saves) = (y, -begin);
            }
            saves += saved;
            let end = if by > 0 {
                self.lost(y + 1..y.saturating_add_signed(by) + 1)
            } else {
                0
            };
            let all = saves - end;
            if all >= SAVES_MIN && best.as_ref().is_none_or(|best| best.saves < all) {
                let part = part(from, y, by)?;
                best = Some(Move {
                    part,
                    by,
                    saves: all,
                });
            }
        }
        best
    }

    /// Additional bytes to fill lines that become blank.
    fn lost(&self, free: Range<usize>) -> isize {
        let blank = self.blank.get(free.clone()).unwrap_or_default();
        let costs = self.costs.get(free).unwrap_or_default();
        blank.iter().sum::<usize>() as isize - costs.iter().sum::<usize>() as isize
    }
}

/// The lines of a run, from source to destination.
fn part(from: usize, to: usize, by: isize) -> Option<Range<usize>> {
    if by > 0 {
        Some(from..to.checked_add_signed(by)? + 1)
    } else {
        Some(from.checked_add_signed(by)?..to + 1)
    }
}
