//! Marked hosts, and the top hosts by a value.

use sysmon_wire::Label;
use sysmon_wire::alerts::AlertState;

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

    /// Puts the selected host first in every order, or back in its place; whether it is first now.
    pub fn pin(&mut self) -> Option<bool> {
        let name = self.selected()?.line.name.clone();
        self.hold();
        let is_pinned = !self.pinned.remove(&name);
        if is_pinned {
            self.pinned.insert(name);
        }
        self.reorder();
        Some(is_pinned)
    }

    pub fn is_pinned(&self, name: &Label) -> bool {
        self.pinned.contains(name)
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

    /// What operators did about alerts, which an answer says before the next update of the fleet does: until then a second
    /// key would mean the same again.
    pub fn set_alert_marks(&mut self, alerts: &[AlertState]) {
        for alert in alerts {
            let mut hosts = self.hosts.rows.iter_mut();
            let Some(host) = hosts.find(|host| host.line.name == alert.host) else {
                continue;
            };
            let lines = host.line.alerts.iter_mut();
            let same = lines.filter(|line| (&line.rule, line.since) == (&alert.rule, alert.since));
            for line in same {
                line.acknowledged = alert.acknowledged.as_ref().map(|who| who.by.clone());
                line.silenced.clone_from(&alert.silenced);
            }
        }
    }

    /// The host with a firing alert that follows `from` in the order shown, or precedes it; around the end.
    pub fn problem(&self, from: Option<&Label>, by: isize) -> Option<&Label> {
        let hosts: Vec<&HostRow> = self.shown().collect();
        let count = hosts.len() as isize;
        let is_here = |host: &&HostRow| Some(&host.line.name) == from;
        let here = hosts.iter().position(is_here);
        let here = here.map_or(if by > 0 { -1 } else { 0 }, |at| at as isize);
        let places = (1..=count).map(|n| (here + n * by).rem_euclid(count));
        let mut hosts = places.filter_map(|at| hosts.get(usize::try_from(at).ok()?));
        let found = hosts.find(|host| !host.line.alerts.is_empty())?;
        Some(&found.line.name)
    }

    pub fn highest(&self, place: usize, count: usize) -> Vec<Label> {
        let mut hosts: Vec<&HostRow> = self.shown().collect();
        let value = |host: &HostRow| host.value(place).unwrap_or(f64::NEG_INFINITY);
        hosts.sort_by(|a, b| value(b).total_cmp(&value(a)));
        let names = hosts.into_iter().take(count);
        names.map(|host| host.line.name.clone()).collect()
    }
}
