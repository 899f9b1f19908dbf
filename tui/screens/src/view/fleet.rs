//! The table of hosts.
//!
//! ```text
//!    HOST      UP  CPU last 5 min       %  MEM            %  LOAD  NET ↓ to 10M      ↓/s   ↑/s  READ  WRIT   FS   °C
//!  ▲ db-1     92d  ▃▃▄▄▅▅▆▆▇▇▇█████    97  █████████▏    92  31.2  ▂▂▂▃▃▂▂▂▂▃▂▂     8.1M  1.2M   88M   41M   83   71
//!  ○ laptop    5h  ▂▂▁▁▁▁▁▁▁            –                 –     –  ▁▁▁▁▁▁              –     –     –     –    –   41 s ago
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use sysmon_config::Column;
use unicode_width::UnicodeWidthStr;

use super::fleet_columns::{Layout, draw_headings, layout_of};
use super::paint::{Pen, more};
use super::sparkline::round_scale;
use super::{fleet_detail, fleet_rows, panel};
use crate::keys::{Action, Mode};
use crate::state::fleet::Row;
use crate::state::{Link, State};

/// The line of the first host on the screen, below header and headings.
pub const FIRST_ROW: u16 = 2;

/// Screens at least this high tell more of the selected host below the table.
const DETAIL_FROM_HEIGHT: u16 = 14;

/// Screens at least this high have a second line for that.
const TWO_DETAILS_FROM: u16 = 20;

/// Screens at least this high, and this wide, show its last minutes there, too.
const PANEL_FROM: Size = Size {
    width: 80,
    height: 28,
};

/// Whether a screen of this size shows the selected host's last minutes.
pub fn has_panel(screen: Size) -> bool {
    screen.height >= PANEL_FROM.height && screen.width >= PANEL_FROM.width
}

/// Lines that tell of the selected host: two where there is room, so that an alert is told whole.
fn detail_lines(screen: Size) -> u16 {
    match screen.height {
        TWO_DETAILS_FROM.. => 2,
        DETAIL_FROM_HEIGHT.. => 1,
        _ => 0,
    }
}

/// Lines below the table: an empty one, those of the selected host, and its last minutes.
fn lines_below(screen: Size) -> u16 {
    match detail_lines(screen) {
        0 => 0,
        lines if has_panel(screen) => 1 + lines + panel::ROWS,
        lines => 1 + lines,
    }
}

/// How many hosts fit on a screen of this size.
pub fn rows(screen: Size) -> usize {
    // The headings take the body's first line.
    let above = 1;
    usize::from(
        super::body(screen)
            .height
            .saturating_sub(above + lines_below(screen)),
    )
}

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let rows = rows(state.size).min(usize::from(area.height.saturating_sub(1)));
    let count = state.fleet.rows_len();
    if count == 0 {
        draw_empty(state, area, buffer);
        return;
    }
    let top = state.fleet.top;
    let shown: Vec<Row<'_>> = state.fleet.rows().skip(top).take(rows).collect();
    let layout = &layout_of(state, area.width);
    let net_scale = net_scale(state, &shown, layout);
    draw_headings(state, layout, net_scale, area, buffer);
    let selected = state.fleet.selected_at();
    for (at, row) in shown.iter().enumerate() {
        let line = Rect {
            y: area.y + 1 + at as u16,
            height: 1,
            ..area
        };
        let drawn = fleet_rows::Row {
            state,
            layout,
            net_scale,
            is_selected: selected == Some(top + at),
            line,
        };
        match row {
            Row::Host(host) => drawn.draw_host(host, buffer),
            Row::Group(group) => drawn.draw_group(group, buffer),
        }
    }
    let table = Rect {
        y: area.y + 1,
        height: rows as u16,
        ..area
    };
    let below = top + rows < count;
    more(buffer, table, top > 0, below, &state.theme);
    draw_below(state, area, buffer);
}

/// What is selected, and its last minutes.
fn draw_below(state: &State, area: Rect, buffer: &mut Buffer) {
    let lines = detail_lines(state.size);
    let Some(below) = lines_below(state.size).checked_sub(1) else {
        return;
    };
    if area.height <= below + 1 {
        return;
    }
    let detail = Rect {
        y: area.bottom() - below,
        height: lines,
        ..area
    };
    fleet_detail::draw(state, detail, buffer);
    let rest = Rect {
        y: detail.bottom(),
        height: below - lines,
        ..area
    };
    if rest.height == panel::ROWS && state.fleet.selected().is_some() {
        panel::draw(state, rest, buffer);
    }
}

/// Instead of an empty table: why it is empty and what to do.
fn draw_empty(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    let hidden = !state.fleet.filter.is_empty();
    let (first, second) = match &state.link {
        Link::Connecting { to } => (format!("Connecting to {to}"), String::new()),
        Link::Lost { reason, .. } => ("No connection to the hub".to_owned(), reason.clone()),
        Link::Connected { .. } if hidden => (
            format!("No host fits \"{}\"", state.fleet.filter),
            shows_all(state),
        ),
        Link::Connected { .. } => (
            "No hosts yet".to_owned(),
            "Start `sysmon-agent` on the machines to be watched".to_owned(),
        ),
    };
    Pen::new(buffer, area, area.height / 3)
        .skip(3)
        .text(&first, theme.title);
    // A reason may be long: it takes as many lines as it needs.
    let width = usize::from(area.width).saturating_sub(6).max(10);
    for (at, line) in wrap(&second, width).iter().enumerate() {
        Pen::new(buffer, area, area.height / 3 + 1 + at as u16)
            .skip(3)
            .text(line, theme.dim);
    }
}

/// Which key shows all hosts again.
fn shows_all(state: &State) -> String {
    let ascii = state.theme.ascii;
    let (mode, action) = match state.mode {
        Mode::Filter => (Mode::Filter, Action::Back),
        _ => (Mode::Fleet, Action::ClearFilter),
    };
    match state.keys.key_of(mode, action, ascii) {
        Some(key) if mode == Mode::Filter => format!("{key} leaves it as it was"),
        Some(key) => format!("{key} shows all"),
        None => String::new(),
    }
}

pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// One scale for all lines of the network column: the highest on screen, rounded up.
fn net_scale(state: &State, shown: &[Row<'_>], layout: &Layout) -> i64 {
    let width = layout
        .columns
        .iter()
        .find(|(cell, _)| *cell == Column::NetLine)
        .map_or(0, |c| c.1);
    let points = |row: &Row<'_>| match row {
        Row::Host(host) => host.received.last(width, state.moment()).flatten().max(),
        Row::Group(_) => None,
    };
    round_scale(
        shown
            .iter()
            .filter_map(points)
            .max()
            .unwrap_or(0)
            .max(10_000),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keymap;
    use crate::testing::{fleet, fleet_update, press, screen, state};
    use ratatui::buffer::Buffer;
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::{AlertLine, Severity as AlertSeverity};

    /// Where the last digit of every row's CPU stands.
    #[test]
    fn columns_stand_where_they_belong_whatever_the_names_are() {
        let names = [
            "db-1",
            "\u{65e5}\u{672c}\u{8a9e}\u{30b5}\u{30fc}",
            "cafe\u{301}-e\u{301}te\u{301}",
            "\u{5e9}\u{5dc}\u{5d5}\u{5dd}-1",
            "\u{1f980}\u{1f980}-box",
            "\u{1f44d}\u{1f3fd}\u{1f44d}\u{1f3fd}",
            "\u{1f1e9}\u{1f1ea}-1",
            "\u{0e01}\u{0e33}\u{0e01}",
            "a-name-that-is-far-too-long-for-any-table-of-hosts",
            "\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}",
        ];
        let mut state = state();
        let hosts: Vec<_> = names.iter().map(|name| (*name, 330)).collect();
        state.fleet.apply(fleet_update(&hosts));
        for size in [Size::new(80, 24), Size::new(300, 80)] {
            state.size = size;
            let area = Rect::new(0, 0, size.width, size.height);
            let mut buffer = Buffer::empty(area);
            crate::view::draw(&state, area, &mut buffer);
            let line = |y: u16| -> Vec<&str> {
                let cell = |x| buffer.cell((x, y)).map_or("", |cell| cell.symbol());
                (0..size.width).map(cell).collect()
            };
            let first = line(FIRST_ROW - 1);
            let at = first.iter().position(|symbol| *symbol == "%").unwrap();
            for row in 0..names.len() as u16 {
                let cells = line(FIRST_ROW + row);
                assert_eq!(cells[at - 1..=at], ["3", "3"], "{cells:?}");
            }
        }
    }

    #[test]
    fn the_key_that_shows_all_is_the_one_it_has() {
        let mut state = fleet();
        state.keys = Keymap::new(&["clear-filter = f9".to_owned()]).unwrap();
        state.link = Link::Connected {
            hub: "h".into(),
            version: "1".into(),
        };
        press(&mut state, "/nothing");
        assert!(screen(&state, 80, 24).contains("Esc leaves it as it was"));
        press(&mut state, "\n");
        assert!(screen(&state, 80, 24).contains("F9 shows all"));
    }

    #[test]
    fn an_alert_is_told_in_as_many_lines_as_there_are_and_more_rows_are_announced() {
        let mut update = fleet_update(&[("db-1", 100), ("b", 100), ("c", 100)]);
        update.lines[0].alerts = vec![AlertLine {
            rule: "disk-full".into(),
            severity: AlertSeverity::Critical,
            since: UnixMs(0),
            summary: "system.filesystem.utilization of /var/lib/postgresql is 98.2 %, above 95 %"
                .into(),
        }];
        let mut state = state();
        state.fleet.apply(update);
        let text = screen(&state, 80, 24);
        assert!(
            text.contains("db-1  ▲ disk-full: system.filesystem"),
            "{text}"
        );
        assert!(text.contains("98.2 %, above 95 %"), "{text}");
        state.size = Size::new(40, 5);
        let text = screen(&state, 40, 5);
        assert!(text.lines().nth(3).unwrap().ends_with('↓'), "{text}");
        state.fleet.select(2);
        state.fleet.scroll(2);
        let text = screen(&state, 40, 5);
        assert!(text.lines().nth(2).unwrap().ends_with('↑'), "{text}");
    }

    #[test]
    fn long_reasons_are_wrapped() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
    }
}
