//! The hub's rows for exports: durable ones, from memory, from disk, and from minutes where the rows are gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::sync::Arc;

use sysmon_export::{
    Committed, HostMinutes, HostNow, HostRows, LateRows, Source, SourceError, Span, Step,
};
use sysmon_series::{Chunk, Table, Tail};
use sysmon_store::Tier;
use sysmon_store::store::{Reader, StoreError};
use sysmon_wire::message::HostState;
use sysmon_wire::metrics::{ALIASES, Alias, SUMMARY};
use sysmon_wire::timeline::Event;
use sysmon_wire::{ABSENT, Label, SeriesKey, UnixMs};
use tokio::runtime::Handle;

use super::ExportOptions;
use crate::host::Host;
use crate::server::Hub;
use crate::server::history::Hosts;
use crate::server::incomplete::Incomplete;

/// How long the oldest moment of a host stands: data is removed once a minute.
const OLDEST_MS: i64 = 60_000;

/// Agents reconnect to a restarted hub within this time.
const AWAITED_MS: i64 = 60_000;

/// A host that did not report for longer is not awaited.
const DAY_MS: i64 = 86_400_000;

pub(super) struct HubSource {
    pub(super) hub: Arc<Hub>,
    options: ExportOptions,
    pub(super) runtime: Handle,
    /// Hosts that were offline when last looked at.
    offline: BTreeSet<Label>,
    oldest: BTreeMap<Label, (UnixMs, Option<UnixMs>)>,
    /// Where each host was read to.
    tails: HashMap<Label, Tail>,
}

impl HubSource {
    pub(super) fn new(hub: Arc<Hub>, options: &ExportOptions, runtime: Handle) -> Self {
        Self {
            hub,
            options: options.clone(),
            runtime,
            offline: BTreeSet::new(),
            oldest: BTreeMap::new(),
            tails: HashMap::new(),
        }
    }

    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, SourceError> {
        let path = self.hub.history_path().ok_or_else(no_history)?;
        let found = self.hub.readers.with(&path, read);
        found.map_err(|error| {
            self.hub.note_history_error(&error);
            SourceError(Box::new(error))
        })
    }

    fn is_wanted(&self, host: &Host) -> bool {
        let tags: Vec<&str> = host.facts.tags.iter().map(Label::as_str).collect();
        self.options.hosts.include(host.name.as_str(), &tags)
    }

    /// The series of a host that are exported and may have a value since a moment, with their indices.
    pub(super) fn series(&self, host: &Host, since: UnixMs) -> (Vec<u32>, Vec<Arc<SeriesKey>>) {
        let metrics = &self.options.metrics;
        let is_wanted = |key: &SeriesKey| metrics.include(key.metric.name.as_str(), &[] as &[&str]);
        let key = |index: u32| {
            let key = host.keys().get(index as usize)?;
            is_wanted(key).then(|| (index, Arc::clone(key)))
        };
        let recent = host.series_since(since).into_iter();
        recent.filter_map(key).unzip()
    }

    /// Rows made from minutes, for the part of a span from which there are no others.
    fn rows_of_minutes(&self, host: &Label, span: Span) -> Result<Option<Chunk>, SourceError> {
        let incomplete = {
            let core = self.hub.core();
            let host = core
                .fleet
                .find(host.as_str())
                .and_then(|id| core.fleet.host(id));
            let is_before =
                |host: &&Host| host.ring.oldest().is_none_or(|oldest| oldest > span.from);
            host.filter(is_before)
                .map(|host| Incomplete::of(host, |_| true))
        };
        match incomplete {
            Some(host) => self.read(|reader| host.rows(reader, Tier::Minute, (span.from, span.to))),
            None => Ok(None),
        }
    }
}

fn no_history() -> SourceError {
    SourceError("this hub has no history".into())
}

impl Source for HubSource {
    fn present(&mut self) -> Result<Vec<HostNow>, SourceError> {
        let has_metric = |alias: &Alias| {
            let metrics = &self.options.metrics;
            metrics.include(alias.metric.name, &[] as &[&str])
        };
        let mut is_exported = [false; SUMMARY];
        for (is_exported, alias) in is_exported.iter_mut().zip(ALIASES) {
            *is_exported = has_metric(alias);
        }
        let (now, uptime_ms) = (self.hub.now(), self.hub.uptime_ms());
        let core = self.hub.core();
        let hosts = core.fleet.hosts().filter(|(_, host)| self.is_wanted(host));
        let present = hosts.filter_map(|(_, host)| {
            let (time, mut values) = host.present();
            for (value, is_exported) in values.iter_mut().zip(is_exported) {
                if !is_exported {
                    *value = ABSENT;
                }
            }
            // A hub that has just started does not know yet.
            let is_awaited = host.last_arrival.is_none()
                && uptime_ms < AWAITED_MS.unsigned_abs()
                && now - time < AWAITED_MS + DAY_MS;
            let state = match host.state {
                HostState::Offline if is_awaited => HostState::Stale,
                state => state,
            };
            (time > UnixMs(0)).then(|| HostNow {
                host: host.name.clone(),
                state,
                time,
                values,
            })
        });
        Ok(present.collect())
    }

    fn committed(&mut self) -> Committed {
        let durable = *self.hub.durable.borrow();
        let core = self.hub.core();
        let (mut committed, mut offline) = (Committed::default(), BTreeSet::new());
        let now = self.hub.now();
        for (_, host) in core.fleet.hosts().filter(|(_, host)| self.is_wanted(host)) {
            if let Some(newest) = host.newest_durable(durable) {
                // Engines take rows of the future, and then refuse those of everybody else.
                committed.newest.insert(host.name.clone(), newest.min(now));
            }
            if host.state == HostState::Offline {
                offline.insert(host.name.clone());
            }
        }
        drop(core);
        self.tails
            .retain(|host, _| committed.newest.contains_key(host));
        committed.silent = offline.difference(&self.offline).cloned().collect();
        self.offline = offline;
        committed
    }

    fn late_since(&mut self, id: i64) -> Result<Vec<LateRows>, SourceError> {
        let found = self.read(|reader| reader.late_since(id))?;
        let late = |rows: sysmon_store::store::LateRows| LateRows {
            id: rows.id,
            host: rows.host,
            span: Span {
                from: rows.first,
                to: rows.last,
            },
        };
        Ok(found.into_iter().map(late).collect())
    }

    fn newest_late(&mut self) -> Result<i64, SourceError> {
        self.read(Reader::newest_late)
    }

    fn rows(&mut self, host: &Label, span: Span) -> Result<Option<HostRows>, SourceError> {
        let id = self.hub.core().fleet.find(host.as_str());
        let Some(id) = id else { return Ok(None) };
        let chunk = self.rows_of_minutes(host, span)?;
        let borrowed = self.hub.rows_between(Hosts::One(id), span.from, span.to);
        let borrowed = self.runtime.block_on(borrowed);
        let mut chunks = borrowed.chunks();
        chunks.extend(&chunk);
        let core = self.hub.core();
        let Some(found) = core.fleet.host(id) else {
            return Ok(None);
        };
        let (indices, keys) = self.series(found, span.from);
        let facts = Arc::new(found.facts.clone());
        let table = match chunks.as_slice() {
            [] => {
                let tail = self.tails.entry(host.clone()).or_default();
                found.ring.follow(tail, &indices, span.from, span.to)
            }
            chunks => found.ring.read_with(chunks, &indices, span.from, span.to),
        };
        drop(core);
        let table =
            table.map_err(|error| SourceError(Box::<dyn Error + Send + Sync>::from(error)))?;
        let Values {
            keys,
            times,
            columns,
        } = values(&table, keys);
        Ok(Some(HostRows {
            host: host.clone(),
            facts,
            keys,
            times,
            columns,
            span,
            step: Step::Rows,
            is_late: false,
        }))
    }

    fn minutes(&mut self, host: &Label, span: Span) -> Result<Option<HostMinutes>, SourceError> {
        self.whole_minutes(host, span)
    }

    fn oldest(&mut self, host: &Label) -> Result<Option<UnixMs>, SourceError> {
        let now = self.hub.now();
        if let Some((at, oldest)) = self.oldest.get(host)
            && now - *at < OLDEST_MS
        {
            return Ok(*oldest);
        }
        let on_disk = self.read(|reader| {
            let rows = reader.oldest_row(host)?;
            let minutes = reader.oldest_bucket(host, Tier::Minute)?;
            Ok([rows, minutes])
        })?;
        let in_memory = {
            let core = self.hub.core();
            let host = core
                .fleet
                .find(host.as_str())
                .and_then(|id| core.fleet.host(id));
            host.and_then(|host| host.ring.oldest())
        };
        let oldest = on_disk.into_iter().chain([in_memory]).flatten().min();
        self.oldest.retain(|_, (at, _)| now - *at < OLDEST_MS);
        self.oldest.insert(host.clone(), (now, oldest));
        Ok(oldest)
    }

    fn exports_events_of(&self, host: &Label) -> bool {
        let core = self.hub.core();
        let known = core.fleet.find(host.as_str());
        match known.and_then(|id| core.fleet.host(id)) {
            Some(host) => self.is_wanted(host),
            None => self.options.hosts.include(host.as_str(), &[] as &[&str]),
        }
    }

    fn newest_event(&mut self) -> Result<i64, SourceError> {
        self.read(Reader::newest_event)
    }

    fn events_since(&mut self, id: i64) -> Result<Vec<(i64, Event)>, SourceError> {
        self.read(|reader| reader.events_since(id))
    }
}

/// Values in the unit of each series that has some. Of rows of one moment the last counts, and rows without values are
/// left out.
fn values(table: &Table, keys: Vec<Arc<SeriesKey>>) -> Values {
    let has_value = |at: usize| {
        let mut columns = table.columns.iter();
        columns.any(|column| column.get(at).is_some_and(|value| *value != ABSENT))
    };
    let rows: Vec<usize> = (0..table.times.len())
        .filter(|at| table.times.get(*at) != table.times.get(at + 1) && has_value(*at))
        .collect();
    let times = rows.iter().filter_map(|at| table.times.get(*at).copied());
    let present = keys.into_iter().zip(&table.columns);
    let present = present.filter(|(_, column)| !column.is_empty());
    let (keys, columns) = present
        .map(|(key, column)| {
            let scale = Scale::of(key.metric.scale);
            let value = |at: &usize| {
                column
                    .get(*at)
                    .map_or(f64::NAN, |value| scale.apply(*value))
            };
            (key, rows.iter().map(value).collect())
        })
        .unzip();
    Values {
        keys,
        times: times.collect(),
        columns,
    }
}

struct Values {
    keys: Vec<Arc<SeriesKey>>,
    times: Vec<i64>,
    columns: Vec<Vec<f64>>,
}

/// What `unscale` does, with its power of ten computed once.
#[derive(Clone, Copy)]
enum Scale {
    Times(f64),
    DividedBy(f64),
}

impl Scale {
    fn of(scale: i8) -> Self {
        match scale {
            0.. => Self::Times(10f64.powi(i32::from(scale))),
            _ => Self::DividedBy(10f64.powi(-i32::from(scale))),
        }
    }

    fn apply(self, value: i64) -> f64 {
        match (self, value) {
            (_, ABSENT) => f64::NAN,
            (Self::Times(by), value) => value as f64 * by,
            (Self::DividedBy(by), value) => value as f64 / by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::metrics::{CONTEXT_SWITCHES, CPU_UTILIZATION, UPTIME, unscale};

    #[test]
    fn values_are_what_queries_show_bit_for_bit() {
        for scale in [-9, -6, -3, -2, 0, 2, 6] {
            for value in [0, 1, -7, 613, 123_456_789, i64::MAX, i64::MIN + 1] {
                assert_eq!(
                    Scale::of(scale).apply(value).to_bits(),
                    unscale(value, scale).to_bits()
                );
            }
        }
    }

    #[test]
    fn the_last_row_of_a_moment_counts_and_what_is_empty_is_left_out() {
        let keys =
            [CPU_UTILIZATION, CONTEXT_SWITCHES, UPTIME].map(|metric| Arc::new(metric.series(&[])));
        let table = Table {
            times: vec![1, 1, 2, 3],
            columns: vec![
                vec![100, 613, ABSENT, ABSENT],
                Vec::new(),
                vec![5, 6, ABSENT, 7],
            ],
        };
        let found = values(&table, keys.to_vec());
        assert_eq!(found.times, [1, 3]);
        assert_eq!(found.keys, [keys[0].clone(), keys[2].clone()]);
        assert_eq!(
            (found.columns[0][0], found.columns[1].as_slice()),
            (0.613, &[6.0, 7.0][..])
        );
        assert!(found.columns[0][1].is_nan());
    }
}
