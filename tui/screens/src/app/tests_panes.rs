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
