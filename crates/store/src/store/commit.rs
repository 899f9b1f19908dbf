//! Commits: what changed in the fleet, written in one transaction.

use std::collections::HashMap;

use rusqlite::{Transaction, params};
use sysmon_wire::{HostFacts, Label, UnixMs};

use super::encoding::{bytes_of, bytes_of_key};
use super::{Store, StoreError, StoredHost, forget, rename};
use crate::{Batch, HostBatch, HostChange};

impl Store {
    /// Writes a batch in one transaction: afterwards all of it is durable, or nothing was written.
    ///
    /// # Errors
    /// The transaction failed; the same batch can be committed again.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.hosts.is_empty() && batch.events.is_empty() && batch.host_changes.is_empty() {
            return Ok(());
        }
        self.roll_up_retired(batch)?;
        let transaction = self.connection.transaction()?;
        let mut stored = Vec::with_capacity(batch.hosts.len());
        // A batch that fails is committed again, so the hosts change once it has succeeded.
        let mut hosts = (!batch.host_changes.is_empty()).then(|| self.hosts.clone());
        for change in &batch.host_changes {
            apply_change(&transaction, change, batch.now)?;
            if let Some(hosts) = &mut hosts {
                follow_change(hosts, change);
            }
        }
        let known = hosts.as_ref().unwrap_or(&self.hosts);
        for host in &batch.hosts {
            let mut stored_host = match known.get(&host.name) {
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
        if let Some(hosts) = hosts {
            self.hosts = hosts;
        }
        self.hosts.extend(stored);
        Ok(())
    }
}

fn apply_change(
    transaction: &Transaction<'_>,
    change: &HostChange,
    now: UnixMs,
) -> Result<(), StoreError> {
    match change {
        HostChange::Forgotten(name) => forget::forget(transaction, name, now),
        HostChange::Renamed { from, to } => rename::rename(transaction, from, to),
    }
}

fn follow_change(hosts: &mut HashMap<Label, StoredHost>, change: &HostChange) {
    match change {
        HostChange::Forgotten(name) => drop(hosts.remove(name)),
        HostChange::Renamed { from, to } => {
            let renamed = hosts.remove(from).map(|stored| (to.clone(), stored));
            hosts.extend(renamed);
        }
    }
}

/// The name by which the file knows a host before the changes of a batch.
fn stored_name<'a>(batch: &'a Batch, name: &'a Label) -> &'a Label {
    let before = |name: &'a Label, change: &'a HostChange| match change {
        HostChange::Renamed { from, to } if to == name => from,
        _ => name,
    };
    batch.host_changes.iter().rev().fold(name, before)
}

impl Store {
    /// Downsamples the last rows of series that no longer have any, before other series get their numbers. Mostly they
    /// are downsampled long before; not after the hub was stopped for days.
    fn roll_up_retired(&mut self, batch: &Batch) -> Result<(), StoreError> {
        for host in &batch.hosts {
            let Some(until) = host.retired else { continue };
            let name = stored_name(batch, &host.name);
            while let Some(stored) = self.hosts.get(name).copied()
                && stored.rolled <= until
            {
                self.roll_up_host(stored, batch.now)?;
                let rolled = self.hosts.get(name).map(|stored| stored.rolled);
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
