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
use crate::widgets::paint::note;
use crate::widgets::process_list::{LINES_ABOVE, Listed, ProcessList, Row};
use crate::widgets::section::headline;

pub(super) fn draw(processes: &Processes, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let Some(time) = processes.time else {
        let text = if context.is_downsampled() {
            headline(theme, area, "PROCESSES", &[], buffer);
            NOT_STORED
        } else {
            "loading"
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
    let what = if processes.all {
        format!("{} of {}", list.rows.len(), processes.len())
    } else {
        "the busiest".to_owned()
    };
    let at = format!("at {}", format_clock(time.0, &context.zone));
    let arranged = match processes.arrangement {
        Arrangement::List => "",
        other => other.name(),
    };
    let by = format!("by {}", processes.sort.name());
    let filter = match processes.filter.is_empty() {
        true => String::new(),
        false => format!("filter {}", processes.filter.text()),
    };
    let parts = [&what, &at, arranged, &by, &filter];
    headline(theme, area, "PROCESSES", &parts, buffer);
    list.draw(context, area, buffer);
    let none = match (processes.is_empty(), list.rows.is_empty()) {
        (true, _) => "no processes recorded at this moment",
        (_, true) => "no matching process",
        _ => "",
    };
    note(buffer, area, LINES_ABOVE, none, theme.text);
}
