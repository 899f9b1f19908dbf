//! The processes of one host.
//!
//! ```text
//!      PID  USER      S  THR   CPU%   MEM  READ WRITE  COMMAND
//!  ▌  4127  postgres  R    1  98.1  1.2G     0   41M  /usr/lib/postgresql/17/bin/postgres   db
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::format_clock;

use super::arrange::Arrangement;
use super::state::Processes;
use crate::context::Context;
use crate::model::process::NOT_STORED;
use crate::widgets::paint::{Pen, note};
use crate::widgets::process_list::{LINES_ABOVE, Listed, ProcessList, Row};

pub(super) fn draw(processes: &Processes, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let Some(time) = processes.time else {
        let text = if context.is_downsampled() {
            Pen::new(buffer, area, 0)
                .skip(1)
                .text("PROCESSES", theme.title);
            NOT_STORED
        } else {
            "Loading"
        };
        note(buffer, area, 1, text, theme.dim);
        return;
    };
    let row = |(at, process)| Row {
        host: "",
        process,
        depth: processes.depth(at),
    };
    let list = ProcessList {
        columns: Processes::COLUMNS,
        sort: processes.sort,
        rows: processes.shown().enumerate().map(row).collect(),
        top: processes.top,
        selected: processes.selected_at(),
    };
    let mut pen = Pen::new(buffer, area, 0);
    pen.skip(1).text("PROCESSES", theme.title).skip(2);
    let what = if processes.all {
        format!("{} of {}", list.rows.len(), processes.len())
    } else {
        "the busiest".to_owned()
    };
    pen.text(&what, theme.text).skip(2);
    let at = format!(
        "at {}{}, by {}",
        format_clock(time.0, &context.zone),
        match processes.arrangement {
            Arrangement::List => String::new(),
            other => format!(", {}", other.name()),
        },
        processes.sort.name()
    );
    pen.text(&at, theme.dim);
    if !processes.filter.is_empty() {
        pen.skip(2)
            .text("filter ", theme.dim)
            .text(processes.filter.text(), theme.text);
    }
    list.draw(context, area, buffer);
    let none = match (processes.is_empty(), list.rows.is_empty()) {
        (true, _) => "no processes recorded at this moment",
        (_, true) => "no matching process",
        _ => "",
    };
    note(buffer, area, LINES_ABOVE, none, theme.text);
}
