//! The memory budget of all hosts' rows and series: what they use, and what is evicted when that is too much.

use sysmon_wire::UnixMs;

use super::Fleet;
use crate::host::Host;

#[derive(Debug, Default)]
pub(super) struct RingUsage {
    /// Of rows.
    pub(super) bytes: u64,
    /// Of series.
    pub(super) series_bytes: u64,
    /// The part in chunks that were not handed to the history yet.
    pub(super) unsaved_bytes: u64,
}

impl RingUsage {
    /// Accounts for what `change` does to a host's ring.
    pub(super) fn track<T>(&mut self, host: &mut Host, change: impl FnOnce(&mut Host) -> T) -> T {
        let usage = |host: &Host| {
            let (rows, unsaved) = (host.ring.bytes(), host.ring.unsaved_bytes());
            [rows, unsaved, host.series_bytes()].map(|bytes| bytes as u64)
        };
        let before = usage(host);
        let result = change(host);
        let after = usage(host);
        self.bytes = self.bytes + after[0] - before[0];
        self.unsaved_bytes = self.unsaved_bytes + after[1] - before[1];
        self.series_bytes = self.series_bytes + after[2] - before[2];
        result
    }
}

impl Fleet {
    /// Evicts chunks until rows and series fit the budget: each time the oldest of the host that uses most, which is the one
    /// furthest over its equal share. Unsealed rows always stay.
    pub(crate) fn enforce_budget(&mut self) {
        while self.usage.bytes + self.usage.series_bytes > self.options.memory_bytes {
            let sealed = self
                .hosts
                .iter_mut()
                .filter(|(_, host)| host.ring.oldest_sealed().is_some());
            let largest = sealed.max_by_key(|(_, host)| host.ring.bytes() + host.series_bytes());
            let Some((_, host)) = largest else { return };
            self.usage.track(host, |host| host.ring.evict_oldest());
        }
    }

    /// Whether so many chunks are unsaved that no more rows should be accepted. Unsaved chunks stay in memory
    /// beyond the budget, so they may use a quarter of it.
    pub fn is_unsaved_full(&self) -> bool {
        self.usage.unsaved_bytes > self.options.memory_bytes / 4
    }

    /// Seals rows that are unlikely to be followed by more: late rows if none came since the last call, and
    /// all rows of a host that was silent for half an hour; and forgets what has no rows any more. Meant to be called once a minute.
    pub fn settle(&mut self, now: UnixMs) {
        let mut settled = Vec::new();
        let horizon = self.horizon(now);
        for (id, host) in self.hosts.iter_mut() {
            match self.usage.track(host, |host| host.settle(now, horizon)) {
                Ok(true) => settled.push(id),
                Ok(false) => {}
                Err(error) => tracing::error!(host = %host.name, %error, "cannot seal rows"),
            }
        }
        settled.into_iter().for_each(|id| self.mark_unsaved(id));
        self.forget_old(now);
    }

    pub fn ring_size(&self) -> (u64, u64) {
        let values = self.hosts.iter().map(|(_, host)| host.ring.values());
        (self.usage.bytes, values.sum())
    }

    /// The part of the rings' bytes in rows that are not sealed yet.
    pub fn head_bytes(&self) -> u64 {
        let heads = self.hosts.iter().map(|(_, host)| host.ring.head_bytes());
        heads.map(|bytes| bytes as u64).sum()
    }
}
