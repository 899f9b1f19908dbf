//! A filled line over time, in braille: two columns and four rows a cell.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Points that fit side by side into a cell.
pub(super) const POINTS_PER_CELL: usize = 2;

/// Dots of the left and the right column of a braille cell, lowest first (Unicode, block U+2800).
const DOTS: [[u32; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];

/// Draws values from 0 to `max`, [`POINTS_PER_CELL`] to a cell, the last at the right edge. A
/// missing value is blank; one of 0 is a dot on the ground, so that it can be told from a gap.
pub(super) fn chart(
    buffer: &mut Buffer,
    area: Rect,
    values: &[Option<f64>],
    max: f64,
    style: Style,
    ascii: bool,
) {
    let area = area.intersection(buffer.area);
    let rows = usize::from(area.height) * 4;
    let height = |value: Option<f64>| {
        let value = value?;
        let share = if max > 0.0 {
            (value / max).clamp(0.0, 1.0)
        } else {
            0.0
        };
        Some(((share * rows as f64).round() as usize).max(1))
    };
    let columns = usize::from(area.width) * POINTS_PER_CELL;
    let lead = columns.saturating_sub(values.len());
    let from = values.len().saturating_sub(columns);
    let shown = values.get(from..).unwrap_or_default();
    let at = |column: usize| {
        column
            .checked_sub(lead)
            .and_then(|n| shown.get(n))
            .copied()
            .flatten()
    };
    for cell_x in 0..area.width {
        let first = usize::from(cell_x) * POINTS_PER_CELL;
        let pair = [height(at(first)), height(at(first + 1))];
        for cell_y in 0..area.height {
            let below = usize::from(area.height - 1 - cell_y) * 4;
            let glyph = if ascii {
                plain(pair, below)
            } else {
                braille(pair, below)
            };
            if let (Some(glyph), Some(cell)) =
                (glyph, buffer.cell_mut((area.x + cell_x, area.y + cell_y)))
            {
                cell.set_char(glyph).set_style(style);
            }
        }
    }
}

/// The braille pattern of two heights in a cell above `below` rows of dots.
fn braille(pair: [Option<usize>; 2], below: usize) -> Option<char> {
    let mut bits = 0;
    for (height, dots) in pair.into_iter().zip(DOTS) {
        let filled = height.unwrap_or(0).saturating_sub(below).min(4);
        bits |= dots.iter().take(filled).sum::<u32>();
    }
    (bits > 0).then(|| char::from_u32(0x2800 + bits)).flatten()
}

fn plain(pair: [Option<usize>; 2], below: usize) -> Option<char> {
    let height = pair.into_iter().flatten().max()?;
    match height.saturating_sub(below) {
        0 => None,
        1 => Some('.'),
        2 | 3 => Some(':'),
        _ => Some('#'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[Option<f64>], ascii: bool) -> Vec<String> {
        let area = Rect::new(0, 0, 2, 2);
        let mut buffer = Buffer::empty(area);
        chart(&mut buffer, area, values, 1.0, Style::new(), ascii);
        let line = |y| {
            (0..2)
                .map(|x| buffer[(x, y)].symbol().to_owned())
                .collect::<String>()
        };
        vec![line(0), line(1)]
    }

    #[test]
    fn values_fill_from_the_ground_and_gaps_are_blank() {
        let values = [Some(1.0), Some(0.5), None, Some(0.0)];
        assert_eq!(drawn(&values, false), ["⡇ ", "⣿⢀"]);
        assert_eq!(drawn(&values, true), ["# ", "#."]);
    }

    #[test]
    fn a_short_history_stands_at_the_right() {
        assert_eq!(drawn(&[Some(1.0)], false), [" ⢸", " ⢸"]);
    }
}
