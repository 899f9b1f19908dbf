//! One stream of rows from an agent: frames in, rows into the core. Pure.

use sysmon_wire::message::{Lane, Push, RunId};
use sysmon_wire::{ABSENT, Row, RowDecoder, RowError, SchemaError, SeqSet, UnixMs};
use thiserror::Error;

use crate::core::Core;
use crate::fleet::{FleetError, HostId};

#[derive(Debug, Error)]
pub enum IngestError {
    #[error("rows before the run they belong to")]
    NoRun,
    #[error("rows before a keyframe")]
    NoKeyframe,
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
    /// The host's index of each of the stream's series.
    places: Vec<u32>,
    /// Whether `places` is 0, 1, 2…: then rows need not be put in order.
    in_order: bool,
    row: Row,
}

impl RowStream {
    pub fn new(host: HostId) -> Self {
        Self {
            host,
            run: None,
            has_keyframe: false,
            decoder: RowDecoder::new(),
            places: Vec::new(),
            in_order: true,
            row: Row::default(),
        }
    }

    pub fn ingest(
        &mut self,
        push: Push,
        core: &mut Core,
        now: UnixMs,
    ) -> Result<Ingested, IngestError> {
        match push {
            Push::Begin { run, lane } => {
                self.run = Some((run, lane));
                self.has_keyframe = false;
                self.places.clear();
                self.in_order = true;
                Ok(Ingested::default())
            }
            Push::Series(table) => {
                let keys = table.keys()?;
                if self.places.len() + keys.len() > sysmon_wire::limits::SERIES_PER_HOST_MAX {
                    return Err(SchemaError::TooMany("series per host").into());
                }
                let places = core.fleet.series(self.host, keys)?;
                self.places.extend(places);
                self.in_order = self
                    .places
                    .iter()
                    .enumerate()
                    .all(|(at, &p)| at == p as usize);
                Ok(Ingested::default())
            }
            Push::Processes(processes) => {
                core.fleet.name_processes(self.host, processes, now);
                Ok(Ingested::default())
            }
            Push::Keyframe(block) => {
                self.decoder.reset();
                self.has_keyframe = true;
                self.rows(&block.0, core, now)
            }
            Push::Rows(block) => {
                if !self.has_keyframe {
                    return Err(IngestError::NoKeyframe);
                }
                self.rows(&block.0, core, now)
            }
        }
    }

    fn rows(
        &mut self,
        mut block: &[u8],
        core: &mut Core,
        now: UnixMs,
    ) -> Result<Ingested, IngestError> {
        let (run, lane) = self.run.ok_or(IngestError::NoRun)?;
        let mut ingested = Ingested::default();
        let mut received = SeqSet::new();
        while let Some(row) = self.decoder.decode(&mut block, self.places.len())? {
            let applied = if self.in_order {
                core.apply(self.host, run, row, now)?
            } else {
                put_in_order(row, &self.places, &mut self.row);
                core.apply(self.host, run, &self.row, now)?
            };
            received.insert(row.seq);
            if lane == Lane::Live && applied.is_stored() {
                ingested.ahead_ms = Some(row.time - now);
            }
        }
        if lane == Lane::Backfill {
            core.fleet.mark_past_changed(self.host);
        }
        ingested.rows = Some((run, received));
        Ok(ingested)
    }
}

fn put_in_order(row: &Row, places: &[u32], out: &mut Row) {
    out.seq = row.seq;
    out.time = row.time;
    out.values.fill(ABSENT);
    for (&place, &value) in places.iter().zip(&row.values) {
        let place = place as usize;
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
}
