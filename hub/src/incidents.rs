//! Incidents that operators write for the public page, in a file of the state directory.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sysmon_files::FileError;
use sysmon_wire::UnixMs;
use sysmon_wire::limits::{INCIDENT_UPDATES_MAX, LABEL_BYTES_MAX};
use thiserror::Error;

const FILE: &str = "incidents.json";

/// Incidents that are stored; the oldest resolved ones are evicted first.
const STORED_MAX: usize = 100;

/// One outage, in the words of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub id: u32,
    pub title: String,
    /// Names of checks that it is about.
    pub checks: Vec<String>,
    pub opened_ms: i64,
    pub resolved_ms: Option<i64>,
    pub updates: Vec<Update>,
}

/// A further word about an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    pub time_ms: i64,
    pub text: String,
}

/// The file of incidents.
#[derive(Clone, Debug)]
pub struct IncidentFile(PathBuf);

/// An incident cannot be read or changed.
#[derive(Debug, Error)]
pub enum IncidentError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0} is damaged: move it away; its incidents are no longer shown then")]
    Damaged(PathBuf),
    #[error("there is no incident {0}; `sysmon-hub incident list` shows all")]
    Unknown(u32),
    #[error("incident {0} is resolved: open another one")]
    Resolved(u32),
    #[error("a text is not empty, and has at most {LABEL_BYTES_MAX} bytes")]
    Text,
    #[error(
        "an incident has at most {INCIDENT_UPDATES_MAX} updates: resolve it, and open another one"
    )]
    Full,
    #[error("there are {STORED_MAX} incidents that are not resolved: resolve some first")]
    TooMany,
}

impl IncidentFile {
    /// In a hub's state directory.
    pub fn new(state: &Path) -> Self {
        Self(state.join(FILE))
    }

    /// All that are stored, the oldest first.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub fn load(&self) -> Result<Vec<Incident>, IncidentError> {
        match sysmon_files::read_private(&self.0) {
            Ok(text) => {
                serde_json::from_str(&text).map_err(|_| IncidentError::Damaged(self.0.clone()))
            }
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// When it was changed last; none if there is none.
    pub fn changed(&self) -> Option<SystemTime> {
        let metadata = std::fs::metadata(&self.0);
        metadata.and_then(|metadata| metadata.modified()).ok()
    }

    fn save(&self, incidents: &[Incident]) -> Result<(), IncidentError> {
        let text = serde_json::to_string_pretty(incidents);
        let text = text.map_err(|_| IncidentError::Damaged(self.0.clone()))?;
        Ok(sysmon_files::write_private(&self.0, text)?)
    }

    /// Opens an incident and returns its number.
    ///
    /// # Errors
    /// The text does not fit, too many are open, or the file cannot be written.
    pub fn open(&self, title: &str, checks: &[String], now: UnixMs) -> Result<u32, IncidentError> {
        let mut all = self.load()?;
        let title = checked(title)?;
        let id = all.iter().map(|one| one.id).max().unwrap_or(0) + 1;
        if all.len() >= STORED_MAX {
            let oldest = all.iter().position(|one| one.resolved_ms.is_some());
            all.remove(oldest.ok_or(IncidentError::TooMany)?);
        }
        all.push(Incident {
            id,
            title,
            checks: checks.to_vec(),
            opened_ms: now.0,
            resolved_ms: None,
            updates: Vec::new(),
        });
        self.save(&all)?;
        Ok(id)
    }

    /// Adds a word to an incident; with `resolves` the last one.
    ///
    /// # Errors
    /// There is no such incident, it is resolved already, the text does not fit, or the file cannot be written.
    pub fn update(
        &self,
        id: u32,
        text: Option<&str>,
        resolves: bool,
        now: UnixMs,
    ) -> Result<(), IncidentError> {
        let mut all = self.load()?;
        let incident = all.iter_mut().find(|one| one.id == id);
        let incident = incident.ok_or(IncidentError::Unknown(id))?;
        if incident.resolved_ms.is_some() {
            return Err(IncidentError::Resolved(id));
        }
        if let Some(text) = text {
            if incident.updates.len() >= INCIDENT_UPDATES_MAX {
                return Err(IncidentError::Full);
            }
            incident.updates.push(Update {
                time_ms: now.0,
                text: checked(text)?,
            });
        }
        if resolves {
            incident.resolved_ms = Some(now.0);
        }
        self.save(&all)
    }
}

fn checked(text: &str) -> Result<String, IncidentError> {
    let text = text.trim();
    match (1..=LABEL_BYTES_MAX).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(IncidentError::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_opened_updated_and_resolved_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = IncidentFile::new(dir.path());
        assert_eq!(file.load().unwrap(), []);
        let id = file
            .open(" shop is slow ", &["shop".to_owned()], UnixMs(1))
            .unwrap();
        file.update(id, Some("found the disk"), false, UnixMs(2))
            .unwrap();
        file.update(id, None, true, UnixMs(3)).unwrap();
        let all = file.load().unwrap();
        assert_eq!(
            (all[0].title.as_str(), all[0].resolved_ms),
            ("shop is slow", Some(3))
        );
        assert_eq!(all[0].updates.len(), 1);
        let again = file.update(id, Some("x"), false, UnixMs(4));
        assert!(matches!(again, Err(IncidentError::Resolved(_))));
        assert!(matches!(
            file.update(9, None, true, UnixMs(4)),
            Err(IncidentError::Unknown(9))
        ));
        let long = "x".repeat(LABEL_BYTES_MAX + 1);
        assert!(matches!(
            file.open(&long, &[], UnixMs(5)),
            Err(IncidentError::Text)
        ));
        assert!(matches!(
            file.open("  ", &[], UnixMs(5)),
            Err(IncidentError::Text)
        ));
    }

    #[test]
    fn the_oldest_resolved_one_makes_room_and_open_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let file = IncidentFile::new(dir.path());
        for n in 0..100 {
            file.open("x", &[], UnixMs(n)).unwrap();
        }
        assert!(matches!(
            file.open("y", &[], UnixMs(100)),
            Err(IncidentError::TooMany)
        ));
        file.update(3, None, true, UnixMs(101)).unwrap();
        assert_eq!(file.open("y", &[], UnixMs(102)).unwrap(), 101);
        assert!(file.load().unwrap().iter().all(|one| one.id != 3));
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(matches!(file.load(), Err(IncidentError::Damaged(_))));
    }
}
