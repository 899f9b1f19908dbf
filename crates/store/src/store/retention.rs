//! Removes old data: by age, and by the size of the file.

use rusqlite::{Connection, OptionalExtension, params_from_iter};
use sysmon_wire::UnixMs;

use super::keys::DAY_MS;
use super::{Store, StoreError, forget, keys, tiers};
use crate::{Limits, Tier};

/// Chunks or buckets of a host removed at once while the file is too large.
const REMOVED_AT_ONCE: u32 = 16;

impl Store {
    /// Removes what is past its retention, and then the oldest data while the file exceeds its limit.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn tidy(&mut self, now: UnixMs, limits: &Limits) -> Result<(), StoreError> {
        let before =
            |kept: std::time::Duration| now.0 - i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let rows = before(limits.rows);
        let transaction = self.connection.transaction()?;
        // Rows that are not in buckets yet may stay a day longer.
        let old = rows.min(now.0 - tiers::ROWS_MS_MIN);
        remove_chunks(
            &transaction,
            "last < ?1 AND (last < ?2 OR \
             last < (SELECT until FROM rolled WHERE rolled.host = chunk.host))",
            &[old, old - DAY_MS],
        )?;
        transaction.execute("DELETE FROM process WHERE seen < ?", [rows])?;
        transaction.execute("DELETE FROM late WHERE last < ?", [rows])?;
        transaction.execute("DELETE FROM event WHERE time < ?", [before(limits.minutes)])?;
        for (tier, kept) in [(Tier::Minute, limits.minutes), (Tier::Hour, limits.hours)] {
            transaction.execute(
                "DELETE FROM bucket WHERE tier = ? AND last < ?",
                [tier as i64, before(kept)],
            )?;
        }
        keys::remove_before(
            &transaction,
            before(limits.hours.max(limits.minutes)) - DAY_MS,
        )?;
        forget::purge(&transaction, now)?;
        transaction.commit()?;
        let pages = |name: &str| -> Result<u64, StoreError> {
            let query = format!("PRAGMA {name}");
            Ok(self
                .connection
                .query_row(&query, [], |row| row.get::<_, i64>(0))?
                .unsigned_abs())
        };
        let mut is_cut = false;
        while pages("page_count")?.saturating_sub(pages("freelist_count")?) * pages("page_size")?
            > limits.bytes
        {
            if !self.remove_oldest()? {
                break;
            }
            is_cut = true;
        }
        if is_cut {
            let oldest = "SELECT MIN(last) FROM bucket WHERE tier IN (0, 1)";
            let oldest: Option<i64> = self.connection.query_row(oldest, [], |row| row.get(0))?;
            keys::remove_before(&self.connection, oldest.unwrap_or(now.0) - DAY_MS)?;
        }
        self.connection
            .execute_batch("PRAGMA incremental_vacuum(2048)")?;
        Ok(())
    }

    /// Removes some of the oldest data of the host that uses most, which is the one furthest over its equal share: rows
    /// that are in buckets, then minutes, then hours, and only then rows that are not in buckets. Returns false if there
    /// was none.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn remove_oldest(&self) -> Result<bool, StoreError> {
        let largest = "SELECT host FROM usage WHERE bytes > 0 ORDER BY bytes DESC LIMIT 1";
        let largest = self
            .connection
            .prepare_cached(largest)?
            .query_row([], |row| row.get(0));
        let Some(host) = largest.optional()? else {
            return Ok(false);
        };
        let host: i64 = host;
        let count = REMOVED_AT_ONCE.into();
        let downsampled = "id IN (SELECT id FROM chunk JOIN rolled ON rolled.host = chunk.host \
             WHERE chunk.host = ?1 AND last < until ORDER BY last LIMIT ?2)";
        if remove_chunks(&self.connection, downsampled, &[host, count])? > 0 {
            return Ok(true);
        }
        for tier in [Tier::Minute, Tier::Hour] {
            let buckets = "DELETE FROM bucket WHERE rowid IN \
                 (SELECT rowid FROM bucket WHERE host = ? AND tier = ? ORDER BY last LIMIT ?)";
            let removed =
                self.connection
                    .prepare_cached(buckets)?
                    .execute([host, tier as i64, count])?;
            if removed > 0 {
                return Ok(true);
            }
        }
        let oldest = "id IN (SELECT id FROM chunk WHERE host = ?1 ORDER BY last LIMIT ?2)";
        Ok(remove_chunks(&self.connection, oldest, &[host, count])? > 0)
    }
}

/// Removes chunks, and records up to when; returns how many.
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
