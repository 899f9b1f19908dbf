//! The list of significant changes, the most significant first.
//!
//! ```text
//!  WHAT CHANGED  in the minute before 13:41:20, against the ten minutes before it
//!     HOST    WHAT                                            BEFORE    NOW   SINCE
//!  ▌  db-1    process postgres  cpu                               0%   612%   13:37:52
//!     db-1    nvme0n1  system.disk.io read                      400k    88M   13:37:53
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use sysmon_config::time::format_clock;
use sysmon_wire::Label;
use sysmon_wire::message::Change;
use unicode_width::UnicodeWidthStr;

use super::state::Changes;
use crate::context::Context;
use crate::format::{amount, degrees, fit, load, percent, size};
use crate::layout::{below, list_rows};
use crate::model::process::file_name;
use crate::widgets::paint::{Pen, fill, more, note};
use crate::widgets::section::headline;

const LINES_ABOVE: u16 = 2;

pub(super) const FIRST_ROW: u16 = 1 + LINES_ABOVE;

const VALUE_WIDTH: usize = 7;
const TIME_WIDTH: usize = 8;
const HOST_WIDTH: usize = 14;

/// The time is hidden on screens narrower than this.
const WIDE: u16 = 60;

pub(super) fn rows(screen: Size) -> usize {
    list_rows(screen, LINES_ABOVE)
}

pub(super) fn draw(changes: &Changes, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let Some(time) = changes.time else {
        headline(
            theme,
            area,
            "WHAT CHANGED",
            &["waiting for the hub"],
            buffer,
        );
        return;
    };
    let clock = format_clock(time.0, &context.zone);
    let what = format!("in the minute before {clock}");
    let against = "against the ten minutes before it";
    headline(theme, area, "WHAT CHANGED", &[&what, against], buffer);
    if changes.rows().is_empty() {
        let none = if context.is_downsampled() {
            "not available: the comparison needs seconds, which are not stored for that long"
        } else {
            "no significant change"
        };
        note(buffer, area, LINES_ABOVE, none, theme.text);
        return;
    }
    headings(changes, context, area, buffer);
    let height = usize::from(area.height.saturating_sub(LINES_ABOVE));
    let shown = changes.rows().iter().enumerate().skip(changes.top);
    for (row, (at, change)) in shown.take(height).enumerate() {
        let is_selected = at == changes.selected_at();
        draw_change(
            changes,
            context,
            change,
            is_selected,
            area,
            LINES_ABOVE + row as u16,
            buffer,
        );
    }
    let list = below(area, LINES_ABOVE);
    let is_more = changes.top + height < changes.rows().len();
    more(buffer, list, changes.top > 0, is_more, theme);
}

fn what_width(changes: &Changes, area: Rect) -> usize {
    let host = if changes.host.is_none() {
        HOST_WIDTH + 2
    } else {
        0
    };
    let time = if area.width >= WIDE {
        TIME_WIDTH + 2
    } else {
        0
    };
    usize::from(area.width).saturating_sub(3 + host + 2 * (VALUE_WIDTH + 2) + time + 1)
}

fn headings(changes: &Changes, context: &Context, area: Rect, buffer: &mut Buffer) {
    let dim = context.theme.dim;
    let mut pen = Pen::new(buffer, area, 1);
    pen.skip(3);
    if changes.host.is_none() {
        pen.text(&fit("HOST", HOST_WIDTH), dim).skip(2);
    }
    pen.text(&fit("WHAT", what_width(changes, area)), dim);
    pen.skip(2).right("BEFORE", VALUE_WIDTH, dim);
    pen.skip(2).right("NOW", VALUE_WIDTH, dim);
    if area.width >= WIDE {
        pen.skip(2).right("SINCE", TIME_WIDTH, dim);
    }
}

fn draw_change(
    changes: &Changes,
    context: &Context,
    change: &Change,
    is_selected: bool,
    area: Rect,
    row: u16,
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    let line = Rect {
        y: area.y + row,
        height: 1,
        ..area
    };
    if is_selected {
        fill(buffer, line, theme.selected);
    }
    let on = |style| theme.on(is_selected, style);
    let mut pen = Pen::new(buffer, area, row);
    let mark = theme.mark(is_selected);
    pen.text(mark, on(theme.key)).skip(2);
    if changes.host.is_none() {
        pen.text(&fit(change.host.as_str(), HOST_WIDTH), on(theme.text))
            .skip(2);
    }
    let width = what_width(changes, area);
    let (subject, metric) = (subject(change), metric(change));
    if subject.is_empty() {
        pen.text(&fit(&metric, width), on(theme.text));
    } else {
        let subject = fit(&subject, subject.width().min(width));
        pen.text(&subject, on(theme.text));
        let rest = width.saturating_sub(subject.width());
        pen.text(&fit(&format!("  {metric}"), rest), on(theme.dim));
    }
    pen.skip(2)
        .right(&value(change, change.before), VALUE_WIDTH, on(theme.dim));
    pen.skip(2)
        .right(&value(change, change.after), VALUE_WIDTH, on(theme.title));
    if area.width >= WIDE {
        let began = format_clock(change.began.0, &context.zone);
        pen.skip(2).right(&began, TIME_WIDTH, on(theme.text));
    }
}

/// Attributes that name a thing, and how the thing is called.
const THINGS: [(&str, &str); 7] = [
    ("system.device", "disk"),
    ("network.interface.name", "interface"),
    ("system.filesystem.mountpoint", "filesystem"),
    ("container.name", "container"),
    ("systemd.unit.name", "unit"),
    ("hw.name", "sensor"),
    ("hw.id", "gpu"),
];

/// Whose value it is; empty for the host's own.
pub(super) fn subject(change: &Change) -> String {
    if let Some(process) = &change.process {
        let name = file_name(process.command.as_str());
        return format!("process {name} ({})", process.pid);
    }
    let named = |(attribute, thing): &(&str, &str)| {
        let (_, name) = change.attributes.iter().find(|(key, _)| key == attribute)?;
        Some(format!("{thing} {name}"))
    };
    THINGS.iter().find_map(named).unwrap_or_default()
}

/// What of it: the metric without its common beginning, and the attributes that name no thing.
pub(super) fn metric(change: &Change) -> String {
    let name = change.metric.as_str();
    let short = ["system.linux.", "system.", "container.", "hw."]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    let is_thing = |key: &Label| THINGS.iter().any(|(thing, _)| key == thing);
    let rest = change.attributes.iter().filter(|(key, _)| !is_thing(key));
    rest.fold(short.to_owned(), |text, (_, value)| {
        format!("{text} {value}")
    })
}

pub(super) fn value(change: &Change, value: f64) -> String {
    let some = Some(value).filter(|value| value.is_finite());
    match change.unit.as_str() {
        // Load averages have the unit of shares too.
        "1" if change.metric.as_str().contains("load_average") => load(some),
        "1" | "s/s" | "{cpu}" => with_unit(percent(some), some, "%"),
        "By" => size(some),
        "Cel" => with_unit(degrees(some), some, "°"),
        _ => amount(some),
    }
}

/// What is not known has no unit.
fn with_unit(text: String, value: Option<f64>, unit: &str) -> String {
    if value.is_some() { text + unit } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Mode;
    use crate::testing::{change, context, drawn, process};
    use sysmon_wire::UnixMs;

    #[test]
    fn things_are_named_and_values_have_their_unit() {
        let mut disk = change("h", "system.disk.io", 4e5, 88e6);
        disk.unit = "By/s".into();
        disk.attributes = vec![
            ("disk.io.direction".into(), "read".into()),
            ("system.device".into(), "nvme0n1".into()),
        ];
        assert_eq!(subject(&disk), "disk nvme0n1");
        assert_eq!(metric(&disk), "disk.io read");
        assert_eq!(value(&disk, 88e6), "88M");
        let mut of_process = change("h", "cpu", 0.0, 6.12);
        of_process.unit = "{cpu}".into();
        of_process.process = Some(process(5, "/usr/lib/postgresql/bin/postgres", 1, 1).identity);
        assert_eq!(subject(&of_process), "process postgres (5)");
        assert_eq!(value(&of_process, 6.12), "612%");
        assert_eq!(value(&change("h", "x", 0.0, 0.0), f64::NAN), "–");
    }

    fn screen(changes: &Changes, width: u16, height: u16) -> String {
        drawn(changes, &mut context(Mode::Changes), (width, height))
    }

    #[test]
    fn the_list_is_readable_at_every_size() {
        let mut changes = Changes::default();
        assert!(screen(&changes, 80, 10).contains("waiting for the hub"));
        changes.set(UnixMs(3_600_000), Vec::new());
        assert!(screen(&changes, 80, 10).contains("no significant change"));
        let many =
            (0..40).map(|n| change(&format!("host-{n}"), "system.cpu.utilization", 0.1, 0.9));
        changes.set(UnixMs(3_600_000), many.collect());
        let wide = screen(&changes, 80, 10);
        for wanted in [
            "WHAT CHANGED",
            "01:00:00",
            "host-0",
            "cpu.utilization",
            "10%",
            "90%",
        ] {
            assert!(wide.contains(wanted), "{wanted} in {wide}");
        }
        for (width, height) in [(1, 1), (20, 5), (40, 3), (300, 80)] {
            screen(&changes, width, height);
        }
        changes.move_by(39);
        changes.scroll_to_selected(rows(Size::new(80, 10)));
        assert!(screen(&changes, 80, 10).contains("host-39"));
    }
}
