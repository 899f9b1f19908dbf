//! What edges may show to the public.

use std::str::FromStr;

use sysmon_alerts::rule::{Hosts, PatternError};
use sysmon_config::ShareAlerts;
use sysmon_wire::Label;
use sysmon_wire::message::{AlertLine, HostLine};
use sysmon_wire::metrics::{ALIASES, SUMMARY};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeOptions {
    pub edges: Vec<String>,
    /// Those that were paired with the hub.
    pub paired: Vec<String>,
    /// Hosts that are shown; the first match decides.
    pub share: Vec<Share>,
    /// Checks that are shown as services; the first match decides.
    pub checks: Vec<Share>,
    /// Aliases of the metrics that are shown; the whole summary if not set.
    pub metrics: Option<Vec<String>>,
    pub alerts: ShareAlerts,
}

/// Hosts that edges show: a list as in [`Hosts`]; `=PUBLIC` gives another public name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    hosts: Hosts,
    public: Option<String>,
}

impl FromStr for Share {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hosts, public) = match text.split_once('=') {
            Some((hosts, public)) => (hosts, Some(public.trim().to_owned())),
            None => (text, None),
        };
        Ok(Self {
            hosts: hosts.trim().parse()?,
            public,
        })
    }
}

impl EdgeOptions {
    pub(super) fn public_name(&self, line: &HostLine) -> Option<Label> {
        let share = self
            .share
            .iter()
            .find(|share| share.hosts.include(line.name.as_str(), &line.facts.tags))?;
        Some(
            share
                .public
                .as_deref()
                .map_or_else(|| line.name.clone(), Label::new),
        )
    }

    /// What a check is called in public; none if it is not shown.
    pub(super) fn public_service(&self, check: &Label) -> Option<Label> {
        let mut shares = self.checks.iter();
        let share = shares.find(|share| share.hosts.include(check.as_str(), &[] as &[&str]))?;
        let public = share.public.as_deref();
        Some(public.map_or_else(|| check.clone(), Label::new))
    }

    pub(super) fn shows(&self, place: usize) -> bool {
        let alias = ALIASES.get(place).map(|alias| alias.alias);
        let chosen = |names: &Vec<String>| names.iter().any(|name| Some(name.as_str()) == alias);
        place < SUMMARY && self.metrics.as_ref().is_none_or(chosen)
    }

    /// As much of an alert as is shown, with the host's public name.
    pub(super) fn alert(&self, alert: &AlertLine, host: &str, public: &str) -> Option<AlertLine> {
        let summary = match self.alerts {
            ShareAlerts::None => return None,
            ShareAlerts::Names => Label::new(""),
            ShareAlerts::Summaries => Label::new(&alert.summary.as_str().replace(host, public)),
        };
        Some(AlertLine {
            rule: alert.rule.clone(),
            severity: alert.severity,
            since: alert.since,
            summary,
            // By name; `Redaction::acknowledged` sends that somebody did.
            acknowledged: None,
            silenced: None,
            metric: Label::new(""),
        })
    }
}
