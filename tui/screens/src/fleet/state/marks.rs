//! Marked hosts, and the top hosts by a value.

use sysmon_wire::Label;

use super::{Fleet, HostRow};

impl Fleet {
    pub fn mark(&mut self) {
        let Some(name) = self.selected().map(|host| host.line.name.clone()) else {
            return;
        };
        self.hold();
        if !self.marked.remove(&name) {
            self.marked.insert(name);
        }
    }

    pub fn unmark(&mut self) {
        self.marked.clear();
    }

    pub fn is_marked(&self, name: &Label) -> bool {
        self.marked.contains(name)
    }

    pub fn marked(&self) -> impl Iterator<Item = &Label> {
        self.marked.iter().filter(|name| self.host(name).is_some())
    }

    pub fn highest(&self, place: usize, count: usize) -> Vec<Label> {
        let mut hosts: Vec<&HostRow> = self.shown().collect();
        let value = |host: &HostRow| host.value(place).unwrap_or(f64::NEG_INFINITY);
        hosts.sort_by(|a, b| value(b).total_cmp(&value(a)));
        let names = hosts.into_iter().take(count);
        names.map(|host| host.line.name.clone()).collect()
    }
}
