//! The lists of the host screen: which there are, how many lines each wants, and which have room.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use sysmon_wire::metrics::{PACKAGE_UPDATES, REBOOT_REQUIRED};

use super::pane_tables::{self, Row};
use super::state::{HostScreen, Pane};
use crate::format::{amount, fit, wrap};
use crate::model::host_rows::HostRows;
use crate::sections::{About, Usage};
use crate::theme::{Severity, Theme};
use crate::widgets::paint::Pen;
use crate::widgets::section::{Section, Spans};

/// Lines of processes at least, their rule included, where there is room for anything else.
const PROCESSES_MIN: u16 = 6;

/// The lists in which the hosts' units and devices are, in the order of what is missed most.
const TABLES: [Pane; 8] = [
    Pane::Units,
    Pane::Checks,
    Pane::Ups,
    Pane::Containers,
    Pane::Gpus,
    Pane::DiskHealth,
    Pane::Interfaces,
    Pane::Disks,
];

/// Cells of a line of a note: as many as the narrowest column has.
const NOTE_WIDTH: usize = 50;

/// Lines of a table at most before all others have room.
const TABLE_MAX: u16 = 9;

pub(super) struct Block {
    pub(super) pane: Pane,
    /// Lines at least and at most, the rule included.
    min: u16,
    max: u16,
    content: Content,
}

enum Content {
    Processes,
    Filesystems(Vec<Usage>),
    Pressure,
    Temperatures(Vec<(sysmon_wire::Label, f64, Option<f64>)>),
    Table(Vec<Row>),
    /// What is known of the record of the host: texts in lines.
    Notes(Vec<Spans>),
}

/// The blocks that have something to show, in the order in which they leave, the last first.
pub(super) fn of(screen: &HostScreen, about: &About<'_>) -> Vec<Block> {
    let lines = |count: usize| u16::try_from(count + 1).unwrap_or(u16::MAX);
    let mut blocks = vec![Block {
        pane: Pane::Processes,
        min: PROCESSES_MIN,
        max: lines(screen.busiest.len().max(1)),
        content: Content::Processes,
    }];
    let units = pane_tables::rows(about.host, Pane::Units);
    let mut push = |pane: Pane, count: usize, content: Content| {
        if count > 0 {
            blocks.push(Block {
                pane,
                min: lines(count.min(2)),
                max: lines(count).min(TABLE_MAX),
                content,
            });
        }
    };
    push(Pane::Units, units.len(), Content::Table(units));
    let usages = about.usages();
    push(
        Pane::Filesystems,
        usages.len(),
        Content::Filesystems(usages),
    );
    if about.has_pressure() {
        push(Pane::Pressure, 3, Content::Pressure);
    }
    let sensors = about.sensors();
    push(
        Pane::Sensors,
        sensors.len().min(6),
        Content::Temperatures(sensors),
    );
    for pane in TABLES.into_iter().filter(|pane| *pane != Pane::Units) {
        let rows = pane_tables::rows(about.host, pane);
        push(pane, rows.len(), Content::Table(rows));
    }
    let notes = notes(about);
    push(Pane::Record, notes.len(), Content::Notes(notes));
    // Pressure has three lines or none.
    for block in &mut blocks {
        if block.pane == Pane::Pressure {
            block.min = block.max;
        }
    }
    blocks
}

/// What the agent cannot see, and how complete the rows are.
fn notes(about: &About<'_>) -> Vec<Spans> {
    let theme = &about.theme;
    let Some(line) = &about.host.line else {
        return Vec::new();
    };
    let health = &line.health;
    let since = sysmon_config::time::format_moment(health.oldest.0, &about.context.zone);
    let missing = match health.missing_rows {
        0 => theme.text,
        _ => theme.title,
    };
    let mut lines = vec![vec![
        ("since ".to_owned(), theme.dim),
        (since.get(..16).unwrap_or(&since).to_owned(), theme.text),
        ("  series ".to_owned(), theme.dim),
        (health.series.to_string(), theme.text),
        ("  missing ".to_owned(), theme.dim),
        (health.missing_rows.to_string(), missing),
    ]];
    if health.refused_rows > 0 || health.clock_offset_ms.abs() >= 1_000 {
        lines.push(vec![
            ("refused ".to_owned(), theme.dim),
            (health.refused_rows.to_string(), theme.text),
            ("  clock off ".to_owned(), theme.dim),
            (format!("{} ms", health.clock_offset_ms), theme.text),
        ]);
    }
    lines.extend(updates(about.host, theme));
    for note in &line.notes {
        for part in wrap(note.as_str(), NOTE_WIDTH) {
            lines.push(vec![(part, theme.text)]);
        }
    }
    lines
}

/// Updates that wait to be installed, and why the host has to be restarted.
fn updates(host: &HostRows, theme: &Theme) -> Option<Spans> {
    let now = |metric, attributes: &[(&str, &str)]| host.now(metric, attributes);
    let needs = |reason| now(&REBOOT_REQUIRED, &[("system.reboot.reason", reason)]) == Some(1.0);
    let all = now(&PACKAGE_UPDATES, &[]);
    let mut line = Vec::new();
    if let Some(all) = all {
        line.push(("updates ".to_owned(), theme.dim));
        line.push((format!("{all:.0}"), theme.text));
    }
    if let Some(security) = now(&PACKAGE_UPDATES, &[("system.update.kind", "security")]) {
        let style = match security > 0.0 {
            true => theme.title,
            false => theme.text,
        };
        line.push(("  security ".to_owned(), theme.dim));
        line.push((format!("{security:.0}"), style));
    }
    let restart = match (needs("kernel"), needs("packages")) {
        (true, _) => Some("restart for the new kernel"),
        (false, true) => Some("restart for updates"),
        (false, false) => None,
    };
    if let Some(restart) = restart {
        let gap = if line.is_empty() { "" } else { "  " };
        line.push((format!("{gap}{restart}"), theme.title));
    }
    (!line.is_empty()).then_some(line)
}

/// Gives the blocks their places in columns: processes and what is focused always have one, the others as long as there
/// is room; what is left belongs to the processes.
pub(super) fn place(blocks: Vec<Block>, columns: &[Rect], focus: Pane) -> Vec<(Block, Rect)> {
    let mut rooms: Vec<u16> = columns.iter().map(|column| column.height).collect();
    let mut placed: Vec<(Block, usize, u16)> = Vec::new();
    let mut order: Vec<Block> = blocks;
    // A stable sort: the rest stay in their order.
    order.sort_by_key(|block| !(block.pane == Pane::Processes || block.pane == focus));
    for block in order {
        let is_first = block.pane == Pane::Processes;
        // Units, containers and checks stand with the processes, the rest in the last column.
        let beside = matches!(block.pane, Pane::Units | Pane::Containers | Pane::Checks);
        let preferred = match columns.len() {
            0 => continue,
            1 => 0,
            _ if is_first || beside => 0,
            _ => 1,
        };
        let mut candidates = vec![preferred];
        candidates.extend((0..columns.len()).filter(|at| *at != preferred));
        let fitting = candidates.into_iter().find_map(|at| {
            let room = *rooms.get(at)?;
            let least = match is_first {
                true => block.min.min(room),
                false => block.min,
            };
            (room >= least && least > 1).then_some((at, least))
        });
        let Some((at, least)) = fitting else { continue };
        if let Some(room) = rooms.get_mut(at) {
            *room -= least;
        }
        placed.push((block, at, least));
    }
    // What is left: lists that want more first, then the processes.
    for (is_processes, is_last) in [(false, false), (true, false), (false, true)] {
        for (block, at, height) in &mut placed {
            if (block.pane == Pane::Processes) != is_processes {
                continue;
            }
            let Some(room) = rooms.get_mut(*at) else {
                continue;
            };
            // Processes keep room for a good part of the column.
            let spared = match (is_processes || is_last, *at) {
                (false, 0) => columns.first().map_or(0, |column| column.height / 3),
                _ => 0,
            };
            let more = block
                .max
                .saturating_sub(*height)
                .min(room.saturating_sub(spared));
            *height += more;
            *room -= more;
        }
    }
    placed.sort_by_key(|(block, ..)| Pane::ALL.iter().position(|pane| *pane == block.pane));
    let mut tops: Vec<u16> = columns.iter().map(|column| column.y).collect();
    let mut drawn = Vec::new();
    for (block, at, height) in placed {
        let (Some(column), Some(top)) = (columns.get(at), tops.get_mut(at)) else {
            continue;
        };
        let area = Rect {
            y: *top,
            height,
            ..*column
        };
        *top += height;
        drawn.push((block, area));
    }
    drawn
}

impl Block {
    pub(super) fn draw(
        &self,
        screen: &HostScreen,
        about: &About<'_>,
        area: Rect,
        is_focus: bool,
        buffer: &mut Buffer,
    ) {
        match &self.content {
            Content::Processes => {
                let selected = screen.selected.filter(|_| is_focus);
                let rows = usize::from(area.height.saturating_sub(1));
                let top = selected.map_or(0, |at| (at + 1).saturating_sub(rows));
                about.processes(&screen.busiest, (top, selected), area, is_focus, buffer);
            }
            Content::Filesystems(usages) => about.filesystems(usages, area, is_focus, buffer),
            Content::Pressure => about.pressure(area, is_focus, buffer),
            Content::Temperatures(sensors) => {
                about.temperatures(sensors, area, is_focus, buffer);
            }
            Content::Table(rows) => self.draw_table(rows, about, area, is_focus, buffer),
            Content::Notes(lines) => {
                Section::new(&about.theme, self.pane.title()).draw(&about.theme, area, buffer);
                for (row, line) in (1..area.height).zip(lines) {
                    Pen::new(buffer, area, row).spans(line);
                }
            }
        }
    }

    fn draw_table(
        &self,
        rows: &[Row],
        about: &About<'_>,
        area: Rect,
        is_focus: bool,
        buffer: &mut Buffer,
    ) {
        let theme = &about.theme;
        let parts = parts(self.pane);
        let heads: String = parts
            .iter()
            .map(|part| format!("{:>width$}", part.title, width = part.width))
            .collect();
        let mut section = Section::new(theme, self.pane.title());
        if is_focus && let Some((_, style)) = section.title.first_mut() {
            *style = theme.key;
        }
        let room = usize::from(area.height.saturating_sub(1));
        if rows.len() > room {
            let more = format!("{} of {}", room, rows.len());
            section = section.detail(vec![(more, theme.dim)]);
        }
        section
            .right(vec![(heads.trim_start().to_owned(), theme.dim)])
            .draw_to_edge(theme, area, buffer);
        let name_width = usize::from(area.width).saturating_sub(heads.len() + 1);
        for (row, line) in (1..).zip(rows.iter().take(room)) {
            let mut pen = Pen::new(buffer, area, row);
            pen.text(&fit(line.name.as_str(), name_width), theme.text)
                .skip(1);
            for part in parts {
                let (text, style) = part.text(line, about);
                let width = part.width;
                pen.text(&format!("{text:>width$}"), style);
            }
        }
    }
}

/// A column of a list: its title, width, and the cells of a row of which it shows the worst words or, without any, the
/// sum.
struct Part {
    title: &'static str,
    width: usize,
    cells: &'static [usize],
}

impl Part {
    fn text(&self, row: &Row, about: &About<'_>) -> (String, Style) {
        let theme = &about.theme;
        match self.cells {
            [at] => match row.cells.get(*at) {
                Some(cell) => {
                    let style = match cell.severity {
                        Severity::None if cell.text == "0" => theme.faint,
                        Severity::None => theme.text,
                        _ => theme.title,
                    };
                    (cell.text.clone(), style)
                }
                None => (String::new(), theme.text),
            },
            cells => {
                let cells = cells.iter().filter_map(|at| row.cells.get(*at));
                // The first of those that are equally bad.
                let worst = cells.clone().rev().max_by_key(|cell| cell.severity);
                if let Some(cell) = worst.filter(|cell| cell.severity != Severity::None) {
                    return (cell.text.clone(), theme.title);
                }
                if cells.clone().all(|cell| cell.text.is_empty()) {
                    return (String::new(), theme.text);
                }
                let sum = cells.filter_map(|cell| cell.value).reduce(|a, b| a + b);
                let style = match sum {
                    Some(sum) if sum > 0.0 => theme.text,
                    _ => theme.faint,
                };
                (amount(sum), style)
            }
        }
    }
}

const fn part(title: &'static str, width: usize, cells: &'static [usize]) -> Part {
    Part {
        title,
        width,
        cells,
    }
}

/// The columns of a list; the others are shown when it is maximized.
fn parts(pane: Pane) -> &'static [Part] {
    const INTERFACES: &[Part] = &[
        part("IN/s", 7, &[0]),
        part("OUT/s", 7, &[1]),
        part("ERR", 6, &[4, 5]),
        part("DROP", 6, &[6, 7]),
    ];
    const DISKS: &[Part] = &[
        part("READ/s", 8, &[0]),
        part("WRITE/s", 8, &[1]),
        part("BUSY %", 8, &[4]),
    ];
    const GPUS: &[Part] = &[
        part("%", 5, &[0]),
        part("MEM", 7, &[1]),
        part("OF", 7, &[2]),
        part("TEMP", 7, &[3]),
    ];
    const CONTAINERS: &[Part] = &[
        part("CPU%", 8, &[0]),
        part("MEM", 7, &[1]),
        part("", 10, &[7]),
    ];
    const DISK_HEALTH: &[Part] = &[
        part("WORN%", 6, &[0]),
        part("PENDING", 8, &[1]),
        part("REPLACED", 9, &[2]),
        part("ERRORS", 7, &[3]),
        part("", 9, &[4]),
    ];
    const CHECKS: &[Part] = &[
        part("STATE", 7, &[0]),
        part("TOOK", 9, &[1]),
        part("CERT", 8, &[2]),
    ];
    const UPSES: &[Part] = &[
        part("CHARGE", 7, &[0]),
        part("LOAD %", 7, &[1]),
        part("LASTS", 9, &[2]),
        part("", 12, &[3, 4, 5, 6]),
    ];
    const OTHER: &[Part] = &[part("", 12, &[0])];
    match pane {
        Pane::Interfaces => INTERFACES,
        Pane::Disks => DISKS,
        Pane::Gpus => GPUS,
        Pane::Ups => UPSES,
        Pane::Containers => CONTAINERS,
        Pane::Checks => CHECKS,
        Pane::DiskHealth => DISK_HEALTH,
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::colours::Colours;
    use sysmon_config::Theme as ThemeName;
    use sysmon_wire::{RowEncoder, SeriesTable, UnixMs};

    #[test]
    fn updates_and_the_reason_for_a_restart_are_one_line() {
        let keys = [
            PACKAGE_UPDATES.series(&[]),
            PACKAGE_UPDATES.series(&[("system.update.kind", "security")]),
            REBOOT_REQUIRED.series(&[("system.reboot.reason", "kernel")]),
            REBOOT_REQUIRED.series(&[("system.reboot.reason", "packages")]),
        ];
        let of = |keys: &[sysmon_wire::SeriesKey], values: &[i64]| {
            let mut host = HostRows::new("h".into());
            host.add_series(&SeriesTable::new(keys)).unwrap();
            let mut block = Vec::new();
            RowEncoder::new().encode(1, UnixMs(1000), values, &mut block);
            host.add_rows(true, &block).unwrap();
            let theme = Theme::new(ThemeName::Dark, false, Colours::True);
            let line = updates(&host, &theme);
            line.map(|line| line.into_iter().map(|(text, _)| text).collect::<String>())
        };
        let text = |values: &[i64]| of(&keys, values).unwrap();
        assert_eq!(text(&[12, 3, 0, 0]), "updates 12  security 3");
        assert_eq!(
            text(&[0, 0, 1, 1]),
            "updates 0  security 0  restart for the new kernel"
        );
        assert_eq!(
            of(&keys[2..], &[0, 1]).unwrap(),
            "restart for updates",
            "where updates cannot be counted"
        );
        assert_eq!(of(&keys[2..], &[0, 0]), None);
    }
}
