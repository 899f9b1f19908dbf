//! One stream of rows from an agent: frames in, rows into the core. Pure.

use std::sync::Arc;

use sysmon_wire::limits::{ROWS_PER_FRAME_MAX, SERIES_PER_STREAM_MAX};
use sysmon_wire::message::{Lane, Push, RunId};
use sysmon_wire::{ABSENT, Row, RowDecoder, RowError, SchemaError, SeqSet, SeriesKey, UnixMs};
use thiserror::Error;

use crate::core::Core;
use crate::fleet::{Appended, FleetError, HostId};
use crate::host::Host;

/// Stored series without a value that cost as much as one with a value.
const STORED_PER_VALUE: usize = 16;

#[derive(Debug, Error)]
pub enum IngestError {
    #[error("rows before the run they belong to")]
    NoRun,
    #[error("rows before a keyframe")]
    NoKeyframe,
    #[error("more than {ROWS_PER_FRAME_MAX} rows in a frame")]
    TooManyRows,
    #[error(transparent)]
    Rows(#[from] RowError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// The rows that are acknowledged once they are durable, duplicates and refused ones included.
    pub rows: Option<(RunId, SeqSet)>,
    /// How far the newest live row is ahead of the hub's clock.
    pub ahead_ms: Option<i64>,
}

#[derive(Debug)]
pub struct RowStream {
    host: HostId,
    run: Option<(RunId, Lane)>,
    has_keyframe: bool,
    decoder: RowDecoder,
    series: Vec<StreamSeries>,
    /// The places of those that have no index.
    unplaced: Vec<usize>,
    /// Whether their indices are 0, 1, 2…: then rows need not be put in order.
    in_order: bool,
    /// The epoch of the host's keys when the indices were looked up.
    series_epoch: u64,
    row: Row,
    /// A frame of rows that is not applied yet, how much of it is, and how many rows that was.
    block: (Vec<u8>, usize, usize),
    /// How often a series that had an index was looked up by its key.
    #[cfg(test)]
    looked_up: usize,
}

/// A series as the stream defined it.
#[derive(Debug)]
struct StreamSeries {
    key: Arc<SeriesKey>,
    /// The host's index; none before the first value, because a series counts only if it has one.
    index: Option<u32>,
    is_left_out: bool,
}

impl RowStream {
    pub fn new(host: HostId) -> Self {
        Self {
            host,
            run: None,
            has_keyframe: false,
            decoder: RowDecoder::new(),
            series: Vec::new(),
            unplaced: Vec::new(),
            in_order: false,
            series_epoch: 0,
            row: Row::default(),
            block: (Vec::new(), 0, 0),
            #[cfg(test)]
            looked_up: 0,
        }
    }

    /// What a row costs, in values: one for each series of the stream, and a sixteenth for each that the host only stores.
    pub fn width(&self) -> usize {
        self.series.len() + self.row.values.len() / STORED_PER_VALUE
    }

    pub fn is_live(&self) -> bool {
        self.run.is_some_and(|(_, lane)| lane == Lane::Live)
    }

    /// Takes a whole frame.
    pub fn ingest(
        &mut self,
        push: Push,
        core: &mut Core,
        now: UnixMs,
    ) -> Result<Ingested, IngestError> {
        self.receive(push, core, now)?;
        Ok(self.apply(core, now, usize::MAX)?.unwrap_or_default())
    }

    /// Receives a frame; its rows are taken by [`RowStream::apply`].
    pub fn receive(&mut self, push: Push, core: &mut Core, now: UnixMs) -> Result<(), IngestError> {
        match push {
            Push::Begin { run, lane } => {
                *self = Self::new(self.host);
                self.run = Some((run, lane));
            }
            Push::Series(table) => {
                let keys = table.keys()?;
                if self.series.len() + keys.len() > SERIES_PER_STREAM_MAX {
                    return Err(SchemaError::TooMany("series per stream").into());
                }
                self.define(keys, core);
            }
            Push::Processes(processes) => core.fleet.name_processes(self.host, processes, now),
            Push::Keyframe(block) => {
                self.decoder.reset();
                self.has_keyframe = true;
                self.block = (block.0, 0, 0);
            }
            Push::Rows(_) if !self.has_keyframe => return Err(IngestError::NoKeyframe),
            Push::Rows(block) => self.block = (block.0, 0, 0),
        }
        Ok(())
    }

    pub fn host(&self) -> HostId {
        self.host
    }

    /// Adds series, which take the next indices of the stream.
    pub fn define(&mut self, keys: impl IntoIterator<Item = SeriesKey>, core: &Core) {
        let first = self.series.len();
        self.series.extend(keys.into_iter().map(|key| StreamSeries {
            key: core.fleet.shared_key(key),
            index: None,
            is_left_out: false,
        }));
        self.unplaced.extend(first..self.series.len());
        self.in_order &= first == self.series.len();
    }

    /// Applies a row whose sequence number its sender does not choose, unless the host has the same values of the same
    /// moment already: its sender repeats what it got no answer to.
    pub fn apply_once(
        &mut self,
        row: &Row,
        run: RunId,
        core: &mut Core,
        now: UnixMs,
    ) -> Result<Appended, FleetError> {
        self.place_series(row, core);
        put_in_order(row, &self.series, &mut self.row);
        if core.fleet.repeats(self.host, &self.row) {
            return Ok(Appended::Duplicate);
        }
        let applied = core.apply(self.host, run, &self.row, now)?;
        let is_late = matches!(applied, Appended::Stored(stored) if !stored.is_newest);
        if is_late {
            core.fleet.mark_past_changed(self.host);
        }
        Ok(applied)
    }

    /// Applies rows of the received frame with at least `values` values; none if all are.
    pub fn apply(
        &mut self,
        core: &mut Core,
        now: UnixMs,
        values: usize,
    ) -> Result<Option<Ingested>, IngestError> {
        let (block, start, mut count) = std::mem::take(&mut self.block);
        let Some(mut rest) = block.get(start..).filter(|rest| !rest.is_empty()) else {
            return Ok(None);
        };
        let (run, lane) = self.run.ok_or(IngestError::NoRun)?;
        let mut ingested = Ingested::default();
        let mut received = SeqSet::new();
        let mut decoder = std::mem::take(&mut self.decoder);
        let mut budget = values;
        while budget > 0
            && let Some(row) = decoder.decode(&mut rest, self.series.len())?
        {
            count += 1;
            if count > ROWS_PER_FRAME_MAX {
                return Err(IngestError::TooManyRows);
            }
            let applied = self.apply_row(row, run, core, now)?;
            received.insert(row.seq);
            if lane == Lane::Live && applied.is_stored() {
                ingested.ahead_ms = Some(row.time - now);
            }
            budget = budget.saturating_sub(self.width().max(1));
        }
        self.decoder = decoder;
        let done = block.len() - rest.len();
        if lane == Lane::Backfill {
            core.fleet.mark_past_changed(self.host);
        }
        self.block = (block, done, count);
        ingested.rows = Some((run, received));
        Ok(Some(ingested))
    }

    fn apply_row(
        &mut self,
        row: &Row,
        run: RunId,
        core: &mut Core,
        now: UnixMs,
    ) -> Result<Appended, FleetError> {
        self.place_series(row, core);
        if self.in_order {
            return core.apply(self.host, run, row, now);
        }
        put_in_order(row, &self.series, &mut self.row);
        core.apply(self.host, run, &self.row, now)
    }

    /// Finds the index of each series that has a value; a host with too many series has none for the surplus.
    fn place_series(&mut self, row: &Row, core: &mut Core) {
        let Some(host) = core.fleet.host(self.host) else {
            return;
        };
        let has_value = |place: usize| row.values.get(place).is_some_and(|value| *value != ABSENT);
        let is_same = host.keys().epoch() == self.series_epoch;
        if is_same && !self.unplaced.iter().any(|place| has_value(*place)) {
            return;
        }
        if !is_same {
            self.place_again(host);
        }
        let mut present = self.present(row);
        let has_room = host.has_room_for_series(present);
        let mut unplaced = std::mem::take(&mut self.unplaced);
        let is_unplaced = |place: &mut usize| {
            let series = self.series.get_mut(*place).filter(|_| has_value(*place));
            let Some(series) = series else { return true };
            if has_room || !series.is_left_out {
                let index = core.fleet.series_index(self.host, &series.key, present);
                present += usize::from(index.is_some());
                series.index = index;
                series.is_left_out = index.is_none();
            }
            series.index.is_none()
        };
        unplaced.retain_mut(is_unplaced);
        self.unplaced = unplaced;
        self.series_epoch = core
            .fleet
            .host(self.host)
            .map_or(0, |host| host.keys().epoch());
        let indices = self.series.iter().map(|series| series.index);
        self.in_order = (0..).zip(indices).all(|(at, index)| index == Some(at));
        // The indices of other series have no values.
        self.row.values.clear();
    }

    /// Finds the series whose indices others have now. Only those are looked up.
    fn place_again(&mut self, host: &Host) {
        for (place, series) in self.series.iter_mut().enumerate() {
            let Some(index) = series.index else { continue };
            if host.has_series_at(index, &series.key) {
                continue;
            }
            #[cfg(test)]
            {
                self.looked_up += 1;
            }
            series.index = host.known_series(&series.key);
            if series.index.is_none() {
                self.unplaced.push(place);
            }
        }
    }

    /// How many series with an index have a value.
    fn present(&self, row: &Row) -> usize {
        let both = self.series.iter().zip(&row.values);
        both.filter(|(series, value)| series.index.is_some() && **value != ABSENT)
            .count()
    }
}

fn put_in_order(row: &Row, series: &[StreamSeries], out: &mut Row) {
    out.seq = row.seq;
    out.time = row.time;
    for (series, &value) in series.iter().zip(&row.values) {
        let Some(index) = series.index else { continue };
        let place = index as usize;
        if place >= out.values.len() {
            out.values.resize(place + 1, ABSENT);
        }
        if let Some(slot) = out.values.get_mut(place) {
            *slot = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tests::core;
    use sysmon_wire::message::Blob;
    use sysmon_wire::metrics::{CPU_UTILIZATION, LOAD_1M, UPTIME};
    use sysmon_wire::{RowEncoder, SeriesKey, SeriesTable};

    fn series(keys: &[SeriesKey]) -> Push {
        Push::Series(SeriesTable::new(keys))
    }

    fn rows(encoder: &mut RowEncoder, seqs: &[u64], values: &[i64]) -> Blob {
        let mut block = Vec::new();
        for &seq in seqs {
            encoder.encode(seq, UnixMs(seq as i64 * 1000), values, &mut block);
        }
        Blob(block)
    }

    #[test]
    fn a_second_run_with_other_series_lands_in_the_same_columns() {
        let mut core = core();
        let id = core.host_id(&"a".into()).unwrap();
        let now = UnixMs(100_000);
        let (cpu, load, up) = (
            CPU_UTILIZATION.series(&[]),
            LOAD_1M.series(&[]),
            UPTIME.series(&[]),
        );
        for (run, keys, values) in [
            (1, [cpu.clone(), load.clone()], [10, 20]),
            (2, [up, cpu.clone()], [30, 11]),
        ] {
            let mut stream = RowStream::new(id);
            let mut take = |push| stream.ingest(push, &mut core, now).unwrap();
            take(Push::Begin {
                run: RunId(run),
                lane: Lane::Live,
            });
            take(series(&keys));
            let block = rows(&mut RowEncoder::new(), &[run * 10], &values);
            let ingested = take(Push::Keyframe(block));
            assert_eq!(ingested.rows.unwrap().1.ranges(), [(run * 10, run * 10)]);
        }
        let host = core.fleet.host(id).unwrap();
        let table = host.ring.read(&[0, 1, 2], UnixMs(0), now).unwrap();
        assert_eq!(
            table.columns,
            [vec![10, 11], vec![20, ABSENT], vec![ABSENT, 30]]
        );
    }

    #[test]
    fn a_row_that_its_sender_repeats_counts_once_and_another_of_the_same_moment_is_kept() {
        let mut core = core();
        let id = core.host_id(&"a".into()).unwrap();
        let now = UnixMs(100_000);
        let mut stream = RowStream::new(id);
        stream.define(vec![LOAD_1M.series(&[]), UPTIME.series(&[])], &core);
        let mut apply = |seq, time, values: &[i64]| {
            let row = Row {
                seq,
                time: UnixMs(time),
                values: values.to_vec(),
            };
            let applied = stream.apply_once(&row, RunId(1), &mut core, now).unwrap();
            applied.is_stored()
        };
        assert!(apply(1, 10_000, &[5, 7]));
        assert!(!apply(2, 10_000, &[5, 7]), "the same again");
        assert!(!apply(3, 10_000, &[5, ABSENT]), "a part of it");
        assert!(apply(4, 11_000, &[5, 7]), "the next moment");
        assert!(apply(5, 10_000, &[6, 7]), "other values");
        let host = core.fleet.host(id).unwrap();
        assert_eq!((host.ring.rows(), host.health().duplicate_rows), (3, 2));
    }

    #[test]
    fn frames_out_of_turn_end_the_stream() {
        let mut core = core();
        let id = core.host_id(&"a".into()).unwrap();
        let block = rows(&mut RowEncoder::new(), &[1], &[1]);
        let begin = Push::Begin {
            run: RunId(1),
            lane: Lane::Live,
        };
        let first = |pushes: Vec<Push>, core: &mut Core| {
            let mut stream = RowStream::new(id);
            pushes
                .into_iter()
                .map(|p| stream.ingest(p, core, UnixMs(0)))
                .find(Result::is_err)
        };
        let no_run = first(vec![Push::Keyframe(block.clone())], &mut core);
        assert!(matches!(no_run, Some(Err(IngestError::NoRun))));
        let no_key = first(vec![begin.clone(), Push::Rows(block.clone())], &mut core);
        assert!(matches!(no_key, Some(Err(IngestError::NoKeyframe))));
        let no_series = first(vec![begin, Push::Keyframe(block)], &mut core);
        assert!(matches!(no_series, Some(Err(IngestError::Rows(_)))));
    }

    #[test]
    fn a_frame_of_more_rows_than_allowed_ends_the_stream_and_others_are_taken_in_parts() {
        let mut core = core();
        let id = core.host_id(&"a".into()).unwrap();
        let mut stream = RowStream::new(id);
        let begin = Push::Begin {
            run: RunId(1),
            lane: Lane::Live,
        };
        let now = UnixMs(700_000);
        stream.ingest(begin, &mut core, now).unwrap();
        let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let keys: Vec<SeriesKey> = names
            .iter()
            .map(|name| CPU_UTILIZATION.series(&[("cpu.logical_number", name)]))
            .collect();
        stream.ingest(series(&keys), &mut core, now).unwrap();
        let seqs: Vec<u64> = (1..=ROWS_PER_FRAME_MAX as u64 + 1).collect();
        let fits = rows(&mut RowEncoder::new(), &seqs[..600], &[5; 100]);
        stream
            .receive(Push::Keyframe(fits), &mut core, now)
            .unwrap();
        let mut parts = 0;
        while let Some(part) = stream.apply(&mut core, now, 1_000).unwrap() {
            let (_, received) = part.rows.unwrap();
            assert!(received.len() <= 10, "ten rows of a hundred series");
            parts += 1;
        }
        assert_eq!(parts, 60);
        assert_eq!(core.fleet.host(id).unwrap().ring.rows(), 600);
        let long = rows(&mut RowEncoder::new(), &seqs, &[5; 100]);
        let refused = stream.ingest(Push::Keyframe(long), &mut core, now);
        assert!(matches!(refused, Err(IngestError::TooManyRows)));
    }

    /// Once the stream was ended, so that the host had no rows at all.
    #[test]
    fn over_the_limit_the_surplus_series_are_left_out_and_no_row() {
        let mut core = core();
        let id = core.host_id(&"a".into()).unwrap();
        let names: Vec<String> = (0..4_100).map(|n| n.to_string()).collect();
        let key = |name: &String| CPU_UTILIZATION.series(&[("cpu.logical_number", name)]);
        let keys: Vec<SeriesKey> = names.iter().map(key).collect();
        let now = UnixMs(9_000);
        let mut stream = RowStream::new(id);
        let mut take = |push| stream.ingest(push, &mut core, now).unwrap();
        take(Push::Begin {
            run: RunId(1),
            lane: Lane::Live,
        });
        take(series(&keys[..4_096]));
        take(series(&keys[4_096..]));
        take(Push::Keyframe(rows(
            &mut RowEncoder::new(),
            &[1],
            &[7; 4_100],
        )));
        let host = core.fleet.host(id).unwrap();
        assert_eq!((host.health().rows, host.health().series), (1, 4_096));
        let note = host.limits.notes().next().unwrap();
        assert_eq!(
            note,
            "limit of 4096 series at a time reached, 4 left out so far"
        );
        let known = core
            .fleet
            .limits()
            .into_iter()
            .find(|limit| limit.host.is_some());
        assert_eq!(known.unwrap().state.reached_total, 4);
    }

    /// Once every index that was given to another series made the stream look up all of its series.
    #[test]
    fn only_series_whose_indices_others_have_are_looked_up_again() {
        let mut core = core();
        let id = core.host_id(&"a".into()).unwrap();
        let key =
            |n: usize| CPU_UTILIZATION.series(&[("cpu.logical_number", n.to_string().as_str())]);
        let keys: Vec<SeriesKey> = (0..1_000).map(key).collect();
        let mut stream = RowStream::new(id);
        let hour = 3_600_000;
        let mut encoder = RowEncoder::new();
        let mut row = |stream: &mut RowStream, core: &mut Core, hours: i64, values: &[i64]| {
            let mut block = Vec::new();
            let time = UnixMs(hours * hour);
            encoder.encode(1 + hours as u64, time, values, &mut block);
            stream.ingest(Push::Rows(Blob(block)), core, time).unwrap();
            core.fleet.settle(time);
        };
        let begin = Push::Begin {
            run: RunId(1),
            lane: Lane::Live,
        };
        stream.ingest(begin, &mut core, UnixMs(0)).unwrap();
        stream.ingest(series(&keys), &mut core, UnixMs(0)).unwrap();
        let empty = Push::Keyframe(Blob(Vec::new()));
        stream.ingest(empty, &mut core, UnixMs(0)).unwrap();
        row(&mut stream, &mut core, 0, &[5; 1_000]);
        let mut values = [5; 1_000];
        values[7] = ABSENT;
        for hours in 1..40 {
            row(&mut stream, &mut core, hours, &values);
        }
        let host = core.fleet.host(id).unwrap();
        assert_eq!(host.known_series(&keys[7]), None, "it has no rows any more");
        assert_eq!(stream.looked_up, 1);
        values[7] = 6;
        row(&mut stream, &mut core, 40, &values);
        assert_eq!(core.fleet.host(id).unwrap().known_series(&keys[7]), Some(7));
        row(&mut stream, &mut core, 41, &values);
        assert_eq!(stream.looked_up, 1);
    }
}
