//! Rules, one line each: what is to be watched, and when it is bad.
//!
//! ```text
//! NAME: CONDITION [and CONDITION]… [for SPAN] [on HOSTS] [warning|critical] [say TEXT]
//! NAME: silent for SPAN …
//! NAME: clock off SPAN …
//! ```
//!
//! | condition | bad when |
//! |---|---|
//! | `METRIC > VALUE [clear VALUE]`, also `<` | it is beyond the value, until it is on the good side of the other |
//! | `rate(METRIC) > VALUE [over SPAN]` | it grows faster, over five minutes |
//! | `METRIC > VALUE within SPAN [clear SPAN]` | it will be, if the last hour goes on; `full within` is for `> 100% within` |
//! | `METRIC turns > VALUE` | it is now, and was not before |
//! | `METRIC unlike its week [by N] [clear N]` | its ten-minute mean is N spreads beyond what this hour of earlier weeks had |
//!
//! METRIC is an alias or a full name, of which every series of a host is judged by itself; conditions after the
//! first are of the same device where they know it, else of any of the host's. VALUE is a number with a unit
//! that fits the metric, or `[N*]METRIC`. HOSTS is a name with `*` for any letters, or `#TAG`.

mod defaults;
mod parse;
mod template;
mod units;

use std::fmt;
use std::time::Duration;

use sysmon_wire::SeriesKey;
use sysmon_wire::message::Severity;
use sysmon_wire::metrics::{Alias, Metric, alias, metric};

pub use defaults::DEFAULTS;
pub use parse::{RuleError, parse_all};
pub use template::Template;

/// Rules a hub may have.
pub const RULES_MAX: usize = 200;

/// Conditions of one rule.
pub const TERMS_MAX: usize = 4;

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Values: all of these hold.
    All(Vec<Term>),
    /// A host that says nothing.
    Silent,
    /// A host whose clock is off by this much.
    ClockOff(Duration),
}

/// One thing that has to hold of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Which series.
    pub metric: MetricName,
    /// What of it.
    pub measure: Measure,
    /// Whether above it is bad, or below it.
    pub above: bool,
    /// Where it becomes bad.
    pub threshold: Bound,
    /// Where it is good again.
    pub clear: Bound,
}

/// What is looked at of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// Its value; of a counter its rate.
    Value,
    /// Its value, if it was on the good side before.
    Turn,
    /// How fast it changes, over a time.
    Rate(Duration),
    /// Where it will be in a time; another while it fires.
    Within(Duration, Duration),
    /// How many spreads it is away from what it was at this hour of earlier weeks.
    Unlike,
}

/// What a value is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// A number, in the metric's unit.
    Number(f64),
    /// A share of another series of the host.
    Of(f64, MetricName),
}

/// The series a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MetricName {
    /// The one series of an alias.
    Alias(&'static str),
    /// Every series of a metric.
    Metric(String),
}

impl MetricName {
    /// Whether a series is looked at.
    pub fn matches(&self, key: &SeriesKey) -> bool {
        match self {
            Self::Alias(name) => alias(name).is_some_and(|alias: &Alias| alias.is(key)),
            Self::Metric(name) => key.metric.name == name.as_str(),
        }
    }

    /// The metric, if it is one of ours.
    pub fn known(&self) -> Option<&'static Metric> {
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

/// Which hosts a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// All of them.
    All,
    /// Those whose name matches, with `*` for any letters.
    Named(String),
    /// Those filed under a tag.
    Tagged(String),
}

impl Hosts {
    /// As people write it: a name with `*` for any letters, or `#TAG`.
    pub fn of(text: &str) -> Self {
        match text.strip_prefix('#') {
            Some(tag) => Self::Tagged(tag.to_owned()),
            None if text == "*" => Self::All,
            None => Self::Named(text.to_owned()),
        }
    }

    /// The one host that is meant, if it is one.
    pub fn one(&self) -> Option<&str> {
        match self {
            Self::Named(name) if !name.contains('*') => Some(name),
            _ => None,
        }
    }

    /// Whether a host is among them.
    pub fn include<'a>(&self, name: &str, mut tags: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Self::All => true,
            Self::Named(pattern) => glob(pattern, name),
            Self::Tagged(tag) => tags.any(|of_host| of_host == tag),
        }
    }
}

/// Whether a name is as a pattern with `*` for any letters says.
pub fn glob(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(rest) = name.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| glob(after, rest)))
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What it is called.
    pub name: String,
    /// What it looks at.
    pub condition: Condition,
    /// How long it has to be bad.
    pub hold: Duration,
    /// Which hosts.
    pub hosts: Hosts,
    /// How bad it is.
    pub severity: Severity,
    /// What it says, if that is not the usual.
    pub say: Option<Template>,
    /// The line, with single spaces.
    text: String,
}

impl Rule {
    /// The series that it compares with those of earlier weeks.
    pub fn of_week(&self) -> impl Iterator<Item = &MetricName> {
        let terms = match &self.condition {
            Condition::All(terms) => terms.as_slice(),
            _ => &[],
        };
        let unlike = terms.iter().filter(|term| term.measure == Measure::Unlike);
        unlike.map(|term| &term.metric)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_chosen_by_name_or_tag() {
        let includes =
            |pattern: &str, name: &str| Hosts::of(pattern).include(name, ["lab"].into_iter());
        assert!(includes("db-*", "db-1") && !includes("db-*", "web-1") && includes("*", "x"));
        assert!(includes("*-1", "db-1") && includes("d*b*", "dab-b") && !includes("db", "db-1"));
        assert!(includes("#lab", "x") && !includes("#home", "x"));
        assert_eq!(Hosts::of("db-1").one(), Some("db-1"));
        assert_eq!(
            (Hosts::of("db-*").one(), Hosts::of("#lab").one()),
            (None, None)
        );
    }
}
