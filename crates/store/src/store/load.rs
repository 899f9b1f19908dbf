//! Loads what a hub needs to start: hosts with their unsealed rows, and events. Chunks stay on disk.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use sysmon_wire::limits::RUNS_PER_HOST_MAX;
use sysmon_wire::message::RunId;
use sysmon_wire::timeline::Event;
use sysmon_wire::{
    HostFacts, Label, ProcessIdentity, RowDecoder, RowEncoder, SeqSet, UnixMs, codec,
};

use super::encoding::key_of;
use super::{Store, StoreError, StoredHost, forget, log};
use crate::{EVENTS_STORED_MAX, LoadedHost, LoadedSeries};

impl Store {
    /// Every host, without its chunks. If the file is damaged, what can be read of it is copied into a new one first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(&mut self) -> Result<Vec<LoadedHost>, StoreError> {
        for salvage in [true, false] {
            match self.try_load() {
                Err(error) if error.is_damage() => {
                    tracing::warn!(%error, "cannot load the history");
                    // Closed before the file is moved.
                    drop(std::mem::replace(
                        &mut self.connection,
                        Connection::open_in_memory()?,
                    ));
                    *self = Self::recovered(&self.path, salvage)?;
                }
                loaded => return loaded,
            }
        }
        self.try_load()
    }

    fn try_load(&mut self) -> Result<Vec<LoadedHost>, StoreError> {
        // Read again when they are needed; damage has to show now.
        self.events()?;
        let mut hosts = Vec::new();
        let mut indices = HashMap::new();
        for (id, name, facts) in self.host_rows()? {
            indices.insert(id, hosts.len());
            hosts.push(LoadedHost {
                name: Label::new(&name),
                // The agent sends facts again that cannot be decoded.
                facts: codec::decode(&facts).unwrap_or_else(|_| HostFacts::unknown()),
                series: series(&self.connection, id)?,
                processes: processes(&self.connection, id)?,
                runs: runs(&self.connection, id)?,
                newest: newest_sealed(&self.connection, id)?,
                heads: heads(&self.connection, id)?,
            });
        }
        let is_whole = self.log.replay(&self.connection, |entry| {
            let host = indices.get(&entry.host).and_then(|at| hosts.get_mut(*at));
            if let Some(host) = host {
                replay(host, entry);
            }
        })?;
        for (id, at) in indices {
            let Some(host) = hosts.get_mut(at) else {
                continue;
            };
            if !is_whole {
                drop_sealed_rows(&self.connection, id, host)?;
            }
            let excess = host.runs.len().saturating_sub(RUNS_PER_HOST_MAX);
            host.runs.drain(..excess);
            let first = |head: &Vec<u8>| {
                let mut head = head.as_slice();
                let mut decoder = RowDecoder::new();
                let row = decoder.decode(&mut head, host.width()).ok()??;
                Some(row.time)
            };
            let stored = StoredHost {
                id,
                rolled: rolled(&self.connection, id)?,
                oldest_unsealed: host.heads.iter().filter_map(first).min(),
            };
            self.hosts.insert(host.name.clone(), stored);
        }
        Ok(hosts)
    }

    fn host_rows(&self) -> Result<Vec<(i64, String, Vec<u8>)>, StoreError> {
        let query = "SELECT id, name, facts FROM host WHERE name NOT LIKE ? ORDER BY id";
        let mut statement = self.connection.prepare(query)?;
        let rows = statement.query_map([forget::FORGOTTEN], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest events, oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn events(&self) -> Result<Vec<Event>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT data FROM event ORDER BY id DESC LIMIT ?")?;
        let mut rows = statement.query([EVENTS_STORED_MAX as i64])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            // An event of a kind that this version does not know is ignored.
            found.extend(codec::decode::<Event>(
                row.get_ref(0)?.as_blob().unwrap_or_default(),
            ));
        }
        found.reverse();
        Ok(found)
    }
}

fn replay(host: &mut LoadedHost, entry: log::Entry) {
    for (run, ranges) in entry.runs {
        host.runs.retain(|(known, _)| *known != run);
        host.runs.push((run, log::set_of(&ranges)));
    }
    for (bytes, head) in host.heads.iter_mut().zip(entry.heads) {
        if head.restarted {
            bytes.clear();
        }
        bytes.extend_from_slice(&head.bytes);
    }
}

/// Removes rows from the heads that are in chunks as well, because the part of the log that sealed them is lost.
fn drop_sealed_rows(
    connection: &Connection,
    id: i64,
    host: &mut LoadedHost,
) -> Result<(), StoreError> {
    if let Some(sealed) = newest_sealed(connection, id)? {
        let width = host.width();
        let [head, late] = &mut host.heads;
        *head = rows_after(head, sealed, width);
        late.clear();
    }
    Ok(())
}

fn newest_sealed(connection: &Connection, host: i64) -> Result<Option<UnixMs>, StoreError> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT MAX(last) FROM chunk WHERE host = ?")?
        .query_row([host], |row| row.get(0))?;
    Ok(newest.map(UnixMs))
}

/// The rows of a head that are newer than `after`.
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

fn rolled(connection: &Connection, host: i64) -> Result<UnixMs, StoreError> {
    let until = connection
        .prepare_cached("SELECT until FROM rolled WHERE host = ?")?
        .query_row([host], |row| row.get(0))
        .optional()?;
    Ok(until.map_or(UnixMs(0), UnixMs))
}

fn heads(connection: &Connection, host: i64) -> Result<[Vec<u8>; 2], StoreError> {
    let mut heads = [Vec::new(), Vec::new()];
    let query = "SELECT late, rows FROM head WHERE host = ? ORDER BY late, number";
    let mut statement = connection.prepare_cached(query)?;
    let mut blocks = statement.query([host])?;
    while let Some(block) = blocks.next()? {
        let late: u32 = block.get(0)?;
        if let Some(head) = heads.get_mut(late as usize) {
            head.extend_from_slice(block.get_ref(1)?.as_blob().unwrap_or_default());
        }
    }
    Ok(heads)
}

pub(super) fn series(connection: &Connection, host: i64) -> Result<Vec<LoadedSeries>, StoreError> {
    let query = "SELECT number, key, idle FROM series WHERE host = ? ORDER BY number";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([host])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let key = key_of(row.get_ref(1)?.as_blob().unwrap_or_default())?;
        let idle: Option<i64> = row.get(2)?;
        let (number, idle_since) = (row.get(0)?, idle.map(UnixMs));
        found.extend(key.map(|key| LoadedSeries {
            number,
            key,
            idle_since,
        }));
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
