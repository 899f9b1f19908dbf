//! The series that have buckets. Their numbers are not those in rows, which other series get once the rows are gone:
//! they rise with each series that a host has ever had, so that the parts of old buckets stay as they are.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use sysmon_series::Chunk;
use sysmon_wire::{SeriesKey, UnixMs};

use super::StoreError;
use super::encoding::bytes_of_key;

/// Series whose buckets share a blob: reading one series reads a few kilobytes.
pub const PART_SERIES: usize = 32;

/// The hours of one day share a blob.
pub(super) const DAY_MS: i64 = 86_400_000;

/// Buckets of some series.
#[derive(Clone, Debug, Default)]
pub struct TierBuckets {
    /// The number of each series that was asked for, if it has buckets.
    pub numbers: Vec<Option<usize>>,
    /// Chunks of buckets with the index of their part, in order of time within each.
    pub parts: Vec<(usize, Chunk)>,
}

impl TierBuckets {
    /// The chunks with buckets of the `at`th series, and its place in each.
    pub fn of(&self, at: usize) -> impl Iterator<Item = (&Chunk, usize)> {
        let number = self.numbers.get(at).copied().flatten();
        self.parts.iter().filter_map(move |(part, chunk)| {
            let number = number.filter(|number| number / PART_SERIES == *part)?;
            Some((chunk, number % PART_SERIES))
        })
    }
}

/// Numbers of the series with buckets of one host, while a window is downsampled.
pub(super) struct Numbers<'a> {
    connection: &'a Connection,
    host: i64,
    /// Number and `last` of the series that had buckets in the days before.
    recent: HashMap<Vec<u8>, (i64, i64)>,
    last: i64,
    next: i64,
}

impl<'a> Numbers<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        host: i64,
        window: UnixMs,
    ) -> Result<Self, StoreError> {
        let last = window.floor(DAY_MS).0 + DAY_MS;
        let mut statement = connection.prepare_cached(
            "SELECT key, number, last FROM bucket_series WHERE host = ? AND last >= ?",
        )?;
        let found = statement.query_map([host, last - DAY_MS], |row| {
            Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
        })?;
        let next: Option<i64> = connection
            .prepare_cached("SELECT MAX(number) + 1 FROM bucket_series WHERE host = ?")?
            .query_row([host], |row| row.get(0))?;
        Ok(Self {
            connection,
            host,
            recent: found.collect::<Result<_, _>>()?,
            last,
            next: next.unwrap_or(0),
        })
    }

    /// The number of a series that has buckets in this window.
    pub(super) fn of(&mut self, key: &SeriesKey) -> Result<usize, StoreError> {
        let bytes = bytes_of_key(key)?;
        let known = match self.recent.get(&bytes) {
            Some(known) => Some(*known),
            None => find(self.connection, self.host, &bytes)?,
        };
        let number = match known {
            Some((number, last)) => {
                if last < self.last {
                    self.connection
                        .prepare_cached(
                            "UPDATE bucket_series SET last = ? WHERE host = ? AND number = ?",
                        )?
                        .execute([self.last, self.host, number])?;
                }
                number
            }
            None => {
                let number = self.next;
                self.next += 1;
                self.connection
                    .prepare_cached("INSERT INTO bucket_series VALUES (?, ?, ?, ?, ?)")?
                    .execute(params![
                        self.host,
                        number,
                        key.metric.name.as_str(),
                        bytes,
                        self.last
                    ])?;
                number
            }
        };
        usize::try_from(number).map_err(|_| StoreError::Chunk(sysmon_series::ChunkError::Damaged))
    }
}

const FIND: &str = "SELECT number, last FROM bucket_series WHERE host = ? AND key = ?";

pub(super) fn find(
    connection: &Connection,
    host: i64,
    key: &[u8],
) -> Result<Option<(i64, i64)>, StoreError> {
    Ok(connection
        .prepare_cached(FIND)?
        .query_row(params![host, key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// Removes the series whose buckets were all removed, of every host: those before `buckets`.
pub(super) fn remove_before(connection: &Connection, buckets: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM bucket_series WHERE host IN (SELECT id FROM host) AND last < ?",
        )?
        .execute([buckets])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    /// Once each new series was compared with all of its metric in the retention: with 1,200 containers a day, 72,000.
    #[test]
    fn a_series_is_found_without_looking_at_others() {
        let dir = tempfile::tempdir().unwrap();
        let connection = schema::open(&dir.path().join("history.db")).unwrap();
        let plan = format!("EXPLAIN QUERY PLAN {FIND}");
        let plan: String = connection
            .query_row(&plan, params![1, b"key"], |row| row.get("detail"))
            .unwrap();
        assert!(plan.contains("(host=? AND key=?)"), "{plan}");
    }
}
