//! Requests as protobuf (`prometheus.WriteRequest`). Pure.
//!
//! Written by hand because a series' labels are encoded once and copied from then on; the tests decode with prost.

use std::ops::Range;

use sysmon_wire::varint::put_u64;
use sysmon_wire::{Kind, Label};

use super::series::{Family, LabelCache};
use crate::HostRows;
use crate::engines::presence::{Changes, HostPresence, Presence, STALE};
use crate::engines::protobuf::{length, put_bytes, put_text};

/// Bytes of an encoded sample: two tags, a float, and a time in this century.
const SAMPLE_BYTES: usize = 18;

/// Series with their values, of which requests are made.
#[derive(Debug, Default)]
pub(super) struct Message {
    labels: Vec<u8>,
    samples: Vec<(i64, f64)>,
    items: Vec<Item>,
}

/// Values of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    labels: Range<usize>,
    samples: Range<usize>,
}

impl Item {
    pub(super) fn samples(&self) -> usize {
        self.samples.len()
    }

    fn bytes(&self) -> usize {
        self.labels.len() + self.samples.len() * SAMPLE_BYTES
    }
}

/// A request in two halves: of its series, or of the values of its only series; none for one value.
pub(super) fn halves(items: &[Item]) -> Option<(Vec<Item>, Vec<Item>)> {
    match items {
        [] => None,
        [item] if item.samples.len() < 2 => None,
        [item] => {
            let middle = item.samples.start + item.samples.len() / 2;
            let part = |samples| Item {
                labels: item.labels.clone(),
                samples,
            };
            let (first, second) = (item.samples.start..middle, middle..item.samples.end);
            Some((vec![part(first)], vec![part(second)]))
        }
        items => {
            let (first, second) = items.split_at(items.len() / 2);
            Some((first.to_vec(), second.to_vec()))
        }
    }
}

impl Message {
    pub(super) fn clear(&mut self) {
        self.labels.clear();
        self.samples.clear();
        self.items.clear();
    }

    /// Adds the rows of a host, and where a series of it ends, a staleness marker.
    pub(super) fn add(
        &mut self,
        rows: &HostRows,
        labels: &mut LabelCache,
        presence: &Presence,
        changes: &mut Changes,
    ) {
        let of_host = labels.of_host(&rows.host, &rows.facts);
        let known = changes.get(&rows.host).map(Option::as_ref);
        let before = known.unwrap_or_else(|| presence.of(&rows.host));
        let is_older = before.is_some_and(|before| !before.is_before(rows));
        let before = before.filter(|_| !is_older).cloned();
        for (key, column) in rows.keys.iter().zip(&rows.columns) {
            let from = self.samples.len();
            let mut was_present = before.as_ref().is_some_and(|before| before.has(key));
            for (time, value) in rows.times.iter().zip(column) {
                if !value.is_nan() {
                    self.samples.push((*time, *value));
                } else if was_present && !rows.is_late && !is_older {
                    self.samples.push((*time, STALE));
                }
                was_present = !value.is_nan();
            }
            if self.samples.len() > from {
                let begin = self.labels.len();
                labels.put(&of_host, key, &mut self.labels);
                self.push(begin, from);
            }
        }
        if rows.is_late || is_older {
            return;
        }
        if let Some(before) = &before {
            for key in &before.dropped(rows) {
                let (begin, from) = (self.labels.len(), self.samples.len());
                labels.put(&of_host, key, &mut self.labels);
                self.samples.push((before.end(), STALE));
                self.push(begin, from);
            }
        }
        changes.insert(rows.host.clone(), Some(HostPresence::after(rows)));
    }

    /// Adds staleness markers for all series of a host that is gone.
    pub(super) fn end(
        &mut self,
        host: &Label,
        labels: &mut LabelCache,
        presence: &Presence,
        changes: &mut Changes,
    ) {
        let known = changes.get(host).map(Option::as_ref);
        let Some(before) = known.unwrap_or_else(|| presence.of(host)).cloned() else {
            return;
        };
        let of_host = labels.of_host(host, &before.facts);
        for key in &before.keys {
            let (begin, from) = (self.labels.len(), self.samples.len());
            labels.put(&of_host, key, &mut self.labels);
            self.samples.push((before.end(), STALE));
            self.push(begin, from);
        }
        changes.insert(host.clone(), None);
    }

    fn push(&mut self, labels: usize, samples: usize) {
        self.items.push(Item {
            labels: labels..self.labels.len(),
            samples: samples..self.samples.len(),
        });
    }

    /// All series, in requests of about this size.
    pub(super) fn parts(&self, bytes_max: usize) -> Vec<Vec<Item>> {
        let mut parts: Vec<Vec<Item>> = Vec::new();
        let mut bytes = 0;
        for item in &self.items {
            match parts
                .last_mut()
                .filter(|_| bytes + item.bytes() <= bytes_max)
            {
                Some(part) => part.push(item.clone()),
                None => {
                    bytes = 0;
                    parts.push(vec![item.clone()]);
                }
            }
            bytes += item.bytes();
        }
        parts
    }

    /// Appends a request with these series.
    pub(super) fn encode(&self, items: &[Item], out: &mut Vec<u8>) {
        out.reserve(items.iter().map(|item| item.bytes() + 8).sum());
        for item in items {
            let labels = self.labels.get(item.labels.clone()).unwrap_or_default();
            let samples = self.samples.get(item.samples.clone()).unwrap_or_default();
            let sample_bytes = samples.iter().map(|(time, _)| 2 + sample_length(*time));
            out.push(0x0a);
            put_u64(out, (labels.len() + sample_bytes.sum::<usize>()) as u64);
            out.extend_from_slice(labels);
            for (time, value) in samples {
                out.push(0x12);
                put_u64(out, sample_length(*time) as u64);
                out.push(0x09);
                out.extend_from_slice(&value.to_le_bytes());
                out.push(0x10);
                put_u64(out, time.cast_unsigned());
            }
        }
    }
}

/// The length of a sample's message: two tags, the value, the time.
fn sample_length(time: i64) -> usize {
    10 + length(time.cast_unsigned())
}

/// Appends what is known of a name (`prometheus.MetricMetadata`).
pub(super) fn put_metadata(out: &mut Vec<u8>, name: &str, family: &Family) {
    let mut message = vec![
        0x08,
        match family.kind {
            Kind::Counter => 1,
            Kind::Gauge => 2,
        },
    ];
    put_text(&mut message, 0x12, name);
    put_text(&mut message, 0x22, family.help);
    put_text(&mut message, 0x2a, family.unit.as_str());
    put_bytes(out, 0x1a, &message);
}
