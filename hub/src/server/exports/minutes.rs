//! Minutes for exports: from the tier where the rows are gone, else from the rows.

use std::error::Error;
use std::sync::Arc;

use sysmon_export::{HostMinutes, Minute, SourceError, Span};
use sysmon_series::{Bucket, Buckets};
use sysmon_store::Tier;
use sysmon_wire::{Label, SeriesKey};

use super::source::HubSource;
use crate::host::Host;
use crate::server::history::Hosts;
use crate::server::incomplete::Incomplete;

/// How far before the first minute the row for its first rates may lie.
const RATE_REACH_MS: i64 = 60_000;

impl HubSource {
    pub(super) fn whole_minutes(
        &self,
        host: &Label,
        span: Span,
    ) -> Result<Option<HostMinutes>, SourceError> {
        let Some(id) = self.hub.core().fleet.find(host.as_str()) else {
            return Ok(None);
        };
        let step_ms = Tier::Minute.step_ms();
        let borrowed = self
            .hub
            .rows_between(Hosts::One(id), span.from - RATE_REACH_MS, span.to);
        let borrowed = self.runtime.block_on(borrowed);
        let (facts, keys, buckets, gone) = {
            let core = self.hub.core();
            let Some(found) = core.fleet.host(id) else {
                return Ok(None);
            };
            let (indices, keys) = self.series(found, span.from - RATE_REACH_MS);
            let from = span.from - RATE_REACH_MS;
            let table = found
                .ring
                .read_with(&borrowed.chunks(), &indices, from, span.to);
            let table =
                table.map_err(|error| SourceError(Box::<dyn Error + Send + Sync>::from(error)))?;
            let kinds: Vec<_> = keys.iter().map(|key| key.metric.kind).collect();
            let to = span.to + 1;
            let within = (span.from, to);
            let buckets = Buckets::of_rows(&table.times, &table.columns, &kinds, within, step_ms);
            let is_gone = |host: &&Host| host.ring.oldest().is_none_or(|oldest| oldest > span.from);
            let gone = Some(found)
                .filter(is_gone)
                .map(|host| Incomplete::of(host, |_| true));
            (Arc::new(found.facts.clone()), keys, buckets, gone)
        };
        drop(borrowed);
        let is_empty = keys
            .iter()
            .enumerate()
            .all(|(at, _)| !buckets.has_values(at));
        let mut minutes = HostMinutes {
            host: host.clone(),
            facts,
            keys,
            span,
            minutes: Vec::new(),
            is_late: false,
        };
        match gone.filter(|_| is_empty) {
            Some(gone) => {
                let found = self.read(|reader| gone.minutes(reader, (span.from, span.to)))?;
                minutes.keys = found.iter().map(|(key, _)| Arc::clone(key)).collect();
                for (series, (key, buckets)) in found.iter().enumerate() {
                    let buckets = buckets
                        .iter()
                        .map(|(time, bucket)| (series, minute(key, *time, bucket)));
                    minutes.minutes.extend(buckets);
                }
            }
            None => {
                for (series, key) in minutes.keys.iter().enumerate() {
                    let buckets = buckets.of(series);
                    let buckets =
                        buckets.map(|(time, bucket)| (series, minute(key, time, &bucket)));
                    minutes.minutes.extend(buckets);
                }
            }
        }
        Ok(Some(minutes))
    }
}

fn minute(key: &SeriesKey, time: i64, bucket: &Bucket) -> Minute {
    let values = bucket.unscaled(&key.metric);
    Minute {
        time,
        min: values.min,
        mean: values.mean,
        max: values.max,
        last: values.last,
        count: values.count,
    }
}
