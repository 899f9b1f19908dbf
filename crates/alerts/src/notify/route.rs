//! Routes: where notifications are sent, and how the configuration writes it.
//!
//! | route | delivery |
//! |---|---|
//! | `https://…`, `http://…` | a POST of JSON: `{"schema":1,"text":…,"alerts":[…]}` |
//! | `slack:…`, `telegram:…` and other services | what the service understands; [`super::receivers`] has a file for each |
//! | `mail:smtps://USER:PASSWORD@HOST/?from=A&to=B,C` | a mail; `smtp://` uses STARTTLS |
//! | `command:…` | the JSON on the standard input of a shell command |
//!
//! The prefix `critical ` leaves out warnings. The whole route, or the part after the kind, may be `file:PATH` or
//! `env:NAME`, because an address that is a secret does not belong into the configuration.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sysmon_files::{ReferenceError, resolve_reference};
use sysmon_wire::message::Severity;
use thiserror::Error;

use super::capacity::Capacity;
use super::mail::Mail;
use super::receivers::{Address, SERVICES, Service};

/// Where notifications are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub(super) target: Target,
    min_severity: Severity,
    /// Hash of the route, which does not reveal its secret.
    pub(super) id: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Service(&'static Service, Address),
    Mail(Mail),
    Command(String),
}

/// A text that is not a route. The message never contains the text, which may be a secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// No route begins like this.
    #[error(
        "unknown kind of notification route {0:?}: write https://…, mail:smtps://…, command:… or one of {kinds}",
        kinds = kinds()
    )]
    Kind(String),
    /// What follows the kind is not an address of this service.
    #[error("not a route: write {0}")]
    Address(&'static str),
    /// The mail server, sender or recipients are wrong.
    #[error("{0}")]
    Mail(String),
    /// The file or environment variable has no route.
    #[error(transparent)]
    Secret(#[from] ReferenceError),
}

impl Route {
    /// Parses a route, reading `file:` and `env:`.
    ///
    /// # Errors
    /// The text is not a route, or its file or variable cannot be read.
    pub fn resolve(text: &str) -> Result<Self, RouteError> {
        let (min_severity, rest) = severity(text);
        let (kind, target) = split(rest);
        let rest = match (resolve_reference(rest)?, resolve_reference(target)?) {
            (Some(all), _) => all,
            (None, Some(target)) => format!("{kind}{target}"),
            (None, None) => rest.to_owned(),
        };
        let mut route: Self = rest.parse()?;
        route.min_severity = route.min_severity.max(min_severity);
        Ok(route)
    }

    /// A route of the configuration without secrets; files and variables are not read.
    pub fn describe(text: &str) -> String {
        let (min_severity, rest) = severity(text);
        let only = match min_severity {
            Severity::Critical => "critical ",
            Severity::Warning => "",
        };
        let (kind, target) = split(rest);
        let is_elsewhere = |text: &str| text.starts_with("file:") || text.starts_with("env:");
        if is_elsewhere(rest) || (is_elsewhere(target) && kind != "command:") {
            return format!("{only}{rest}");
        }
        match rest.parse::<Self>() {
            Ok(route) => format!("{only}{route}"),
            Err(_) => "(invalid route)".to_owned(),
        }
    }

    pub(super) fn capacity(&self) -> Capacity {
        match &self.target {
            Target::Command(_) => Capacity::PROGRAM,
            // No limit of servers, but of readers.
            Target::Mail(_) => Capacity {
                names_max: 100,
                ..Capacity::people(60_000, str::len)
            },
            Target::Service(service, _) => service.capacity,
        }
    }

    /// Whether the receiver holds alerts by a key, so that each may be sent again.
    pub(super) fn is_keyed(&self) -> bool {
        matches!(&self.target, Target::Service(service, _) if service.is_keyed)
    }

    /// How often the receiver wants to hear of alerts that still fire.
    pub(super) fn repeat(&self) -> Option<Duration> {
        match &self.target {
            Target::Service(service, _) => service.repeat,
            Target::Mail(_) | Target::Command(_) => None,
        }
    }

    /// Whether alerts of this severity are sent there.
    pub fn accepts(&self, severity: Severity) -> bool {
        severity >= self.min_severity
    }
}

impl FromStr for Route {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        let (min_severity, rest) = severity(text);
        let (kind, target) = split(rest);
        let service = SERVICES.iter().find(|service| service.kind == kind);
        let target = match (kind, service) {
            ("command:", _) if !target.trim().is_empty() => Target::Command(target.to_owned()),
            ("mail:", _) => Target::Mail(target.parse().map_err(RouteError::Mail)?),
            (_, Some(service)) => match (service.parse)(target) {
                Some(address) => Target::Service(service, address),
                None if kind.is_empty() => return Err(unknown(rest)),
                None => return Err(RouteError::Address(service.form)),
            },
            _ => return Err(unknown(rest)),
        };
        Ok(Self {
            target,
            min_severity,
            id: crc32fast::hash(rest.as_bytes()),
        })
    }
}

fn severity(text: &str) -> (Severity, &str) {
    let text = text.trim();
    match text.split_once(' ') {
        Some(("critical", rest)) => (Severity::Critical, rest.trim_start()),
        Some(("warning", rest)) => (Severity::Warning, rest.trim_start()),
        _ => (Severity::Warning, text),
    }
}

/// The kind with its colon, or nothing, and the rest.
fn split(text: &str) -> (&str, &str) {
    let kinds = SERVICES.iter().map(|service| service.kind);
    let mut kinds = kinds
        .filter(|kind| !kind.is_empty())
        .chain(["mail:", "command:"]);
    let found = kinds.find(|kind| text.starts_with(kind));
    text.split_at(found.map_or(0, str::len))
}

fn unknown(text: &str) -> RouteError {
    let kind = text.split(':').next().unwrap_or_default();
    RouteError::Kind(kind.chars().take(12).collect())
}

fn kinds() -> String {
    let kinds = SERVICES.iter().map(|service| service.kind);
    let kinds: Vec<&str> = kinds.filter(|kind| !kind.is_empty()).collect();
    kinds.join(" ")
}

impl fmt::Display for Route {
    /// Without secrets: the path of a webhook is its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min_severity == Severity::Critical {
            f.write_str("critical ")?;
        }
        match &self.target {
            Target::Command(command) => match program(command) {
                Some(program) => write!(f, "command {program}"),
                None => f.write_str("command"),
            },
            Target::Mail(mail) => write!(f, "{mail}"),
            Target::Service(service, address) => {
                write!(f, "{} at {}", service.name, address.host())
            }
        }
    }
}

/// The program of a shell command. None if its first word may be something else: what follows it, and the value of a
/// variable, can be a secret.
fn program(command: &str) -> Option<&str> {
    let word = command.split_whitespace().next()?;
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    word.chars().all(is_plain).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_displayed_without_their_secret() {
        let shown = |text: &str| text.parse::<Route>().unwrap().to_string();
        assert_eq!(
            shown("slack:https://hooks.example.org/T1/secret"),
            "slack webhook at hooks.example.org"
        );
        assert_eq!(
            shown("https://me:secret@example.org/x"),
            "webhook at example.org"
        );
        assert_eq!(
            shown("critical mail:smtps://me:secret@mx.example.org/?from=a@b.org&to=c@d.org"),
            "critical mail to c@d.org via mx.example.org"
        );
        assert_eq!(
            shown("command:/usr/bin/page --token secret"),
            "command /usr/bin/page"
        );
        for command in [
            "command:TOKEN=secret page",
            "command:T='a secret' page",
            "command:$(secret)",
        ] {
            assert_eq!(shown(command), "command");
            assert_eq!(Route::describe(command), "command");
        }
        for bad in [
            "",
            "slack:",
            "ftp://secret",
            "command:",
            "slack:secret",
            "mail:secret",
        ] {
            let error = bad.parse::<Route>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn routes_are_read_from_files_and_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("url");
        std::fs::write(&path, "https://hooks.example.org/T1/secret\n").unwrap();
        let text = format!("critical slack:file:{}", path.display());
        let route = Route::resolve(&text).unwrap();
        let plain: Route = "slack:https://hooks.example.org/T1/secret".parse().unwrap();
        assert_eq!((&route.target, route.id), (&plain.target, plain.id));
        assert!(route.accepts(Severity::Critical) && !route.accepts(Severity::Warning));
        assert_eq!(Route::describe(&text), text);
        let missing = Route::resolve("slack:file:/nowhere")
            .unwrap_err()
            .to_string();
        assert!(
            missing.starts_with("cannot read file:/nowhere"),
            "{missing}"
        );
        assert!(Route::resolve("env:SYSMON_NO_SUCH_VARIABLE").is_err());
        std::fs::write(&path, "").unwrap();
        assert!(Route::resolve(&text).is_err());
    }
}
