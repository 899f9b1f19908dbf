//! Sets of sequence numbers as ranges.

use serde::{Deserialize, Serialize};

use crate::limits::SEQ_RANGES_MAX;

/// A set of sequence numbers as sorted, disjoint, non-adjacent inclusive ranges.
///
/// Past [`SEQ_RANGES_MAX`] ranges the lowest two are joined: numbers in the hole between them then
/// count as seen, which is right for a hole that old, since its rows can no longer be accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeqSet {
    ranges: Vec<(u64, u64)>,
}

impl SeqSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `seq`; false if it was there already.
    pub fn insert(&mut self, seq: u64) -> bool {
        // The newest range is where almost every row lands.
        if let Some(last) = self.ranges.last_mut()
            && last.1.checked_add(1) == Some(seq)
        {
            last.1 = seq;
            return true;
        }
        if self.contains(seq) {
            return false;
        }
        self.insert_range(seq, seq);
        true
    }

    /// Adds every number from `low` to `high`, both included.
    pub fn insert_range(&mut self, low: u64, high: u64) {
        if low > high {
            return;
        }
        let start = self.ranges.partition_point(|r| r.1.saturating_add(1) < low);
        let end = self
            .ranges
            .partition_point(|r| r.0 <= high.saturating_add(1));
        let merged = match self.ranges.get(start..end) {
            Some([first, .., last]) => (low.min(first.0), high.max(last.1)),
            Some([only]) => (low.min(only.0), high.max(only.1)),
            _ => (low, high),
        };
        self.ranges.splice(start..end, [merged]);
        if self.ranges.len() > SEQ_RANGES_MAX {
            let first = self.ranges.remove(0);
            if let Some(next) = self.ranges.first_mut() {
                next.0 = first.0;
            }
        }
    }

    /// Whether `seq` is in the set.
    pub fn contains(&self, seq: u64) -> bool {
        let at = self.ranges.partition_point(|r| r.1 < seq);
        self.ranges.get(at).is_some_and(|r| r.0 <= seq)
    }

    /// Whether every number from `low` to `high` is in the set.
    pub fn contains_range(&self, low: u64, high: u64) -> bool {
        let at = self.ranges.partition_point(|r| r.1 < low);
        self.ranges
            .get(at)
            .is_some_and(|r| r.0 <= low && high <= r.1)
    }

    /// How many numbers lie between the lowest and highest but are not in the set.
    pub fn holes(&self) -> u64 {
        self.ranges.windows(2).map(|w| w[1].0 - w[0].1 - 1).sum()
    }

    /// The ranges, lowest first, both ends included.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// How many numbers are in the set.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|r| r.1 - r.0 + 1).sum()
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Empties the set and returns what was in it.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn ranges_at_the_end_of_the_numbers_do_not_overflow() {
        let mut set = SeqSet::new();
        assert!(set.insert(u64::MAX));
        assert!(!set.insert(u64::MAX));
        assert!(set.insert(u64::MAX - 1));
        assert_eq!(set.ranges(), [(u64::MAX - 1, u64::MAX)]);
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        let mut set = SeqSet::new();
        for n in 0..3 * SEQ_RANGES_MAX as u64 {
            set.insert(n * 2);
        }
        assert_eq!(set.ranges().len(), SEQ_RANGES_MAX);
        assert!(set.contains(0) && set.contains(6 * SEQ_RANGES_MAX as u64 - 2));
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_set(seqs in proptest::collection::vec((0u64..80, 0u64..4), 0..60)) {
            let mut set = SeqSet::new();
            let mut model = BTreeSet::new();
            for (low, more) in seqs {
                if more == 0 {
                    prop_assert_eq!(set.insert(low), model.insert(low));
                } else {
                    set.insert_range(low, low + more);
                    model.extend(low..=low + more);
                }
            }
            for seq in 0..90 {
                prop_assert_eq!(set.contains(seq), model.contains(&seq));
            }
            if let (Some(low), Some(high)) = (model.first(), model.last()) {
                prop_assert_eq!(set.holes(), high - low + 1 - model.len() as u64);
            }
            prop_assert_eq!(set.len(), model.len() as u64);
            prop_assert!(set.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0));
        }
    }
}
