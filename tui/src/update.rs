//! What happens: `(state, message) → effects`. Pure.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use jiff::tz::TimeZone;
use ratatui::layout::Size;
use sysmon_config::time::parse_moment;
use sysmon_wire::{Label, UnixMs};

use crate::keys::{Action, Mode, action};
use crate::state::changes::Changes;
use crate::state::fleet::SPARK_STEP_MS;
use crate::state::host::{HostView, WINDOW_MS};
use crate::state::{Feed, Link, State};
use crate::theme::{Theme, ThemeName};
use crate::view::{self, fleet::FIRST_ROW};

/// What one press of an arrow moves in time: a cell of a sparkline.
const STEP_MS: i64 = SPARK_STEP_MS as i64;

/// How long a remark stays in the footer.
const REMARK_MS: i64 = 5_000;

/// Characters that can be typed at a prompt.
const INPUT_MAX: usize = 60;

/// Rows the wheel moves.
const WHEEL_ROWS: isize = 3;

/// Something that happened.
#[derive(Debug)]
pub enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this size now.
    Resize(Size),
    /// Time passed; this machine's clock.
    Tick(UnixMs),
    /// The hub told something.
    Feed(Feed),
}

/// What the rim is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// End the program.
    Quit,
    /// Leave the terminal to the shell.
    Suspend,
    /// Draw every cell anew.
    Redraw,
    /// Follow the fleet live, or show it as it was.
    WatchFleet {
        /// The moment; none for now.
        at: Option<UnixMs>,
    },
    /// Follow a host, or show it as it was.
    OpenHost {
        /// Its name.
        name: Label,
        /// The earliest row wanted.
        from: UnixMs,
        /// The latest; none to follow it live.
        until: Option<UnixMs>,
    },
    /// Stop following the host.
    CloseHost,
    /// Ask what is different from before.
    AskChanges {
        /// Of this host, or of all.
        host: Option<Label>,
        /// The moment; none for now.
        at: Option<UnixMs>,
    },
}

/// Takes a message.
pub fn update(state: &mut State, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(event) => key(state, event),
        Message::Mouse(event) => mouse(state, event),
        Message::Paste(text) => {
            paste(state, &text);
            Vec::new()
        }
        Message::Resize(size) => {
            state.size = size;
            state.dirty = true;
            state.fleet.scroll(state.fleet_rows());
            vec![Effect::Redraw]
        }
        Message::Tick(local) => {
            tick(state, local);
            Vec::new()
        }
        Message::Feed(feed) => {
            state.dirty = true;
            take_feed(state, feed)
        }
    }
}

fn tick(state: &mut State, local: UnixMs) {
    let now = local - state.clock_offset_ms;
    // The clock shows seconds; only a new one is worth a frame.
    if now.floor(1000) != state.now.floor(1000) {
        state.dirty = true;
    }
    state.now = now;
    if state
        .remark
        .as_ref()
        .is_some_and(|(_, until)| now >= *until)
    {
        state.remark = None;
        state.dirty = true;
    }
}

fn take_feed(state: &mut State, feed: Feed) -> Vec<Effect> {
    match feed {
        Feed::Connecting { to } => {
            if !matches!(state.link, Link::Lost { .. }) {
                state.link = Link::Connecting { to };
            }
        }
        Feed::Connected {
            hub,
            version,
            clock_offset_ms,
        } => {
            state.clock_offset_ms = clock_offset_ms;
            state.hub = Some(hub.clone());
            state.link = Link::Connected { hub, version };
        }
        Feed::Lost {
            reason,
            retry_in_ms,
        } => {
            state.link = Link::Lost {
                reason,
                retry_at: state.now + retry_in_ms,
            };
        }
        Feed::FleetBegin => state.fleet.begin(),
        Feed::FleetComplete => {
            state.fleet.complete();
            state.fleet.scroll(state.fleet_rows());
        }
        Feed::Fleet(update) => {
            state.fleet.apply(update);
            state.fleet.scroll(state.fleet_rows());
        }
        Feed::HostBegin => {
            if let Some(host) = &mut state.host {
                *host = HostView::new(host.name.clone());
            }
        }
        Feed::HostLine(line) => {
            if let Some(host) = &mut state.host {
                host.line = Some(*line);
            }
        }
        Feed::HostSeries(table) => {
            if let Some(host) = &mut state.host
                && let Err(error) = host.add_series(&table)
            {
                remark(state, error.to_string());
            }
        }
        Feed::HostRows { keyframe, block } => {
            if let Some(host) = &mut state.host
                && let Err(error) = host.add_rows(keyframe, &block)
            {
                remark(state, error.to_string());
            }
        }
        Feed::Processes {
            time,
            all,
            processes,
        } => {
            state.processes.take(time, all, processes);
            state.processes.scroll(view::processes::rows(state.size));
        }
        Feed::Changes { time, changes } => {
            state.changes.take(time, changes);
            state.changes.scroll(view::changes::rows(state.size));
        }
        Feed::HostComplete => {
            if let Some(host) = &mut state.host {
                host.complete = true;
            }
        }
        Feed::Refused { reason } => {
            if let Some(host) = &mut state.host {
                host.refused = Some(reason.clone());
            }
            remark(state, reason.to_string());
        }
    }
    Vec::new()
}

fn remark(state: &mut State, text: String) {
    state.remark = Some((text, state.now + REMARK_MS));
}

fn key(state: &mut State, event: KeyEvent) -> Vec<Effect> {
    state.dirty = true;
    match action(state.mode, event) {
        Some(action) => act(state, action),
        None if matches!(state.mode, Mode::Filter | Mode::Time) => {
            type_key(state, event);
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// Pasted text counts as typed, but only where one types: no line of it becomes a command.
fn paste(state: &mut State, text: &str) {
    if matches!(state.mode, Mode::Filter | Mode::Time) {
        for c in text.lines().next().unwrap_or_default().chars() {
            type_key(state, KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
        state.dirty = true;
    }
}

fn type_key(state: &mut State, event: KeyEvent) {
    let plain = !event
        .modifiers
        .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    match event.code {
        KeyCode::Char(c) if plain && !c.is_control() && state.input.len() < INPUT_MAX => {
            state.input.push(c);
        }
        KeyCode::Backspace => {
            state.input.pop();
        }
        KeyCode::Char('u') if event.modifiers == KeyModifiers::CONTROL => state.input.clear(),
        _ => {}
    }
    if state.mode == Mode::Filter {
        // The table follows while one types.
        set_filter(state, state.input.clone());
    }
}

fn set_filter(state: &mut State, filter: String) {
    if state.place() == Mode::Processes {
        state.processes.filter = filter;
        state.processes.reorder();
    } else {
        state.fleet.filter = filter;
        state.fleet.reorder();
    }
}

fn mouse(state: &mut State, event: MouseEvent) -> Vec<Effect> {
    let wheel = match event.kind {
        MouseEventKind::ScrollDown => WHEEL_ROWS,
        MouseEventKind::ScrollUp => -WHEEL_ROWS,
        MouseEventKind::Down(MouseButton::Left) if state.mode == Mode::Fleet => {
            return click(state, event.row);
        }
        _ => return Vec::new(),
    };
    state.dirty = true;
    scroll(state, wheel);
    Vec::new()
}

/// A click selects a host; a click on the selected one opens it.
fn click(state: &mut State, row: u16) -> Vec<Effect> {
    let Some(row) = row.checked_sub(FIRST_ROW).map(usize::from) else {
        return Vec::new();
    };
    let at = state.fleet.top + row;
    if row >= state.fleet_rows() || at >= state.fleet.shown_len() {
        return Vec::new();
    }
    state.dirty = true;
    if state.fleet.selected_at() == Some(at) {
        return act(state, Action::Open);
    }
    state.fleet.select(at);
    Vec::new()
}

fn act(state: &mut State, action: Action) -> Vec<Effect> {
    let page = state.fleet_rows() as isize;
    match action {
        Action::Quit => return vec![Effect::Quit],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Redraw => return vec![Effect::Redraw],
        Action::Help if state.mode == Mode::Help => return back(state),
        Action::Help => {
            state.help_scroll = 0;
            go(state, Mode::Help);
        }
        Action::Back => return back(state),
        Action::Open if state.mode == Mode::Changes => return go_to_change(state),
        Action::Open => return open(state),
        Action::Changes => return ask_changes(state),
        Action::Accept => return accept(state),
        Action::Up => scroll(state, -1),
        Action::Down => scroll(state, 1),
        Action::PageUp => scroll(state, -page),
        Action::PageDown => scroll(state, page),
        Action::First => scroll(state, isize::MIN / 2),
        Action::Last => scroll(state, isize::MAX / 2),
        Action::Filter => {
            let filter = match state.mode {
                Mode::Processes => state.processes.filter.clone(),
                _ => state.fleet.filter.clone(),
            };
            state.input.clone_from(&filter);
            state.filter_before = filter;
            go(state, Mode::Filter);
        }
        Action::ClearFilter => {
            state.fleet.filter.clear();
            state.fleet.reorder();
        }
        Action::Processes => go(state, Mode::Processes),
        Action::Sort if state.mode == Mode::Processes => {
            let processes = &mut state.processes;
            processes.sort = processes.sort.next();
            processes.reverse = false;
            processes.reorder();
            let name = processes.sort.name();
            remark(state, format!("sorted by {name}"));
        }
        Action::Reverse if state.mode == Mode::Processes => {
            state.processes.reverse = !state.processes.reverse;
            state.processes.reorder();
        }
        Action::Sort => {
            state.fleet.sort = state.fleet.sort.next();
            state.fleet.reverse = false;
            state.fleet.reorder();
            let name = state.fleet.sort.name();
            remark(state, format!("sorted by {name}"));
        }
        Action::Reverse => {
            state.fleet.reverse = !state.fleet.reverse;
            state.fleet.reorder();
        }
        Action::Theme => next_theme(state),
        Action::Earlier => return travel(state, -STEP_MS),
        Action::Later => return travel(state, STEP_MS),
        Action::MuchEarlier => return travel(state, -10 * STEP_MS),
        Action::MuchLater => return travel(state, 10 * STEP_MS),
        Action::Freeze => {
            return if state.at.is_some() {
                show(state, None)
            } else {
                travel(state, 0)
            };
        }
        Action::Live => return show(state, None),
        Action::GoToTime => {
            state.input.clear();
            go(state, Mode::Time);
        }
    }
    state.fleet.scroll(state.fleet_rows());
    Vec::new()
}

fn go(state: &mut State, mode: Mode) {
    state.back.push(state.mode);
    state.mode = mode;
}

fn back(state: &mut State) -> Vec<Effect> {
    let left = state.mode;
    state.mode = state.back.pop().unwrap_or(Mode::Fleet);
    match left {
        Mode::Host => {
            state.host = None;
            state.processes.clear();
            vec![Effect::CloseHost]
        }
        Mode::Filter => {
            let before = std::mem::take(&mut state.filter_before);
            set_filter(state, before);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn scroll(state: &mut State, rows: isize) {
    match state.mode {
        Mode::Fleet => {
            state.fleet.move_by(rows);
            state.fleet.scroll(state.fleet_rows());
        }
        Mode::Host => {
            let last = view::host::scroll_max(state);
            state.host_scroll = scrolled(state.host_scroll, rows, last);
        }
        Mode::Processes => {
            state.processes.move_by(rows);
            state.processes.scroll(view::processes::rows(state.size));
        }
        Mode::Changes => {
            state.changes.move_by(rows);
            state.changes.scroll(view::changes::rows(state.size));
        }
        Mode::Help => {
            let last = view::help::scroll_max(state);
            state.help_scroll = scrolled(state.help_scroll, rows, last);
        }
        Mode::Filter | Mode::Time => {}
    }
}

fn scrolled(from: u16, rows: isize, last: u16) -> u16 {
    let to = usize::from(from).saturating_add_signed(rows);
    u16::try_from(to).unwrap_or(u16::MAX).min(last)
}

fn open(state: &mut State) -> Vec<Effect> {
    let Some(name) = state.fleet.selected().map(|host| host.line.name.clone()) else {
        return Vec::new();
    };
    state.host_scroll = 0;
    state.processes.clear();
    state.host = Some(HostView::new(name.clone()));
    go(state, Mode::Host);
    vec![open_host(state, name)]
}

/// Of the open host, or of the fleet.
fn ask_changes(state: &mut State) -> Vec<Effect> {
    let host = state.host.as_ref().map(|host| host.name.clone());
    state.changes = Changes::of(host.clone());
    go(state, Mode::Changes);
    vec![Effect::AskChanges { host, at: state.at }]
}

/// Shows the host of the selected change at the moment the change began.
fn go_to_change(state: &mut State) -> Vec<Effect> {
    let Some(change) = state.changes.selected() else {
        return Vec::new();
    };
    let (name, began) = (change.host.clone(), change.began);
    if state.host.as_ref().is_none_or(|host| host.name != name) {
        state.host_scroll = 0;
        state.processes.clear();
        state.host = Some(HostView::new(name));
    }
    let place = if change.process.is_some() {
        Mode::Processes
    } else {
        Mode::Host
    };
    state.back = match place {
        Mode::Processes => vec![Mode::Fleet, Mode::Host],
        _ => vec![Mode::Fleet],
    };
    state.mode = place;
    state.at = None;
    show(state, Some(began))
}

fn open_host(state: &State, name: Label) -> Effect {
    Effect::OpenHost {
        name,
        from: state.moment() - WINDOW_MS,
        until: state.at,
    }
}

fn accept(state: &mut State) -> Vec<Effect> {
    let mode = state.mode;
    state.mode = state.back.pop().unwrap_or(Mode::Fleet);
    if mode != Mode::Time || state.input.trim().is_empty() {
        return Vec::new();
    }
    match moment(&state.input, state.now, &state.zone) {
        Ok(at) => show(state, Some(at)),
        Err(error) => {
            remark(state, error);
            Vec::new()
        }
    }
}

fn moment(text: &str, now: UnixMs, zone: &TimeZone) -> Result<UnixMs, String> {
    parse_moment(text, now.0, zone)
        .map(UnixMs)
        .map_err(|e| e.to_string())
}

fn travel(state: &mut State, ms: i64) -> Vec<Effect> {
    let from = state.at.unwrap_or_else(|| state.now.floor(1000));
    show(state, Some(from + ms))
}

/// Shows another moment on every screen. One that has not come yet is now.
fn show(state: &mut State, at: Option<UnixMs>) -> Vec<Effect> {
    let at = at.filter(|at| *at <= state.now);
    if at == state.at {
        return Vec::new();
    }
    state.at = at;
    let mut effects = vec![Effect::WatchFleet { at }];
    if let Some(host) = &state.host {
        effects.push(open_host(state, host.name.clone()));
    }
    if state.place() == Mode::Changes {
        let host = state.changes.host.clone();
        effects.push(Effect::AskChanges { host, at });
    }
    effects
}

fn next_theme(state: &mut State) {
    let at = ThemeName::ALL
        .iter()
        .position(|(_, name)| *name == state.theme_name)
        .unwrap_or(0);
    let Some((label, name)) = ThemeName::ALL.get((at + 1) % ThemeName::ALL.len()) else {
        return;
    };
    state.theme_name = *name;
    state.theme = Theme::new(*name, state.theme.ascii);
    remark(state, format!("theme {label}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fleet_update, process, state};

    #[test]
    fn a_change_is_gone_to_at_the_moment_it_began() {
        let mut state = state();
        state.now = UnixMs(900_000);
        update(
            &mut state,
            Message::Feed(Feed::Fleet(fleet_update(&[("a", 1)]))),
        );
        let asked = press(&mut state, "w");
        assert_eq!(
            asked,
            [Effect::AskChanges {
                host: None,
                at: None
            }]
        );
        assert_eq!(press(&mut state, "\n"), [], "nothing has come yet");
        let mut change = crate::testing::change("a", "system.cpu.utilization", 0.1, 0.9);
        change.began = UnixMs(500_000);
        let feed = Feed::Changes {
            time: UnixMs(900_000),
            changes: vec![crate::testing::change("b", "x", 0.0, 1.0), change],
        };
        update(&mut state, Message::Feed(feed));
        press(&mut state, "j");
        let effects = press(&mut state, "\n");
        assert_eq!(
            effects[0],
            Effect::WatchFleet {
                at: Some(UnixMs(500_000))
            }
        );
        let Effect::OpenHost { name, until, .. } = &effects[1] else {
            panic!("{effects:?}")
        };
        assert_eq!((name.as_str(), *until), ("a", Some(UnixMs(500_000))));
        assert_eq!(state.mode, Mode::Host);
        // From there the list is of this host and this moment, and follows it.
        let host = Some(Label::new("a"));
        let at = Some(UnixMs(500_000));
        assert_eq!(
            press(&mut state, "w"),
            [Effect::AskChanges {
                host: host.clone(),
                at
            }]
        );
        let at = Some(UnixMs(500_000 - STEP_MS));
        assert!(press(&mut state, "<").contains(&Effect::AskChanges { host, at }));
    }

    fn press(state: &mut State, keys: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        for c in keys.chars() {
            let code = match c {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                '<' => KeyCode::Left,
                '>' => KeyCode::Right,
                c => KeyCode::Char(c),
            };
            effects = update(state, Message::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        }
        effects
    }

    fn fleet() -> State {
        let mut state = state();
        update(&mut state, Message::Tick(UnixMs(1_000_000)));
        let update_ = fleet_update(&[("a", 100), ("b", 200), ("c", 300)]);
        update(&mut state, Message::Feed(Feed::Fleet(update_)));
        state
    }

    #[test]
    fn a_host_is_opened_and_left_again() {
        let mut state = fleet();
        let effects = press(&mut state, "j\n");
        let want = Effect::OpenHost {
            name: "b".into(),
            from: UnixMs(400_000),
            until: None,
        };
        assert_eq!((effects, state.mode), (vec![want], Mode::Host));
        assert_eq!(press(&mut state, "\u{1b}"), [Effect::CloseHost]);
        assert_eq!(state.mode, Mode::Fleet);
        assert_eq!(press(&mut state, "q"), [Effect::Quit]);
    }

    #[test]
    fn the_past_is_shown_on_every_screen_until_now_is_wanted() {
        let mut state = fleet();
        press(&mut state, "\n");
        let effects = press(&mut state, "<");
        let at = UnixMs(995_000);
        assert_eq!(effects[0], Effect::WatchFleet { at: Some(at) });
        assert!(matches!(&effects[1], Effect::OpenHost { until: Some(u), .. } if *u == at));
        assert_eq!(state.moment(), at);
        press(&mut state, ">");
        let effects = press(&mut state, ">");
        assert_eq!(
            effects[0],
            Effect::WatchFleet { at: None },
            "past now is now"
        );
    }

    #[test]
    fn a_time_can_be_typed_and_what_is_none_is_told() {
        let mut state = fleet();
        let effects = press(&mut state, "t-5m\n");
        assert_eq!(
            effects,
            [Effect::WatchFleet {
                at: Some(UnixMs(700_000))
            }]
        );
        press(&mut state, "tsoon\n");
        assert!(state.remark.as_ref().unwrap().0.contains("is not a time"));
        assert_eq!(state.at, Some(UnixMs(700_000)));
    }

    #[test]
    fn the_filter_follows_what_is_typed() {
        let mut state = fleet();
        press(&mut state, "/c");
        assert_eq!((state.mode, state.fleet.shown_len()), (Mode::Filter, 1));
        press(&mut state, "\n");
        assert_eq!((state.mode, state.fleet.shown_len()), (Mode::Fleet, 1));
        press(&mut state, "\u{1b}");
        assert_eq!(state.fleet.shown_len(), 3);
    }

    #[test]
    fn processes_are_a_screen_of_their_own_with_a_filter_of_their_own() {
        let mut state = fleet();
        press(&mut state, "\np");
        let processes = vec![process(7, "cc1", 900, 5), process(8, "make", 1, 9)];
        let feed = Feed::Processes {
            time: UnixMs(5),
            all: true,
            processes,
        };
        update(&mut state, Message::Feed(feed));
        assert_eq!(state.mode, Mode::Processes);
        press(&mut state, "/mak\n");
        assert_eq!(state.processes.shown().count(), 1);
        assert_eq!(
            (state.mode, state.fleet.filter.as_str()),
            (Mode::Processes, "")
        );
        press(&mut state, "s");
        assert_eq!(state.processes.sort.name(), "memory");
        assert_eq!(press(&mut state, "\u{1b}"), []);
        assert_eq!(state.mode, Mode::Host);
        assert_eq!(press(&mut state, "\u{1b}"), [Effect::CloseHost]);
        assert!(state.processes.is_empty());
    }

    #[test]
    fn esc_at_the_filter_brings_back_the_one_before() {
        let mut state = fleet();
        press(&mut state, "/c\n/b");
        assert_eq!(state.fleet.filter, "cb");
        press(&mut state, "\u{1b}");
        assert_eq!(
            (state.fleet.filter.as_str(), state.mode),
            ("c", Mode::Fleet)
        );
    }

    #[test]
    fn a_new_picture_takes_the_place_of_the_old_only_when_it_is_whole() {
        let mut state = fleet();
        press(&mut state, "jj");
        let feed = |state: &mut State, feed| update(state, Message::Feed(feed));
        feed(&mut state, Feed::FleetBegin);
        feed(&mut state, Feed::Fleet(fleet_update(&[("a", 1)])));
        assert_eq!(state.fleet.shown_len(), 3);
        feed(&mut state, Feed::Fleet(fleet_update(&[("b", 1), ("c", 1)])));
        feed(&mut state, Feed::FleetComplete);
        assert_eq!(state.fleet.selected().unwrap().line.name, "c");
    }

    #[test]
    fn help_is_left_the_way_it_was_called_and_scrolls_by_itself() {
        let mut state = fleet();
        update(&mut state, Message::Resize(Size::new(80, 10)));
        press(&mut state, "?G");
        let last = state.help_scroll;
        assert!(last > 0);
        press(&mut state, "k");
        assert_eq!(
            state.help_scroll,
            last - 1,
            "the end is where the last line is"
        );
        press(&mut state, "?");
        assert_eq!((state.mode, state.host_scroll), (Mode::Fleet, 0));
    }

    #[test]
    fn only_a_new_second_is_worth_a_frame() {
        let mut state = fleet();
        state.dirty = false;
        update(&mut state, Message::Tick(UnixMs(1_000_400)));
        assert!(!state.dirty);
        update(&mut state, Message::Tick(UnixMs(1_001_000)));
        assert!(state.dirty);
    }

    #[test]
    fn a_click_selects_and_another_opens() {
        let mut state = fleet();
        let click = || {
            Message::Mouse(MouseEvent {
                kind: MouseEventKind::Down(MouseButton::Left),
                column: 5,
                row: FIRST_ROW + 2,
                modifiers: KeyModifiers::NONE,
            })
        };
        assert_eq!(update(&mut state, click()), []);
        assert_eq!(state.fleet.selected().unwrap().line.name, "c");
        assert!(matches!(
            &update(&mut state, click())[..],
            [Effect::OpenHost { .. }]
        ));
    }
}
