//! Requests as protobuf (`ExportMetricsServiceRequest`). Pure.
//!
//! Written by hand because the attributes of a series are encoded once and copied into each of its points from then on; the
//! tests decode with the published messages.

use std::ops::Range;
use std::sync::Arc;

use sysmon_wire::varint::put_u64;
use sysmon_wire::{Kind, Label, SeriesKey};

use super::series::{Metric, SeriesCache, nanoseconds};
use crate::HostRows;
use crate::engines::presence::{Changes, HostPresence, Presence};
use crate::engines::protobuf::{length, put_bytes};

/// Bytes of the points of one item; requests are made of whole ones.
const ITEM_BYTES_MAX: usize = 32 << 10;

/// Bytes of tags and lengths around what a host or a metric has.
const FRAME_BYTES: usize = 32;

/// The scope: its name.
const SCOPE: &[u8] = b"\x0a\x06sysmon";

/// `flags` with `NO_RECORDED_VALUE`, in the place of a value: the series has none any more.
const NO_VALUE: [u8; 2] = [0x40, 1];

/// `aggregation_temporality` cumulative, `is_monotonic` true.
const CUMULATIVE: [u8; 4] = [0x10, 2, 0x18, 1];

/// Series with their values, of which requests are made.
#[derive(Debug, Default)]
pub(super) struct Message {
    resources: Vec<Vec<u8>>,
    attributes: Vec<u8>,
    /// Nanoseconds and values.
    points: Vec<(u64, f64)>,
    items: Vec<Item>,
    /// Metrics with columns of the rows that are added, and after these with series that are not among them any more.
    order: Vec<(usize, usize)>,
}

/// Values of one series.
#[derive(Clone, Debug)]
struct Item {
    /// The place of the host's resource.
    host: usize,
    metric: usize,
    attributes: Range<usize>,
    points: Range<usize>,
    /// When the counter began; 0 if that is not known.
    begin: u64,
    /// Whether its points say that there is no value any more.
    has_ended: bool,
}

impl Item {
    /// The length of a point's message.
    fn point_length(&self) -> usize {
        let begin = if self.begin > 0 { 9 } else { 0 };
        let value = if self.has_ended { NO_VALUE.len() } else { 9 };
        begin + 9 + value + self.attributes.len()
    }

    /// Bytes of all points with their tags and lengths.
    fn bytes(&self) -> usize {
        self.points.len() * field(self.point_length())
    }
}

/// Bytes of a field with a message of this length.
fn field(bytes: usize) -> usize {
    1 + length(bytes as u64) + bytes
}

impl Message {
    pub(super) fn clear(&mut self) {
        self.resources.clear();
        self.attributes.clear();
        self.points.clear();
        self.items.clear();
    }

    /// Adds the values of a host, and that series which had one have none any more.
    pub(super) fn add(
        &mut self,
        rows: &HostRows,
        cache: &mut SeriesCache,
        presence: &Presence,
        changes: &mut Changes,
    ) {
        let known = changes.get(&rows.host).map(Option::as_ref);
        let before = known.unwrap_or_else(|| presence.of(&rows.host));
        let is_older = before.is_some_and(|before| !before.is_before(rows));
        let before = before.filter(|_| !is_older).cloned();
        let dropped = before.as_ref().map(|before| before.dropped(rows));
        let dropped = dropped.unwrap_or_default();
        let host = self.resources.len();
        self.resources.push(cache.resource(&rows.host, &rows.facts));
        let all = rows.keys.iter().chain(&dropped);
        let metrics = all.map(|key| cache.of(key).metric);
        self.order.clear();
        self.order.extend(metrics.zip(0..));
        self.order.sort_unstable();
        for at in 0..self.order.len() {
            let Some((metric, column)) = self.order.get(at).copied() else {
                continue;
            };
            let (Some(key), Some(column)) = (rows.keys.get(column), rows.columns.get(column))
            else {
                let key = dropped.get(column.saturating_sub(rows.keys.len()));
                if let (Some(key), Some(before)) = (key, &before) {
                    self.add_end(host, key, [before.end()], cache);
                }
                continue;
            };
            if !rows.is_late && !is_older {
                let was_present = before.as_ref().is_some_and(|before| before.has(key));
                let ended = ends(&rows.times, column, was_present);
                self.add_end(host, key, ended, cache);
            }
            let from = self.points.len();
            let values = rows.times.iter().zip(column);
            let present = values.filter(|(_, value)| !value.is_nan());
            let mut first = i64::MAX;
            self.points.extend(present.map(|(time, value)| {
                first = first.min(*time);
                (nanoseconds(*time), *value)
            }));
            if self.points.len() == from {
                continue;
            }
            let begin = self.attributes.len();
            self.attributes.extend_from_slice(&cache.of(key).attributes);
            let item = Item {
                host,
                metric,
                attributes: begin..self.attributes.len(),
                points: from..self.points.len(),
                begin: cache.begin(metric, &rows.host, first),
                has_ended: false,
            };
            self.push(&item);
        }
        if !rows.is_late && !is_older {
            changes.insert(rows.host.clone(), Some(HostPresence::after(rows)));
        }
    }

    /// Adds that no series of a host has a value any more.
    pub(super) fn end_host(
        &mut self,
        host: &Label,
        cache: &mut SeriesCache,
        presence: &Presence,
        changes: &mut Changes,
    ) {
        let known = changes.get(host).map(Option::as_ref);
        let Some(before) = known.unwrap_or_else(|| presence.of(host)).cloned() else {
            return;
        };
        let place = self.resources.len();
        self.resources.push(cache.resource(host, &before.facts));
        let end = before.end();
        let mut keys = before.keys;
        keys.sort_by_cached_key(|key| cache.of(key).metric);
        for key in &keys {
            self.add_end(place, key, [end], cache);
        }
        changes.insert(host.clone(), None);
    }

    /// Adds that a series has no value at these times.
    fn add_end(
        &mut self,
        host: usize,
        key: &Arc<SeriesKey>,
        times: impl IntoIterator<Item = i64>,
        cache: &mut SeriesCache,
    ) {
        let from = self.points.len();
        let times = times.into_iter().map(|time| (nanoseconds(time), f64::NAN));
        self.points.extend(times);
        if self.points.len() == from {
            return;
        }
        let begin = self.attributes.len();
        self.attributes.extend_from_slice(&cache.of(key).attributes);
        let item = Item {
            host,
            metric: cache.of(key).metric,
            attributes: begin..self.attributes.len(),
            points: from..self.points.len(),
            begin: 0,
            has_ended: true,
        };
        self.push(&item);
    }

    fn push(&mut self, whole: &Item) {
        let step = (ITEM_BYTES_MAX / field(whole.point_length())).max(1);
        let all = whole.points.clone();
        self.items
            .extend(all.clone().step_by(step).map(|from| Item {
                points: from..(from + step).min(all.end),
                ..whole.clone()
            }));
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Values of some items.
    pub(super) fn samples(&self, items: Range<usize>) -> u64 {
        let items = self.items.get(items).unwrap_or_default();
        items.iter().map(|item| item.points.len() as u64).sum()
    }

    /// Where a request of at most about this size ends that begins with the item at `from`; it has one at least.
    pub(super) fn end(&self, from: usize, bytes_max: usize, cache: &SeriesCache) -> usize {
        let (mut bytes, mut host, mut metric) = (0, None, None);
        let mut end = from;
        for item in self.items.get(from..).unwrap_or_default() {
            if host != Some(item.host) {
                let resource = self.resources.get(item.host).map_or(0, Vec::len);
                bytes += resource + SCOPE.len() + 2 * FRAME_BYTES;
                (host, metric) = (Some(item.host), None);
            }
            if metric != Some(item.metric) {
                let header = cache.metric(item.metric);
                bytes += header.map_or(0, |metric| metric.header.len()) + FRAME_BYTES;
                metric = Some(item.metric);
            }
            bytes += item.bytes();
            if bytes > bytes_max && end > from {
                break;
            }
            end += 1;
        }
        end
    }

    /// Appends a request with these items.
    pub(super) fn encode(&self, items: Range<usize>, cache: &SeriesCache, out: &mut Vec<u8>) {
        let items = self.items.get(items).unwrap_or_default();
        for of_host in items.chunk_by(|a, b| a.host == b.host) {
            let host = of_host.first().map_or(0, |item| item.host);
            let resource = self.resources.get(host).map_or(&[][..], Vec::as_slice);
            let metrics = || of_host.chunk_by(|a, b| a.metric == b.metric);
            let scope = metrics().map(|items| field(MetricLengths::of(items, cache).metric));
            let scope = field(SCOPE.len()) + scope.sum::<usize>();
            let bytes = field(resource.len()) + field(scope);
            out.reserve(field(bytes));
            put_length(out, 0x0a, bytes);
            put_bytes(out, 0x0a, resource);
            put_length(out, 0x12, scope);
            put_bytes(out, 0x0a, SCOPE);
            for items in metrics() {
                self.encode_metric(items, cache, out);
            }
        }
    }

    fn encode_metric(&self, items: &[Item], cache: &SeriesCache, out: &mut Vec<u8>) {
        let lengths = MetricLengths::of(items, cache);
        let metric = items.first().and_then(|item| cache.metric(item.metric));
        let Some(Metric { header, kind, .. }) = metric else {
            return;
        };
        put_length(out, 0x12, lengths.metric);
        out.extend_from_slice(header);
        let tag = match kind {
            Kind::Gauge => 0x2a,
            Kind::Counter => 0x3a,
        };
        put_length(out, tag, lengths.data);
        for item in items {
            self.encode_points(item, out);
        }
        if *kind == Kind::Counter {
            out.extend_from_slice(&CUMULATIVE);
        }
    }

    fn encode_points(&self, item: &Item, out: &mut Vec<u8>) {
        let attributes = self.attributes.get(item.attributes.clone());
        let mut point = Vec::with_capacity(field(item.point_length()));
        put_length(&mut point, 0x0a, item.point_length());
        if item.begin > 0 {
            point.push(0x11);
            point.extend_from_slice(&item.begin.to_le_bytes());
        }
        let (head, tail) = (point, attributes.unwrap_or_default());
        for (time, value) in self.points.get(item.points.clone()).unwrap_or_default() {
            out.extend_from_slice(&head);
            out.push(0x19);
            out.extend_from_slice(&time.to_le_bytes());
            if item.has_ended {
                out.extend_from_slice(&NO_VALUE);
            } else {
                out.push(0x21);
                out.extend_from_slice(&value.to_le_bytes());
            }
            out.extend_from_slice(tail);
        }
    }
}

/// Lengths of a metric's messages.
struct MetricLengths {
    data: usize,
    metric: usize,
}

impl MetricLengths {
    fn of(items: &[Item], cache: &SeriesCache) -> Self {
        let metric = items.first().and_then(|item| cache.metric(item.metric));
        let is_counter = metric.is_some_and(|metric| metric.kind == Kind::Counter);
        let points: usize = items.iter().map(Item::bytes).sum();
        let data = points + if is_counter { CUMULATIVE.len() } else { 0 };
        let header = metric.map_or(0, |metric| metric.header.len());
        Self {
            data,
            metric: header + field(data),
        }
    }
}

/// When a series stopped to have values.
fn ends(times: &[i64], column: &[f64], was_present: bool) -> Vec<i64> {
    let before = std::iter::once(was_present).chain(column.iter().map(|value| !value.is_nan()));
    let values = times.iter().zip(column).zip(before);
    let ended = values.filter(|((_, value), was_present)| *was_present && value.is_nan());
    ended.map(|((time, _), _)| *time).collect()
}

fn put_length(out: &mut Vec<u8>, tag: u8, bytes: usize) {
    out.push(tag);
    put_u64(out, bytes as u64);
}
