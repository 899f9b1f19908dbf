//! The tables of the history, and opening or creating its file.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::error::StoreError;
use super::format::VERSION;

const TABLES: &str = "
CREATE TABLE host (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, facts BLOB NOT NULL);
CREATE TABLE series (host INTEGER, number INTEGER, key BLOB NOT NULL, idle INTEGER, PRIMARY KEY (host, number)) WITHOUT ROWID;
CREATE TABLE bucket_series (host INTEGER, number INTEGER, metric TEXT NOT NULL, key BLOB NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (host, number)) WITHOUT ROWID;
CREATE UNIQUE INDEX bucket_series_key ON bucket_series (host, key);
CREATE INDEX bucket_series_metric ON bucket_series (host, metric, last);
CREATE INDEX bucket_series_last ON bucket_series (host, last);
CREATE TABLE process (host INTEGER, id INTEGER, seen INTEGER NOT NULL, identity BLOB NOT NULL, PRIMARY KEY (host, id)) WITHOUT ROWID;
CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB NOT NULL);
CREATE TABLE run (host INTEGER, run INTEGER, heard INTEGER NOT NULL, ranges BLOB NOT NULL, PRIMARY KEY (host, run)) WITHOUT ROWID;
CREATE TABLE head (host INTEGER, late INTEGER, number INTEGER, rows BLOB NOT NULL, PRIMARY KEY (host, late, number)) WITHOUT ROWID;
CREATE TABLE chunk (id INTEGER PRIMARY KEY, host INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX chunk_last ON chunk (last);
CREATE INDEX chunk_host ON chunk (host, last);
CREATE TABLE bucket (host INTEGER, tier INTEGER, part INTEGER, first INTEGER, last INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (host, tier, part, first));
CREATE INDEX bucket_last ON bucket (tier, last);
CREATE TABLE usage (host INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
CREATE TRIGGER chunk_added AFTER INSERT ON chunk BEGIN INSERT INTO usage VALUES (NEW.host, LENGTH(NEW.data)) ON CONFLICT DO UPDATE SET bytes = bytes + LENGTH(NEW.data); END;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunk BEGIN UPDATE usage SET bytes = bytes - LENGTH(OLD.data) WHERE host = OLD.host; END;
CREATE TRIGGER bucket_added AFTER INSERT ON bucket BEGIN INSERT INTO usage VALUES (NEW.host, LENGTH(NEW.data)) ON CONFLICT DO UPDATE SET bytes = bytes + LENGTH(NEW.data); END;
CREATE TRIGGER bucket_removed AFTER DELETE ON bucket BEGIN UPDATE usage SET bytes = bytes - LENGTH(OLD.data) WHERE host = OLD.host; END;
CREATE TABLE rolled (host INTEGER PRIMARY KEY, until INTEGER NOT NULL);
CREATE TABLE removed (host INTEGER PRIMARY KEY, until INTEGER NOT NULL);
CREATE TABLE late (id INTEGER PRIMARY KEY AUTOINCREMENT, host INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, data BLOB NOT NULL);
";

/// The names of the tables, in alphabetical order.
pub(super) fn table_names(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut statement = connection.prepare(query)?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Counts what each host uses, where the triggers did not see all of it.
pub(super) fn count_usage(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(
        "DELETE FROM usage; INSERT INTO usage SELECT host, SUM(LENGTH(data)) FROM \
         (SELECT host, data FROM chunk UNION ALL SELECT host, data FROM bucket) GROUP BY host",
    )?;
    Ok(())
}

/// Bytes that SQLite's write-ahead log may have after a checkpoint.
const WAL_BYTES: u32 = 16 << 20;

/// Opens or creates the file, which has the present format.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        // Created here rather than by SQLite, so that no other user can read it.
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        options.open(path)?;
    }
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Every commit reaches the disk: that is what an acknowledgement promises.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
    // Replacing a row counts as removing it.
    connection.pragma_update(None, "recursive_triggers", true)?;
    let format: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if format == 0 {
        connection.execute_batch(&format!(
            "BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"
        ))?;
    }
    Ok(connection)
}
