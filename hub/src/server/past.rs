//! Rows of the past that are not in memory: read from disk when they are asked for.

use std::sync::Arc;

use sysmon_series::Chunk;
use sysmon_wire::{Label, UnixMs};

use super::Hub;
use crate::fleet::HostId;
use crate::history::store::{ChunkPlace, Reader, StoreError};
use crate::query::{Past, Plan};

/// Bytes of sealed rows that are read for one answer; what is over is left out.
const BYTES_MAX: usize = 256 << 20;

/// Hosts that an answer is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    One(HostId),
    All,
}

impl Hub {
    /// Sealed rows of hosts between two moments that are on disk only.
    pub(super) async fn past(
        self: &Arc<Self>,
        of: Of,
        from: UnixMs,
        to: UnixMs,
    ) -> Vec<(Label, Chunk)> {
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
            return Vec::new();
        };
        let hub = Arc::clone(self);
        let read = move || {
            let reader = Reader::open(&path)?;
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
                        return Ok(found);
                    }
                }
            }
            Ok::<_, StoreError>(found)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!("older rows cannot be read: {error}");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    /// What a host's buckets tell of the time before its oldest row, if that is asked for.
    pub(super) async fn buckets(self: &Arc<Self>, id: HostId, plan: &Plan) -> Past {
        let (from, tier) = (plan.resample.from, plan.tier());
        let asked = {
            let fleet = self.fleet();
            let host = fleet.host(id);
            let in_memory = host.and_then(|host| host.ring.oldest());
            let is_enough = fleet.is_whole_from(id, from) && in_memory.is_some_and(|o| o <= from);
            host.filter(|_| !is_enough && plan.resample.step_ms >= tier.step_ms())
                .map(|host| (host.name.clone(), in_memory.unwrap_or(plan.to)))
        };
        let Some(((name, in_memory), path)) = asked.zip(self.history_path()) else {
            return Past::default();
        };
        let read = move || {
            let reader = Reader::open(&path)?;
            let oldest = reader.oldest_row(&name)?.unwrap_or(in_memory);
            let oldest = oldest.min(in_memory);
            let buckets = match oldest > from {
                true => reader.buckets(&name, tier, from, oldest)?,
                false => Vec::new(),
            };
            Ok::<_, StoreError>((oldest, buckets))
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok((oldest, buckets))) if !buckets.is_empty() => Past {
                rows_from: plan.rows_from(oldest),
                buckets,
            },
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
