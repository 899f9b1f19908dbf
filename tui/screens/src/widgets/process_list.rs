//! A list of processes: its columns, headings and rows, and what a heading sorts by.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect, Size};
use ratatui::style::Style;
use sysmon_wire::Process;

use super::command::command;
use super::paint::{Pen, fill, more};
use crate::context::Context;
use crate::format::fit;
use crate::keys::Action;
use crate::layout::{below, list_at, list_rows, scrolled_to};
use crate::model::process::{ProcessSort, cpu_percent, memory, rate};
use crate::screen::{Outcome, Outcomes, done, remark};
use crate::theme::{Severity, Theme};

pub(crate) const LINES_ABOVE: u16 = 2;
pub(crate) const FIRST_ROW: u16 = 1 + LINES_ABOVE;

/// Columns are hidden on screens narrower than this.
pub(crate) const WIDE: u16 = 90;
pub(crate) const MIDDLE: u16 = 60;
pub(crate) const NARROW: u16 = 40;

const HOST_NARROW: usize = 6;
const HOST_WIDE: usize = 24;
const HOST_WIDE_FROM: u16 = 140;
const DEPTH_MAX: u16 = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Host,
    Pid,
    User,
    State,
    Threads,
    Cpu,
    Memory,
    Read,
    Written,
}

/// Field, heading, width, sort if the list can be sorted by it, and the width of screen it is shown from.
pub(crate) type Column = (Field, &'static str, usize, Option<ProcessSort>, u16);

pub(crate) struct Row<'a> {
    pub(crate) host: &'a str,
    pub(crate) process: &'a Process,
    /// How deep it lies below others in a tree.
    pub(crate) depth: u16,
}

pub(crate) struct ProcessList<'a> {
    pub(crate) columns: &'static [Column],
    pub(crate) sort: ProcessSort,
    pub(crate) rows: Vec<Row<'a>>,
    pub(crate) top: usize,
    pub(crate) selected: Option<usize>,
}

pub(crate) fn rows(screen: Size) -> usize {
    list_rows(screen, LINES_ABOVE)
}

/// The state of a list of processes, which is sorted by its headings, scrolled and clicked.
pub(crate) trait Listed {
    const COLUMNS: &'static [Column];
    const SORTS: &'static [ProcessSort];

    fn sort(&self) -> ProcessSort;

    fn sort_by(&mut self, sort: ProcessSort);

    fn reverse(&mut self);

    fn shown_len(&self) -> usize;

    fn selected_at(&self) -> Option<usize>;

    /// Selects the process at a place among those shown, or the last.
    fn select(&mut self, at: usize);

    /// The first row on screen.
    fn top(&mut self) -> &mut usize;

    fn sort_and_remark(&mut self, sort: ProcessSort) -> Outcomes {
        self.sort_by(sort);
        self.select(0);
        *self.top() = 0;
        remark(format!("sorted by {}", sort.name()))
    }

    fn act_on_order(&mut self, action: Action) -> Outcomes {
        match action {
            Action::Sort => self.sort_and_remark(self.sort().next(Self::SORTS)),
            Action::Reverse => {
                self.reverse();
                done()
            }
            _ => None,
        }
    }

    fn move_by(&mut self, rows: isize) {
        let at = self.selected_at().unwrap_or(0);
        self.select(at.saturating_add_signed(rows));
    }

    fn reveal_selected(&mut self, screen: Size) {
        let at = self.selected_at().unwrap_or(0);
        let len = self.shown_len();
        let top = self.top();
        *top = scrolled_to(at, *top, len, rows(screen));
    }

    fn click_on(&mut self, place: Position, screen: Size) -> Outcomes {
        if place.y + 1 == FIRST_ROW {
            let outcomes = match sort_at(Self::COLUMNS, screen.width, place.x) {
                Some(sort) if sort == self.sort() => self.act_on_order(Action::Reverse),
                Some(sort) => self.sort_and_remark(sort),
                None => done(),
            };
            self.reveal_selected(screen);
            return outcomes;
        }
        let top = *self.top();
        let at = list_at(place.y, FIRST_ROW, rows(screen), top)?;
        if at >= self.shown_len() {
            return done();
        }
        if self.selected_at() == Some(at) {
            return Some(vec![Outcome::Act(Action::Open)]);
        }
        self.select(at);
        done()
    }

    fn sort_names() -> Vec<&'static str> {
        Self::SORTS.iter().map(|sort| sort.name()).collect()
    }

    fn sort_named(&mut self, name: &str) -> Outcomes {
        let sort = Self::SORTS.iter().find(|sort| sort.name() == name)?;
        self.sort_and_remark(*sort)
    }
}

fn shown(all: &'static [Column], screen: u16) -> impl Iterator<Item = Column> {
    let shown = all.iter().filter(move |column| screen >= column.4);
    shown.map(move |&(field, title, width, sort, from)| {
        let width = match field {
            Field::Host if screen < NARROW => HOST_NARROW,
            Field::Host if screen >= HOST_WIDE_FROM => HOST_WIDE,
            _ => width,
        };
        (field, title, width, sort, from)
    })
}

pub(crate) fn sort_at(columns: &'static [Column], screen: u16, x: u16) -> Option<ProcessSort> {
    let x = usize::from(x);
    let mut end = 1;
    for (_, _, width, sort, _) in shown(columns, screen) {
        end += width + 2;
        if x < end {
            return sort;
        }
    }
    Some(ProcessSort::Command)
}

/// Texts begin at the left of their column; numbers end at its right.
fn is_text(field: Field) -> bool {
    matches!(field, Field::Host | Field::User)
}

impl ProcessList<'_> {
    fn draw_headings(&self, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let style = |sort: Option<ProcessSort>| {
            if sort == Some(self.sort) {
                theme.title
            } else {
                theme.dim
            }
        };
        let mut pen = Pen::new(buffer, area, 1);
        pen.skip(2);
        for (field, title, width, sort, _) in shown(self.columns, area.width) {
            if is_text(field) {
                pen.text(&fit(title, width), style(sort)).skip(2);
            } else {
                pen.right(title, width, style(sort)).skip(2);
            }
        }
        pen.text("COMMAND", style(Some(ProcessSort::Command)));
    }

    pub(crate) fn draw(&self, context: &Context, area: Rect, buffer: &mut Buffer) {
        let theme = &context.theme;
        self.draw_headings(theme, area, buffer);
        let list = below(area, LINES_ABOVE);
        let height = usize::from(list.height);
        let shown = self.rows.iter().enumerate().skip(self.top).take(height);
        for (y, (at, row)) in (list.y..).zip(shown) {
            let line = Rect {
                y,
                height: 1,
                ..list
            };
            self.draw_row(row, self.selected == Some(at), theme, line, buffer);
        }
        let is_more = self.top + height < self.rows.len();
        more(buffer, list, self.top > 0, is_more, theme);
    }

    fn draw_row(
        &self,
        row: &Row<'_>,
        is_selected: bool,
        theme: &Theme,
        line: Rect,
        buffer: &mut Buffer,
    ) {
        if is_selected {
            fill(buffer, line, theme.selected);
        }
        let on = |style| theme.on(is_selected, style);
        let process = row.process;
        let mut pen = Pen::new(buffer, line, 0);
        pen.text(theme.mark(is_selected), on(theme.key)).skip(1);
        for (field, _, width, _, _) in shown(self.columns, line.width) {
            let (text, style) = cell(field, row, theme);
            if is_text(field) {
                pen.text(&fit(&text, width), on(style)).skip(2);
            } else {
                pen.right(&text, width, on(style)).skip(2);
            }
        }
        if row.depth > 0 {
            pen.skip(usize::from(row.depth.min(DEPTH_MAX) - 1) * 2)
                .text(theme.pick("└ ", "\\ "), on(theme.dim));
        }
        command(process, &mut pen, on, theme);
    }
}

fn cell(field: Field, row: &Row<'_>, theme: &Theme) -> (String, Style) {
    let process = row.process;
    match field {
        Field::Host => (row.host.to_owned(), theme.text),
        Field::Pid => (process.identity.pid.to_string(), theme.dim),
        Field::User => (process.identity.user.to_string(), theme.dim),
        Field::State => {
            // D: waiting for a disk; Z: ended, and nobody asked how.
            let severity = Severity::warning_if(matches!(process.state, b'D' | b'Z'));
            let letter = char::from(process.state).to_string();
            (letter, theme.severity(severity))
        }
        Field::Threads => (process.threads.to_string(), theme.dim),
        Field::Cpu => (cpu_percent(process.cpu_permille), theme.text),
        Field::Memory => (memory(process), theme.text),
        Field::Read => (rate(process.read_bytes_per_s), theme.text),
        Field::Written => (rate(process.write_bytes_per_s), theme.text),
    }
}
