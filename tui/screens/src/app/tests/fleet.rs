//! The table of hosts: order, columns, groups and the panel below it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use sysmon_config::Column;
use sysmon_wire::UnixMs;
use sysmon_wire::message::{AlertLine, Reply, Request, Severity as AlertSeverity};

use super::{Message, connect, draw, empty, fleet, press, remark, reply, screen, tick, update};
use crate::app::State;
use crate::fleet::first_row;
use crate::keys::Mode;
use crate::subscriptions::Topic;
use crate::testing::fleet_update;

#[test]
fn hosts_are_sorted_by_columns_on_screen() {
    let mut state = fleet();
    state.screens.fleet.columns = vec![Column::Load, Column::Read];
    let mut sorts = Vec::new();
    for _ in 0..5 {
        press(&mut state, "s");
        sorts.push(state.screens.fleet.sort.name());
    }
    assert_eq!(sorts, ["load", "disk", "name", "worst", "load"]);
}

#[test]
fn columns_are_hidden_and_come_back_where_they_were() {
    let last = Column::ALL.last().unwrap().1;
    let mut state = fleet();
    press(&mut state, "|");
    assert_eq!(state.context.mode(), Mode::Columns);
    press(&mut state, "jjj \u{1b}");
    assert_eq!(state.context.mode(), Mode::Fleet);
    assert!(!state.screens.fleet.columns.contains(&Column::Memory));
    press(&mut state, "|jjj ");
    assert_eq!(state.screens.fleet.columns, Column::all());
    state.screens.fleet.columns = vec![last, Column::Up];
    press(&mut state, "kkkkkkkkkkkkkkj ");
    assert_eq!(state.screens.fleet.columns, [Column::Cpu, last, Column::Up]);
    press(&mut state, "k jjjjjjjjjjjjjjjj ");
    state.screens.fleet.columns = vec![last];
    press(&mut state, " ");
    assert_eq!(state.screens.fleet.columns, [last], "the last one stays");
}

#[test]
fn groups_are_folded_with_the_key_that_opens_hosts() {
    let mut state = fleet();
    press(&mut state, "z");
    assert!(remark(&state).contains("# groups them"));
    press(&mut state, "#");
    let text = screen(&state, 80, 24);
    assert!(text.contains("▾ untagged"), "{text}");
    state.screens.fleet.select(0);
    assert_eq!(press(&mut state, "\n"), []);
    let text = screen(&state, 80, 24);
    assert!(
        text.contains("▸ untagged") && text.contains("3 hosts"),
        "{text}"
    );
    assert_eq!(state.screens.fleet.rows_len(), 1);
    press(&mut state, "z");
    assert_eq!(state.screens.fleet.rows_len(), 4);
    press(&mut state, "jj\n");
    assert_eq!(state.context.mode(), Mode::Host);
}

#[test]
fn clearing_the_filter_keeps_the_selection() {
    let mut state = fleet();
    press(&mut state, "/b\n\u{1b}");
    assert_eq!(state.screens.fleet.selected().unwrap().line.name, "b");
    assert_eq!(state.screens.fleet.shown_len(), 3);
}

#[test]
fn the_list_of_columns_is_over_the_table_at_every_size() {
    let mut state = fleet();
    press(&mut state, "|");
    let text = screen(&state, 80, 24);
    assert!(
        text.contains("COLUMNS") && text.contains("✓ mem "),
        "{text}"
    );
    press(&mut state, "jjjjjjjjjjj ");
    let text = screen(&state, 80, 24);
    assert!(
        text.contains("  temp") && !text.contains("✓ temp"),
        "{text}"
    );
    assert!(screen(&state, 40, 10).contains("hottest"));
    assert!(screen(&state, 20, 5).contains("temp"));
    for (width, height) in [(1, 1), (3, 3), (20, 5), (300, 100)] {
        screen(&state, width, height);
    }
    state.context.theme.ascii = true;
    assert!(screen(&state, 80, 24).is_ascii());
}

#[test]
fn columns_are_aligned_whatever_the_names_are() {
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
    let mut state = empty();
    let hosts: Vec<_> = names.iter().map(|name| (*name, 330)).collect();
    state.screens.fleet.apply(fleet_update(&hosts));
    for size in [Size::new(80, 24), Size::new(300, 80)] {
        state.context.size = size;
        let area = Rect::new(0, 0, size.width, size.height);
        let mut buffer = Buffer::empty(area);
        draw(&state, area, &mut buffer);
        let line = |y: u16| -> Vec<&str> {
            let cell = |x| buffer.cell((x, y)).map_or("", |cell| cell.symbol());
            (0..size.width).map(cell).collect()
        };
        let top = first_row(&state.screens.fleet, &state.context);
        let head = line(top - 1);
        let cpu = |at: &usize| head[*at..].starts_with(&["C", "P", "U"]);
        let at = (0..head.len()).find(cpu).unwrap() + 1;
        for row in 0..names.len() as u16 {
            let cells = line(top + row);
            assert_eq!(cells[at..=at + 1], ["3", "3"], "{cells:?}");
        }
    }
}

#[test]
fn an_alert_is_on_top_and_more_rows_are_announced() {
    let mut update = fleet_update(&[("db-1", 100), ("b", 100), ("c", 100)]);
    update.lines[0].alerts = vec![AlertLine {
        metric: "".into(),
        acknowledged: None,
        silenced: None,
        rule: "disk-full".into(),
        severity: AlertSeverity::Critical,
        since: UnixMs(0),
        summary: "system.filesystem.utilization of /var/lib/postgresql is 98.2 %, above 95 %"
            .into(),
    }];
    let mut state = empty();
    state.screens.fleet.apply(update);
    let text = screen(&state, 80, 24);
    assert!(text.contains("▲ db-1      disk-full"), "{text}");
    assert!(text.contains("NEEDS YOU"), "{text}");
    state.context.size = Size::new(40, 5);
    let text = screen(&state, 40, 5);
    assert!(text.lines().nth(3).unwrap().ends_with('↓'), "{text}");
    state.screens.fleet.select(2);
    state.screens.fleet.scroll_to_selected(2);
    let text = screen(&state, 40, 5);
    assert!(text.lines().nth(2).unwrap().ends_with('↑'), "{text}");
}

fn preview(state: &State) -> Option<String> {
    match state.request(Topic::Preview)? {
        Request::Host { host, .. } => Some(host.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_selected_host_is_requested_when_the_selection_rests() {
    let mut state = empty();
    state.context.size = Size::new(120, 40);
    connect(&mut state);
    let hosts = fleet_update(&[("a", 1), ("b", 2), ("c", 3)]);
    reply(&mut state, Topic::Fleet, Reply::Fleet(hosts));
    tick(&mut state, 0);
    assert_eq!(preview(&state).as_deref(), Some("a"), "the first at once");
    // A key that is held passes b by.
    press(&mut state, "jj");
    assert_eq!(preview(&state).as_deref(), Some("a"));
    tick(&mut state, 301);
    assert_eq!(preview(&state).as_deref(), Some("c"));
    let processes = state.request(Topic::PreviewProcesses).cloned();
    tick(&mut state, 6_000);
    let later = state.request(Topic::PreviewProcesses).cloned();
    assert!(later.is_some() && later != processes, "{later:?}");
    let small = Message::Resize(Size::new(80, 24));
    update(&mut state, small);
    assert_eq!(preview(&state), None);
}
