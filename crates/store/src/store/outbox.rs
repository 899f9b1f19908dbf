//! What exports have to know besides the rows: which rows came late, and events with their ids.

use rusqlite::{OptionalExtension, params};
use sysmon_wire::timeline::Event;
use sysmon_wire::{Label, UnixMs, codec};

use super::{Reader, StoreError};

/// Late rows or events that are read at once.
const READ_MAX: i64 = 1_000;

/// Rows that were committed after newer ones of the same host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateRows {
    /// Rises with each commit.
    pub id: i64,
    /// The host.
    pub host: Label,
    /// The oldest of them.
    pub first: UnixMs,
    /// The newest of them.
    pub last: UnixMs,
}

impl Reader {
    /// Late rows after those with this id, in the order in which they were committed; as many as are read at once.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn late_since(&self, id: i64) -> Result<Vec<LateRows>, StoreError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT late.id, name, first, last FROM late JOIN host ON host.id = late.host \
             WHERE late.id > ? ORDER BY late.id LIMIT ?",
        )?;
        let found = statement.query_map(params![id, READ_MAX], |row| {
            Ok(LateRows {
                id: row.get(0)?,
                host: Label::new(&row.get::<_, String>(1)?),
                first: UnixMs(row.get(2)?),
                last: UnixMs(row.get(3)?),
            })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The id of the newest late rows, removed ones included.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn newest_late(&self) -> Result<i64, StoreError> {
        self.newest_id("late")
    }

    /// Events after the one with this id; as many as are read at once.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn events_since(&self, id: i64) -> Result<Vec<(i64, Event)>, StoreError> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT id, data FROM event WHERE id > ? ORDER BY id LIMIT ?")?;
        let mut rows = statement.query(params![id, READ_MAX])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let data = row.get_ref(1)?.as_blob().unwrap_or_default();
            if let Ok(event) = codec::decode::<Event>(data) {
                found.push((row.get(0)?, event));
            }
        }
        Ok(found)
    }

    /// The id of the newest event, removed ones included.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn newest_event(&self) -> Result<i64, StoreError> {
        self.newest_id("event")
    }

    fn newest_id(&self, table: &str) -> Result<i64, StoreError> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = ?")?;
        let newest = statement.query_row([table], |row| row.get(0)).optional()?;
        Ok(newest.unwrap_or(0))
    }
}
