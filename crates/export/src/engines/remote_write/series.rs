//! Labels of series, encoded once. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sysmon_wire::metrics::metric;
use sysmon_wire::{HostFacts, Kind, Label, SeriesKey};

use crate::destination::DestinationOptions;
use crate::engines::protobuf::put_label;
use crate::names::{prometheus, valid};

/// Encoded series; beyond that all are encoded anew, since most are of containers that are gone.
const SERIES_MAX: usize = 20_000;

/// Labels of every series, and encoded those of each.
#[derive(Debug)]
pub(super) struct LabelCache {
    /// Labels of the destination, `job` among them.
    fixed: Vec<(String, String)>,
    /// Prefixes of tags that become labels.
    tags: Vec<String>,
    encoded: HashMap<usize, Encoded>,
    pub(super) families: BTreeMap<String, Family>,
}

/// What is known of all series of one name.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) unit: Label,
    pub(super) is_sent: bool,
}

#[derive(Debug)]
struct Encoded {
    /// Keeps the address, by which it is found, from being that of another.
    #[expect(dead_code, reason = "held for its address")]
    key: Arc<SeriesKey>,
    /// In the order of their names.
    labels: Vec<(String, Vec<u8>)>,
    /// All of them before `host`, and all after it.
    halves: [Vec<u8>; 2],
}

/// Labels of one host.
#[derive(Debug)]
pub(super) struct HostLabels(Vec<(String, Vec<u8>)>);

impl LabelCache {
    pub(super) fn new(options: &DestinationOptions) -> Self {
        let mut fixed: BTreeMap<String, String> = [("job".to_owned(), "sysmon".to_owned())].into();
        for (name, value) in &options.labels {
            fixed.insert(valid(name, "_"), value.clone());
        }
        fixed.remove("host");
        Self {
            fixed: fixed.into_iter().collect(),
            tags: options.tags.clone(),
            encoded: HashMap::new(),
            families: BTreeMap::new(),
        }
    }

    /// The labels that tell a host apart: its name, and chosen tags.
    pub(super) fn of_host(&self, host: &Label, facts: &HostFacts) -> HostLabels {
        let mut labels: BTreeMap<String, &str> = BTreeMap::new();
        for prefix in &self.tags {
            let of_prefix = |tag: &'_ Label| {
                let (name, value) = tag.as_str().split_once(':')?;
                (name == prefix).then_some(value.len())
            };
            let tag = facts
                .tags
                .iter()
                .find_map(|tag| Some((tag, of_prefix(tag)?)));
            let value =
                tag.and_then(|(tag, length)| tag.as_str().get(tag.as_str().len() - length..));
            let name = valid(prefix, "_");
            if let Some(value) =
                value.filter(|_| !self.fixed.iter().any(|(known, _)| *known == name))
            {
                labels.insert(name, value);
            }
        }
        labels.insert("host".to_owned(), host.as_str());
        let encode = |(name, value): (String, &str)| {
            let mut bytes = Vec::new();
            put_label(&mut bytes, &name, value);
            (name, bytes)
        };
        HostLabels(labels.into_iter().map(encode).collect())
    }

    /// Appends the labels of a host's series, in the order of their names.
    pub(super) fn put(&mut self, host: &HostLabels, key: &Arc<SeriesKey>, out: &mut Vec<u8>) {
        let address = Arc::as_ptr(key).addr();
        if !self.encoded.contains_key(&address) {
            let encoded = self.encode(key);
            if self.encoded.len() >= SERIES_MAX {
                self.encoded.clear();
            }
            self.encoded.insert(address, encoded);
        }
        let Some(encoded) = self.encoded.get(&address) else {
            return;
        };
        if let [(_, bytes)] = host.0.as_slice() {
            let [before, after] = &encoded.halves;
            out.extend_from_slice(before);
            out.extend_from_slice(bytes);
            out.extend_from_slice(after);
            return;
        }
        let mut all: Vec<_> = encoded.labels.iter().chain(&host.0).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, bytes) in all {
            out.extend_from_slice(bytes);
        }
    }

    fn encode(&mut self, key: &Arc<SeriesKey>) -> Encoded {
        let series = prometheus(key);
        self.families.entry(series.name.clone()).or_insert_with(|| {
            let known = metric(key.metric.name.as_str());
            Family {
                kind: key.metric.kind,
                help: known.map_or("", |metric| metric.about),
                unit: key.metric.unit.clone(),
                is_sent: false,
            }
        });
        let mut labels: BTreeMap<String, &str> = BTreeMap::new();
        for (name, value) in &self.fixed {
            labels.insert(name.clone(), value);
        }
        for (name, value) in &series.labels {
            let mut name = name.clone();
            while labels.contains_key(&name) || self.tags.iter().any(|tag| valid(tag, "_") == name)
            {
                name.insert_str(0, "exported_");
            }
            labels.insert(name, value.as_str());
        }
        labels.insert("__name__".to_owned(), &series.name);
        // A label without a value is none.
        labels.retain(|_, value| !value.is_empty());
        let encode = |(name, value): (String, &str)| {
            let mut bytes = Vec::new();
            put_label(&mut bytes, &name, value);
            (name, bytes)
        };
        let labels: Vec<_> = labels.into_iter().map(encode).collect();
        let half = |is_before: bool| {
            let half = labels
                .iter()
                .filter(|(name, _)| (name.as_str() < "host") == is_before);
            half.flat_map(|(_, bytes)| bytes).copied().collect()
        };
        Encoded {
            key: Arc::clone(key),
            halves: [half(true), half(false)],
            labels,
        }
    }
}
