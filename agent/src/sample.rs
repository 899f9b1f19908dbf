//! What a source gives for one moment.

use std::collections::HashSet;

use sysmon_wire::{ProcessIdentity, SeriesKey};

/// All series of a run so far, their values in one sample, and the processes those name.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The series, which only ever become more.
    pub series: &'a [SeriesKey],
    /// Their values, by index.
    pub values: &'a [i64],
    /// The processes whose [`ProcessIdentity::id`] is among the values.
    pub processes: &'a [ProcessIdentity],
}

/// The processes that were told of, so that each is told once.
#[derive(Debug, Default)]
pub struct Named {
    ids: HashSet<i64>,
    all: Vec<ProcessIdentity>,
    /// The ids of the sample before, which are mostly those of the next.
    last: Vec<ProcessIdentity>,
}

impl Named {
    /// Those of `processes` that are new.
    pub fn take_new(&mut self, processes: &[ProcessIdentity]) -> Vec<ProcessIdentity> {
        if self.last == processes {
            return Vec::new();
        }
        self.last = processes.to_vec();
        let new = processes
            .iter()
            .filter(|process| self.ids.insert(process.id()));
        let new: Vec<_> = new.cloned().collect();
        self.all.extend_from_slice(&new);
        new
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them.
    pub fn into_all(self) -> Vec<ProcessIdentity> {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::UnixMs;

    #[test]
    fn each_process_is_told_once() {
        let process = |pid| ProcessIdentity {
            pid,
            start: UnixMs(1),
            user: "u".into(),
            command: "c".into(),
            cgroup: "".into(),
        };
        let mut named = Named::default();
        assert_eq!(named.take_new(&[process(1), process(2)]).len(), 2);
        assert_eq!(named.take_new(&[process(1), process(2)]).len(), 0);
        assert_eq!(named.take_new(&[process(3), process(2)]), [process(3)]);
        assert_eq!(named.take_new(&[process(1)]).len(), 0);
        assert_eq!(named.into_all().len(), 3);
    }
}
