//! Rows, minutes and hours that are on disk only: read when a request needs them.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use sysmon_series::Chunk;
use sysmon_store::Tier;
use sysmon_store::store::{ChunkPlace, Reader, StoreError};
use sysmon_wire::limits::{QUERY_POINTS_MAX, SERIES_PER_HOST_MAX};
use sysmon_wire::timeline::Timeline;
use sysmon_wire::{Label, SeriesKey, UnixMs};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Hub;
use super::incomplete::{Incomplete, Stored, coarsest};
use crate::fleet::{Fleet, FleetView, HostId};
use crate::host::Host;
use crate::lock;
use crate::query::{Past, Plan, TIER_FROM_MS};

const READERS_MAX: usize = 4;

/// Bytes of chunks that are read for one answer; the rest is left out.
const BYTES_MAX: usize = 256 << 20;

const ROW_MS: i64 = 1_000;

/// Hosts that are sampled to find out when there is anything of any host.
pub(super) const COVER_HOSTS_MAX: i64 = 32;

/// Over longer spans only hours are looked at: minutes have twelve times as many chunks.
const MINUTES_MS_MAX: i64 = 8 * 86_400_000;

pub(super) const PAGING_MAX: usize = 2;

/// Idle readers, because opening one takes longer than most answers.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Mutex<Vec<Reader>>,
    /// One for each answer that is read; others wait, instead of opening readers of their own.
    slots: Arc<Semaphore>,
}

impl Default for Readers {
    fn default() -> Self {
        Self {
            idle: Mutex::default(),
            slots: Arc::new(Semaphore::new(READERS_MAX)),
        }
    }
}

impl Readers {
    pub(super) fn with<T>(
        &self,
        path: &Path,
        read: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = lock(&self.idle).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => Reader::open(path)?,
        };
        let found = reader.at_once(read)?;
        let mut idle = lock(&self.idle);
        if idle.len() < READERS_MAX {
            idle.push(reader);
        }
        Ok(found)
    }
}

/// Chunks that were read for one answer; further answers wait until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Borrowed {
    chunks: Vec<(Label, Chunk)>,
    /// What the rows were made from, where the rows themselves are gone.
    pub(super) tier: Option<Tier>,
    /// The engine that the rows come from, or why it cannot be asked.
    pub(super) beyond: Option<Label>,
    #[expect(dead_code, reason = "held for as long as the chunks")]
    permit: Option<OwnedSemaphorePermit>,
}

impl Borrowed {
    /// Minutes that an engine has.
    pub(super) fn from_beyond(chunks: Vec<(Label, Chunk)>, engine: Label) -> Self {
        Self {
            chunks,
            tier: Some(Tier::Minute),
            beyond: Some(engine),
            permit: None,
        }
    }

    pub(super) fn step_ms(&self) -> i64 {
        self.tier.map_or(ROW_MS, Tier::step_ms)
    }

    pub(super) fn chunks(&self) -> Vec<&Chunk> {
        self.chunks.iter().map(|(_, chunk)| chunk).collect()
    }

    pub(super) fn view<'a>(&'a self, fleet: &'a Fleet) -> FleetView<'a> {
        fleet.view_with(&self.chunks, self.step_ms())
    }
}

#[derive(Default)]
struct Collected {
    chunks: Vec<(Label, Chunk)>,
    bytes: usize,
}

impl Collected {
    fn add(&mut self, name: Label, chunk: Chunk) -> bool {
        self.bytes += chunk.bytes();
        self.chunks.push((name, chunk));
        let has_room = self.bytes <= BYTES_MAX;
        if !has_room {
            let limit_bytes = BYTES_MAX;
            tracing::warn!(limit_bytes, "a request for the past is cut at the limit");
        }
        has_room
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Hosts {
    One(HostId),
    All,
}

impl Hosts {
    fn incomplete<T>(
        self,
        fleet: &Fleet,
        is_incomplete: impl Fn(HostId, &Host) -> bool,
        make: impl Fn(&Host) -> T,
    ) -> Vec<T> {
        let one = match self {
            Self::One(id) => fleet.host(id).map(|host| (id, host)),
            Self::All => None,
        };
        let all = matches!(self, Self::All).then(|| fleet.machines());
        let hosts = one.into_iter().chain(all.into_iter().flatten());
        let found = hosts.filter(|(id, host)| is_incomplete(*id, host));
        found.map(|(_, host)| make(host)).collect()
    }
}

impl Hub {
    /// Reads from the history on a thread that may block; none if there is no history or reading fails.
    pub(super) async fn read_history<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Option<T> {
        let path = self.history_path()?;
        let readers = Arc::clone(&self.readers);
        let slot = Arc::clone(&readers.slots).acquire_owned().await;
        let read = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            readers.with(&path, read)
        });
        match read.await {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) => {
                self.note_history_error(&error);
                tracing::warn!(%error, "cannot read the history");
                None
            }
            Err(_) => None,
        }
    }

    /// The same for what takes much memory: only [`PAGING_MAX`] answers at a time.
    pub(super) async fn page_in<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Option<(T, Option<OwnedSemaphorePermit>)> {
        let permit = Arc::clone(&self.paging).acquire_owned().await.ok();
        Some((self.read_history(read).await?, permit))
    }

    /// Up to `rows` rows of hosts before a moment that are not in memory; made from minutes or hours where the
    /// rows themselves are gone.
    pub(super) async fn rows_before(
        self: &Arc<Self>,
        of: Hosts,
        rows: i64,
        at: UnixMs,
    ) -> Borrowed {
        let from = at - rows.saturating_mul(ROW_MS);
        let (hosts, all) = {
            let core = self.core();
            let fleet = &core.fleet;
            // A host can be whole as far as rows are kept and still have minutes from before.
            let is_incomplete = |id, host: &Host| {
                !fleet.is_whole_from(id, from)
                    || host.ring.oldest().is_none_or(|oldest| oldest > at)
            };
            let hosts = of.incomplete(fleet, is_incomplete, |host| match of {
                Hosts::One(_) => Incomplete::of(host, |_| true),
                Hosts::All => Incomplete::of(host, |at| host.summary.contains(&Some(at))),
            });
            let all = match of {
                Hosts::One(_) => 1,
                Hosts::All => fleet.machines().count(),
            };
            (hosts, all)
        };
        if hosts.is_empty() {
            return Borrowed::default();
        }
        let hosts = Arc::new(hosts);
        // Rows of some are not given up for the minutes of others.
        let failed = match hosts.len() == all {
            true => match self.borrow_beyond(&hosts, rows, at).await {
                Ok(Some(found)) => return found,
                Ok(None) => None,
                Err(reason) => Some(Label::new(&reason)),
            },
            false => None,
        };
        let read = move |reader: &Reader| {
            let Stored::Buckets(tier) = coarsest(reader, &hosts, at)? else {
                return Ok(None);
            };
            // The first rate needs the row before.
            let from = at.floor(tier.step_ms()) - (rows + 1).saturating_mul(tier.step_ms());
            let mut collected = Collected::default();
            for host in hosts.iter() {
                if let Some(chunk) = host.rows(reader, tier, (from, at))?
                    && !collected.add(host.name().clone(), chunk)
                {
                    break;
                }
            }
            Ok(Some((tier, collected.chunks)))
        };
        let (found, permit) = self.page_in(read).await.unwrap_or_default();
        let Some((tier, chunks)) = found else {
            // Not held while this task waits for the next permit.
            drop(permit);
            let mut rows = self.rows_between(of, from, at).await;
            rows.beyond = failed;
            return rows;
        };
        Borrowed {
            chunks,
            tier: Some(tier),
            beyond: failed,
            permit,
        }
    }

    /// Chunks of hosts between two moments that are not in memory.
    pub(super) async fn rows_between(
        self: &Arc<Self>,
        of: Hosts,
        from: UnixMs,
        to: UnixMs,
    ) -> Borrowed {
        let names = {
            let core = self.core();
            let is_incomplete = |id, _: &Host| !core.fleet.is_whole_from(id, from);
            of.incomplete(&core.fleet, is_incomplete, |host| host.name.clone())
        };
        if names.is_empty() {
            return Borrowed::default();
        }
        let hub = Arc::clone(self);
        let read = move |reader: &Reader| {
            let mut collected = Collected::default();
            for name in names {
                for place in reader.between(&name, from, to)? {
                    if hub.has_chunk(&name, place) {
                        continue;
                    }
                    if let Some((name, chunk)) = reader.read(place)?
                        && !collected.add(name, chunk)
                    {
                        return Ok(collected.chunks);
                    }
                }
            }
            Ok(collected.chunks)
        };
        match self.page_in(read).await {
            Some((chunks, permit)) => Borrowed {
                chunks,
                tier: None,
                beyond: None,
                permit,
            },
            None => Borrowed::default(),
        }
    }

    /// Marks in `covered` when there are minutes or hours of one host, or of any, and sets the oldest.
    pub(super) async fn cover(self: &Arc<Self>, host: Option<Label>, timeline: &mut Timeline) {
        let steps = timeline.covered.0.len() as i64;
        let (from, step_ms) = (timeline.from, timeline.step_ms);
        let to = timeline.oldest.min(from + steps.saturating_mul(step_ms));
        if from >= to {
            return;
        }
        let read = move |reader: &Reader| {
            let covered =
                |tier, to| reader.covered(host.as_ref(), tier, (from, to), COVER_HOSTS_MAX);
            let mut found = match to - from {
                ..MINUTES_MS_MAX => covered(Tier::Minute, to)?,
                _ => Vec::new(),
            };
            let minutes_from = found.iter().map(|(first, _)| *first).min();
            let to = minutes_from.map_or(to, |first| first.min(to));
            let hours = covered(Tier::Hour, to)?;
            found.extend(hours.iter().map(|(first, last)| (*first, (*last).min(to))));
            Ok(found)
        };
        for (first, last) in self.read_history(read).await.unwrap_or_default() {
            mark(timeline, first, last);
        }
    }

    /// A host's buckets for the part of a query where they replace its rows.
    pub(super) async fn buckets(self: &Arc<Self>, id: HostId, series: &[u32], plan: &Plan) -> Past {
        let from = plan.resample.from;
        let (name, oldest, keys, known) = {
            let core = self.core();
            let host = core.fleet.host(id);
            let keys = host.map_or(&[][..], |host| host.keys());
            let known: HashSet<Arc<SeriesKey>> = keys
                .iter()
                .filter(|key| plan.wants(key))
                .map(Arc::clone)
                .collect();
            let key = |index: &u32| keys.get(*index as usize).map(|key| (**key).clone());
            let keys: Vec<SeriesKey> = series.iter().filter_map(key).collect();
            let oldest = host.and_then(|host| host.ring.oldest());
            let is_in_memory = plan.resample.step_ms < TIER_FROM_MS
                && core.fleet.is_whole_from(id, from)
                && oldest.is_some_and(|oldest| oldest <= from);
            let name = host.filter(|_| !is_in_memory).map(|host| host.name.clone());
            (name, oldest.unwrap_or(plan.to), keys, known)
        };
        let Some((name, tier)) = name.zip(plan.tier()) else {
            return Past::default();
        };
        let (asked, host, own) = (plan.clone(), name.clone(), keys.clone());
        let read = move |reader: &Reader| {
            let (plan, keys) = (asked, own);
            let oldest = reader.oldest_row(&name)?.map_or(oldest, |o| o.min(oldest));
            let rows_from = plan.rows_from(tier, oldest, reader.rolled(&name)?);
            if rows_from <= from {
                return Ok((Past::default(), from));
            }
            let oldest = reader.oldest_bucket(&name, tier)?.unwrap_or(rows_from);
            let points = plan.resample.points().max(1);
            let max = (QUERY_POINTS_MAX / points).min(SERIES_PER_HOST_MAX);
            let gone = reader.series_of(&name, plan.metric(), from, max)?;
            let is_gone = |key: &SeriesKey| plan.wants(key) && !known.contains(key);
            let gone: Vec<SeriesKey> = gone.into_iter().filter(is_gone).collect();
            let all: Vec<SeriesKey> = keys.iter().chain(&gone).cloned().collect();
            let buckets = reader.buckets(&name, tier, &all, from, rows_from)?;
            let past = Past {
                rows_from,
                buckets,
                gone,
                ..Past::default()
            };
            Ok((past, oldest.min(rows_from)))
        };
        let Some((mut past, oldest)) = self.read_history(read).await else {
            return Past::default();
        };
        let all: Vec<SeriesKey> = keys.iter().chain(&past.gone).cloned().collect();
        let to = oldest.min(plan.to + 1);
        let beyond = self.buckets_beyond(&host, &all, plan, (from, to)).await;
        past.beyond = beyond.buckets;
        past.gone.extend(beyond.others);
        match past.buckets.parts.is_empty() && past.beyond.parts.is_empty() {
            true => Past::default(),
            false => past,
        }
    }

    fn has_chunk(&self, name: &Label, place: ChunkPlace) -> bool {
        let core = self.core();
        let id = core.fleet.find(name.as_str());
        let host = id.and_then(|id| core.fleet.host(id));
        host.is_some_and(|host| host.ring.has_chunk(place.first, place.last))
    }
}

pub(super) fn mark(timeline: &mut Timeline, first: UnixMs, last: UnixMs) {
    timeline.oldest = timeline.oldest.min(first);
    let step = |time: UnixMs| {
        (time - timeline.from)
            .div_euclid(timeline.step_ms.max(1))
            .max(0) as usize
    };
    let (begin, end) = (step(first), step(last - 1));
    if last <= timeline.from {
        return;
    }
    let covered = &mut timeline.covered.0;
    let end = (end + 1).min(covered.len());
    if let Some(steps) = covered.get_mut(begin.min(end)..end) {
        steps.fill(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::message::Blob;

    #[test]
    fn only_the_steps_between_the_two_moments_are_marked() {
        let mut timeline = Timeline {
            from: UnixMs(100),
            step_ms: 10,
            oldest: UnixMs(150),
            covered: Blob(vec![0; 5]),
            events: Vec::new(),
        };
        mark(&mut timeline, UnixMs(115), UnixMs(130));
        assert_eq!(timeline.covered.0, [0, 1, 1, 0, 0]);
        mark(&mut timeline, UnixMs(145), UnixMs(900));
        assert_eq!(timeline.covered.0, [0, 1, 1, 0, 1]);
        mark(&mut timeline, UnixMs(20), UnixMs(100));
        assert_eq!((timeline.covered.0[0], timeline.oldest), (0, UnixMs(20)));
        mark(&mut timeline, UnixMs(20), UnixMs(101));
        assert_eq!(timeline.covered.0[0], 1);
    }
}
