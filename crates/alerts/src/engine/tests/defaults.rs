//! Default rules against the values that they are about.

use sysmon_wire::metrics::{
    CHECK_CERTIFICATE_EXPIRY, CHECK_CERTIFICATE_EXPIRY_MIN, CHECK_UP, CONTAINER_RESTARTS,
    CONTAINER_UNHEALTHY, DISK_ERRORS, DISK_HEALTH_FAILING, DISK_HEALTH_PENDING,
    DISK_HEALTH_REALLOCATED, DISK_HEALTH_WEAR, FS_ERRORS, PROCESS_WATCHED, RAID_MISSING,
    TEMPERATURE, TEMPERATURE_LIMIT, UNIT_ACTIVE, UPS_LOW_BATTERY, UPS_ON_BATTERY, UPS_REACHABLE,
};

use super::*;

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
fn a_check_that_is_down_fires_after_its_time_and_a_certificate_before_it_expires() {
    let of = |metric: sysmon_wire::metrics::Metric| metric.series(&[("sysmon.check.name", "shop")]);
    let shop = || "shop".to_owned();
    // One failure between two tries, and one that lasts.
    let states = (0..100).map(|n| vec![i64::from(!matches!(n, 10..13 | 40..60))]);
    let found = transitions_of("check-down", &[of(CHECK_UP)], states);
    assert_eq!(found, [(490, shop(), true), (600, shop(), false)]);
    let keys = [
        of(CHECK_CERTIFICATE_EXPIRY),
        of(CHECK_CERTIFICATE_EXPIRY_MIN),
    ];
    let day = 86_400;
    // It passes its limit, and is renewed.
    let left = (0..200).map(|n| match n {
        0..20 => vec![15 * day, 14 * day],
        20..100 => vec![13 * day, 14 * day],
        _ => vec![90 * day, 14 * day],
    });
    let found = transitions_of("certificate-expiring", &keys, left);
    assert_eq!(found, [(500, shop(), true), (1_000, shop(), false)]);
}

#[test]
fn a_container_that_fails_its_health_check_or_is_started_again_and_again_fires() {
    let of = |metric: sysmon_wire::metrics::Metric| [metric.series(&[("container.name", "web")])];
    let web = || "web".to_owned();
    let health = (0..100).map(|n| vec![i64::from(matches!(n, 5..15 | 30..60))]);
    let found = transitions_of("container-unhealthy", &of(CONTAINER_UNHEALTHY), health);
    assert_eq!(found, [(480, web(), true), (600, web(), false)]);
    // Two restarts are no loop; one a minute is.
    let restarts = (0..500).map(|n: i64| vec![(n / 6).min(2) + (n - 200).clamp(0, 120) / 6]);
    let found = transitions_of("container-restarting", &of(CONTAINER_RESTARTS), restarts);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].2 && found[0].0 > 2_000 && !found[1].2, "{found:?}");
}

#[test]
fn a_disk_that_gets_worse_fires_and_one_with_old_scars_does_not() {
    let of = |metric: sysmon_wire::metrics::Metric| [metric.series(&[("system.device", "sda")])];
    let fired = |rule: &str, metric, values: &mut dyn Iterator<Item = i64>| {
        let found = transitions_of(rule, &of(metric), values.map(|value| vec![value]));
        found.into_iter().filter(|(_, _, fires)| *fires).count()
    };
    let steady = |value: i64| std::iter::repeat_n(value, 500);
    assert_eq!(
        fired("disk-failing", DISK_HEALTH_FAILING, &mut steady(1)),
        1
    );
    assert_eq!(fired("disk-worn", DISK_HEALTH_WEAR, &mut steady(900)), 0);
    assert_eq!(fired("disk-worn", DISK_HEALTH_WEAR, &mut steady(910)), 1);
    let reallocated = DISK_HEALTH_REALLOCATED;
    assert_eq!(fired("sectors-growing", reallocated, &mut steady(1_288)), 0);
    let mut grows = (0..500).map(|n| 1_288 + i64::from(n > 250));
    assert_eq!(fired("sectors-growing", reallocated, &mut grows), 1);
    let mut pending = (0..500).map(|n| i64::from(n < 300));
    assert_eq!(
        fired("sectors-pending", DISK_HEALTH_PENDING, &mut pending),
        0
    );
    assert_eq!(
        fired("sectors-pending", DISK_HEALTH_PENDING, &mut steady(8)),
        1
    );
}

#[test]
fn what_has_to_run_fires_when_it_does_not() {
    let program = [PROCESS_WATCHED.series(&[("process.executable.name", "sshd")])];
    let counts = (0..60).map(|n| vec![if (20..40).contains(&n) { 0 } else { 3 }]);
    let found = transitions_of("process-absent", &program, counts);
    let sshd = || "sshd".to_owned();
    assert_eq!(found, [(260, sshd(), true), (400, sshd(), false)]);
    let unit = [UNIT_ACTIVE.series(&[("systemd.unit.name", "nginx.service")])];
    // A restart of a minute, and a stop.
    let states = (0..60).map(|n| vec![i64::from(!matches!(n, 5..11 | 20..40))]);
    let found = transitions_of("unit-inactive", &unit, states);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((found[0].0, found[0].2), (320, true));
}
