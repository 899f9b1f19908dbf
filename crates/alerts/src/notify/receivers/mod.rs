//! The services that notifications are sent to by HTTP: a file for each, which owns how its route is written, how much
//! it takes, and its requests. Pure.

mod address;
mod alertmanager;
mod apprise;
mod discord;
mod gotify;
mod matrix;
mod ntfy;
mod opsgenie;
mod pagerduty;
mod pushover;
mod signal;
mod slack;
mod teams;
mod telegram;
mod webhook;

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use sysmon_wire::UnixMs;

use super::capacity::Capacity;
use super::notification::Notification;
pub(super) use address::Address;

/// Every service that has a kind of its own in a route.
pub(super) const SERVICES: [&Service; 15] = [
    &slack::SLACK,
    &teams::TEAMS,
    &discord::DISCORD,
    &ntfy::NTFY,
    &telegram::TELEGRAM,
    &gotify::GOTIFY,
    &pushover::PUSHOVER,
    &matrix::MATRIX,
    &signal::SIGNAL,
    &apprise::APPRISE,
    &pagerduty::PAGERDUTY,
    &opsgenie::OPSGENIE,
    &alertmanager::ALERTMANAGER,
    &webhook::JSON,
    &webhook::WEBHOOK,
];

/// A service: constants and pure functions.
pub(super) struct Service {
    /// What its routes begin with, the colon included; nothing for a plain URL.
    pub(super) kind: &'static str,
    /// How its routes are written.
    pub(super) form: &'static str,
    /// What it is in lists, in front of the host.
    pub(super) name: &'static str,
    /// The address that follows the kind.
    pub(super) parse: fn(&str) -> Option<Address>,
    pub(super) capacity: Capacity,
    /// Whether it holds alerts by a key: one that it knows may be sent again, and one that it does not know resolved.
    pub(super) is_keyed: bool,
    /// How often it wants to hear that an alert still fires.
    pub(super) repeat: Option<Duration>,
    /// Whether 204 says that nobody was notified.
    pub(super) is_204_failure: bool,
    /// What is sent, in this order. They may all be repeated.
    pub(super) requests: fn(&Address, &Notification, UnixMs) -> Vec<Request>,
}

impl Service {
    /// What most services have in common.
    const PLAIN: Self = Self {
        kind: "",
        form: "",
        name: "",
        parse: Address::url_alone,
        capacity: Capacity::PROGRAM,
        is_keyed: false,
        repeat: None,
        is_204_failure: false,
        requests: |_, _, _| Vec::new(),
    };
}

impl PartialEq for Service {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Service {}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Post,
    Put,
}

/// An HTTP request. Its URL and headers contain secrets.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Request {
    /// A POST of JSON.
    fn json(url: String, body: &Value) -> Self {
        Self {
            method: Method::Post,
            url,
            headers: vec![("Content-Type", "application/json".to_owned())],
            body: body.to_string(),
        }
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// RFC 3339, in UTC; a moment that has no such date becomes 1970.
fn rfc3339(at: UnixMs) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0);
    at.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests;
