//! An alert, and its transitions between firing and resolved.

use serde::{Deserialize, Serialize};
use sysmon_wire::UnixMs;
use sysmon_wire::message::Severity;

/// A rule that holds on one host, or on one of its devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The rule's name.
    pub rule: String,
    /// The rule's severity.
    pub severity: Severity,
    /// The host's name.
    pub host: String,
    /// The host's tags when the alert fired.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Which of the host's series: the values of its attributes, empty if it has none.
    pub what: String,
    /// When the condition began to hold, before the rule's `for` time.
    pub since: UnixMs,
    /// The value when it fired; none for rules about a host as a whole.
    pub value: Option<f64>,
    /// One line for people.
    pub summary: String,
}

impl Alert {
    /// Host, rule and device, which identify an alert while it fires.
    pub fn key(&self) -> (&str, &str, &str) {
        (&self.host, &self.rule, &self.what)
    }

    /// Replaces the host's name by its new one.
    pub(crate) fn rename_host(&mut self, from: &str, to: &str) {
        to.clone_into(&mut self.host);
        if self.summary == silent_summary(from) {
            self.summary = silent_summary(to);
        }
    }
}

/// What an alert about a silent host says unless its rule says more.
pub(crate) fn silent_summary(host: &str) -> String {
    format!("{host} is not reporting")
}

/// An alert that fires or is resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The alert, as it was when it fired.
    pub alert: Alert,
    /// True if it fires now, false if it is resolved.
    pub firing: bool,
}

impl Transition {
    /// `alert` fires.
    pub fn fired(alert: Alert) -> Self {
        let firing = true;
        Self { alert, firing }
    }

    /// `alert` is resolved.
    pub fn resolved(alert: Alert) -> Self {
        let firing = false;
        Self { alert, firing }
    }
}
