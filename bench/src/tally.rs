//! Counts of connections and acknowledgements of a swarm.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sysmon_agent::observer::Observer;
use sysmon_link::LinkError;
use sysmon_wire::UnixMs;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Resolution limit: longer lags count as this one, except for the maximum.
const LAG_MS_MAX: usize = 60_000;

/// Unacknowledged rows remembered per agent; older ones are no longer measured.
const WAITING_MAX: usize = 3_600;

#[derive(Debug)]
pub(crate) struct Tally {
    up: watch::Sender<usize>,
    counts: Mutex<Counts>,
    interval_ms: i64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    pub(crate) last_error: String,
    /// Rows of this time and later are counted.
    since: Option<UnixMs>,
    /// Counted rows that were clearly late, because the swarm is overloaded.
    pub(crate) late: u64,
    pub(crate) lags: Lags,
}

impl Tally {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            up: watch::Sender::new(0),
            counts: Mutex::default(),
            interval_ms: i64::try_from(interval.as_millis())
                .unwrap_or(i64::MAX)
                .max(1),
        }
    }

    pub(crate) fn up(&self) -> watch::Receiver<usize> {
        self.up.subscribe()
    }

    pub(crate) fn start(&self, since: UnixMs) {
        self.counts().since = Some(since);
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Histogram of the time from a row to its acknowledgement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lags {
    /// Count per millisecond.
    by_ms: Vec<u64>,
    count: u64,
    worst: u64,
}

impl Lags {
    fn add(&mut self, ms: u64) {
        let at = usize::try_from(ms).map_or(LAG_MS_MAX, |ms| ms.min(LAG_MS_MAX));
        if at >= self.by_ms.len() {
            self.by_ms.resize(at + 1, 0);
        }
        if let Some(count) = self.by_ms.get_mut(at) {
            *count += 1;
        }
        self.count += 1;
        self.worst = self.worst.max(ms);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn worst(&self) -> Option<u64> {
        (self.count > 0).then_some(self.worst)
    }

    /// The lag that `share` of all, from 0 to 1, do not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Option<u64> {
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let at = self.by_ms.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        at.map(|ms| ms as u64)
    }
}

#[derive(Debug)]
pub(crate) struct AgentObserver {
    tally: Arc<Tally>,
    /// Unacknowledged rows, by sequence number.
    waiting: Mutex<VecDeque<(u64, UnixMs)>>,
    /// Held until the first connection attempt has succeeded or failed.
    attempt: Mutex<Option<OwnedSemaphorePermit>>,
}

impl AgentObserver {
    pub(crate) fn new(tally: &Arc<Tally>, attempt: OwnedSemaphorePermit) -> Self {
        Self {
            tally: Arc::clone(tally),
            waiting: Mutex::default(),
            attempt: Mutex::new(Some(attempt)),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(u64, UnixMs)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempted(&self) {
        let mut attempt = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        attempt.take();
    }
}

impl Observer for AgentObserver {
    fn connected(&self) {
        self.tally.up.send_modify(|up| *up += 1);
        self.attempted();
    }

    fn disconnected(&self, error: &LinkError) {
        self.tally.up.send_modify(|up| *up = up.saturating_sub(1));
        let mut counts = self.tally.counts();
        counts.lost += 1;
        counts.last_error = error.to_string();
    }

    fn failed(&self, error: &LinkError) {
        {
            let mut counts = self.tally.counts();
            counts.failed += 1;
            counts.last_error = error.to_string();
        }
        self.attempted();
    }

    fn pushed(&self, seq: u64, time: UnixMs) {
        let mut counts = self.tally.counts();
        if counts.since.is_none_or(|since| time < since) {
            return;
        }
        counts.late += u64::from(time.floor(self.tally.interval_ms) != time);
        drop(counts);
        let mut waiting = self.waiting();
        if waiting.len() == WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back((seq, time));
    }

    fn acknowledged(&self, ranges: &[(u64, u64)]) {
        let now = UnixMs::from_system(SystemTime::now());
        let mut counts = self.tally.counts();
        self.waiting().retain(|&(seq, time)| {
            let is_acknowledged = ranges
                .iter()
                .any(|(low, high)| (*low..=*high).contains(&seq));
            if is_acknowledged {
                counts.lags.add(u64::try_from(now - time).unwrap_or(0));
            }
            !is_acknowledged
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    #[test]
    fn quantiles_cover_all_lags() {
        let mut lags = Lags::default();
        assert_eq!((lags.quantile(0.5), lags.worst()), (None, None));
        (1..=100).for_each(|ms| lags.add(ms * 10));
        assert_eq!(lags.quantile(0.5), Some(500));
        assert_eq!(lags.quantile(0.99), Some(990));
        lags.add(1_000_000);
        assert_eq!(lags.quantile(1.0), Some(LAG_MS_MAX as u64));
        assert_eq!((lags.count(), lags.worst()), (101, Some(1_000_000)));
    }

    #[test]
    fn rows_are_counted_once_and_from_the_start_on() {
        let tally = Arc::new(Tally::new(Duration::from_secs(1)));
        let handshakes = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&handshakes).try_acquire_owned().unwrap();
        let agent = AgentObserver::new(&tally, permit);
        agent.failed(&LinkError::StreamEnded);
        assert_eq!(handshakes.available_permits(), 1);
        agent.connected();
        assert_eq!(*tally.up().borrow(), 1);

        let now = UnixMs::from_system(SystemTime::now()).floor(1000);
        agent.pushed(1, now - 1000);
        tally.start(now);
        agent.pushed(2, now);
        agent.pushed(3, now + 250);
        agent.acknowledged(&[(1, 2)]);
        agent.acknowledged(&[(1, 2)]);
        assert_eq!(tally.counts().lags.count(), 1);
        agent.acknowledged(&[(3, 3)]);
        agent.disconnected(&LinkError::StreamEnded);
        let counts = tally.counts().clone();
        assert_eq!((counts.lags.count(), counts.late), (2, 1));
        assert_eq!((counts.failed, counts.lost), (1, 1));
        assert_eq!(*tally.up().borrow(), 0);
    }
}
