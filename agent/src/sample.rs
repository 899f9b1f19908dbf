//! One sample of a source, and the processes that its rows refer to.

use std::collections::HashSet;

use sysmon_wire::{ProcessIdentity, SeriesKey};

#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Changes whenever `series` changes other than by appending: an index means the same within one table.
    pub table: u64,
    pub series: &'a [SeriesKey],
    pub values: &'a [i64],
    /// The processes whose [`ProcessIdentity::id`] occurs among the values.
    pub processes: &'a [ProcessIdentity],
}

/// The processes already described on a stream or in a segment, so that each is described once.
#[derive(Debug, Default)]
pub struct ProcessSet {
    ids: HashSet<i64>,
    all: Vec<ProcessIdentity>,
    /// The processes of the previous sample: mostly those of the next, which then costs one comparison.
    previous: Vec<ProcessIdentity>,
}

impl ProcessSet {
    /// Adds `processes` and returns those that were not in the set.
    pub fn insert_all(&mut self, processes: &[ProcessIdentity]) -> Vec<ProcessIdentity> {
        if self.previous == processes {
            return Vec::new();
        }
        self.previous = processes.to_vec();
        let new = processes
            .iter()
            .filter(|process| self.ids.insert(process.id()));
        let new: Vec<_> = new.cloned().collect();
        self.all.extend_from_slice(&new);
        new
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn into_vec(self) -> Vec<ProcessIdentity> {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::UnixMs;

    #[test]
    fn each_process_is_new_once() {
        let process = |pid| ProcessIdentity {
            pid,
            start: UnixMs(1),
            user: "u".into(),
            command: "c".into(),
            cgroup: "".into(),
        };
        let mut set = ProcessSet::default();
        assert_eq!(set.insert_all(&[process(1), process(2)]).len(), 2);
        assert_eq!(set.insert_all(&[process(1), process(2)]).len(), 0);
        assert_eq!(set.insert_all(&[process(3), process(2)]), [process(3)]);
        assert_eq!(set.insert_all(&[process(1)]).len(), 0);
        assert_eq!(set.into_vec().len(), 3);
    }
}
