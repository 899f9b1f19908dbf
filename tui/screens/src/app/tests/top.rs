//! The busiest processes of all hosts.

use sysmon_wire::UnixMs;
use sysmon_wire::message::{HostProcess, Reply, Request, TopBy};

use super::{connect, fleet, open_host, press, processes, reply, screen};
use crate::app::State;
use crate::keys::Mode;
use crate::subscriptions::Topic;
use crate::testing::process;

fn requested(state: &State) -> Option<(Option<UnixMs>, TopBy)> {
    match state.request(Topic::Top)? {
        Request::Top { at, by, .. } => Some((*at, *by)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_list_is_requested_only_while_it_is_shown() {
    let mut state = fleet();
    press(&mut state, "p");
    assert_eq!(requested(&state), Some((None, TopBy::Cpu)));
    press(&mut state, "s");
    assert_eq!(requested(&state), Some((None, TopBy::Memory)));
    press(&mut state, "<");
    let past = Some((Some(UnixMs(995_000)), TopBy::Memory));
    assert_eq!(requested(&state), past);
    press(&mut state, "?");
    assert_eq!(requested(&state), past, "the help covers it");
    press(&mut state, "\u{1b}\u{1b}");
    assert_eq!(requested(&state), None);
    connect(&mut state);
    assert_eq!(requested(&state), None);
    press(&mut state, "p");
    assert_eq!(requested(&state), past);
}

#[test]
fn enter_opens_the_process_on_its_host_and_back_returns_to_the_list() {
    let mut state = fleet();
    press(&mut state, "p");
    let row = |host: &str, pid| HostProcess {
        host: host.into(),
        process: process(pid, "cc1", pid, 1),
    };
    let top = Reply::Top {
        time: UnixMs(5),
        hosts: 2,
        processes: vec![row("b", 9), row("c", 7)],
        complete_to: None,
    };
    reply(&mut state, Topic::Top, top);
    press(&mut state, "j\n");
    assert_eq!(open_host(&state), Some(("c".to_owned(), None)));
    assert_eq!(requested(&state), None);
    let list = vec![process(99, "x", 900, 1), process(7, "cc1", 1, 1)];
    processes(&mut state, list);
    assert_eq!(state.screens.processes.selected().unwrap().identity.pid, 7);
    press(&mut state, "\n");
    assert_eq!(state.context.mode(), Mode::Process);
    press(&mut state, "\u{1b}\u{1b}");
    assert_eq!(state.context.mode(), Mode::Top);
    assert_eq!(open_host(&state), None);
    assert!(state.context.host.is_none());
    assert_eq!(state.screens.top.selected().unwrap().host, "c");
}

#[test]
fn a_refusal_is_shown() {
    let mut state = fleet();
    press(&mut state, "p");
    let reason = "too many requests".into();
    reply(&mut state, Topic::Top, Reply::Refused { reason });
    assert!(screen(&state, 80, 24).contains("too many requests"));
}
