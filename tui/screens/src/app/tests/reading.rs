//! Reading charts: a cursor in them, and spans that are selected with the mouse.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect, Size};
use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO};
use sysmon_wire::{RowEncoder, SeriesKey, SeriesTable, UnixMs};

use super::{fleet, press, remark, screen, update};
use crate::app::{Message, State, draw};
use crate::events::strip;
use crate::host::Pane;
use crate::keys::Mode;
use crate::layout::parts;
use crate::widgets::plot::Plot;

const SIZE: Size = Size {
    width: 120,
    height: 30,
};

/// An open host with fifteen minutes up to second 1000.
fn host(keys: &[SeriesKey], value: impl Fn(usize, i64) -> i64) -> State {
    let mut state = fleet();
    state.context.size = SIZE;
    press(&mut state, "\n");
    let host = state.context.host.as_mut().unwrap();
    host.add_series(&SeriesTable::new(keys)).unwrap();
    let (mut encoder, mut block) = (RowEncoder::new(), Vec::new());
    for second in 90..=1000 {
        let values: Vec<i64> = (0..keys.len()).map(|at| value(at, second)).collect();
        encoder.encode(second as u64, UnixMs(second * 1000), &values, &mut block);
    }
    host.add_rows(true, &block).unwrap();
    state
}

/// A host whose processors are in use by as many permille as there are seconds.
fn rising() -> State {
    host(&[CPU_UTILIZATION.series(&[])], |_, second| second)
}

fn text(state: &State) -> String {
    screen(state, SIZE.width, SIZE.height)
}

fn mouse(state: &mut State, kind: MouseEventKind, column: u16, row: u16) {
    let event = MouseEvent {
        kind,
        column,
        row,
        modifiers: KeyModifiers::NONE,
    };
    update(state, Message::Mouse(event));
}

fn drag(state: &mut State, plot: Plot, from: u16, to: u16) {
    let (x, y) = (plot.area.x, plot.area.y);
    mouse(state, MouseEventKind::Down(MouseButton::Left), x + from, y);
    // It may leave the chart's lines meanwhile.
    mouse(state, MouseEventKind::Drag(MouseButton::Left), x + to, 0);
}

fn release(state: &mut State) {
    mouse(state, MouseEventKind::Up(MouseButton::Left), 0, 0);
}

/// The first chart on screen.
fn plot(state: &State) -> Plot {
    let mut places = Rect::new(0, 0, SIZE.width, SIZE.height).positions();
    places
        .find_map(|place| state.screen().plot_at(place, &state.context))
        .unwrap()
}

fn span(state: &State) -> &'static str {
    state.context.chart_span.text()
}

#[test]
fn a_cursor_reads_a_cell_of_a_zoomed_chart_and_esc_takes_it_away_first() {
    let mut state = rising();
    state.context.enter(Mode::Pane);
    state.screens.host.panes.go(Pane::Cpu);
    assert!(text(&state).contains("busy  100%"), "{}", text(&state));
    press(&mut state, "<");
    let drawn = text(&state);
    assert!(drawn.contains("cursor 00:16:30"), "{drawn}");
    assert!(drawn.contains("busy  99%"), "{drawn}");
    press(&mut state, "<");
    let drawn = text(&state);
    assert!(drawn.contains("cursor 00:16:20"), "{drawn}");
    assert!(drawn.contains("busy  98%"), "{drawn}");
    assert!(drawn.contains('│'), "{drawn}");
    assert!(drawn.contains("← cursor"), "{drawn}");
    press(&mut state, ">>>");
    assert!(text(&state).contains("cursor 00:16:30"));
    assert_eq!(state.context.at, None, "time stays");
    press(&mut state, "\u{1b}");
    assert_eq!(state.context.mode(), Mode::Pane);
    assert!(!text(&state).contains("cursor 00"));
    press(&mut state, "\u{1b}");
    assert_eq!(state.context.mode(), Mode::Host);
}

#[test]
fn the_mouse_sets_the_cursor_and_draws_only_when_it_moves_to_another_cell() {
    let mut state = rising();
    state.context.enter(Mode::Pane);
    state.screens.host.panes.go(Pane::Cpu);
    let area = plot(&state).area;
    let (x, y) = (area.x + 45, area.y + 1);
    mouse(&mut state, MouseEventKind::Moved, x, y);
    let drawn = text(&state);
    assert!(drawn.contains("cursor 00:09:10"), "{drawn}");
    assert!(drawn.contains("busy  55%"), "{drawn}");
    state.is_dirty = false;
    mouse(&mut state, MouseEventKind::Moved, x, y + 1);
    assert!(!state.is_dirty);
    mouse(&mut state, MouseEventKind::Moved, x, area.bottom() + 5);
    assert!(!state.is_dirty, "not over a chart");
    mouse(&mut state, MouseEventKind::Moved, x + 1, y);
    assert!(state.is_dirty);
    mouse(
        &mut state,
        MouseEventKind::Down(MouseButton::Left),
        area.x,
        y,
    );
    release(&mut state);
    assert!(text(&state).contains("cursor 00:01:40"));
}

#[test]
fn in_the_table_of_a_pane_the_arrows_go_through_time() {
    let mut state = rising();
    state.context.enter(Mode::Pane);
    state.screens.host.panes.go(Pane::Filesystems);
    assert!(text(&state).contains("← past"), "{}", text(&state));
    press(&mut state, "<");
    assert_eq!(state.context.at, Some(UnixMs(995_000)));
    press(&mut state, ">>");
    assert_eq!(state.context.at, None);
}

#[test]
fn a_span_of_a_chart_is_marked_while_it_is_selected_then_shown_and_esc_leads_back() {
    let mut state = rising();
    let plot = plot(&state);
    drag(&mut state, plot, 19, 10);
    let wanted = (plot.moments(10).from, plot.moments(19).to);
    assert!(remark(&state).contains("release to see 5 m"));
    let area = Rect::new(0, 0, SIZE.width, SIZE.height);
    let mut buffer = Buffer::empty(area);
    draw(&state, area, &mut buffer);
    let ground = state.context.theme.selected.bg;
    assert!(ground.is_some());
    let is_marked = |cell: u16| {
        let place = Position::new(plot.area.x + cell, plot.area.y);
        buffer.cell(place).unwrap().style().bg == ground
    };
    let marked: Vec<u16> = (0..plot.area.width)
        .filter(|cell| is_marked(*cell))
        .collect();
    assert_eq!(marked, (10..=19).collect::<Vec<_>>());
    assert_eq!(state.context.at, None, "nothing yet");
    release(&mut state);
    assert!(wanted.1 - wanted.0 <= 300_000);
    assert_eq!(state.context.at, Some(wanted.1));
    assert_eq!(span(&state), "5 m");
    press(&mut state, "\u{1b}");
    assert_eq!((state.context.at, span(&state)), (None, "15 m"));
    assert_eq!(state.context.mode(), Mode::Host, "esc left only the span");
    press(&mut state, "\u{1b}");
    assert_eq!(state.context.mode(), Mode::Fleet);
}

#[test]
fn back_to_live_leaves_a_selected_span_and_one_up_to_now_stays_live() {
    let mut state = rising();
    let all = plot(&state);
    drag(&mut state, all, 10, 19);
    release(&mut state);
    update(&mut state, Message::Key(KeyEvent::from(KeyCode::End)));
    assert_eq!((state.context.at, span(&state)), (None, "15 m"));
    let end = all.area.width - 1;
    drag(&mut state, all, end - 5, end + 9);
    release(&mut state);
    assert_eq!((state.context.at, span(&state)), (None, "5 m"));
    press(&mut state, "\u{1b}");
    assert_eq!(span(&state), "15 m");
    drag(&mut state, all, 1, 5);
    press(&mut state, "\u{1b}");
    release(&mut state);
    assert_eq!(
        (state.context.at, span(&state)),
        (None, "15 m"),
        "cancelled"
    );
    assert_eq!(state.context.mode(), Mode::Host);
}

#[test]
fn a_click_on_a_chart_is_no_selection() {
    let mut state = rising();
    let plot = plot(&state);
    drag(&mut state, plot, 3, 3);
    release(&mut state);
    assert_eq!(state.screens.host.panes.focus, Pane::Cpu);
    assert_eq!((state.context.at, span(&state)), (None, "15 m"));
}

#[test]
fn a_span_of_the_strip_is_selected_and_a_click_shows_a_moment() {
    let mut state = fleet();
    state.context.size = SIZE;
    let area = parts(Rect::new(0, 0, SIZE.width, SIZE.height))
        .unwrap()
        .strip;
    let plot = strip::plot(state.context.window(), area.unwrap());
    drag(&mut state, plot, 100, 90);
    release(&mut state);
    let end = plot.moments(100).to.floor(1000);
    assert_eq!((state.context.at, span(&state)), (Some(end), "1 h"));
    press(&mut state, "\u{1b}");
    assert_eq!((state.context.at, span(&state)), (None, "15 m"));
    drag(&mut state, plot, 50, 50);
    release(&mut state);
    assert_eq!(state.context.at, Some(plot.middle(50).floor(1000)));
    assert_eq!(span(&state), "15 m");
}

#[test]
fn the_scale_of_rates_is_stated_and_scrolling_leaves_it() {
    let names: Vec<String> = (0..60).map(|number| format!("eth{number}")).collect();
    let keys: Vec<_> = names
        .iter()
        .map(|name| {
            NET_IO.series(&[
                ("network.interface.name", name),
                ("network.io.direction", "receive"),
            ])
        })
        .collect();
    let mut state = host(&keys, |at, second| second * 100_000 * (at as i64 + 1));
    state.context.enter(Mode::Pane);
    for pane in [Pane::Interfaces, Pane::Network] {
        state.screens.host.panes.go(pane);
        let scale = |drawn: &str| -> String {
            let line = match pane {
                Pane::Interfaces => drawn.lines().find(|line| line.contains("0–")).unwrap(),
                _ => drawn.lines().nth(3).unwrap().get(..6).unwrap(),
            };
            line.split_whitespace().last().unwrap().to_owned()
        };
        let before = text(&state);
        assert!(scale(&before).ends_with("6.0M"), "{before}");
        press(&mut state, "G");
        let after = text(&state);
        assert_ne!(before, after);
        assert_eq!(scale(&before), scale(&after), "{after}");
    }
}
