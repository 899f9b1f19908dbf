//! One rule on one series: whether its conditions hold.

use std::sync::Arc;

use sysmon_wire::{Label, SeriesKey, UnixMs};

use super::HostRow;
use super::host::GONE_MS;
use super::probe::Probe;
use super::state::State;
use super::summary::{self, Found};
use crate::baseline::Baseline;
use crate::rule::{Bound, Condition, Measure, Rule, Term};
use crate::{Alert, Transition};

/// A rule on one series of its first condition.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) rule: usize,
    pub(super) series: u32,
    pub(super) key: Arc<SeriesKey>,
    pub(super) terms: Vec<TermProbes>,
    pub(super) state: State,
}

#[derive(Debug, Default)]
pub(super) struct TermProbes {
    pub(super) probes: Vec<usize>,
    /// The probe whose value is the limit, if that is not a number.
    pub(super) bound: Option<usize>,
}

impl Watch {
    /// Whether its series has had no value for so long that it no longer exists, and no alert has to be resolved.
    pub(super) fn is_gone(&self, now: UnixMs) -> bool {
        let absent = self.state.absent_since;
        self.state.firing.is_none() && absent.is_some_and(|since| now - since >= GONE_MS)
    }

    pub(super) fn evaluate(
        &mut self,
        rule: &Rule,
        probes: &[Probe],
        row: &HostRow<'_>,
    ) -> Option<Transition> {
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
