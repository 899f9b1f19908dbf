//! Tests of the fleet's order, groups and selection.

use super::*;
use crate::model::summary::{CPU, LOAD, MEMORY};
use crate::testing::fleet_update;
use sysmon_wire::message::{AlertLine, HostTick, Severity};

fn names(fleet: &Fleet) -> Vec<String> {
    fleet
        .shown()
        .map(|host| host.line.name.to_string())
        .collect()
}

/// Hosts with one tag each; an empty text is no tag.
fn tagged(hosts: &[(&str, i64, &str)]) -> Fleet {
    let of: Vec<_> = hosts.iter().map(|(name, cpu, _)| (*name, *cpu)).collect();
    let mut update = fleet_update(&of);
    for (line, (_, _, tag)) in update.lines.iter_mut().zip(hosts) {
        if !tag.is_empty() {
            line.facts.tags = vec![Label::new(tag), Label::new("other")];
        }
    }
    let mut fleet = Fleet::default();
    fleet.apply(update);
    fleet
}

/// The table's rows, a group with a sign before it.
fn rows(fleet: &Fleet) -> Vec<String> {
    let of = |row: Row<'_>| match row {
        Row::Host(host) => host.line.name.to_string(),
        Row::Group(group) if group.is_folded => format!("+{}", group.name()),
        Row::Group(group) => format!("-{}", group.name()),
    };
    fleet.rows().map(of).collect()
}

fn ticks(fleet: &mut Fleet, second: i64, cpu: &[i64]) {
    let mut update = fleet_update(&cpu.iter().map(|cpu| ("", *cpu)).collect::<Vec<_>>());
    update.lines.clear();
    update.now = UnixMs(second * 1000);
    let at = |tick: &mut HostTick| tick.time = UnixMs(second * 1000);
    update.ticks.iter_mut().for_each(at);
    fleet.apply(update);
}

#[test]
fn hosts_are_in_natural_order_and_can_be_sorted_and_filtered() {
    let mut fleet = Fleet {
        sort: Sort::Name,
        ..Fleet::default()
    };
    fleet.apply(fleet_update(&[
        ("web-10", 100),
        ("web-2", 990),
        ("db-1", 500),
    ]));
    assert_eq!(names(&fleet), ["db-1", "web-2", "web-10"]);
    fleet.sort = Sort::Value(CPU);
    fleet.reorder();
    assert_eq!(names(&fleet), ["web-2", "db-1", "web-10"]);
    fleet.reverse = true;
    fleet.reorder();
    assert_eq!(names(&fleet)[0], "web-10");
    fleet.filter = "w1".to_owned();
    fleet.reorder();
    assert_eq!(names(&fleet), ["web-10"]);
}

fn alert(severity: Severity) -> AlertLine {
    AlertLine {
        rule: "rule".into(),
        severity,
        since: UnixMs(0),
        summary: "".into(),
        acknowledged: None,
        silenced: None,
        metric: "cpu".into(),
    }
}

/// What a host's line says of its alerts from now on.
fn fires(fleet: &mut Fleet, update: &FleetUpdate, second: i64, host: usize, alerts: &[AlertLine]) {
    let mut line = update.lines[host].clone();
    line.alerts = alerts.to_vec();
    fleet.apply(FleetUpdate {
        now: UnixMs(second * 1000),
        lines: vec![line],
        ticks: Vec::new(),
        gone: Vec::new(),
        sparks: Vec::new(),
    });
}

#[test]
fn the_worst_come_first_and_do_not_jump() {
    let mut update = fleet_update(&[
        ("idle", 10),
        ("busy", 800),
        ("gone", 10),
        ("slow", 10),
        ("full", 910),
        ("mad", 100),
    ]);
    update.ticks[2].state = HostState::Offline;
    update.ticks[3].state = HostState::Stale;
    update.lines[4].alerts = vec![alert(Severity::Warning)];
    update.lines[5].alerts = vec![alert(Severity::Critical)];
    let lines = update.clone();
    let mut fleet = Fleet::default();
    fleet.apply(update);
    let first = ["mad", "full", "gone", "slow", "busy", "idle"];
    assert_eq!(names(&fleet), first);
    let counts = fleet.counts();
    assert_eq!((counts.critical, counts.warning), (1, 1));
    // An instant's value fires nothing, and moves nobody to the top.
    ticks(&mut fleet, 2, &[1000, 810, 10, 10, 905, 100]);
    assert_eq!(names(&fleet)[..2], first[..2]);
    assert_eq!(fleet.counts().critical, 1);
    // What has recovered stays in place for a while, and says so.
    fires(&mut fleet, &lines, 3, 5, &[]);
    ticks(&mut fleet, 3, &[40, 820, 10, 10, 400, 100]);
    for second in 4..17 {
        ticks(&mut fleet, second, &[40, 700 + second, 10, 10, 400, 100]);
        assert_eq!(names(&fleet)[0], "mad", "{second}");
        let mad = fleet.host(&"mad".into()).unwrap();
        assert_eq!(mad.severity(), crate::theme::Severity::None);
        assert_eq!(mad.recovering_since(), Some(UnixMs(3_000)));
    }
    ticks(&mut fleet, 40, &[40, 820, 10, 10, 400, 100]);
    assert_eq!(names(&fleet)[0], "full");
    let mad = fleet.host(&"mad".into()).unwrap();
    assert_eq!(mad.recovering_since(), None);
}

#[test]
fn a_rule_marks_the_value_that_it_is_about() {
    let mut update = fleet_update(&[("a", 980)]);
    update.lines[0].alerts = vec![AlertLine {
        metric: "load5".into(),
        ..alert(Severity::Critical)
    }];
    let mut fleet = Fleet::default();
    fleet.apply(update);
    let host = fleet.host(&"a".into()).unwrap();
    let severities = [CPU, LOAD, MEMORY].map(|place| host.severity_of(place));
    use crate::theme::Severity::{Critical, None};
    assert_eq!(severities, [None, Critical, None]);
    assert_eq!(host.step(CPU), 3, "though it is high");
}

#[test]
fn a_host_is_ranked_from_its_first_sample_on() {
    let mut update = fleet_update(&[("a", 100), ("b", 100), ("new", 0)]);
    (update.ticks[2].state, update.ticks[2].time) = (HostState::Offline, UnixMs(0));
    let mut fleet = Fleet::default();
    fleet.apply(update);
    assert_eq!(names(&fleet), ["new", "a", "b"]);
    ticks(&mut fleet, 2, &[100, 100, 100]);
    assert_eq!(names(&fleet), ["a", "b", "new"]);
}

#[test]
fn a_thousand_hosts_are_put_in_order_only_when_that_may_change() {
    let hosts: Vec<_> = (0..1000).map(|n| format!("host-{n}")).collect();
    let all: Vec<_> = hosts.iter().map(|name| (name.as_str(), 20)).collect();
    let mut fleet = Fleet::default();
    fleet.apply(fleet_update(&all));
    let ordered = fleet.ordered;
    for second in 2..20 {
        ticks(&mut fleet, second, &vec![20 + second; 1000]);
    }
    assert_eq!(fleet.ordered, ordered);
    let mut update = fleet_update(&[("", 100)]);
    (update.now, update.ticks[0].state) = (UnixMs(20_000), HostState::Offline);
    update.lines.clear();
    fleet.apply(update);
    assert_eq!(fleet.ordered, ordered + 1);
}

#[test]
fn a_forgotten_host_is_no_longer_listed() {
    let mut fleet = Fleet::new(Sort::Value(CPU), Column::all(), &[]);
    fleet.apply(fleet_update(&[("a", 100), ("b", 200)]));
    let mut update = fleet_update(&[]);
    update.gone = vec![1];
    fleet.apply(update);
    assert_eq!(names(&fleet), ["a"]);
}

#[test]
fn values_change_the_order_once_a_second() {
    let mut fleet = Fleet::new(Sort::Value(CPU), Column::all(), &[]);
    fleet.apply(fleet_update(&[("a", 100), ("b", 200)]));
    assert_eq!(names(&fleet), ["b", "a"]);
    let ordered = fleet.ordered;
    // Each host reports at its own time within the second.
    for (ms, cpu) in [(1100, [300, 200]), (1500, [301, 200]), (1899, [302, 200])] {
        let mut update = fleet_update(&[("", cpu[0]), ("", cpu[1])]);
        update.lines.clear();
        update.now = UnixMs(ms);
        fleet.apply(update);
    }
    assert_eq!((fleet.ordered, names(&fleet)[0].as_str()), (ordered, "b"));
    ticks(&mut fleet, 2, &[300, 200]);
    assert_eq!(names(&fleet), ["a", "b"]);
    // The hub's clock may go back.
    ticks(&mut fleet, 1, &[100, 200]);
    assert_eq!(names(&fleet), ["b", "a"]);
}

#[test]
fn the_selection_stays_on_its_host_when_the_order_changes() {
    let mut fleet = Fleet::default();
    fleet.apply(fleet_update(&[("a", 100), ("b", 200), ("c", 300)]));
    fleet.select(2);
    fleet.sort = Sort::Value(CPU);
    fleet.reorder();
    assert_eq!(fleet.selected().unwrap().line.name, "c");
    assert_eq!(fleet.selected_at(), Some(0));
    fleet.move_by(100);
    assert_eq!(fleet.selected().unwrap().line.name, "a");
    fleet.scroll_to_selected(2);
    assert_eq!(fleet.top, 1);
}

#[test]
fn until_one_is_chosen_the_first_is_selected() {
    let mut fleet = Fleet::default();
    fleet.apply(fleet_update(&[("a", 100), ("b", 200)]));
    assert_eq!(fleet.selected().unwrap().line.name, "a");
    let lines = fleet_update(&[("a", 100), ("b", 200)]);
    fires(&mut fleet, &lines, 2, 1, &[alert(Severity::Warning)]);
    assert_eq!(fleet.selected().unwrap().line.name, "b");
    fleet.hold();
    fires(&mut fleet, &lines, 3, 0, &[alert(Severity::Critical)]);
    assert_eq!(names(&fleet), ["a", "b"]);
    assert_eq!(fleet.selected().unwrap().line.name, "b");
    fleet.select_first();
    assert_eq!(fleet.selected().unwrap().line.name, "a");
}

#[test]
fn hosts_of_before_their_first_row_are_counted_apart() {
    let mut update = fleet_update(&[("a", 100), ("later", 0), ("gone", 0)]);
    for tick in &mut update.ticks[1..] {
        (tick.state, tick.time) = (HostState::Offline, UnixMs(0));
    }
    update.lines[1].health.oldest = UnixMs(5_000);
    update.lines[2].health.oldest = UnixMs(500);
    let mut fleet = Fleet::default();
    fleet.apply(update);
    let counts = fleet.counts();
    let told = (counts.hosts, counts.offline, counts.unrecorded);
    assert_eq!(told, (3, 1, 1));
    assert_eq!(names(&fleet), ["gone", "a", "later"], "it worries nobody");
}

#[test]
fn groups_stand_in_order_with_their_hosts_and_totals() {
    let mut fleet = tagged(&[
        ("web-1", 100, "web"),
        ("web-2", 300, "web"),
        ("db-1", 950, "db"),
        ("alone", 100, ""),
        ("cache", 100, "cache"),
    ]);
    fleet.grouped = true;
    fleet.reorder();
    let all = [
        "-cache",
        "cache",
        "-db",
        "db-1",
        "-web",
        "web-1",
        "web-2",
        "-untagged",
        "alone",
    ];
    assert_eq!(rows(&fleet), all);
    let web = &fleet.groups()[2];
    assert_eq!((web.counts.hosts, web.counts.live), (2, 2));
    assert!((web.value(CPU).unwrap() - 0.2).abs() < 1e-9, "the mean");
    assert_eq!(web.value(MEMORY), None);
    ticks(&mut fleet, 2, &[400, 600, 100, 100, 100]);
    let web = &fleet.groups()[2];
    assert!((web.value(CPU).unwrap() - 0.5).abs() < 1e-9);
    fleet.filter = "web-2".to_owned();
    fleet.reorder();
    assert_eq!(rows(&fleet), ["-web", "web-2"]);
    assert_eq!(fleet.groups()[0].counts.hosts, 1);
}

#[test]
fn folded_groups_show_no_hosts_and_keep_the_selection() {
    let mut fleet = tagged(&[("a", 1, "x"), ("b", 2, "x"), ("c", 3, "y")]);
    fleet.select(1);
    assert!(!fleet.fold(), "no group is selected");
    fleet.grouped = true;
    fleet.reorder();
    assert_eq!(fleet.selected().unwrap().line.name, "b");
    assert!(fleet.fold_all());
    assert_eq!(rows(&fleet), ["+x", "+y"]);
    assert_eq!(fleet.selected_group().unwrap().name(), "x");
    assert_eq!(fleet.shown_len(), 3, "they still fit the filter");
    assert!(fleet.fold());
    assert_eq!(rows(&fleet), ["-x", "a", "b", "+y"]);
    fleet.move_by(3);
    fleet.scroll_to_selected(2);
    assert_eq!(
        (fleet.selected_group().unwrap().name(), fleet.top),
        ("y", 2)
    );
    assert!(fleet.fold_all());
    assert!(!fleet.fold_all());
    assert_eq!(fleet.rows_len(), 5);
}
