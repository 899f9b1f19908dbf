//! The numbers that rules compare series with, for charts of these series. Pure.

use sysmon_wire::message::Severity;
use sysmon_wire::metrics::{Metric, alias, metric};

use super::{Bound, Condition, Measure, MetricName, Rule};

/// A number that a rule compares a metric with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The metric, of a counter its rate.
    pub metric: &'static Metric,
    /// All attributes of the series, if the rule is about one and not about all of the metric.
    pub attributes: Option<&'static [(&'static str, &'static str)]>,
    /// The number in the metric's unit.
    pub value: f64,
    /// Severity of the alert beyond it.
    pub severity: Severity,
}

impl Rule {
    /// The upper limit, if the rule is about no more than a metric of the registry above a number.
    pub fn limit(&self) -> Option<Limit> {
        let Condition::All(terms) = &self.condition else {
            return None;
        };
        let [term] = terms.as_slice() else {
            return None;
        };
        let is_value = matches!(
            term.measure,
            Measure::Value | Measure::Turn | Measure::Rate(_)
        );
        let Bound::Number(value) = term.threshold else {
            return None;
        };
        let (metric, attributes) = match &term.metric {
            MetricName::Alias(name) => {
                let alias = alias(name)?;
                (&alias.metric, Some(alias.attributes))
            }
            MetricName::Metric(name) => (metric(name)?, None),
        };
        (is_value && term.above).then_some(Limit {
            metric,
            attributes,
            value,
            severity: self.severity,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::metrics::{FS_UTILIZATION, PRESSURE_TIME};

    fn limit(rule: &str) -> Option<Limit> {
        rule.parse::<Rule>().unwrap().limit()
    }

    #[test]
    fn a_limit_is_that_of_rules_about_one_metric_and_a_number() {
        let full = limit("full: system.filesystem.utilization > 95% for 5m critical").unwrap();
        assert_eq!(
            (full.metric, full.attributes, full.value, full.severity),
            (&FS_UTILIZATION, None, 0.95, Severity::Critical)
        );
        let stalls = limit("stalls: psi.mem > 20% clear 10%").unwrap();
        assert_eq!((stalls.metric, stalls.value), (&PRESSURE_TIME, 0.2));
        assert_eq!(stalls.attributes.map(<[_]>::len), Some(2));
        for other in [
            "low: mem < 5%",
            "near: hw.temperature > 0.9*hw.temperature.limit",
            "filling: fs.worst full within 4h",
            "both: psi.cpu > 60% and load5 > 3",
            "silent: silent for 1m",
        ] {
            assert_eq!(limit(other), None, "{other}");
        }
    }
}
