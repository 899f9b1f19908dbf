//! Reads chunks and buckets while the hub writes.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use sysmon_series::Chunk;
use sysmon_wire::{Label, SeriesKey, UnixMs};

use super::StoreError;
use super::encoding::{bytes_of_key, key_of};
use super::keys::{PART_SERIES, TierBuckets, find};
use crate::Tier;

/// A connection that reads chunks and buckets while the hub writes.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

/// Refers to a chunk on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    id: i64,
    /// Time of its first row.
    pub first: UnixMs,
    /// Time of its last row.
    pub last: UnixMs,
}

impl Reader {
    /// Opens the file for reading.
    ///
    /// # Errors
    /// The file does not exist or cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        Ok(Self { connection })
    }

    /// Calls `read` with a consistent view of the file.
    ///
    /// # Errors
    /// The file cannot be read, or `read` fails.
    pub fn at_once<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // Dropping it ends the transaction, in which nothing is written.
        let _transaction = self.connection.unchecked_transaction()?;
        read(self)
    }

    /// All chunks that end after `horizon`, the newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn newest_first(&self, horizon: UnixMs) -> Result<Vec<ChunkPlace>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT id, first, last FROM chunk WHERE last >= ? ORDER BY last DESC")?;
        let places = statement.query_map([horizon.0], place)?;
        Ok(places.collect::<Result<_, _>>()?)
    }

    /// The chunks of a host that overlap a time range.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn between(
        &self,
        host: &Label,
        from: UnixMs,
        to: UnixMs,
    ) -> Result<Vec<ChunkPlace>, StoreError> {
        let Some(host) = self.host(host)? else {
            return Ok(Vec::new());
        };
        let mut statement = self.connection.prepare_cached(
            "SELECT id, first, last FROM chunk WHERE host = ? AND last >= ? AND first <= ?",
        )?;
        let places = statement.query_map([host, from.0, to.0], place)?;
        Ok(places.collect::<Result<_, _>>()?)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn host(&self, name: &Label) -> Result<Option<i64>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM host WHERE name = ?")?;
        Ok(statement
            .query_row([name.as_str()], |row| row.get(0))
            .optional()?)
    }

    /// A chunk and its host's name; none if it was removed or is damaged, which is logged.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, place: ChunkPlace) -> Result<Option<(Label, Chunk)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, data FROM chunk JOIN host ON host.id = chunk.host WHERE chunk.id = ?",
        )?;
        let found = statement
            .query_row([place.id], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        let Some((name, data)) = found else {
            return Ok(None);
        };
        match Chunk::decode(&data) {
            Ok(chunk) => Ok(Some((Label::new(&name), chunk))),
            Err(error) => {
                tracing::warn!(host = %name, %error, "skipping a damaged chunk of the history");
                Ok(None)
            }
        }
    }

    /// The buckets of a host that overlap a time range, of the parts with these series.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn buckets(
        &self,
        host: &Label,
        tier: Tier,
        series: &[SeriesKey],
        from: UnixMs,
        to: UnixMs,
    ) -> Result<TierBuckets, StoreError> {
        let Some(host) = self.host(host)? else {
            return Ok(TierBuckets::default());
        };
        let numbers = self.numbers(host, series)?;
        let known = numbers.iter().flatten();
        let mut parts: Vec<usize> = known.map(|number| number / PART_SERIES).collect();
        parts.sort_unstable();
        parts.dedup();
        let mut statement = self.connection.prepare_cached(
            "SELECT data FROM bucket WHERE host = ? AND tier = ? AND part = ? \
             AND last >= ? AND first <= ? ORDER BY first",
        )?;
        let mut found = Vec::new();
        for part in parts {
            let mut rows = statement.query([host, tier as i64, part as i64, from.0, to.0])?;
            while let Some(row) = rows.next()? {
                match Chunk::decode(row.get_ref(0)?.as_blob().unwrap_or_default()) {
                    Ok(chunk) => found.push((part, chunk)),
                    Err(error) => {
                        tracing::warn!(host, %error, "skipping damaged buckets of the history");
                    }
                }
            }
        }
        Ok(TierBuckets {
            numbers,
            parts: found,
        })
    }

    /// Whether a host has buckets at a moment.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn has_bucket(&self, host: &Label, tier: Tier, at: UnixMs) -> Result<bool, StoreError> {
        let Some(host) = self.host(host)? else {
            return Ok(false);
        };
        let mut statement = self.connection.prepare_cached(
            "SELECT 1 FROM bucket WHERE host = ? AND tier = ? AND part = 0 AND first <= ? AND last > ?",
        )?;
        let after = at - tier.step_ms();
        Ok(statement.exists([host, tier as i64, at.0, after.0])?)
    }

    /// The time ranges of buckets that overlap a time range, of one host or of the first `hosts_max`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn covered(
        &self,
        host: Option<&Label>,
        tier: Tier,
        (from, to): (UnixMs, UnixMs),
        hosts_max: i64,
    ) -> Result<Vec<(UnixMs, UnixMs)>, StoreError> {
        let hosts: Vec<i64> = match host {
            Some(name) => self.host(name)?.into_iter().collect(),
            None => {
                let mut statement = self
                    .connection
                    .prepare_cached("SELECT id FROM host ORDER BY id LIMIT ?")?;
                let found = statement.query_map([hosts_max], |row| row.get(0))?;
                found.collect::<Result<_, _>>()?
            }
        };
        let mut statement = self.connection.prepare_cached(
            "SELECT first, last FROM bucket WHERE host = ? AND tier = ? AND part = 0 \
             AND first <= ? AND last >= ?",
        )?;
        let mut found = Vec::new();
        for host in hosts {
            let ends = statement.query_map([host, tier as i64, to.0, from.0], |row| {
                let last = UnixMs(row.get(1)?) + tier.step_ms();
                Ok((UnixMs(row.get(0)?), last))
            })?;
            found.extend(ends.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }

    /// The time up to which a host's rows are in buckets.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn rolled(&self, host: &Label) -> Result<UnixMs, StoreError> {
        let until = self.oldest(host, "SELECT until FROM rolled WHERE host = ?")?;
        Ok(until.unwrap_or_default())
    }

    /// Time of the oldest sealed row of a host.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn oldest_row(&self, host: &Label) -> Result<Option<UnixMs>, StoreError> {
        self.oldest(host, "SELECT MIN(first) FROM chunk WHERE host = ?")
    }

    /// Time of the oldest bucket of a host.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn oldest_bucket(&self, host: &Label, tier: Tier) -> Result<Option<UnixMs>, StoreError> {
        self.oldest(
            host,
            match tier {
                Tier::Minute => {
                    "SELECT MIN(first) FROM bucket WHERE host = ? AND tier = 0 AND part = 0"
                }
                Tier::Hour => {
                    "SELECT MIN(first) FROM bucket WHERE host = ? AND tier = 1 AND part = 0"
                }
            },
        )
    }

    fn oldest(&self, host: &Label, query: &str) -> Result<Option<UnixMs>, StoreError> {
        let Some(host) = self.host(host)? else {
            return Ok(None);
        };
        let mut statement = self.connection.prepare_cached(query)?;
        let oldest: Option<Option<i64>> =
            statement.query_row([host], |row| row.get(0)).optional()?;
        Ok(oldest.flatten().map(UnixMs))
    }
}

fn place(row: &rusqlite::Row<'_>) -> rusqlite::Result<ChunkPlace> {
    Ok(ChunkPlace {
        id: row.get(0)?,
        first: UnixMs(row.get(1)?),
        last: UnixMs(row.get(2)?),
    })
}

impl Reader {
    /// The numbers of series among those with buckets.
    pub(super) fn numbers(
        &self,
        host: i64,
        keys: &[SeriesKey],
    ) -> Result<Vec<Option<usize>>, StoreError> {
        let number = |key: &SeriesKey| {
            let found = find(self.connection(), host, &bytes_of_key(key)?)?;
            Ok(found.and_then(|(number, _)| usize::try_from(number).ok()))
        };
        keys.iter().map(number).collect()
    }

    /// The series of a metric that a host had at `from` or later, the most recent first, up to `max`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn series_of(
        &self,
        host: &sysmon_wire::Label,
        metric: &str,
        from: UnixMs,
        max: usize,
    ) -> Result<Vec<SeriesKey>, StoreError> {
        let Some(host) = self.host(host)? else {
            return Ok(Vec::new());
        };
        let mut statement = self.connection().prepare_cached(
            "SELECT key FROM bucket_series WHERE host = ? AND metric = ? AND last >= ? \
             ORDER BY last DESC LIMIT ?",
        )?;
        let mut rows = statement.query(params![host, metric, from.0, max as i64])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.extend(key_of(row.get_ref(0)?.as_blob().unwrap_or_default())?);
        }
        Ok(found)
    }
}
