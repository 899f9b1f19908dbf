//! How custom values are stored: as integers with a decimal scale and a unit for each metric. Pure.

use std::collections::HashMap;

use sysmon_wire::{Label, MetricDef, ScaleRange, SeriesKey};

use super::prometheus::CustomSample;

/// Metrics whose scale is remembered.
const METRICS_MAX: usize = 4096;

/// The ranges of the metrics that a source has now.
#[derive(Debug, Default)]
pub(super) struct Scales {
    ranges: HashMap<Label, ScaleRange>,
}

impl Scales {
    /// The series of one reading, and what is lost of their values.
    pub(super) fn store(
        &mut self,
        samples: &[CustomSample],
    ) -> (Vec<(SeriesKey, i64)>, Option<String>) {
        let before = std::mem::take(&mut self.ranges);
        for sample in samples.iter().take(METRICS_MAX) {
            let known = before.get(&sample.name).copied();
            let fresh = || known.unwrap_or_else(|| ScaleRange::new(is_count(sample.name.as_str())));
            let range = self.ranges.entry(sample.name.clone());
            range.or_insert_with(fresh).extend(sample.value);
        }
        self.ranges.values_mut().for_each(ScaleRange::settle);
        let (mut values, mut lost) = (Vec::with_capacity(samples.len()), None);
        for sample in samples {
            let Some(range) = self.ranges.get(&sample.name) else {
                continue;
            };
            let stored = range.store(sample.value);
            if stored.is_none() || range.loses(sample.value) {
                lost.get_or_insert_with(|| {
                    let (min, max) = range.extremes();
                    format!(
                        "{}: values from {min:e} to {max:e} are too far apart to keep the smallest exactly; use two metrics",
                        sample.name
                    )
                });
            }
            let Some(stored) = stored else { continue };
            let metric = MetricDef {
                name: sample.name.clone(),
                unit: Label::new(unit(sample.name.as_str())),
                kind: sample.kind,
                scale: range.scale(),
            };
            let key = SeriesKey {
                metric,
                attributes: sample.attributes.clone(),
            };
            values.push((key, stored));
        }
        (values, lost)
    }
}

/// Whether the name says that values are whole numbers.
fn is_count(name: &str) -> bool {
    let is_part = ["_seconds", "_ratio", "_celsius", "_joules", "_sum"]
        .iter()
        .any(|unit| name.trim_end_matches("_total").ends_with(unit));
    let suffixes = ["_total", "_count", "_bucket", "_bytes"];
    !is_part && suffixes.iter().any(|suffix| name.ends_with(suffix))
}

/// The unit that a name ends in by Prometheus' conventions, in UCUM notation.
fn unit(name: &str) -> &'static str {
    let base = ["_total", "_sum"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix));
    let units = [
        ("_bytes", "By"),
        ("_seconds", "s"),
        ("_celsius", "Cel"),
        ("_ratio", "1"),
    ];
    let base = base.unwrap_or(name);
    let unit = units.iter().find(|(suffix, _)| base.ends_with(suffix));
    unit.map_or("1", |(_, unit)| *unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::prometheus::parse;
    use proptest::prelude::*;
    use sysmon_wire::metrics::unscale;

    /// The unit, scale and real value of each line, and whether anything is lost.
    fn stored(scales: &mut Scales, text: &str) -> (Vec<(String, i8, f64)>, bool) {
        let parsed = parse(text, 1000);
        assert_eq!(parsed.bad, None);
        let samples = parsed.samples;
        let (values, lost) = scales.store(&samples);
        let values = values.into_iter().map(|(key, value)| {
            let scale = key.metric.scale;
            (key.metric.unit.to_string(), scale, unscale(value, scale))
        });
        (values.collect(), lost.is_some())
    }

    fn one(text: &str) -> (String, i8, f64) {
        let (values, lost) = stored(&mut Scales::default(), text);
        assert!(!lost, "{text}");
        values[0].clone()
    }

    #[test]
    fn values_of_any_size_are_kept_and_integers_exactly() {
        for (text, scale, value) in [
            ("backup_size_bytes 2.5e+12", 0, 2.5e12),
            ("time_ms 1700000000123", -6, 1_700_000_000_123.0),
            ("sent_bytes_total 1.5e13", 0, 1.5e13),
            ("small 0.0000004", -9, 4e-7),
            ("small -1.5e-3", -6, -1.5e-3),
            ("tiny 1.25e-40", -42, 1.25e-40),
            ("huge 1e60", 42, 1e60),
            ("whole 5000000000000000", -3, 5e15),
            ("rate 12.5", -6, 12.5),
            ("nothing 0", -6, 0.0),
        ] {
            let found = one(text);
            assert_eq!(found.1, scale, "{text}");
            assert!(
                (found.2 - value).abs() <= value.abs() * 1e-15,
                "{text}: {}",
                found.2
            );
        }
        let key = &Scales::default()
            .store(&parse("x_count 9007199254740993", 9).samples)
            .0[0];
        assert_eq!(key.1, 9_007_199_254_740_993);
    }

    #[test]
    fn units_follow_from_the_name() {
        for (name, unit) in [
            ("a_bytes", "By"),
            ("a_bytes_total", "By"),
            ("a_seconds_sum", "s"),
            ("a_seconds_count", "1"),
            ("a_seconds_bucket", "1"),
            ("a_celsius", "Cel"),
            ("a_ratio", "1"),
            ("a", "1"),
        ] {
            assert_eq!(one(&format!("{name} 1")).0, unit, "{name}");
        }
    }

    #[test]
    fn a_scale_stays_while_it_holds_the_values_and_never_changes_back() {
        let mut scales = Scales::default();
        let mut scale = |value: &str| stored(&mut scales, &format!("load {value}\n")).0[0].1;
        let found = ["1", "50", "0.0000001", "3", "7", "0.5"].map(&mut scale);
        assert_eq!(found, [-6, -6, -9, -9, -9, -9]);
        let mut jobs = Scales::default();
        let mut scale = |value: &str| stored(&mut jobs, &format!("jobs_total {value}\n")).0[0].1;
        assert_eq!(["5", "5.5", "6"].map(&mut scale), [0, -6, -6]);
    }

    #[test]
    fn a_value_that_is_rounded_away_is_noted() {
        let (values, lost) = stored(&mut Scales::default(), "x{a=\"1\"} 1e300\nx{a=\"2\"} 1.5\n");
        assert!(lost, "{values:?}");
    }

    proptest! {
        #[test]
        fn three_significant_digits_of_every_float_are_kept(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let is_usual = (1e-117..1e138).contains(&value.abs());
            prop_assume!(is_usual);
            let (values, lost) = stored(&mut Scales::default(), &format!("x {value:e}\n"));
            prop_assert!(!lost);
            prop_assert!((values[0].2 - value).abs() <= value.abs() * 0.005, "{:?} {value:e}", values);
        }

        #[test]
        fn integers_are_kept_exactly(value in any::<i64>()) {
            let samples = parse(&format!("x_count {value}\n"), 9).samples;
            let (values, _) = Scales::default().store(&samples);
            prop_assume!(value > i64::MIN);
            prop_assert_eq!(values[0].1, value);
        }
    }
}
