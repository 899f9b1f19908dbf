//! The history's file: one SQLite database in the hub's state directory.
//!
//! | table | what |
//! |---|---|
//! | `host` | name and facts |
//! | `series` | a host's series by index; `key` is an encoded [`SeriesTable`] of that one |
//! | `process` | identities that rows name, and when they last did |
//! | `run` | which rows of an agent's run came; `ranges` are inclusive |
//! | `head` | rows not yet sealed: joined in order they are the bytes of a ring's head |
//! | `chunk` | sealed rows: [`Chunk::encode`] |

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};
use sysmon_series::Chunk;
use sysmon_wire::limits::RUNS_PER_HOST_MAX;
use sysmon_wire::message::RunId;
use sysmon_wire::{
    HostFacts, Label, ProcessIdentity, SchemaError, SeqSet, SeriesKey, SeriesTable, UnixMs, codec,
};
use thiserror::Error;

use super::{Batch, HostBatch, KeptHost};

/// The version of the tables, in SQLite's `user_version`.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE host (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, facts BLOB NOT NULL);
CREATE TABLE series (host INTEGER, number INTEGER, key BLOB NOT NULL, PRIMARY KEY (host, number)) WITHOUT ROWID;
CREATE TABLE process (host INTEGER, id INTEGER, seen INTEGER NOT NULL, identity BLOB NOT NULL, PRIMARY KEY (host, id)) WITHOUT ROWID;
CREATE TABLE run (host INTEGER, run INTEGER, heard INTEGER NOT NULL, ranges BLOB NOT NULL, PRIMARY KEY (host, run)) WITHOUT ROWID;
CREATE TABLE head (host INTEGER, late INTEGER, number INTEGER, rows BLOB NOT NULL, PRIMARY KEY (host, late, number)) WITHOUT ROWID;
CREATE TABLE chunk (id INTEGER PRIMARY KEY, host INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX chunk_last ON chunk (last);
";

/// Chunks removed at once when the file is over its size.
const CHUNKS_AT_ONCE: u32 = 64;

/// Bytes the write-ahead log may keep after it was taken over.
const LOG_BYTES: u32 = 16 << 20;

/// Why the history cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite says no.
    #[error("the history cannot be used: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A damaged file cannot be moved out of the way.
    #[error("the history cannot be set aside: {0}")]
    SetAside(#[from] std::io::Error),
    /// It was written by a newer program.
    #[error(
        "the history was written by a newer sysmon-hub (format {0}): use that one, or move the file away"
    )]
    Newer(i64),
    /// Something does not fit into its format.
    #[error("the history cannot hold this: {0}")]
    Codec(#[from] codec::CodecError),
    /// Something in it makes no sense.
    #[error("the history is damaged: {0}")]
    Schema(#[from] SchemaError),
}

/// The history's file.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    hosts: HashMap<Label, HostRows>,
}

/// Where a host's rows go.
#[derive(Clone, Copy, Debug)]
struct HostRows {
    id: i64,
    /// The number of the next block of rows.
    next: i64,
}

impl Store {
    /// Opens the file, or makes it. One that is damaged is set aside and a new one begun.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        match Self::try_open(path) {
            Err(StoreError::Sqlite(error)) if is_damage(&error) => {
                let aside = set_aside(path)?;
                tracing::error!(
                    "the history {} is damaged ({error}); it was moved to {}, and a new one begun: \
                     agents send again what they still hold",
                    path.display(),
                    aside.display()
                );
                Self::try_open(path)
            }
            other => other,
        }
    }

    fn try_open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            // Made by us first, so that nobody else can read it.
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
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            0 => {
                connection.execute_batch(&format!(
                    "BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"
                ))?;
            }
            VERSION => {}
            newer => return Err(StoreError::Newer(newer)),
        }
        Ok(Self {
            path: path.to_owned(),
            connection,
            hosts: HashMap::new(),
        })
    }

    /// Every host, without its chunks.
    pub fn load(&mut self) -> Result<Vec<KeptHost>, StoreError> {
        let mut hosts = Vec::new();
        let mut statement = self
            .connection
            .prepare("SELECT id, name, facts FROM host ORDER BY id")?;
        let found: Vec<(i64, String, Vec<u8>)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        for (id, name, facts) in found {
            let name = Label::new(&name);
            let mut heads = [Vec::new(), Vec::new()];
            let mut next = 0;
            let mut blocks = self.connection.prepare_cached(
                "SELECT late, number, rows FROM head WHERE host = ? ORDER BY late, number",
            )?;
            let mut blocks = blocks.query([id])?;
            while let Some(block) = blocks.next()? {
                let (late, number): (u32, i64) = (block.get(0)?, block.get(1)?);
                next = next.max(number + 1);
                if let Some(head) = heads.get_mut(late as usize) {
                    head.extend_from_slice(block.get_ref(2)?.as_blob().unwrap_or_default());
                }
            }
            self.hosts.insert(name.clone(), HostRows { id, next });
            hosts.push(KeptHost {
                name,
                // What cannot be read is told by the agent again.
                facts: codec::decode(&facts).unwrap_or_else(|_| HostFacts::unknown()),
                series: series(&self.connection, id)?,
                processes: processes(&self.connection, id)?,
                runs: runs(&self.connection, id)?,
                heads,
            });
        }
        Ok(hosts)
    }

    /// Writes a batch in one transaction: afterwards it is durable, or nothing of it was written.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.hosts.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        let mut places = Vec::with_capacity(batch.hosts.len());
        for host in &batch.hosts {
            let rows = match self.hosts.get(&host.name) {
                Some(rows) => *rows,
                None => new_host(&transaction, host)?,
            };
            let next = write_host(&transaction, rows, host, batch.generation)?;
            places.push((host.name.clone(), HostRows { next, ..rows }));
        }
        transaction.commit()?;
        self.hosts.extend(places);
        Ok(())
    }

    /// Removes what is older than `horizon`, and the oldest chunks while the file is over `bytes_max`.
    pub fn tidy(&mut self, horizon: UnixMs, bytes_max: u64) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM chunk WHERE last < ?", [horizon.0])?;
        transaction.execute("DELETE FROM process WHERE seen < ?", [horizon.0])?;
        transaction.commit()?;
        let pages = |name: &str| -> Result<u64, StoreError> {
            let query = format!("PRAGMA {name}");
            Ok(self
                .connection
                .query_row(&query, [], |row| row.get::<_, i64>(0))?
                .unsigned_abs())
        };
        while pages("page_count")?.saturating_sub(pages("freelist_count")?) * pages("page_size")?
            > bytes_max
        {
            let oldest =
                "DELETE FROM chunk WHERE id IN (SELECT id FROM chunk ORDER BY last LIMIT ?)";
            if self.connection.execute(oldest, [CHUNKS_AT_ONCE])? == 0 {
                break;
            }
        }
        self.connection
            .execute_batch("PRAGMA incremental_vacuum(2048)")?;
        Ok(())
    }

    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        let log = self.path.with_extension("db-wal");
        let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        length(&self.path) + length(&log)
    }

    /// Copies the history at `path` to a new file, while a hub may be writing to it.
    pub fn backup(path: &Path, to: &Path) -> Result<(), StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.execute("VACUUM INTO ?", [to.to_string_lossy()])?;
        Ok(())
    }
}

/// Reads sealed rows, the newest first, beside a hub that writes.
#[derive(Debug)]
pub struct ChunkReader {
    connection: Connection,
}

impl ChunkReader {
    /// Opens the file for reading.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        Ok(Self { connection })
    }

    /// Identifiers of all chunks there are, the newest first.
    pub fn newest_first(&self) -> Result<Vec<i64>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT id FROM chunk ORDER BY last DESC")?;
        let ids = statement.query_map([], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// A chunk and its host; none if it was removed or is damaged, which is told.
    pub fn read(&self, id: i64) -> Result<Option<(Label, Chunk)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, data FROM chunk JOIN host ON host.id = chunk.host WHERE chunk.id = ?",
        )?;
        let found = statement
            .query_row([id], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        let Some((name, data)) = found else {
            return Ok(None);
        };
        match Chunk::decode(&data) {
            Ok(chunk) => Ok(Some((Label::new(&name), chunk))),
            Err(error) => {
                tracing::warn!("rows of {name:?} in the history are passed over: {error}");
                Ok(None)
            }
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Moves a damaged file, and what belongs to it, out of the way; where to.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let aside = (1..)
        .map(|n| path.with_extension(format!("damaged-{n}")))
        .find(|aside| !aside.exists())
        .unwrap_or_else(|| path.with_extension("damaged"));
    fs::rename(path, &aside)?;
    for extension in ["db-wal", "db-shm"] {
        // The log of a damaged file must not be taken for that of the new one.
        match fs::remove_file(path.with_extension(extension)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(aside)
}

fn bytes_of<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes)?;
    Ok(bytes)
}

fn new_host(transaction: &Transaction<'_>, host: &HostBatch) -> Result<HostRows, StoreError> {
    let facts = bytes_of(&HostFacts::unknown())?;
    let name = host.name.as_str();
    let id = transaction
        .prepare_cached("INSERT INTO host (name, facts) VALUES (?, ?) RETURNING id")?
        .query_row(params![name, facts], |row| row.get(0))?;
    Ok(HostRows { id, next: 0 })
}

/// Writes what changed about a host; the number of its next block.
fn write_host(
    transaction: &Transaction<'_>,
    HostRows { id, mut next }: HostRows,
    host: &HostBatch,
    generation: u64,
) -> Result<i64, StoreError> {
    if let Some(facts) = &host.facts {
        let mut update = transaction.prepare_cached("UPDATE host SET facts = ? WHERE id = ?")?;
        update.execute(params![bytes_of(facts)?, id])?;
    }
    let (first, keys) = &host.series;
    for (number, key) in keys.iter().enumerate() {
        let mut insert =
            transaction.prepare_cached("INSERT OR REPLACE INTO series VALUES (?, ?, ?)")?;
        let table = SeriesTable::new(std::iter::once(key.as_ref()));
        insert.execute(params![id, (first + number) as i64, bytes_of(&table)?])?;
    }
    for (identity, seen) in &host.processes {
        let mut insert =
            transaction.prepare_cached("INSERT OR REPLACE INTO process VALUES (?, ?, ?, ?)")?;
        insert.execute(params![id, identity.id(), seen.0, bytes_of(identity)?])?;
    }
    for (run, set) in &host.runs {
        let mut insert =
            transaction.prepare_cached("INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?)")?;
        let heard = i64::try_from(generation).unwrap_or(i64::MAX);
        insert.execute(params![
            id,
            run.0.cast_signed(),
            heard,
            bytes_of(&set.ranges())?
        ])?;
    }
    for chunk in &host.ring.chunks {
        let mut insert = transaction
            .prepare_cached("INSERT INTO chunk (host, first, last, data) VALUES (?, ?, ?, ?)")?;
        insert.execute(params![id, chunk.first().0, chunk.last().0, chunk.encode()])?;
    }
    for (late, head) in (0u32..).zip(&host.ring.heads) {
        if head.restarted {
            let mut delete =
                transaction.prepare_cached("DELETE FROM head WHERE host = ? AND late = ?")?;
            delete.execute(params![id, late])?;
        }
        if !head.bytes.is_empty() {
            let mut insert = transaction.prepare_cached("INSERT INTO head VALUES (?, ?, ?, ?)")?;
            insert.execute(params![id, late, next, head.bytes])?;
            next += 1;
        }
    }
    Ok(next)
}

fn series(connection: &Connection, host: i64) -> Result<Vec<SeriesKey>, StoreError> {
    let query = "SELECT key FROM series WHERE host = ? ORDER BY number";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([host])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let table: SeriesTable = codec::decode(row.get_ref(0)?.as_blob().unwrap_or_default())?;
        found.extend(table.keys()?);
    }
    Ok(found)
}

fn processes(
    connection: &Connection,
    host: i64,
) -> Result<Vec<(ProcessIdentity, UnixMs)>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT seen, identity FROM process WHERE host = ?")?;
    let mut rows = statement.query([host])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let identity = codec::decode(row.get_ref(1)?.as_blob().unwrap_or_default())?;
        found.push((identity, UnixMs(row.get(0)?)));
    }
    Ok(found)
}

fn runs(connection: &Connection, host: i64) -> Result<Vec<(RunId, SeqSet)>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT run, ranges FROM run WHERE host = ? ORDER BY heard DESC LIMIT ?")?;
    let mut rows = statement.query(params![host, RUNS_PER_HOST_MAX as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let run: i64 = row.get(0)?;
        let ranges: Vec<(u64, u64)> = codec::decode(row.get_ref(1)?.as_blob().unwrap_or_default())?;
        let mut set = SeqSet::new();
        ranges
            .iter()
            .for_each(|&(low, high)| set.insert_range(low, high));
        found.push((RunId(run.cast_unsigned()), set));
    }
    found.reverse();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::tests::{fleet, host_with_cpu, row};

    fn now() -> UnixMs {
        UnixMs(10_000_000)
    }

    #[test]
    fn what_was_committed_is_there_again_and_repeated_rows_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        let mut fleet = fleet();
        fleet.record();
        let id = host_with_cpu(&mut fleet, "a");
        let mut store = Store::open(&path).unwrap();
        for seq in 1..=1500 {
            let time = now().0 - 1_500_000 + seq * 1000;
            fleet
                .apply(id, RunId(7), &row(seq as u64, time, seq % 11), now())
                .unwrap();
            if seq % 100 == 0 {
                store.commit(&fleet.take_batch(now())).unwrap();
            }
        }
        // One late row, and one that is not committed.
        fleet
            .apply(id, RunId(7), &row(1501, 9_000_500, 3), now())
            .unwrap();
        store.commit(&fleet.take_batch(now())).unwrap();
        fleet
            .apply(id, RunId(7), &row(1502, 9_999_999, 3), now())
            .unwrap();
        drop(store);

        let mut store = Store::open(&path).unwrap();
        let mut again = crate::fleet::tests::fleet();
        again.record();
        for host in store.load().unwrap() {
            again.restore(host);
        }
        let reader = ChunkReader::open(&path).unwrap();
        for id in reader.newest_first().unwrap() {
            let (name, chunk) = reader.read(id).unwrap().unwrap();
            again.restore_chunk(&name, chunk);
        }
        let id = again.find("a").unwrap();
        let health = again.host(id).unwrap().health();
        assert_eq!((health.rows, health.missing_rows), (1501, 0));
        let read = |fleet: &crate::fleet::Fleet| {
            let ring = &fleet.host(fleet.find("a").unwrap()).unwrap().ring;
            ring.read(&[0], UnixMs(0), UnixMs(9_999_000)).unwrap()
        };
        let (was, is) = (read(&fleet), read(&again));
        assert_eq!(is.times.len(), 1500);
        assert_eq!(was.times[..1499], is.times[..1499]);
        assert_eq!(was.columns[0][..1400], is.columns[0][..1400]);
        assert!(
            again.take_batch(now()).hosts.is_empty(),
            "nothing changed yet"
        );
        let applied = again
            .apply(id, RunId(7), &row(700, 9_200_000, 5), now())
            .unwrap();
        assert_eq!(applied, crate::fleet::Applied::Duplicate);
        let applied = again
            .apply(id, RunId(7), &row(1502, 9_999_999, 3), now())
            .unwrap();
        assert_eq!(applied, crate::fleet::Applied::Kept);
        store.commit(&again.take_batch(now())).unwrap();
        let runs = store.load().unwrap().remove(0).runs;
        assert_eq!(runs[0].1.ranges(), [(1, 1502)]);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_the_hub_starts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        fs::write(
            &path,
            "this is no database, but it is long enough to be looked at as one".repeat(40),
        )
        .unwrap();
        let mut store = Store::open(&path).unwrap();
        assert!(store.load().unwrap().is_empty());
        assert!(path.with_extension("damaged-1").exists());
    }

    #[test]
    fn what_is_old_or_too_much_is_removed_and_a_backup_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        let mut fleet = fleet();
        fleet.record();
        let id = host_with_cpu(&mut fleet, "a");
        let mut store = Store::open(&path).unwrap();
        for seq in 1..=3000 {
            let time = now().0 - 3_000_000 + seq * 1000;
            let value = (seq * seq * 7919) % 100_003;
            fleet
                .apply(id, RunId(7), &row(seq as u64, time, value), now())
                .unwrap();
        }
        store.commit(&fleet.take_batch(now())).unwrap();
        let chunks = || {
            ChunkReader::open(&path)
                .unwrap()
                .newest_first()
                .unwrap()
                .len()
        };
        assert_eq!(chunks(), 5);
        let copy = dir.path().join("copy.db");
        Store::backup(&path, &copy).unwrap();
        store.tidy(now() - 1_400_000, u64::MAX).unwrap();
        assert_eq!(chunks(), 2, "those that end before the horizon are gone");
        store.tidy(now() - 1_400_000, 0).unwrap();
        assert_eq!(chunks(), 0);
        assert!(store.bytes() > 0);
        assert_eq!(
            ChunkReader::open(&copy)
                .unwrap()
                .newest_first()
                .unwrap()
                .len(),
            5
        );
    }
}
