//! Costly collection that subscribers need of an agent at present; its connection passes it on.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sysmon_clock::Clock;
use sysmon_wire::limits::{BURST_INTERVAL_MS_MIN, BURST_MS_MAX};
use sysmon_wire::message::ToAgent;
use tokio::sync::watch;

use crate::fleet::HostId;
use crate::lock;

/// How long an agent sends its process table after the last request.
const WATCH: Duration = Duration::from_secs(5);

/// How often the request is repeated while a subscriber needs the table.
const RENEW: Duration = Duration::from_secs(2);

/// Hosts that may sample faster at the same time: each then sends ten times the rows, and all of them are stored.
const BURSTS_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Demand {
    clock: Clock,
    hosts: Mutex<HashMap<HostId, HostDemand>>,
    bursts: Mutex<HashMap<HostId, usize>>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct HostDemand {
    processes_until: Option<Instant>,
    requested: Option<Instant>,
    burst: Option<ToAgent>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) orders: Vec<ToAgent>,
    pub(super) has_ended: bool,
    pub(super) again: Option<Instant>,
}

impl Demand {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            hosts: Mutex::default(),
            bursts: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// A subscriber needs a host's process table for about this long.
    pub(super) fn processes(&self, host: HostId, span: Duration) {
        let until = self.clock.instant() + span;
        let is_first = self.with(host, |demand| {
            demand.processes_until.replace(until).is_none()
        });
        if is_first {
            self.changed.send_modify(|n| *n += 1);
        }
    }

    /// A subscriber needs faster samples, within the limits, until the result is dropped; none if too many hosts
    /// sample faster already.
    pub(super) fn burst(&self, host: HostId, interval_ms: u32, for_ms: u32) -> Option<Burst<'_>> {
        {
            let mut bursts = lock(&self.bursts);
            if bursts.len() >= BURSTS_MAX && !bursts.contains_key(&host) {
                return None;
            }
            *bursts.entry(host).or_default() += 1;
        }
        let interval_ms = interval_ms.max(BURST_INTERVAL_MS_MIN);
        let for_ms = for_ms.min(BURST_MS_MAX);
        self.order_burst(host, interval_ms, for_ms);
        Some(Burst {
            demand: self,
            host,
            span: Duration::from_millis(u64::from(for_ms)),
        })
    }

    fn order_burst(&self, host: HostId, interval_ms: u32, for_ms: u32) {
        let burst = ToAgent::Burst {
            interval_ms,
            for_ms,
        };
        self.with(host, |demand| demand.burst = Some(burst));
        self.changed.send_modify(|n| *n += 1);
    }

    fn with<T>(&self, host: HostId, change: impl FnOnce(&mut HostDemand) -> T) -> T {
        let mut hosts = lock(&self.hosts);
        change(hosts.entry(host).or_default())
    }

    pub(super) fn due(&self, host: HostId) -> Due {
        let mut hosts = lock(&self.hosts);
        let Some(demand) = hosts.get_mut(&host) else {
            return Due::default();
        };
        let now = self.clock.instant();
        let mut due = Due {
            orders: demand.burst.take().into_iter().collect(),
            ..Due::default()
        };
        let Some(until) = demand.processes_until.filter(|until| *until >= now) else {
            hosts.remove(&host);
            due.has_ended = true;
            return due;
        };
        let requested = demand.requested.filter(|at| now - *at < RENEW);
        if requested.is_none() {
            due.orders.push(ToAgent::WatchProcesses {
                for_ms: WATCH.as_millis() as u32,
            });
        }
        let requested = *demand.requested.insert(requested.unwrap_or(now));
        due.again = Some((requested + RENEW).min(until + Duration::from_millis(1)));
        due
    }
}

#[derive(Debug)]
pub(super) struct Burst<'a> {
    demand: &'a Demand,
    host: HostId,
    pub(super) span: Duration,
}

impl Drop for Burst<'_> {
    fn drop(&mut self) {
        let mut bursts = lock(&self.demand.bursts);
        let others = bursts.get(&self.host).map_or(0, |count| count - 1);
        if others > 0 {
            bursts.insert(self.host, others);
            return;
        }
        bursts.remove(&self.host);
        drop(bursts);
        // Replaces an order that was not sent yet because the agent is disconnected.
        self.demand.order_burst(self.host, BURST_INTERVAL_MS_MIN, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_clock::ManualTime;

    #[test]
    fn a_burst_is_bounded_and_ends_with_its_last_request() {
        let demand = Demand::new(Clock::system());
        let host = HostId(3);
        let orders = || demand.due(host).orders;
        let order = |for_ms| ToAgent::Burst {
            interval_ms: BURST_INTERVAL_MS_MIN,
            for_ms,
        };
        let first = demand.burst(host, 1, u32::MAX).unwrap();
        assert_eq!(first.span, Duration::from_secs(60));
        assert_eq!(orders(), [order(BURST_MS_MAX)]);
        let second = demand.burst(host, 100, 5000).unwrap();
        assert_eq!(orders(), [order(5000)]);
        drop(first);
        assert_eq!(orders(), [], "another request is open");
        drop(second);
        assert_eq!(orders(), [order(0)]);
        let hosts = 10..10 + BURSTS_MAX as u32;
        let all: Vec<_> = hosts
            .map(|n| demand.burst(HostId(n), 100, 5000).unwrap())
            .collect();
        assert!(demand.burst(host, 100, 5000).is_none());
        assert!(demand.burst(HostId(10), 100, 5000).is_some());
        drop(all);
        assert!(demand.burst(host, 100, 5000).is_some());
    }

    #[test]
    fn a_process_table_is_requested_periodically_and_a_burst_once() {
        let time = ManualTime::new(sysmon_wire::UnixMs(0));
        let demand = Demand::new(time.clock());
        let host = HostId(3);
        assert_eq!(demand.due(host), Due::default());
        demand.processes(host, Duration::from_secs(60));
        let _burst = demand.burst(host, 100, 5000);
        let due = demand.due(host);
        assert!(matches!(
            due.orders[..],
            [ToAgent::Burst { .. }, ToAgent::WatchProcesses { .. }]
        ));
        let again = due.again.unwrap();
        assert!(!due.has_ended && again == time.clock().instant() + RENEW);
        let due = demand.due(host);
        assert_eq!((due.orders, due.again), (Vec::new(), Some(again)));
        demand.processes(host, Duration::ZERO);
        time.advance(Duration::from_millis(2));
        let ended = Due {
            has_ended: true,
            ..Due::default()
        };
        assert_eq!(demand.due(host), ended, "the demand has ended");
        assert_eq!(demand.due(host), Due::default());
    }
}
