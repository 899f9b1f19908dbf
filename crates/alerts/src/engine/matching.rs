//! Which rules are about a series, and which series a condition is about. Pure.

use std::sync::Arc;

use sysmon_wire::{Label, SeriesKey};

use super::HostRow;
use super::summary;
use crate::Alert;
use crate::rule::{Condition, MetricName, Rule};

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
        terms.first().is_some_and(|first| first.metric.matches(key))
            && rule.hosts.include(row.name.as_str(), row.tags)
    })
}

pub(super) fn is_of(alert: &Alert, rule: &Rule, key: &SeriesKey) -> bool {
    alert.rule == rule.name && alert.what == summary::what(key)
}

/// Series of a metric: the one with the attributes of `like`, else all.
pub(super) fn matching(metric: &MetricName, like: &SeriesKey, keys: &[Arc<SeriesKey>]) -> Vec<u32> {
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
pub(super) fn bounding(
    metric: &MetricName,
    like: &SeriesKey,
    keys: &[Arc<SeriesKey>],
) -> Option<u32> {
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
