//! The history's file: one SQLite database in the hub's state directory.
//!
//! | table | what |
//! |---|---|
//! | `host` | name and facts |
//! | `series` | a host's series by index; `key` is an encoded [`SeriesTable`] of that one |
//! | `process` | identities that rows name, and when they last did |
//! | `log` | what commits said of runs and of rows not yet sealed: [`log`] |
//! | `run` | which rows of an agent's run came, as it was before the log; `ranges` are inclusive |
//! | `head` | rows not yet sealed, from before the log: joined in order they are the bytes of a ring's head |
//! | `chunk` | sealed rows: [`Chunk::encode`](sysmon_series::Chunk::encode) |
//! | `bucket` | minutes (`tier` 0) and hours (1) of sealed rows, in parts of some series: [`tiers`] |
//! | `event` | what happened to hosts |
//! | `rolled` | up to when a host's rows are in buckets |
//! | `removed` | up to when sealed rows of a host were removed |

mod log;
mod reader;
mod tiers;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params, params_from_iter,
};
use sysmon_wire::limits::RUNS_PER_HOST_MAX;
use sysmon_wire::message::RunId;
use sysmon_wire::timeline::Event;
use sysmon_wire::{
    HostFacts, Label, ProcessIdentity, RowDecoder, RowEncoder, SchemaError, SeqSet, SeriesKey,
    SeriesTable, UnixMs, codec,
};
use thiserror::Error;

use super::{Batch, HostBatch, KeptHost, Limits, Tier};
use crate::EVENTS_KEPT_MAX;
pub use reader::{ChunkPlace, Reader};
pub use tiers::{PART_SERIES, WINDOW_MS};

/// The version of the tables, in SQLite's `user_version`.
const VERSION: i64 = 2;

const TABLES: &str = "
CREATE TABLE host (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, facts BLOB NOT NULL);
CREATE TABLE series (host INTEGER, number INTEGER, key BLOB NOT NULL, PRIMARY KEY (host, number)) WITHOUT ROWID;
CREATE TABLE process (host INTEGER, id INTEGER, seen INTEGER NOT NULL, identity BLOB NOT NULL, PRIMARY KEY (host, id)) WITHOUT ROWID;
CREATE TABLE run (host INTEGER, run INTEGER, heard INTEGER NOT NULL, ranges BLOB NOT NULL, PRIMARY KEY (host, run)) WITHOUT ROWID;
CREATE TABLE head (host INTEGER, late INTEGER, number INTEGER, rows BLOB NOT NULL, PRIMARY KEY (host, late, number)) WITHOUT ROWID;
CREATE TABLE chunk (id INTEGER PRIMARY KEY, host INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX chunk_last ON chunk (last);
";

/// What the second version added.
const TABLES_2: &str = "
CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB NOT NULL);
CREATE TABLE bucket (host INTEGER, tier INTEGER, part INTEGER, first INTEGER, last INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (host, tier, part, first));
CREATE INDEX bucket_last ON bucket (tier, last);
CREATE TABLE rolled (host INTEGER PRIMARY KEY, until INTEGER NOT NULL);
CREATE TABLE removed (host INTEGER PRIMARY KEY, until INTEGER NOT NULL);
CREATE TABLE event (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX chunk_host ON chunk (host, last);
UPDATE run SET heard = heard - (1 << 62);
UPDATE head SET number = number - 1000000000;
";

/// Chunks removed at once when the file is over its size.
const CHUNKS_AT_ONCE: u32 = 64;

const DAY_MS: i64 = 86_400_000;

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
    /// Rows in it cannot be read or compressed.
    #[error("the history's rows: {0}")]
    Chunk(#[from] sysmon_series::ChunkError),
}

/// The history's file.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    hosts: HashMap<Label, HostRows>,
    log: log::Log,
}

/// Where a host's rows go.
#[derive(Clone, Copy, Debug)]
struct HostRows {
    id: i64,
    /// Up to when its rows are in buckets.
    rolled: UnixMs,
    /// Its oldest row that is not sealed.
    oldest_unsealed: Option<UnixMs>,
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
        let missing = match version {
            0 => format!("{TABLES} {TABLES_2}"),
            1 => TABLES_2.to_owned(),
            VERSION => String::new(),
            newer => return Err(StoreError::Newer(newer)),
        };
        if !missing.is_empty() {
            connection.execute_batch(&format!(
                "BEGIN; {missing} PRAGMA user_version = {VERSION}; COMMIT;"
            ))?;
        }
        Ok(Self {
            path: path.to_owned(),
            connection,
            hosts: HashMap::new(),
            log: log::Log::default(),
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
        let mut places = HashMap::new();
        for (id, name, facts) in found {
            let name = Label::new(&name);
            let mut heads = [Vec::new(), Vec::new()];
            let mut blocks = self.connection.prepare_cached(
                "SELECT late, rows FROM head WHERE host = ? ORDER BY late, number",
            )?;
            let mut blocks = blocks.query([id])?;
            while let Some(block) = blocks.next()? {
                let late: u32 = block.get(0)?;
                if let Some(head) = heads.get_mut(late as usize) {
                    head.extend_from_slice(block.get_ref(1)?.as_blob().unwrap_or_default());
                }
            }
            places.insert(id, hosts.len());
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
        let is_whole = self.log.replay(&self.connection, |entry| {
            let host = places.get(&entry.host).and_then(|at| hosts.get_mut(*at));
            if let Some(host) = host {
                replay(host, entry);
            }
        })?;
        if !is_whole {
            // What the lost part said to be sealed is in chunks: it must not be here as well.
            for (id, at) in &places {
                let sealed = "SELECT MAX(last) FROM chunk WHERE host = ?";
                let sealed: Option<i64> =
                    self.connection.query_row(sealed, [id], |row| row.get(0))?;
                if let (Some(host), Some(sealed)) = (hosts.get_mut(*at), sealed) {
                    let [head, late] = &mut host.heads;
                    *head = rows_after(head, UnixMs(sealed), host.series.len());
                    late.clear();
                }
            }
        }
        let mut rolled = self
            .connection
            .prepare_cached("SELECT until FROM rolled WHERE host = ?")?;
        for (id, at) in places {
            let Some(host) = hosts.get_mut(at) else {
                continue;
            };
            let over = host.runs.len().saturating_sub(RUNS_PER_HOST_MAX);
            host.runs.drain(..over);
            let first = |head: &Vec<u8>| {
                let row = RowDecoder::new()
                    .decode(&mut &head[..], host.series.len())
                    .ok()??
                    .time;
                Some(row)
            };
            let rows = HostRows {
                id,
                rolled: rolled
                    .query_row([id], |row| row.get(0))
                    .optional()?
                    .map_or(UnixMs(0), UnixMs),
                oldest_unsealed: host.heads.iter().filter_map(first).min(),
            };
            self.hosts.insert(host.name.clone(), rows);
        }
        drop(rolled);
        drop(statement);
        Ok(hosts)
    }

    /// The newest events, oldest first.
    pub fn events(&self) -> Result<Vec<Event>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT data FROM event ORDER BY id DESC LIMIT ?")?;
        let mut rows = statement.query([EVENTS_KEPT_MAX as i64])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            // One that a newer program wrote and this one does not know is left out.
            found.extend(codec::decode::<Event>(
                row.get_ref(0)?.as_blob().unwrap_or_default(),
            ));
        }
        found.reverse();
        Ok(found)
    }

    /// Writes a batch in one transaction: afterwards it is durable, or nothing of it was written.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.hosts.is_empty() && batch.events.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        let mut places = Vec::with_capacity(batch.hosts.len());
        for host in &batch.hosts {
            let mut rows = match self.hosts.get(&host.name) {
                Some(rows) => *rows,
                None => new_host(&transaction, host)?,
            };
            write_host(&transaction, &mut rows, host)?;
            places.push((host.name.clone(), rows));
        }
        let hosts = places.iter().map(|(_, rows)| rows.id).zip(&batch.hosts);
        let appended = self.log.append(&transaction, hosts, batch.now)?;
        for event in &batch.events {
            transaction
                .prepare_cached("INSERT INTO event (time, data) VALUES (?, ?)")?
                .execute(params![event.time.0, bytes_of(event)?])?;
        }
        let folded = self.log.fold(&transaction, batch.now)?;
        transaction.commit()?;
        self.log.settle(appended, folded);
        self.hosts.extend(places);
        Ok(())
    }

    /// Removes what is older than it should be, and the oldest rows, then minutes, then hours, while the file
    /// is too large.
    pub fn tidy(&mut self, now: UnixMs, limits: &Limits) -> Result<(), StoreError> {
        let before =
            |kept: std::time::Duration| now.0 - i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let rows = before(limits.rows);
        let transaction = self.connection.transaction()?;
        // What is not summed up yet may stay a day longer.
        let old = rows.min(now.0 - tiers::ROWS_MS_MIN);
        remove_chunks(
            &transaction,
            "last < ?1 AND (last < ?2 OR \
             last < (SELECT until FROM rolled WHERE rolled.host = chunk.host))",
            &[old, old - DAY_MS],
        )?;
        transaction.execute("DELETE FROM process WHERE seen < ?", [rows])?;
        transaction.execute("DELETE FROM event WHERE time < ?", [before(limits.minutes)])?;
        for (tier, kept) in [(Tier::Minute, limits.minutes), (Tier::Hour, limits.hours)] {
            transaction.execute(
                "DELETE FROM bucket WHERE tier = ? AND last < ?",
                [tier as i64, before(kept)],
            )?;
        }
        transaction.commit()?;
        let pages = |name: &str| -> Result<u64, StoreError> {
            let query = format!("PRAGMA {name}");
            Ok(self
                .connection
                .query_row(&query, [], |row| row.get::<_, i64>(0))?
                .unsigned_abs())
        };
        while pages("page_count")?.saturating_sub(pages("freelist_count")?) * pages("page_size")?
            > limits.bytes
        {
            if !self.remove_oldest()? {
                break;
            }
        }
        self.connection
            .execute_batch("PRAGMA incremental_vacuum(2048)")?;
        Ok(())
    }

    /// Removes some of the oldest detail: rows that are summed up, then minutes, then hours, and only then
    /// rows that nothing else tells of. Whether there was any.
    pub fn remove_oldest(&self) -> Result<bool, StoreError> {
        let summed_up = "id IN (SELECT id FROM chunk JOIN rolled ON rolled.host = chunk.host \
             WHERE last < until ORDER BY last LIMIT ?1)";
        if remove_chunks(&self.connection, summed_up, &[CHUNKS_AT_ONCE.into()])? > 0 {
            return Ok(true);
        }
        for tier in [Tier::Minute, Tier::Hour] {
            let buckets = "DELETE FROM bucket WHERE rowid IN \
                 (SELECT rowid FROM bucket WHERE tier = ? ORDER BY last LIMIT ?)";
            let removed = self
                .connection
                .execute(buckets, [tier as i64, i64::from(CHUNKS_AT_ONCE)])?;
            if removed > 0 {
                return Ok(true);
            }
        }
        let oldest = "id IN (SELECT id FROM chunk ORDER BY last LIMIT ?1)";
        Ok(remove_chunks(&self.connection, oldest, &[CHUNKS_AT_ONCE.into()])? > 0)
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

/// Removes sealed rows, and notes up to when that was; how many chunks.
fn remove_chunks(
    connection: &Connection,
    which: &str,
    arguments: &[i64],
) -> Result<usize, StoreError> {
    connection.execute(
        &format!(
            "INSERT INTO removed SELECT host, MAX(last) FROM chunk WHERE {which} GROUP BY host \
             ON CONFLICT (host) DO UPDATE SET until = MAX(until, excluded.until)"
        ),
        params_from_iter(arguments),
    )?;
    let delete = format!("DELETE FROM chunk WHERE {which}");
    Ok(connection.execute(&delete, params_from_iter(arguments))?)
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
    Ok(HostRows {
        id,
        rolled: UnixMs(0),
        oldest_unsealed: None,
    })
}

/// Writes what changed about a host, apart from what goes to the log.
fn write_host(
    transaction: &Transaction<'_>,
    rows: &mut HostRows,
    host: &HostBatch,
) -> Result<(), StoreError> {
    let id = rows.id;
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
    for chunk in &host.ring.chunks {
        let mut insert = transaction
            .prepare_cached("INSERT INTO chunk (host, first, last, data) VALUES (?, ?, ?, ?)")?;
        insert.execute(params![id, chunk.first().0, chunk.last().0, chunk.encode()])?;
    }
    if let Some(first) = host
        .ring
        .chunks
        .iter()
        .map(sysmon_series::Chunk::first)
        .min()
    {
        rows.rolled = Store::redo_from(transaction, id, rows.rolled, first)?;
    }
    rows.oldest_unsealed = host.oldest_unsealed;
    Ok(())
}

/// The rows of a head that come after a moment.
fn rows_after(mut head: &[u8], after: UnixMs, series: usize) -> Vec<u8> {
    let (mut decoder, mut encoder) = (RowDecoder::new(), RowEncoder::new());
    let mut rows = Vec::new();
    while let Ok(Some(row)) = decoder.decode(&mut head, series) {
        if row.time > after {
            encoder.encode(row.seq, row.time, &row.values, &mut rows);
        }
    }
    rows
}

/// Takes what the log says of a host.
fn replay(host: &mut KeptHost, entry: log::Entry) {
    for (run, ranges) in entry.runs {
        host.runs.retain(|(known, _)| *known != run);
        host.runs.push((run, log::set_of(&ranges)));
    }
    for (kept, head) in host.heads.iter_mut().zip(entry.heads) {
        if head.restarted {
            kept.clear();
        }
        kept.extend_from_slice(&head.bytes);
    }
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
        found.push((RunId(run.cast_unsigned()), log::set_of(&ranges)));
    }
    found.reverse();
    Ok(found)
}
