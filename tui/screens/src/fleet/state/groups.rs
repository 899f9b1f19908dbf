//! Hosts grouped by their first tag, with totals.

use std::cmp::Ordering;
use std::collections::HashMap;

use sysmon_wire::Label;
use sysmon_wire::message::HostState;
use sysmon_wire::metrics::SUMMARY;

use super::row::HostRow;
use super::sort::{Sort, natural};
use crate::model::summary::{FILESYSTEM, READ, RECEIVED, TEMPERATURE, TRANSMITTED, WRITTEN};
use crate::theme::Severity;

const UNTAGGED: &str = "untagged";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub hosts: usize,
    pub live: usize,
    pub stale: usize,
    pub offline: usize,
    /// Hosts whose first row is later than the moment shown.
    pub unrecorded: usize,
    pub warning: usize,
    pub critical: usize,
}

impl Counts {
    pub(super) fn add(&mut self, host: &HostRow) {
        self.hosts += 1;
        match host.tick.state {
            HostState::Live => self.live += 1,
            HostState::Stale => self.stale += 1,
            HostState::Offline if host.is_unrecorded() => self.unrecorded += 1,
            HostState::Offline => self.offline += 1,
        }
        match host.severity() {
            Severity::None => {}
            Severity::Warning => self.warning += 1,
            Severity::Critical => self.critical += 1,
        }
    }

    pub fn severity(&self) -> Severity {
        match (self.critical, self.warning) {
            (1.., _) => Severity::Critical,
            (0, 1..) => Severity::Warning,
            (0, 0) => Severity::None,
        }
    }
}

/// Hosts with the same first tag.
#[derive(Clone, Debug)]
pub struct Group {
    /// The tag; none for hosts without one.
    pub tag: Option<Label>,
    pub counts: Counts,
    pub is_folded: bool,
    pub(super) hosts: Vec<usize>,
    level: u8,
    totals: [Total; SUMMARY],
}

#[derive(Clone, Copy, Debug, Default)]
struct Total {
    sum: f64,
    highest: f64,
    count: u32,
}

impl Group {
    fn new(tag: Option<Label>) -> Self {
        Self {
            tag,
            counts: Counts::default(),
            is_folded: false,
            hosts: Vec::new(),
            level: 0,
            totals: [Total::default(); SUMMARY],
        }
    }

    fn add(&mut self, at: usize, host: &HostRow) {
        self.hosts.push(at);
        self.counts.add(host);
        self.level = self.level.max(host.rank.level());
        if host.tick.state != HostState::Live {
            return;
        }
        for (place, total) in self.totals.iter_mut().enumerate() {
            if let Some(value) = host.value(place) {
                total.sum += value;
                total.highest = total.highest.max(value);
                total.count += 1;
            }
        }
    }

    pub fn name(&self) -> &str {
        self.tag.as_ref().map_or(UNTAGGED, Label::as_str)
    }

    /// A value of its live hosts: the sum of network and disk rates, the maximum of
    /// filesystems and temperatures, the mean of all others.
    pub fn value(&self, place: usize) -> Option<f64> {
        let total = self.totals.get(place).filter(|total| total.count > 0)?;
        Some(match place {
            RECEIVED | TRANSMITTED | READ | WRITTEN => total.sum,
            FILESYSTEM | TEMPERATURE => total.highest,
            _ => total.sum / f64::from(total.count),
        })
    }

    fn compare(&self, other: &Self, sort: Sort) -> Ordering {
        let first = match sort {
            Sort::Name => Ordering::Equal,
            Sort::Worst => other.level.cmp(&self.level),
            Sort::Value(place) => {
                let value = |group: &Self| group.value(place).unwrap_or(f64::NEG_INFINITY);
                value(other).total_cmp(&value(self))
            }
        };
        // Hosts without a tag come last.
        let by_name = || {
            let last = |group: &Self| group.tag.is_none();
            let names = || natural(self.name(), other.name());
            last(self).cmp(&last(other)).then_with(names)
        };
        first.then_with(by_name)
    }
}

pub(super) fn grouped(
    hosts: &[HostRow],
    order: &[usize],
    sort: Sort,
    is_reversed: bool,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<Option<&Label>, usize> = HashMap::new();
    for &at in order {
        let Some(host) = hosts.get(at) else {
            continue;
        };
        let tag = host.line.facts.tags.first();
        let place = *places.entry(tag).or_insert_with(|| {
            groups.push(Group::new(tag.cloned()));
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            group.add(at, host);
        }
    }
    groups.sort_by(|a, b| {
        let (a, b) = if is_reversed { (b, a) } else { (a, b) };
        a.compare(b, sort)
    });
    groups
}
