//! Alert rules, one line each: a condition, and what follows when it holds.
//!
//! ```text
//! NAME: CONDITION [and CONDITION]… [for SPAN] [on HOSTS] [warning|critical] [say TEXT]
//! NAME: silent for SPAN …
//! NAME: clock off SPAN …
//! ```
//!
//! | condition | holds when |
//! |---|---|
//! | `METRIC > VALUE [clear VALUE]`, also `<` | the value is beyond the first, until it is not beyond the second |
//! | `rate(METRIC) > VALUE [over SPAN]` | the change per second over SPAN (five minutes) is beyond VALUE |
//! | `METRIC > VALUE within SPAN [clear SPAN]` | the trend of the last hour reaches VALUE within SPAN; `full within` means `> 100% within` |
//! | `METRIC turns > VALUE` | the value is beyond VALUE now, and was not before |
//! | `METRIC deviates from baseline [by N] [clear N]` | the ten-minute mean is N spreads outside what this hour of earlier weeks had |
//!
//! METRIC is an alias or a full name; each series of a host is evaluated separately. By its full name,
//! `system.filesystem.utilization` or `hw.temperature` is that of each device; the highest is `fs.worst` or `temp.max`.
//! A condition after the first uses the series of the same device if the metric has one, else any of the host's.
//! VALUE is a number with a unit that fits the metric, or `[N*]METRIC`. HOSTS are names with `*` for any characters and
//! `#TAG`s, separated by commas, with `!` before those to leave out. `unlike its week` is an alias of `deviates from
//! baseline`.

mod check;
mod defaults;
mod hosts;
mod limits;
mod parse;
mod template;
mod units;

use std::fmt;
use std::time::Duration;

use sysmon_wire::SeriesKey;
use sysmon_wire::message::Severity;
use sysmon_wire::metrics::{Alias, Metric, alias, is_highest, metric};

pub use defaults::DEFAULTS;
pub use hosts::{Hosts, Pattern, PatternError};
pub use limits::Limit;
pub use parse::{RuleError, parse_all};
use template::Template;

const RULES_MAX: usize = 200;

const TERMS_MAX: usize = 4;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    All(Vec<Term>),
    /// The host has not reported for the rule's `for` time.
    Silent,
    /// The host's clock differs from the hub's by at least this much.
    ClockOff(Duration),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Term {
    pub(crate) metric: MetricName,
    pub(crate) measure: Measure,
    /// Whether the condition holds above the threshold, or below it.
    pub(crate) above: bool,
    pub(crate) threshold: Bound,
    /// Limit at which a firing alert is resolved.
    pub(crate) clear: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Measure {
    /// The value; of a counter the rate.
    Value,
    /// The value, if it was not beyond the threshold before.
    Turn,
    /// Change per second over a time.
    Rate(Duration),
    /// Forecast for this time ahead; the second while the alert fires.
    Within(Duration, Duration),
    /// Distance from the baseline, in spreads.
    Deviation,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bound {
    /// A number in the metric's unit.
    Number(f64),
    /// This factor times another series of the host.
    Of(f64, MetricName),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MetricName {
    Alias(&'static str),
    Metric(String),
}

impl MetricName {
    pub(crate) fn matches(&self, key: &SeriesKey) -> bool {
        match self {
            Self::Alias(name) => alias(name).is_some_and(|alias: &Alias| alias.is(key)),
            Self::Metric(name) => key.metric.name == name.as_str(),
        }
    }

    /// Whether a rule about this metric is evaluated for a series.
    ///
    /// The highest of all devices is so by its alias only (`fs.worst`): the device itself says the same, with its name.
    pub(crate) fn is_about(&self, key: &SeriesKey) -> bool {
        self.matches(key) && (matches!(self, Self::Alias(_)) || !is_highest(key))
    }

    /// The metric's definition, unless it is a custom metric.
    pub(crate) fn known(&self) -> Option<&'static Metric> {
        match self {
            Self::Alias(name) => alias(name).map(|alias| &alias.metric),
            Self::Metric(name) => metric(name),
        }
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alias(name) => f.write_str(name),
            Self::Metric(name) => f.write_str(name),
        }
    }
}

/// An alert rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Unique name.
    pub name: String,
    pub(crate) condition: Condition,
    /// How long the condition has to hold before the alert fires.
    pub(crate) hold: Duration,
    /// The hosts that it applies to.
    pub hosts: Hosts,
    pub(crate) severity: Severity,
    /// Summary of its alerts, if the default does not fit.
    pub(crate) say: Option<Template>,
    /// The line with single spaces.
    text: String,
}

impl Rule {
    /// Alias or name of the metric of the first condition; none for a rule about a host as a whole.
    pub(crate) fn first_metric(&self) -> Option<&str> {
        let Condition::All(terms) = &self.condition else {
            return None;
        };
        Some(match &terms.first()?.metric {
            MetricName::Alias(alias) => alias,
            MetricName::Metric(name) => name,
        })
    }

    pub(crate) fn baseline_metrics(&self) -> impl Iterator<Item = &MetricName> {
        let terms = match &self.condition {
            Condition::All(terms) => terms.as_slice(),
            _ => &[],
        };
        let deviating = terms
            .iter()
            .filter(|term| term.measure == Measure::Deviation);
        deviating.map(|term| &term.metric)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
