//! The rows of the tables of panes, and their order.

use std::cmp::Ordering;

use sysmon_wire::metrics::Metric;
use sysmon_wire::{Kind, Label};

use super::pane_groups::{Attributes, Column, Group, Show, groups};
use super::state::{Pane, Panes};
use crate::format::{amount, degrees, lasted, milliseconds, percent, size};
use crate::model::host_rows::HostRows;
use crate::theme::Severity;

#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) severity: Severity,
    pub(super) value: Option<f64>,
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: Label,
    pub(super) cells: Vec<Cell>,
    pub(super) trend: Option<(Metric, usize)>,
    /// The place of its first value among the fields of all rows.
    first_field: usize,
}

/// The titles of a pane's columns after that of the name, and their widths.
pub(super) fn titles(pane: Pane) -> Vec<(&'static str, usize)> {
    let columns = groups(pane).first().map(|group| group.columns);
    columns
        .unwrap_or_default()
        .iter()
        .map(|column| (column.title, column.show.width()))
        .collect()
}

/// Names of the columns of all rows for programs: the metric, and the attribute values that select it.
pub(super) fn fields(pane: Pane) -> Vec<String> {
    let field = |column: &Column| {
        let kind = column.with.iter().map(|(_, value)| *value);
        let parts: Vec<_> = std::iter::once(column.metric.name).chain(kind).collect();
        parts.join(".")
    };
    let columns = groups(pane).iter().flat_map(|group| group.columns);
    columns.map(field).collect()
}

/// The values of a row, one for each of these fields; `None` for fields of another kind of row.
pub(super) fn values(row: &Row, fields: usize) -> Vec<Option<f64>> {
    let before = std::iter::repeat_n(None, row.first_field);
    let own = row.cells.iter().map(|cell| cell.value);
    let after = std::iter::repeat(None);
    before.chain(own).chain(after).take(fields).collect()
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// Its place among the cells of a row.
    pub(super) at: usize,
    pub(super) title: &'static str,
    pub(super) width: usize,
}

/// The columns in which any row has a value, as many as fit.
pub(super) fn shown(pane: Pane, rows: &[Row], mut room: usize) -> Vec<Shown> {
    let is_there = |at: usize| {
        let mut cells = rows.iter().filter_map(|row| row.cells.get(at));
        cells.any(|cell| cell.value.is_some() && !cell.text.is_empty())
    };
    let mut shown = Vec::new();
    for (at, (title, width)) in titles(pane).into_iter().enumerate() {
        if !is_there(at) {
            continue;
        }
        if width > room {
            break;
        }
        room -= width;
        shown.push(Shown { at, title, width });
    }
    shown
}

pub(super) fn rows(host: &HostRows, pane: Pane) -> Vec<Row> {
    let mut fields = 0;
    let of_group = |group: &'static Group| {
        let names = host.values_of(&group.metric, group.attribute);
        let first = fields;
        fields += group.columns.len();
        let of = move |name| row(host, group, first, name);
        names.into_iter().map(of)
    };
    groups(pane).iter().flat_map(of_group).collect()
}

/// The rows by name or by a column, the highest first.
pub(super) fn sorted(host: &HostRows, panes: &Panes) -> Vec<Row> {
    let mut rows = rows(host, panes.focus);
    if let Some(sort) = panes.sort {
        rows.sort_by(|a, b| match sort.checked_sub(1) {
            None => a.name.as_str().cmp(b.name.as_str()),
            Some(column) => compare(b.cells.get(column), a.cells.get(column)),
        });
    }
    if panes.reverse {
        rows.reverse();
    }
    rows
}

fn compare(a: Option<&Cell>, b: Option<&Cell>) -> Ordering {
    let value = |cell: Option<&Cell>| cell.and_then(|c| c.value).unwrap_or(f64::NEG_INFINITY);
    value(a).total_cmp(&value(b))
}

fn row(host: &HostRows, group: &Group, first_field: usize, name: Label) -> Row {
    let find = |metric: &Metric, with: Attributes| {
        let attributes = [&[(group.attribute, name.as_str())], with].concat();
        host.find_with(metric, &attributes)
    };
    let cells = group.columns.iter().map(|column| {
        let at = find(&column.metric, column.with);
        cell(host, column, at)
    });
    let (metric, with) = group.trend;
    Row {
        cells: cells.collect(),
        trend: find(&metric, with).map(|at| (metric, at)),
        first_field,
        name,
    }
}

fn cell(host: &HostRows, column: &Column, at: Option<usize>) -> Cell {
    let metric = &column.metric;
    let value = at.and_then(|at| match column.show {
        Show::Total => host.total_at(metric, at),
        _ => host.now_at(metric, at),
    });
    let mut severity = Severity::None;
    let text = match column.show {
        Show::Share(warning, critical) => {
            severity = match value {
                Some(share) if share >= critical => Severity::Critical,
                Some(share) if share >= warning => Severity::Warning,
                _ => Severity::None,
            };
            percent(value)
        }
        Show::Amount | Show::Total => amount(value),
        Show::Size => size(value),
        Show::Unit(unit @ "%") => percent(value) + unit,
        Show::Unit(unit @ "°C") => degrees(value) + unit,
        Show::Unit(unit) => format!("{} {unit}", amount(value)),
        Show::Milliseconds => milliseconds(value),
        Show::Days => value.map_or_else(String::new, |left| format!("{:.0} d", left / 86_400.0)),
        Show::Either(no, yes) => match value {
            Some(0.0) => {
                severity = Severity::Critical;
                no.to_owned()
            }
            Some(_) => yes.to_owned(),
            None => String::new(),
        },
        Show::Span => span(value),
        Show::Word(word, bad) | Show::WordWithout(word, bad) => {
            let is_not_zero = !matches!(column.show, Show::WordWithout(..));
            let is = value.is_some_and(|value| (value != 0.0) == is_not_zero);
            if is {
                severity = bad;
            }
            if is { word } else { "" }.to_owned()
        }
    };
    Cell {
        text,
        severity,
        value,
    }
}

fn span(seconds: Option<f64>) -> String {
    let lasts = |seconds: f64| lasted((seconds * 1000.0) as i64);
    seconds.map_or_else(|| percent(None), lasts)
}

/// The top of the scale of a pane's trends, where it is not that of the highest value.
pub(super) fn trend_max(pane: Pane) -> Option<f64> {
    matches!(
        pane,
        Pane::Filesystems | Pane::Disks | Pane::Gpus | Pane::Ups
    )
    .then_some(1.0)
}

pub(super) fn trend_title(pane: Pane) -> &'static str {
    match pane {
        Pane::Filesystems => "used",
        Pane::Interfaces => "in",
        Pane::Disks | Pane::Gpus => "busy",
        Pane::Containers => "cpu",
        Pane::Checks => "took",
        Pane::DiskHealth => "temp",
        Pane::Ups => "charge",
        _ => "",
    }
}

/// Whether a share of one whole is drawn, rather than an amount.
pub(super) fn is_share(metric: &Metric) -> bool {
    metric.unit == "1" || (metric.unit == "s" && metric.kind == Kind::Counter)
}

/// What a value is multiplied with where its past is drawn in whole numbers: shares in thousandths, times in microseconds.
pub(super) fn trend_factor(metric: &Metric) -> f64 {
    match (is_share(metric), metric.unit) {
        (true, _) => 1e3,
        (false, "s") => 1e6,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::pane_groups::WRITE;
    use super::*;
    use sysmon_wire::metrics::*;
    use sysmon_wire::{RowEncoder, SeriesTable, UnixMs};

    fn host() -> HostRows {
        let mut host = HostRows::new("h".into());
        let of = |metric: Metric, name: &str, more: Attributes| {
            metric.series(&[&[("container.name", name)], more].concat())
        };
        let keys = [
            of(CONTAINER_MEMORY_USAGE, "b", &[]),
            of(CONTAINER_CPU_TIME, "b", &[]),
            of(CONTAINER_DISK_IO, "b", WRITE),
            of(CONTAINER_MEMORY_USAGE, "a", &[]),
            of(CONTAINER_CPU_TIME, "a", &[]),
        ];
        host.add_series(&SeriesTable::new(&keys)).unwrap();
        let (mut encoder, mut block) = (RowEncoder::new(), Vec::new());
        for n in 1..=2i64 {
            let values = [1 << 20, n * 250_000, n * 5000, 2 << 20, n * 500_000];
            encoder.encode(n as u64, UnixMs(n * 1000), &values, &mut block);
        }
        host.add_rows(true, &block).unwrap();
        host
    }

    #[test]
    fn a_row_has_every_known_value() {
        let rows = rows(&host(), Pane::Containers);
        let texts: Vec<_> = rows[0].cells.iter().map(|cell| &cell.text[..]).collect();
        assert_eq!(rows[0].name, "b");
        assert_eq!(texts, ["25", "1.0M", "–", "5.0k", "–", "–", "–", "", "–"]);
        assert_eq!(rows[1].cells[3].text, "–", "another row's are its own");
    }

    #[test]
    fn a_supply_says_what_is_wrong_with_it() {
        let mut host = HostRows::new("h".into());
        let of = |metric: Metric, name: &str| metric.series(&[("hw.name", name)]);
        let keys = [
            of(UPS_REACHABLE, "a"),
            of(UPS_ON_BATTERY, "a"),
            of(UPS_LOW_BATTERY, "a"),
            of(UPS_CHARGE, "a"),
            of(UPS_RUNTIME, "a"),
            of(UPS_REACHABLE, "b"),
        ];
        host.add_series(&SeriesTable::new(&keys)).unwrap();
        let mut block = Vec::new();
        let values = [1, 1, 0, 870, 5_400, 0];
        RowEncoder::new().encode(1, UnixMs(1000), &values, &mut block);
        host.add_rows(true, &block).unwrap();
        let of_row = |row: &Row| {
            let cells = row
                .cells
                .iter()
                .map(|cell| (cell.text.clone(), cell.severity));
            cells.collect::<Vec<_>>()
        };
        let rows = rows(&host, Pane::Ups);
        let a = of_row(&rows[0]);
        let texts: Vec<_> = a.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts[..6], ["87%", "–", "1 h 30", "", "on battery", ""]);
        assert_eq!(a[4].1, Severity::Warning);
        let b = of_row(&rows[1]);
        assert_eq!(b[0].0, "–%");
        assert_eq!(b[3], ("no answer".to_owned(), Severity::Warning));
        assert_eq!(b[4].0, "");
    }

    #[test]
    fn rows_are_sorted_by_name_or_by_a_column_with_the_highest_first() {
        let names = |sort, reverse| {
            let panes = Panes {
                focus: Pane::Containers,
                sort,
                reverse,
                ..Panes::default()
            };
            let rows = sorted(&host(), &panes);
            rows.iter()
                .map(|row| row.name.to_string())
                .collect::<String>()
        };
        assert_eq!(names(None, false), "ba");
        assert_eq!(names(Some(0), false), "ab");
        assert_eq!(names(Some(1), false), "ab");
        assert_eq!(names(Some(1), true), "ba");
        assert_eq!(names(Some(4), false), "ba", "none is lower than any");
    }

    #[test]
    fn fields_are_named_after_metrics() {
        assert_eq!(fields(Pane::Filesystems)[1], "system.filesystem.usage.used");
        for &pane in Pane::ALL {
            let mut all = fields(pane);
            let count = all.len();
            all.sort();
            all.dedup();
            assert_eq!(all.len(), count, "{pane:?}");
        }
        // A row has the fields of its kind only.
        let mut row = rows(&host(), Pane::Containers).remove(0);
        row.cells.truncate(1);
        row.first_field = 1;
        assert_eq!(values(&row, 3), [None, Some(0.25), None]);
    }
}
