//! Who wants to hear nothing of what, and until when. Pure but for the file it is kept in.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sysmon_config::Weekly;
use sysmon_wire::UnixMs;

use super::engine::Alert;
use super::rule::{Hosts, glob};

/// Silences kept.
pub const SILENCES_MAX: usize = 200;

/// Bytes of the file that are read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What alerts are meant: those of hosts, by name or tag, and of rules by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    hosts: String,
    rule: String,
}

impl Scope {
    /// As people write it: `HOST`, `HOST:RULE`, with `*` for any letters, or `#TAG`.
    pub fn of(text: &str) -> Self {
        // The hub's own host has a colon in its name.
        let (hosts, rule) = match text.strip_prefix("hub:") {
            Some(rest) => match rest.split_once(':') {
                Some((name, rule)) => (format!("hub:{name}"), rule),
                None => (text.to_owned(), "*"),
            },
            None => match text.split_once(':') {
                Some((hosts, rule)) => (hosts.to_owned(), rule),
                None => (text.to_owned(), "*"),
            },
        };
        Self::new(&hosts, rule)
    }

    /// Alerts of hosts and rules of these names; nothing stands for all.
    pub fn new(hosts: &str, rule: &str) -> Self {
        let or_all = |text: &str| if text.is_empty() { "*" } else { text }.to_owned();
        Self {
            hosts: or_all(hosts),
            rule: or_all(rule),
        }
    }

    /// The one host that is meant, if it is one.
    pub fn host(&self) -> Option<String> {
        Hosts::of(&self.hosts).one().map(str::to_owned)
    }

    /// Names of hosts, and of rules.
    pub fn parts(&self) -> (&str, &str) {
        (&self.hosts, &self.rule)
    }

    /// Whether an alert is meant.
    pub fn includes(&self, alert: &Alert) -> bool {
        let tags = alert.tags.iter().map(String::as_str);
        Hosts::of(&self.hosts).include(&alert.host, tags) && glob(&self.rule, &alert.rule)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hosts)?;
        match self.rule.as_str() {
            "*" => Ok(()),
            rule => write!(f, ":{rule}"),
        }
    }
}

/// Alerts that nobody is told of for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// What people call it.
    pub id: String,
    /// Which alerts.
    pub scope: Scope,
    /// From when on.
    pub from: UnixMs,
    /// Up to when.
    pub until: UnixMs,
    /// Why.
    pub reason: String,
}

/// A time of the week in which nobody is told of some alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    scope: Scope,
    weekly: Weekly,
}

impl std::str::FromStr for Maintenance {
    type Err = String;

    /// `SCOPE DAYS HH:MM-HH:MM`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (scope, weekly) = text
            .trim()
            .split_once(char::is_whitespace)
            .unwrap_or_default();
        let weekly = weekly
            .trim()
            .parse()
            .map_err(|why| format!("{text:?}: {why}"))?;
        Ok(Self {
            scope: Scope::of(scope),
            weekly,
        })
    }
}

/// Everything for which nobody is told of an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quiet {
    /// What people have asked for.
    pub silences: Vec<Silence>,
    /// What the configuration says.
    pub maintenance: Vec<Maintenance>,
}

impl Quiet {
    /// Why nobody is told of an alert at `now`; none if they are.
    pub fn reason(&self, alert: &Alert, now: UnixMs) -> Option<&str> {
        let is_on = |silence: &&Silence| {
            (silence.from..silence.until).contains(&now) && silence.scope.includes(alert)
        };
        let silence = self.silences.iter().find(is_on);
        let is_window =
            |window: &Maintenance| window.weekly.includes(now.0) && window.scope.includes(alert);
        match silence {
            Some(silence) => Some(&silence.reason),
            None => self
                .maintenance
                .iter()
                .any(is_window)
                .then_some("maintenance"),
        }
    }
}

/// The silences of a hub, in a file that its command writes and the running hub reads.
#[derive(Clone, Debug)]
pub struct SilenceFile(PathBuf);

impl SilenceFile {
    /// That of the hub with this state directory.
    pub fn new(dir: &Path) -> Self {
        Self(dir.join("silences.json"))
    }

    /// When it was written last; none if it was not.
    pub fn written(&self) -> Option<SystemTime> {
        std::fs::metadata(&self.0)
            .and_then(|file| file.modified())
            .ok()
    }

    /// All silences that are not over.
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

    /// Puts these in place of what was there.
    pub fn write(&self, silences: &[Silence]) -> std::io::Result<()> {
        let temporary = self.0.with_extension("new");
        std::fs::write(&temporary, serde_json::to_string_pretty(silences)?)?;
        std::fs::rename(&temporary, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::Alert;
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
    fn alerts_are_meant_by_host_tag_and_rule() {
        let includes =
            |scope: &str, host: &str, rule: &str| Scope::of(scope).includes(&alert(host, rule));
        assert!(includes("db-*", "db-1", "hot") && !includes("db-*", "web", "hot"));
        assert!(includes("db-1:disk-*", "db-1", "disk-full") && !includes("db-1:hot", "db-1", "x"));
        assert!(includes("#lab:hot", "x", "hot") && !includes("#home", "x", "hot"));
        assert!(includes(":hot", "x", "hot") && !includes(":hot", "x", "cold"));
        assert!(includes("hub:box:hot", "hub:box", "hot") && includes("hub:*", "hub:box", "x"));
        assert_eq!(Scope::of("db-1:hot").to_string(), "db-1:hot");
        assert_eq!(Scope::of("db-1").to_string(), "db-1");
    }

    #[test]
    fn a_silence_has_its_time_and_its_reason_and_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = SilenceFile::new(dir.path());
        assert_eq!(file.read(UnixMs(0)).unwrap(), Vec::new());
        let silence = Silence {
            id: "a1".to_owned(),
            scope: Scope::of("db-*"),
            from: UnixMs(10),
            until: UnixMs(20),
            reason: "new disks".to_owned(),
        };
        file.write(std::slice::from_ref(&silence)).unwrap();
        assert!(file.written().is_some());
        let quiet = Quiet {
            silences: file.read(UnixMs(15)).unwrap(),
            maintenance: Vec::new(),
        };
        assert_eq!(quiet.silences, [silence]);
        let reason = |now: i64| quiet.reason(&alert("db-1", "hot"), UnixMs(now));
        assert_eq!(
            [9, 10, 19, 20].map(reason),
            [None, Some("new disks"), Some("new disks"), None]
        );
        assert_eq!(file.read(UnixMs(20)).unwrap(), Vec::new());
    }

    #[test]
    fn maintenance_is_read_as_people_write_it() {
        assert!("web-* sun 02:00-04:00".parse::<Maintenance>().is_ok());
        let wrong = "web-* sunday".parse::<Maintenance>().unwrap_err();
        assert!(wrong.contains("02:00-04:00"), "{wrong}");
    }
}
