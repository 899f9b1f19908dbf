//! Rows of the past that are not in memory: read from disk when they are asked for.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sysmon_series::Chunk;
use sysmon_wire::{Label, UnixMs};
use tokio::sync::OwnedSemaphorePermit;

use super::Hub;
use crate::fleet::HostId;
use crate::history::store::{ChunkPlace, Reader, StoreError};
use crate::query::{Past, Plan, TIER_FROM_MS};

/// Readers that wait at most.
const READERS_MAX: usize = 4;

/// Bytes of sealed rows that are read for one answer; what is over is left out.
const BYTES_MAX: usize = 256 << 20;

/// Readers that wait for the next who asks: opening one takes longer than most answers.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<Vec<Reader>>);

impl Readers {
    /// Reads with one of them.
    fn with<T>(
        &self,
        path: &Path,
        read: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match waiting {
            Some(reader) => reader,
            None => Reader::open(path)?,
        };
        let found = reader.at_once(read)?;
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < READERS_MAX {
            waiting.push(reader);
        }
        Ok(found)
    }
}

/// Answers that rows are read for at the same time.
pub(super) const PAGING_MAX: usize = 2;

/// Sealed rows that were read for one answer; others wait until it is dropped.
#[derive(Debug, Default)]
pub(super) struct PagedIn {
    pub(super) chunks: Vec<(Label, Chunk)>,
    #[expect(dead_code, reason = "held until the rows are gone")]
    permit: Option<OwnedSemaphorePermit>,
}

/// Hosts that an answer is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    One(HostId),
    All,
}

impl Hub {
    /// Sealed rows of hosts between two moments that are on disk only.
    pub(super) async fn past(self: &Arc<Self>, of: Of, from: UnixMs, to: UnixMs) -> PagedIn {
        let missing: Vec<Label> = {
            let fleet = self.fleet();
            let is_missing = |id: &HostId| !fleet.is_whole_from(*id, from);
            let name = |id: HostId| fleet.host(id).map(|host| host.name.clone());
            match of {
                Of::One(id) => Some(id)
                    .filter(is_missing)
                    .and_then(name)
                    .into_iter()
                    .collect(),
                Of::All => fleet
                    .watched_hosts()
                    .map(|(id, _)| id)
                    .filter(is_missing)
                    .filter_map(name)
                    .collect(),
            }
        };
        let Some(path) = self.history_path().filter(|_| !missing.is_empty()) else {
            return PagedIn::default();
        };
        let permit = Arc::clone(&self.paging).acquire_owned().await.ok();
        let hub = Arc::clone(self);
        let readers = Arc::clone(&self.readers);
        let read = move || {
            readers.with(&path, |reader| {
                let (mut found, mut bytes) = (Vec::new(), 0);
                for name in missing {
                    for place in reader.between(&name, from, to)? {
                        if hub.has_chunk(&name, place) {
                            continue;
                        }
                        if let Some((name, chunk)) = reader.read(place)? {
                            bytes += chunk.bytes();
                            found.push((name, chunk));
                        }
                        if bytes > BYTES_MAX {
                            tracing::warn!(
                                "a look at the past is cut at {BYTES_MAX} bytes of rows"
                            );
                            return Ok(found);
                        }
                    }
                }
                Ok(found)
            })
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(chunks)) => PagedIn { chunks, permit },
            Ok(Err(error)) => {
                tracing::warn!("older rows cannot be read: {error}");
                PagedIn::default()
            }
            Err(_) => PagedIn::default(),
        }
    }

    /// What a host's buckets tell instead of its rows.
    pub(super) async fn buckets(self: &Arc<Self>, id: HostId, series: &[u32], plan: &Plan) -> Past {
        let from = plan.resample.from;
        let (asked, oldest) = {
            let fleet = self.fleet();
            let host = fleet.host(id);
            let oldest = host.and_then(|host| host.ring.oldest());
            let is_enough = plan.resample.step_ms < TIER_FROM_MS
                && fleet.is_whole_from(id, from)
                && oldest.is_some_and(|oldest| oldest <= from);
            let name = host.filter(|_| !is_enough).map(|host| host.name.clone());
            (name, oldest.unwrap_or(plan.to))
        };
        let asked = asked.zip(plan.tier()).zip(self.history_path());
        let Some(((name, tier), path)) = asked else {
            return Past::default();
        };
        let (plan, series) = (plan.clone(), series.to_vec());
        let readers = Arc::clone(&self.readers);
        let read = move || {
            readers.with(&path, |reader| {
                let oldest = reader.oldest_row(&name)?.map_or(oldest, |o| o.min(oldest));
                let rows_from = plan.rows_from(tier, oldest, reader.rolled(&name)?);
                let buckets = match rows_from > from {
                    true => reader.buckets(&name, tier, &series, from, rows_from)?,
                    false => Vec::new(),
                };
                Ok(Past { rows_from, buckets })
            })
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(past)) if !past.buckets.is_empty() => past,
            Ok(Err(error)) => {
                tracing::warn!("minutes and hours of the past cannot be read: {error}");
                Past::default()
            }
            _ => Past::default(),
        }
    }

    fn has_chunk(&self, name: &Label, place: ChunkPlace) -> bool {
        let fleet = self.fleet();
        let host = fleet.find(name.as_str()).and_then(|id| fleet.host(id));
        host.is_some_and(|host| host.ring.has_chunk(place.first, place.last))
    }
}
