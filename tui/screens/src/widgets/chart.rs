//! Values over time in braille: two columns and four rows a cell. Filled, or as a line.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::host_rows::Step;
use crate::model::step::STEPS;

/// Shares of a chart's height from which a cell has the next colour.
const HEIGHTS: [f64; STEPS] = [0.3, 0.6, 0.8, 0.9];

/// The colours of a chart.
#[derive(Clone, Copy)]
pub(crate) enum Inks<'a> {
    One(Style),
    /// By the height of a cell, so that its colour never changes with its value.
    ByHeight(&'a [Style; STEPS + 1]),
}

impl Inks<'_> {
    /// The style of a cell whose middle is at a share of the height.
    fn at(self, share: f64) -> Style {
        match self {
            Self::One(style) => style,
            Self::ByHeight(styles) => {
                let at = HEIGHTS.iter().filter(|from| share >= **from).count();
                styles.get(at).copied().unwrap_or_default()
            }
        }
    }
}

/// Which way values rise.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

pub(crate) const POINTS_PER_CELL: usize = 2;

/// Dots of the left and the right column of a braille cell, lowest first (Unicode, block U+2800).
const DOTS: [[u32; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];

/// Which dots of a column are set, counted from the ground.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Column {
    /// All from this one
    from: usize,
    /// up to before this one,
    to: usize,
    /// and this one above them: the largest value.
    peak: usize,
}

impl Column {
    fn has(self, dot: usize) -> bool {
        (self.from..self.to).contains(&dot) || (dot == self.peak && self.peak > 0)
    }
}

/// Draws values from 0 to `max`, [`POINTS_PER_CELL`] to a cell, the last at the right edge: filled up to
/// the mean of a step, with a dot at its largest value. A missing value is blank; one of 0 is a dot on
/// the ground, to distinguish it from a gap.
pub(crate) fn chart(
    buffer: &mut Buffer,
    area: Rect,
    values: &[Option<Step>],
    max: f64,
    inks: Inks<'_>,
    ascii: bool,
) {
    let columns = filled(buffer, area, values, max);
    draw(buffer, area, &columns, (inks, Way::Up), ascii);
}

/// The same, hanging from the top of the area: the lower half of two that share an axis.
pub(crate) fn chart_down(
    buffer: &mut Buffer,
    area: Rect,
    values: &[Option<Step>],
    max: f64,
    inks: Inks<'_>,
    ascii: bool,
) {
    let columns = filled(buffer, area, values, max);
    draw(buffer, area, &columns, (inks, Way::Down), ascii);
}

fn filled(buffer: &Buffer, area: Rect, values: &[Option<Step>], max: f64) -> Vec<Option<Column>> {
    let dots = usize::from(area.intersection(buffer.area).height) * 4;
    let columns = values.iter().map(|step| {
        let step = (*step)?;
        let to = dots_up_to(step.mean, max, dots);
        let peak = dots_up_to(step.max, max, dots) - 1;
        Some(Column { from: 0, to, peak })
    });
    columns.collect()
}

/// Draws a line, in each step from its smallest to its largest value, joined to that of the step before.
pub(crate) fn line(
    buffer: &mut Buffer,
    area: Rect,
    values: &[Option<Step>],
    max: f64,
    style: Style,
    ascii: bool,
) {
    let dots = usize::from(area.intersection(buffer.area).height) * 4;
    let mut before: Option<(usize, usize)> = None;
    let columns = values.iter().map(|step| {
        let own = step.map(|step| {
            let low = dots_up_to(step.min, max, dots) - 1;
            (low, dots_up_to(step.max, max, dots))
        });
        let joined = own.map(|(low, high)| match before {
            // What lies between the two belongs to the line.
            Some((low_before, high_before)) => {
                (low.min(high_before.max(1) - 1), high.max(low_before + 1))
            }
            None => (low, high),
        });
        before = own;
        joined.map(|(from, to)| Column { from, to, peak: 0 })
    });
    let columns: Vec<_> = columns.collect();
    draw(buffer, area, &columns, (Inks::One(style), Way::Up), ascii);
}

fn dots_up_to(value: f64, max: f64, dots: usize) -> usize {
    let share = if max > 0.0 {
        (value / max).clamp(0.0, 1.0)
    } else {
        0.0
    };
    ((share * dots as f64).round() as usize).max(1)
}

fn draw(
    buffer: &mut Buffer,
    area: Rect,
    values: &[Option<Column>],
    (inks, way): (Inks<'_>, Way),
    ascii: bool,
) {
    let area = area.intersection(buffer.area);
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
        let pair = [at(first), at(first + 1)];
        for cell_y in 0..area.height {
            let rows_below = match way {
                Way::Up => area.height - 1 - cell_y,
                Way::Down => cell_y,
            };
            let below = usize::from(rows_below) * 4;
            let glyph = if ascii {
                plain(pair, below)
            } else {
                braille(pair, below, way)
            };
            let share = (f64::from(rows_below) + 0.5) / f64::from(area.height);
            let style = inks.at(share);
            if let (Some(glyph), Some(cell)) =
                (glyph, buffer.cell_mut((area.x + cell_x, area.y + cell_y)))
            {
                cell.set_char(glyph).set_style(style);
            }
        }
    }
}

fn braille(pair: [Option<Column>; 2], below: usize, way: Way) -> Option<char> {
    let mut bits = 0;
    for (column, mut dots) in pair.into_iter().zip(DOTS) {
        let Some(column) = column else { continue };
        if way == Way::Down {
            dots.reverse();
        }
        let set = dots.iter().enumerate();
        bits |= set
            .filter(|(at, _)| column.has(below + at))
            .map(|(_, bit)| bit)
            .sum::<u32>();
    }
    (bits > 0).then(|| char::from_u32(0x2800 + bits)).flatten()
}

fn plain(pair: [Option<Column>; 2], below: usize) -> Option<char> {
    let set = |column: Column| (below..below + 4).filter(|dot| column.has(*dot)).count();
    match pair.into_iter().flatten().map(set).max()? {
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
        let values: Vec<_> = values.iter().map(|v| v.map(Step::of)).collect();
        let inks = Inks::One(Style::new());
        chart(&mut buffer, area, &values, 1.0, inks, ascii);
        text(&buffer)
    }

    fn text(buffer: &Buffer) -> Vec<String> {
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
    fn a_short_history_is_at_the_right() {
        assert_eq!(drawn(&[Some(1.0)], false), [" ⢸", " ⢸"]);
    }

    fn step(min: f64, max: f64) -> Option<Step> {
        let mean = (min + max) / 2.0;
        Some(Step {
            min,
            mean,
            max,
            ..Step::of(mean)
        })
    }

    #[test]
    fn a_spike_within_a_step_is_seen() {
        let area = Rect::new(0, 0, 2, 2);
        let mut buffer = Buffer::empty(area);
        let values = [step(0.0, 1.0), step(0.5, 0.5)];
        let inks = Inks::One(Style::new());
        chart(&mut buffer, area, &values, 1.0, inks, false);
        assert_eq!(text(&buffer), [" ⠁", " ⣿"]);
        let mut buffer = Buffer::empty(area);
        line(&mut buffer, area, &values, 1.0, Style::new(), false);
        assert_eq!(
            text(&buffer),
            [" ⡇", " ⡏"],
            "joined, from the smallest to the largest"
        );
    }

    #[test]
    fn the_lower_half_hangs_from_the_axis() {
        let area = Rect::new(0, 0, 2, 2);
        let mut buffer = Buffer::empty(area);
        let values = [Some(1.0), Some(0.5), None, Some(0.0)].map(|v| v.map(Step::of));
        let inks = Inks::One(Style::new());
        chart_down(&mut buffer, area, &values, 1.0, inks, false);
        assert_eq!(text(&buffer), ["⣿⠈", "⡇ "]);
    }

    #[test]
    fn a_line_is_not_joined_over_a_gap() {
        let area = Rect::new(0, 0, 2, 2);
        let mut buffer = Buffer::empty(area);
        let values = [step(1.0, 1.0), None, step(0.0, 0.0), step(1.0, 1.0)];
        line(&mut buffer, area, &values, 1.0, Style::new(), false);
        assert_eq!(text(&buffer)[1], " ⣸");
    }
}
