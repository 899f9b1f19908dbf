//! Names, attributes and resources, encoded once. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sysmon_wire::metrics::metric;
use sysmon_wire::{HostFacts, Kind, Label, SeriesKey, UnixMs};

use crate::destination::DestinationOptions;
use crate::engines::protobuf::{put_bytes, put_text};
use crate::names::opentelemetry;

/// Encoded series; beyond that all are encoded anew, since most are of containers that are gone.
const SERIES_MAX: usize = 20_000;

/// Two times of boot that are less apart are the same: the wall clock was corrected.
const SAME_BOOT_MS: i64 = 10_000;

/// Encoded series and resources.
#[derive(Debug)]
pub(super) struct SeriesCache {
    /// Attributes of every resource.
    labels: BTreeMap<String, String>,
    /// Prefixes of tags that become attributes.
    tags: Vec<String>,
    /// By the address of the key.
    series: HashMap<usize, Series>,
    metrics: Vec<Metric>,
    numbers: HashMap<(String, Label, Kind), usize>,
    boots: HashMap<Label, UnixMs>,
}

/// What all series of one metric share.
#[derive(Debug)]
pub(super) struct Metric {
    /// Its encoded name, description and unit.
    pub(super) header: Vec<u8>,
    pub(super) kind: Kind,
    /// Whether its counters begin when the host boots.
    begins_with_boot: bool,
}

/// An encoded series.
#[derive(Debug)]
pub(super) struct Series {
    /// Keeps the address, by which it is found, from being that of another.
    #[expect(dead_code, reason = "held for its address")]
    key: Arc<SeriesKey>,
    /// The place of its metric.
    pub(super) metric: usize,
    /// The encoded attributes of its points.
    pub(super) attributes: Vec<u8>,
}

impl SeriesCache {
    pub(super) fn new(options: &DestinationOptions) -> Self {
        Self {
            labels: options.labels.clone(),
            tags: options.tags.clone(),
            series: HashMap::new(),
            metrics: Vec::new(),
            numbers: HashMap::new(),
            boots: HashMap::new(),
        }
    }

    /// Forgets what is encoded if it has become too much. The places of metrics are others afterwards.
    pub(super) fn prune(&mut self) {
        if self.series.len() >= SERIES_MAX {
            self.series.clear();
            self.metrics.clear();
            self.numbers.clear();
        }
    }

    pub(super) fn forget(&mut self, host: &Label) {
        self.boots.remove(host);
    }

    pub(super) fn metric(&self, place: usize) -> Option<&Metric> {
        self.metrics.get(place)
    }

    /// The series of a key.
    pub(super) fn of(&mut self, key: &Arc<SeriesKey>) -> &Series {
        let Self {
            series,
            metrics,
            numbers,
            ..
        } = self;
        series
            .entry(Arc::as_ptr(key).addr())
            .or_insert_with(|| encode(key, metrics, numbers))
    }

    /// When the counters of a metric began on a host, in nanoseconds; 0 if that is not known, or after `first`.
    pub(super) fn begin(&self, place: usize, host: &Label, first_ms: i64) -> u64 {
        let metric = self.metrics.get(place);
        let begins_with_boot = metric.is_some_and(|metric| metric.begins_with_boot);
        let boot = self.boots.get(host).filter(|_| begins_with_boot);
        // Rows of before the last boot may be sent after it.
        boot.filter(|boot| boot.0 > 0 && boot.0 <= first_ms)
            .map_or(0, |boot| nanoseconds(boot.0))
    }

    /// The attributes of a host's resource.
    pub(super) fn resource(&mut self, host: &Label, facts: &HostFacts) -> Vec<u8> {
        let known = self.boots.entry(host.clone()).or_insert(facts.boot);
        if (facts.boot - *known).abs() >= SAME_BOOT_MS {
            *known = facts.boot;
        }
        let mut attributes: BTreeMap<&str, &str> = [
            ("service.name", "sysmon"),
            ("host.id", facts.id.as_str()),
            ("os.description", facts.os.as_str()),
            ("os.type", os_type(facts)),
            ("os.version", facts.kernel.as_str()),
            ("host.arch", architecture(facts.arch.as_str())),
            ("host.cpu.model.name", facts.cpu_model.as_str()),
        ]
        .into();
        for prefix in &self.tags {
            let mut tags = facts
                .tags
                .iter()
                .filter_map(|tag| tag.as_str().split_once(':'));
            if let Some((name, value)) = tags.find(|(name, _)| name == prefix) {
                attributes.insert(name, value);
            }
        }
        let labels = self.labels.iter();
        attributes.extend(labels.map(|(name, value)| (name.as_str(), value.as_str())));
        // Receivers that make Prometheus' series of it tell hosts apart by the instance.
        attributes.insert("host.name", host.as_str());
        attributes.insert("service.instance.id", host.as_str());
        let mut resource = Vec::new();
        for (name, value) in attributes
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
        {
            put_attribute(&mut resource, 0x0a, name, value);
        }
        resource
    }
}

fn encode(
    key: &Arc<SeriesKey>,
    metrics: &mut Vec<Metric>,
    numbers: &mut HashMap<(String, Label, Kind), usize>,
) -> Series {
    let series = opentelemetry(key);
    let (unit, kind) = (key.metric.unit.clone(), key.metric.kind);
    let mut attributes = Vec::new();
    for (name, value) in series.attributes {
        put_attribute(&mut attributes, 0x3a, name.as_str(), value.as_str());
    }
    let known = metric(key.metric.name.as_str());
    let identity = (series.name.into_owned(), unit, kind);
    let place = numbers.get(&identity).copied().unwrap_or_else(|| {
        let (name, unit, _) = &identity;
        let mut header = Vec::new();
        put_text(&mut header, 0x0a, name);
        if let Some(known) = known {
            put_text(&mut header, 0x12, known.about);
        }
        put_text(&mut header, 0x1a, unit.as_str());
        metrics.push(Metric {
            header,
            kind,
            begins_with_boot: kind == Kind::Counter
                && known.is_some_and(|known| known.name.starts_with("system.")),
        });
        metrics.len() - 1
    });
    numbers.insert(identity, place);
    Series {
        key: Arc::clone(key),
        metric: place,
        attributes,
    }
}

/// Appends an attribute whose value is a text.
fn put_attribute(out: &mut Vec<u8>, tag: u8, name: &str, value: &str) {
    let (mut text, mut attribute) = (Vec::new(), Vec::new());
    put_text(&mut text, 0x0a, value);
    put_text(&mut attribute, 0x0a, name);
    put_bytes(&mut attribute, 0x12, &text);
    put_bytes(out, tag, &attribute);
}

pub(super) fn nanoseconds(ms: i64) -> u64 {
    u64::try_from(ms)
        .unwrap_or_default()
        .saturating_mul(1_000_000)
}

/// What the semantic conventions call a system; empty if it is not known.
fn os_type(facts: &HostFacts) -> &'static str {
    let os = facts.os.as_str().to_lowercase();
    let known = [
        ("windows", "windows"),
        ("macos", "darwin"),
        ("darwin", "darwin"),
        ("freebsd", "freebsd"),
        ("linux", "linux"),
    ];
    match known.iter().find(|(part, _)| os.contains(part)) {
        Some((_, name)) => name,
        // Agents are on Linux where distributions leave it out of their names.
        None if facts.source.as_str().is_empty() && !os.is_empty() => "linux",
        None => "",
    }
}

/// What the semantic conventions call an architecture.
fn architecture(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i586" | "i686" => "x86",
        name if name.starts_with("armv") => "arm32",
        name => name,
    }
}
