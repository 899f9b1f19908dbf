//! Which rules are about a series, and which series a condition is about. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use sysmon_wire::{Label, SeriesKey};

use super::{HostRow, SeriesKeys, summary};
use crate::Alert;
use crate::rule::{Bound, Condition, MetricName, Rule};

/// The rules whose first condition is about a series, with their numbers.
pub(super) fn about<'a>(
    rules: &'a [Rule],
    row: &'a HostRow<'_>,
    key: &'a SeriesKey,
) -> impl Iterator<Item = (usize, &'a Rule)> {
    rules.iter().enumerate().filter(move |(_, rule)| {
        let Condition::All(terms) = &rule.condition else {
            return false;
        };
        terms
            .first()
            .is_some_and(|first| first.metric.is_about(key))
            && rule.hosts.include(row.name.as_str(), row.tags)
    })
}

pub(super) fn is_of(alert: &Alert, rule: &Rule, key: &SeriesKey) -> bool {
    alert.rule == rule.name && alert.what == summary::what(key)
}

/// Whether a condition after the first, or the limit of one, may be about a series.
pub(super) fn is_related(rules: &[Rule], key: &SeriesKey) -> bool {
    let terms = rules.iter().flat_map(|rule| match &rule.condition {
        Condition::All(terms) => terms.as_slice(),
        _ => &[],
    });
    let bounds = terms.clone().filter_map(|term| match &term.threshold {
        Bound::Of(_, metric) => Some(metric),
        Bound::Number(_) => None,
    });
    let further = rules.iter().flat_map(|rule| match &rule.condition {
        Condition::All(terms) => terms.get(1..).unwrap_or_default(),
        _ => &[],
    });
    let mut metrics = bounds.chain(further.map(|term| &term.metric));
    metrics.any(|metric| metric.matches(key))
}

/// The `related` series of a metric: the one with the attributes of `like`, else all.
pub(super) fn matching(
    metric: &MetricName,
    like: &SeriesKey,
    keys: &SeriesKeys,
    related: &BTreeSet<u32>,
) -> Vec<u32> {
    let all: Vec<_> = of_metric(metric, keys, related).collect();
    match all
        .iter()
        .find(|(_, key)| key.attributes == like.attributes)
    {
        Some((series, _)) => vec![*series],
        None => all.into_iter().map(|(series, _)| series).collect(),
    }
}

fn of_metric<'a>(
    metric: &MetricName,
    keys: &'a SeriesKeys,
    related: &BTreeSet<u32>,
) -> impl Iterator<Item = (u32, &'a Arc<SeriesKey>)> {
    let known = related
        .iter()
        .filter_map(|series| Some((*series, keys.get(*series as usize)?)));
    known.filter(|(_, key)| metric.matches(key))
}

/// The related series of a metric that is the limit: the one with the attributes of `like`, else the one without any.
pub(super) fn bounding(
    metric: &MetricName,
    like: &SeriesKey,
    keys: &SeriesKeys,
    related: &BTreeSet<u32>,
) -> Option<u32> {
    let place = |attributes: &[(Label, Label)]| {
        let mut all = of_metric(metric, keys, related);
        all.find(|(_, key)| key.attributes == attributes)
    };
    let found = match metric {
        MetricName::Alias(_) => of_metric(metric, keys, related).next(),
        MetricName::Metric(_) => place(&like.attributes).or_else(|| place(&[])),
    };
    found.map(|(series, _)| series)
}
