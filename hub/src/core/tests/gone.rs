//! Hosts that are gone or have another name, and what becomes of their alerts.

use super::*;

/// A hub with the silent hosts a and b, whose alerts fire.
fn two_silent(start: UnixMs) -> Core {
    let mut core = core();
    let rule = "silent: silent for 60s critical".parse().unwrap();
    core.set_rules(vec![rule], Vec::new());
    for name in ["a", "b"] {
        let id = host_with_cpu(&mut core, name);
        core.apply(id, RunId(1), &row(1, start.0, 5), start)
            .unwrap();
    }
    core.review_silence(start);
    for second in 1..100 {
        core.review_silence(start + second * 1_000);
    }
    core
}

fn firing(core: &Core) -> Vec<&str> {
    let mut hosts: Vec<_> = core
        .engine
        .firing()
        .map(|alert| alert.host.as_str())
        .collect();
    hosts.sort_unstable();
    hosts
}

/// The hub restarted: only what it stores is there, and the alerts that were firing.
fn restarted(before: &Core, hosts: &[&str]) -> Core {
    let firing = before.engine.firing().cloned().collect();
    let rule = "silent: silent for 60s critical".parse().unwrap();
    let mut core = core();
    core.set_rules(vec![rule], firing);
    for name in hosts {
        host_with_cpu(&mut core, name);
    }
    core
}

#[test]
fn however_a_host_leaves_its_alert_of_silence_ends_and_that_of_others_goes_on() {
    let start = UnixMs(100_000_000);
    let hour = 3_600_000;
    type Leave = fn(Core) -> Core;
    let ways: [(&str, Leave); 8] = [
        ("forgotten by command", |mut core| {
            assert!(core.forget("a"));
            core
        }),
        ("past the retention", |mut core| {
            let gone = core.gone_hosts(Some(&["a".into()]), UnixMs(100_000_000 + 2 * 3_600_000));
            assert_eq!(gone, ["a"]);
            gone.iter()
                .for_each(|name| assert!(core.forget(name.as_str())));
            core
        }),
        ("revoked", |mut core| {
            core.set_revoked(&agents([("a", true), ("b", false)]));
            core
        }),
        ("revoked, and no longer in the register", |mut core| {
            core.set_revoked(&agents([("a", true), ("b", false)]));
            core.set_revoked(&agents([("b", false)]));
            core
        }),
        ("revoked while the hub was stopped", |core| {
            let mut core = restarted(&core, &["a", "b"]);
            core.set_revoked(&agents([("a", true), ("b", false)]));
            core
        }),
        ("forgotten while the hub was stopped", |core| {
            restarted(&core, &["b"])
        }),
        ("lost with a damaged history", |core| {
            let mut core = restarted(&core, &[]);
            host_with_cpu(&mut core, "b");
            core
        }),
        ("renamed", |mut core| {
            assert!(core.rename("a", &"c".into()));
            assert_eq!(firing(&core), ["b", "c"]);
            assert!(core.forget("c"));
            core
        }),
    ];
    for (way, leave) in ways {
        let before = two_silent(start);
        assert_eq!(firing(&before), ["a", "b"], "{way}");
        let mut core = leave(before);
        for second in 0..hour / 1_000 {
            core.review_silence(start + hour + second * 1_000);
        }
        assert_eq!(firing(&core), ["b"], "{way}");
        let ended = core.take_transitions().into_iter().filter(|t| !t.firing);
        assert!(ended.map(|t| t.alert.host).all(|host| host != "b"), "{way}");
    }
}

#[test]
fn a_renamed_host_has_its_rows_events_and_alerts_under_the_new_name() {
    let start = UnixMs(100_000_000);
    let mut core = two_silent(start);
    let old = core.fleet.find("a").unwrap();
    let generation = core.fleet.generation();
    assert!(!core.rename("x", &"c".into()));
    assert!(core.rename("a", &"c".into()));
    assert_eq!(core.fleet.find("a"), None);
    let new = core.fleet.find("c").unwrap();
    assert_eq!(core.fleet.gone_since(generation).collect::<Vec<_>>(), [old]);
    let host = core.fleet.host(new).unwrap();
    assert_eq!((host.ring.rows(), host.alerts.len()), (1, 1));
    assert_eq!(host.alerts[0].summary, "c is not reporting");
    let events = |host: &str| {
        core.events
            .between(Some(&host.into()), UnixMs(0), UnixMs(i64::MAX))
    };
    assert!(events("a").is_empty());
    assert!(
        events("c")
            .iter()
            .any(|event| event.kind == EventKind::Joined)
    );
    // It comes back, knows the rows that it has, and the alert ends.
    let now = start + 200_000;
    let id = core.host_id(&"c".into()).unwrap();
    assert_eq!(
        core.apply(id, RunId(1), &row(1, start.0, 5), now).unwrap(),
        Appended::Duplicate
    );
    core.apply(id, RunId(1), &row(2, now.0, 5), now).unwrap();
    core.review_silence(now);
    assert_eq!(firing(&core), ["b"]);
    assert!(!core.rename("c", &"d".into()), "it is live");
}
