//! Rows of the past that are not in memory: read from disk when they are asked for.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sysmon_series::{Chunk, rows_from_buckets};
use sysmon_wire::timeline::Timeline;
use sysmon_wire::{Kind, Label, SeriesKey, UnixMs};
use tokio::sync::OwnedSemaphorePermit;

use super::Hub;
use crate::fleet::HostId;
use crate::host::Host;
use crate::query::{Past, Plan, TIER_FROM_MS};
use sysmon_store::Tier;
use sysmon_store::store::{ChunkPlace, PART_SERIES, Reader, StoreError};

/// Readers that wait at most.
const READERS_MAX: usize = 4;

/// Bytes of sealed rows that are read for one answer; what is over is left out.
const BYTES_MAX: usize = 256 << 20;

/// Readers that wait for the next who asks: opening one takes longer than most answers.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<Vec<Reader>>);

impl Readers {
    /// Reads with one of them.
    pub(super) fn with<T>(
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

/// Milliseconds from one row to the next, where every one is kept.
const ROWS_MS: i64 = 1_000;

/// Hosts that are looked at for when there is anything of all of them.
const COVER_HOSTS_MAX: i64 = 32;

/// Of longer times the days of hours are looked at, and not the pieces of minutes, which are twelve times as many.
const MINUTES_MS_MAX: i64 = 8 * 86_400_000;

/// Answers that rows are read for at the same time.
pub(super) const PAGING_MAX: usize = 2;

/// Sealed rows that were read for one answer; others wait until it is dropped.
#[derive(Debug, Default)]
pub(super) struct PagedIn {
    pub(super) chunks: Vec<(Label, Chunk)>,
    /// What they are made of, if rows are gone.
    pub(super) tier: Option<Tier>,
    #[expect(dead_code, reason = "held until the rows are gone")]
    permit: Option<OwnedSemaphorePermit>,
}

impl PagedIn {
    /// Milliseconds from one row to the next.
    pub(super) fn step_ms(&self) -> i64 {
        self.tier.map_or(ROWS_MS, Tier::step_ms)
    }
}

/// A host that is not whole in memory.
#[derive(Clone, Debug)]
struct Missing {
    name: Label,
    /// Its oldest row in memory.
    oldest: UnixMs,
    /// What its series are; none of those that buckets tell nothing of.
    kinds: Vec<Option<Kind>>,
}

impl Missing {
    fn of(host: &Host, is_wanted: impl Fn(u32) -> bool) -> Self {
        // A mean of names of processes is none.
        let places = host.processes.series();
        let kind = |(index, key): (u32, &Arc<SeriesKey>)| {
            (is_wanted(index) && !places.contains(&index)).then_some(key.metric.kind)
        };
        Self {
            name: host.name.clone(),
            oldest: host.ring.oldest().unwrap_or(UnixMs(i64::MAX)),
            kinds: (0..).zip(host.keys()).map(kind).collect(),
        }
    }

    /// Whether every row of a moment is kept.
    fn has_rows(&self, reader: &Reader, at: UnixMs) -> Result<bool, StoreError> {
        if self.oldest <= at {
            return Ok(true);
        }
        Ok(reader
            .oldest_row(&self.name)?
            .is_some_and(|oldest| oldest <= at))
    }

    /// Rows made of its buckets, up to where its rows begin.
    fn rows(
        &self,
        reader: &Reader,
        tier: Tier,
        (from, to): (UnixMs, UnixMs),
    ) -> Result<Option<Chunk>, StoreError> {
        let oldest = reader.oldest_row(&self.name)?.unwrap_or(self.oldest);
        let before = oldest.min(self.oldest) - tier.step_ms();
        let wanted = (0..).zip(&self.kinds).filter(|(_, kind)| kind.is_some());
        let series: Vec<u32> = wanted.map(|(index, _)| index).collect();
        let to = to.min(before);
        let parts = reader.buckets(&self.name, tier, &series, from, to)?;
        let parts: Vec<_> = parts
            .into_iter()
            .map(|(part, chunk)| (part * PART_SERIES, chunk))
            .collect();
        Ok(rows_from_buckets(&parts, &self.kinds, from, to)?)
    }
}

/// The coarsest tier that any of the hosts needs at a moment; none if all have their rows, or nothing.
fn needed(reader: &Reader, missing: &[Missing], at: UnixMs) -> Result<Option<Tier>, StoreError> {
    let mut needed = None;
    for host in missing {
        if host.has_rows(reader, at)? {
            continue;
        }
        if reader.has_bucket(&host.name, Tier::Minute, at)? {
            needed = needed.or(Some(Tier::Minute));
        } else if reader.has_bucket(&host.name, Tier::Hour, at)? {
            return Ok(Some(Tier::Hour));
        }
    }
    Ok(needed)
}

/// Hosts that an answer is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    One(HostId),
    All,
}

impl Hub {
    /// What is kept of up to `rows` rows of hosts before a moment: rows made of minutes or hours, where those
    /// themselves are gone.
    pub(super) async fn picture(self: &Arc<Self>, of: Of, rows: i64, at: UnixMs) -> PagedIn {
        let from = at - rows.saturating_mul(ROWS_MS);
        let missing: Vec<Missing> = {
            let fleet = self.fleet();
            // Whole means of rows that are kept; of what came before them there may be minutes.
            let has_none = |host: &Host| host.ring.oldest().is_none_or(|oldest| oldest > at);
            let is_missing = |id: &HostId| {
                !fleet.is_whole_from(*id, from) || fleet.host(*id).is_some_and(has_none)
            };
            match of {
                Of::One(id) => {
                    let host = Some(id).filter(is_missing).and_then(|id| fleet.host(id));
                    host.map(|host| Missing::of(host, |_| true))
                        .into_iter()
                        .collect()
                }
                Of::All => fleet
                    .watched_hosts()
                    .filter(|(id, _)| is_missing(id))
                    .map(|(_, host)| Missing::of(host, |at| host.summary().contains(&Some(at))))
                    .collect(),
            }
        };
        let Some(path) = self.history_path().filter(|_| !missing.is_empty()) else {
            return PagedIn::default();
        };
        let readers = Arc::clone(&self.readers);
        let permit = Arc::clone(&self.paging).acquire_owned().await.ok();
        let read = move || {
            readers.with(&path, |reader| {
                let Some(tier) = needed(reader, &missing, at)? else {
                    return Ok(None);
                };
                // The row before the first makes its rates.
                let from = at.floor(tier.step_ms()) - (rows + 1).saturating_mul(tier.step_ms());
                let (mut found, mut bytes) = (Vec::new(), 0);
                for host in &missing {
                    if let Some(chunk) = host.rows(reader, tier, (from, at))? {
                        bytes += chunk.bytes();
                        found.push((host.name.clone(), chunk));
                    }
                    if bytes > BYTES_MAX {
                        tracing::warn!("a look at the past is cut at {BYTES_MAX} bytes of rows");
                        break;
                    }
                }
                Ok(Some((tier, found)))
            })
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(Some((tier, chunks)))) => {
                return PagedIn {
                    chunks,
                    tier: Some(tier),
                    permit,
                };
            }
            Ok(Err(error)) => {
                tracing::warn!("minutes and hours of the past cannot be read: {error}");
            }
            Ok(Ok(None)) | Err(_) => {}
        }
        // The next to wait for it are we.
        drop(permit);
        self.past(of, from, at).await
    }

    /// Marks in `covered` when there are minutes or hours of one host, or of some of all, and tells the oldest.
    pub(super) async fn cover(self: &Arc<Self>, host: Option<Label>, timeline: &mut Timeline) {
        let steps = timeline.covered.0.len() as i64;
        let (from, step_ms) = (timeline.from, timeline.step_ms);
        let to = timeline.oldest.min(from + steps.saturating_mul(step_ms));
        let Some(path) = self.history_path().filter(|_| from < to) else {
            return;
        };
        let readers = Arc::clone(&self.readers);
        let read = move || {
            readers.with(&path, |reader| {
                let of =
                    |tier, to| reader.covered(host.as_ref(), tier, (from, to), COVER_HOSTS_MAX);
                let mut found = match to - from {
                    ..MINUTES_MS_MAX => of(Tier::Minute, to)?,
                    _ => Vec::new(),
                };
                let minutes_from = found.iter().map(|(first, _)| *first).min();
                let to = minutes_from.map_or(to, |first| first.min(to));
                found.extend(
                    of(Tier::Hour, to)?
                        .iter()
                        .map(|(first, last)| (*first, (*last).min(to))),
                );
                Ok(found)
            })
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(found)) => {
                for (first, last) in found {
                    mark(timeline, first, last);
                }
            }
            Ok(Err(error)) => tracing::warn!("the past cannot be looked through: {error}"),
            Err(_) => {}
        }
    }

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
            Ok(Ok(chunks)) => PagedIn {
                chunks,
                tier: None,
                permit,
            },
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

/// Marks the steps in which a stretch of time lies.
fn mark(timeline: &mut Timeline, first: UnixMs, last: UnixMs) {
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
    fn a_stretch_of_time_marks_its_steps_and_no_others() {
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
