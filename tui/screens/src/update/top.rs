//! The busiest processes of all hosts: when they are asked for, and the way from there to a host.

use super::Effect;
use super::travel::open_host;
use crate::keys::Mode;
use crate::state::host::HostView;
use crate::state::{Link, State, top};

/// What has to be asked for, if anything has changed: the list is told only while it is shown.
pub(super) fn refresh(state: &mut State) -> Option<Effect> {
    let is_shown = state.place() == Mode::Top;
    let wanted = is_shown.then_some((state.at, state.top.by));
    let is_connected = matches!(state.link, Link::Connected { .. });
    if !is_connected || wanted == state.top.asked {
        return None;
    }
    state.top.asked = wanted;
    Some(Effect::WatchTop(wanted))
}

/// Sorts in another way, and says so.
pub(super) fn sort(state: &mut State, sort: top::Sort) {
    state.top.sort_by(sort);
    super::remark(state, format!("sorted by {}", sort.name()));
}

/// Shows the selected process among those of its host; back leads to the list.
pub(super) fn go_there(state: &mut State) -> Vec<Effect> {
    let Some(chosen) = state.top.selected() else {
        return Vec::new();
    };
    let (name, pid) = (chosen.host.clone(), chosen.process.identity.pid);
    state.host_scroll = 0;
    state.processes.clear();
    state.processes.want(pid);
    state.host = Some(HostView::new(name.clone()));
    state.back = vec![Mode::Fleet, Mode::Top];
    state.mode = Mode::Processes;
    vec![open_host(state, name)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Feed;
    use crate::testing::{fleet, press, process};
    use crate::update::{Message, update};
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::{HostProcess, TopBy};

    fn connected() -> State {
        let mut state = fleet();
        let feed = Feed::Connected {
            hub: "h".into(),
            version: "1".into(),
            clock_offset_ms: 0,
        };
        update(&mut state, Message::Feed(feed));
        state
    }

    fn row(host: &str, pid: u32) -> HostProcess {
        HostProcess {
            host: host.into(),
            process: process(pid, "cc1", pid, 1),
        }
    }

    fn asked(effects: &[Effect]) -> Vec<Option<(Option<UnixMs>, TopBy)>> {
        let of = |effect: &Effect| match effect {
            Effect::WatchTop(wanted) => Some(*wanted),
            _ => None,
        };
        effects.iter().filter_map(of).collect()
    }

    #[test]
    fn the_list_is_asked_for_only_while_it_is_shown() {
        let mut state = connected();
        assert_eq!(asked(&press(&mut state, "p")), [Some((None, TopBy::Cpu))]);
        assert_eq!(asked(&press(&mut state, "j")), []);
        assert_eq!(
            asked(&press(&mut state, "s")),
            [Some((None, TopBy::Memory))]
        );
        let past = UnixMs(995_000);
        let wanted = Some((Some(past), TopBy::Memory));
        assert_eq!(asked(&press(&mut state, "<")), [wanted]);
        assert_eq!(
            asked(&press(&mut state, "?")),
            [],
            "it stands behind the help"
        );
        assert_eq!(asked(&press(&mut state, "\u{1b}\u{1b}")), [None]);
        let feed = Feed::Connected {
            hub: "h".into(),
            version: "1".into(),
            clock_offset_ms: 0,
        };
        assert_eq!(asked(&update(&mut state, Message::Feed(feed))), []);
        assert_eq!(asked(&press(&mut state, "p")), [wanted]);
    }

    #[test]
    fn enter_leads_to_the_process_on_its_host_and_back_to_the_list() {
        let mut state = connected();
        press(&mut state, "p");
        let top = Feed::Top {
            time: UnixMs(5),
            hosts: 2,
            processes: vec![row("b", 9), row("c", 7)],
        };
        update(&mut state, Message::Feed(top));
        let effects = press(&mut state, "j\n");
        assert!(
            effects
                .iter()
                .any(|e| matches!(e, Effect::OpenHost { name, .. } if *name == "c")),
            "{effects:?}"
        );
        assert_eq!(asked(&effects), [None]);
        let processes = Feed::Processes {
            time: UnixMs(5),
            all: true,
            processes: vec![process(99, "x", 900, 1), process(7, "cc1", 1, 1)],
        };
        update(&mut state, Message::Feed(processes));
        assert_eq!(state.processes.selected().unwrap().identity.pid, 7);
        press(&mut state, "\n");
        assert_eq!(state.mode, Mode::Process);
        let effects = press(&mut state, "\u{1b}\u{1b}");
        assert!(effects.contains(&Effect::CloseHost), "{effects:?}");
        assert_eq!((state.mode, state.host.is_none()), (Mode::Top, true));
        assert_eq!(state.top.selected().unwrap().host, "c");
    }

    #[test]
    fn a_hub_that_is_too_old_is_told_of() {
        let mut state = connected();
        press(&mut state, "p");
        let reason = "the hub is older".into();
        update(&mut state, Message::Feed(Feed::Refused { reason }));
        assert!(crate::testing::screen(&state, 80, 24).contains("the hub is older"));
    }
}
