//! The history's file: one SQLite database in the hub's state directory.
//!
//! | table | contents |
//! |---|---|
//! | `host` | name and facts |
//! | `series` | the series of a host that have rows, by index in those; `key` is an encoded [`SeriesTable`](sysmon_wire::SeriesTable) of one series, `idle` the time of its newest value if it has none at present |
//! | `bucket_series` | the series of a host that have buckets, by number in those, and the end of the last day with one: [`keys`] |
//! | `process` | identities that rows name, and when they last did |
//! | `log` | runs and rows that are not in chunks yet, as commits appended them: [`log`] |
//! | `run` | which rows of an agent's run were received, folded from the log; `ranges` are inclusive |
//! | `head` | rows that are not in chunks yet, folded from the log: joined in order they are the bytes of a ring's head |
//! | `chunk` | sealed rows: [`Chunk::encode`](sysmon_series::Chunk::encode) |
//! | `bucket` | minutes (`tier` 0) and hours (1) of sealed rows, in parts of some series; part 0 is always there: [`tiers`] |
//! | `event` | events of hosts |
//! | `usage` | bytes of chunks and buckets of a host |
//! | `rolled` | the time up to which a host's rows are in buckets |
//! | `removed` | the time up to which chunks of a host were removed |

mod backup;
mod commit;
mod encoding;
mod error;
mod forget;
mod format;
mod keys;
mod load;
mod log;
mod migrate;
mod outbox;
mod reader;
mod rename;
mod retention;
mod salvage;
mod schema;
mod tiers;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use sysmon_wire::{Label, UnixMs};

pub use backup::TableRows;
pub use error::StoreError;
pub use format::Migration;
pub use keys::{PART_SERIES, TierBuckets};
pub use outbox::LateRows;
pub use reader::{ChunkPlace, Reader};
pub use salvage::{Recovery, damaged_copies, mark_damaged};
pub use tiers::WINDOW_MS;

/// The history's file, opened for writing.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    hosts: HashMap<Label, StoredHost>,
    log: log::Log,
    recovery: Option<Recovery>,
}

/// What commits and roll-ups need to know about a host.
#[derive(Clone, Copy, Debug)]
struct StoredHost {
    id: i64,
    /// The time up to which its rows are in buckets.
    rolled: UnixMs,
    /// Time of its oldest row that is not in a chunk.
    oldest_unsealed: Option<UnixMs>,
}

impl Store {
    /// Opens or creates the file. One of an older format is migrated, with a copy of it beside it. A damaged one is moved aside, and
    /// what can be read of it copied into a new one.
    ///
    /// # Errors
    /// The file cannot be opened or created, or its format is newer, or too old.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if salvage::is_marked(path) {
            return Self::recovered(path, true);
        }
        match migrate::migrate(path).and_then(|()| schema::open(path)) {
            Err(error) if error.is_damage() => Self::recovered(path, true),
            opened => Ok(Self::of(path, opened?)),
        }
    }

    fn of(path: &Path, connection: Connection) -> Self {
        Self {
            path: path.to_owned(),
            connection,
            hosts: HashMap::new(),
            log: log::Log::default(),
            recovery: None,
        }
    }

    fn recovered(path: &Path, salvage: bool) -> Result<Self, StoreError> {
        let (mut store, recovery) = Self::recover(path, salvage)?;
        store.recovery = Some(recovery);
        Ok(store)
    }

    /// What was done about a damaged file when it was opened or loaded.
    pub fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    /// Size of the file and its write-ahead log.
    pub fn bytes(&self) -> u64 {
        let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        length(&self.path) + length(&self.path.with_extension("db-wal"))
    }
}
