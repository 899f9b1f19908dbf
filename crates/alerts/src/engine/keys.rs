//! The series of a host by index, with a log of the indices that changed.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Deref;
use std::sync::Arc;

use sysmon_wire::SeriesKey;

/// Changes that are remembered. Who missed more of them looks at all indices again.
const CHANGES_MAX: usize = 1_024;

/// The series of a host by index. Readers that remember the [`epoch`](Self::epoch) find out which indices have got another
/// series since.
#[derive(Clone, Debug, Default)]
pub struct SeriesKeys {
    keys: Vec<Arc<SeriesKey>>,
    /// The newest changes.
    changed: VecDeque<u32>,
    epoch: u64,
}

impl From<Vec<Arc<SeriesKey>>> for SeriesKeys {
    fn from(keys: Vec<Arc<SeriesKey>>) -> Self {
        Self {
            epoch: keys.len() as u64,
            changed: VecDeque::new(),
            keys,
        }
    }
}

impl Deref for SeriesKeys {
    type Target = [Arc<SeriesKey>];

    fn deref(&self) -> &Self::Target {
        &self.keys
    }
}

impl SeriesKeys {
    /// Appends a series.
    pub fn push(&mut self, key: Arc<SeriesKey>) {
        self.note(self.keys.len());
        self.keys.push(key);
    }

    /// Gives an index another series.
    pub fn replace(&mut self, index: u32, key: Arc<SeriesKey>) {
        let at = index as usize;
        if let Some(slot) = self.keys.get_mut(at) {
            *slot = key;
            self.note(at);
        }
    }

    /// Removes the last index.
    pub fn pop(&mut self) {
        if self.keys.pop().is_some() {
            self.note(self.keys.len());
        }
    }

    fn note(&mut self, index: usize) {
        if self.changed.len() >= CHANGES_MAX {
            self.changed.pop_front();
        }
        self.changed.push_back(index as u32);
        self.epoch += 1;
    }

    /// Rises with every change.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The indices that changed after an epoch; none if that was too many changes ago.
    pub fn changed_since(&self, epoch: u64) -> Option<BTreeSet<u32>> {
        let changes = usize::try_from(self.epoch.checked_sub(epoch)?).ok()?;
        let first = self.changed.len().checked_sub(changes)?;
        Some(self.changed.range(first..).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::metrics::CPU_UTILIZATION;

    #[test]
    fn readers_find_what_changed_since_they_last_looked() {
        let key = || Arc::new(CPU_UTILIZATION.series(&[]));
        let mut keys = SeriesKeys::from(vec![key(), key()]);
        let seen = keys.epoch();
        assert_eq!(keys.changed_since(0), None, "all of them");
        assert_eq!(keys.changed_since(seen), Some(BTreeSet::new()));
        keys.push(key());
        keys.replace(0, key());
        keys.replace(0, key());
        assert_eq!(keys.changed_since(seen), Some([0, 2].into()));
        assert_eq!(keys.changed_since(seen + 1), Some([0].into()));
        keys.pop();
        assert_eq!(keys.changed_since(seen + 3), Some([2].into()));
        (0..CHANGES_MAX).for_each(|_| keys.replace(1, key()));
        assert_eq!(keys.changed_since(seen), None);
        assert_eq!(keys.changed_since(keys.epoch() + 1), None);
    }
}
