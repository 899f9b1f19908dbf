//! One host as a subscriber gets it: its line, series and rows, then what is new. Pure.

use std::sync::Arc;

use sysmon_series::Table;
use sysmon_wire::limits::{ROWS_PER_FRAME_MAX, SERIES_PER_HOST_MAX};
use sysmon_wire::message::{Blob, Reply};
use sysmon_wire::{ABSENT, RowEncoder, SeriesKey, SeriesTable, SeriesTableBuilder, UnixMs};

use super::fleet::line;
use crate::fleet::{Fleet, FleetView, HostId};
use crate::host::{Host, is_no_series};

/// Bytes of rows after which a frame is sent: 600 rows of 400 busy series are about 400 KiB.
const ROW_BYTES_PER_FRAME: usize = 256 * 1024;

/// Bytes of series names after which a frame is sent; a typical host has a tenth of that.
const SERIES_BYTES_PER_FRAME: usize = 512 * 1024;

/// Tables of these series, each of which fits one message however long the names are.
fn tables(keys: &[Arc<SeriesKey>]) -> Vec<SeriesTable> {
    let mut tables = Vec::new();
    let (mut builder, mut bytes) = (SeriesTableBuilder::default(), 0);
    for key in keys {
        let attributes = key
            .attributes
            .iter()
            .flat_map(|(name, value)| [name, value]);
        let texts = attributes.chain([&key.metric.name, &key.metric.unit]);
        bytes += texts.map(|text| text.as_str().len() + 8).sum::<usize>();
        if bytes > SERIES_BYTES_PER_FRAME {
            tables.push(std::mem::take(&mut builder).finish());
            bytes = 0;
        }
        builder.push(key);
    }
    tables.push(builder.finish());
    tables
}

#[derive(Debug)]
pub struct HostWatch {
    host: HostId,
    from: UnixMs,
    /// The fleet's generation up to which everything was sent.
    seen: u64,
    /// The same when sending rows last started over.
    seen_past: u64,
    line_generation: u64,
    /// The subscriber's series by its number: the host's index, and the key that it had then.
    series: Vec<(u32, Arc<SeriesKey>)>,
    series_epoch: u64,
    newest: UnixMs,
    encoder: RowEncoder,
    rows: u64,
}

impl HostWatch {
    pub fn new(host: HostId, from: UnixMs) -> Self {
        Self {
            host,
            from,
            seen: 0,
            seen_past: 0,
            line_generation: 0,
            series: Vec::new(),
            series_epoch: 0,
            newest: from - 1,
            encoder: RowEncoder::new(),
            rows: 0,
        }
    }

    /// Whether rows of the past arrived since, so that [`Self::restart`] is due.
    pub fn is_past_changed(&self, fleet: &Fleet) -> bool {
        fleet
            .host(self.host)
            .is_some_and(|host| host.past_changed > self.seen_past)
    }

    pub fn restart(&mut self) {
        self.newest = self.from - 1;
        self.rows = 0;
        self.encoder = RowEncoder::new();
        self.seen = 0;
    }

    pub fn updates(&mut self, fleet: &FleetView<'_>, until: Option<UnixMs>) -> Vec<Reply> {
        let Some(host) = fleet.host(self.host) else {
            return Vec::new();
        };
        if host.changed <= self.seen {
            return Vec::new();
        }
        self.seen = fleet.generation();
        if self.rows == 0 {
            self.seen_past = self.seen;
        }
        let mut replies = Vec::new();
        if host.line_changed > self.line_generation || self.line_generation == 0 {
            self.line_generation = fleet.generation();
            replies.push(Reply::Host(Box::new(line(self.host, &host))));
        }
        self.define(&host, &mut replies);
        let all: Vec<u32> = self.series.iter().map(|(index, _)| *index).collect();
        let until = until.unwrap_or(UnixMs(i64::MAX));
        match host.read(&all, self.newest + 1, until) {
            Ok(table) => self.rows(&table, &mut replies),
            Err(error) => replies.push(Reply::Refused {
                reason: error.to_string().as_str().into(),
            }),
        }
        replies
    }

    /// Defines the series that are new. The numbers of those that are gone stay unused, until there are so many that the
    /// subscriber has to begin again.
    fn define(&mut self, host: &Host, replies: &mut Vec<Reply>) {
        let keys = host.keys();
        let before = self.series.len();
        if host.series_epoch != self.series_epoch || before == 0 {
            let mut known: Vec<bool> = vec![false; keys.len()];
            for (index, key) in &mut self.series {
                let place = *index as usize;
                match keys.get(place).filter(|now| Arc::ptr_eq(now, key)) {
                    Some(_) => known.iter_mut().skip(place).take(1).for_each(|k| *k = true),
                    None => *index = u32::MAX,
                }
            }
            let new = (0..).zip(keys).zip(known).filter(|(_, known)| !known);
            let new = new.map(|((index, key), _)| (index, Arc::clone(key)));
            self.series
                .extend(new.filter(|(_, key)| !is_no_series(key)));
            self.series_epoch = host.series_epoch;
        } else {
            let seen = self
                .series
                .iter()
                .map(|(index, _)| index.wrapping_add(1))
                .max();
            let new = (0..).zip(keys).skip(seen.unwrap_or(0) as usize);
            let new = new.filter(|(_, key)| !is_no_series(key));
            self.series
                .extend(new.map(|(index, key)| (index, Arc::clone(key))));
        }
        let first = if self.series.len() > SERIES_PER_HOST_MAX {
            replies.push(Reply::HostRestart);
            self.series.retain(|(index, _)| *index != u32::MAX);
            self.newest = self.from - 1;
            self.rows = 0;
            self.encoder = RowEncoder::new();
            0
        } else {
            before
        };
        if let Some(new @ [_, ..]) = self.series.get(first..) {
            let keys: Vec<_> = new.iter().map(|(_, key)| Arc::clone(key)).collect();
            replies.extend(tables(&keys).into_iter().map(Reply::HostSeries));
        }
    }

    fn rows(&mut self, table: &Table, replies: &mut Vec<Reply>) {
        let mut values = vec![ABSENT; table.columns.len()];
        let (mut block, mut count) = (Vec::new(), 0);
        let mut first = self.rows == 0;
        for (n, &time) in table.times.iter().enumerate() {
            for (value, column) in values.iter_mut().zip(&table.columns) {
                *value = column.get(n).copied().unwrap_or(ABSENT);
            }
            self.rows += 1;
            self.newest = UnixMs(time);
            self.encoder
                .encode(self.rows, UnixMs(time), &values, &mut block);
            count += 1;
            let last = n + 1 == table.times.len();
            if last || count >= ROWS_PER_FRAME_MAX || block.len() >= ROW_BYTES_PER_FRAME {
                let rows = Blob(std::mem::take(&mut block));
                replies.push(if first {
                    Reply::HostKeyframe(rows)
                } else {
                    Reply::HostRows(rows)
                });
                (count, first) = (0, false);
            }
        }
    }
}
