//! The hosts, their order, and which one is selected.

mod filter;
mod groups;
mod hosts;
mod long;
mod marks;
mod rank;
mod row;
mod sort;

use std::collections::{BTreeSet, HashMap, HashSet};

use sysmon_config::Column;
use sysmon_wire::message::{FleetUpdate, HostProcess, HostState};
use sysmon_wire::{Label, Process, UnixMs};

use super::lower::Totals;
use super::preview::PreviewPanel;
use crate::layout::scrolled_to;
use crate::model::ROW_MS;
use crate::model::window::ChartSpan;
use crate::theme::Severity;
pub use filter::{Filter, HINT};
use groups::grouped;
pub(super) use groups::{Counts, Group};
use hosts::{Changed, Hosts};
use long::LongSparks;
pub use row::HostRow;
pub use sort::Sort;

/// Time between two sorts by values: hosts report once a second, each at its own time.
const ORDER_EVERY_MS: i64 = 900;

#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    Host(&'a HostRow),
    /// Totals of the hosts with a tag; they follow unless the group is collapsed.
    Group(&'a Group),
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Host(usize),
    Group(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selected {
    Host(Label),
    Group(Option<Label>),
}

#[derive(Debug, Default)]
pub struct Fleet {
    hosts: Hosts,
    /// A new picture that is incomplete; until it is complete, the old one stays on screen.
    incoming: Option<Hosts>,
    /// Places in `hosts` of those that match the filter, in order.
    order: Vec<usize>,
    groups: Vec<Group>,
    rows: Vec<Place>,
    /// When they were last sorted by values.
    ordered_at: UnixMs,
    /// Tags of collapsed groups; at most those that were on screen.
    folded: HashSet<Option<Label>>,
    /// `None` selects the first row, whatever it is.
    selected: Option<Selected>,
    marked: BTreeSet<Label>,
    /// Hosts that are first in every order.
    pinned: BTreeSet<Label>,
    pub top: usize,
    pub sort: Sort,
    pub reverse: bool,
    pub grouped: bool,
    pub filter: String,
    pub columns: Vec<Column>,
    pub chosen: usize,
    pub(super) preview: PreviewPanel,
    pub(super) totals: Totals,
    /// The busiest process of each host, as far as it is known.
    busiest: HashMap<Label, Process>,
    /// The span of the sparklines.
    span: ChartSpan,
    long: LongSparks,
    #[cfg(test)]
    ordered: usize,
}

impl Fleet {
    pub fn new(sort: Sort, columns: Vec<Column>, pinned: &[String]) -> Self {
        Self {
            pinned: pinned.iter().map(|name| Label::new(name)).collect(),
            sort,
            columns,
            ..Self::default()
        }
    }

    /// Begins a new picture; the old one stays until [`Self::complete`].
    pub fn begin(&mut self) {
        self.incoming = Some(Hosts {
            span: self.span,
            ..Hosts::default()
        });
    }

    pub fn set_resolution(&mut self, step_ms: i64, beyond: Option<Label>) {
        let hosts = self.incoming.as_mut().unwrap_or(&mut self.hosts);
        hosts.resolution_ms = step_ms.max(ROW_MS);
        hosts.beyond = beyond;
    }

    /// The engine that rows come from, or why it cannot be asked.
    pub fn beyond(&self) -> Option<&Label> {
        self.hosts.beyond.as_ref()
    }

    /// Milliseconds between rows: more than a second where only minutes or hours are stored.
    pub fn resolution_ms(&self) -> i64 {
        self.hosts.resolution_ms
    }

    /// The span of the lines.
    pub fn span_ms(&self) -> i64 {
        self.span.ms()
    }

    /// All hosts, also those that the filter hides.
    pub fn all(&self) -> impl Iterator<Item = &HostRow> {
        self.hosts.rows.iter()
    }

    /// How many hosts the filter hides.
    pub fn hosts_hidden(&self) -> usize {
        self.hosts.rows.len() - self.order.len().min(self.hosts.rows.len())
    }

    pub fn busiest(&self, host: &Label) -> Option<&Process> {
        self.busiest.get(host)
    }

    pub(super) fn all_busiest(&self) -> impl Iterator<Item = (&str, &Process)> {
        self.busiest
            .iter()
            .map(|(host, process)| (host.as_str(), process))
    }

    /// Takes the busiest processes of the hosts; of those without one here the last is kept until it reports.
    pub(super) fn set_busiest(&mut self, processes: Vec<HostProcess>) {
        self.busiest = processes
            .into_iter()
            .map(|row| (row.host, row.process))
            .collect();
    }

    /// Shows the new picture; order, filter and selection stay.
    pub fn complete(&mut self) {
        if let Some(hosts) = self.incoming.take() {
            self.hosts = hosts;
            self.load_long();
            self.reorder();
        }
    }

    pub fn apply(&mut self, update: FleetUpdate) {
        if let Some(incoming) = &mut self.incoming {
            incoming.apply(update);
            return;
        }
        let now = update.now;
        let changed = self.hosts.apply(update);
        let is_due = !(0..ORDER_EVERY_MS).contains(&(now - self.ordered_at));
        if self.depends_on(changed) || (is_due && self.is_of_values()) {
            self.ordered_at = now;
            self.reorder();
        }
    }

    /// Whether the rows have to be sorted at once.
    fn depends_on(&self, changed: Changed) -> bool {
        let by_standing = self.sort == Sort::Worst || Filter::new(&self.filter).is_of_states();
        changed.lines || (by_standing && changed.standing)
    }

    fn is_of_values(&self) -> bool {
        self.grouped || matches!(self.sort, Sort::Value(_))
    }

    /// Sorts and filters again, after `sort`, `reverse`, `grouped` or `filter` changed.
    pub fn reorder(&mut self) {
        #[cfg(test)]
        {
            self.ordered += 1;
        }
        let filter = Filter::new(&self.filter);
        let hosts = &self.hosts.rows;
        let fitting = hosts.iter().enumerate();
        let mut order: Vec<(u8, usize, &HostRow)> = fitting
            .filter_map(|(at, host)| Some((filter.badness(host)?, at, host)))
            .collect();
        let (sort, is_reversed) = (self.sort, self.reverse);
        let pinned = |host: &HostRow| self.is_pinned(&host.line.name);
        order.sort_by(|(a_fit, _, a), (b_fit, _, b)| {
            let ordering = sort.compare(a, b);
            let ordering = if is_reversed {
                ordering.reverse()
            } else {
                ordering
            };
            let pinned = pinned(b).cmp(&pinned(a));
            a_fit.cmp(b_fit).then(pinned).then(ordering)
        });
        self.order = order.into_iter().map(|(_, at, _)| at).collect();
        self.groups = Vec::new();
        if self.grouped {
            self.groups = grouped(hosts, &self.order, sort, is_reversed);
        }
        self.lay_out();
    }

    fn lay_out(&mut self) {
        self.rows.clear();
        if !self.grouped {
            self.rows
                .extend(self.order.iter().copied().map(Place::Host));
        }
        for (at, group) in self.groups.iter_mut().enumerate() {
            group.is_folded = self.folded.contains(&group.tag);
            self.rows.push(Place::Group(at));
            if !group.is_folded {
                self.rows
                    .extend(group.hosts.iter().copied().map(Place::Host));
            }
        }
        if self.selected.is_some() && self.selected_at().is_none() {
            self.selected = self.group_of_selected();
        }
    }

    fn group_of_selected(&self) -> Option<Selected> {
        let Some(Selected::Host(name)) = &self.selected else {
            return None;
        };
        let is_it = |at: &usize| {
            let host = self.hosts.rows.get(*at);
            host.is_some_and(|host| host.line.name == *name)
        };
        let mut folded = self.groups.iter().filter(|group| group.is_folded);
        let group = folded.find(|group| group.hosts.iter().any(is_it))?;
        Some(Selected::Group(group.tag.clone()))
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().filter_map(|place| self.row(*place))
    }

    fn row(&self, place: Place) -> Option<Row<'_>> {
        match place {
            Place::Host(at) => self.hosts.rows.get(at).map(Row::Host),
            Place::Group(at) => self.groups.get(at).map(Row::Group),
        }
    }

    pub fn rows_len(&self) -> usize {
        self.rows.len()
    }

    /// The groups, in order; none unless hosts are grouped.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The hosts that match the filter, in order, also those of collapsed groups.
    pub fn shown(&self) -> impl Iterator<Item = &HostRow> {
        self.order.iter().filter_map(|&at| self.hosts.rows.get(at))
    }

    pub fn shown_len(&self) -> usize {
        self.order.len()
    }

    pub fn names(&self) -> impl Iterator<Item = &Label> {
        self.hosts.rows.iter().map(|host| &host.line.name)
    }

    pub fn host(&self, name: &Label) -> Option<&HostRow> {
        self.hosts.rows.iter().find(|host| host.line.name == *name)
    }

    pub fn selected(&self) -> Option<&HostRow> {
        match self.selected_row()? {
            Row::Host(host) => Some(host),
            Row::Group(_) => None,
        }
    }

    pub fn selected_group(&self) -> Option<&Group> {
        match self.selected_row()? {
            Row::Group(group) => Some(group),
            Row::Host(_) => None,
        }
    }

    fn selected_row(&self) -> Option<Row<'_>> {
        let place = self.rows.get(self.selected_at()?)?;
        self.row(*place)
    }

    pub fn selected_at(&self) -> Option<usize> {
        let Some(selected) = &self.selected else {
            return (!self.rows.is_empty()).then_some(0);
        };
        self.rows().position(|row| match (row, selected) {
            (Row::Host(host), Selected::Host(name)) => host.line.name == *name,
            (Row::Group(group), Selected::Group(tag)) => group.tag == *tag,
            _ => false,
        })
    }

    pub fn select(&mut self, at: usize) {
        let at = at.min(self.rows.len().saturating_sub(1));
        let row = self.rows.get(at).and_then(|place| self.row(*place));
        self.selected = row.map(|row| match row {
            Row::Host(host) => Selected::Host(host.line.name.clone()),
            Row::Group(group) => Selected::Group(group.tag.clone()),
        });
    }

    pub fn select_host(&mut self, name: &Label) {
        let is_it = |row: Row<'_>| matches!(row, Row::Host(host) if host.line.name == *name);
        let at = self.rows().position(is_it);
        if let Some(at) = at {
            self.select(at);
        }
    }

    /// Selects the first row, also when it becomes another.
    pub fn select_first(&mut self) {
        self.selected = None;
    }

    pub fn hold(&mut self) {
        if let Some(at) = self.selected_at() {
            self.select(at);
        }
    }

    pub fn move_by(&mut self, rows: isize) {
        let at = self.selected_at().unwrap_or(0);
        self.select(at.saturating_add_signed(rows));
    }

    /// Collapses or expands the selected group; returns whether a group is selected.
    pub fn fold(&mut self) -> bool {
        let Some(tag) = self.selected_group().map(|group| group.tag.clone()) else {
            return false;
        };
        self.hold();
        if !self.folded.remove(&tag) {
            self.folded.insert(tag);
        }
        self.lay_out();
        true
    }

    /// Collapses all groups, or expands them if they are collapsed; returns whether they are collapsed now.
    pub fn fold_all(&mut self) -> bool {
        let fold = self.groups.iter().any(|group| !group.is_folded);
        self.folded.clear();
        if fold {
            let tags = self.groups.iter().map(|group| group.tag.clone());
            self.folded = tags.collect();
        }
        self.hold();
        self.lay_out();
        fold
    }

    pub fn scroll_to_selected(&mut self, height: usize) {
        let at = self.selected_at().unwrap_or(0);
        self.top = scrolled_to(at, self.top, self.rows.len(), height);
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for host in &self.hosts.rows {
            counts.add(host);
        }
        counts
    }

    /// Hosts with a critical alert, with a warning at most, and whether all critical ones are acknowledged or silenced.
    pub fn firing(&self) -> (usize, usize, bool) {
        let of = |severity| {
            let is_it = move |host: &&HostRow| host.severity() == severity;
            self.hosts.rows.iter().filter(is_it)
        };
        let is_taken = of(Severity::Critical)
            .flat_map(|host| &host.line.alerts)
            .filter(|alert| Severity::from(alert.severity) == Severity::Critical)
            .all(|alert| alert.acknowledged.is_some() || alert.silenced.is_some());
        let (critical, warning) = (of(Severity::Critical), of(Severity::Warning));
        (critical.count(), warning.count(), is_taken)
    }

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

    pub fn newest(&self) -> Option<UnixMs> {
        self.hosts
            .rows
            .iter()
            .map(|host| host.tick.time)
            .max()
            .filter(|time| time.0 > 0)
    }
}

#[cfg(test)]
mod tests;
