//! One host as a subscriber gets it: its line, series and rows, then what is new. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use sysmon_series::{ChunkError, Table};
use sysmon_wire::limits::{ROWS_PER_FRAME_MAX, SERIES_PER_HOST_MAX, SERIES_PER_STREAM_MAX};
use sysmon_wire::message::{Blob, Reply};
use sysmon_wire::{ABSENT, RowEncoder, SeriesKey, SeriesTable, SeriesTableBuilder, UnixMs};

use super::fleet::line;
use crate::fleet::{Fleet, FleetView, HostId, HostView};
use crate::host::Host;

/// Bytes of rows after which a frame is sent: 600 rows of 400 busy series are about 400 KiB.
const ROW_BYTES_PER_FRAME: usize = 256 * 1024;

/// Bytes of series names after which a frame is sent; a typical host has a tenth of that.
const SERIES_BYTES_PER_FRAME: usize = 512 * 1024;

/// Tables of these series, each of which fits one message however long the names are.
fn tables(keys: &[Arc<SeriesKey>]) -> Vec<SeriesTable> {
    let mut tables = Vec::new();
    let (mut builder, mut bytes, mut count) = (SeriesTableBuilder::default(), 0, 0);
    for key in keys {
        let attributes = key
            .attributes
            .iter()
            .flat_map(|(name, value)| [name, value]);
        let texts = attributes.chain([&key.metric.name, &key.metric.unit]);
        bytes += texts.map(|text| text.as_str().len() + 8).sum::<usize>();
        count += 1;
        if bytes > SERIES_BYTES_PER_FRAME || count > SERIES_PER_HOST_MAX {
            tables.push(std::mem::take(&mut builder).finish());
            (bytes, count) = (0, 1);
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
    /// How long before its first row it began.
    window_ms: Option<i64>,
    /// The fleet's generation up to which everything was sent.
    seen: u64,
    /// The same when sending rows last started over.
    seen_past: u64,
    line_generation: u64,
    /// The subscriber's series by its number: the host's index, and the key that it had then.
    series: Vec<(u32, Arc<SeriesKey>)>,
    /// The number of each index.
    numbers: HashMap<u32, usize>,
    series_epoch: u64,
    /// Past so many series, most of which have no values any more, the subscriber begins again.
    series_max: usize,
    newest: UnixMs,
    encoder: RowEncoder,
    rows: u64,
}

impl HostWatch {
    pub fn new(host: HostId, from: UnixMs) -> Self {
        Self {
            host,
            from,
            window_ms: None,
            seen: 0,
            seen_past: 0,
            line_generation: 0,
            series: Vec::new(),
            numbers: HashMap::new(),
            series_epoch: 0,
            series_max: SERIES_PER_HOST_MAX,
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
        self.forget_gone(&host);
        let until = until.unwrap_or(UnixMs(i64::MAX));
        if let Err(error) = self.send(&host, until, &mut replies) {
            replies.push(Reply::Refused {
                reason: error.to_string().as_str().into(),
            });
        }
        replies
    }

    /// The numbers of series whose indices others have now stay unused.
    fn forget_gone(&mut self, host: &Host) {
        let keys = host.keys();
        if keys.epoch() == self.series_epoch {
            return;
        }
        self.series_epoch = keys.epoch();
        let series = &self.series;
        self.numbers.retain(|index, number| {
            let known = series.get(*number);
            known.is_some_and(|(_, key)| host.has_series_at(*index, key))
        });
    }

    /// Sends rows after the newest that was sent, and before them the series that have values there for the first time.
    fn send(
        &mut self,
        host: &HostView<'_>,
        until: UnixMs,
        replies: &mut Vec<Reply>,
    ) -> Result<(), ChunkError> {
        let mut indices = host.series_since(self.newest + 1);
        let mut table = host.read(&indices, self.newest + 1, until)?;
        let Some(last) = table.times.last().map(|time| UnixMs(*time)) else {
            return Ok(());
        };
        let window_ms = *self.window_ms.get_or_insert(last - self.from);
        if self.series.len() + self.unknown(&indices, &table) > self.series_max && self.rows > 0 {
            self.from = self.from.max(last - window_ms);
            self.begin_again();
            replies.push(Reply::HostRestart);
            indices = host.series_since(self.from);
            table = host.read(&indices, self.from, until)?;
            let needed = self.unknown(&indices, &table);
            self.series_max = SERIES_PER_HOST_MAX.max(2 * needed);
        }
        self.define(host, &indices, &table, replies);
        self.rows(&indices, &table, replies);
        Ok(())
    }

    /// How many series have values and no number.
    fn unknown(&self, indices: &[u32], table: &Table) -> usize {
        let columns = indices.iter().zip(&table.columns);
        columns
            .filter(|(index, column)| !column.is_empty() && !self.numbers.contains_key(index))
            .count()
    }

    fn begin_again(&mut self) {
        self.series.clear();
        self.numbers.clear();
        self.newest = self.from - 1;
        self.rows = 0;
        self.encoder = RowEncoder::new();
    }

    /// Defines the series that have values and no number. A subscriber has room for [`SERIES_PER_STREAM_MAX`].
    fn define(&mut self, host: &Host, indices: &[u32], table: &Table, replies: &mut Vec<Reply>) {
        let before = self.series.len();
        for (index, column) in indices.iter().zip(&table.columns) {
            let key = host.keys().get(*index as usize);
            let Some(key) = key.filter(|_| !column.is_empty()) else {
                continue;
            };
            let number = self.series.len();
            if self.numbers.contains_key(index) || number >= SERIES_PER_STREAM_MAX {
                continue;
            }
            self.series.push((*index, Arc::clone(key)));
            self.numbers.insert(*index, number);
        }
        if let Some(new @ [_, ..]) = self.series.get(before..) {
            let keys: Vec<_> = new.iter().map(|(_, key)| Arc::clone(key)).collect();
            replies.extend(tables(&keys).into_iter().map(Reply::HostSeries));
        }
    }

    fn rows(&mut self, indices: &[u32], table: &Table, replies: &mut Vec<Reply>) {
        let numbers = indices.iter().map(|index| self.numbers.get(index).copied());
        let columns: Vec<(usize, &Vec<i64>)> = numbers
            .zip(&table.columns)
            .filter_map(|(number, column)| Some((number?, column)))
            .filter(|(_, column)| !column.is_empty())
            .collect();
        let mut values = vec![ABSENT; self.series.len()];
        let (mut block, mut count) = (Vec::new(), 0);
        let mut first = self.rows == 0;
        for (n, &time) in table.times.iter().enumerate() {
            for (number, column) in &columns {
                if let Some(value) = values.get_mut(*number) {
                    *value = column.get(n).copied().unwrap_or(ABSENT);
                }
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
