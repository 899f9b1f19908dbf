//! Copies of the history, and checking one.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use super::schema::table_names;
use super::{Store, StoreError};

/// Pages copied at once: 4 MiB.
const PAGES_AT_ONCE: i32 = 1_024;

const PAGE_BYTES: u64 = 4_096;

const BUSY: Duration = Duration::from_millis(50);

/// How many rows a table has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// The table's name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
}

impl Store {
    /// Copies the history at `path` to a new file, also while a hub writes to it: as it was at one moment. Reports
    /// the bytes copied so far and in all.
    ///
    /// # Errors
    /// The history cannot be read, or the new file cannot be written.
    pub fn backup(
        path: &Path,
        to: &Path,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<(), StoreError> {
        let source = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        // Reading at one moment: without it every commit of the hub would begin the copy anew.
        let moment = source.unchecked_transaction()?;
        moment.query_row("SELECT COUNT(*) FROM host", [], |_| Ok(()))?;
        sysmon_files::write_private(to, b"").map_err(std::io::Error::from)?;
        let mut copy = Connection::open(to)?;
        {
            let backup = Backup::new(&source, &mut copy)?;
            loop {
                match backup.step(PAGES_AT_ONCE)? {
                    StepResult::Done => break,
                    StepResult::Busy | StepResult::Locked => std::thread::sleep(BUSY),
                    _ => {}
                }
                let pages = backup.progress();
                let bytes = |pages: i32| u64::from(pages.unsigned_abs()) * PAGE_BYTES;
                progress(
                    bytes(pages.pagecount - pages.remaining),
                    bytes(pages.pagecount),
                );
            }
        }
        // A single file: without a log beside it.
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        copy.close().map_err(|(_, error)| error)?;
        Ok(())
    }

    /// Checks a history that no hub uses, and counts the rows of its tables.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or has a format that this version cannot open.
    pub fn check(path: &Path) -> Result<Vec<TableRows>, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let found: String =
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Err(StoreError::Damaged(found));
        }
        Self::migration(path)?;
        let count = |table: String| {
            let query = format!("SELECT COUNT(*) FROM {table}");
            let rows = connection.query_row(&query, [], |row| row.get::<_, i64>(0))?;
            Ok(TableRows {
                table,
                rows: rows.unsigned_abs(),
            })
        };
        table_names(&connection)?.into_iter().map(count).collect()
    }
}
