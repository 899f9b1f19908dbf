//! The limit of watches, series that appear and disappear, and those that a rule is about.

use super::*;

/// Rows of one host with one filesystem for each number.
struct Mounts {
    engine: Engine,
    keys: Vec<Arc<SeriesKey>>,
}

impl Mounts {
    fn new(count: usize) -> Self {
        let key =
            |n: usize| FS_UTILIZATION.series(&[("system.filesystem.mountpoint", &format!("/{n}"))]);
        Self {
            engine: engine(&["full: system.filesystem.utilization > 90%"]),
            keys: (0..count).map(|n| Arc::new(key(n))).collect(),
        }
    }

    /// A row of the first `known` filesystems, of which those in `full` are there.
    fn row(&mut self, second: i64, known: usize, full: std::ops::Range<usize>) -> Vec<String> {
        let values: Vec<i64> = (0..known)
            .map(|n| if full.contains(&n) { 950 } else { ABSENT })
            .collect();
        let transitions = self.engine.observe(HostRow {
            id: HostId(0),
            name: &Label::new("db-1"),
            tags: &[],
            keys: &self.keys[..known].to_vec().into(),
            time: UnixMs(second * 1000),
            values: &values,
        });
        let firing = transitions.into_iter().filter(|one| one.firing);
        firing.map(|one| one.alert.what).collect()
    }

    fn left_out(&self) -> u64 {
        self.engine.watches(HostId(0)).unwrap().reached_total()
    }
}

#[test]
fn filesystems_that_come_and_go_for_a_year_do_not_blind_a_rule() {
    let mut mounts = Mounts::new(2_000);
    for n in 0..2_000 {
        let second = n as i64 * 30;
        assert_eq!(
            mounts.row(second, n + 1, n..n + 1),
            [format!("/{n}")],
            "{n}"
        );
    }
    assert_eq!(mounts.left_out(), 0);
    let watched = mounts.engine.watches(HostId(0)).unwrap().state().current;
    assert!(watched < 50, "{watched}");
    // One that comes back is watched again.
    assert_eq!(mounts.row(100_000, 2_000, 0..1), ["/0"]);
}

#[test]
fn after_a_restart_series_without_values_take_no_place() {
    let mut mounts = Mounts::new(600);
    let (name, keys) = (Label::new("db-1"), mounts.keys.clone().into());
    mounts.engine.used_series(HostRow {
        id: HostId(0),
        name: &name,
        tags: &[],
        keys: &keys,
        time: UnixMs(0),
        values: &[],
    });
    let fired = mounts.row(1, 600, 550..600);
    assert_eq!((fired.len(), mounts.left_out()), (50, 0));
}

#[test]
fn series_over_the_limit_are_counted_and_watched_once_there_is_room() {
    let mut mounts = Mounts::new(600);
    assert_eq!(mounts.row(1, 600, 0..600).len(), 512);
    assert_eq!(mounts.row(2, 600, 0..600).len(), 0);
    let limit = mounts.engine.watches(HostId(0)).unwrap().state();
    assert!(limit.is_reached());
    assert_eq!(
        (limit.max, limit.current, limit.reached_total),
        (512, 512, 88)
    );
    // The first hundred go away: their alerts are resolved after ten minutes, and others take their place.
    for second in 3..700 {
        mounts.row(second, 600, 100..600);
    }
    let firing: Vec<&str> = mounts
        .engine
        .firing()
        .map(|alert| alert.what.as_str())
        .collect();
    assert_eq!(firing.len(), 500);
    assert!(firing.contains(&"/599"));
    let limit = mounts.engine.watches(HostId(0)).unwrap().state();
    assert!(!limit.is_reached(), "{limit:?}");
}

/// Once every new series, and every index that another series got, made the engine match all series of the host again.
#[test]
fn only_series_whose_indices_changed_are_matched_with_the_rules() {
    let mount = |n: usize| {
        let name = format!("/{n}");
        Arc::new(FS_UTILIZATION.series(&[("system.filesystem.mountpoint", &name)]))
    };
    let mut engine = engine(&[
        "full: system.filesystem.utilization > 90%",
        "both: system.filesystem.utilization > 95% and cpu > 10%",
    ]);
    let cpu = Arc::new(CPU_UTILIZATION.series(&[]));
    let mut keys = SeriesKeys::from(vec![cpu]);
    (0..5_000).for_each(|n| keys.push(mount(n)));
    let mut fired = Vec::new();
    let mut observe = |engine: &mut Engine, keys: &SeriesKeys, second: i64, full: u32| {
        let mut values = vec![ABSENT; keys.len()];
        (values[0], values[full as usize]) = (500, 960);
        let transitions = engine.observe(HostRow {
            id: HostId(0),
            name: &Label::new("db-1"),
            tags: &[],
            keys,
            time: UnixMs(second * 1000),
            values: &values,
        });
        let found = transitions.iter().filter(|one| one.firing);
        fired.extend(found.map(|one| (one.alert.rule.clone(), one.alert.what.clone())));
        engine.hosts[&HostId(0)].looked_at
    };
    let before = observe(&mut engine, &keys, 0, 1);
    for n in 0..100 {
        keys.replace(1 + n, mount(9_000 + n as usize));
        keys.push(mount(8_000 + n as usize));
        let looked_at = observe(&mut engine, &keys, 1 + i64::from(n), 1 + n);
        assert_eq!(looked_at - before, 2 * (n as usize + 1));
    }
    for rule in ["full", "both"] {
        let last = (rule.to_owned(), "/9099".to_owned());
        assert!(fired.contains(&last), "{fired:?}");
    }
}

#[test]
fn the_fullest_filesystem_is_told_once_by_its_own_name_and_by_the_alias() {
    let mount = |mount| FS_UTILIZATION.series(&[("system.filesystem.mountpoint", mount)]);
    let keys: SeriesKeys = [FS_UTILIZATION.series(&[]), mount("/"), mount("/home")]
        .map(Arc::new)
        .to_vec()
        .into();
    let rules = [
        "full: system.filesystem.utilization > 90%",
        "worst: fs.worst > 90%",
    ];
    let mut engine = engine(&rules);
    let fired = engine.observe(HostRow {
        id: HostId(0),
        name: &Label::new("db-1"),
        tags: &[],
        keys: &keys,
        time: UnixMs(0),
        values: &[970, 970, 400],
    });
    let mut fired: Vec<_> = fired
        .iter()
        .map(|t| (t.alert.rule.as_str(), t.alert.what.as_str()))
        .collect();
    fired.sort_unstable();
    assert_eq!(fired.len(), 2, "{fired:?}");
    assert_eq!(fired[0], ("full", "/"));
    assert_eq!(fired[1].0, "worst");
}
