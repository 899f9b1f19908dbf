//! What the actions of the key table do.

use sysmon_config::Column;
use sysmon_wire::Label;

use super::travel::{STEP_MS, open_host, show, travel};
use super::typing::{accept, set_filter};
use super::{Effect, compare, fleet as hosts, give, panes, remark, timeline, top};
use crate::keys::{Action, Mode};
use crate::state::burst::Burst;
use crate::state::changes::Changes;
use crate::state::host::HostView;
use crate::state::panes::Panes;
use crate::state::{State, fleet, palette, processes};
use crate::theme::{Theme, ThemeName};
use crate::view::{self, fleet_columns};

pub(super) fn act(state: &mut State, action: Action) -> Vec<Effect> {
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
        Action::Open if state.mode == Mode::Events => return timeline::go_to_event(state),
        Action::Open if state.mode == Mode::Top => return top::go_there(state),
        Action::Open if state.mode == Mode::Processes => open_process(state),
        Action::Open if state.mode == Mode::Compare => return compare::open_selected(state),
        Action::Open => return open(state),
        Action::Top => go(state, Mode::Top),
        Action::Mark => {
            state.fleet.mark();
            state.fleet.move_by(1);
        }
        Action::Compare => compare::open(state),
        Action::Metric => compare::next_metric(state),
        Action::Overlay => compare::overlay(state),
        Action::Events => timeline::list(state),
        Action::Acknowledge => return timeline::acknowledge(state),
        Action::PreviousEvent => return timeline::earlier(state),
        Action::NextEvent => return timeline::later(state),
        Action::ZoomOut => timeline::zoom(state, 1),
        Action::ZoomIn => timeline::zoom(state, -1),
        Action::Changes => return ask_changes(state),
        Action::NextPane | Action::PreviousPane => {
            panes::step(state, action == Action::PreviousPane);
        }
        Action::Zoom => panes::zoom(state),
        Action::Burst => return burst(state),
        Action::Accept => return accept(state),
        Action::Up => scroll(state, -1),
        Action::Down => scroll(state, 1),
        Action::PageUp => scroll(state, -page),
        Action::PageDown => scroll(state, page),
        Action::First if state.mode == Mode::Fleet => state.fleet.select_first(),
        Action::First => scroll(state, isize::MIN / 2),
        Action::Last => scroll(state, isize::MAX / 2),
        Action::Filter => {
            let filter = match state.mode {
                Mode::Processes => state.processes.filter.text().to_owned(),
                Mode::Top => state.top.filter.text().to_owned(),
                _ => state.fleet.filter.clone(),
            };
            state.input.clone_from(&filter);
            state.filter_before = filter;
            go(state, Mode::Filter);
        }
        Action::ClearFilter => hosts::clear_filter(state),
        Action::Group => hosts::group(state),
        Action::FoldAll => hosts::fold_all(state),
        Action::Columns => {
            state.chosen = 0;
            go(state, Mode::Columns);
        }
        Action::Toggle => hosts::toggle_column(state),
        Action::Processes => go(state, Mode::Processes),
        Action::Copy => return give::copy(state),
        Action::Export => give::ask_name(state),
        Action::Palette => {
            state.input.clear();
            state.chosen = 0;
            go(state, Mode::Palette);
        }
        Action::Sort if state.mode == Mode::Processes => {
            let next = state.processes.sort.next();
            sort_processes(state, next);
        }
        Action::Reverse if state.mode == Mode::Processes => {
            state.processes.reverse = !state.processes.reverse;
            state.processes.reorder();
        }
        Action::Sort if state.mode == Mode::Top => {
            let next = state.top.sort.next();
            top::sort(state, next);
        }
        Action::Reverse if state.mode == Mode::Top => {
            state.top.reverse = !state.top.reverse;
            state.top.reorder();
        }
        Action::Sort if state.mode == Mode::Pane => panes::sort_next(state),
        Action::Reverse if state.mode == Mode::Pane => {
            state.panes.reverse = !state.panes.reverse;
        }
        Action::Sort => {
            let mut next = state.fleet.sort.next();
            // Names and how bad hosts are can always be seen.
            while !fleet_columns::shows(state, next) {
                next = next.next();
            }
            sort_fleet(state, next);
        }
        Action::Reverse => {
            state.fleet.reverse = !state.fleet.reverse;
            state.fleet.reorder();
        }
        Action::Arrange => {
            let processes = &mut state.processes;
            processes.arrangement = processes.arrangement.next();
            processes.reorder();
            let name = processes.arrangement.name();
            remark(state, format!("processes {name}"));
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

pub(super) fn go(state: &mut State, mode: Mode) {
    state.back.push(state.mode);
    state.mode = mode;
}

pub(super) fn back(state: &mut State) -> Vec<Effect> {
    if state.mode == Mode::Compare && compare::back_to_hosts(state) {
        return Vec::new();
    }
    let left = state.mode;
    state.mode = state.back.pop().unwrap_or(Mode::Fleet);
    match left {
        Mode::Burst => {
            state.burst = None;
            vec![Effect::Burst(None)]
        }
        Mode::Process => {
            state.processes.open = None;
            Vec::new()
        }
        Mode::Host | Mode::Processes if state.mode != Mode::Host => {
            state.host = None;
            state.burst = None;
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

pub(super) fn scroll(state: &mut State, rows: isize) {
    match state.mode {
        Mode::Fleet => {
            state.fleet.move_by(rows);
            state.fleet.scroll(state.fleet_rows());
        }
        Mode::Host => {
            let last = view::host::scroll_max(state);
            state.host_scroll = scrolled(state.host_scroll, rows, last);
        }
        Mode::Pane => {
            let last = view::panes::scroll_max(state);
            state.panes.scroll = scrolled(state.panes.scroll, rows, last);
        }
        Mode::Processes => {
            state.processes.move_by(rows);
            state.processes.scroll(view::processes::rows(state.size));
        }
        Mode::Top => {
            state.top.move_by(rows);
            state.top.scroll(view::top::rows(state.size));
        }
        Mode::Changes => {
            state.changes.move_by(rows);
            state.changes.scroll(view::changes::rows(state.size));
        }
        Mode::Events => {
            state.timeline.move_by(rows);
            state.timeline.scroll(view::events::rows(state.size));
        }
        Mode::Compare => state.compare.move_by(rows),
        Mode::Help => {
            let last = view::help::scroll_max(state);
            state.help_scroll = scrolled(state.help_scroll, rows, last);
        }
        Mode::Palette => {
            let last = palette::entries(state).len().saturating_sub(1);
            state.chosen = state.chosen.saturating_add_signed(rows).min(last);
        }
        Mode::Columns => {
            let last = Column::ALL.len() - 1;
            state.chosen = state.chosen.saturating_add_signed(rows).min(last);
        }
        Mode::Process | Mode::Burst | Mode::Filter | Mode::Time | Mode::Export => {}
    }
}

fn scrolled(from: u16, rows: isize, last: u16) -> u16 {
    let to = usize::from(from).saturating_add_signed(rows);
    u16::try_from(to).unwrap_or(u16::MAX).min(last)
}

fn open(state: &mut State) -> Vec<Effect> {
    if state.mode == Mode::Fleet && state.fleet.fold() {
        state.fleet.scroll(state.fleet_rows());
        return Vec::new();
    }
    state.fleet.hold();
    let Some(name) = state.fleet.selected().map(|host| host.line.name.clone()) else {
        return Vec::new();
    };
    open_named(state, name)
}

/// Shows the details of the selected process, or the members of the selected group.
fn open_process(state: &mut State) {
    if state.processes.open_selected() {
        go(state, Mode::Process);
    } else if !state.processes.filter.is_empty() {
        let members = state.processes.filter.text().to_owned();
        remark(state, format!("one by one, those that fit {members}"));
    }
}

/// Opens a host from wherever one is; back leads to the fleet.
pub(super) fn open_named(state: &mut State, name: Label) -> Vec<Effect> {
    state.host_scroll = 0;
    state.burst = None;
    state.panes = Panes::default();
    state.processes.clear();
    state.host = Some(HostView::new(name.clone()));
    state.back = vec![Mode::Fleet];
    state.mode = Mode::Host;
    vec![open_host(state, name)]
}

pub(super) fn sort_fleet(state: &mut State, sort: fleet::Sort) {
    state.fleet.sort = sort;
    state.fleet.reverse = false;
    state.fleet.reorder();
    remark(state, format!("sorted by {}", sort.name()));
}

pub(super) fn sort_processes(state: &mut State, sort: processes::Sort) {
    state.processes.sort = sort;
    state.processes.reverse = false;
    state.processes.reorder();
    remark(state, format!("sorted by {}", sort.name()));
}

/// Shows the open host at ten samples a second, and asks for them; of the past, those that there are.
fn burst(state: &mut State) -> Vec<Effect> {
    let Some(name) = state.host.as_ref().map(|host| host.name.clone()) else {
        return Vec::new();
    };
    if state.mode != Mode::Burst {
        go(state, Mode::Burst);
    }
    let is_asked = state.burst.is_some_and(|b| b.left_ms(state.now) > 0);
    if state.at.is_some() || is_asked {
        return Vec::new();
    }
    state.burst = Some(Burst::new(state.now));
    vec![Effect::Burst(Some(name))]
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
        state.burst = None;
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

fn next_theme(state: &mut State) {
    let at = ThemeName::ALL
        .iter()
        .position(|(_, name)| *name == state.theme_name)
        .unwrap_or(0);
    let Some((label, name)) = ThemeName::ALL.get((at + 1) % ThemeName::ALL.len()) else {
        return;
    };
    set_theme(state, label, *name);
}

pub(super) fn set_theme(state: &mut State, label: &str, name: ThemeName) {
    state.theme_name = name;
    state.theme = Theme::new(name, state.theme.ascii);
    remark(state, format!("theme {label}"));
}
