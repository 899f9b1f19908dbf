//! The rules on one host: which series each uses, and its state on them.

mod changes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sysmon_wire::{ABSENT, LimitGauge, SeriesKey, UnixMs};

use super::matching::{about, bounding, is_of, is_related, matching};
use super::probe::{Need, Probe};
use super::state::State;
use super::watch::{GONE_MS, TermProbes, Watch};
use super::{HostRow, SeriesKeys};
use crate::baseline::Baseline;
use crate::rule::{Bound, Condition, Measure, Rule, Term};
use crate::{Alert, Transition};

/// Pairs of rule and series on one host.
const WATCHES_MAX: usize = 512;

/// Name of that limit.
pub const WATCHES: &str = "alert watches";

/// Spreads the costly work of hosts that report together.
fn phase_of(row: &HostRow<'_>) -> i64 {
    i64::from(row.id.0).wrapping_mul(7_919)
}

#[derive(Debug)]
pub(super) struct Host {
    /// The epoch of the keys that were matched with rules; none if all have to be matched.
    matched: Option<u64>,
    /// The series that rules are about and that are not watched, because they have no value or there are too many; true
    /// for those that the limit has counted.
    waiting: BTreeMap<u32, bool>,
    /// The series that further conditions and limits of rules may be about.
    related: BTreeSet<u32>,
    limit: LimitGauge,
    probes: Vec<Probe>,
    /// The series of each probe.
    probe_keys: Vec<Arc<SeriesKey>>,
    watches: Vec<Watch>,
    /// States of the rules about the host as a whole, by index of the rule.
    whole: Vec<(usize, State)>,
    /// Alerts that fired before a restart or under a changed rule, and that no series has claimed yet.
    restored: Vec<Alert>,
    first_row: Option<UnixMs>,
    /// How often a key was matched with the rules.
    #[cfg(test)]
    pub(super) looked_at: usize,
}

impl Host {
    pub(super) fn new(restored: Vec<Alert>) -> Self {
        Self {
            matched: None,
            waiting: BTreeMap::new(),
            related: BTreeSet::new(),
            limit: LimitGauge::new(WATCHES, WATCHES_MAX),
            probes: Vec::new(),
            probe_keys: Vec::new(),
            watches: Vec::new(),
            whole: Vec::new(),
            restored,
            first_row: None,
            #[cfg(test)]
            looked_at: 0,
        }
    }

    /// How many series are watched, and how many could not be.
    pub(super) fn limit(&self) -> &LimitGauge {
        &self.limit
    }

    pub(super) fn used_series(&mut self, rules: &[Rule], row: &HostRow<'_>) -> Vec<u32> {
        self.match_series(rules, row);
        let mut series: Vec<u32> = self.probes.iter().map(|probe| probe.series).collect();
        series.sort_unstable();
        series.dedup();
        series
    }

    /// Evaluates a row from before a restart. Alerts that fired before it stay as they are.
    pub(super) fn recall(&mut self, rules: &[Rule], row: &HostRow<'_>) {
        for probe in &mut self.probes {
            probe.add(row.time, row.values);
        }
        let probes = &self.probes;
        for watch in self
            .watches
            .iter_mut()
            .filter(|watch| !watch.state.is_restored)
        {
            if let Some(rule) = rules.get(watch.rule) {
                watch.evaluate(rule, probes, row);
            }
        }
    }

    /// Alerts that fire after recalled rows only.
    pub(super) fn recalled(&self) -> impl Iterator<Item = &Alert> {
        let states = self.watches.iter().map(|watch| &watch.state);
        let new = states.filter(|state| !state.is_restored);
        new.filter_map(|state| state.firing.as_ref())
    }

    pub(super) fn observe(&mut self, rules: &[Rule], row: &HostRow<'_>) -> Vec<Transition> {
        self.match_series(rules, row);
        self.watch_waiting(rules, row);
        for probe in &mut self.probes {
            probe.add(row.time, row.values);
        }
        let mut transitions = Vec::new();
        let probes = &self.probes;
        for watch in &mut self.watches {
            if let Some(rule) = rules.get(watch.rule) {
                transitions.extend(watch.evaluate(rule, probes, row));
            }
        }
        self.resolve_gone(rules, row.time, &mut transitions);
        self.forget_gone(row.time);
        transitions
    }

    /// Stops watching series that no longer exist; they wait until they have a value again.
    fn forget_gone(&mut self, now: UnixMs) {
        let gone = self.watches.extract_if(.., |watch| watch.is_gone(now));
        let gone: Vec<u32> = gone.map(|watch| watch.series).collect();
        if gone.is_empty() {
            return;
        }
        for series in gone {
            self.wait_for(series, false);
        }
        self.limit.set_current(self.watches.len());
        self.drop_unused_probes();
    }

    fn wait_for(&mut self, series: u32, is_counted: bool) {
        *self.waiting.entry(series).or_default() |= is_counted;
    }

    fn drop_unused_probes(&mut self) {
        let terms = || self.watches.iter().flat_map(|watch| &watch.terms);
        let mut is_used = vec![false; self.probes.len()];
        for at in terms().flat_map(|term| term.probes.iter().chain(&term.bound)) {
            if let Some(used) = is_used.get_mut(*at) {
                *used = true;
            }
        }
        let mut places = Vec::with_capacity(is_used.len());
        let mut next = 0;
        for used in &is_used {
            places.push(next);
            next += usize::from(*used);
        }
        let mut used = is_used.iter();
        self.probes.retain(|_| used.next() == Some(&true));
        let mut used = is_used.iter();
        self.probe_keys.retain(|_| used.next() == Some(&true));
        for term in self.watches.iter_mut().flat_map(|watch| &mut watch.terms) {
            for at in term.probes.iter_mut().chain(&mut term.bound) {
                *at = places.get(*at).copied().unwrap_or(usize::MAX);
            }
        }
    }

    /// Watches the waiting series that have a value now, as far as the limit allows. One without a value leaves its
    /// place to one with.
    fn watch_waiting(&mut self, rules: &[Rule], row: &HostRow<'_>) {
        let has_value = |series: u32| {
            row.values
                .get(series as usize)
                .is_some_and(|value| *value != ABSENT)
        };
        if !self.waiting.keys().any(|series| has_value(*series)) {
            return;
        }
        let before = self.watches.len();
        let mut absent: Vec<usize> = (0..)
            .zip(&self.watches)
            .filter(|(_, watch)| watch.state.firing.is_none() && !has_value(watch.series))
            .map(|(at, _)| at)
            .collect();
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut removed = Vec::new();
        waiting.retain(|series, is_counted| {
            if !has_value(*series) {
                return true;
            }
            let Some(key) = row.keys.get(*series as usize) else {
                return false;
            };
            let mut is_left_out = false;
            for (number, rule) in about(rules, row, key) {
                if self.is_watched(number, *series) {
                    continue;
                }
                if self.watches.len() - removed.len() >= WATCHES_MAX {
                    removed.extend(absent.pop());
                }
                if self.watches.len() - removed.len() < WATCHES_MAX {
                    self.watch(number, rule, *series, key);
                } else {
                    is_left_out = true;
                }
            }
            if is_left_out && !std::mem::replace(is_counted, true) {
                self.limit.leave_out(1);
            }
            is_left_out
        });
        self.waiting = waiting;
        let is_new = self.watches.len() > before;
        removed.sort_unstable();
        for at in removed.into_iter().rev() {
            let series = self.watches.remove(at).series;
            self.wait_for(series, true);
        }
        self.limit.set_current(self.watches.len());
        if is_new {
            self.find_probes(rules, row, &BTreeSet::new());
            self.drop_unused_probes();
        }
    }

    /// Resolves restored alerts whose series have not come back within [`GONE_MS`].
    fn resolve_gone(&mut self, rules: &[Rule], now: UnixMs, transitions: &mut Vec<Transition>) {
        let first = *self.first_row.get_or_insert(now);
        if self.restored.is_empty() || now - first < GONE_MS {
            return;
        }
        let is_of_series = |alert: &mut Alert| {
            let rule = rules.iter().find(|rule| rule.name == alert.rule);
            rule.is_none_or(|rule| matches!(rule.condition, Condition::All(_)))
        };
        let gone = self.restored.extract_if(.., is_of_series);
        transitions.extend(gone.map(Transition::resolved));
    }

    /// Matches the series whose indices have changed with the rules.
    fn match_series(&mut self, rules: &[Rule], row: &HostRow<'_>) {
        let epoch = row.keys.epoch();
        if self.matched == Some(epoch) {
            return;
        }
        let changed = self.matched.and_then(|seen| row.keys.changed_since(seen));
        let changed = changed.unwrap_or_else(|| {
            self.waiting.clear();
            self.related.clear();
            (0..row.keys.len() as u32).collect()
        });
        self.matched = Some(epoch);
        self.drop_gone_series(row);
        for series in &changed {
            self.waiting.remove(series);
            self.related.remove(series);
            if let Some(key) = row.keys.get(*series as usize) {
                self.match_one(rules, row, *series, key);
            }
        }
        self.limit.set_current(self.watches.len());
        self.find_probes(rules, row, &changed);
    }

    /// Drops what belongs to series whose indices others have now. Their alerts are resolved as gone.
    fn drop_gone_series(&mut self, row: &HostRow<'_>) {
        let is_gone = |watch: &mut Watch| {
            let key = row.keys.get(watch.series as usize);
            key.is_none_or(|key| !Arc::ptr_eq(key, &watch.key))
        };
        let gone = self.watches.extract_if(.., is_gone);
        self.restored
            .extend(gone.filter_map(|watch| watch.state.firing));
        for (probe, known) in self.probes.iter_mut().zip(&mut self.probe_keys) {
            let key = row.keys.get(probe.series as usize);
            if let Some(key) = key.filter(|key| !Arc::ptr_eq(key, known)) {
                *probe = Probe::new(probe.series, probe.need, &key.metric, phase_of(row));
                *known = Arc::clone(key);
            }
        }
    }

    fn match_one(&mut self, rules: &[Rule], row: &HostRow<'_>, series: u32, key: &Arc<SeriesKey>) {
        #[cfg(test)]
        {
            self.looked_at += 1;
        }
        if is_related(rules, key) {
            self.related.insert(series);
        }
        let mut waits = false;
        for (number, rule) in about(rules, row, key) {
            if self.is_watched(number, series) {
                continue;
            }
            // Before the first row every series may have a value.
            let is_absent = row.values.get(series as usize) == Some(&ABSENT);
            let is_restored = self.restored.iter().any(|alert| is_of(alert, rule, key));
            if is_restored || (!is_absent && self.watches.len() < WATCHES_MAX) {
                self.watch(number, rule, series, key);
            } else {
                waits = true;
            }
        }
        if waits {
            self.waiting.insert(series, false);
        }
    }

    /// Finds the series of the conditions of new watches, and of those that may be about series that have `changed`.
    fn find_probes(&mut self, rules: &[Rule], row: &HostRow<'_>, changed: &BTreeSet<u32>) {
        let is_changed = |at: &usize| {
            let probe = self.probes.get(*at);
            probe.is_some_and(|probe| changed.contains(&probe.series))
        };
        let is_affected: Vec<bool> = {
            let new: Vec<&SeriesKey> = changed
                .intersection(&self.related)
                .filter_map(|series| Some(row.keys.get(*series as usize)?.as_ref()))
                .collect();
            let by_rule: Vec<bool> = rules
                .iter()
                .map(|rule| {
                    new.iter()
                        .any(|key| is_related(std::slice::from_ref(rule), key))
                })
                .collect();
            let watches = self.watches.iter();
            let is_affected = |watch: &Watch| {
                let places = watch.terms.iter();
                let mut places = places.flat_map(|term| term.probes.iter().chain(&term.bound));
                watch.terms.is_empty()
                    || by_rule.get(watch.rule) == Some(&true)
                    || places.any(is_changed)
            };
            watches.map(is_affected).collect()
        };
        let mut watches = std::mem::take(&mut self.watches);
        for (watch, _) in watches.iter_mut().zip(is_affected).filter(|(_, is)| *is) {
            let Some(Condition::All(terms)) = rules.get(watch.rule).map(|rule| &rule.condition)
            else {
                continue;
            };
            let probes = terms.iter().enumerate().map(|(at, term)| {
                let only = (at == 0).then_some(watch.series);
                self.term_probes(term, only, &watch.key, row)
            });
            watch.terms = probes.collect();
        }
        self.watches = watches;
    }

    fn is_watched(&self, rule: usize, series: u32) -> bool {
        let is_it = |watch: &Watch| watch.rule == rule && watch.series == series;
        self.watches.iter().any(is_it)
    }

    fn watch(&mut self, number: usize, rule: &Rule, series: u32, key: &Arc<SeriesKey>) {
        let restored = self.take_restored(rule, key);
        self.watches.push(Watch {
            rule: number,
            series,
            key: Arc::clone(key),
            terms: Vec::new(),
            state: State::restored(restored),
        });
    }

    fn take_restored(&mut self, rule: &Rule, key: &SeriesKey) -> Option<Alert> {
        let at = self
            .restored
            .iter()
            .position(|alert| is_of(alert, rule, key))?;
        self.take_restored_at(at, rule)
    }

    fn take_restored_at(&mut self, at: usize, rule: &Rule) -> Option<Alert> {
        let mut alert = self.restored.swap_remove(at);
        alert.severity = rule.severity;
        Some(alert)
    }

    pub(super) fn restart_counters(&mut self) {
        for probe in &mut self.probes {
            probe.restart_counter();
        }
    }

    /// The probes of a condition: of the series `only`, else of the one with the attributes of `like`, else of all
    /// that match.
    fn term_probes(
        &mut self,
        term: &Term,
        only: Option<u32>,
        like: &SeriesKey,
        row: &HostRow<'_>,
    ) -> TermProbes {
        let phase = phase_of(row);
        let need = match term.measure {
            Measure::Value | Measure::Turn => Need::Value,
            Measure::Rate(over) => Need::Rate(i64::try_from(over.as_millis()).unwrap_or(i64::MAX)),
            Measure::Within(..) => Need::Forecast,
            Measure::Deviation => Need::Baseline,
        };
        let series = match only {
            Some(series) => vec![series],
            None => matching(&term.metric, like, row.keys, &self.related),
        };
        let probes = series
            .into_iter()
            .filter_map(|series| self.probe(series, need, phase, row.keys))
            .collect();
        let bound = match &term.threshold {
            Bound::Number(_) => None,
            Bound::Of(_, metric) => {
                let series = bounding(metric, like, row.keys, &self.related);
                series.and_then(|series| self.probe(series, Need::Value, phase, row.keys))
            }
        };
        TermProbes { probes, bound }
    }

    fn probe(&mut self, series: u32, need: Need, phase: i64, keys: &SeriesKeys) -> Option<usize> {
        let is_it = |probe: &Probe| probe.series == series && probe.need == need;
        if let Some(at) = self.probes.iter().position(is_it) {
            return Some(at);
        }
        let key = keys.get(series as usize)?;
        self.probes
            .push(Probe::new(series, need, &key.metric, phase));
        self.probe_keys.push(Arc::clone(key));
        Some(self.probes.len() - 1)
    }

    pub(super) fn whole_state(&mut self, number: usize, rule: &Rule) -> Option<&mut State> {
        if !self.whole.iter().any(|(of, _)| *of == number) {
            let is_it = |alert: &Alert| alert.rule == rule.name && alert.what.is_empty();
            let at = self.restored.iter().position(is_it);
            let restored = at.and_then(|at| self.take_restored_at(at, rule));
            self.whole.push((number, State::restored(restored)));
        }
        let mut states = self.whole.iter_mut();
        states.find_map(|(of, state)| (*of == number).then_some(state))
    }

    /// Indices of the series whose baseline of an hour is not known yet.
    pub(super) fn missing_baselines(&self, hour: i64) -> impl Iterator<Item = u32> {
        let missing = self
            .probes
            .iter()
            .filter(move |probe| probe.lacks_baseline(hour));
        missing.map(|probe| probe.series)
    }

    pub(super) fn set_baseline(&mut self, series: u32, hour: i64, baseline: Option<Baseline>) {
        let is_it = |probe: &&mut Probe| probe.series == series && probe.need == Need::Baseline;
        if let Some(probe) = self.probes.iter_mut().find(is_it) {
            probe.set_baseline(hour, baseline);
        }
    }
}
