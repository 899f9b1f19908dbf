//! Recovering a damaged history: it is moved aside, and what can still be read is copied into a new one.
//!
//! A page that is garbage hides the rows on it and may end a scan. So each table is read around its unreadable parts,
//! and what cannot be used without a lost row is left out:
//!
//! - a host whose series are not all readable begins anew, since its rows refer to series by number;
//! - the log ends at the first part that is lost, since rows are differences from those before.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Statement, params, params_from_iter};
use sysmon_wire::HostFacts;

use super::encoding::bytes_of;
use super::error::is_damage;
use super::schema::{self, table_names};
use super::{Store, StoreError};

/// Unreadable parts of a table after which it is given up.
const GAPS_MAX: usize = 10_000;

/// Damaged files that are kept, newest first; each may have the size of the history.
const ASIDE_MAX: u32 = 2;

/// What was done about a damaged history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Where the damaged file is.
    pub aside: PathBuf,
    /// Rows that were copied from it.
    pub rows: u64,
    /// Hosts whose rows could not be used.
    pub hosts_lost: u64,
}

/// The file beside a history that says that it is damaged.
fn marker(path: &Path) -> PathBuf {
    path.with_extension("db-damaged")
}

/// Notes that the history is damaged, so that the next [`Store::open`] recovers it.
pub fn mark_damaged(path: &Path, reason: &str) {
    if let Err(error) = sysmon_files::write_private(&marker(path), format!("{reason}\n")) {
        tracing::error!(%error, "cannot note that the history is damaged");
    }
}

pub(super) fn is_marked(path: &Path) -> bool {
    marker(path).exists()
}

/// How many damaged histories are kept beside the one at `path`.
pub fn damaged_copies(path: &Path) -> u32 {
    let exists = |n: &u32| aside_path(path, *n).exists();
    (1..=ASIDE_MAX).filter(exists).count() as u32
}

fn aside_path(path: &Path, number: u32) -> PathBuf {
    path.with_extension(format!("damaged-{number}"))
}

impl Store {
    /// Moves a damaged history aside and begins a new one, with what can still be read if `salvage`.
    ///
    /// # Errors
    /// The file cannot be moved, or the new one not be created.
    pub fn recover(path: &Path, salvage: bool) -> Result<(Self, Recovery), StoreError> {
        let aside = set_aside(path)?;
        let _ = fs::remove_file(marker(path));
        let mut recovery = Recovery {
            aside: aside.clone(),
            rows: 0,
            hosts_lost: 0,
        };
        let mut store = Self::of(path, schema::open(path)?);
        if salvage {
            let copied = copy(&aside, &mut store.connection, &mut recovery);
            if let Err(error) = copied {
                tracing::warn!(%error, "the rest of the damaged history cannot be read");
            }
        }
        let (path, rows) = (aside.display(), recovery.rows);
        let hosts_lost = recovery.hosts_lost;
        tracing::error!(
            moved_to = %path, rows, hosts_lost,
            "the history was damaged: went on with what could be read, agents send again what they still have"
        );
        Ok((store, recovery))
    }
}

/// Moves a history with its log aside; returns where it is. The oldest of earlier ones gives way.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let free = (1..=ASIDE_MAX).find(|n| !aside_path(path, *n).exists());
    let number = free.unwrap_or_else(|| {
        let age = |n: &u32| {
            fs::metadata(aside_path(path, *n))
                .and_then(|file| file.modified())
                .ok()
        };
        (1..=ASIDE_MAX).min_by_key(age).unwrap_or(1)
    });
    let aside = aside_path(path, number);
    let beside = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    for suffix in ["-wal", "-shm", ""] {
        match fs::remove_file(beside(&aside, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    // The log first: a new history must never find it.
    match fs::rename(beside(path, "-wal"), beside(&aside, "-wal")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let _ = fs::remove_file(beside(path, "-shm"));
    fs::rename(path, &aside)?;
    Ok(aside)
}

fn copy(aside: &Path, new: &mut Connection, recovery: &mut Recovery) -> Result<(), StoreError> {
    // Writable, since the log that belongs to it is applied.
    let damaged = Connection::open_with_flags(aside, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let transaction = new.transaction()?;
    let mut lost: Vec<i64> = Vec::new();
    let mut is_log_whole = true;
    let mut tables = table_names(&transaction)?;
    // Other tables are read by the hosts that were found.
    tables.sort_by_key(|table| table != "host");
    for table in tables {
        let mut copier = Copier::new(&damaged, &transaction, &table)?;
        if copier.is_by_rowid {
            let is_whole = copier.copy_by_rowid(table != "log")?;
            is_log_whole &= table != "log" || is_whole;
        } else {
            let hosts: Vec<i64> = ids(&transaction)?;
            for host in hosts {
                let is_whole = copier.copy_of_host(host)?;
                match table.as_str() {
                    "series" if !is_whole => lost.push(host),
                    // What follows in the log continues it.
                    "head" => is_log_whole &= is_whole,
                    _ => {}
                }
            }
        }
        recovery.rows += copier.rows;
    }
    if !is_log_whole {
        // A part that cannot be decoded: loading ends the log there.
        transaction.execute("INSERT INTO log (data) VALUES (x'')", [])?;
    }
    recovery.hosts_lost = begin_anew(&transaction, &lost)?;
    schema::count_usage(&transaction)?;
    transaction.commit()?;
    Ok(())
}

fn ids(connection: &Connection) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare("SELECT id FROM host")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Gives hosts whose rows are of no use a new number, since the log has rows of the old one, and removes rows of hosts
/// that were not found. Returns how many hosts that concerns.
fn begin_anew(connection: &Connection, lost: &[i64]) -> Result<u64, StoreError> {
    let mut next: i64 = connection.query_row(
        "SELECT MAX(COALESCE((SELECT MAX(id) FROM host), 0), COALESCE((SELECT MAX(host) FROM chunk), 0), \
         COALESCE((SELECT MAX(host) FROM series), 0))",
        [],
        |row| row.get(0),
    )?;
    let unknown = bytes_of(&HostFacts::unknown())?;
    for host in lost {
        next += 1;
        connection.execute(
            "UPDATE host SET id = ?, facts = ? WHERE id = ?",
            params![next, unknown, host],
        )?;
    }
    let mut orphans = lost.len() as u64;
    for table in table_names(connection)? {
        let columns = columns(connection, &table)?;
        if table == "host" || !columns.iter().any(|column| column == "host") {
            continue;
        }
        let of_none = format!("FROM {table} WHERE host NOT IN (SELECT id FROM host)");
        let hosts: i64 = connection.query_row(
            &format!("SELECT COUNT(DISTINCT host) {of_none}"),
            [],
            |row| row.get(0),
        )?;
        orphans = orphans.max(hosts.unsigned_abs());
        connection.execute(&format!("DELETE {of_none}"), [])?;
    }
    Ok(orphans)
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?) ORDER BY cid")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Copies the readable rows of one table.
struct Copier<'a> {
    damaged: &'a Connection,
    table: &'a str,
    columns: String,
    insert: Statement<'a>,
    is_by_rowid: bool,
    rows: u64,
}

impl<'a> Copier<'a> {
    fn new(
        damaged: &'a Connection,
        new: &'a Connection,
        table: &'a str,
    ) -> Result<Self, StoreError> {
        let columns = columns(new, table)?;
        let places = vec!["?"; columns.len()].join(", ");
        let columns = columns.join(", ");
        let is_by_rowid: bool = new.query_row(
            "SELECT NOT wr FROM pragma_table_list WHERE name = ?",
            [table],
            |row| row.get(0),
        )?;
        // A row whose key repeats was read twice.
        let insert = format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})");
        Ok(Self {
            damaged,
            table,
            columns,
            insert: new.prepare(&insert)?,
            is_by_rowid,
            rows: 0,
        })
    }

    /// Copies rows that a query yields until it fails; returns the first column of the last, and whether all were read.
    fn copy_rows(
        &mut self,
        query: &str,
        arguments: &[i64],
    ) -> Result<(Option<i64>, bool), StoreError> {
        let mut last = None;
        // Prepared anew each time: a damaged schema page fails here.
        let Ok(mut statement) = self.damaged.prepare(query) else {
            return Ok((last, false));
        };
        let count = statement.column_count();
        let Ok(mut rows) = statement.query(params_from_iter(arguments)) else {
            return Ok((last, false));
        };
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok((last, true)),
                Err(error) if is_damage(&error) => return Ok((last, false)),
                Err(error) => return Err(error.into()),
            };
            let values: Result<Vec<Value>, _> = (1..count).map(|at| row.get(at)).collect();
            let Ok(values) = values else {
                return Ok((last, false));
            };
            last = row.get(0).ok();
            // What does not fit the table, such as a text that is missing, is garbage.
            self.rows += self.insert.execute(params_from_iter(values)).unwrap_or(0) as u64;
        }
    }

    /// Copies a table in the order of its row numbers, and around unreadable parts if `skip`; returns whether there
    /// were none.
    fn copy_by_rowid(&mut self, skip: bool) -> Result<bool, StoreError> {
        let (table, columns) = (self.table, &self.columns);
        let up = format!(
            "SELECT rowid, {columns} FROM {table} NOT INDEXED WHERE rowid > ? ORDER BY rowid"
        );
        let down = format!(
            "SELECT rowid, {columns} FROM {table} NOT INDEXED WHERE rowid > ? AND rowid < ? ORDER BY rowid DESC"
        );
        let probe =
            format!("SELECT rowid FROM {table} NOT INDEXED WHERE rowid > ? ORDER BY rowid LIMIT 1");
        let mut after = i64::MIN;
        for gaps in 0..GAPS_MAX {
            let (last, is_end) = self.copy_rows(&up, &[after])?;
            let read = last.unwrap_or(after);
            if is_end || !skip {
                return Ok(is_end && gaps == 0);
            }
            let Some(next) = self.next_readable(&probe, read) else {
                // The end of the table cannot be reached from the front.
                self.copy_rows(&down, &[read, i64::MAX])?;
                return Ok(false);
            };
            self.copy_rows(&down, &[read, next])?;
            after = next - 1;
        }
        Ok(false)
    }

    /// The number of a readable row after an unreadable part that begins after `read`.
    fn next_readable(&self, probe: &str, read: i64) -> Option<i64> {
        let begin = read.max(0);
        let distances = (0..62).map(|bit| 1i64 << bit);
        distances
            .map_while(|distance| begin.checked_add(distance))
            .find_map(|after| {
                let mut statement = self.damaged.prepare(probe).ok()?;
                statement.query_row([after], |row| row.get(0)).ok()
            })
    }

    /// Copies the rows of one host from both ends; returns whether all were readable.
    fn copy_of_host(&mut self, host: i64) -> Result<bool, StoreError> {
        let (table, columns) = (self.table, &self.columns);
        // The second part of the key is the third column.
        let up = format!("SELECT host, {columns} FROM {table} WHERE host = ?");
        let down = format!("{up} ORDER BY 3 DESC");
        let (_, is_whole) = self.copy_rows(&up, &[host])?;
        if !is_whole {
            self.copy_rows(&down, &[host])?;
        }
        Ok(is_whole)
    }
}
