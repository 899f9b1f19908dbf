//! The limits of the default rules.

use sysmon_alerts::rule::{DEFAULTS, Limit, Rule};

use super::Lines;

/// The limits of the default rules.
pub(super) fn limits() -> impl Iterator<Item = (Rule, Limit)> {
    let rules = DEFAULTS.iter().filter_map(|line| line.parse::<Rule>().ok());
    rules.filter_map(|rule| {
        let limit = rule.limit()?;
        Some((rule, limit))
    })
}

/// Whether a rule is about these lines.
pub(super) fn is_about(limit: &Limit, lines: &Lines) -> bool {
    let is_series = limit
        .attributes
        .is_none_or(|attributes| attributes == lines.with && lines.by.is_empty());
    limit.metric.name == lines.metric.name && is_series && !lines.is_sum
}
