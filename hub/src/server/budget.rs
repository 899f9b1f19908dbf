//! What the agent of each host may make the hub do: one budget over all of its streams and connections. Pure.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sysmon_link::TokenBucket;
use sysmon_wire::limits::{HOSTS_MAX, SERIES_PER_HOST_MAX};

use crate::fleet::HostId;
use crate::lock;

/// Values of rows that one host may send in a second besides live rows, a row times the stream's series. A day of 400
/// series takes half a minute; a faster agent is read more slowly and spools the rest.
const VALUES_PER_SECOND: f64 = 1_000_000.0;

/// The same at once: two of the largest honest frames.
const VALUES_AT_ONCE: f64 = 480_000.0;

/// Values of live rows, which do not wait for backfill: of a host with as many series as it may have, in a burst of ten
/// rows a second.
const LIVE_VALUES_PER_SECOND: f64 = 10.0 * SERIES_PER_HOST_MAX as f64;

/// The same at once: a minute of one row a second, because the network was slow.
const LIVE_VALUES_AT_ONCE: f64 = 60.0 * SERIES_PER_HOST_MAX as f64;

/// What a frame or a row costs at least, in values.
pub(super) const ROW_COST_MIN: u64 = 400;

/// What a name costs, in values.
pub(super) const NAME_COST: u64 = 32;

#[derive(Debug, Default)]
pub(super) struct RowBudgets(Mutex<HashMap<HostId, Budget>>);

#[derive(Debug)]
struct Budget {
    live: TokenBucket,
    rest: TokenBucket,
}

impl RowBudgets {
    /// Charges what a host sent; returns how long its stream has to wait.
    pub(super) fn charge(
        &self,
        host: HostId,
        is_live: bool,
        values: u64,
        now: Instant,
    ) -> Duration {
        let mut hosts = lock(&self.0);
        if hosts.len() >= HOSTS_MAX && !hosts.contains_key(&host) {
            hosts.retain(|_, budget| !(budget.live.is_full(now) && budget.rest.is_full(now)));
        }
        let budget = hosts.entry(host).or_insert_with(|| Budget {
            live: TokenBucket::new(LIVE_VALUES_PER_SECOND, LIVE_VALUES_AT_ONCE, now),
            rest: TokenBucket::new(VALUES_PER_SECOND, VALUES_AT_ONCE, now),
        });
        let bucket = match is_live {
            true => &mut budget.live,
            false => &mut budget.rest,
        };
        bucket.charge(values as f64, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_clock::Clock;

    #[test]
    fn ten_rows_a_second_never_wait_and_streams_of_a_host_share_its_budget() {
        let (start, budgets) = (Clock::system().instant(), RowBudgets::default());
        let all = SERIES_PER_HOST_MAX as u64;
        for tenth in 0..1_000 {
            let now = start + Duration::from_millis(tenth * 100);
            assert_eq!(budgets.charge(HostId(1), true, all, now), Duration::ZERO);
        }
        let now = start + Duration::from_secs(200);
        let charge = |host, live, values| budgets.charge(HostId(host), live, values, now);
        // Two streams of one host: what one spends, the other has not.
        assert_eq!(charge(1, false, 480_000), Duration::ZERO);
        assert_eq!(charge(1, false, 2_000_000), Duration::from_secs(2));
        assert_eq!(
            charge(1, true, all),
            Duration::ZERO,
            "live rows do not wait for that"
        );
        assert_eq!(
            charge(2, false, 400_000),
            Duration::ZERO,
            "nor does another host"
        );
        assert!(charge(2, true, 600 * all) > Duration::from_secs(50));
    }
}
