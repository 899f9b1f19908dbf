//! The engine with rows at times that the tests choose.

mod watches;

use super::*;
use crate::active::AlertMarks;
use proptest::prelude::*;
use std::sync::Arc;
use sysmon_wire::message::Severity;
use sysmon_wire::metrics::{
    CPU_UTILIZATION, DISK_ERRORS, FS_ERRORS, FS_UTILIZATION, PRESSURE_TIME, RAID_MISSING,
    TEMPERATURE, TEMPERATURE_LIMIT, UPS_LOW_BATTERY, UPS_ON_BATTERY, UPS_REACHABLE,
};
use sysmon_wire::{ABSENT, SeriesKey};

fn engine(rules: &[&str]) -> Engine {
    Engine::new(
        rules.iter().map(|rule| rule.parse().unwrap()).collect(),
        Vec::new(),
    )
}

fn keys() -> SeriesKeys {
    let mount = |mount| FS_UTILIZATION.series(&[("system.filesystem.mountpoint", mount)]);
    let stalls = PRESSURE_TIME.series(&[
        ("linux.pressure.resource", "memory"),
        ("linux.pressure.scope", "some"),
    ]);
    [
        CPU_UTILIZATION.series(&[]),
        mount("/"),
        mount("/home"),
        stalls,
    ]
    .map(Arc::new)
    .to_vec()
    .into()
}

fn row(engine: &mut Engine, second: i64, values: [i64; 4]) -> Vec<Transition> {
    let (name, keys) = (Label::new("db-1"), keys());
    engine.observe(HostRow {
        id: HostId(0),
        name: &name,
        tags: &[],
        keys: &keys,
        time: UnixMs(second * 1000),
        values: &values,
    })
}

#[test]
fn an_alert_fires_once_after_its_time_and_clears_below_its_clear_limit() {
    let mut engine = engine(&["busy: cpu > 90% for 10s clear 80% critical"]);
    for second in 0..10 {
        assert!(row(&mut engine, second, [950, 0, 0, 0]).is_empty());
    }
    let fired = row(&mut engine, 10, [960, 0, 0, 0]);
    assert_eq!(fired.len(), 1);
    assert!(fired[0].firing);
    let alert = &fired[0].alert;
    assert_eq!(
        (alert.since, alert.severity),
        (UnixMs(0), Severity::Critical)
    );
    assert_eq!(
        alert.summary,
        "system.cpu.utilization is 96.0 %, over 90.0 %"
    );
    assert!(
        row(&mut engine, 11, [990, 0, 0, 0]).is_empty(),
        "it fires once"
    );
    assert!(
        row(&mut engine, 12, [850, 0, 0, 0]).is_empty(),
        "between the limits nothing changes"
    );
    let over = row(&mut engine, 13, [790, 0, 0, 0]);
    assert!(!over[0].firing && engine.firing().next().is_none());
    // The time begins again after a dip.
    row(&mut engine, 14, [950, 0, 0, 0]);
    row(&mut engine, 20, [100, 0, 0, 0]);
    assert!(row(&mut engine, 25, [950, 0, 0, 0]).is_empty());
}

#[test]
fn each_series_is_evaluated_separately_and_counters_by_their_rate() {
    let mut engine = engine(&[
        "full: system.filesystem.utilization > 90%",
        "stalls: psi.mem > 20%",
    ]);
    let fired = row(&mut engine, 1, [0, 950, 100, 0]);
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].alert.what, "/");
    assert!(row(&mut engine, 2, [0, 950, 100, 100_000]).is_empty());
    let fired = row(&mut engine, 3, [0, 950, 100, 600_000]);
    assert_eq!(fired[0].alert.rule, "stalls");
    assert!(
        fired[0].alert.summary.contains("50.0 % of the time"),
        "{}",
        fired[0].alert.summary
    );
    assert_eq!(
        engine
            .of_host(HostId(0), &Label::new("db-1"), &AlertMarks::default())
            .len(),
        2
    );
    assert!(
        row(&mut engine, 4, [0, ABSENT, 100, ABSENT]).is_empty(),
        "a missing value decides nothing"
    );
}

#[test]
fn a_silent_host_fires_once_and_is_resolved_when_it_reports() {
    let mut engine = engine(&["silent: silent for 60s on db-* critical"]);
    let name = Label::new("db-1");
    let mut look = |seconds: u64| {
        let now = UnixMs(1_000_000 + seconds as i64 * 1000);
        engine.check(HostCheck {
            id: HostId(0),
            name: &name,
            tags: &[],
            silence: Duration::from_secs(seconds),
            clock_offset_ms: 0,
            now,
        })
    };
    assert!(look(59).is_empty());
    let fired = look(60);
    assert_eq!(fired[0].alert.since, UnixMs(1_000_000));
    assert!(look(61).is_empty());
    assert!(!look(0)[0].firing);
}

#[test]
fn an_alert_from_before_a_restart_does_not_fire_again_but_is_resolved() {
    let rules = ["busy: cpu > 90%"];
    let mut before = engine(&rules);
    row(&mut before, 1, [950, 0, 0, 0]);
    let restored: Vec<Alert> = before.firing().cloned().collect();
    let rules = || rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let mut after = Engine::new(rules(), restored.clone());
    assert_eq!(after.firing().count(), 1);
    assert!(row(&mut after, 5, [960, 0, 0, 0]).is_empty());
    assert!(!row(&mut after, 6, [0, 0, 0, 0])[0].firing);
    let mut after = Engine::new(rules(), restored);
    assert!(
        !row(&mut after, 5, [0, 0, 0, 0])[0].firing,
        "over while the hub was away"
    );
}

#[test]
fn a_flapping_alert_is_resolved_only_after_the_condition_stays_clear() {
    let mut engine = engine(&["busy: cpu > 90%"]);
    let mut found = Vec::new();
    for second in 0..200 {
        let cpu = if second % 2 == 0 { 950 } else { 0 };
        found.extend(row(&mut engine, second, [cpu, 0, 0, 0]));
    }
    let states: Vec<_> = found.iter().map(|transition| transition.firing).collect();
    assert_eq!(states, [true, false, true, false, true]);
    assert!(found[4].alert.summary.ends_with("(flapping)"));
    assert!(
        row(&mut engine, 798, [0, 0, 0, 0]).is_empty(),
        "not quiet for long enough"
    );
    assert!(!row(&mut engine, 799, [0, 0, 0, 0])[0].firing);
    let later = row(&mut engine, 2000, [950, 0, 0, 0]);
    assert!(!later[0].alert.summary.contains("flapping"));
    assert!(
        !row(&mut engine, 2001, [0, 0, 0, 0])[0].firing,
        "over at once again"
    );
}

#[test]
fn all_conditions_have_to_hold_on_the_same_device() {
    let mut busy = engine(&["both: cpu > 90% clear 80% and system.filesystem.utilization > 90%"]);
    assert!(row(&mut busy, 1, [950, 100, 200, 0]).is_empty());
    assert!(row(&mut busy, 2, [100, 950, 200, 0]).is_empty());
    let fired = row(&mut busy, 3, [950, 100, 910, 0]);
    assert_eq!((fired.len(), fired[0].alert.what.as_str()), (1, ""));
    assert!(
        row(&mut busy, 4, [850, 100, 910, 0]).is_empty(),
        "not clear yet"
    );
    assert!(
        row(&mut busy, 5, [850, 100, ABSENT, 0])[0]
            .alert
            .what
            .is_empty()
    );
    let mut devices = engine(&[
        "low: system.filesystem.utilization > 50% and system.filesystem.utilization < 60%",
    ]);
    let fired = row(&mut devices, 1, [0, 550, 950, 0]);
    assert_eq!((fired.len(), fired[0].alert.what.as_str()), (1, "/"));
}

#[test]
fn a_value_can_be_compared_with_another_series_of_the_host() {
    let mut engine = engine(&["much: system.filesystem.utilization > 2*cpu"]);
    assert!(row(&mut engine, 1, [400, 800, 700, 0]).is_empty());
    let fired = row(&mut engine, 2, [400, 900, 700, 0]);
    assert_eq!(fired.len(), 1);
    assert_eq!(
        fired[0].alert.summary,
        "system.filesystem.utilization of / is 90.0 %, over 80.0 %"
    );
    assert!(
        row(&mut engine, 3, [ABSENT, 100, 700, 0]).is_empty(),
        "unknown"
    );
}

/// The default rule of a name.
fn default_rule(name: &str) -> &'static str {
    let mut rules = crate::rule::DEFAULTS.into_iter();
    rules
        .find(|rule| rule.starts_with(&format!("{name}:")))
        .unwrap()
}

/// Evaluates a default rule against rows ten seconds apart: second, device and firing of each transition.
fn transitions_of(
    name: &str,
    keys: &[SeriesKey],
    rows: impl Iterator<Item = Vec<i64>>,
) -> Vec<(i64, String, bool)> {
    let mut engine = engine(&[default_rule(name)]);
    let keys: Vec<_> = keys.iter().cloned().map(Arc::new).collect();
    let keys = SeriesKeys::from(keys);
    let name = Label::new("db-1");
    let mut found = Vec::new();
    for (second, values) in (0..).step_by(10).zip(rows) {
        let row = HostRow {
            id: HostId(0),
            name: &name,
            tags: &[],
            keys: &keys,
            time: UnixMs(second * 1000),
            values: &values,
        };
        let transitions = engine.observe(row).into_iter();
        found.extend(transitions.map(|t| (second, t.alert.what, t.firing)));
    }
    found
}

#[test]
fn a_sensor_is_compared_with_its_own_limit() {
    let of = |metric: &sysmon_wire::metrics::Metric, name| metric.series(&[("hw.name", name)]);
    let keys = [
        TEMPERATURE.series(&[]),
        of(&TEMPERATURE, "cpu"),
        of(&TEMPERATURE, "nvme"),
        of(&TEMPERATURE, "board"),
        of(&TEMPERATURE_LIMIT, "cpu"),
        of(&TEMPERATURE_LIMIT, "nvme"),
    ];
    // 82 °C is below the processor's limit and above the disk's; a sensor without a limit does not fire.
    let rows = (0..60).map(|n| {
        let nvme = if (10..40).contains(&n) {
            82_000
        } else {
            60_000
        };
        vec![120_000, 82_000, nvme, 120_000, 100_000, 84_850]
    });
    let found = transitions_of("near-critical", &keys, rows);
    let nvme = || "nvme".to_owned();
    assert_eq!(found, [(220, nvme(), true), (400, nvme(), false)]);
}

#[test]
fn new_faults_of_disks_filesystems_and_arrays_fire_and_old_ones_do_not() {
    let series =
        |metric: &sysmon_wire::metrics::Metric| [metric.series(&[("system.device", "sda")])];
    // One error of a year ago, and one now.
    let rows = (0..200).map(|n| vec![if n < 100 { 1 } else { 2 }]);
    let found = transitions_of("filesystem-errors", &series(&FS_ERRORS), rows);
    assert_eq!((found.len(), found[0].0), (2, 1_000), "{found:?}");
    // A few unsupported commands every half hour; and a failing disk.
    let asked = (0..1_000).map(|n| vec![(n + 175) / 180 * 5]);
    assert_eq!(
        transitions_of("disk-errors", &series(&DISK_ERRORS), asked),
        []
    );
    let fails = (0..250).map(|n| vec![(n - 100).max(0)]);
    let found = transitions_of("disk-errors", &series(&DISK_ERRORS), fails);
    assert!(
        found.len() == 1 && (1_600..1_900).contains(&found[0].0),
        "{found:?}"
    );
    let array = (0..100).map(|n| vec![i64::from(n >= 50)]);
    let found = transitions_of("raid-degraded", &series(&RAID_MISSING), array);
    assert_eq!(found, [(560, "sda".to_owned(), true)]);
}

#[test]
fn an_outage_fires_after_half_a_minute_and_an_unreachable_ups_after_two() {
    let of = |metric: sysmon_wire::metrics::Metric| [metric.series(&[("hw.name", "rack")])];
    let rack = || "rack".to_owned();
    // A flicker of 20 s, and an outage of five minutes.
    let outage = (0..100).map(|n| vec![i64::from(matches!(n, 10..12 | 20..50))]);
    let found = transitions_of("ups-on-battery", &of(UPS_ON_BATTERY), outage);
    assert_eq!(found, [(230, rack(), true), (500, rack(), false)]);
    let low = (0..60).map(|n| vec![i64::from(n == 40)]);
    let found = transitions_of("ups-low", &of(UPS_LOW_BATTERY), low);
    assert_eq!(found, [(400, rack(), true), (410, rack(), false)]);
    let restarts = (0..100).map(|n| vec![i64::from(!matches!(n, 10..16 | 40..80))]);
    let found = transitions_of("ups-unreachable", &of(UPS_REACHABLE), restarts);
    assert_eq!(found, [(520, rack(), true), (800, rack(), false)]);
    // With no value of an unreachable UPS, what was known last stands for ten minutes.
    let unknown = (0..110).map(|n| vec![if n < 40 { 1 } else { ABSENT }]);
    let found = transitions_of("ups-on-battery", &of(UPS_ON_BATTERY), unknown);
    assert_eq!(found, [(30, rack(), true), (1_000, rack(), false)]);
}

#[test]
fn a_condition_that_holds_from_the_start_did_not_turn() {
    let mut engine = engine(&["turned: system.filesystem.utilization turns > 90%"]);
    assert!(row(&mut engine, 1, [0, 990, 100, 0]).is_empty());
    let fired = row(&mut engine, 2, [0, 990, 950, 0]);
    assert_eq!((fired.len(), fired[0].alert.what.as_str()), (1, "/home"));
    assert_eq!(row(&mut engine, 3, [0, 100, 100, 0]).len(), 1);
    assert_eq!(row(&mut engine, 4, [0, 990, 100, 0])[0].alert.what, "/");
}

#[test]
fn a_filling_filesystem_fires_before_it_is_full() {
    let mut engine = engine(&["fills: system.filesystem.utilization full within 4h for 5m"]);
    let mut found = Vec::new();
    // It grows by 10 % per hour: at 60 % it has four hours left.
    for second in (0..7_200).step_by(5) {
        let permille = 500 + second / 36;
        found.extend(row(&mut engine, second, [0, permille, 500, 0]));
    }
    assert_eq!((found.len(), found[0].alert.what.as_str()), (1, "/"));
    let at = found[0].alert.since.0 / 1000;
    assert!((3_500..3_800).contains(&at), "{at}");
    // It stops growing, so that after an hour there is no trend.
    for second in (7_200..12_000).step_by(5) {
        found.extend(row(&mut engine, second, [0, 700, 500, 0]));
    }
    assert_eq!(
        found.iter().map(|t| t.firing).collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn a_series_without_values_is_resolved_after_ten_minutes() {
    let mut engine = engine(&["full: system.filesystem.utilization > 90%"]);
    row(&mut engine, 1, [0, 950, 0, 0]);
    for second in 2..602 {
        assert!(
            row(&mut engine, second, [0, ABSENT, 0, 0]).is_empty(),
            "{second}"
        );
    }
    assert!(!row(&mut engine, 602, [0, ABSENT, 0, 0])[0].firing);
    // An alert from before a restart whose series does not come back.
    let gone = Alert {
        rule: "full".to_owned(),
        severity: Severity::Warning,
        host: "db-1".to_owned(),
        tags: Vec::new(),
        what: "/mnt".to_owned(),
        since: UnixMs(1),
        value: None,
        summary: String::new(),
    };
    let rules = vec!["full: system.filesystem.utilization > 90%".parse().unwrap()];
    let mut after = Engine::new(rules, vec![gone.clone()]);
    assert!(row(&mut after, 1, [0; 4]).is_empty() && row(&mut after, 600, [0; 4]).is_empty());
    assert_eq!(row(&mut after, 601, [0; 4])[0].alert, gone);
}

#[test]
fn a_clock_that_is_off_fires_after_its_time() {
    let mut engine = engine(&["clock: clock off 2s for 60s"]);
    let name = Label::new("db-1");
    let mut look = |second: i64, clock_offset_ms: i64| {
        engine.check(HostCheck {
            id: HostId(0),
            name: &name,
            tags: &[],
            silence: Duration::ZERO,
            clock_offset_ms,
            now: UnixMs(second * 1000),
        })
    };
    assert!(look(0, -3_000).is_empty() && look(59, -3_000).is_empty());
    let fired = look(60, -3_000);
    assert_eq!(fired[0].alert.summary, "its clock is 3 s behind the hub's");
    assert!(!look(61, 100)[0].firing);
}

#[test]
fn the_summary_follows_the_template_of_the_rule() {
    let mut engine =
        engine(&["busy: cpu > 90% say {host} is at {value} of {threshold} ({rule}, {severity})"]);
    let fired = row(&mut engine, 1, [950, 0, 0, 0]);
    assert_eq!(
        fired[0].alert.summary,
        "db-1 is at 95.0 % of 90.0 % (busy, warning)"
    );
}

#[test]
fn replacing_rules_keeps_the_state_of_those_that_stay_and_resolves_removed_ones() {
    let busy = "busy: cpu > 90% for 5s";
    let mut engine = engine(&[
        busy,
        "full: system.filesystem.utilization > 95%",
        "stalls: psi.mem > 20%",
    ]);
    for second in 0..=5 {
        row(&mut engine, second, [950, 990, 0, second * 500_000]);
    }
    assert_eq!(engine.firing().count(), 3);
    let rules = [
        "full: system.filesystem.utilization > 90%",
        busy,
        "half: cpu > 50%",
    ];
    let over = engine.replace(rules.map(|rule| rule.parse().unwrap()).to_vec());
    assert_eq!(over.len(), 1);
    assert!(!over[0].firing && over[0].alert.rule == "stalls");
    let found = row(&mut engine, 6, [950, 990, 0, 3_500_000]);
    let found: Vec<_> = found
        .iter()
        .map(|t| (t.alert.rule.as_str(), t.firing))
        .collect();
    assert_eq!(
        found,
        [("half", true)],
        "unchanged alerts do not fire again"
    );
    let mut firing: Vec<_> = engine
        .firing()
        .map(|alert| (alert.rule.as_str(), alert.since))
        .collect();
    firing.sort();
    assert_eq!(
        firing,
        [
            ("busy", UnixMs(0)),
            ("full", UnixMs(0)),
            ("half", UnixMs(6000))
        ]
    );
    assert_eq!(engine.replace(Vec::new()).len(), 3);
    assert_eq!(engine.firing().count(), 0);
}

/// An independent model of the rule: whether it holds after all values so far.
fn has_held_long_enough(values: &[(i64, i64)]) -> bool {
    let Some(&(now, _)) = values.last() else {
        return false;
    };
    let bad = values.iter().rev().take_while(|(_, cpu)| *cpu > 900);
    bad.last().is_some_and(|(since, _)| now - since >= 5)
}

proptest! {
    #[test]
    fn transitions_have_a_cause_alternate_and_are_deterministic(
        values in proptest::collection::vec((1i64..20, -10i64..1200), 0..200),
    ) {
        let play = || {
            let mut engine = engine(&["busy: cpu > 90% for 5s clear 70%"]);
            let (mut second, mut found, mut seen) = (0, Vec::new(), Vec::new());
            for &(step, cpu) in &values {
                second += step;
                seen.push((second, cpu));
                for transition in row(&mut engine, second, [cpu, 0, 0, 0]) {
                    let cause = match transition.firing {
                        true => has_held_long_enough(&seen),
                        false => cpu <= 700,
                    };
                    assert!(cause, "{transition:?} after {seen:?}");
                    found.push(transition);
                }
                let is_firing = engine.firing().next().is_some();
                assert!(is_firing || !has_held_long_enough(&seen), "nothing after {seen:?}");
            }
            found
        };
        let found = play();
        for (at, transition) in found.iter().enumerate() {
            prop_assert_eq!(transition.firing, at % 2 == 0);
        }
        prop_assert_eq!(found, play());
    }
}
