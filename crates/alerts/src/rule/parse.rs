//! Parses a line into a rule, or explains why it is not one.

use std::slice::Iter;
use std::str::FromStr;
use std::time::Duration;

use sysmon_config::suggest;
use sysmon_config::time::parse_span;
use sysmon_wire::Kind;
use sysmon_wire::message::Severity;
use sysmon_wire::metrics::{ALIASES, ALL};
use thiserror::Error;

use super::check::{before_it_fires, check};
use super::units::Quantity;
use super::{
    Bound, Condition, DEFAULTS, Hosts, Measure, MetricName, Pattern, RULES_MAX, Rule, Template,
    Term,
};

const RATE_OVER: Duration = Duration::from_secs(300);

const RATE_OVER_MAX: Duration = Duration::from_secs(86_400);

const WITHIN_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A name this similar to an alias (Jaro–Winkler) is a typing error rather than a custom metric.
const TYPO: f64 = 0.9;

/// Default distances from the baseline, in spreads, at which an alert fires and at which it is resolved.
const DEVIATION: (f64, f64) = (4.0, 2.0);

/// Largest distance from the baseline, in spreads.
const DEVIATION_MAX: f64 = 100.0;

/// Comparison with the baseline: the documented form, and its alias.
const DEVIATES: [(&str, [&str; 2]); 2] = [
    ("deviates", ["from", "baseline"]),
    ("unlike", ["its", "week"]),
];

const OPTIONS: [&str; 6] = ["and", "for", "on", "warning", "critical", "say"];

/// A line that is not a rule, and what is wrong with it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the alert rule {rule:?} {problem}")]
pub struct RuleError {
    rule: String,
    problem: String,
}

/// Parses the rules of one hub: lines of rules, `defaults` for all default rules, and `- NAME`, which takes out one of
/// the rules before it.
///
/// Names of single hosts have to be among `hosts`, unless that is empty.
///
/// # Errors
/// The index of the first line that is wrong, and why.
pub fn parse_all(lines: &[String], hosts: &[String]) -> Result<Vec<Rule>, (usize, RuleError)> {
    let mut rules: Vec<Rule> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let added = match line.trim() {
            "defaults" => DEFAULTS
                .iter()
                .try_for_each(|rule| add(&mut rules, rule, hosts)),
            text => match text.strip_prefix('-') {
                Some(name) => remove(&mut rules, name.trim()).map_err(|problem| RuleError {
                    rule: line.clone(),
                    problem,
                }),
                None => add(&mut rules, line, hosts),
            },
        };
        added.map_err(|error| (at, error))?;
    }
    Ok(rules)
}

fn add(rules: &mut Vec<Rule>, line: &str, hosts: &[String]) -> Result<(), RuleError> {
    let rule: Rule = line.parse()?;
    let wrong = |problem: String| {
        let rule = line.to_owned();
        Err(RuleError { rule, problem })
    };
    if rules.len() >= RULES_MAX {
        return wrong(format!("is over the limit of {RULES_MAX}"));
    }
    if rules.iter().any(|other| other.name == rule.name) {
        let name = &rule.name;
        return wrong(format!(
            "has the name of another rule: {name}; write \"- {name}\" before it to replace that one"
        ));
    }
    if let Some(name) = unknown_host(&rule, hosts).filter(|_| !hosts.is_empty()) {
        let hint = suggest(&name, hosts.iter().map(String::as_str));
        return wrong(format!("is for an unknown host {name:?}{hint}"));
    }
    rules.push(rule);
    Ok(())
}

fn remove(rules: &mut Vec<Rule>, name: &str) -> Result<(), String> {
    let at = rules.iter().position(|rule| rule.name == name);
    let at = at.ok_or_else(|| {
        let hint = suggest(name, rules.iter().map(|rule| rule.name.as_str()));
        format!("takes out a rule that is not among those before it: {name:?}{hint}")
    })?;
    rules.remove(at);
    Ok(())
}

fn unknown_host(rule: &Rule, hosts: &[String]) -> Option<String> {
    let mut names = rule.hosts.patterns().filter(|pattern| pattern.is_name());
    let unknown = names.find(|name| !hosts.iter().any(|host| name.matches(host)));
    unknown.map(Pattern::to_string)
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let error = |problem| RuleError {
            rule: text.to_owned(),
            problem,
        };
        parse(text).map_err(error)
    }
}

fn parse(text: &str) -> Result<Rule, String> {
    let (name, rest) = text
        .split_once(':')
        .ok_or("has no name: write for example \"busy: cpu > 95% for 10m\"")?;
    let name = name.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || !name.chars().all(fits) {
        return Err("has to begin with a name of letters, digits and dashes".to_owned());
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let mut parser = Parser {
        words: words.iter(),
        rule: Rule {
            name: name.to_owned(),
            condition: Condition::Silent,
            hold: Duration::ZERO,
            hosts: Hosts::all(),
            severity: Severity::Warning,
            say: None,
            text: format!("{name}: {}", words.join(" ")),
        },
    };
    parser.parse()?;
    check(&parser.rule)?;
    Ok(parser.rule)
}

struct Parser<'a> {
    words: Iter<'a, &'a str>,
    rule: Rule,
}

impl<'a> Parser<'a> {
    fn parse(&mut self) -> Result<(), String> {
        match self.peek() {
            Some("silent") => {
                self.words.next();
                self.options(None)
            }
            Some("clock") if self.words.as_slice().get(1) == Some(&"off") => {
                self.words.nth(1);
                let span = self.span("off")?;
                self.rule.condition = Condition::ClockOff(span);
                self.options(None)
            }
            _ => {
                let mut terms = vec![self.term()?];
                while self.words.next().is_some() {
                    terms.push(self.term()?);
                }
                self.rule.condition = Condition::All(terms);
                Ok(())
            }
        }
    }

    fn peek(&self) -> Option<&'a str> {
        self.words.as_slice().first().copied()
    }

    fn argument(&mut self, after: &str) -> Result<&'a str, String> {
        let word = self.words.next().copied();
        word.ok_or_else(|| format!("ends after {after:?}"))
    }

    fn span(&mut self, after: &str) -> Result<Duration, String> {
        parse_span(self.argument(after)?).map_err(|error| error.to_string())
    }

    /// Parses a list of hosts, which goes on after a comma.
    fn hosts(&mut self) -> Result<Hosts, String> {
        let mut list = self.argument("on")?.to_owned();
        while list.ends_with(',') {
            list += self.argument(",")?;
        }
        list.parse::<Hosts>()
            .map_err(|error| format!("is wrong after \"on\": {error}"))
    }

    /// Parses the options after a condition, up to the next condition.
    fn options(&mut self, mut term: Option<&mut Term>) -> Result<(), String> {
        while let Some(option) = self.peek() {
            if let Some(term) = term.as_deref_mut() {
                if option == "and" {
                    return Ok(());
                }
                if self.term_option(option, term)? {
                    continue;
                }
            }
            self.words.next();
            match option {
                "for" => self.rule.hold = self.span(option)?,
                "on" => self.rule.hosts = self.hosts()?,
                "warning" => self.rule.severity = Severity::Warning,
                "critical" => self.rule.severity = Severity::Critical,
                "say" => {
                    let words: Vec<&str> = self.words.by_ref().copied().collect();
                    if words.is_empty() {
                        return Err("ends after \"say\"".to_owned());
                    }
                    self.rule.say = Some(Template::parse(&words.join(" "))?);
                }
                other => {
                    let hint = suggest(
                        other,
                        OPTIONS.into_iter().chain(["clear", "over", "within", "by"]),
                    );
                    return Err(format!("has an unexpected {other:?}{hint}"));
                }
            }
        }
        Ok(())
    }

    fn term(&mut self) -> Result<Term, String> {
        let incomplete = "has no condition: write METRIC > VALUE";
        let [subject, sign, _, ..] = *self.words.as_slice() else {
            return Err(incomplete.to_owned());
        };
        self.words.nth(1);
        let inner = subject
            .strip_prefix("rate(")
            .and_then(|rest| rest.strip_suffix(')'));
        let metric = metric_name(inner.unwrap_or(subject))?;
        let mut measure = match inner {
            Some(_) => Measure::Rate(RATE_OVER),
            None => Measure::Value,
        };
        let mut sign = sign;
        if sign == "turns" && inner.is_none() {
            measure = Measure::Turn;
            sign = self.argument("turns")?;
        }
        for (first, rest) in DEVIATES {
            if sign == first {
                return self.deviation(metric, first, rest, inner.is_some());
            }
        }
        let is_full = sign == "full";
        let above = match sign {
            ">" | "full" => true,
            "<" => false,
            other => {
                return Err(format!(
                    "compares by {other:?}: use > or <, or \"deviates from baseline\""
                ));
            }
        };
        let threshold = match is_full {
            true => Bound::Number(1.0),
            false => bound(self.argument(sign)?, &metric, measure)?,
        };
        let mut term = Term {
            clear: threshold.clone(),
            metric,
            measure,
            above,
            threshold,
        };
        self.options(Some(&mut term))?;
        if is_full && !matches!(term.measure, Measure::Within(..)) {
            return Err("has \"full\" without a time: write \"full within 4h\"".to_owned());
        }
        Ok(term)
    }

    /// Parses what follows the first word of [`DEVIATES`].
    fn deviation(
        &mut self,
        metric: MetricName,
        first: &str,
        rest: [&str; 2],
        is_rate: bool,
    ) -> Result<Term, String> {
        let words = [self.argument(first)?, self.argument(rest[0])?];
        if words != rest {
            let [second, third] = rest;
            return Err(format!(
                "has {first:?} alone: write \"{first} {second} {third}\""
            ));
        }
        if is_rate {
            return Err(
                "compares a rate with a baseline: write the metric without rate()".to_owned(),
            );
        }
        let mut term = Term {
            metric,
            measure: Measure::Deviation,
            above: true,
            threshold: Bound::Number(DEVIATION.0),
            clear: Bound::Number(DEVIATION.1),
        };
        self.options(Some(&mut term))?;
        Ok(term)
    }

    fn spreads(&mut self, after: &str) -> Result<Bound, String> {
        let text = self.argument(after)?;
        let number = text.parse::<f64>().ok();
        let number = number.filter(|number| *number > 0.0 && *number <= DEVIATION_MAX);
        number.map(Bound::Number).ok_or_else(|| {
            format!("has {text:?}, which is not a number of spreads: write for example 4")
        })
    }

    /// Parses an option of a single condition; false if `option` is none.
    fn term_option(&mut self, option: &str, term: &mut Term) -> Result<bool, String> {
        match (option, &mut term.measure) {
            ("over", Measure::Rate(over)) => {
                self.words.next();
                *over = self.span(option)?;
                if !(Duration::from_secs(10)..=RATE_OVER_MAX).contains(over) {
                    return Err("has a time after \"over\" that is not from 10s to 1d".to_owned());
                }
            }
            ("by", Measure::Deviation) => {
                self.words.next();
                let default_clear = |by: &Bound| match by {
                    Bound::Number(by) => Some(Bound::Number(by * DEVIATION.1 / DEVIATION.0)),
                    Bound::Of(..) => None,
                };
                let is_named = default_clear(&term.threshold).as_ref() != Some(&term.clear);
                term.threshold = self.spreads(option)?;
                if let Some(clear) = default_clear(&term.threshold).filter(|_| !is_named) {
                    term.clear = clear;
                }
            }
            ("clear", Measure::Deviation) => {
                self.words.next();
                term.clear = self.spreads(option)?;
            }
            ("within", Measure::Value) => {
                self.words.next();
                let within = self.span(option)?;
                if within > WITHIN_MAX {
                    return Err("forecasts more than a week from the trend of an hour".to_owned());
                }
                term.measure = Measure::Within(within, within * 3 / 2);
            }
            ("clear", Measure::Within(within, clear)) => {
                self.words.next();
                *clear = self.span(option)?;
                if clear < within {
                    return Err(before_it_fires());
                }
            }
            ("clear", measure) => {
                let measure = *measure;
                self.words.next();
                term.clear = bound(self.argument(option)?, &term.metric, measure)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn bound(text: &str, metric: &MetricName, measure: Measure) -> Result<Bound, String> {
    let (factor, other) = match text.split_once('*') {
        Some((factor, other)) => (factor, other),
        None => ("1", text),
    };
    if text.contains('*') || other.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let one = Quantity {
            metric: None,
            is_rate: false,
        };
        // A mistyped number is likelier here than a custom metric.
        let other = metric_name(other)
            .ok()
            .filter(|name| name.known().is_some());
        let other =
            other.ok_or_else(|| format!("has {text:?}, which is not a number or a metric"))?;
        return Ok(Bound::Of(one.read(factor)?, other));
    }
    let known = metric.known();
    let is_counter = known.is_some_and(|metric| metric.kind == Kind::Counter);
    let quantity = Quantity {
        metric: known,
        is_rate: is_counter || matches!(measure, Measure::Rate(_)),
    };
    quantity.read(text).map(Bound::Number)
}

/// A known metric, or a name that may be a custom metric.
fn metric_name(text: &str) -> Result<MetricName, String> {
    if let Some(known) = ALIASES.iter().find(|alias| alias.alias == text) {
        return Ok(MetricName::Alias(known.alias));
    }
    // Custom metrics have Prometheus names, which contain no dot.
    let is_built_in = text.contains('.');
    if ALL.iter().any(|metric| metric.name == text) {
        return Ok(MetricName::Metric(text.to_owned()));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
    if text.is_empty() || !text.chars().all(fits) {
        return Err(format!("has {text:?}, which cannot be a metric"));
    }
    let aliases = ALIASES.iter().map(|alias| alias.alias);
    let nearness = |name: &str| strsim::jaro_winkler(name, text);
    let is_near = aliases.clone().any(|alias| nearness(alias) >= TYPO);
    let is_typo = is_built_in || (is_near && !text.contains(['_', ':']));
    if !is_typo {
        return Ok(MetricName::Metric(text.to_owned()));
    }
    let names = ALL.iter().map(|metric| metric.name).chain(aliases);
    let nearest = names.max_by(|a, b| nearness(a).total_cmp(&nearness(b)));
    let hint = nearest
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default();
    Err(format!("has an unknown metric {text:?}{hint}"))
}

#[cfg(test)]
mod tests;
