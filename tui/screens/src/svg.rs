//! A screen as a picture: SVG that any browser shows as the terminal does.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::terminal::colours::indexed;
use crate::theme::ThemeName;

const CELL: (f64, f64) = (8.4, 17.0);

const MARGIN: f64 = 10.0;

/// Default background and foreground of a dark and of a light terminal.
const DARK: (&str, &str) = ("#0e1116", "#c4ccd8");
const LIGHT: (&str, &str) = ("#fbfaf7", "#33383f");

/// What a terminal shows where nothing is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paper {
    #[default]
    Dark,
    Light,
}

impl Paper {
    fn colours(self) -> (&'static str, &'static str) {
        match self {
            Self::Dark => DARK,
            Self::Light => LIGHT,
        }
    }
}

impl From<ThemeName> for Paper {
    fn from(theme: ThemeName) -> Self {
        match theme {
            ThemeName::Light => Self::Light,
            _ => Self::Dark,
        }
    }
}

/// Draws a screen; `title` is its alternative text.
pub fn svg(buffer: &Buffer, title: &str, paper: Paper) -> String {
    let area = buffer.area;
    let width = f64::from(area.width) * CELL.0 + 2.0 * MARGIN;
    let height = f64::from(area.height) * CELL.1 + 2.0 * MARGIN;
    let (back, ink) = paper.colours();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{back}\"/>\n",
        escape(title)
    );
    for y in area.top()..area.bottom() {
        let runs = runs(buffer, y, paper);
        for run in &runs {
            background(&mut out, run, y - area.top());
        }
        for run in &runs {
            shapes(&mut out, run, y - area.top(), ink);
            text(&mut out, run, y - area.top(), ink);
        }
    }
    out.push_str("</svg>\n");
    out
}

struct Run {
    x: u16,
    width: u16,
    text: String,
    foreground: Option<String>,
    background: Option<String>,
    modifier: Modifier,
}

fn runs(buffer: &Buffer, y: u16, paper: Paper) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut x = buffer.area.left();
    while x < buffer.area.right() {
        let Some(cell) = buffer.cell((x, y)) else {
            break;
        };
        let symbol = cell.symbol();
        let width = (symbol.width() as u16).max(1);
        let (foreground, background) = colours(cell, paper);
        let is_same = |run: &Run| {
            run.foreground == foreground
                && run.background == background
                && run.modifier == cell.modifier
        };
        match runs.last_mut().filter(|run| is_same(run)) {
            Some(run) => {
                run.text.push_str(symbol);
                run.width += width;
            }
            None => runs.push(Run {
                x: x - buffer.area.left(),
                width,
                text: symbol.to_owned(),
                foreground,
                background,
                modifier: cell.modifier,
            }),
        }
        x += width;
    }
    runs
}

fn colours(cell: &Cell, paper: Paper) -> (Option<String>, Option<String>) {
    let (foreground, background) = (colour(cell.fg), colour(cell.bg));
    if cell.modifier.contains(Modifier::REVERSED) {
        let (paper, ink) = paper.colours();
        let or =
            |colour: Option<String>, other: &str| Some(colour.unwrap_or_else(|| other.to_owned()));
        return (or(background, paper), or(foreground, ink));
    }
    (foreground, background)
}

fn colour(colour: Color) -> Option<String> {
    let (r, g, b) = match colour {
        Color::Indexed(index) => indexed(index),
        Color::Rgb(r, g, b) => (r, g, b),
        _ => return None,
    };
    Some(format!("#{r:02x}{g:02x}{b:02x}"))
}

fn place(run: &Run, y: u16) -> (f64, f64, f64) {
    let x = MARGIN + f64::from(run.x) * CELL.0;
    (
        x,
        MARGIN + f64::from(y) * CELL.1,
        f64::from(run.width) * CELL.0,
    )
}

fn background(out: &mut String, run: &Run, y: u16) {
    if let Some(colour) = &run.background {
        let (x, top, width) = place(run, y);
        let height = CELL.1;
        out.push_str(&format!(
            "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>\n"
        ));
    }
}

/// Blocks and braille are drawn, since fonts disagree about their size.
fn shapes(out: &mut String, run: &Run, y: u16, ink: &str) {
    let (left, top, _) = place(run, y);
    let mut path = String::new();
    let mut column = 0;
    for c in run.text.chars() {
        let x = left + f64::from(column) * CELL.0;
        for (dx, dy, width, height) in parts(c) {
            path.push_str(&format!(
                "M{:.1} {:.1}h{:.1}v{:.1}h{:.1}z",
                x + dx * CELL.0,
                top + dy * CELL.1,
                width * CELL.0,
                height * CELL.1,
                -width * CELL.0
            ));
        }
        column += c.width().unwrap_or(0) as u16;
    }
    if !path.is_empty() {
        let colour = run.foreground.as_deref().unwrap_or(ink);
        out.push_str(&format!("<path d=\"{path}\" fill=\"{colour}\"/>\n"));
    }
}

/// The rectangles a block or braille character consists of, as shares of a cell: left, top, width
/// and height (Unicode, blocks U+2580 and U+2800).
fn parts(c: char) -> Vec<(f64, f64, f64, f64)> {
    let eighths = |n: u32| f64::from(n) / 8.0;
    match u32::from(c) {
        code @ 0x2581..=0x2588 => {
            let height = eighths(code - 0x2580);
            vec![(0.0, 1.0 - height, 1.0, height)]
        }
        code @ 0x2589..=0x258f => vec![(0.0, 0.0, eighths(0x2590 - code), 1.0)],
        code @ 0x2800..=0x28ff => {
            // Bits of the dots, in columns from the top.
            const BITS: [[u32; 4]; 2] = [[0, 1, 2, 6], [3, 4, 5, 7]];
            let mut dots = Vec::new();
            for (x, column) in BITS.iter().enumerate() {
                for (y, bit) in column.iter().enumerate() {
                    if (code - 0x2800) >> bit & 1 == 1 {
                        dots.push((x as f64 * 0.5 + 0.08, y as f64 * 0.25 + 0.05, 0.34, 0.15));
                    }
                }
            }
            dots
        }
        _ => Vec::new(),
    }
}

fn text(out: &mut String, run: &Run, y: u16, ink: &str) {
    let plain: String = run
        .text
        .chars()
        .map(|c| if parts(c).is_empty() { c } else { ' ' })
        .collect();
    if plain.trim().is_empty() {
        return;
    }
    let (x, top, width) = place(run, y);
    let baseline = top + CELL.1 * 0.76;
    let colour = run.foreground.as_deref().unwrap_or(ink);
    let bold = if run.modifier.contains(Modifier::BOLD) {
        " font-weight=\"bold\""
    } else {
        ""
    };
    let underlined = if run.modifier.contains(Modifier::UNDERLINED) {
        " text-decoration=\"underline\""
    } else {
        ""
    };
    out.push_str(&format!(
        "<text x=\"{x:.1}\" y=\"{baseline:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
         xml:space=\"preserve\" fill=\"{colour}\"{bold}{underlined}>{}</text>\n",
        escape(&plain)
    ));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    #[test]
    fn runs_of_equal_cells_are_one_text_and_markup_is_escaped() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 1));
        buffer.set_string(0, 0, "<b>", Style::new().fg(Color::Indexed(203)));
        buffer.set_string(3, 0, "日x", Style::new().bg(Color::Indexed(236)));
        let picture = svg(&buffer, "a & b", Paper::Dark);
        assert!(picture.contains("<title>a &amp; b</title>"));
        assert!(
            picture.contains("fill=\"#ff5f5f\">&lt;b&gt;</text>"),
            "{picture}"
        );
        assert!(picture.contains("fill=\"#303030\"/>"));
        assert!(picture.contains(">日x</text>"));
        assert_eq!(picture.matches("<text").count(), 2);
    }

    #[test]
    fn blocks_and_braille_are_shapes() {
        assert_eq!(parts('▄'), [(0.0, 0.5, 1.0, 0.5)]);
        assert_eq!(parts('▌'), [(0.0, 0.0, 0.5, 1.0)]);
        assert_eq!(
            (parts('⣿').len(), parts('⠁').len(), parts('x').len()),
            (8, 1, 0)
        );
        assert_eq!(parts('⢀')[0].0, 0.58, "the lowest dot of the right column");
        let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 1));
        buffer.set_string(0, 0, "a▂⣀b", Style::new());
        let picture = svg(&buffer, "t", Paper::Dark);
        assert!(picture.contains(">a  b</text>"), "{picture}");
        assert_eq!(picture.matches("<path").count(), 1);
    }

    #[test]
    fn the_palette_is_xterms() {
        assert_eq!(colour(Color::Indexed(9)).unwrap(), "#ff0000");
        assert_eq!(colour(Color::Indexed(16)).unwrap(), "#000000");
        assert_eq!(colour(Color::Indexed(109)).unwrap(), "#87afaf");
        assert_eq!(colour(Color::Indexed(252)).unwrap(), "#d0d0d0");
        assert_eq!(colour(Color::Reset), None);
    }
}
