//! From screen to screen and through time.

use ratatui::layout::Size;
use sysmon_wire::message::{Reply, Request};
use sysmon_wire::{ProcessArguments, UnixMs};

use super::super::navigation::STEP_MS;
use super::{
    Effect, Message, fleet, fleet_at, open_host, press, processes, remark, reply, screen, update,
};
use crate::app::State;
use crate::keys::Mode;
use crate::model::host_rows::HostRows;
use crate::subscriptions::Topic;
use crate::testing::{change, process};

fn changes_of(state: &State) -> Option<(Option<String>, Option<UnixMs>)> {
    match state.request(Topic::Changes)? {
        Request::Changes { host, at, .. } => Some((host.as_ref().map(ToString::to_string), *at)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_opens_its_host_at_the_moment_it_began() {
    let mut state = fleet();
    press(&mut state, "w");
    assert_eq!(changes_of(&state), Some((None, None)));
    press(&mut state, "\n");
    assert_eq!(
        state.context.mode(),
        Mode::Changes,
        "no change has arrived yet"
    );
    let mut change_of_a = change("a", "system.cpu.utilization", 0.1, 0.9);
    change_of_a.began = UnixMs(500_000);
    let list = Reply::Changes {
        time: UnixMs(900_000),
        changes: vec![change("b", "x", 0.0, 1.0), change_of_a],
    };
    reply(&mut state, Topic::Changes, list);
    press(&mut state, "j\n");
    let at = Some(UnixMs(500_000));
    assert_eq!(fleet_at(&state), at);
    assert_eq!(open_host(&state), Some(("a".to_owned(), at)));
    assert_eq!(state.context.mode(), Mode::Host);
    // The list is then of this host and this moment, and follows it.
    press(&mut state, "w");
    assert_eq!(changes_of(&state), Some((Some("a".to_owned()), at)));
    press(&mut state, "<");
    let at = Some(UnixMs(500_000 - STEP_MS));
    assert_eq!(changes_of(&state), Some((Some("a".to_owned()), at)));
}

#[test]
fn a_host_is_opened_and_left_again() {
    let mut state = fleet();
    press(&mut state, "j\n");
    let request = Request::Host {
        host: "b".into(),
        from: UnixMs(100_000),
        until: None,
    };
    assert_eq!(state.request(Topic::Host), Some(&request));
    assert_eq!(state.context.mode(), Mode::Host);
    press(&mut state, "\u{1b}");
    assert_eq!(state.request(Topic::Host), None);
    assert_eq!(state.context.mode(), Mode::Fleet);
    assert_eq!(press(&mut state, "q"), [Effect::Quit]);
}

#[test]
fn the_past_is_shown_on_every_screen_until_the_present_is_reached() {
    let mut state = fleet();
    press(&mut state, "\n<");
    let at = UnixMs(995_000);
    assert_eq!(fleet_at(&state), Some(at));
    assert_eq!(open_host(&state), Some(("a".to_owned(), Some(at))));
    assert_eq!(state.context.moment(), at);
    press(&mut state, ">");
    press(&mut state, ">");
    assert_eq!(fleet_at(&state), None, "later than now is now");
}

#[test]
fn a_time_can_be_typed_and_an_invalid_one_is_reported() {
    let mut state = fleet();
    press(&mut state, "t-5m\n");
    assert_eq!(fleet_at(&state), Some(UnixMs(700_000)));
    press(&mut state, "tsoon\n");
    assert!(
        remark(&state).contains("is not a time"),
        "{}",
        remark(&state)
    );
    assert_eq!(state.context.at, Some(UnixMs(700_000)));
}

#[test]
fn processes_are_a_screen_of_their_own_with_a_filter_of_their_own() {
    let mut state = fleet();
    press(&mut state, "\np");
    let list = vec![process(7, "cc1", 900, 5), process(8, "make", 1, 9)];
    processes(&mut state, list);
    assert_eq!(state.context.mode(), Mode::Processes);
    press(&mut state, "/mak\n");
    assert_eq!(state.screens.processes.shown().count(), 1);
    assert_eq!(state.context.mode(), Mode::Processes);
    assert_eq!(state.screens.fleet.filter, "");
    press(&mut state, "s");
    assert_eq!(state.screens.processes.sort.name(), "memory");
    press(&mut state, "\u{1b}");
    assert_eq!(state.context.mode(), Mode::Host);
    press(&mut state, "\u{1b}");
    assert_eq!(state.request(Topic::HostProcesses), None);
    assert!(state.screens.processes.is_empty());
}

#[test]
fn help_returns_to_where_it_was_opened_and_scrolls_by_itself() {
    let mut state = fleet();
    update(&mut state, Message::Resize(Size::new(80, 10)));
    press(&mut state, "?G");
    let last = state.screens.help.scroll;
    assert!(last > 0);
    press(&mut state, "k");
    assert_eq!(
        state.screens.help.scroll,
        last - 1,
        "no empty lines at the end"
    );
    press(&mut state, "?");
    assert_eq!(state.context.mode(), Mode::Fleet);
}

fn queries(state: &State, topic: impl Fn(usize) -> Topic) -> Vec<(String, i64, UnixMs)> {
    let query = |at| match state.request(topic(at))? {
        Request::Query(query) => Some((query.metric.to_string(), query.step_ms, query.to)),
        other => panic!("{other:?}"),
    };
    (0..8).map_while(query).collect()
}

#[test]
fn the_charts_span_is_one_for_all_screens_and_a_long_one_requests_the_history() {
    let mut state = fleet();
    let points = |state: &State| match state.request(Topic::Fleet) {
        Some(Request::Fleet {
            spark_points,
            spark_step_ms,
            ..
        }) => (*spark_points, *spark_step_ms),
        other => panic!("{other:?}"),
    };
    assert_eq!(points(&state), (180, 5_000));
    press(&mut state, "-");
    assert_eq!(remark(&state), "charts show 1 h");
    let hour = queries(&state, |_| Topic::FleetHistory);
    let wanted = ("cpu".to_owned(), 60_000, UnixMs(1_000_000));
    assert_eq!((points(&state), hour[0].clone()), ((0, 1_000), wanted));
    press(&mut state, "\n");
    let history = queries(&state, Topic::History);
    assert!(history.contains(&("system.network.io".to_owned(), 20_000, UnixMs(1_000_000))));
    assert!(
        !history
            .iter()
            .any(|(metric, ..)| metric == "system.cpu.utilization")
    );
    // A zoomed pane of the processor shows its cores and modes too.
    press(&mut state, "\t\t");
    while state.screens.host.panes.focus != crate::host::Pane::Cpu {
        press(&mut state, "\t");
    }
    press(&mut state, "z-");
    let cores = queries(&state, Topic::History).pop();
    let cores = cores.map(|(metric, step, _)| (metric, step));
    assert_eq!(cores, Some(("system.cpu.utilization".to_owned(), 120_000)));
    assert_eq!(
        state.context.host.as_ref().map(HostRows::window_ms),
        Some(6 * 3_600_000)
    );
    press(&mut state, "<");
    assert_eq!(
        state.context.at,
        Some(UnixMs(1_000_000 - 120_000)),
        "a point of the charts"
    );
    press(&mut state, "+++");
    assert_eq!(queries(&state, Topic::History), []);
    assert_eq!(points(&state), (150, 2_000));
}

#[test]
fn processes_show_their_arguments_which_come_once() {
    let mut state = fleet();
    press(&mut state, "\np");
    let app = process(7, "/usr/bin/app", 900, 5);
    let id = app.identity.id();
    let arguments = |text: &str| {
        let arguments = text.into();
        Reply::Arguments(vec![ProcessArguments { id, arguments }])
    };
    reply(&mut state, Topic::HostProcesses, arguments("--port 8080"));
    processes(&mut state, vec![app.clone()]);
    assert!(screen(&state, 120, 24).contains("app --port 8080"));
    processes(&mut state, vec![app.clone()]);
    assert!(
        screen(&state, 120, 24).contains("app --port 8080"),
        "of later lists too"
    );
    reply(&mut state, Topic::HostProcesses, arguments("--port 81"));
    processes(&mut state, vec![app]);
    assert!(
        screen(&state, 120, 24).contains("app --port 81 ")
            || screen(&state, 120, 24).contains("app --port 81\n")
    );
}
