//! Buckets in the units of their metrics, as others store them.

use sysmon_wire::{Kind, MetricDef};

use crate::Bucket;
use crate::rate::RATE_SCALE;

/// A [`Bucket`] in units, without a scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unscaled {
    /// Smallest value.
    pub min: f64,
    /// Mean of the values.
    pub mean: f64,
    /// Largest value.
    pub max: f64,
    /// Newest value.
    pub last: f64,
    /// Number of values.
    pub count: i64,
}

/// By how much numbers of a bucket are greater than those in the unit of the metric: a factor, or its inverse, so that
/// no digit is lost in either direction.
fn factors(metric: &MetricDef) -> (f64, f64) {
    let power = 10f64.powi(i32::from(metric.scale).abs());
    let (up, down) = match metric.scale {
        0.. => (1.0, power),
        _ => (power, 1.0),
    };
    match metric.kind {
        Kind::Gauge => (up, down),
        Kind::Counter => (up * RATE_SCALE, down),
    }
}

impl Bucket {
    /// Its numbers in the unit of the metric, or per second of it where that is a counter.
    pub fn unscaled(&self, metric: &MetricDef) -> Unscaled {
        let (up, down) = factors(metric);
        let unscale = |number: i64| number as f64 * down / up;
        Unscaled {
            min: unscale(self.min),
            mean: unscale(self.sum) / self.count.max(1) as f64,
            max: unscale(self.max),
            last: unscale(self.last),
            count: self.count,
        }
    }

    /// The bucket with these numbers; none if one of them cannot be.
    pub fn of_unscaled(metric: &MetricDef, values: &Unscaled) -> Option<Self> {
        let (up, down) = factors(metric);
        let number = |value: f64| {
            let scaled = (value * up / down).round();
            let is_in_range = scaled.abs() < i64::MAX as f64 && scaled.is_finite();
            is_in_range.then_some(scaled as i64)
        };
        (values.count > 0).then_some(())?;
        Some(Self {
            count: values.count,
            min: number(values.min)?,
            max: number(values.max)?,
            sum: number(values.mean * values.count as f64)?,
            last: number(values.last)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Buckets;
    use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO};

    #[test]
    fn buckets_in_units_become_the_same_buckets_again() {
        let bucket = Bucket {
            count: 60,
            min: -3,
            max: 123_456_789,
            sum: 987_654_321,
            last: 61,
        };
        for metric in [CPU_UTILIZATION, NET_IO].map(|metric| metric.series(&[]).metric) {
            let unscaled = bucket.unscaled(&metric);
            assert_eq!(Bucket::of_unscaled(&metric, &unscaled), Some(bucket));
            let infinite = Unscaled {
                max: f64::INFINITY,
                ..unscaled
            };
            assert_eq!(Bucket::of_unscaled(&metric, &infinite), None);
        }
        let times = vec![0, 60_000, 120_000];
        let series = vec![vec![Some(bucket), None, Some(bucket)], vec![None; 3]];
        let buckets = Buckets::of_series(times, &series);
        let of = |at| buckets.of(at).collect::<Vec<_>>();
        assert_eq!(
            (of(0), of(1)),
            (vec![(0, bucket), (120_000, bucket)], vec![])
        );
    }
}
