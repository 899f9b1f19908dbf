//! The tables of the host screen in few columns, of the same data as the maximized ones.

use ratatui::style::Style;

use super::pane_tables::{Row, rows};
use super::state::Pane;
use crate::format::{amount, fit};
use crate::model::host_rows::HostRows;
use crate::theme::{Severity, Theme};
use crate::widgets::paint::bar;

pub(super) type Line = Vec<(String, Style)>;

pub(super) const NAME_WIDTH: usize = 16;

enum Part {
    Bar(usize, usize),
    /// A value of a width.
    Value(usize, usize),
    Dim(usize, usize),
    Sum(usize, usize, usize),
    /// A word, where there is one.
    Word(usize),
}

/// Headings and parts of a pane; the other columns are shown when it is maximized.
fn compact(pane: Pane) -> (&'static str, &'static [Part]) {
    use Part::{Bar, Dim, Sum, Value, Word};
    match pane {
        Pane::Filesystems => (
            "             %   used    of",
            &[
                Bar(0, 10),
                Value(0, 4),
                Value(1, 7),
                Dim(3, 6),
                Word(6),
                Word(7),
            ],
        ),
        Pane::Interfaces => (
            "   in/s  out/s errors drops",
            &[Value(0, 7), Value(1, 7), Sum(4, 5, 7), Sum(6, 7, 6)],
        ),
        Pane::Disks => (
            "  read/s write/s   busy %",
            &[Value(0, 8), Value(1, 8), Value(4, 9)],
        ),
        Pane::Gpus => (
            "busy %  memory      of",
            &[Value(0, 6), Value(1, 8), Value(2, 8)],
        ),
        Pane::Containers => (" cpu %  memory", &[Value(0, 6), Value(1, 8)]),
        _ => ("", &[Value(0, 6)]),
    }
}

pub(super) fn table(host: &HostRows, theme: &Theme, pane: Pane) -> (&'static str, Vec<Line>) {
    let (titles, parts) = compact(pane);
    let line = |row: Row| {
        let name = (fit(row.name.as_str(), NAME_WIDTH), theme.text);
        let parts = parts.iter().filter_map(|part| draw_part(theme, &row, part));
        std::iter::once(name).chain(parts).collect()
    };
    let rows = rows(host, pane).into_iter();
    (titles, rows.map(line).collect())
}

fn draw_part(theme: &Theme, row: &Row, part: &Part) -> Option<(String, Style)> {
    let cell = |at: usize| row.cells.get(at);
    let right = |text: &str, width: usize| format!("{text:>width$}");
    Some(match part {
        Part::Bar(at, width) => {
            let cell = cell(*at)?;
            let style = match cell.severity {
                Severity::None => theme.graph,
                severity => theme.severity(severity),
            };
            (bar(cell.value.unwrap_or(0.0), *width, theme.ascii), style)
        }
        Part::Value(at, width) => {
            let cell = cell(*at)?;
            (right(&cell.text, *width), theme.severity(cell.severity))
        }
        Part::Dim(at, width) => (right(&cell(*at)?.text, *width), theme.dim),
        Part::Sum(one, other, width) => {
            let value = |at: usize| cell(at).and_then(|cell| cell.value);
            let sum = value(*one).map(|one| one + value(*other).unwrap_or(0.0));
            (right(&amount(sum), *width), theme.dim)
        }
        Part::Word(at) => match cell(*at)? {
            cell if cell.text.is_empty() => return None,
            cell if cell.severity == Severity::None => (format!("  {}", cell.text), theme.dim),
            cell => {
                let sign = theme.severity_sign(cell.severity);
                (
                    format!("  {sign} {}", cell.text),
                    theme.severity(cell.severity),
                )
            }
        },
    })
}
