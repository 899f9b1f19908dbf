//! Downsampling of sealed rows to minutes and hours, one window of one host at a time, between commits.

use rusqlite::{Connection, OptionalExtension, params};
use sysmon_series::{Buckets, Chunk};
use sysmon_wire::{Kind, UnixMs};

use super::keys::{DAY_MS, Numbers, PART_SERIES};
use super::load::series;
use super::{Store, StoreError, StoredHost};
use crate::{LoadedSeries, Tier};

/// Milliseconds that are downsampled at once. Longer windows compress better, but rows that are not downsampled yet
/// are slower to read.
pub const WINDOW_MS: i64 = 2 * 3_600_000;

/// A window is downsampled this long after its end, so that it includes most late rows.
const AFTER_MS: i64 = 900_000;

/// How far before a window the row for its first rate may lie.
const RATE_REACH_MS: i64 = 60_000;

/// Rows stay on disk at least this long, until they are downsampled.
pub(super) const ROWS_MS_MIN: i64 = WINDOW_MS + 4 * AFTER_MS;

impl Store {
    /// Downsamples one window of one host; returns false if none is due.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn roll_up(&mut self, now: UnixMs) -> Result<bool, StoreError> {
        let is_due = |rows: &StoredHost| {
            let end = rows.rolled.floor(WINDOW_MS) + WINDOW_MS;
            let settled = rows.oldest_unsealed.is_none_or(|oldest| oldest >= end);
            settled && end + AFTER_MS <= now
        };
        let due = self.hosts.values().find(|rows| is_due(rows)).copied();
        let Some(rows) = due else { return Ok(false) };
        self.roll_up_host(rows, now)?;
        Ok(true)
    }

    /// Downsamples the next window of a host, if that has ended.
    pub(super) fn roll_up_host(&mut self, rows: StoredHost, now: UnixMs) -> Result<(), StoreError> {
        // The next rows; a host may have been offline for days.
        let next: Option<i64> = self
            .connection
            .prepare_cached("SELECT MIN(MAX(first, ?2)) FROM chunk WHERE host = ?1 AND last >= ?2")?
            .query_row([rows.id, rows.rolled.0], |row| row.get(0))
            .optional()?
            .flatten();
        let from = UnixMs(next.unwrap_or(now.0 - AFTER_MS)).floor(WINDOW_MS);
        let to = from + WINDOW_MS;
        let settled = rows.oldest_unsealed.is_none_or(|oldest| oldest >= to);
        let rolled = if next.is_some() && settled && to + AFTER_MS <= now {
            // Damaged rows of one host must not stop the others.
            if let Err(error) = self.roll_up_window(rows.id, from.max(rows.rolled), to) {
                tracing::error!(host = rows.id, from = from.0, %error, "cannot downsample rows");
            }
            to
        } else {
            from.max(rows.rolled)
        };
        for rows in self.hosts.values_mut().filter(|host| host.id == rows.id) {
            rows.rolled = rolled.max(rows.rolled);
        }
        Ok(())
    }

    fn roll_up_window(&mut self, host: i64, from: UnixMs, to: UnixMs) -> Result<(), StoreError> {
        let series = series(&self.connection, host)?;
        let mut kinds: Vec<Option<Kind>> = Vec::new();
        for LoadedSeries { number, key, .. } in &series {
            kinds.resize(*number as usize, None);
            kinds.push(Some(key.metric.kind));
        }
        let chunks = chunks(&self.connection, host, from - RATE_REACH_MS, to)?;
        let minutes = Buckets::roll_up(&chunks, &kinds, from, to, Tier::Minute.step_ms())?;
        let day = from.floor(DAY_MS);
        let transaction = self.connection.transaction()?;
        let mut places = vec![None; kinds.len()];
        let mut numbers = Numbers::new(&transaction, host, from)?;
        for LoadedSeries { number, key, .. } in &series {
            let number = *number as usize;
            if let Some(place) = places
                .get_mut(number)
                .filter(|_| minutes.has_values(number))
            {
                *place = Some(numbers.of(key)?);
            }
        }
        for (part, minutes) in minutes.parts(PART_SERIES, &places) {
            let part = part as i64;
            let mut hours = match bucket_chunk(&transaction, host, Tier::Hour, part, day)? {
                Some(chunk) => Buckets::from_chunk(&chunk)?,
                None => Buckets::default(),
            };
            hours.extend(&minutes.coarser(Tier::Hour.step_ms()));
            for (tier, start, buckets) in [(Tier::Minute, from, minutes), (Tier::Hour, day, hours)]
            {
                let Some(chunk) = buckets.seal()? else {
                    continue;
                };
                let (first, last, data) = (start.0, chunk.last().0, chunk.encode());
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO bucket VALUES (?, ?, ?, ?, ?, ?)")?
                    .execute(params![host, tier as i64, part, first, last, data])?;
            }
        }
        transaction
            .prepare_cached("INSERT OR REPLACE INTO rolled VALUES (?, ?)")?
            .execute([host, to.0])?;
        transaction.commit()?;
        Ok(())
    }

    /// Marks buckets from `first` on to be made again, because late rows were sealed, unless rows of their window
    /// were removed. Returns the time up to which buckets remain.
    pub(super) fn redo_from(
        connection: &Connection,
        host: i64,
        rolled: UnixMs,
        first: UnixMs,
    ) -> Result<UnixMs, StoreError> {
        let from = first.floor(WINDOW_MS);
        if first >= rolled {
            return Ok(rolled);
        }
        let removed: Option<i64> = connection
            .prepare_cached("SELECT until FROM removed WHERE host = ?")?
            .query_row([host], |row| row.get(0))
            .optional()?;
        if removed.is_some_and(|removed| removed >= from.0) {
            return Ok(rolled);
        }
        connection
            .prepare_cached("DELETE FROM bucket WHERE host = ? AND tier = 0 AND first >= ?")?
            .execute([host, from.0])?;
        connection
            .prepare_cached("INSERT OR REPLACE INTO rolled VALUES (?, ?)")?
            .execute([host, from.0])?;
        Ok(from)
    }
}

/// The chunks of a host that overlap a time range, oldest first. Damaged chunks are skipped.
pub(super) fn chunks(
    connection: &Connection,
    host: i64,
    from: UnixMs,
    to: UnixMs,
) -> Result<Vec<Chunk>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT data FROM chunk WHERE host = ? AND last >= ? AND first <= ? ORDER BY last",
    )?;
    let mut rows = statement.query([host, from.0, to.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        match Chunk::decode(row.get_ref(0)?.as_blob().unwrap_or_default()) {
            Ok(chunk) => found.push(chunk),
            Err(error) => tracing::warn!(host, %error, "skipping a damaged chunk of the history"),
        }
    }
    Ok(found)
}

fn bucket_chunk(
    connection: &Connection,
    host: i64,
    tier: Tier,
    part: i64,
    first: UnixMs,
) -> Result<Option<Chunk>, StoreError> {
    let data: Option<Vec<u8>> = connection
        .prepare_cached(
            "SELECT data FROM bucket WHERE host = ? AND tier = ? AND part = ? AND first = ?",
        )?
        .query_row([host, tier as i64, part, first.0], |row| row.get(0))
        .optional()?;
    Ok(data.and_then(|data| Chunk::decode(&data).ok()))
}
