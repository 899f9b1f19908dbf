//! Commits: what changed in the fleet, written in one transaction.

use rusqlite::{Transaction, params};
use sysmon_wire::{HostFacts, UnixMs};

use super::encoding::{bytes_of, bytes_of_key};
use super::{Store, StoreError, StoredHost, forget};
use crate::{Batch, HostBatch};

impl Store {
    /// Writes a batch in one transaction: afterwards all of it is durable, or nothing was written.
    ///
    /// # Errors
    /// The transaction failed; the same batch can be committed again.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.hosts.is_empty() && batch.events.is_empty() && batch.forgotten.is_empty() {
            return Ok(());
        }
        self.roll_up_retired(batch)?;
        let transaction = self.connection.transaction()?;
        let mut stored = Vec::with_capacity(batch.hosts.len());
        for name in &batch.forgotten {
            forget::forget(&transaction, name, batch.now)?;
        }
        for host in &batch.hosts {
            let known = self.hosts.get(&host.name);
            let mut stored_host = match known.filter(|_| !batch.forgotten.contains(&host.name)) {
                Some(stored) => *stored,
                None => new_host(&transaction, host)?,
            };
            write_host(&transaction, &mut stored_host, host)?;
            stored.push((host.name.clone(), stored_host));
        }
        let with_ids = stored.iter().map(|(_, stored)| stored.id).zip(&batch.hosts);
        let appended = self.log.append(&transaction, with_ids, batch.now)?;
        for event in &batch.events {
            transaction
                .prepare_cached("INSERT INTO event (time, data) VALUES (?, ?)")?
                .execute(params![event.time.0, bytes_of(event)?])?;
        }
        let folded = self.log.fold(&transaction, batch.now)?;
        transaction.commit()?;
        self.log.committed(appended, folded);
        for name in &batch.forgotten {
            self.hosts.remove(name);
        }
        self.hosts.extend(stored);
        Ok(())
    }
}

impl Store {
    /// Downsamples the last rows of series that no longer have any, before other series get their numbers. Mostly they
    /// are downsampled long before; not after the hub was stopped for days.
    fn roll_up_retired(&mut self, batch: &Batch) -> Result<(), StoreError> {
        for host in &batch.hosts {
            let Some(until) = host.retired else { continue };
            while let Some(stored) = self.hosts.get(&host.name).copied()
                && stored.rolled <= until
            {
                self.roll_up_host(stored, batch.now)?;
                let rolled = self.hosts.get(&host.name).map(|stored| stored.rolled);
                if rolled == Some(stored.rolled) {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn new_host(transaction: &Transaction<'_>, host: &HostBatch) -> Result<StoredHost, StoreError> {
    let facts = bytes_of(&HostFacts::unknown())?;
    let name = host.name.as_str();
    let id = transaction
        .prepare_cached("INSERT INTO host (name, facts) VALUES (?, ?) RETURNING id")?
        .query_row(params![name, facts], |row| row.get(0))?;
    Ok(StoredHost {
        id,
        rolled: UnixMs(0),
        oldest_unsealed: None,
    })
}

/// Writes the changes of a host that do not go to the log.
fn write_host(
    transaction: &Transaction<'_>,
    stored: &mut StoredHost,
    host: &HostBatch,
) -> Result<(), StoreError> {
    let id = stored.id;
    if let Some(facts) = &host.facts {
        let mut update = transaction.prepare_cached("UPDATE host SET facts = ? WHERE id = ?")?;
        update.execute(params![bytes_of(facts)?, id])?;
    }
    for (number, series) in &host.series {
        match series {
            Some(series) => {
                let idle = series.idle_since.map(|since| since.0);
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?)")?
                    .execute(params![id, number, bytes_of_key(&series.key)?, idle])?
            }
            None => transaction
                .prepare_cached("DELETE FROM series WHERE host = ? AND number = ?")?
                .execute(params![id, number])?,
        };
    }
    for (identity, seen) in &host.processes {
        let mut insert =
            transaction.prepare_cached("INSERT OR REPLACE INTO process VALUES (?, ?, ?, ?)")?;
        insert.execute(params![id, identity.id(), seen.0, bytes_of(identity)?])?;
    }
    if let Some((first, last)) = host.late {
        transaction
            .prepare_cached("INSERT INTO late (host, first, last) VALUES (?, ?, ?)")?
            .execute(params![id, first.0, last.0])?;
    }
    for chunk in &host.ring.chunks {
        let mut insert = transaction
            .prepare_cached("INSERT INTO chunk (host, first, last, data) VALUES (?, ?, ?, ?)")?;
        insert.execute(params![id, chunk.first().0, chunk.last().0, chunk.encode()])?;
    }
    let sealed = host.ring.chunks.iter();
    if let Some(first) = sealed.map(sysmon_series::Chunk::first).min() {
        stored.rolled = Store::redo_from(transaction, id, stored.rolled, first)?;
    }
    stored.oldest_unsealed = host.oldest_unsealed;
    Ok(())
}
