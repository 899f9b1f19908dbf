//! One sender: its messages in, rows of its hosts out. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics};
use sysmon_wire::{HostFacts, Label, SeriesKey, UnixMs};

use crate::host::{HOLD_MS, Host, ReadyRow};
use crate::point::{Span, read};
use crate::rejections::{Reason, Rejections};
use crate::resource::{Facts, Naming, parts};

/// A host that was not heard for this long makes room for another.
const IDLE_MS: i64 = 3_600_000;

/// Values in the rows that wait, of all hosts of a sender: 32 MiB.
const WAITING_VALUES_MAX: usize = 4 << 20;

/// What a sender may send.
#[derive(Clone, Copy, Debug)]
pub struct MapperLimits {
    /// Hosts at a time.
    pub hosts: usize,
    /// The oldest time that is accepted.
    pub oldest: UnixMs,
    /// The newest.
    pub newest: UnixMs,
}

/// Rows of one host that are complete, with its series.
#[derive(Debug)]
pub struct HostFeed<'a> {
    /// The host's name.
    pub host: &'a Label,
    /// Changes when the indices of series get other meanings; otherwise series are only added.
    pub table: u64,
    /// Its series.
    pub keys: &'a [Arc<SeriesKey>],
    /// What is known of it.
    pub facts: HostFacts,
    /// In the order in which they were completed.
    pub rows: Vec<ReadyRow>,
}

/// The state of one sender.
#[derive(Debug)]
pub struct Mapper {
    naming: Naming,
    hosts: HashMap<Label, Host>,
}

impl Mapper {
    /// Milliseconds after a message at which its rows are complete.
    pub const HOLD_MS: i64 = HOLD_MS;

    /// A sender whose hosts are known by `naming`.
    pub fn new(naming: Naming) -> Self {
        Self {
            naming,
            hosts: HashMap::new(),
        }
    }

    /// Hosts at present.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Whether a host is known.
    pub fn has(&self, host: &Label) -> bool {
        self.hosts.contains_key(host)
    }

    /// Adds a message. `admit` says whether the sender may write a host, once for each resource.
    pub fn add(
        &mut self,
        request: &ExportMetricsServiceRequest,
        limits: MapperLimits,
        now: UnixMs,
        mut admit: impl FnMut(&Label) -> Result<(), String>,
    ) -> Rejections {
        let mut rejections = Rejections::default();
        for resource in &request.resource_metrics {
            let host = self.host(resource, limits.hosts, now, &mut admit);
            let added =
                host.map(|name| self.add_resource(&name, resource, limits, now, &mut rejections));
            if let Err(reason) = added {
                rejections.add(reason, points_of(resource));
            }
        }
        rejections
    }

    fn host(
        &mut self,
        resource: &ResourceMetrics,
        hosts_max: usize,
        now: UnixMs,
        admit: &mut impl FnMut(&Label) -> Result<(), String>,
    ) -> Result<Label, Reason> {
        let nothing = Default::default();
        let described = resource.resource.as_ref().unwrap_or(&nothing);
        let name = self.naming.host(described)?;
        admit(&name).map_err(|reason| Reason::Host(format!("of host {name}: {reason}")))?;
        if !self.hosts.contains_key(&name) {
            if self.hosts.len() >= hosts_max {
                self.hosts.retain(|_, host| now - host.last_heard < IDLE_MS);
            }
            if self.hosts.len() >= hosts_max {
                return Err(Reason::Host(format!(
                    "of hosts beyond {hosts_max}, the most of this sender"
                )));
            }
            self.hosts.insert(name.clone(), Host::default());
        }
        Ok(name)
    }

    fn add_resource(
        &mut self,
        name: &Label,
        resource: &ResourceMetrics,
        limits: MapperLimits,
        now: UnixMs,
        rejections: &mut Rejections,
    ) {
        let waiting: usize = self.hosts.values().map(Host::waiting_values).sum();
        let room = WAITING_VALUES_MAX.saturating_sub(waiting);
        let Some(host) = self.hosts.get_mut(name) else {
            return;
        };
        let described = resource.resource.as_ref();
        host.describe(described.map(Facts::of).unwrap_or_default());
        let parts = described.map(parts).unwrap_or_default();
        let span = Span {
            oldest: limits.oldest,
            newest: limits.newest,
        };
        let metrics = resource
            .scope_metrics
            .iter()
            .flat_map(|scope| &scope.metrics);
        let mut readings = Vec::new();
        for metric in metrics {
            readings.extend(read(metric, &parts, span, &mut host.scales, rejections));
        }
        host.add(readings, room, now, rejections);
    }

    /// The rows that are complete at `now`.
    pub fn ready(&mut self, now: UnixMs) -> Vec<HostFeed<'_>> {
        let mut feeds = Vec::new();
        for (name, host) in &mut self.hosts {
            host.close_due(now);
            let rows = host.take_ready();
            if rows.is_empty() {
                continue;
            }
            let host = &*host;
            let (table, keys) = host.table();
            feeds.push(HostFeed {
                host: name,
                table,
                keys,
                facts: host.facts(),
                rows,
            });
        }
        feeds
    }
}

/// Points of a message.
pub fn points(request: &ExportMetricsServiceRequest) -> u64 {
    let resources = request.resource_metrics.iter();
    resources.map(|resource| points_of(resource) as u64).sum()
}

/// Points of a resource.
fn points_of(resource: &ResourceMetrics) -> usize {
    let metrics = resource
        .scope_metrics
        .iter()
        .flat_map(|scope| &scope.metrics);
    let points = |metric: &Metric| match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
        None => 0,
    };
    metrics.map(points).sum()
}

#[cfg(test)]
mod tests;
