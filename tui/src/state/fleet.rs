//! The fleet as the hub tells it: hosts, their order, and which is selected.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use sysmon_wire::limits::HOSTS_MAX;
use sysmon_wire::message::{FleetUpdate, HostLine, HostState, HostTick};
use sysmon_wire::metrics::{ALIASES, SUMMARY, unscale};
use sysmon_wire::{ABSENT, Label, UnixMs};

use super::ROWS_MS;
use super::spark::SparkLine;
use crate::theme::Severity;

/// Milliseconds a cell of a sparkline stands for.
pub const SPARK_STEP_MS: u32 = 5_000;

/// Points of history asked for with the first picture: 10 minutes.
pub const SPARK_POINTS: u16 = 120;

/// Places of values in a host's line.
pub const CPU: usize = 0;
/// Share of memory in use.
pub const MEMORY: usize = 1;
/// Load over one minute.
pub const LOAD: usize = 2;
/// Bytes received a second.
pub const RECEIVED: usize = 3;
/// Bytes transmitted a second.
pub const TRANSMITTED: usize = 4;
/// Bytes read from disks a second.
pub const READ: usize = 5;
/// Bytes written to disks a second.
pub const WRITTEN: usize = 6;
/// Share of the fullest filesystem in use.
pub const FILESYSTEM: usize = 7;
/// Degrees of the hottest sensor.
pub const TEMPERATURE: usize = 8;

/// One host of the fleet.
#[derive(Clone, Debug)]
pub struct HostRow {
    /// What is known of it.
    pub line: HostLine,
    /// Its newest values.
    pub tick: HostTick,
    /// History of its CPU.
    pub cpu: SparkLine,
    /// History of bytes received.
    pub received: SparkLine,
}

impl HostRow {
    fn new(line: HostLine, step: i64) -> Self {
        let tick = HostTick {
            index: line.index,
            state: HostState::Offline,
            time: UnixMs(0),
            values: vec![ABSENT; SUMMARY],
        };
        Self {
            line,
            tick,
            cpu: SparkLine::new(step),
            received: SparkLine::new(step),
        }
    }

    fn take(&mut self, tick: HostTick) {
        if tick.time > self.tick.time {
            let value = |place: usize| tick.values.get(place).copied().unwrap_or(ABSENT);
            self.cpu.push(tick.time, value(CPU));
            self.received.push(tick.time, value(RECEIVED));
        }
        self.tick = tick;
    }

    /// A value of its line in its real unit.
    pub fn value(&self, place: usize) -> Option<f64> {
        let value = self
            .tick
            .values
            .get(place)
            .copied()
            .filter(|value| *value != ABSENT)?;
        Some(unscale(value, ALIASES.get(place)?.metric.scale))
    }

    /// How bad one of its values is: memory or disk nearly full, a processor that is never idle,
    /// twice as many runnable tasks as processors.
    pub fn severity_of(&self, place: usize) -> Severity {
        let Some(value) = self
            .value(place)
            .filter(|_| self.tick.state == HostState::Live)
        else {
            return Severity::None;
        };
        let (warning, critical) = match place {
            CPU => (0.90, 0.97),
            MEMORY => (0.90, 0.97),
            FILESYSTEM => (0.90, 0.97),
            LOAD => {
                let processors = f64::from(self.line.facts.cpus.max(1));
                (processors * 2.0, processors * 8.0)
            }
            TEMPERATURE => (85.0, 95.0),
            _ => return Severity::None,
        };
        if value >= critical {
            Severity::Critical
        } else if value >= warning {
            Severity::Warning
        } else {
            Severity::None
        }
    }

    /// How bad the worst of its values and alerts is.
    pub fn severity(&self) -> Severity {
        let alerts = self.line.alerts.iter().map(|alert| match alert.severity {
            sysmon_wire::message::Severity::Warning => Severity::Warning,
            sysmon_wire::message::Severity::Critical => Severity::Critical,
        });
        (0..SUMMARY)
            .map(|place| self.severity_of(place))
            .chain(alerts)
            .max()
            .unwrap_or(Severity::None)
    }
}

/// What hosts are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Their name.
    #[default]
    Name,
    /// How bad they are, worst first.
    Severity,
    /// A value of their line, highest first.
    Value(usize),
}

impl Sort {
    /// Every way to sort, in the order they are gone through, with the heading it belongs to.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Name, "name"),
        (Self::Severity, "worst"),
        (Self::Value(CPU), "cpu"),
        (Self::Value(MEMORY), "memory"),
        (Self::Value(LOAD), "load"),
        (Self::Value(RECEIVED), "network"),
        (Self::Value(READ), "disk"),
        (Self::Value(FILESYSTEM), "filesystem"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(sort, _)| *sort == self);
        match (known, self) {
            (Some((_, name)), _) => name,
            // By a column's heading hosts can be sorted by any value.
            (None, Self::Value(place)) => ALIASES.get(place).map_or("value", |alias| alias.alias),
            (None, _) => "value",
        }
    }

    /// The way after this one.
    pub fn next(self) -> Self {
        let at = Self::ALL
            .iter()
            .position(|(sort, _)| *sort == self)
            .unwrap_or(0);
        Self::ALL
            .get((at + 1) % Self::ALL.len())
            .map_or(Self::Name, |(sort, _)| *sort)
    }
}

/// How many hosts are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub hosts: usize,
    /// Reporting.
    pub live: usize,
    /// Silent for some seconds.
    pub stale: usize,
    /// Silent for longer.
    pub offline: usize,
    /// With a warning as the worst.
    pub warning: usize,
    /// With something critical.
    pub critical: usize,
}

/// Hosts as the hub tells them.
#[derive(Clone, Debug)]
struct Hosts {
    rows: Vec<HostRow>,
    /// Milliseconds from one row of each to the next.
    resolution_ms: i64,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            resolution_ms: ROWS_MS,
        }
    }
}

impl Hosts {
    /// Milliseconds a cell of a sparkline stands for.
    fn spark_step_ms(&self) -> i64 {
        self.resolution_ms.max(i64::from(SPARK_STEP_MS))
    }

    fn find(&mut self, index: u32) -> Option<&mut HostRow> {
        self.rows.iter_mut().find(|host| host.line.index == index)
    }

    fn apply(&mut self, update: FleetUpdate) {
        for line in update.lines {
            if let Some(host) = self.find(line.index) {
                host.line = line;
            } else if self.rows.len() < HOSTS_MAX {
                let step = self.spark_step_ms();
                self.rows.push(HostRow::new(line, step));
            }
        }
        // Ticks come in the order of the hosts, so each is looked for after the one before.
        let mut at = 0;
        for tick in update.ticks {
            let of_it = |host: &HostRow| host.line.index == tick.index;
            let after = self.rows.get(at..).unwrap_or_default();
            let found = after.iter().position(of_it).map(|n| at + n);
            let Some(place) = found.or_else(|| self.rows.iter().position(of_it)) else {
                continue;
            };
            at = place + 1;
            if let Some(host) = self.rows.get_mut(place) {
                host.take(tick);
            }
        }
        for spark in update.sparks {
            let Some(host) = self.find(spark.index) else {
                continue;
            };
            match usize::from(spark.alias) {
                CPU => host.cpu.load(spark.end, &spark.points),
                RECEIVED => host.received.load(spark.end, &spark.points),
                _ => {}
            }
        }
    }
}

/// All hosts and how they are shown.
#[derive(Clone, Debug, Default)]
pub struct FleetState {
    hosts: Hosts,
    /// A new picture that is not whole yet; until it is, the one before stays on screen.
    incoming: Option<Hosts>,
    /// Places in `hosts` of those shown, in the order shown.
    order: Vec<usize>,
    selected: Option<Label>,
    /// Names of hosts that were marked, each once one of those known.
    marked: BTreeSet<Label>,
    /// The first row on screen.
    pub top: usize,
    /// What the hosts are sorted by.
    pub sort: Sort,
    /// Whether the order is turned around.
    pub reverse: bool,
    /// What a host's name or tags must hold to be shown.
    pub filter: String,
}

impl FleetState {
    /// Begins a new picture.
    pub fn begin(&mut self) {
        self.incoming = Some(Hosts::default());
    }

    /// Takes how far rows are apart in the new picture.
    pub fn set_resolution(&mut self, step_ms: i64) {
        let hosts = self.incoming.as_mut().unwrap_or(&mut self.hosts);
        hosts.resolution_ms = step_ms.max(ROWS_MS);
    }

    /// Milliseconds from one row to the next: more than a second where only minutes or hours are kept.
    pub fn resolution_ms(&self) -> i64 {
        self.hosts.resolution_ms
    }

    /// Milliseconds a cell of a sparkline stands for.
    pub fn spark_step_ms(&self) -> i64 {
        self.hosts.spark_step_ms()
    }

    /// Shows the new picture, now that it is whole; how hosts are shown and selected stays.
    pub fn complete(&mut self) {
        if let Some(hosts) = self.incoming.take() {
            self.hosts = hosts;
            self.reorder();
        }
    }

    /// Takes what the hub says.
    pub fn apply(&mut self, update: FleetUpdate) {
        if let Some(incoming) = &mut self.incoming {
            incoming.apply(update);
            return;
        }
        let reorder = !update.lines.is_empty() || self.sort != Sort::Name;
        self.hosts.apply(update);
        if reorder {
            self.reorder();
        }
    }

    /// Puts the hosts in order anew, after `sort`, `reverse` or `filter` changed.
    pub fn reorder(&mut self) {
        let wanted = self.filter.to_lowercase();
        let hosts = &self.hosts.rows;
        let mut order: Vec<usize> = (0..hosts.len())
            .filter(|&at| hosts.get(at).is_some_and(|host| matches(host, &wanted)))
            .collect();
        order.sort_by(|&a, &b| match (hosts.get(a), hosts.get(b)) {
            (Some(a), Some(b)) => {
                let ordering = compare(a, b, self.sort);
                if self.reverse {
                    ordering.reverse()
                } else {
                    ordering
                }
            }
            _ => Ordering::Equal,
        });
        self.order = order;
        if self.selected_at().is_none() {
            self.select(0);
        }
    }

    /// The hosts shown, in order.
    pub fn shown(&self) -> impl Iterator<Item = &HostRow> {
        self.order.iter().filter_map(|&at| self.hosts.rows.get(at))
    }

    /// How many hosts are shown.
    pub fn shown_len(&self) -> usize {
        self.order.len()
    }

    /// Names of all hosts, shown or not.
    pub fn names(&self) -> impl Iterator<Item = &Label> {
        self.hosts.rows.iter().map(|host| &host.line.name)
    }

    /// A host by name.
    pub fn host(&self, name: &Label) -> Option<&HostRow> {
        self.hosts.rows.iter().find(|host| host.line.name == *name)
    }

    /// The selected host.
    pub fn selected(&self) -> Option<&HostRow> {
        self.selected.as_ref().and_then(|name| self.host(name))
    }

    /// Where the selected host stands among those shown.
    pub fn selected_at(&self) -> Option<usize> {
        let name = self.selected.as_ref()?;
        self.shown().position(|host| host.line.name == *name)
    }

    /// Selects the host at a place among those shown, or the nearest.
    pub fn select(&mut self, at: usize) {
        let at = at.min(self.order.len().saturating_sub(1));
        let name = self.shown().nth(at).map(|host| host.line.name.clone());
        self.selected = name;
    }

    /// Marks the selected host, or no longer.
    pub fn mark(&mut self) {
        if let Some(name) = self.selected.clone()
            && !self.marked.remove(&name)
        {
            self.marked.insert(name);
        }
    }

    /// Marks none.
    pub fn unmark(&mut self) {
        self.marked.clear();
    }

    /// Whether a host is marked.
    pub fn is_marked(&self, name: &Label) -> bool {
        self.marked.contains(name)
    }

    /// The marked hosts that there are, in the order of their names.
    pub fn marked(&self) -> impl Iterator<Item = &Label> {
        self.marked.iter().filter(|name| self.host(name).is_some())
    }

    /// The hosts shown that are highest in a value of their line, the highest first.
    pub fn highest(&self, place: usize, count: usize) -> Vec<Label> {
        let mut hosts: Vec<&HostRow> = self.shown().collect();
        let value = |host: &HostRow| host.value(place).unwrap_or(f64::NEG_INFINITY);
        hosts.sort_by(|a, b| value(b).total_cmp(&value(a)));
        let names = hosts.into_iter().take(count);
        names.map(|host| host.line.name.clone()).collect()
    }

    /// Moves the selection.
    pub fn move_by(&mut self, rows: isize) {
        let at = self.selected_at().unwrap_or(0);
        self.select(at.saturating_add_signed(rows));
    }

    /// Keeps the selected row among the `height` rows on screen.
    pub fn scroll(&mut self, height: usize) {
        let at = self.selected_at().unwrap_or(0);
        let last_top = self.order.len().saturating_sub(height);
        self.top = self
            .top
            .min(at)
            .max((at + 1).saturating_sub(height))
            .min(last_top);
    }

    /// How many hosts are in which state.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            hosts: self.hosts.rows.len(),
            ..Counts::default()
        };
        for host in &self.hosts.rows {
            match host.tick.state {
                HostState::Live => counts.live += 1,
                HostState::Stale => counts.stale += 1,
                HostState::Offline => counts.offline += 1,
            }
            match host.severity() {
                Severity::None => {}
                Severity::Warning => counts.warning += 1,
                Severity::Critical => counts.critical += 1,
            }
        }
        counts
    }

    /// The mean of a value over all live hosts.
    pub fn mean(&self, place: usize) -> Option<f64> {
        let live = self
            .hosts
            .rows
            .iter()
            .filter(|host| host.tick.state == HostState::Live);
        let (mut sum, mut count) = (0.0, 0u32);
        for value in live.filter_map(|host| host.value(place)) {
            sum += value;
            count += 1;
        }
        (count > 0).then(|| sum / f64::from(count))
    }

    /// When the newest row of any host was taken.
    pub fn newest(&self) -> Option<UnixMs> {
        self.hosts
            .rows
            .iter()
            .map(|host| host.tick.time)
            .max()
            .filter(|time| time.0 > 0)
    }
}

/// Whether every letter asked for is in the name or a tag, in order.
fn matches(host: &HostRow, wanted: &str) -> bool {
    let tags = host.line.facts.tags.iter();
    wanted.is_empty()
        || std::iter::once(&host.line.name)
            .chain(tags)
            .any(|text| fuzzy(text.as_str(), wanted))
}

/// Whether the wanted letters, lower case, are in a text in this order.
pub(crate) fn fuzzy(text: &str, wanted: &str) -> bool {
    let mut letters = text.chars().flat_map(char::to_lowercase);
    wanted.chars().all(|letter| letters.any(|l| l == letter))
}

fn compare(a: &HostRow, b: &HostRow, sort: Sort) -> Ordering {
    let by_name = || natural(a.line.name.as_str(), b.line.name.as_str());
    match sort {
        Sort::Name => by_name(),
        Sort::Severity => {
            let badness = |host: &HostRow| (host.severity(), host.tick.state);
            badness(b).cmp(&badness(a)).then_with(by_name)
        }
        Sort::Value(place) => {
            let value = |host: &HostRow| host.value(place).unwrap_or(f64::NEG_INFINITY);
            value(b).total_cmp(&value(a)).then_with(by_name)
        }
    }
}

/// Names with numbers in them in the order of the numbers: web-2 before web-10.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (Some(x), Some(y)) = (a.chars().next(), b.chars().next()) else {
            return a.len().cmp(&b.len());
        };
        let ordering = if x.is_ascii_digit() && y.is_ascii_digit() {
            let digits = |text: &str| {
                text.find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(text.len())
            };
            let (n, m) = (digits(a), digits(b));
            let number = |text: &str, n: usize| {
                text.get(..n)
                    .unwrap_or_default()
                    .trim_start_matches('0')
                    .to_owned()
            };
            let (p, q) = (number(a, n), number(b, m));
            a = a.get(n..).unwrap_or_default();
            b = b.get(m..).unwrap_or_default();
            p.len().cmp(&q.len()).then(p.cmp(&q))
        } else {
            a = a.get(x.len_utf8()..).unwrap_or_default();
            b = b.get(y.len_utf8()..).unwrap_or_default();
            x.cmp(&y)
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fleet_update;

    fn names(fleet: &FleetState) -> Vec<String> {
        fleet
            .shown()
            .map(|host| host.line.name.to_string())
            .collect()
    }

    #[test]
    fn hosts_are_in_natural_order_and_can_be_sorted_and_filtered() {
        let mut fleet = FleetState::default();
        fleet.apply(fleet_update(&[
            ("web-10", 100),
            ("web-2", 990),
            ("db-1", 500),
        ]));
        assert_eq!(names(&fleet), ["db-1", "web-2", "web-10"]);
        fleet.sort = Sort::Value(CPU);
        fleet.reorder();
        assert_eq!(names(&fleet), ["web-2", "db-1", "web-10"]);
        fleet.reverse = true;
        fleet.reorder();
        assert_eq!(names(&fleet)[0], "web-10");
        fleet.filter = "w1".to_owned();
        fleet.reorder();
        assert_eq!(names(&fleet), ["web-10"]);
    }

    #[test]
    fn the_selection_stays_on_its_host_when_the_order_changes() {
        let mut fleet = FleetState::default();
        fleet.apply(fleet_update(&[("a", 100), ("b", 200), ("c", 300)]));
        fleet.select(2);
        fleet.sort = Sort::Value(CPU);
        fleet.reorder();
        assert_eq!(fleet.selected().unwrap().line.name, "c");
        assert_eq!(fleet.selected_at(), Some(0));
        fleet.move_by(100);
        assert_eq!(fleet.selected().unwrap().line.name, "a");
        fleet.scroll(2);
        assert_eq!(fleet.top, 1);
    }

    #[test]
    fn severity_is_of_the_worst_value_of_a_live_host() {
        let mut fleet = FleetState::default();
        fleet.apply(fleet_update(&[("a", 980), ("b", 910), ("c", 100)]));
        let counts = fleet.counts();
        assert_eq!((counts.critical, counts.warning, counts.live), (1, 1, 3));
    }
}
