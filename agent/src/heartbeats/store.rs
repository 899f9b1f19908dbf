//! Heartbeats on disk: what `sysmon-agent heartbeat` defines, and what the running agent heard.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use data_encoding::BASE32_NOPAD;
use sysmon_clock::{NoRandomness, Random};
use sysmon_files::FileError;
use sysmon_wire::UnixMs;
use thiserror::Error;

use super::book::{Book, Definition, HEARTBEATS_MAX, hash};

const DEFINITIONS: &str = "heartbeats.json";
const BEATS: &str = "heartbeats-heard.json";

/// The two files in an agent's state directory. Each has one writer.
#[derive(Clone, Debug)]
pub struct Store(PathBuf);

/// Heartbeats cannot be read or changed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file has other contents.
    #[error("{0} is damaged: move it away, and add the heartbeats again")]
    Damaged(PathBuf),
    /// The name is taken.
    #[error("there is a heartbeat called {0:?} already; remove it first for a new token")]
    Exists(String),
    /// There is none.
    #[error("there is no heartbeat called {0:?}; see sysmon-agent heartbeat list")]
    Unknown(String),
    /// The limit is reached.
    #[error("an agent has at most {HEARTBEATS_MAX} heartbeats")]
    TooMany,
    /// A token cannot be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

impl Store {
    /// In an agent's state directory.
    pub fn new(state: &Path) -> Self {
        Self(state.to_owned())
    }

    /// All heartbeats and their newest reports.
    ///
    /// # Errors
    /// A file cannot be read or is damaged.
    pub fn load(&self) -> Result<Book, StoreError> {
        Ok(Book {
            definitions: self.read(DEFINITIONS)?,
            beats: self.read(BEATS)?,
        })
    }

    fn read<T: serde::de::DeserializeOwned + Default>(&self, name: &str) -> Result<T, StoreError> {
        let path = self.0.join(name);
        match sysmon_files::read_private(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|_| StoreError::Damaged(path)),
            Err(error) if error.is_not_found() => Ok(T::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&self, name: &str, value: &impl serde::Serialize) -> Result<(), StoreError> {
        let path = self.0.join(name);
        let text = serde_json::to_string_pretty(value);
        let text = text.map_err(|_| StoreError::Damaged(path.clone()))?;
        Ok(sysmon_files::write_private(&path, text)?)
    }

    /// Adds a heartbeat and returns its token, which is not stored.
    ///
    /// # Errors
    /// The name is taken, there are too many, or a file cannot be written.
    pub fn add(
        &self,
        name: &str,
        (every_s, grace_s): (u64, u64),
        now: UnixMs,
        random: &Random,
    ) -> Result<String, StoreError> {
        let mut all: Vec<Definition> = self.read(DEFINITIONS)?;
        if all.iter().any(|other| other.name == name) {
            return Err(StoreError::Exists(name.to_owned()));
        }
        if all.len() >= HEARTBEATS_MAX {
            return Err(StoreError::TooMany);
        }
        let mut secret = [0; 20];
        random.fill_secret(&mut secret)?;
        let token = BASE32_NOPAD.encode(&secret).to_ascii_lowercase();
        all.push(Definition {
            name: name.to_owned(),
            every_s,
            grace_s,
            token_hash: hash(&token),
            since_ms: now.0,
        });
        sysmon_files::create_private_dir(&self.0)?;
        self.write(DEFINITIONS, &all)?;
        Ok(token)
    }

    /// Removes a heartbeat.
    ///
    /// # Errors
    /// There is none of this name, or a file cannot be written.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let mut all: Vec<Definition> = self.read(DEFINITIONS)?;
        let before = all.len();
        all.retain(|other| other.name != name);
        match all.len() == before {
            true => Err(StoreError::Unknown(name.to_owned())),
            false => self.write(DEFINITIONS, &all),
        }
    }

    /// When the definitions were changed last.
    pub(super) fn changed(&self) -> Option<SystemTime> {
        let metadata = std::fs::metadata(self.0.join(DEFINITIONS));
        metadata.and_then(|metadata| metadata.modified()).ok()
    }

    /// Reads the definitions again; reports of those that are gone are forgotten.
    pub(super) fn reload(&self, book: &mut Book) -> Result<(), StoreError> {
        book.definitions = self.read(DEFINITIONS)?;
        let definitions = &book.definitions;
        book.beats
            .retain(|name, _| definitions.iter().any(|other| other.name == *name));
        Ok(())
    }

    pub(super) fn save_beats(&self, book: &Book) -> Result<(), StoreError> {
        self.write(BEATS, &book.beats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_once_and_only_its_hash_is_stored() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(&dir.path().join("state"));
        let random = Random::seeded(7);
        let token = store
            .add("backup", (86_400, 3_600), UnixMs(5), &random)
            .unwrap();
        assert!(matches!(
            store.add("backup", (60, 60), UnixMs(5), &random),
            Err(StoreError::Exists(_))
        ));
        let text = std::fs::read_to_string(dir.path().join("state").join(DEFINITIONS)).unwrap();
        assert!(!text.contains(&token));
        let mut book = store.load().unwrap();
        assert_eq!(book.beat(&token, None, UnixMs(9)), Some("backup"));
        store.save_beats(&book).unwrap();
        assert_eq!(store.load().unwrap().beats["backup"].at_ms, 9);
        store.remove("backup").unwrap();
        assert!(matches!(
            store.remove("backup"),
            Err(StoreError::Unknown(_))
        ));
        store.reload(&mut book).unwrap();
        assert!(book.beats.is_empty() && book.definitions.is_empty());
        std::fs::write(dir.path().join("state").join(BEATS), "{").unwrap();
        assert!(matches!(store.load(), Err(StoreError::Damaged(_))));
    }
}
