//! The focus among the panes of the host screen, and the pane that fills the screen.

use super::act::go;
use super::remark;
use crate::keys::Mode;
use crate::state::State;
use crate::state::panes::Pane;
use crate::view;

/// Gives the focus to the next pane or the one before; where a pane fills the screen, that one does then.
pub(super) fn step(state: &mut State, is_back: bool) {
    let mut there = view::host::panes(state);
    if state.mode == Mode::Pane {
        // Processes have a screen of their own.
        there.retain(|pane| *pane != Pane::Processes);
    }
    state.panes.step(&there, is_back);
    state.host_scroll = view::host::scroll_to_focus(state);
}

/// The pane that has the focus fills the screen.
pub(super) fn zoom(state: &mut State) {
    let mode = match state.panes.focus {
        Pane::Processes => Mode::Processes,
        _ => Mode::Pane,
    };
    go(state, mode);
}

/// Sorts the table by its next column, the name first.
pub(super) fn sort_next(state: &mut State) {
    let columns = view::panes::columns(state.panes.focus).len();
    let shown = view::panes::sorts(state);
    loop {
        state.panes.sort_next(columns);
        if state.panes.sort.is_none_or(|sort| shown.contains(&sort)) {
            break;
        }
    }
    tell(state);
}

/// Sorts the table by a column, or turns the order around if it is sorted by that.
pub(super) fn sort_by(state: &mut State, column: usize) {
    if state.panes.sort == Some(column) {
        state.panes.reverse = !state.panes.reverse;
        return;
    }
    state.panes.sort = Some(column);
    state.panes.reverse = false;
    tell(state);
}

fn tell(state: &mut State) {
    let columns = view::panes::columns(state.panes.focus);
    let name = match state.panes.sort {
        Some(at) => columns.get(at).copied().unwrap_or_default(),
        None if columns.is_empty() => return,
        None => "what the host tells",
    };
    remark(state, format!("sorted by {name}"));
}

/// A click gives a pane the focus; one on the pane that has it lets it fill the screen.
pub(super) fn click(state: &mut State, column: u16, row: u16) {
    let Some(pane) = view::host::pane_at(state, column, row) else {
        return;
    };
    if pane == state.panes.focus {
        return zoom(state);
    }
    state.panes.go(pane);
}

#[cfg(test)]
mod tests {
    use crate::keys::Mode;
    use crate::state::Feed;
    use crate::state::panes::Pane;
    use crate::state::shown::Records;
    use crate::testing::{fleet, press, screen};
    use crate::update::{Effect, Message, update};
    use sysmon_wire::metrics::{CPU_UTILIZATION, FS_UTILIZATION};
    use sysmon_wire::{RowEncoder, SeriesTable, UnixMs};

    #[test]
    fn the_pane_with_the_focus_fills_the_screen_and_goes_back() {
        let mut state = fleet();
        press(&mut state, "\n\n");
        assert_eq!(state.mode, Mode::Processes, "processes have it at first");
        press(&mut state, "\u{1b}\t\tz");
        assert_eq!(
            (state.mode, state.panes.focus),
            (Mode::Pane, Pane::Pressure)
        );
        assert!(screen(&state, 80, 24).contains(" PRESSURE  loading"));
        press(&mut state, "\t");
        assert_eq!(
            (state.mode, state.panes.focus),
            (Mode::Pane, Pane::Filesystems)
        );
        press(&mut state, "\u{1b}");
        assert_eq!(
            (state.mode, state.panes.focus),
            (Mode::Host, Pane::Filesystems)
        );
    }

    #[test]
    fn a_pane_is_saved_as_its_table() {
        let mut state = fleet();
        press(&mut state, "\n");
        let host = state.host.as_mut().unwrap();
        let keys = [
            FS_UTILIZATION.series(&[("system.filesystem.mountpoint", "/")]),
            CPU_UTILIZATION.series(&[]),
        ];
        host.add_series(&SeriesTable::new(&keys)).unwrap();
        let mut block = Vec::new();
        RowEncoder::new().encode(1, UnixMs(1000), &[500, 250], &mut block);
        host.add_rows(true, &block).unwrap();
        state.mode = Mode::Pane;
        state.panes.go(Pane::Filesystems);
        let csv = Records::of(&state).to_csv();
        let head = "name,system.filesystem.utilization,system.filesystem.usage.used,";
        assert!(csv.starts_with(head), "{csv}");
        assert!(csv.contains("\r\n/,0.5,,"), "{csv}");
        // Only columns that are shown are gone through.
        press(&mut state, "ss");
        assert_eq!(state.panes.sort, Some(1));
        press(&mut state, "s");
        assert_eq!(state.panes.sort, None);
        state.panes.go(Pane::Cpu);
        let csv = Records::of(&state).to_csv();
        assert_eq!(csv, "name,value\r\nbusy,0.25\r\n");
    }

    #[test]
    fn a_burst_is_asked_for_once_and_ends_when_it_is_left() {
        let mut state = fleet();
        let asked = [Effect::Burst(Some("a".into()))];
        assert_eq!(press(&mut state, "\nb"), asked);
        assert_eq!(state.mode, Mode::Burst);
        assert_eq!(press(&mut state, "b"), [], "it goes on");
        update(&mut state, Message::Tick(UnixMs(1_061_000)));
        assert_eq!(press(&mut state, "b"), asked, "again when it is over");
        assert_eq!(press(&mut state, "\u{1b}"), [Effect::Burst(None)]);
        assert_eq!((state.mode, state.burst), (Mode::Host, None));
        press(&mut state, "b");
        let reason = "too many".into();
        update(&mut state, Message::Feed(Feed::BurstRefused { reason }));
        assert_eq!(state.burst, None);
        assert!(state.host.as_ref().unwrap().refused.is_none());
        assert!(screen(&state, 80, 24).contains("too many"));
    }

    #[test]
    fn in_the_past_nothing_is_asked_for() {
        let mut state = fleet();
        press(&mut state, "\n<");
        assert_eq!(press(&mut state, "b"), []);
        assert_eq!((state.mode, state.burst), (Mode::Burst, None));
    }
}
