//! Silences and maintenance windows, which suppress notifications. Pure but for [`SilenceFile`].

mod list;
mod names;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sysmon_config::Weekly;
use sysmon_wire::UnixMs;
use thiserror::Error;

use crate::Alert;
pub use crate::rule::PatternError;
use crate::rule::{Hosts, Pattern};
pub use list::{NewSilence, SILENCE_MS_MAX, SilenceError, add, end};
pub use names::{ScopeNames, UnknownName};

/// Silences at one time.
pub const SILENCES_MAX: usize = 200;

const FILE_BYTES_MAX: u64 = 1 << 20;

/// Selects alerts by host (name or tag) and rule name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ScopeText", into = "ScopeText")]
pub struct Scope {
    hosts: Hosts,
    rule: Pattern,
}

/// A scope in a file.
#[derive(Serialize, Deserialize)]
struct ScopeText {
    hosts: String,
    rule: String,
}

impl TryFrom<ScopeText> for Scope {
    type Error = PatternError;

    fn try_from(text: ScopeText) -> Result<Self, PatternError> {
        Self::new(&text.hosts, &text.rule)
    }
}

impl From<Scope> for ScopeText {
    fn from(scope: Scope) -> Self {
        Self {
            hosts: scope.hosts.to_string(),
            rule: scope.rule.to_string(),
        }
    }
}

impl FromStr for Scope {
    type Err = PatternError;

    /// Parses `HOSTS` or `HOSTS:RULE`, in which an empty part stands for all.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        match text.rsplit_once(':') {
            // The hub's own host has a colon in its name.
            Some((hosts, _)) if hosts.rsplit([',', '!']).next() == Some("hub") => {
                Self::new(text, "")
            }
            Some((hosts, rule)) => Self::new(hosts, rule),
            None => Self::new(text, ""),
        }
    }
}

impl Scope {
    /// Alerts of these hosts and rules; an empty text selects all.
    ///
    /// # Errors
    /// A text is not a list of hosts or not a pattern.
    pub fn new(hosts: &str, rule: &str) -> Result<Self, PatternError> {
        let or_all = |text| {
            Some(text)
                .filter(|text: &&str| !text.is_empty())
                .unwrap_or("*")
        };
        Ok(Self {
            hosts: or_all(hosts).parse()?,
            rule: or_all(rule).parse()?,
        })
    }

    /// The hosts.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// The pattern of the rule's name.
    pub fn rule(&self) -> &Pattern {
        &self.rule
    }

    /// Replaces a host's name; true if the scope has it. Patterns stay as they are.
    ///
    /// # Errors
    /// The new name is longer than a pattern can be.
    pub fn rename_host(&mut self, from: &str, to: &str) -> Result<bool, PatternError> {
        self.hosts.rename(from, to)
    }

    /// Whether the scope selects `alert`.
    pub fn includes(&self, alert: &Alert) -> bool {
        self.rule.matches(&alert.rule) && self.hosts.include(&alert.host, &alert.tags)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.hosts)?;
        match self.rule.to_string().as_str() {
            "*" => Ok(()),
            rule => write!(f, ":{rule}"),
        }
    }
}

/// Suppresses notifications of matching alerts for a limited time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Number by which `unsilence` removes it.
    pub id: String,
    /// The alerts that it suppresses.
    pub scope: Scope,
    /// Start, inclusive.
    pub from: UnixMs,
    /// End, exclusive.
    pub until: UnixMs,
    /// Who added it: the name of an operator's certificate.
    #[serde(default)]
    pub by: String,
    /// Shown beside silenced alerts; may be empty.
    pub reason: String,
}

impl Silence {
    /// Its reason, or who added it where there is none.
    pub fn shown_reason(&self) -> &str {
        match self.reason.is_empty() {
            true => &self.by,
            false => &self.reason,
        }
    }
}

/// A silence that recurs every day or week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaintenanceWindow {
    text: String,
    scope: Scope,
    weekly: Weekly,
}

impl MaintenanceWindow {
    /// Whether the window is open at `now`.
    pub fn is_open(&self, now: UnixMs) -> bool {
        self.weekly.includes(now.0)
    }
}

impl std::fmt::Display for MaintenanceWindow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for MaintenanceWindow {
    type Err = MaintenanceWindowError;

    /// `SCOPE DAYS HH:MM-HH:MM`.
    fn from_str(text: &str) -> Result<Self, MaintenanceWindowError> {
        let (scope, weekly) = text
            .trim()
            .split_once(char::is_whitespace)
            .unwrap_or_default();
        let wrong = |reason: String| MaintenanceWindowError {
            window: text.to_owned(),
            reason,
        };
        let weekly = weekly.trim().parse::<Weekly>();
        Ok(Self {
            text: text.trim().to_owned(),
            weekly: weekly.map_err(|error| wrong(error.to_string()))?,
            scope: scope
                .parse()
                .map_err(|error: PatternError| wrong(error.to_string()))?,
        })
    }
}

/// A text that is not a maintenance window.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{window:?}: {reason}")]
pub struct MaintenanceWindowError {
    window: String,
    reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suppressions {
    pub(crate) silences: Vec<Silence>,
    pub(crate) maintenance: Vec<MaintenanceWindow>,
}

impl Suppressions {
    pub(crate) fn is_empty(&self) -> bool {
        self.silences.is_empty() && self.maintenance.is_empty()
    }

    /// Why `alert` is not notified at `now`; none if it is.
    pub(crate) fn reason(&self, alert: &Alert, now: UnixMs) -> Option<&str> {
        let is_on = |silence: &&Silence| {
            (silence.from..silence.until).contains(&now) && silence.scope.includes(alert)
        };
        let silence = self.silences.iter().find(is_on);
        let is_window =
            |window: &MaintenanceWindow| window.is_open(now) && window.scope.includes(alert);
        match silence {
            Some(silence) => Some(silence.shown_reason()),
            None => self
                .maintenance
                .iter()
                .any(is_window)
                .then_some("maintenance window"),
        }
    }
}

/// The file with a hub's silences, which commands write and the running hub reads.
#[derive(Clone, Debug)]
pub struct SilenceFile(PathBuf);

impl SilenceFile {
    /// The file in a hub's state directory.
    pub fn new(dir: &Path) -> Self {
        Self(dir.join("silences.json"))
    }

    /// When the file was last modified; none if it does not exist.
    pub fn modified(&self) -> Option<SystemTime> {
        std::fs::metadata(&self.0)
            .and_then(|file| file.modified())
            .ok()
    }

    /// The silences that have not expired at `now`.
    ///
    /// # Errors
    /// The file cannot be read, or is not JSON of silences. A missing file has no silences.
    pub fn read(&self, now: UnixMs) -> std::io::Result<Vec<Silence>> {
        use std::io::Read;
        let mut text = String::new();
        match std::fs::File::open(&self.0) {
            Ok(file) => file.take(FILE_BYTES_MAX).read_to_string(&mut text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut silences: Vec<Silence> = serde_json::from_str(&text)?;
        silences.retain(|silence| silence.until > now);
        Ok(silences)
    }

    /// Replaces all silences.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, silences: &[Silence]) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(silences)?;
        Ok(sysmon_files::write_private(&self.0, text)?)
    }

    /// Adds a silence to those in the file; returns it, and all that there are then.
    ///
    /// # Errors
    /// The file cannot be read or written, or [`add`] refuses the silence.
    pub fn add(
        &self,
        new: NewSilence,
        now: UnixMs,
    ) -> Result<(Silence, Vec<Silence>), SilenceError> {
        let mut silences = self.read(now)?;
        let silence = add(&mut silences, new, now)?;
        self.write(&silences)?;
        Ok((silence, silences))
    }

    /// Removes a silence from those in the file; returns it, and all that are left.
    ///
    /// # Errors
    /// The file cannot be read or written, or has no silence of this number.
    pub fn end(&self, id: &str, now: UnixMs) -> Result<(Silence, Vec<Silence>), SilenceError> {
        let mut silences = self.read(now)?;
        let silence = end(&mut silences, id)?;
        self.write(&silences)?;
        Ok((silence, silences))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::message::Severity;

    fn alert(host: &str, rule: &str) -> Alert {
        Alert {
            rule: rule.to_owned(),
            severity: Severity::Warning,
            host: host.to_owned(),
            tags: vec!["lab".to_owned()],
            what: String::new(),
            since: UnixMs(0),
            value: None,
            summary: String::new(),
        }
    }

    #[test]
    fn a_scope_selects_alerts_by_host_tag_and_rule() {
        let includes = |scope: &str, host: &str, rule: &str| {
            scope.parse::<Scope>().unwrap().includes(&alert(host, rule))
        };
        assert!(includes("db-*", "db-1", "hot") && !includes("db-*", "web", "hot"));
        assert!(includes("db-1:disk-*", "db-1", "disk-full") && !includes("db-1:hot", "db-1", "x"));
        assert!(includes("#lab:hot", "x", "hot") && !includes("#home", "x", "hot"));
        assert!(includes(":hot", "x", "hot") && !includes(":hot", "x", "cold"));
        assert!(includes("hub:box:hot", "hub:box", "hot") && includes("hub:*", "hub:box", "x"));
        assert!(includes("db-*,hub:box,!db-2:hot", "hub:box", "hot"));
        let mut scope: Scope = "db-*,web,!db-1:hot".parse().unwrap();
        assert!(
            scope.rename_host("db-1", "db-9").unwrap() && !scope.rename_host("db-2", "x").unwrap()
        );
        assert_eq!(scope.to_string(), "db-*,web,!db-9:hot");
        assert!(!includes("db-*,hub:box,!db-2:hot", "db-2", "hot"));
        for text in [
            "db-1:hot",
            "db-1",
            "hub:box",
            "!hub:box",
            "db-*,!hub:box:hot",
        ] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_silence_suppresses_for_its_time_and_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let file = SilenceFile::new(dir.path());
        assert_eq!(file.read(UnixMs(0)).unwrap(), Vec::new());
        let silence = Silence {
            id: "a1".to_owned(),
            scope: "db-*".parse().unwrap(),
            from: UnixMs(10),
            until: UnixMs(20),
            by: "jane".to_owned(),
            reason: "new disks".to_owned(),
        };
        file.write(std::slice::from_ref(&silence)).unwrap();
        assert!(file.modified().is_some());
        let suppressions = Suppressions {
            silences: file.read(UnixMs(15)).unwrap(),
            maintenance: Vec::new(),
        };
        assert_eq!(suppressions.silences, [silence]);
        let reason = |now: i64| suppressions.reason(&alert("db-1", "hot"), UnixMs(now));
        assert_eq!(
            [9, 10, 19, 20].map(reason),
            [None, Some("new disks"), Some("new disks"), None]
        );
        assert_eq!(file.read(UnixMs(20)).unwrap(), Vec::new());
    }

    #[test]
    fn maintenance_windows_are_parsed_with_an_example_in_the_error() {
        assert!("web-* sun 02:00-04:00".parse::<MaintenanceWindow>().is_ok());
        let wrong = "web-* sunday".parse::<MaintenanceWindow>().unwrap_err();
        assert!(wrong.to_string().contains("02:00-04:00"), "{wrong}");
    }
}
