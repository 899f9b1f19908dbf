//! Rules, one line each: what is to be watched, and when it is bad.
//!
//! ```text
//! NAME: METRIC > VALUE [for SPAN] [clear VALUE] [on HOSTS] [warning|critical]
//! NAME: silent for SPAN [on HOSTS] [warning|critical]
//! ```
//!
//! METRIC is an alias or a full name, of which every series of a host is judged by itself; VALUE is in the
//! metric's unit, or in percent of 1; HOSTS is a name with `*` for any letters, or `#TAG`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sysmon_config::time::{format_span, parse_span};
use sysmon_wire::SeriesKey;
use sysmon_wire::message::Severity;
use sysmon_wire::metrics::{ALIASES, ALL, Alias, alias};
use thiserror::Error;

/// Rules a hub may have.
pub const RULES_MAX: usize = 200;

/// What is watched from the start.
pub const DEFAULTS: [&str; 9] = [
    "silent: silent for 60s critical",
    "disk-full: system.filesystem.utilization > 95% for 5m clear 93% critical",
    "disk-filling: system.filesystem.utilization > 90% for 10m clear 88% warning",
    "memory-stalls: psi.mem > 20% for 2m clear 10% warning",
    "oom-kill: system.linux.oom_kills > 0 warning",
    "cpu-saturated: psi.cpu > 80% for 15m clear 60% warning",
    "disk-stalls: psi.io > 80% for 15m clear 60% warning",
    "hot: temp.max > 95 for 2m clear 90 critical",
    "rows-dropped: sysmon.agent.rows.dropped > 0 warning",
];

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A value beyond a threshold.
    Threshold {
        /// Which series.
        metric: MetricName,
        /// Whether above it is bad, or below it.
        above: bool,
        /// Where it becomes bad.
        threshold: f64,
        /// Where it is good again.
        clear: f64,
    },
    /// A host that says nothing.
    Silent,
}

/// The series a rule looks at.
#[derive(Clone, Debug, PartialEq)]
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

    /// Whether a host is among them.
    pub fn include<'a>(&self, name: &str, mut tags: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Self::All => true,
            Self::Named(pattern) => glob(pattern, name),
            Self::Tagged(tag) => tags.any(|of_host| of_host == tag),
        }
    }
}

fn glob(pattern: &str, name: &str) -> bool {
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
}

/// A line that is no rule.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the alert rule {rule:?} {problem}")]
pub struct RuleError {
    rule: String,
    problem: String,
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let error = |problem: String| RuleError {
            rule: text.to_owned(),
            problem,
        };
        let (name, rest) = text.split_once(':').ok_or_else(|| {
            error("has no name: write for example \"busy: cpu > 95% for 10m\"".to_owned())
        })?;
        let name = name.trim();
        let is_name = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if !is_name {
            return Err(error(
                "should begin with a name of letters, digits and dashes".to_owned(),
            ));
        }
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (subject, options) = match words.split_first() {
            Some((&"silent", options)) => (None, options),
            Some((metric, [comparison, value, options @ ..])) => {
                (Some((*metric, *comparison, *value)), options)
            }
            _ => {
                return Err(error(
                    "does not say what is watched: write METRIC > VALUE".to_owned(),
                ));
            }
        };
        let mut rule = Self {
            name: name.to_owned(),
            condition: Condition::Silent,
            hold: Duration::ZERO,
            hosts: Hosts::All,
            severity: Severity::Warning,
        };
        let mut clear = None;
        let mut options = options.iter();
        while let Some(option) = options.next() {
            let mut argument = || {
                options
                    .next()
                    .copied()
                    .ok_or_else(|| error(format!("ends after {option:?}")))
            };
            match *option {
                "for" => rule.hold = parse_span(argument()?).map_err(|e| error(e.to_string()))?,
                "clear" => clear = Some(number(argument()?).map_err(&error)?),
                "on" => rule.hosts = Hosts::of(argument()?),
                "warning" => rule.severity = Severity::Warning,
                "critical" => rule.severity = Severity::Critical,
                other => {
                    return Err(error(format!(
                        "has {other:?}, where one of for, clear, on, warning, critical was expected"
                    )));
                }
            }
        }
        match subject {
            Some((metric, comparison, value)) => {
                let above = match comparison {
                    ">" => true,
                    "<" => false,
                    other => return Err(error(format!("compares by {other:?}: use > or <"))),
                };
                let threshold = number(value).map_err(&error)?;
                let clear = clear.unwrap_or(threshold);
                if (above && clear > threshold) || (!above && clear < threshold) {
                    return Err(error(
                        "would clear before it fires: look at its clear value".to_owned(),
                    ));
                }
                rule.condition = Condition::Threshold {
                    metric: metric_name(metric).map_err(&error)?,
                    above,
                    threshold,
                    clear,
                };
            }
            None if rule.hold.is_zero() => {
                return Err(error(
                    "does not say for how long: write \"silent for 60s\"".to_owned(),
                ));
            }
            None => {}
        }
        Ok(rule)
    }
}

fn number(text: &str) -> Result<f64, String> {
    let (digits, divisor) = match text.strip_suffix('%') {
        Some(digits) => (digits, 100.0),
        None => (text, 1.0),
    };
    let number: f64 = digits
        .parse()
        .map_err(|_| format!("has {text:?}, which is not a number"))?;
    if number.is_finite() {
        Ok(number / divisor)
    } else {
        Err(format!("has {text:?}, which is not a number"))
    }
}

/// A metric that is known, or may be somebody's own: those have no dot-separated name of ours.
fn metric_name(text: &str) -> Result<MetricName, String> {
    if let Some(known) = ALIASES.iter().find(|alias| alias.alias == text) {
        return Ok(MetricName::Alias(known.alias));
    }
    let ours = [
        "system.",
        "hw.",
        "container.",
        "process.",
        "sysmon.",
        "systemd.",
    ];
    let is_ours = ours.iter().any(|prefix| text.starts_with(prefix));
    if !is_ours || ALL.iter().any(|metric| metric.name == text) {
        return Ok(MetricName::Metric(text.to_owned()));
    }
    let names = ALL
        .iter()
        .map(|metric| metric.name)
        .chain(ALIASES.iter().map(|alias| alias.alias));
    let nearest = names
        .max_by(|a, b| strsim::jaro_winkler(a, text).total_cmp(&strsim::jaro_winkler(b, text)));
    let hint = nearest
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default();
    Err(format!("watches {text:?}, which is not a metric{hint}"))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.condition {
            Condition::Silent => write!(f, "{}: silent", self.name)?,
            Condition::Threshold {
                metric,
                above,
                threshold,
                ..
            } => {
                let sign = if *above { '>' } else { '<' };
                write!(f, "{}: {metric} {sign} {threshold}", self.name)?;
            }
        }
        if !self.hold.is_zero() {
            write!(f, " for {}", format_span(self.hold.as_millis() as i64))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rules_are_read_as_people_write_them() {
        let rule: Rule = "db-memory: mem > 95% for 5m clear 90% on db-* critical"
            .parse()
            .unwrap();
        assert_eq!(
            (rule.hold, rule.severity),
            (Duration::from_secs(300), Severity::Critical)
        );
        assert_eq!(rule.hosts, Hosts::Named("db-*".to_owned()));
        let Condition::Threshold {
            metric,
            above: true,
            threshold,
            clear,
        } = rule.condition
        else {
            panic!("not a threshold")
        };
        assert_eq!(
            (metric, threshold, clear),
            (MetricName::Alias("mem"), 0.95, 0.9)
        );
        assert!("own: backup_age_seconds > 90000".parse::<Rule>().is_ok());
        assert!("cold: temp.max < 5 on #cellar".parse::<Rule>().is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_with_the_nearest_right_thing() {
        let problem = |text: &str| text.parse::<Rule>().unwrap_err().to_string();
        assert!(problem("cpu > 5").contains("has no name"));
        assert!(
            problem("a: system.cpu.utilisation > 5")
                .contains("did you mean system.cpu.utilization?")
        );
        assert!(problem("a: cpu => 5").contains("use > or <"));
        assert!(problem("a: cpu > five").contains("not a number"));
        assert!(problem("a: cpu > 5 for ever").contains("ever"));
        assert!(problem("a: cpu > 5 until 6").contains("until"));
        assert!(problem("a: cpu > 5 clear 6").contains("clear before"));
        assert!(problem("a: silent").contains("how long"));
        assert!(problem("a: cpu > 5 on").contains("ends after"));
    }

    #[test]
    fn hosts_are_chosen_by_name_or_tag() {
        let includes =
            |pattern: &str, name: &str| Hosts::of(pattern).include(name, ["lab"].into_iter());
        assert!(includes("db-*", "db-1") && !includes("db-*", "web-1") && includes("*", "x"));
        assert!(includes("*-1", "db-1") && includes("d*b*", "dab-b") && !includes("db", "db-1"));
        assert!(includes("#lab", "x") && !includes("#home", "x"));
    }

    #[test]
    fn the_defaults_are_rules() {
        for text in DEFAULTS {
            text.parse::<Rule>().unwrap();
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", words in "[a-z:<>% 0-9.*#-]{0,60}") {
            let _ = text.parse::<Rule>();
            let _ = words.parse::<Rule>();
        }
    }
}
