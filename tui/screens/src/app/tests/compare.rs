//! The comparison of hosts.

use sysmon_wire::UnixMs;
use sysmon_wire::message::{Points, Query, Reply, Request};

use super::{connect, deliver, fleet, open_host, press, reply, tick};
use crate::app::State;
use crate::keys::Mode;
use crate::subscriptions::Topic;

/// The queries of the lines that are compared.
fn queries(state: &State) -> Vec<Query> {
    let request = |line| state.request(Topic::Compare(line));
    let all = (0..).map_while(request).map(|request| match request {
        Request::Query(query) => query.clone(),
        other => panic!("{other:?}"),
    });
    all.collect()
}

fn names(state: &State) -> String {
    let names = queries(state).into_iter().filter_map(|query| query.host);
    names.map(|name| name.to_string()).collect()
}

#[test]
fn the_marked_hosts_are_compared_and_without_marks_the_top_ones() {
    let mut state = fleet();
    press(&mut state, "c");
    assert_eq!(names(&state), "cba", "the highest first");
    press(&mut state, "\u{1b} j ");
    assert_eq!(state.context.mode(), Mode::Fleet);
    assert_eq!(names(&state), "");
    press(&mut state, "c");
    assert_eq!(names(&state), "ac");
    press(&mut state, "m");
    assert_eq!(
        (names(&state).as_str(), queries(&state)[0].metric.as_str()),
        ("ac", "mem")
    );
    press(&mut state, ":compare disk.r\n");
    assert_eq!(queries(&state)[0].metric, "disk.read");
    // The first Esc leaves the comparison, the second clears the marks.
    press(&mut state, "\u{1b}\u{1b}:compare cpu\n");
    assert_eq!(state.screens.compare.lines().len(), 3);
}

#[test]
fn a_host_is_compared_with_its_past() {
    let mut state = fleet();
    press(&mut state, "\nc");
    assert_eq!(names(&state), "aa");
    let lines = queries(&state);
    assert_eq!(lines[0].from - lines[1].from, 86_400_000);
    press(&mut state, "c");
    assert_eq!(state.screens.compare.ago_text(), Some("7 d"));
    press(&mut state, "\u{1b}");
    assert_eq!(state.context.mode(), Mode::Host);
    press(&mut state, "c");
    assert_eq!(state.screens.compare.ago_text(), Some("1 d"));
    press(&mut state, "\u{1b}\u{1b}cjc");
    assert_eq!(state.screens.compare.lines()[1].host, "b");
    press(&mut state, "\u{1b}");
    assert_eq!(state.context.mode(), Mode::Compare);
    assert_eq!(state.screens.compare.lines().len(), 3);
    press(&mut state, "\n");
    assert_eq!(open_host(&state), Some(("b".to_owned(), None)));
}

#[test]
fn live_a_new_point_is_requested_when_one_is_due_and_everything_of_another_hub() {
    let mut state = fleet();
    press(&mut state, "c");
    let first = queries(&state);
    let step = first[0].step_ms;
    let part = Points {
        host: "c".into(),
        metric: "system.cpu.utilization".into(),
        unit: "1".into(),
        attributes: Vec::new(),
        start: first[0].from,
        step_ms: step,
        values: vec![0.25],
    };
    reply(&mut state, Topic::Compare(0), Reply::Points(part));
    for line in 0..3 {
        assert!(!state.screens.compare.is_answered());
        deliver(&mut state, Topic::Compare(line), None, false);
    }
    assert_eq!(state.screens.compare.lines()[0].points().count(), 1);
    tick(&mut state, 1_000_001);
    assert_eq!(queries(&state), first);
    tick(&mut state, 1_000_000 + step);
    let later = queries(&state);
    assert_eq!(names(&state), "cba");
    assert!(later[0].from > first[0].from, "only what is new");
    tick(&mut state, 1_000_000 + 5 * step);
    assert_eq!(queries(&state), later, "not answered yet");
    connect(&mut state);
    assert_eq!(names(&state), "cba");
    assert_eq!(
        queries(&state)[0].from,
        UnixMs(1_000_000 + 5 * step - 15 * 60_000).floor(step)
    );
}
