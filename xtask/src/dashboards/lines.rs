//! What lines of a chart are drawn from.

use sysmon_wire::metrics::Metric;
use sysmon_wire::{Kind, SeriesKey};

/// Series of a metric, of every chosen host: gauges as they are, counters as rates.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    pub(super) metric: Metric,
    /// Attributes with one value.
    pub(super) with: Vec<(&'static str, &'static str)>,
    /// Attributes of which each value is a line.
    pub(super) by: Vec<&'static str>,
    /// An attribute that other series of the metric have.
    pub(super) without: Option<&'static str>,
    /// What the legend says besides host and attributes.
    pub(super) name: Option<&'static str>,
    /// Whether the series are of hubs and not of the hosts.
    pub(super) is_of_hub: bool,
    /// Whether all series are added up.
    pub(super) is_sum: bool,
}

/// The series of a metric without attributes.
pub(super) fn of(metric: Metric) -> Lines {
    Lines {
        metric,
        with: Vec::new(),
        by: Vec::new(),
        without: None,
        name: None,
        is_of_hub: false,
        is_sum: false,
    }
}

/// The series of a hub's own metric without attributes.
pub(super) fn of_hub(metric: Metric) -> Lines {
    Lines {
        is_of_hub: true,
        ..of(metric)
    }
}

impl Lines {
    pub(super) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.with.push((name, value));
        self
    }

    pub(super) fn by(mut self, name: &'static str) -> Self {
        self.by.push(name);
        self
    }

    pub(super) fn without(mut self, name: &'static str) -> Self {
        self.without = Some(name);
        self
    }

    pub(super) fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    pub(super) fn sum(mut self) -> Self {
        self.is_sum = true;
        self
    }

    pub(super) fn is_rate(&self) -> bool {
        self.metric.kind == Kind::Counter
    }

    /// The name that chooses hosts or hubs.
    pub(super) fn hosts(&self) -> &'static str {
        if self.is_of_hub { "hub" } else { "host" }
    }

    /// What the legend says besides host and attributes: the name, or the values of the attributes that have one.
    pub(super) fn label(&self) -> String {
        let values: Vec<&str> = self.with.iter().map(|(_, value)| *value).collect();
        self.name.map_or_else(|| values.join(" "), str::to_owned)
    }

    /// One of the series, whose attributes with many values have the value `any`.
    pub(super) fn example(&self, any: &'static str) -> SeriesKey {
        let many = self.by.iter().map(|name| (*name, any));
        let attributes: Vec<_> = self.with.iter().copied().chain(many).collect();
        self.metric.series(&attributes)
    }
}
