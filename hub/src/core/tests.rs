//! Tests of the core: rows, events and alerts together.

mod gone;

use std::time::Duration;

use super::*;
use sysmon_series::{Chunk, rate};
use sysmon_wire::HostFacts;
use sysmon_wire::limits::FUTURE_MS_MAX;
use sysmon_wire::message::HostState;
use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO, UPTIME};

pub(crate) fn options() -> FleetOptions {
    FleetOptions {
        stale_after: Duration::from_secs(5),
        offline_after: Duration::from_secs(30),
        retention: Duration::from_secs(3600),
        memory_bytes: 1 << 30,
    }
}

fn with_memory(memory_bytes: u64) -> FleetOptions {
    FleetOptions {
        memory_bytes,
        ..options()
    }
}

pub(crate) fn core() -> Core {
    Core::new(options())
}

pub(crate) fn host_with_cpu(core: &mut Core, name: &str) -> HostId {
    let id = core.host_id(&name.into()).unwrap();
    core.fleet.series(id, vec![CPU_UTILIZATION.series(&[])]);
    id
}

pub(crate) fn row(seq: u64, time: i64, cpu: i64) -> Row {
    Row {
        seq,
        time: UnixMs(time),
        values: vec![cpu],
    }
}

#[test]
fn a_repeated_row_is_stored_once() {
    let mut core = core();
    let id = host_with_cpu(&mut core, "a");
    let now = UnixMs(10_000);
    let first = core.apply(id, RunId(1), &row(1, 9000, 5), now).unwrap();
    assert!(first.is_stored());
    for _ in 0..3 {
        let again = core.apply(id, RunId(1), &row(1, 9000, 5), now).unwrap();
        assert_eq!(again, Appended::Duplicate);
    }
    assert_eq!(core.fleet.host(id).unwrap().ring.rows(), 1);
}

#[test]
fn after_an_outage_of_the_hub_hosts_have_time_to_reconnect_before_they_count_as_silent() {
    let mut core = core();
    let rule = || vec!["silent: silent for 60s critical".parse().unwrap()];
    core.set_rules(rule(), Vec::new());
    let (a, b) = (host_with_cpu(&mut core, "a"), host_with_cpu(&mut core, "b"));
    let told = |core: &mut Core, now: i64| {
        core.review_silence(UnixMs(now));
        let transitions = core.take_transitions().into_iter();
        transitions
            .map(|t| (t.alert.host, t.firing))
            .collect::<Vec<_>>()
    };
    for id in [a, b] {
        core.apply(id, RunId(1), &row(1, 100_000, 5), UnixMs(100_000))
            .unwrap();
    }
    assert!(told(&mut core, 100_500).is_empty());
    // The hub was stopped for ten minutes; b does not come back.
    assert!(told(&mut core, 700_000).is_empty());
    core.apply(a, RunId(1), &row(2, 720_000, 5), UnixMs(720_000))
        .unwrap();
    for now in (700_500..759_000).step_by(500) {
        assert!(told(&mut core, now).is_empty(), "{now}");
    }
    for now in (759_000..760_000).step_by(500) {
        assert!(told(&mut core, now).is_empty(), "{now}");
    }
    assert_eq!(told(&mut core, 760_000), [("b".to_owned(), true)]);
    // What was firing before a restart goes on until the host is heard, however short the hub has run.
    let firing = core.engine.firing().cloned().collect();
    core.set_rules(rule(), firing);
    assert!(told(&mut core, 3_000_000).is_empty() && told(&mut core, 3_000_500).is_empty());
    core.apply(b, RunId(1), &row(3, 3_001_000, 5), UnixMs(3_001_000))
        .unwrap();
    assert_eq!(told(&mut core, 3_001_000), [("b".to_owned(), false)]);
}

#[test]
fn a_clock_step_of_an_hour_loses_no_row_and_the_newest_is_shown() {
    let mut core = core();
    let id = host_with_cpu(&mut core, "a");
    let hour = 3_600_000;
    let now = UnixMs(10 * hour);
    let mut seq = 0;
    for step in [0, -hour + 60_000, 0, hour - 60_000, 0] {
        for n in 0..20i64 {
            seq += 1;
            let now = now + seq as i64 * 1000;
            let row = row(seq, now.0 + step, n);
            assert!(core.apply(id, RunId(1), &row, now).unwrap().is_stored());
            let host = core.fleet.host(id).unwrap();
            assert_eq!((host.present().0, host.present().1[0]), (row.time, n));
        }
    }
    // An agent that restarts after its clock was an hour ahead.
    let now = now + 200_000;
    let ahead = row(200, now.0 + hour - 1, 7);
    core.apply(id, RunId(1), &ahead, now).unwrap();
    core.apply(id, RunId(2), &row(1, now.0, 8), now).unwrap();
    let host = core.fleet.host(id).unwrap();
    assert_eq!(host.present().1[0], 8);
    let all = host.ring.read(&[0], UnixMs(0), now + 2 * hour).unwrap();
    assert_eq!(all.times.len() as u64, seq + 2);
    assert!(all.times.is_sorted());
}

#[test]
fn an_agent_that_restarts_within_a_second_has_both_rows_of_it() {
    let mut core = core();
    let id = host_with_cpu(&mut core, "a");
    for (run, seq, time, cpu) in [
        (1, 1, 8_000, 1),
        (1, 2, 9_000, 2),
        (2, 1, 9_000, 3),
        (2, 2, 10_000, 4),
    ] {
        let applied = core.apply(id, RunId(run), &row(seq, time, cpu), UnixMs(time + 5));
        assert!(applied.unwrap().is_stored());
    }
    let host = core.fleet.host(id).unwrap();
    let table = host.ring.read(&[0], UnixMs(0), UnixMs(20_000)).unwrap();
    assert_eq!(table.times, [8_000, 9_000, 9_000, 10_000]);
    assert_eq!(table.columns[0], [1, 2, 3, 4]);
    assert_eq!(host.health().missing_rows, 0);
}

#[test]
fn events_of_a_host_in_a_restart_loop_are_limited() {
    let mut core = core();
    let id = host_with_cpu(&mut core, "a");
    for n in 1..=1_000i64 {
        let run = RunId(n as u64);
        let row = row(1, n, 5);
        core.apply(id, run, &row, UnixMs(n)).unwrap();
    }
    let all = |core: &Core| core.events.between(None, UnixMs(0), UnixMs(i64::MAX)).len();
    let noted = all(&core);
    assert!((2..500).contains(&noted), "{noted}");
    let later = UnixMs(2 * 3_600_000);
    let (run, row) = (RunId(2_000), row(1, later.0, 5));
    core.apply(id, run, &row, later).unwrap();
    assert!(
        all(&core) > noted,
        "an hour later events are recorded again"
    );
}

#[test]
fn rows_from_the_future_and_from_before_retention_are_refused_and_counted() {
    let mut core = core();
    let id = host_with_cpu(&mut core, "a");
    let now = UnixMs(10_000_000);
    for (seq, time) in [(1, now.0 + FUTURE_MS_MAX + 1), (2, now.0 - 3_600_001)] {
        let applied = core.apply(id, RunId(1), &row(seq, time, 5), now).unwrap();
        assert_eq!(applied, Appended::Refused);
    }
    assert_eq!(core.fleet.host(id).unwrap().health().refused_rows, 2);
}

#[test]
fn a_host_whose_rows_are_far_apart_is_silent_only_when_two_are_missing() {
    let mut core = core();
    core.set_rules(
        vec!["silent: silent for 60s critical".parse().unwrap()],
        Vec::new(),
    );
    let id = host_with_cpu(&mut core, "a");
    let facts = HostFacts {
        interval_ms: 60_000,
        ..HostFacts::unknown()
    };
    core.fleet.set_facts(id, facts);
    let start = 100_000_000;
    core.apply(id, RunId(1), &row(1, start, 5), UnixMs(start))
        .unwrap();
    let mut found = Vec::new();
    for second in 0..=300 {
        core.review_silence(UnixMs(start + second * 1_000));
        let state = core.fleet.host(id).unwrap().state;
        if found.last().is_none_or(|(_, last)| *last != state) {
            found.push((second, state));
        }
        for transition in core.take_transitions() {
            assert_eq!((second, transition.firing), (180, true));
        }
    }
    assert_eq!(
        found,
        [
            (0, HostState::Live),
            (125, HostState::Stale),
            (150, HostState::Offline)
        ]
    );
}

#[test]
fn a_silent_host_is_stale_then_offline_then_live_again() {
    let mut core = core();
    let id = host_with_cpu(&mut core, "a");
    let state_at = |core: &mut Core, now: i64| {
        core.review_silence(UnixMs(now));
        core.fleet.host(id).unwrap().state
    };
    core.apply(id, RunId(1), &row(1, 1000, 5), UnixMs(1000))
        .unwrap();
    assert_eq!(
        core.fleet.host(id).unwrap().state,
        HostState::Live,
        "at once"
    );
    assert_eq!(state_at(&mut core, 2000), HostState::Live);
    assert_eq!(state_at(&mut core, 6000), HostState::Stale);
    assert_eq!(state_at(&mut core, 31_000), HostState::Offline);
    core.apply(id, RunId(1), &row(2, 32_000, 5), UnixMs(32_000))
        .unwrap();
    assert_eq!(state_at(&mut core, 32_000), HostState::Live);
}

/// A clone that takes over, or a machine that was restored from an image: its counters may be far ahead.
#[test]
fn there_is_no_rate_between_rows_of_two_boots() {
    let mut core = core();
    let id = core.host_id(&"a".into()).unwrap();
    let keys = [
        UPTIME.series(&[]),
        NET_IO.series(&[("network.io.direction", "receive")]),
    ];
    core.fleet.series(id, keys.to_vec());
    let mut send = |run, seq, at: i64, uptime_s, received| {
        let row = Row {
            seq,
            time: UnixMs(at),
            values: vec![uptime_s, received],
        };
        core.apply(id, RunId(run), &row, UnixMs(at)).unwrap();
        core.fleet.host(id).unwrap().present().1[3]
    };
    assert_eq!(send(1, 1, 1_000_000, 500, 1_000), ABSENT);
    assert_eq!(send(1, 2, 1_001_000, 501, 1_500), 500);
    // The agent restarts: the counters go on.
    assert_eq!(send(2, 1, 1_003_000, 503, 2_500), 500);
    assert_eq!(send(3, 1, 1_004_000, 7, 9_000_000), ABSENT);
    assert_eq!(send(3, 2, 1_005_000, 8, 9_000_700), 700);
    let host = core.fleet.host(id).unwrap();
    let table = host.ring.read(&[1], UnixMs(0), UnixMs(2_000_000)).unwrap();
    let rows = table
        .times
        .iter()
        .copied()
        .zip(table.columns[0].iter().copied());
    let rows: Vec<(i64, i64)> = rows.collect();
    let rates: Vec<f64> = rows
        .windows(2)
        .filter_map(|pair| rate(pair[0], pair[1]))
        .collect();
    assert_eq!(rates, [500.0, 500.0, 700.0]);
}

#[test]
fn events_have_the_time_at_which_they_happened() {
    let mut core = core();
    let id = host_with_cpu(&mut core, "a");
    let take = |core: &mut Core, run, seq, at| {
        core.apply(id, RunId(run), &row(seq, at, 5), UnixMs(at + 10))
            .unwrap();
    };
    take(&mut core, 1, 1, 1_000);
    take(&mut core, 1, 2, 2_000);
    core.review_silence(UnixMs(40_000));
    core.review_silence(UnixMs(41_000));
    take(&mut core, 1, 3, 50_000);
    take(&mut core, 2, 1, 51_000);
    // A row of an earlier run from the agent's spool.
    let early = row(1, 45_000, 5);
    core.apply(id, RunId(3), &early, UnixMs(51_500)).unwrap();
    core.set_clock_offset(id, -2_500, UnixMs(52_000));
    let events = core.events.between(None, UnixMs(0), UnixMs(99_000));
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.time.0, event.kind, event.text.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (1_000, EventKind::Joined, ""),
            (2_010, EventKind::Offline, ""),
            (50_010, EventKind::Online, ""),
            (51_000, EventKind::Restarted, ""),
            (52_000, EventKind::Clock, "2.5 s behind"),
        ]
    );
}

#[test]
fn changed_options_apply_at_once() {
    let mut core = core();
    let id = host_with_cpu(&mut core, "a");
    for n in 0..3_000 {
        let row = row(n as u64 + 1, n * 1000, n * 7919 % 997);
        core.apply(id, RunId(1), &row, UnixMs(n * 1000)).unwrap();
    }
    let now = UnixMs(3_000_000);
    let options = FleetOptions {
        stale_after: Duration::from_secs(60),
        retention: Duration::from_secs(600),
        ..options()
    };
    core.fleet.set_options(options, now);
    let host = core.fleet.host(id).unwrap();
    assert!(host.ring.rows() < 2_000, "{}", host.ring.rows());
    assert_eq!(core.fleet.ring_size().0, host.ring.bytes() as u64);
    core.review_silence(now + 20_000);
    assert_eq!(core.fleet.host(id).unwrap().state, HostState::Live);
}

#[test]
fn unsaved_rows_are_bounded_while_commits_hang() {
    let mut core = core();
    core.fleet.set_options(with_memory(40_000), UnixMs(0));
    core.track_unsaved();
    let id = host_with_cpu(&mut core, "a");
    let mut rows = 0;
    while !core.fleet.is_unsaved_full() {
        rows += 1;
        let row = row(rows as u64, rows * 1000, (rows * rows * 7919) % 100_003);
        core.apply(id, RunId(1), &row, UnixMs(rows * 1000)).unwrap();
        assert!(rows < 20_000, "never full");
    }
    let batch = core.take_batch(UnixMs(rows * 1000));
    assert!(!core.fleet.is_unsaved_full());
    let told: usize = batch.hosts[0].ring.chunks.iter().map(Chunk::rows).sum();
    assert!(
        told > 2_000 && told as i64 <= rows,
        "evicted chunks are in the batch too"
    );
}

#[test]
fn one_host_larger_than_the_budget_keeps_its_newest_rows() {
    let mut core = core();
    core.fleet.set_options(with_memory(1), UnixMs(0));
    let id = host_with_cpu(&mut core, "a");
    let other = host_with_cpu(&mut core, "silent");
    core.apply(other, RunId(1), &row(1, 0, 5), UnixMs(0))
        .unwrap();
    for n in 1..2_000 {
        let row = row(n as u64, n * 1000, n * 7919 % 997);
        core.apply(id, RunId(1), &row, UnixMs(n * 1000)).unwrap();
    }
    let ring = &core.fleet.host(id).unwrap().ring;
    assert!(ring.rows() < 512 && ring.newest() == Some(UnixMs(1_999_000)));
    assert_eq!(core.fleet.host(other).unwrap().ring.rows(), 1);
    assert!(!core.fleet.is_whole_from(id, UnixMs(0)));
}

#[test]
fn the_oldest_chunks_are_evicted_over_the_memory_budget() {
    let mut core = core();
    core.fleet.set_options(with_memory(20_000), UnixMs(0));
    let id = host_with_cpu(&mut core, "a");
    for n in 0..40_000 {
        // Hard to compress on purpose.
        let value = (n * n * 7919) % 100_003;
        let row = row(n as u64 + 1, n * 10, value);
        core.apply(id, RunId(1), &row, UnixMs(n * 10)).unwrap();
    }
    let host = core.fleet.host(id).unwrap();
    let (bytes, rows) = (host.ring.bytes(), host.ring.rows());
    assert!(bytes <= 20_000 && rows > 2000, "{bytes} bytes, {rows} rows");
    assert_eq!(core.fleet.ring_size().0, host.ring.bytes() as u64);
    assert_eq!(host.ring.newest(), Some(UnixMs(399_990)));
}

/// Once the oldest rows of all hosts went first, so that one busy host took everybody's history.
#[test]
fn a_host_that_uses_more_than_its_share_of_the_memory_loses_its_own_rows_only() {
    let mut core = Core::new(with_memory(600_000));
    let small: Vec<HostId> = (0..3)
        .map(|n| host_with_cpu(&mut core, &format!("small-{n}")))
        .collect();
    let id = core.host_id(&"greedy".into()).unwrap();
    let keys = (0..100).map(|n| CPU_UTILIZATION.series(&[("cpu.logical_number", &n.to_string())]));
    core.fleet.series(id, keys.collect());
    let mut random = 1u64;
    for seq in 1..=3_000u64 {
        let at = UnixMs(seq as i64 * 1000);
        for host in &small {
            core.apply(*host, RunId(1), &row(seq, at.0, seq as i64 % 7), at)
                .unwrap();
        }
        let mut value = || {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 20) as i64
        };
        let values = (0..100).map(|_| value()).collect();
        let row = Row {
            seq,
            time: at,
            values,
        };
        core.apply(id, RunId(1), &row, at).unwrap();
    }
    for host in small {
        assert_eq!(core.fleet.host(host).unwrap().ring.rows(), 3_000);
    }
    let greedy = core.fleet.host(id).unwrap().ring.rows();
    assert!((1..2_000).contains(&greedy), "{greedy}");
}

#[test]
fn the_silence_of_a_host_ends_once_its_certificates_are_revoked() {
    let mut core = core();
    core.set_rules(
        vec!["silent: silent for 60s critical".parse().unwrap()],
        Vec::new(),
    );
    let id = host_with_cpu(&mut core, "a");
    let start = UnixMs(100_000_000);
    core.apply(id, RunId(1), &row(1, start.0, 5), start)
        .unwrap();
    let mut fired = Vec::new();
    let mut review = |core: &mut Core, seconds: std::ops::Range<i64>| {
        for second in seconds {
            core.review_silence(start + second * 1_000);
        }
        fired = core.take_transitions();
        fired.iter().map(|t| t.firing).collect::<Vec<_>>()
    };
    assert_eq!(review(&mut core, 0..100), [true]);
    core.set_revoked(&agents([("a", true)]));
    assert_eq!(review(&mut core, 100..110), [false]);
    assert!(review(&mut core, 110..300).is_empty());
    core.set_revoked(&agents([("a", false)]));
    assert_eq!(review(&mut core, 300..310), [true]);
}

fn agents<const N: usize>(agents: [(&str, bool); N]) -> BTreeMap<String, bool> {
    let agents = agents.into_iter();
    agents
        .map(|(name, is_revoked)| (name.to_owned(), is_revoked))
        .collect()
}
