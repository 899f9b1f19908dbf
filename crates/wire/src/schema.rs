//! Series definitions, which precede the rows that use them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Label;
use crate::limits::{ATTRIBUTES_PER_SERIES_MAX, METRICS_PER_TABLE_MAX, SERIES_PER_HOST_MAX};

/// How to interpret a metric's values (OpenTelemetry's data model).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A level: the value itself means something.
    Gauge,
    /// A monotonic sum: only differences mean something; a smaller value is a reset.
    Counter,
}

/// One metric: what is measured, in which unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MetricDef {
    /// OpenTelemetry name.
    pub name: Label,
    /// Unit in UCUM notation: `By`, `s`, `1`, `Cel`, `{packet}`.
    pub unit: Label,
    /// Gauge or counter.
    pub kind: Kind,
    /// Decimal exponent: the real value is the integer times ten to this power.
    pub scale: i8,
}

/// One series of a host: a metric and the attributes that tell its series apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    /// The metric.
    pub metric: MetricDef,
    /// Attribute names and values, sorted by name.
    pub attributes: Vec<(Label, Label)>,
}

impl SeriesKey {
    /// The value of attribute `name`.
    pub fn attribute(&self, name: &str) -> Option<&Label> {
        self.attributes
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

/// Definitions of series, in the order of their indices, with each text written once.
///
/// Tables of one agent run add up: the first series of a later table takes the next free index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesTable {
    labels: Vec<Label>,
    metrics: Vec<MetricDef>,
    series: Vec<(u32, Vec<(u32, u32)>)>,
}

/// Why a series table is rejected.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SchemaError {
    /// An index points outside the table.
    #[error("series table refers to a missing entry")]
    Dangling,
    /// A limit is exceeded.
    #[error("series table exceeds the limit of {0}")]
    TooMany(&'static str),
}

impl SeriesTable {
    /// A table of these series.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a SeriesKey>) -> Self {
        let mut builder = SeriesTableBuilder::default();
        for key in keys {
            builder.push(key);
        }
        builder.finish()
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether it defines no series.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The series, validated.
    ///
    /// # Errors
    /// An index points outside the table, or a limit is exceeded.
    pub fn keys(&self) -> Result<Vec<SeriesKey>, SchemaError> {
        if self.series.len() > SERIES_PER_HOST_MAX {
            return Err(SchemaError::TooMany("series per host"));
        }
        if self.metrics.len() > METRICS_PER_TABLE_MAX {
            return Err(SchemaError::TooMany("metrics"));
        }
        self.series
            .iter()
            .map(|(metric, attributes)| self.key(*metric, attributes))
            .collect()
    }

    fn key(&self, metric: u32, attributes: &[(u32, u32)]) -> Result<SeriesKey, SchemaError> {
        if attributes.len() > ATTRIBUTES_PER_SERIES_MAX {
            return Err(SchemaError::TooMany("attributes per series"));
        }
        let label = |at: u32| {
            self.labels
                .get(at as usize)
                .cloned()
                .ok_or(SchemaError::Dangling)
        };
        let metric = self
            .metrics
            .get(metric as usize)
            .cloned()
            .ok_or(SchemaError::Dangling)?;
        let mut attributes = attributes
            .iter()
            .map(|&(name, value)| Ok((label(name)?, label(value)?)))
            .collect::<Result<Vec<_>, _>>()?;
        attributes.sort();
        Ok(SeriesKey { metric, attributes })
    }
}

/// Builds a [`SeriesTable`], writing each text and metric once.
#[derive(Debug, Default)]
pub struct SeriesTableBuilder {
    table: SeriesTable,
    labels: HashMap<Label, u32>,
    metrics: HashMap<MetricDef, u32>,
}

impl SeriesTableBuilder {
    /// Adds a series.
    pub fn push(&mut self, key: &SeriesKey) {
        let Self {
            table,
            labels,
            metrics,
        } = self;
        let metric = *metrics.entry(key.metric.clone()).or_insert_with(|| {
            table.metrics.push(key.metric.clone());
            table.metrics.len() as u32 - 1
        });
        let mut intern = |label: &Label| {
            *labels.entry(label.clone()).or_insert_with(|| {
                table.labels.push(label.clone());
                table.labels.len() as u32 - 1
            })
        };
        let attributes = key
            .attributes
            .iter()
            .map(|(n, v)| (intern(n), intern(v)))
            .collect();
        table.series.push((metric, attributes));
    }

    /// The table.
    pub fn finish(self) -> SeriesTable {
        self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    fn key(device: &str) -> SeriesKey {
        let metric = MetricDef {
            name: "system.disk.io".into(),
            unit: "By".into(),
            kind: Kind::Counter,
            scale: 0,
        };
        SeriesKey {
            metric,
            attributes: vec![("system.device".into(), device.into())],
        }
    }

    #[test]
    fn tables_make_the_round_trip_and_write_texts_once() {
        let keys = [key("sda"), key("sdb")];
        let table = SeriesTable::new(&keys);
        assert_eq!(table.labels.len(), 3);
        let mut bytes = Vec::new();
        codec::encode(&table, &mut bytes).unwrap();
        let back: SeriesTable = codec::decode(&bytes).unwrap();
        assert_eq!(back.keys().unwrap(), keys);
    }

    #[test]
    fn references_into_nothing_are_refused() {
        let mut table = SeriesTable::new(&[key("sda")]);
        table.labels.pop();
        assert_eq!(table.keys(), Err(SchemaError::Dangling));
    }
}
