//! Where header, body, strip of time and footer are on a terminal of a given size.

use ratatui::layout::{Rect, Size};

const STRIP_FROM: Size = Size {
    width: 50,
    height: 14,
};

const FOOTER_FROM: u16 = 4;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) header: Rect,
    pub(crate) body: Rect,
    pub(crate) strip: Option<Rect>,
    pub(crate) footer: Option<Rect>,
}

/// Screens at least this high have a strip of two lines, and an empty one above it.
const TALL_STRIP_FROM: u16 = 20;
const BLANK_FROM: u16 = 24;

fn strip_rows(size: Size) -> u16 {
    match has_strip(size) {
        false => 0,
        true if size.height >= TALL_STRIP_FROM => 2,
        true => 1,
    }
}

pub(crate) fn has_strip(size: Size) -> bool {
    size.width >= STRIP_FROM.width && size.height >= STRIP_FROM.height
}

pub(crate) fn parts(area: Rect) -> Option<Parts> {
    if area.width == 0 || area.height == 0 {
        return None;
    }
    let footer_rows = u16::from(area.height >= FOOTER_FROM);
    let strip_rows = strip_rows(area.as_size());
    // What stands alone is seen better.
    let blank = u16::from(strip_rows == 2 && area.height >= BLANK_FROM);
    let line = |y: u16| Rect {
        y: area.y + y,
        height: 1,
        ..area
    };
    let body = Rect {
        y: area.y + 1,
        height: area.height - 1 - footer_rows - strip_rows - blank,
        ..area
    };
    Some(Parts {
        header: line(0),
        body,
        strip: (strip_rows > 0).then(|| Rect {
            height: strip_rows,
            ..line(area.height - 1 - strip_rows)
        }),
        footer: (footer_rows > 0).then(|| line(area.height - 1)),
    })
}

/// The part between header and strip or footer.
pub(crate) fn body(size: Size) -> Rect {
    let area = Rect::new(0, 0, size.width, size.height);
    parts(area).map_or(Rect::ZERO, |parts| parts.body)
}

pub(crate) fn below(area: Rect, rows: u16) -> Rect {
    Rect {
        y: area.y + rows.min(area.height),
        height: area.height.saturating_sub(rows),
        ..area
    }
}

pub(crate) fn list_rows(size: Size, lines_above: u16) -> usize {
    usize::from(body(size).height.saturating_sub(lines_above)).max(1)
}

/// The first row on screen of a list of `count` rows, of which `height` fit, so that the row `at` is among them.
pub(crate) fn scrolled_to(at: usize, top: usize, count: usize, height: usize) -> usize {
    let lowest = (at + 1).saturating_sub(height);
    top.min(at).max(lowest).min(count.saturating_sub(height))
}

/// The place in a list, scrolled down by `top`, of a line of the terminal.
pub(crate) fn list_at(line: u16, first: u16, rows: usize, top: usize) -> Option<usize> {
    let row = line.checked_sub(first).map(usize::from)?;
    (row < rows).then_some(top + row)
}
