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

    /// What to tell the host's agent now; whether its processes are looked at no longer.
    pub(super) fn due(&self, host: HostId) -> (Vec<ToAgent>, bool) {
        let mut all = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wanted) = all.get_mut(&host) else {
            return (Vec::new(), false);
        };
        let now = Instant::now();
        let mut orders: Vec<_> = wanted.burst.take().into_iter().collect();
        if wanted.processes_until.is_none_or(|until| until < now) {
            all.remove(&host);
            return (orders, true);
        }
        if wanted.asked.is_none_or(|asked| now - asked >= RENEW) {
            wanted.asked = Some(now);
            orders.push(ToAgent::WatchProcesses {
                for_ms: WATCH.as_millis() as u32,
            });
        }
        (orders, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_asked_once_in_a_while_and_told_of_a_burst_once() {
        let demands = Demands::new();
        let host = HostId(3);
        assert_eq!(demands.due(host), (Vec::new(), false));
        demands.processes(host, Duration::from_secs(60));
        demands.burst(host, 100, 5000);
        let (orders, over) = demands.due(host);
        assert!(matches!(
            orders[..],
            [ToAgent::Burst { .. }, ToAgent::WatchProcesses { .. }]
        ));
        assert!(!over);
        assert_eq!(demands.due(host), (Vec::new(), false));
        demands.processes(host, Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(
            demands.due(host),
            (Vec::new(), true),
            "nobody looks any more"
        );
        assert_eq!(demands.due(host), (Vec::new(), false));
    }
}
