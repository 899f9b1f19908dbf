//! Limits of the hub and of its hosts: how they stand, and when a reached one is logged. Pure.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use sysmon_alerts::engine::WATCHES;
use sysmon_wire::limits::{LIMITS_PER_HOST_MAX, SERIES_PER_HOST_MAX};
use sysmon_wire::message::HostLimit;
use sysmon_wire::{Label, LimitGauge, LimitState, UnixMs};

use crate::host::{SERIES_BYTES_MAX, STORED_SERIES_MAX};

/// Series of a host in one row; its agent has a limit of `series` of its own.
pub const SERIES: &str = "series at a time";

/// Series of a host that have rows.
pub const STORED_SERIES: &str = "stored series";

/// What these use.
pub const SERIES_BYTES: &str = "bytes of stored series";

/// Events of a host in an hour.
pub const EVENTS: &str = "events an hour";

/// Names under which the hub enforces limits of single hosts, so that their metric begins at 0.
const OF_HOSTS: [&str; 6] = [SERIES, STORED_SERIES, SERIES_BYTES, EVENTS, WATCHES, COPIES];

/// Machines that use one identity.
pub const COPIES: &str = "machines with one identity";

/// A copy that was refused tries again within half a minute; after this time it is gone.
const COPY_MS: i64 = 120_000;

/// Events recorded of one host in an hour; a host that restarts every minute has 60.
pub const EVENTS_PER_HOUR_MAX: usize = 200;

/// A limit that stays reached is logged again after this time.
const LOG_INTERVAL_MS: i64 = 600_000;

/// Lines about limits at once: hosts that share a fault reach the same limit together.
const LINES_AT_ONCE: usize = 10;

/// The limits of one host.
#[derive(Debug)]
pub struct HostLimits {
    pub series: LimitGauge,
    pub stored_series: LimitGauge,
    pub series_bytes: LimitGauge,
    pub events: LimitGauge,
    /// Pairs of rule and series.
    pub watches: LimitGauge,
    pub copies: Copies,
    /// Those that its agent enforces.
    reported: Vec<LimitState>,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            series: LimitGauge::new(SERIES, SERIES_PER_HOST_MAX),
            stored_series: LimitGauge::new(STORED_SERIES, STORED_SERIES_MAX),
            series_bytes: LimitGauge::new(SERIES_BYTES, SERIES_BYTES_MAX),
            events: LimitGauge::new(EVENTS, EVENTS_PER_HOUR_MAX),
            watches: LimitGauge::new(WATCHES, 0),
            copies: Copies::default(),
            reported: Vec::new(),
        }
    }
}

/// Machines that have a copy of the host's identity. They are refused while the host itself is connected.
#[derive(Debug)]
pub struct Copies {
    gauge: LimitGauge,
    /// Where the last one was refused, and when.
    last: Option<(IpAddr, UnixMs)>,
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            gauge: LimitGauge::new(COPIES, 1),
            last: None,
        }
    }
}

impl Copies {
    /// Counts a refused connection from `address`.
    pub fn refused(&mut self, address: SocketAddr, now: UnixMs) {
        self.gauge.set_current(2);
        self.gauge.leave_out(1);
        self.last = Some((address.ip(), now));
    }

    /// Whether the last copy has stopped trying since the last call.
    pub fn end(&mut self, now: UnixMs) -> bool {
        let is_over = self.last.is_some_and(|(_, at)| now - at > COPY_MS);
        if is_over {
            self.gauge.set_current(0);
            self.last = None;
        }
        is_over
    }

    fn note(&self) -> Option<Label> {
        let (address, _) = self.last?;
        Some(Label::new(&format!(
            "another machine, at {address}, has a copy of this host's identity and is refused"
        )))
    }
}

impl HostLimits {
    /// Replaces what the agent reported of its own limits.
    pub fn report(&mut self, mut limits: Vec<LimitState>) {
        limits.retain(|limit| limit.reached_total > 0);
        limits.truncate(LIMITS_PER_HOST_MAX);
        self.reported = limits;
    }

    /// What the hub left out of the host, by limit.
    pub fn enforced(&self) -> impl Iterator<Item = LimitState> {
        let (copies, watches) = (&self.copies.gauge, &self.watches);
        let series = [&self.series, &self.stored_series, &self.series_bytes];
        let gauges = series.into_iter().chain([&self.events, watches, copies]);
        gauges
            .filter(|gauge| gauge.reached_total() > 0)
            .map(LimitGauge::state)
    }

    /// What its agent left out, by limit.
    pub fn reported(&self) -> impl Iterator<Item = LimitState> {
        self.reported.iter().cloned()
    }

    /// A note for each limit that leaves something out now.
    pub fn notes(&self) -> impl Iterator<Item = Label> {
        let limits = self.enforced().chain(self.reported());
        limits
            .filter(|limit| limit.is_reached() && limit.name != COPIES)
            .map(|limit| limit.note())
            .chain(self.copies.note())
    }
}

/// How often each of the hub's limits was reached, over all hosts.
pub fn reached_by_name(limits: &[HostLimit]) -> BTreeMap<Label, u64> {
    let mut sums: BTreeMap<Label, u64> = OF_HOSTS.map(|name| (Label::new(name), 0)).into();
    for limit in limits {
        *sums.entry(limit.state.name.clone()).or_default() += limit.state.reached_total;
    }
    sums
}

/// Which limits were logged and when, so that one that is reached all the time does not fill the log.
#[derive(Debug, Default)]
pub struct LimitLog {
    logged: HashMap<(Option<Label>, Label), Logged>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Logged {
    reached_total: u64,
    at: Option<UnixMs>,
}

impl LimitLog {
    /// The limits to log now: those that were reached again since they were logged, each once in ten minutes. What is
    /// no longer among `limits` is forgotten.
    pub fn due<'a>(&mut self, limits: &'a [HostLimit], now: UnixMs) -> Vec<&'a HostLimit> {
        let mut before = std::mem::take(&mut self.logged);
        let mut due = Vec::new();
        for limit in limits {
            let key = (limit.host.clone(), limit.state.name.clone());
            let mut logged = before.remove(&key).unwrap_or_default();
            // The agent may have restarted.
            logged.reached_total = logged.reached_total.min(limit.state.reached_total);
            let is_new = limit.state.reached_total > logged.reached_total;
            let is_time = logged.at.is_none_or(|at| now - at >= LOG_INTERVAL_MS);
            if is_new && is_time && due.len() < LINES_AT_ONCE {
                logged = Logged {
                    reached_total: limit.state.reached_total,
                    at: Some(now),
                };
                due.push(limit);
            }
            self.logged.insert(key, logged);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(host: &str, reached_total: u64) -> HostLimit {
        let mut gauge = LimitGauge::new(SERIES, 4);
        gauge.set_current(4);
        gauge.leave_out(reached_total);
        HostLimit {
            host: Some(host.into()),
            state: gauge.state(),
        }
    }

    #[test]
    fn a_limit_that_is_reached_all_the_time_is_logged_every_ten_minutes() {
        let mut log = LimitLog::default();
        let mut lines = |total, ms| log.due(&[limit("a", total)], UnixMs(ms)).len();
        assert_eq!(lines(0, 0), 0, "not reached");
        assert_eq!(lines(3, 1_000), 1);
        assert_eq!(lines(3, 900_000), 0, "nothing new");
        assert_eq!(lines(4, 901_000), 1);
        assert_eq!(lines(5, 902_000), 0, "too soon");
        assert_eq!(lines(5, 1_600_000), 1, "still to be said");
        assert_eq!(lines(1, 3_000_000), 0, "restarted");
        assert_eq!(lines(2, 3_001_000), 1);
    }

    #[test]
    fn hosts_that_reach_a_limit_together_are_logged_a_few_at_a_time() {
        let all: Vec<_> = (0..25).map(|n| limit(&format!("h{n}"), 1)).collect();
        let mut log = LimitLog::default();
        let lines = [0, 1_000, 2_000, 3_000].map(|ms| log.due(&all, UnixMs(ms)).len());
        assert_eq!(lines, [10, 10, 5, 0]);
        log.due(&[], UnixMs(4_000));
        assert!(log.logged.is_empty(), "hosts that are gone are forgotten");
    }

    #[test]
    fn reported_limits_are_bounded_and_noted_while_they_leave_something_out() {
        let mut limits = HostLimits::default();
        let state = |n: u64| LimitState {
            name: Label::new(&format!("limit {n}")),
            max: 1,
            current: n % 2,
            reached_total: n,
        };
        limits.report((0..100).map(state).collect());
        assert_eq!(limits.reported().count(), LIMITS_PER_HOST_MAX);
        assert_eq!(limits.notes().count(), LIMITS_PER_HOST_MAX / 2);
        assert!(
            limits
                .notes()
                .any(|note| note == "limit of 1 limit 1 reached, 1 left out so far")
        );
        let all = [limit("a", 2), limit("b", 3)];
        assert_eq!(reached_by_name(&all)[&Label::new(SERIES)], 5);
    }
}
