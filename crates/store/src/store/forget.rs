//! Forgotten hosts: out of sight at once, removed from the file a part at a time.
//!
//! The number of a forgotten host stays taken until the log has no rows of it any more, because SQLite gives the
//! greatest number again.

use rusqlite::{Connection, params};
use sysmon_wire::{Label, UnixMs};

use super::schema::table_names;
use super::{Store, StoreError};

/// The names of forgotten hosts, as a pattern of SQL; no name of a host contains a tab.
pub(super) const FORGOTTEN: &str = "\tforgotten %";

/// Rows of a table removed at once.
const REMOVED_AT_ONCE: i64 = 200;

/// How long a number stays taken: six times as long as parts stay in the log.
const NUMBER_TAKEN_MS: i64 = 3_600_000;

impl Store {
    /// Hosts without rows, minutes or hours; rows of the last minutes may be in the log.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn empty_hosts(&self) -> Result<Vec<Label>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name FROM host WHERE name NOT LIKE ?              AND NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.host = host.id)              AND NOT EXISTS (SELECT 1 FROM bucket WHERE bucket.host = host.id)              AND NOT EXISTS (SELECT 1 FROM head WHERE head.host = host.id)",
        )?;
        let names = statement.query_map([FORGOTTEN], |row| row.get::<_, String>(0))?;
        let names = names.map(|name| Ok(Label::new(&name?)));
        names.collect()
    }
}

/// Hides a host; [`purge`] removes it later.
pub(super) fn forget(connection: &Connection, name: &Label, now: UnixMs) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE host SET name = char(9) || 'forgotten ' || ? || ' ' || id WHERE name = ?",
        params![now.0, name.as_str()],
    )?;
    Ok(())
}

/// Removes some rows of forgotten hosts, and those hosts of which none are left.
pub(super) fn purge(connection: &Connection, now: UnixMs) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM host WHERE name LIKE ?")?;
    let forgotten = statement.query_map([FORGOTTEN], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let forgotten: Vec<(i64, String)> = forgotten.collect::<Result<_, _>>()?;
    if forgotten.is_empty() {
        return Ok(());
    }
    for (id, name) in forgotten {
        let mut removed = 0;
        for table in table_names(connection)? {
            let rows = match table.as_str() {
                "host" | "log" | "event" => continue,
                "chunk" | "bucket" => connection.execute(
                    &format!(
                        "DELETE FROM {table} WHERE rowid IN \
                         (SELECT rowid FROM {table} WHERE host = ? LIMIT ?)"
                    ),
                    [id, REMOVED_AT_ONCE],
                )?,
                // Some hundred rows at most.
                _ => connection.execute(&format!("DELETE FROM {table} WHERE host = ?"), [id])?,
            };
            removed += rows;
        }
        let since = name.split(' ').nth(1).and_then(|ms| ms.parse::<i64>().ok());
        let is_over = since.is_none_or(|since| now.0 - since > NUMBER_TAKEN_MS);
        if removed == 0 && is_over {
            connection.execute("DELETE FROM host WHERE id = ?", [id])?;
        }
    }
    Ok(())
}
