//! The columns of the table of hosts: which ones fit, their headings, and what they sort by.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::Column;
use unicode_width::UnicodeWidthStr;

use super::state::{Fleet, Row, Sort};
use crate::context::Context;
use crate::format::fit;
use crate::model::summary::{
    CPU, FILESYSTEM, LOAD, MEMORY, READ, RECEIVED, TEMPERATURE, TRANSMITTED, WRITTEN,
};
use crate::widgets::paint::Pen;

/// What the cells of a column show; values are places in the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Uptime,
    CpuLine,
    Bar(usize),
    Number(usize),
    /// Two values together, where there is no room for both.
    Sum(usize, usize),
    /// The busiest process.
    Process,
}

impl Content {
    /// The value that a click on the heading sorts by.
    const fn place(self) -> Option<usize> {
        match self {
            Self::Uptime | Self::Process => None,
            Self::CpuLine => Some(CPU),
            Self::Bar(place) | Self::Number(place) | Self::Sum(place, _) => Some(place),
        }
    }
}

/// A column as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) content: Content,
    pub(super) width: usize,
    /// Cells before it.
    pub(super) gap: usize,
    /// With symbols, and in ASCII.
    heading: (&'static str, &'static str),
}

const fn drawn(
    content: Content,
    gap: usize,
    width: usize,
    heading: (&'static str, &'static str),
) -> Drawn {
    Drawn {
        content,
        width,
        gap,
        heading,
    }
}

/// A row for each column: content, gap before it, width, heading, and its line in the list of columns.
#[rustfmt::skip]
pub(super) const fn spec(column: Column) -> (Drawn, &'static str) {
    use Content::{Bar, CpuLine, Number, Process, Uptime};
    match column {
        Column::Up => (drawn(Uptime, 2, 4, ("UP", "UP")), "since it was started"),
        Column::Cpu => (drawn(Number(CPU), 2, 3, ("CPU", "CPU")), "processors in use"),
        Column::CpuLine => (drawn(CpuLine, 1, 20, ("", "")), "processors, last minutes"),
        Column::Memory => (drawn(Number(MEMORY), 3, 3, ("MEM", "MEM")), "memory in use"),
        Column::MemoryBar => (drawn(Bar(MEMORY), 1, 10, ("", "")), "memory in use, a meter"),
        Column::Load => (drawn(Number(LOAD), 3, 4, ("LOAD", "LOAD")), "load, one minute"),
        Column::Received => (drawn(Number(RECEIVED), 2, 4, ("↓/s", "rx/s")), "received a second"),
        Column::Transmitted => (drawn(Number(TRANSMITTED), 2, 4, ("↑/s", "tx/s")), "transmitted a second"),
        Column::Read => (drawn(Number(READ), 2, 5, ("READ", "READ")), "read from disks a second"),
        Column::Written => (drawn(Number(WRITTEN), 2, 5, ("WRITE", "WRITE")), "written to disks a second"),
        Column::Filesystem => (drawn(Number(FILESYSTEM), 3, 3, ("FS", "FS")), "fullest filesystem"),
        Column::Temperature => (drawn(Number(TEMPERATURE), 2, 3, ("°C", "C")), "hottest sensor"),
        Column::Top => (drawn(Process, 3, PROCESS_WIDTH.1, ("TOP PROCESS", "TOP PROCESS")), "busiest process"),
    }
}

const DISK: Drawn = drawn(Content::Sum(READ, WRITTEN), 2, 4, ("DISK", "DISK"));
const NET: Drawn = drawn(Content::Sum(RECEIVED, TRANSMITTED), 2, 4, ("NET", "NET"));

/// Cells of the sign and the margins around it.
pub(super) const SIGN: usize = 3;

pub(super) const FOLD: usize = 2;

/// Cells of a process at least, usually and at most, its CPU included.
const PROCESS_WIDTH: (usize, usize, usize) = (20, 24, 40);

/// Cells of the CPU% of a process, the space before it included.
pub(super) const PROCESS_CPU: usize = 6;

/// Cells of a name at least and at most, and those of short names where there is room.
const NAME_WIDTH: (usize, usize, usize) = (4, 24, 10);

const SHORT_LINE: usize = 15;

pub(super) struct Layout {
    pub(super) name: usize,
    pub(super) columns: Vec<Drawn>,
}

impl Layout {
    fn taken(&self) -> usize {
        let columns = self.columns.iter().map(|column| column.gap + column.width);
        SIGN + self.name + columns.sum::<usize>() + 1
    }

    pub(super) fn shows(&self, content: Content) -> bool {
        self.columns.iter().any(|column| column.content == content)
    }

    fn drop_all(&mut self, is_it: impl Fn(Content) -> bool) {
        self.columns.retain(|column| !is_it(column.content));
    }

    /// Replaces two columns by one with both.
    fn merge(&mut self, (one, other): (usize, usize), by: Drawn) {
        let (one, other) = (Content::Number(one), Content::Number(other));
        if self.shows(one) && self.shows(other) {
            for column in &mut self.columns {
                if column.content == one {
                    *column = by;
                }
            }
            self.drop_all(|content| content == other);
        }
    }

    fn set(&mut self, content: Content, width: usize) {
        for column in &mut self.columns {
            if column.content == content {
                column.width = width;
            }
        }
    }

    /// Narrows it by the next of the stated steps.
    fn narrow(&mut self, turn: usize) {
        use Content::{Bar, CpuLine, Number, Process, Sum, Uptime};
        match turn {
            0 => self.drop_all(|content| content == Uptime),
            1 => self.merge((READ, WRITTEN), DISK),
            2 => self.set(Process, PROCESS_WIDTH.0),
            3 => self.drop_all(|content| content == Process),
            4 => self.drop_all(|content| matches!(content, Bar(_))),
            5 => {
                self.set(CpuLine, SHORT_LINE);
                self.name = self.name.min(NAME_WIDTH.2);
            }
            6 => self.drop_all(|content| matches!(content, Sum(READ, _) | Number(READ | WRITTEN))),
            7 => self.drop_all(|content| content == Number(TEMPERATURE)),
            8 => self.merge((RECEIVED, TRANSMITTED), NET),
            9 => self.drop_all(|content| content == Number(LOAD)),
            10 => self.name = self.name.min(8),
            11 => self.drop_all(|content| content == CpuLine),
            12 => self.drop_all(|content| {
                let is_rate = matches!(content, Number(RECEIVED | TRANSMITTED));
                is_rate || matches!(content, Sum(..))
            }),
            _ => self.drop_all(|content| content == Number(FILESYSTEM)),
        }
    }
}

const TURNS: usize = 14;

pub(super) fn layout(chosen: &[Column], width: usize, longest_name: usize) -> Layout {
    let name = longest_name
        .clamp(NAME_WIDTH.0, NAME_WIDTH.1)
        .min(width.saturating_sub(SIGN + 10).max(NAME_WIDTH.0));
    let columns = chosen.iter().map(|column| spec(*column).0).collect();
    let mut layout = Layout { name, columns };
    for turn in 0..TURNS {
        if layout.taken() <= width {
            break;
        }
        layout.narrow(turn);
    }
    // What is left goes to the names, then to the process.
    let mut spare = width.saturating_sub(layout.taken());
    let wanted = longest_name.clamp(NAME_WIDTH.2, NAME_WIDTH.1);
    let more = wanted.saturating_sub(layout.name).min(spare);
    layout.name += more;
    spare -= more;
    for column in &mut layout.columns {
        if column.content == Content::Process {
            let more = PROCESS_WIDTH.2.saturating_sub(column.width).min(spare);
            column.width += more;
        }
    }
    layout
}

pub(super) fn layout_of(fleet: &Fleet, width: u16) -> Layout {
    let widths = fleet.rows().map(|row| match row {
        Row::Host(host) => host.line.name.as_str().width(),
        Row::Group(group) => group.name().width() + FOLD,
    });
    let longest = widths.max().unwrap_or(0);
    layout(&fleet.columns, usize::from(width), longest)
}

pub(super) fn shows(fleet: &Fleet, width: u16, sort: Sort) -> bool {
    let Sort::Value(place) = sort else {
        return true;
    };
    let layout = layout_of(fleet, width);
    let is_it = |column: &Drawn| match column.content {
        Content::Sum(one, other) => one == place || other == place,
        content => content.place() == Some(place),
    };
    layout.columns.iter().any(is_it)
}

pub(super) fn sort_at(fleet: &Fleet, width: u16, x: u16) -> Option<Sort> {
    let x = usize::from(x);
    let layout = layout_of(fleet, width);
    let mut end = SIGN + layout.name;
    if x < end {
        return Some(Sort::Name);
    }
    for column in &layout.columns {
        end += column.gap + column.width;
        if x < end {
            return column.content.place().map(Sort::Value);
        }
    }
    None
}

/// Draws the rule above the table with the headings in it.
pub(super) fn draw_headings(
    fleet: &Fleet,
    context: &Context,
    layout: &Layout,
    span: &str,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let line = theme.pick("─", "-");
    let style = |sorted: bool| if sorted { theme.title } else { theme.dim };
    let sort = fleet.sort;
    let mut pen = Pen::new(buffer, area, 0);
    pen.skip(1).text(line, theme.rule).skip(1);
    let title = match fleet.hosts_hidden() {
        0 => "HOSTS".to_owned(),
        hidden => format!("HOSTS -{hidden}"),
    };
    pen.text(&fit(&title, layout.name), theme.title);
    let arrow = match fleet.reverse {
        true => theme.pick("↑", "^"),
        false => theme.pick("↓", "v"),
    };
    for column in &layout.columns {
        let is_sorted = sort != Sort::Worst
            && sort != Sort::Name
            && column.content.place().map(Sort::Value) == Some(sort)
            && matches!(column.content, Content::Number(_) | Content::Sum(..));
        match column.content {
            Content::CpuLine | Content::Bar(_) => {
                let text = match column.content {
                    Content::CpuLine => span,
                    _ => "",
                };
                pen.skip(column.gap);
                let used = text.width() + usize::from(!text.is_empty());
                pen.text(text, theme.dim)
                    .skip(usize::from(!text.is_empty()))
                    .text(&line.repeat(column.width.saturating_sub(used)), theme.rule);
            }
            Content::Process => {
                let (name, cpu) = (theme.pick(column.heading.0, column.heading.1), "CPU%");
                let between = column.width.saturating_sub(name.width() + cpu.width() + 2);
                pen.skip(column.gap)
                    .text(name, theme.dim)
                    .skip(1)
                    .text(&line.repeat(between), theme.rule)
                    .skip(1)
                    .text(cpu, theme.dim);
            }
            _ => {
                let heading = theme.pick(column.heading.0, column.heading.1);
                let heading = fit(heading, heading.width().min(column.width));
                let mark = if is_sorted { arrow } else { "" };
                let gap = column.gap - mark.width().min(column.gap);
                pen.skip(gap + column.width.saturating_sub(heading.width()))
                    .text(mark, theme.key)
                    .text(&heading, style(is_sorted));
            }
        }
    }
    pen.skip(1);
    if pen.room() > 0 {
        let rest = line.repeat(pen.room().saturating_sub(1));
        pen.text(&rest, theme.rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_leave_in_their_order_and_never_stand_past_the_edge() {
        let mut before = usize::MAX;
        for width in (20..=200).rev() {
            let layout = layout(&Column::all(), width, 8);
            assert!(layout.taken() <= width.max(24), "{width}");
            assert!(layout.columns.len() <= before);
            before = layout.columns.len();
        }
        let contents = |width: usize| -> Vec<Content> {
            let columns = layout(&Column::all(), width, 8).columns;
            columns.iter().map(|column| column.content).collect()
        };
        assert_eq!(
            contents(20),
            [Content::Number(CPU), Content::Number(MEMORY)]
        );
        assert_eq!(contents(160).len(), Column::ALL.len());
        assert!(contents(120).contains(&Content::Process));
        assert!(contents(120).contains(&Content::Sum(READ, WRITTEN)));
        assert!(!contents(110).contains(&Content::Process));
        assert!(contents(80).contains(&Content::Number(TEMPERATURE)));
    }

    #[test]
    fn long_names_have_the_room_that_is_left() {
        assert_eq!(layout(&Column::all(), 120, 8).name, 10);
        assert_eq!(layout(&Column::all(), 220, 40).name, NAME_WIDTH.1);
    }
}
