//! Brings a history of an older format to the present one, step by step, and leaves a copy of what it was.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::format::{Migration, OLDEST, VERSION};
use super::{Store, StoreError};

/// From one format to the next.
struct Step {
    /// What it is for, as `sysmon-hub check` says it.
    about: &'static str,
    sql: &'static str,
}

/// The step from [`OLDEST`], the one from the format after it, and so on. Once released, a step stays as it is.
const STEPS: [Step; (VERSION - OLDEST) as usize] = [Step {
    about: "finds series of minutes and hours by an index, and records which rows came late",
    // Two builds had this format: one without the index, and one without the table and the ever rising numbers of events.
    sql: "
CREATE UNIQUE INDEX IF NOT EXISTS bucket_series_key ON bucket_series (host, key);
CREATE TABLE IF NOT EXISTS late (id INTEGER PRIMARY KEY AUTOINCREMENT, host INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
ALTER TABLE event RENAME TO event_4;
CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, data BLOB NOT NULL);
INSERT INTO event SELECT id, time, data FROM event_4;
DROP TABLE event_4;
",
}];

/// What is to be done with a history of a format; none if that is the present one, or there is none yet.
fn needed(path: &Path, from: i64) -> Result<Option<Migration>, StoreError> {
    if from == VERSION || from == 0 {
        return Ok(None);
    }
    if from > VERSION {
        return Err(StoreError::Newer(from));
    }
    if from < OLDEST {
        return Err(StoreError::Older(from));
    }
    let steps = STEPS.iter().skip((from - OLDEST) as usize);
    Ok(Some(Migration {
        from,
        to: VERSION,
        changes: steps.map(|step| step.about).collect(),
        copy: path.with_file_name(format!("history.format-{from}.db")),
        bytes: fs::metadata(path)?.len(),
    }))
}

/// Brings a history to the present format; one of a format that this version does not know is left as it is.
pub(super) fn migrate(path: &Path) -> Result<(), StoreError> {
    if !path.exists() {
        return Ok(());
    }
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let Some(migration) = needed(path, format(&connection)?)? else {
        return Ok(());
    };
    let (from, to, copy) = (migration.from, migration.to, migration.copy.display());
    tracing::info!(from, to, %copy, bytes = migration.bytes, "copies the history before it is migrated");
    keep_copy(path, &migration).map_err(|error| StoreError::NoCopy {
        migration: Box::new(migration.clone()),
        error: Box::new(error),
    })?;
    for (step, format) in STEPS.iter().zip(OLDEST + 1..) {
        if format <= from {
            continue;
        }
        let transaction = connection.transaction()?;
        transaction.execute_batch(step.sql)?;
        transaction.pragma_update(None, "user_version", format)?;
        transaction.commit()?;
    }
    tracing::info!(from, to, %copy, "migrated the history; remove the copy once you will not go back");
    Ok(())
}

fn format(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

impl Store {
    /// What opening the history at `path` would change; none if it has the present format, or there is none.
    ///
    /// # Errors
    /// The file cannot be read, or this version cannot open its format.
    pub fn migration(path: &Path) -> Result<Option<Migration>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        needed(path, format(&connection)?)
    }
}

/// Copies the history as it was; the file has its name only once it is complete.
fn keep_copy(path: &Path, migration: &Migration) -> Result<(), StoreError> {
    let partial = migration.copy.with_extension("db.new");
    let copied = Store::backup(path, &partial, |_, _| {}).and_then(|()| {
        fs::File::open(&partial)?.sync_all()?;
        fs::rename(&partial, &migration.copy)?;
        if let Some(folder) = path.parent() {
            sysmon_files::sync_dir(folder)?;
        }
        Ok(())
    });
    if copied.is_err() {
        let _ = fs::remove_file(&partial);
    }
    copied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_format_that_cannot_be_migrated_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        for (version, why) in [(1, "too old"), (VERSION + 1, "use the newer sysmon-hub")] {
            let store = Store::open(&path).unwrap();
            store
                .connection
                .pragma_update(None, "user_version", version)
                .unwrap();
            drop(store);
            let before = fs::read(&path).unwrap();
            let error = Store::open(&path).unwrap_err();
            assert!(!error.is_damage(), "nothing is moved aside");
            let error = error.to_string();
            assert!(error.contains(&format!("format {version}")), "{error}");
            assert!(error.contains(why), "{error}");
            assert!(error.contains("move history.db away"), "{error}");
            assert!(fs::read(&path).unwrap() == before, "it is as it was");
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "no copy either");
            fs::remove_file(&path).unwrap();
        }
    }
}
