//! Several lines over time in one chart, in braille; in ASCII the letters of the lines.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::widgets::chart::POINTS_PER_CELL;

/// Dots of a braille cell, by column and row from the top (Unicode, block U+2800).
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

const DOTS_PER_CELL: usize = 4;

pub(crate) struct Trace {
    /// Values from left to right, [`POINTS_PER_CELL`] to a cell.
    pub(crate) values: Vec<Option<f64>>,
    /// Drawn instead of braille in ASCII.
    pub(crate) letter: char,
    pub(crate) style: Style,
}

/// Draws lines of values from 0 to `max`; the last is drawn over those it crosses.
pub(crate) fn traces(buffer: &mut Buffer, area: Rect, traces: &[Trace], max: f64, ascii: bool) {
    let area = area.intersection(buffer.area);
    let rows = usize::from(area.height) * DOTS_PER_CELL;
    let cells = usize::from(area.width) * usize::from(area.height);
    let mut dots = vec![0u32; cells];
    for trace in traces {
        let mut before: Option<usize> = None;
        for (column, value) in trace.values.iter().enumerate() {
            let row = value.map(|value| row(value, max, rows));
            let Some(to) = row else {
                before = None;
                continue;
            };
            // What lies between two values is drawn from the first dot after the one before.
            let from = match before.replace(to) {
                Some(from) if from < to => from + 1,
                Some(from) if from > to => from - 1,
                _ => to,
            };
            for row in from.min(to)..=from.max(to) {
                let (x, y) = (column / POINTS_PER_CELL, row / DOTS_PER_CELL);
                if x >= usize::from(area.width) || (ascii && row != to) {
                    continue;
                }
                let place = (area.x + x as u16, area.y + y as u16);
                let at = y * usize::from(area.width) + x;
                let bit = DOTS
                    .get(column % POINTS_PER_CELL)
                    .and_then(|dots| dots.get(row % DOTS_PER_CELL));
                let (Some(cell), Some(dots), Some(bit)) =
                    (buffer.cell_mut(place), dots.get_mut(at), bit)
                else {
                    continue;
                };
                *dots |= bit;
                let braille = char::from_u32(0x2800 + *dots).unwrap_or(' ');
                let glyph = if ascii { trace.letter } else { braille };
                cell.set_char(glyph).set_style(trace.style);
            }
        }
    }
}

/// The row of dots of a value, from the top.
fn row(value: f64, max: f64, rows: usize) -> usize {
    let share = if max > 0.0 {
        (value / max).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let last = rows.saturating_sub(1);
    last - ((share * last as f64).round() as usize).min(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(lines: &[(&[Option<f64>], char)], ascii: bool) -> Vec<String> {
        let area = Rect::new(0, 0, 2, 2);
        let mut buffer = Buffer::empty(area);
        let trace = |(values, letter): &(&[Option<f64>], char)| Trace {
            values: values.to_vec(),
            letter: *letter,
            style: Style::new(),
        };
        let lines: Vec<_> = lines.iter().map(trace).collect();
        traces(&mut buffer, area, &lines, 1.0, ascii);
        let line = |y| (0..2).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        vec![line(0), line(1)]
    }

    #[test]
    fn a_line_is_continuous_and_has_gaps_where_there_is_no_value() {
        let rising = [Some(0.0), Some(1.0), None, Some(0.0)];
        assert_eq!(drawn(&[(&rising, 'a')], false), ["⢸ ", "⡸⢀"]);
        assert_eq!(drawn(&[(&rising, 'a')], true), ["a ", "aa"]);
    }

    #[test]
    fn the_last_goes_before_others() {
        let low = [Some(0.0); 4];
        let both: [(&[Option<f64>], char); 2] = [(&low, 'a'), (&low, 'b')];
        assert_eq!(drawn(&both, true), ["  ", "bb"]);
    }
}
