//! Custom metrics of hosts, which come from files and commands of their agents, for Prometheus. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sysmon_export::names::prometheus;
use sysmon_series::Ring;
use sysmon_wire::metrics::{metric, unscale};
use sysmon_wire::{ABSENT, Kind, Label, SeriesKey, UnixMs};

/// Age past which the newest row does not show the present. Agents repeat the last value of a slow command in every row.
const AGE_MS_MAX: i64 = 60_000;

/// The series of a host that are not of the registry.
#[derive(Debug, Default)]
pub struct CustomSeries(BTreeSet<u32>);

impl CustomSeries {
    pub fn note_series(&mut self, index: u32, key: &SeriesKey) {
        if metric(key.metric.name.as_str()).is_none() {
            self.0.insert(index);
        } else {
            self.0.remove(&index);
        }
    }

    /// Those among the host's series, with their newest values.
    pub fn present(
        &self,
        keys: &[Arc<SeriesKey>],
        ring: &Ring,
        now: UnixMs,
    ) -> Vec<(Arc<SeriesKey>, i64)> {
        let indices: Vec<u32> = self.0.iter().copied().collect();
        if indices.is_empty() {
            return Vec::new();
        }
        let row = ring.at_with(&[], &indices, now - AGE_MS_MAX, now);
        let Ok(Some((_, values))) = row else {
            return Vec::new();
        };
        let present = indices
            .iter()
            .zip(values)
            .filter(|(_, value)| *value != ABSENT);
        present
            .filter_map(|(index, value)| Some((Arc::clone(keys.get(*index as usize)?), value)))
            .collect()
    }
}

/// One line of a family: its labels and value.
pub type CustomLine = (Vec<(String, Label)>, f64);

/// The families of the custom metrics of all hosts by name, each with its kind.
#[derive(Debug, Default)]
pub struct CustomFamilies(BTreeMap<String, (Kind, Vec<CustomLine>)>);

impl CustomFamilies {
    pub fn add(&mut self, host: &Label, series: &[(Arc<SeriesKey>, i64)]) {
        for (key, value) in series {
            let named = prometheus(key);
            let own = ("host".to_owned(), host.clone());
            let labels: Vec<_> = std::iter::once(own).chain(named.labels).collect();
            let family = self.0.entry(named.name);
            let (_, lines) = family.or_insert_with(|| (key.metric.kind, Vec::new()));
            // A metric whose scale changed may have two series for a moment.
            if !lines.iter().any(|(known, _)| *known == labels) {
                lines.push((labels, unscale(*value, key.metric.scale)));
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Kind, &[CustomLine])> {
        let families = self.0.iter();
        families.map(|(name, (kind, lines))| (name.as_str(), *kind, lines.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::MetricDef;
    use sysmon_wire::metrics::UPTIME;

    fn key(name: &str, kind: Kind, attributes: &[(&str, &str)]) -> Arc<SeriesKey> {
        let metric = MetricDef {
            name: name.into(),
            unit: "By".into(),
            kind,
            scale: -3,
        };
        let attributes = attributes.iter().map(|(n, v)| ((*n).into(), (*v).into()));
        Arc::new(SeriesKey {
            metric,
            attributes: attributes.collect(),
        })
    }

    #[test]
    fn families_have_valid_names_and_each_line_its_host() {
        let mut families = CustomFamilies::default();
        let series = [
            (
                key("backup_bytes", Kind::Gauge, &[("job", "db"), ("host", "x")]),
                1500,
            ),
            (
                key("backup_bytes", Kind::Gauge, &[("job", "db"), ("host", "x")]),
                9,
            ),
            (
                key("quoted.name", Kind::Counter, &[("my.label", "v")]),
                2000,
            ),
            (key("sysmon_host_up", Kind::Gauge, &[]), 1000),
        ];
        families.add(&"a".into(), &series);
        families.add(&"b".into(), &series[..1]);
        let found: Vec<_> = families.iter().collect();
        let names: Vec<_> = found.iter().map(|(name, kind, _)| (*name, *kind)).collect();
        assert_eq!(
            names,
            [
                ("backup_bytes", Kind::Gauge),
                ("exported_sysmon_host_up", Kind::Gauge),
                ("quoted_name_bytes_total", Kind::Counter)
            ]
        );
        let (_, _, lines) = found[0];
        assert_eq!(lines.len(), 2, "once for each host");
        let labels: Vec<_> = lines[0].0.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(labels, ["host=a", "exported_host=x", "job=db"]);
        assert_eq!(lines[0].1, 1.5);
        assert_eq!(found[2].2[0].0[1].0, "my_label");
    }

    #[test]
    fn series_of_the_registry_are_not_custom() {
        let mut custom = CustomSeries::default();
        custom.note_series(4, &key("x", Kind::Gauge, &[]));
        custom.note_series(5, &UPTIME.series(&[]));
        assert_eq!(custom.0, [4].into());
        custom.note_series(4, &UPTIME.series(&[]));
        assert!(
            custom.0.is_empty(),
            "the index belongs to another series now"
        );
    }
}
