//! The history that an edge still has to be sent, in pieces between live updates. Pure.

use std::collections::VecDeque;

use sysmon_wire::UnixMs;
use sysmon_wire::message::FleetUpdate;
use sysmon_wire::metrics::SUMMARY;

use crate::fleet::{Fleet, HostId};
use crate::view::{SparkRequest, empty, histories, hosts_with_new_past};

/// A piece is an hour in steps of ten seconds.
const HISTORY_POINTS: u16 = 360;
const HISTORY_STEP_MS: u32 = 10_000;
const PIECE_MS: i64 = HISTORY_POINTS as i64 * HISTORY_STEP_MS as i64;

/// Pieces of each host: an edge keeps six hours.
const PIECES: u8 = 6;

/// Hosts of one piece: with ten pieces a second, six hours of a thousand hosts take a minute, and nothing waits
/// for the core longer than a few milliseconds.
const HOSTS_PER_PIECE: usize = 10;

/// Updates between two checks for changes of the past: a disconnected agent sends its spool when it is back.
const PAST_UPDATES: u32 = 10;

#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// Some hosts, and an hour counted back from now.
    pieces: VecDeque<(Vec<HostId>, u8)>,
    /// The fleet's generation up to which changes of the past are scheduled.
    seen: u64,
    updates: u32,
}

impl Schedule {
    pub(super) fn all(hosts: &[HostId], generation: u64) -> Self {
        let mut schedule = Self {
            seen: generation,
            ..Self::default()
        };
        schedule.add(hosts);
        schedule
    }

    fn add(&mut self, hosts: &[HostId]) {
        for piece in 0..PIECES {
            let parts = hosts.chunks(HOSTS_PER_PIECE);
            self.pieces.extend(parts.map(|part| (part.to_vec(), piece)));
        }
    }

    /// Schedules hosts whose past has changed, once everything else is sent.
    pub(super) fn add_changed(&mut self, fleet: &Fleet) {
        self.updates += 1;
        if self.pieces.is_empty() && self.updates.is_multiple_of(PAST_UPDATES) {
            let changed = hosts_with_new_past(fleet, self.seen);
            self.seen = fleet.generation();
            self.add(&changed);
        }
    }

    pub(super) fn next(&mut self, fleet: &Fleet, now: UnixMs) -> Option<FleetUpdate> {
        let (hosts, piece) = self.pieces.pop_front()?;
        let end = now - i64::from(piece) * PIECE_MS;
        Some(FleetUpdate {
            sparks: histories(&fleet.view(), &hosts, Some(end), &sparks()),
            ..empty(now)
        })
    }
}

pub(super) fn sparks() -> SparkRequest {
    SparkRequest {
        points: HISTORY_POINTS,
        step_ms: HISTORY_STEP_MS,
        aliases: (0..SUMMARY as u8).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::hosts;
    use super::*;
    use crate::core::Core;
    use crate::core::tests::row;
    use sysmon_wire::ABSENT;
    use sysmon_wire::message::RunId;

    #[test]
    fn history_is_sent_by_the_hour_and_again_when_the_past_changes() {
        let mut core = hosts(&["web-1"]);
        let hour = PIECE_MS;
        let id = core.fleet.machines().next().unwrap().0;
        let mut schedule = Schedule::all(&[id], core.fleet.generation());
        let now = UnixMs(9000 + 2 * hour);
        let sent: Vec<_> = std::iter::from_fn(|| schedule.next(&core.fleet, now)).collect();
        assert_eq!(sent.len(), usize::from(PIECES));
        let known = |update: &FleetUpdate| {
            let mut points = update.sparks.iter().flat_map(|spark| &spark.points);
            points.any(|point| *point != ABSENT)
        };
        assert_eq!(sent.iter().position(known), Some(2), "two hours ago");
        let pieces = |schedule: &mut Schedule, core: &Core| {
            (0..PAST_UPDATES).for_each(|_| schedule.add_changed(&core.fleet));
            schedule.pieces.len()
        };
        assert_eq!(pieces(&mut schedule, &core), 0, "nothing changed");
        let late = row(0, 8000, 7);
        core.apply(id, RunId(1), &late, UnixMs(9000)).unwrap();
        core.fleet.mark_past_changed(id);
        assert_eq!(pieces(&mut schedule, &core), usize::from(PIECES));
    }
}
