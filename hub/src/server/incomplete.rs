//! Hosts of which not all rows are in memory, and what the disk has in their place.

use std::collections::HashMap;
use std::sync::Arc;

use sysmon_series::{Bucket, Buckets, Chunk, rows_from_buckets};
use sysmon_store::Tier;
use sysmon_store::store::{PART_SERIES, Reader, StoreError, TierBuckets};
use sysmon_wire::{Kind, Label, SeriesKey, UnixMs};

use crate::host::{Host, is_no_series};

/// A series with its buckets and where these begin.
pub(super) type SeriesBuckets = (Arc<SeriesKey>, Vec<(i64, Bucket)>);

#[derive(Clone, Debug)]
pub(super) struct Incomplete {
    name: Label,
    oldest: UnixMs,
    /// The series of each index; none for those that buckets cannot replace.
    series: Vec<Option<Arc<SeriesKey>>>,
}

impl Incomplete {
    pub(super) fn of(host: &Host, is_needed: impl Fn(u32) -> bool) -> Self {
        // Process identities have no mean.
        let places = host.processes.series();
        let series = |(index, key): (u32, &Arc<SeriesKey>)| {
            let is_replaced = is_needed(index) && !places.contains(&index) && !is_no_series(key);
            is_replaced.then(|| Arc::clone(key))
        };
        Self {
            name: host.name.clone(),
            oldest: host.ring.oldest().unwrap_or(UnixMs(i64::MAX)),
            series: (0..).zip(host.keys().iter()).map(series).collect(),
        }
    }

    pub(super) fn name(&self) -> &Label {
        &self.name
    }

    /// The series that buckets can replace.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<SeriesKey>> {
        self.series.iter().flatten()
    }

    /// Where the rows have a series.
    pub(super) fn place(&self, key: &SeriesKey) -> Option<usize> {
        let is_it = |known: &Option<Arc<SeriesKey>>| known.as_deref() == Some(key);
        self.series.iter().position(is_it)
    }

    pub(super) fn kinds(&self) -> Vec<Option<Kind>> {
        let kind = |key: &Option<Arc<SeriesKey>>| Some(key.as_ref()?.metric.kind);
        self.series.iter().map(kind).collect()
    }

    fn has_rows(&self, reader: &Reader, at: UnixMs) -> Result<bool, StoreError> {
        if self.oldest <= at {
            return Ok(true);
        }
        let oldest = reader.oldest_row(&self.name)?;
        Ok(oldest.is_some_and(|oldest| oldest <= at))
    }

    /// Its minutes between two moments, by series.
    pub(super) fn minutes(
        &self,
        reader: &Reader,
        (from, to): (UnixMs, UnixMs),
    ) -> Result<Vec<SeriesBuckets>, StoreError> {
        let known: Vec<&Arc<SeriesKey>> = self.series.iter().flatten().collect();
        let keys: Vec<SeriesKey> = known.iter().map(|key| (***key).clone()).collect();
        let TierBuckets { numbers, parts } =
            reader.buckets(&self.name, Tier::Minute, &keys, from, to)?;
        let mut found: Vec<SeriesBuckets> = known
            .into_iter()
            .map(|key| (Arc::clone(key), Vec::new()))
            .collect();
        for (part, chunk) in parts {
            let buckets = Buckets::from_chunk(&chunk)?;
            for ((_, found), number) in found.iter_mut().zip(&numbers) {
                let Some(number) = number.filter(|number| number / PART_SERIES == part) else {
                    continue;
                };
                let within = |(time, _): &(i64, Bucket)| (from.0..=to.0).contains(time);
                found.extend(buckets.of(number % PART_SERIES).filter(within));
            }
        }
        Ok(found)
    }

    /// Rows made from its buckets, up to where its rows begin.
    pub(super) fn rows(
        &self,
        reader: &Reader,
        tier: Tier,
        (from, to): (UnixMs, UnixMs),
    ) -> Result<Option<Chunk>, StoreError> {
        let oldest = reader.oldest_row(&self.name)?.unwrap_or(self.oldest);
        let before = oldest.min(self.oldest) - tier.step_ms();
        let needed = self.series.iter().enumerate();
        let needed = needed.filter_map(|(index, key)| Some((index, key.as_deref()?.clone())));
        let (indices, keys): (Vec<usize>, Vec<SeriesKey>) = needed.unzip();
        let to = to.min(before);
        let TierBuckets { numbers, parts } = reader.buckets(&self.name, tier, &keys, from, to)?;
        let numbers = numbers.into_iter().zip(indices);
        let places: HashMap<usize, usize> = numbers
            .filter_map(|(number, index)| Some((number?, index)))
            .collect();
        let parts = parts.into_iter();
        let parts: Vec<_> = parts
            .map(|(part, chunk)| (part * PART_SERIES, chunk))
            .collect();
        let place = |number| places.get(&number).copied();
        Ok(rows_from_buckets(&parts, place, &self.kinds(), (from, to))?)
    }
}

/// What there is of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Nothing,
    Rows,
    Buckets(Tier),
}

/// The coarsest that any of the hosts needs at a moment.
pub(super) fn coarsest(
    reader: &Reader,
    hosts: &[Incomplete],
    at: UnixMs,
) -> Result<Stored, StoreError> {
    let mut coarsest = Stored::Nothing;
    for host in hosts {
        if host.has_rows(reader, at)? {
            if coarsest == Stored::Nothing {
                coarsest = Stored::Rows;
            }
        } else if reader.has_bucket(&host.name, Tier::Minute, at)? {
            coarsest = Stored::Buckets(Tier::Minute);
        } else if reader.has_bucket(&host.name, Tier::Hour, at)? {
            return Ok(Stored::Buckets(Tier::Hour));
        }
    }
    Ok(coarsest)
}
