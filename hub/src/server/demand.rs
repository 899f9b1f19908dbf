//! What those who look want of which agent: kept for a moment, and passed on by its connection.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sysmon_wire::limits::{BURST_INTERVAL_MS_MIN, BURST_MS_MAX};
use sysmon_wire::message::ToAgent;
use tokio::sync::watch;

use crate::fleet::HostId;

/// How long an agent tells all processes after it was last asked.
const WATCH: Duration = Duration::from_secs(5);

/// How often it is asked again while somebody looks.
const RENEW: Duration = Duration::from_secs(2);

/// Hosts that are sampled more often at a time: each then sends ten times the rows, all of which are kept.
const BURSTS_MAX: usize = 16;

/// What is wanted of agents.
#[derive(Debug)]
pub(super) struct Demands {
    wanted: Mutex<HashMap<HostId, Wanted>>,
    /// How many want a burst of which host.
    bursts: Mutex<HashMap<HostId, usize>>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Wanted {
    processes_until: Option<Instant>,
    asked: Option<Instant>,
    burst: Option<ToAgent>,
}

/// What is due to a host's agent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) orders: Vec<ToAgent>,
    /// Its processes are looked at no longer.
    pub(super) is_over: bool,
    /// When to look again, if anything will be due then.
    pub(super) again: Option<Instant>,
}

impl Demands {
    pub(super) fn new() -> Self {
        Self {
            wanted: Mutex::default(),
            bursts: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Tells when anything is wanted anew.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Somebody looks at a host's processes for about this long.
    pub(super) fn processes(&self, host: HostId, for_: Duration) {
        let until = Instant::now() + for_;
        let is_first = self.with(host, |wanted| {
            wanted.processes_until.replace(until).is_none()
        });
        if is_first {
            self.changed.send_modify(|n| *n += 1);
        }
    }

    /// Somebody wants a burst, within the limits, until the result is dropped; none if too many hosts
    /// have one.
    pub(super) fn burst(&self, host: HostId, interval_ms: u32, for_ms: u32) -> Option<Burst<'_>> {
        {
            let mut bursts = self.bursts.lock().unwrap_or_else(PoisonError::into_inner);
            if bursts.len() >= BURSTS_MAX && !bursts.contains_key(&host) {
                return None;
            }
            *bursts.entry(host).or_default() += 1;
        }
        let interval_ms = interval_ms.max(BURST_INTERVAL_MS_MIN);
        let for_ms = for_ms.min(BURST_MS_MAX);
        self.order_burst(host, interval_ms, for_ms);
        Some(Burst {
            demands: self,
            host,
            lasts: Duration::from_millis(u64::from(for_ms)),
        })
    }

    fn order_burst(&self, host: HostId, interval_ms: u32, for_ms: u32) {
        let burst = ToAgent::Burst {
            interval_ms,
            for_ms,
        };
        self.with(host, |wanted| wanted.burst = Some(burst));
        self.changed.send_modify(|n| *n += 1);
    }
    fn with<T>(&self, host: HostId, f: impl FnOnce(&mut Wanted) -> T) -> T {
        let mut all = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        f(all.entry(host).or_default())
    }

    /// What the host's agent is to be told now.
    pub(super) fn due(&self, host: HostId) -> Due {
        let mut all = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wanted) = all.get_mut(&host) else {
            return Due::default();
        };
        let now = Instant::now();
        let mut due = Due {
            orders: wanted.burst.take().into_iter().collect(),
            ..Due::default()
        };
        let Some(until) = wanted.processes_until.filter(|until| *until >= now) else {
            all.remove(&host);
            due.is_over = true;
            return due;
        };
        let asked = wanted.asked.filter(|asked| now - *asked < RENEW);
        if asked.is_none() {
            due.orders.push(ToAgent::WatchProcesses {
                for_ms: WATCH.as_millis() as u32,
            });
        }
        let asked = *wanted.asked.insert(asked.unwrap_or(now));
        due.again = Some((asked + RENEW).min(until + Duration::from_millis(1)));
        due
    }
}

/// A burst that somebody wants.
#[derive(Debug)]
pub(super) struct Burst<'a> {
    demands: &'a Demands,
    host: HostId,
    /// How long it lasts.
    pub(super) lasts: Duration,
}

impl Drop for Burst<'_> {
    fn drop(&mut self) {
        let bursts = self.demands.bursts.lock();
        let mut bursts = bursts.unwrap_or_else(PoisonError::into_inner);
        let others = bursts.get(&self.host).map_or(0, |count| count - 1);
        if others > 0 {
            bursts.insert(self.host, others);
            return;
        }
        bursts.remove(&self.host);
        drop(bursts);
        // Also takes the place of an order that an agent who is away did not get.
        self.demands
            .order_burst(self.host, BURST_INTERVAL_MS_MIN, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_bounded_and_ends_with_the_last_who_wants_it() {
        let demands = Demands::new();
        let host = HostId(3);
        let orders = || demands.due(host).orders;
        let order = |for_ms| ToAgent::Burst {
            interval_ms: BURST_INTERVAL_MS_MIN,
            for_ms,
        };
        let first = demands.burst(host, 1, u32::MAX).unwrap();
        assert_eq!(first.lasts, Duration::from_secs(60));
        assert_eq!(orders(), [order(BURST_MS_MAX)]);
        let second = demands.burst(host, 100, 5000).unwrap();
        assert_eq!(orders(), [order(5000)]);
        drop(first);
        assert_eq!(orders(), [], "another still wants it");
        drop(second);
        assert_eq!(orders(), [order(0)]);
        let hosts = 10..10 + BURSTS_MAX as u32;
        let all: Vec<_> = hosts
            .map(|n| demands.burst(HostId(n), 100, 5000).unwrap())
            .collect();
        assert!(demands.burst(host, 100, 5000).is_none());
        assert!(demands.burst(HostId(10), 100, 5000).is_some());
        drop(all);
        assert!(demands.burst(host, 100, 5000).is_some());
    }

    #[test]
    fn an_agent_is_asked_once_in_a_while_and_told_of_a_burst_once() {
        let demands = Demands::new();
        let host = HostId(3);
        assert_eq!(demands.due(host), Due::default());
        demands.processes(host, Duration::from_secs(60));
        let _burst = demands.burst(host, 100, 5000);
        let due = demands.due(host);
        assert!(matches!(
            due.orders[..],
            [ToAgent::Burst { .. }, ToAgent::WatchProcesses { .. }]
        ));
        let again = due.again.unwrap();
        assert!(!due.is_over && again > Instant::now() && again <= Instant::now() + RENEW);
        let due = demands.due(host);
        assert_eq!((due.orders, due.again), (Vec::new(), Some(again)));
        demands.processes(host, Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        let over = Due {
            is_over: true,
            ..Due::default()
        };
        assert_eq!(demands.due(host), over, "nobody looks any more");
        assert_eq!(demands.due(host), Due::default());
    }
}
