//! Where alerts are told, as people write it.
//!
//! | route | what is sent |
//! |---|---|
//! | `https://…`, `http://…` | a POST of JSON: `{"schema":1,"text":…,"alerts":[…]}` |
//! | `slack:https://…`, `teams:https://…`, `discord:https://…` | a POST of the text, as they take it |
//! | `ntfy:https://…` | a POST of the text, with title and priority |
//! | `mail:smtps://USER:PASSWORD@HOST/?from=A&to=B,C` | a letter; `smtp://` asks for TLS itself (STARTTLS) |
//! | `command:…` | the JSON on a command's standard input, run through the shell |
//!
//! `critical` before it leaves out warnings. What follows the kind, or all of it, may be `file:PATH` or
//! `env:NAME` for what is there: addresses with secrets in them belong elsewhere than in the configuration.

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use sysmon_wire::message::Severity;
use thiserror::Error;

use super::mail::Mail;

/// Bytes of a file that holds a route.
const SECRET_BYTES_MAX: u64 = 4_096;

/// Where alerts are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// How.
    pub(super) target: Target,
    /// The least severity that is told.
    least: Severity,
    /// Tells it from others without saying what it is.
    id: u32,
}

/// How something is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A POST to an address, in one of some forms.
    Post(Form, String),
    Mail(Mail),
    Command(String),
}

/// What a receiver takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Slack,
    Teams,
    Discord,
    Ntfy,
}

const FORMS: [(&str, Form); 5] = [
    ("slack:", Form::Slack),
    ("teams:", Form::Teams),
    ("discord:", Form::Discord),
    ("ntfy:", Form::Ntfy),
    ("json:", Form::Json),
];

/// A text that is no route. It says what, but never the text, which may be a secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// Of no kind.
    #[error(
        "no route for alerts begins with {0:?}: write https://…, slack:https://…, teams:https://…, discord:https://…, ntfy:https://…, mail:smtps://… or command:…"
    )]
    Kind(String),
    /// An address that is none.
    #[error("a webhook is an address: write https://… after the kind")]
    Address,
    /// A letter to nobody.
    #[error("{0}")]
    Mail(String),
    /// Where it is said to be is nothing.
    #[error("the route from {from} cannot be read: {why}")]
    Secret {
        /// The file or variable.
        from: String,
        /// Why not.
        why: String,
    },
}

impl Route {
    /// Reads a route whose parts may stand in files or in the environment.
    pub fn resolve(text: &str) -> Result<Self, RouteError> {
        let (least, rest) = severity(text);
        let (kind, target) = split(rest);
        let rest = match (secret(rest)?, secret(target)?) {
            (Some(all), _) => all,
            (None, Some(target)) => format!("{kind}{target}"),
            (None, None) => rest.to_owned(),
        };
        let mut route: Self = rest.parse()?;
        route.least = route.least.max(least);
        Ok(route)
    }

    /// A route as it stands in the configuration, without what may be secret.
    pub fn describe(text: &str) -> String {
        let (least, rest) = severity(text);
        let only = match least {
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
            Err(_) => "something that is no route".to_owned(),
        }
    }

    /// Whether an alert of this severity is told there.
    pub fn takes(&self, severity: Severity) -> bool {
        severity >= self.least
    }

    /// Tells it from others, over restarts too, without saying what it is.
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl FromStr for Route {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        let (least, rest) = severity(text);
        let (kind, target) = split(rest);
        let form = FORMS.iter().find(|(name, _)| *name == kind);
        let is_url = target.starts_with("https://") || target.starts_with("http://");
        let target = match (kind, form) {
            ("command:", _) if !target.trim().is_empty() => Target::Command(target.to_owned()),
            ("mail:", _) => Target::Mail(target.parse().map_err(RouteError::Mail)?),
            ("", _) if is_url => Target::Post(Form::Json, target.to_owned()),
            (_, Some((_, form))) if is_url => Target::Post(*form, target.to_owned()),
            (_, Some(_)) => return Err(RouteError::Address),
            _ => {
                let kind = rest.split(':').next().unwrap_or_default();
                return Err(RouteError::Kind(kind.chars().take(12).collect()));
            }
        };
        Ok(Self {
            target,
            least,
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

/// The kind with its colon, if there is one, and the rest.
fn split(text: &str) -> (&str, &str) {
    let kinds = FORMS
        .iter()
        .map(|(kind, _)| *kind)
        .chain(["mail:", "command:"]);
    let found = kinds.into_iter().find(|kind| text.starts_with(kind));
    text.split_at(found.map_or(0, str::len))
}

/// What is in the file or variable that is named; none if none is.
fn secret(text: &str) -> Result<Option<String>, RouteError> {
    let failed = |why: String| RouteError::Secret {
        from: text.to_owned(),
        why,
    };
    let found = if let Some(path) = text.strip_prefix("file:") {
        let mut content = String::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut content));
        read.map_err(|error| failed(error.to_string()))?;
        content
    } else if let Some(name) = text.strip_prefix("env:") {
        std::env::var(name).map_err(|error| failed(error.to_string()))?
    } else {
        return Ok(None);
    };
    let found = found.trim();
    if found.is_empty() || found.contains('\n') {
        return Err(failed("it should be one line".to_owned()));
    }
    Ok(Some(found.to_owned()))
}

impl fmt::Display for Route {
    /// Without what may be secret: the path of a webhook is its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.least == Severity::Critical {
            f.write_str("critical ")?;
        }
        match &self.target {
            Target::Command(command) => write!(f, "command {command}"),
            Target::Mail(mail) => write!(f, "{mail}"),
            Target::Post(form, url) => {
                let host = url.split('/').nth(2).unwrap_or_default();
                let host = host.rsplit('@').next().unwrap_or_default();
                let kind = FORMS.iter().find(|(_, other)| other == form);
                match kind.map(|(kind, _)| kind.trim_end_matches(':')) {
                    Some("json") | None => write!(f, "webhook at {host}"),
                    Some(kind) => write!(f, "{kind} webhook at {host}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_and_shown_without_their_secret() {
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
            "critical mail to c@d.org by mx.example.org"
        );
        assert!("command:/usr/bin/true".parse::<Route>().is_ok());
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
    fn secrets_come_from_files_and_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("url");
        std::fs::write(&path, "https://hooks.example.org/T1/secret\n").unwrap();
        let text = format!("critical slack:file:{}", path.display());
        let route = Route::resolve(&text).unwrap();
        let plain: Route = "slack:https://hooks.example.org/T1/secret".parse().unwrap();
        assert_eq!((&route.target, route.id()), (&plain.target, plain.id()));
        assert!(route.takes(Severity::Critical) && !route.takes(Severity::Warning));
        assert_eq!(Route::describe(&text), text);
        let missing = Route::resolve("slack:file:/nowhere")
            .unwrap_err()
            .to_string();
        assert!(
            missing.starts_with("the route from file:/nowhere cannot be read"),
            "{missing}"
        );
        assert!(Route::resolve("env:SYSMON_NO_SUCH_VARIABLE").is_err());
        std::fs::write(&path, "").unwrap();
        assert!(Route::resolve(&text).is_err());
    }
}
