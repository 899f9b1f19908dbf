//! The rules on one host: which series each uses, and its state on them.

use std::sync::Arc;

use sysmon_wire::{Label, SeriesKey, UnixMs};

use super::HostRow;
use super::probe::{Need, Probe};
use super::state::State;
use super::summary::{self, Found};
use crate::baseline::Baseline;
use crate::rule::{Bound, Condition, Measure, MetricName, Rule, Term};
use crate::{Alert, Transition};

/// Pairs of rule and series on one host.
const WATCHES_MAX: usize = 512;

/// A series without a value for this long no longer exists; its alerts are resolved.
const GONE_MS: i64 = 600_000;

/// A rule on one series of its first condition.
#[derive(Debug)]
struct Watch {
    rule: usize,
    series: u32,
    key: Arc<SeriesKey>,
    terms: Vec<TermProbes>,
    state: State,
}

#[derive(Debug, Default)]
struct TermProbes {
    probes: Vec<usize>,
    /// The probe whose value is the limit, if that is not a number.
    bound: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Host {
    /// How many of the host's series were matched with rules.
    known_series: usize,
    probes: Vec<Probe>,
    watches: Vec<Watch>,
    /// States of the rules about the host as a whole, by index of the rule.
    whole: Vec<(usize, State)>,
    /// Alerts that fired before a restart or under a changed rule, and that no series has claimed yet.
    restored: Vec<Alert>,
    first_row: Option<UnixMs>,
}

impl Host {
    pub(super) fn new(restored: Vec<Alert>) -> Self {
        Self {
            restored,
            ..Self::default()
        }
    }

    pub(super) fn used_series(&mut self, rules: &[Rule], row: &HostRow<'_>) -> Vec<u32> {
        if row.keys.len() != self.known_series {
            self.match_new_series(rules, row);
        }
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
        if row.keys.len() != self.known_series {
            self.match_new_series(rules, row);
        }
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
        transitions
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

    fn match_new_series(&mut self, rules: &[Rule], row: &HostRow<'_>) {
        let new = row.keys.get(self.known_series..).unwrap_or_default();
        for (number, rule) in rules.iter().enumerate() {
            let Condition::All(terms) = &rule.condition else {
                continue;
            };
            let Some(first) = terms.first() else { continue };
            if !rule.hosts.include(row.name.as_str(), row.tags) {
                continue;
            }
            for (at, key) in new.iter().enumerate() {
                let series = (self.known_series + at) as u32;
                if first.metric.matches(key) {
                    self.watch(number, rule, series, key);
                }
            }
        }
        self.known_series = row.keys.len();
        // Further conditions of older watches may use the new series.
        let mut watches = std::mem::take(&mut self.watches);
        for watch in &mut watches {
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

    fn watch(&mut self, number: usize, rule: &Rule, series: u32, key: &Arc<SeriesKey>) {
        let is_same = |watch: &Watch| watch.rule == number && watch.series == series;
        if self.watches.len() >= WATCHES_MAX || self.watches.iter().any(is_same) {
            return;
        }
        let restored = self.take_restored(rule, &summary::what(key));
        self.watches.push(Watch {
            rule: number,
            series,
            key: Arc::clone(key),
            terms: Vec::new(),
            state: State::restored(restored),
        });
    }

    fn take_restored(&mut self, rule: &Rule, what: &str) -> Option<Alert> {
        let is_it = |alert: &Alert| alert.rule == rule.name && alert.what == what;
        let at = self.restored.iter().position(is_it)?;
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
        let phase = i64::from(row.id.0).wrapping_mul(7_919);
        let need = match term.measure {
            Measure::Value | Measure::Turn => Need::Value,
            Measure::Rate(over) => Need::Rate(i64::try_from(over.as_millis()).unwrap_or(i64::MAX)),
            Measure::Within(..) => Need::Forecast,
            Measure::Deviation => Need::Baseline,
        };
        let series = match only {
            Some(series) => vec![series],
            None => matching(&term.metric, like, row.keys),
        };
        let probes = series
            .into_iter()
            .filter_map(|series| self.probe(series, need, phase, row.keys))
            .collect();
        let bound = match &term.threshold {
            Bound::Number(_) => None,
            Bound::Of(_, metric) => {
                let series = bounding(metric, like, row.keys);
                series.and_then(|series| self.probe(series, Need::Value, phase, row.keys))
            }
        };
        TermProbes { probes, bound }
    }

    fn probe(
        &mut self,
        series: u32,
        need: Need,
        phase: i64,
        keys: &[Arc<SeriesKey>],
    ) -> Option<usize> {
        let is_it = |probe: &Probe| probe.series == series && probe.need == need;
        if let Some(at) = self.probes.iter().position(is_it) {
            return Some(at);
        }
        let key = keys.get(series as usize)?;
        self.probes
            .push(Probe::new(series, need, &key.metric, phase));
        Some(self.probes.len() - 1)
    }

    pub(super) fn whole_state(&mut self, number: usize, rule: &Rule) -> Option<&mut State> {
        if !self.whole.iter().any(|(of, _)| *of == number) {
            let restored = self.take_restored(rule, "");
            self.whole.push((number, State::restored(restored)));
        }
        let mut states = self.whole.iter_mut();
        states.find_map(|(of, state)| (*of == number).then_some(state))
    }

    /// Replaces the rules; `place` maps the index of an old rule to its new one.
    pub(super) fn replace(&mut self, place: impl Fn(usize) -> Option<usize>) {
        let mut left = Vec::new();
        for mut watch in std::mem::take(&mut self.watches) {
            match place(watch.rule) {
                Some(at) => {
                    watch.rule = at;
                    self.watches.push(watch);
                }
                None => left.push(watch.state),
            }
        }
        for (rule, state) in std::mem::take(&mut self.whole) {
            match place(rule) {
                Some(at) => self.whole.push((at, state)),
                None => left.push(state),
            }
        }
        // All series are matched with the new rules.
        self.known_series = 0;
        self.restored
            .extend(left.into_iter().filter_map(|state| state.firing));
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

    /// Removes the restored alerts of rules that no longer exist.
    pub(super) fn remove_without_rule(&mut self, rules: &[Rule]) -> Vec<Alert> {
        let is_gone = |alert: &mut Alert| rules.iter().all(|rule| rule.name != alert.rule);
        self.restored.extract_if(.., is_gone).collect()
    }

    pub(super) fn firing(&self) -> impl Iterator<Item = &Alert> {
        let watched = self.watches.iter().map(|watch| &watch.state);
        let states = watched.chain(self.whole.iter().map(|(_, state)| state));
        states
            .filter_map(|state| state.firing.as_ref())
            .chain(&self.restored)
    }
}

/// Series of a metric: the one with the attributes of `like`, else all.
fn matching(metric: &MetricName, like: &SeriesKey, keys: &[Arc<SeriesKey>]) -> Vec<u32> {
    let series = (0u32..).zip(keys).filter(|(_, key)| metric.matches(key));
    let all: Vec<_> = series.collect();
    match all
        .iter()
        .find(|(_, key)| key.attributes == like.attributes)
    {
        Some((series, _)) => vec![*series],
        None => all.into_iter().map(|(series, _)| series).collect(),
    }
}

/// The series of a metric that is the limit: the one with the attributes of `like`, else the one without any.
fn bounding(metric: &MetricName, like: &SeriesKey, keys: &[Arc<SeriesKey>]) -> Option<u32> {
    let place = |attributes: &[(Label, Label)]| {
        let is_it = |key: &Arc<SeriesKey>| metric.matches(key) && key.attributes == attributes;
        let at = keys.iter().position(is_it)?;
        u32::try_from(at).ok()
    };
    let of_alias = || {
        let is_it = |key: &Arc<SeriesKey>| metric.matches(key);
        let at = keys.iter().position(is_it)?;
        u32::try_from(at).ok()
    };
    match metric {
        MetricName::Alias(_) => of_alias(),
        MetricName::Metric(_) => place(&like.attributes).or_else(|| place(&[])),
    }
}

impl Watch {
    fn evaluate(&mut self, rule: &Rule, probes: &[Probe], row: &HostRow<'_>) -> Option<Transition> {
        let Condition::All(terms) = &rule.condition else {
            return None;
        };
        let (mut holds, mut is_known, mut first) = (true, true, None);
        for (term, used) in terms.iter().zip(&self.terms) {
            match used.find(term, probes, self.state.firing.is_some()) {
                Some((found, true)) => first = first.or(Some(found)),
                Some((_, false)) => holds = false,
                None => is_known = false,
            }
        }
        let absent = |place: &usize| probes.get(*place).is_some_and(|probe| probe.is_absent);
        if self
            .terms
            .first()
            .is_some_and(|used| used.probes.iter().all(absent))
        {
            let since = *self.state.absent_since.get_or_insert(row.time);
            return (row.time - since >= GONE_MS)
                .then(|| self.state.resolve())
                .flatten();
        }
        self.state.absent_since = None;
        if !holds {
            return self.state.clears(row.time);
        }
        if !is_known {
            // A missing value decides nothing.
            return None;
        }
        let (term, found) = (terms.first()?, first?);
        // A condition that holds from the start did not turn.
        if term.measure == Measure::Turn && !self.state.was_clear {
            return None;
        }
        let key = &self.key;
        self.state.holds(rule.hold, row.time, || Alert {
            rule: rule.name.clone(),
            severity: rule.severity,
            host: row.name.to_string(),
            tags: row.tags.iter().map(Label::to_string).collect(),
            what: summary::what(key),
            since: row.time,
            value: Some(found.value),
            summary: summary::of_value(rule, term, row.name, key, found),
        })
    }
}

impl TermProbes {
    /// The value that is furthest beyond the limit, and whether it is beyond; none while no value is known.
    fn find(&self, term: &Term, probes: &[Probe], is_firing: bool) -> Option<(Found, bool)> {
        let bound = if is_firing {
            &term.clear
        } else {
            &term.threshold
        };
        let limit = match bound {
            Bound::Number(number) => *number,
            Bound::Of(factor, _) => factor * probes.get(self.bound?)?.value?,
        };
        if term.measure == Measure::Deviation {
            let judged = self.probes.iter().filter_map(|place| {
                let (value, baseline) = probes.get(*place)?.with_baseline()?;
                Some(deviation(value, baseline, limit))
            });
            let furthest = judged.max_by(|(_, a), (_, b)| a.total_cmp(b));
            return furthest.map(|(found, beyond)| (found, beyond > 0.0));
        }
        let value = |place: &usize| {
            let probe = probes.get(*place)?;
            match term.measure {
                Measure::Value | Measure::Turn => probe.value,
                Measure::Rate(_) => probe.rate(),
                Measure::Deviation => None,
                Measure::Within(within, clear) => {
                    let ahead = if is_firing { clear } else { within };
                    probe.in_ms(i64::try_from(ahead.as_millis()).ok()?)
                }
            }
        };
        let values = self.probes.iter().filter_map(value);
        let value = match term.above {
            true => values.max_by(f64::total_cmp),
            false => values.min_by(f64::total_cmp),
        }?;
        let is_beyond = match (term.above, term.measure) {
            // `full within` means reaching 100 %, not exceeding it.
            (true, Measure::Within(..)) => value >= limit,
            (true, _) => value > limit,
            (false, _) => value < limit,
        };
        Some((Found { value, limit }, is_beyond))
    }
}

/// A value with the nearer end of the band that is `spreads` wide around the baseline, and how far it is beyond.
fn deviation(value: f64, baseline: Baseline, spreads: f64) -> (Found, f64) {
    let (low, high) = baseline.within(spreads);
    let (limit, beyond) = match value < (low + high) / 2.0 {
        true => (low, low - value),
        false => (high, value - high),
    };
    (Found { value, limit }, beyond)
}
