//! The busiest processes of all hosts as one list.
//!
//! ```text
//!    HOST              PID  CPU%   MEM  READ WRITE  USER        COMMAND
//!  ▌ db-1             4127  98.1  1.2G     0   41M  postgres    /usr/lib/postgresql/17/bin/postgres   db
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::format_clock;
use sysmon_wire::message::HostProcess;

use super::state::Top;
use crate::context::Context;
use crate::model::process::NOT_STORED;
use crate::widgets::paint::note;
use crate::widgets::process_list::{LINES_ABOVE, Listed, ProcessList, Row};
use crate::widgets::section::headline;

pub(super) fn draw(top: &Top, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let message = |text: &str, buffer: &mut Buffer| {
        note(buffer, area, LINES_ABOVE, text, theme.text);
    };
    let title = "BUSIEST PROCESSES";
    if let Some(reason) = &top.refused {
        headline(theme, area, title, &[], buffer);
        return message(reason.as_str(), buffer);
    }
    let Some(time) = top.time else {
        headline(theme, area, title, &[], buffer);
        return message("waiting for the hub", buffer);
    };
    let hosts = if top.hosts == 1 { "host" } else { "hosts" };
    let clock = format_clock(time.0, &context.zone);
    let what = match top.filter.is_empty() {
        true => top.len().to_string(),
        false => format!("{} of {}", top.shown_len(), top.len()),
    };
    let what = format!("{what} on {} {hosts}", top.hosts);
    let at = format!("at {clock}");
    let by = format!("by {}", top.sort.name());
    let complete = top
        .complete_to
        .map_or_else(String::new, |to| format!("complete to place {to}"));
    let filter = match top.filter.is_empty() {
        true => String::new(),
        false => format!("filter {}", top.filter.text()),
    };
    let parts: [&str; 5] = [&what, &at, &by, &complete, &filter];
    headline(theme, area, title, &parts, buffer);
    if top.is_empty() {
        let why = match context.is_downsampled() {
            true => NOT_STORED,
            false => "no host reported processes at this moment",
        };
        return message(why, buffer);
    }
    let list = ProcessList {
        columns: Top::COLUMNS,
        sort: top.sort,
        rows: top.shown().map(row).collect(),
        top: top.top,
        selected: top.selected_at(),
    };
    list.draw(context, area, buffer);
    if list.rows.is_empty() {
        message("no matching process", buffer);
    }
}

fn row(HostProcess { host, process }: &HostProcess) -> Row<'_> {
    Row {
        host: host.as_str(),
        process,
        depth: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Mode;
    use crate::model::process::ProcessSort;
    use crate::testing::{context, drawn, process};
    use crate::widgets::process_list::sort_at;
    use ratatui::layout::Size;
    use sysmon_wire::UnixMs;

    fn listed() -> Top {
        let mut top = Top::default();
        let row = |n: u32| HostProcess {
            host: format!("host-{n}").as_str().into(),
            process: process(1000 + n, "/usr/bin/cc1", 990 - n, 1 << 30),
        };
        top.set(UnixMs(3_600_000), 41, (0..40).map(row).collect());
        top
    }

    fn screen(top: &Top, width: u16, height: u16) -> String {
        drawn(top, &mut context(Mode::Top), (width, height))
    }

    #[test]
    fn the_list_is_readable_at_every_size() {
        let mut top = Top::default();
        assert!(screen(&top, 80, 10).contains("waiting for the hub"));
        top.set(UnixMs(5), 0, Vec::new());
        assert!(screen(&top, 80, 10).contains("no host reported"));
        let mut top = listed();
        top.filter = "nosuch".into();
        top.reorder();
        assert!(screen(&top, 80, 10).contains("no matching process"));
        top.filter = "".into();
        top.reorder();
        let text = screen(&top, 80, 10);
        for wanted in [
            "40 on 41 hosts",
            "01:00:00",
            "host-0 ",
            "99.0",
            "1.0G",
            "cc1",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        for (width, height) in [(1, 1), (20, 5), (40, 3), (300, 80)] {
            screen(&top, width, height);
        }
        assert!(screen(&top, 20, 5).contains("99.0"));
        top.move_by(39);
        top.reveal_selected(Size::new(80, 10));
        assert!(screen(&top, 80, 10).contains("host-39"));
    }

    #[test]
    fn a_heading_is_where_its_column_is() {
        let text = screen(&listed(), 80, 10);
        let headings = text.lines().nth(2).unwrap();
        for (title, sort) in [
            ("HOST", ProcessSort::Host),
            ("CPU%", ProcessSort::Cpu),
            ("MEM", ProcessSort::Memory),
            ("WRITE", ProcessSort::Disk),
            ("COMMAND", ProcessSort::Command),
        ] {
            let x = headings.find(title).unwrap() as u16;
            assert_eq!(sort_at(Top::COLUMNS, 80, x), Some(sort), "{title}");
        }
    }
}
