//! What those who look want of which agent: kept for a moment, and passed on by its connection.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sysmon_wire::message::ToAgent;
use tokio::sync::watch;

use crate::fleet::HostId;

/// How long an agent tells all processes after it was last asked.
const WATCH: Duration = Duration::from_secs(5);

/// How often it is asked again while somebody looks.
const RENEW: Duration = Duration::from_secs(2);

/// What is wanted of agents.
#[derive(Debug)]
pub(super) struct Demands {
    wanted: Mutex<HashMap<HostId, Wanted>>,
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

    /// Somebody wants a burst.
    pub(super) fn burst(&self, host: HostId, interval_ms: u32, for_ms: u32) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_asked_once_in_a_while_and_told_of_a_burst_once() {
        let demands = Demands::new();
        let host = HostId(3);
        assert_eq!(demands.due(host), Due::default());
        demands.processes(host, Duration::from_secs(60));
        demands.burst(host, 100, 5000);
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
