//! What subscribers see: the fleet, one host, and their history. Pure.

mod fleet;
mod host;
mod sparks;

pub use fleet::{
    empty, fleet_changes, fleet_picture, halves, histories, history_changes, hosts_with_new_past,
};
pub use host::HostWatch;
pub use sparks::SparkRequest;

/// How far before a past moment a row may lie to be shown for it.
pub const PAST_REACH_MS: i64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Core;
    use crate::core::tests::{core, host_with_cpu, row};
    use crate::fleet::HostId;
    use sysmon_wire::RowDecoder;
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::{HostState, Reply, RunId};

    const SPARKS: SparkRequest = SparkRequest {
        points: 4,
        step_ms: 5000,
        aliases: Vec::new(),
    };

    fn filled() -> (Core, HostId) {
        let mut core = core();
        let id = host_with_cpu(&mut core, "a");
        for n in 1..=30i64 {
            core.apply(
                id,
                RunId(1),
                &row(n as u64, n * 1000, n * 10),
                UnixMs(n * 1000),
            )
            .unwrap();
        }
        core.review_silence(UnixMs(30_000));
        (core, id)
    }

    #[test]
    fn a_picture_of_the_past_has_no_alert_that_began_later() {
        let mut core = core();
        core.set_rules(
            vec!["busy: cpu > 20% critical".parse().unwrap()],
            Vec::new(),
        );
        let id = host_with_cpu(&mut core, "a");
        for n in 1..=30i64 {
            let row = row(n as u64, n * 1000, n * 10);
            let time = UnixMs(n * 1000);
            core.apply(id, RunId(1), &row, time).unwrap();
        }
        let alerts = |at: Option<UnixMs>| {
            let picture = fleet_picture(&core.fleet.view(), at, UnixMs(30_000), &SPARKS);
            picture[0].lines[0].alerts.len()
        };
        assert_eq!(alerts(None), 1);
        assert_eq!(alerts(Some(UnixMs(29_000))), 1);
        assert_eq!(alerts(Some(UnixMs(10_000))), 0);
    }

    #[test]
    fn the_first_picture_has_all_and_later_ones_what_changed() {
        let (mut core, id) = filled();
        host_with_cpu(&mut core, "b");
        let first = fleet_picture(&core.fleet.view(), None, UnixMs(30_000), &SPARKS);
        assert_eq!(
            (
                first.len(),
                first[0].lines.len(),
                first[0].ticks[0].values[0]
            ),
            (1, 2, 300)
        );
        let seen = core.fleet.generation();
        assert!(fleet_changes(&core.fleet, seen, UnixMs(30_500)).is_empty());
        core.apply(id, RunId(1), &row(31, 31_000, 7), UnixMs(31_000))
            .unwrap();
        let then = fleet_changes(&core.fleet, seen, UnixMs(31_000));
        assert_eq!((then[0].lines.len(), then[0].ticks.len()), (0, 1));
        assert_eq!(then[0].ticks[0].values[0], 7);
    }

    #[test]
    fn the_past_is_what_was() {
        let (core, _) = filled();
        let then = fleet_picture(
            &core.fleet.view(),
            Some(UnixMs(12_500)),
            UnixMs(30_000),
            &SPARKS,
        );
        assert_eq!(
            (then[0].ticks[0].time, then[0].ticks[0].values[0]),
            (UnixMs(12_000), 120)
        );
        assert_eq!(then[0].ticks[0].state, HostState::Live);
        let before = fleet_picture(
            &core.fleet.view(),
            Some(UnixMs(500)),
            UnixMs(30_000),
            &SPARKS,
        );
        assert_eq!(before[0].ticks[0].state, HostState::Offline);
    }

    #[test]
    fn a_past_of_minutes_is_that_of_the_minute_a_moment_lies_in() {
        let mut core = core();
        let id = host_with_cpu(&mut core, "a");
        for minute in 1..=9i64 {
            let row = row(minute as u64, minute * 60_000, minute * 10);
            let now = UnixMs(minute * 60_000);
            core.apply(id, RunId(1), &row, now).unwrap();
        }
        let picture = |at: i64| {
            let at = Some(UnixMs(at));
            let mut frames = fleet_picture(
                &core.fleet.view_with(&[], 60_000),
                at,
                UnixMs(900_000),
                &SPARKS,
            );
            let frame = frames.remove(0);
            (frame.ticks[0].clone(), frame.sparks)
        };
        let (tick, _) = picture(359_999);
        assert_eq!(
            (tick.state, tick.time, tick.values[0]),
            (HostState::Live, UnixMs(300_000), 50)
        );
        let (tick, _) = picture(660_000);
        assert_eq!(tick.state, HostState::Offline, "the last minute has ended");
        let request = SparkRequest {
            aliases: vec![0],
            ..SPARKS
        };
        let at = Some(UnixMs(330_000));
        let frames = fleet_picture(
            &core.fleet.view_with(&[], 60_000),
            at,
            UnixMs(900_000),
            &request,
        );
        assert_eq!(frames[0].sparks[0].points, [20, 30, 40, 50]);
    }

    #[test]
    fn history_is_the_mean_of_each_step() {
        let (core, _) = filled();
        let request = SparkRequest {
            aliases: vec![0, 200],
            ..SPARKS
        };
        let picture = fleet_picture(&core.fleet.view(), None, UnixMs(30_000), &request);
        let [spark] = &picture[0].sparks[..] else {
            panic!("one spark")
        };
        assert_eq!(
            (spark.end, &spark.points[..]),
            (UnixMs(30_000), &[170, 220, 270, 300][..])
        );
    }

    #[test]
    fn a_watch_sends_every_row_once() {
        let (mut core, id) = filled();
        let mut watch = HostWatch::new(id, UnixMs(11_000));
        let (mut decoder, mut seen) = (RowDecoder::new(), Vec::new());
        let mut take = |replies: Vec<Reply>| {
            for reply in replies {
                let (Reply::HostKeyframe(block) | Reply::HostRows(block)) = reply else {
                    continue;
                };
                let mut bytes = &block.0[..];
                while let Some(row) = decoder.decode(&mut bytes, 1).unwrap() {
                    seen.push((row.time.0, row.values[0]));
                }
            }
        };
        take(watch.updates(&core.fleet.view(), None));
        take(watch.updates(&core.fleet.view(), None));
        core.apply(id, RunId(1), &row(31, 31_000, 7), UnixMs(31_000))
            .unwrap();
        take(watch.updates(&core.fleet.view(), None));
        let mut want: Vec<_> = (11..=30).map(|n| (n * 1000, n * 10)).collect();
        want.push((31_000, 7));
        assert_eq!(seen, want);
    }
}
