//! From rows to the points of a chart: rates of counters, and one value a step.

use sysmon_wire::message::Aggregate;
use sysmon_wire::metrics::unscale;
use sysmon_wire::{ABSENT, Kind, MetricDef, UnixMs};

/// What a counter's unit gets when its rate is shown.
pub const RATE_UNIT_SUFFIX: &str = "/s";

/// The rate of a counter between two rows in scaled units a second; none across a reset, without
/// one of the values, or without time between them.
pub fn rate(before: (i64, i64), now: (i64, i64)) -> Option<f64> {
    let ((t0, v0), (t1, v1)) = (before, now);
    (v0 != ABSENT && v1 != ABSENT && v1 >= v0 && t1 > t0)
        .then(|| v1.saturating_sub(v0) as f64 * 1000.0 / (t1 - t0) as f64)
}

/// How a series is to be made into points.
#[derive(Clone, Copy, Debug)]
pub struct Resample {
    /// Beginning of the first step.
    pub from: UnixMs,
    /// The last step is the one that holds this moment.
    pub to: UnixMs,
    /// Milliseconds of a step, at least 1.
    pub step_ms: i64,
    /// What a step's values become.
    pub aggregate: Aggregate,
}

impl Resample {
    /// A request with its times moved to whole steps, so that charts of different hosts line up.
    pub fn aligned(from: UnixMs, to: UnixMs, step_ms: i64, aggregate: Aggregate) -> Self {
        let step_ms = step_ms.max(1);
        Self {
            from: from.floor(step_ms),
            to: to.floor(step_ms),
            step_ms,
            aggregate,
        }
    }

    /// How many points it makes; 0 if it ends before it begins.
    pub fn points(&self) -> usize {
        let steps = (self.to - self.from).div_euclid(self.step_ms);
        usize::try_from(steps.saturating_add(1)).unwrap_or(0)
    }

    /// Makes the points of one series, NaN where no row lies in a step.
    ///
    /// A counter's rows become rates first; for the first of them to count, `times` begin with a
    /// row before [`Self::from`].
    pub fn apply(&self, metric: &MetricDef, times: &[i64], values: &[i64]) -> Vec<f64> {
        let mut steps = vec![Step::default(); self.points()];
        let mut before = (0, ABSENT);
        for (&time, &value) in times.iter().zip(values) {
            let real = match metric.kind {
                Kind::Gauge => (value != ABSENT).then_some(value as f64),
                Kind::Counter => rate(before, (time, value)),
            };
            before = (time, value);
            let at = (time - self.from.0).div_euclid(self.step_ms);
            let step = usize::try_from(at).ok().and_then(|at| steps.get_mut(at));
            if let (Some(real), Some(step)) = (real, step) {
                step.add(real);
            }
        }
        let scale = |value: f64| {
            if value.fract() == 0.0 && value.abs() < 9e15 {
                unscale(value as i64, metric.scale)
            } else {
                value * 10f64.powi(i32::from(metric.scale))
            }
        };
        steps
            .iter()
            .map(|step| scale(step.value(self.aggregate)))
            .collect()
    }
}

/// What is kept of one step's values.
#[derive(Clone, Copy, Debug)]
struct Step {
    count: u32,
    sum: f64,
    min: f64,
    max: f64,
    last: f64,
}

impl Default for Step {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            last: f64::NAN,
        }
    }
}

impl Step {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.last = value;
    }

    fn value(&self, aggregate: Aggregate) -> f64 {
        if self.count == 0 {
            return f64::NAN;
        }
        match aggregate {
            Aggregate::Mean => self.sum / f64::from(self.count),
            Aggregate::Min => self.min,
            Aggregate::Max => self.max,
            Aggregate::Last => self.last,
            Aggregate::Sum => self.sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO};

    fn points(metric: &MetricDef, step_ms: i64, rows: &[(i64, i64)]) -> Vec<f64> {
        let (times, values): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
        Resample::aligned(UnixMs(1000), UnixMs(4000), step_ms, Aggregate::Mean)
            .apply(metric, &times, &values)
    }

    fn same(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len()
            && a.iter()
                .zip(b)
                .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
    }

    #[test]
    fn a_second_without_a_row_is_missing() {
        let got = points(
            &CPU_UTILIZATION.def(),
            1000,
            &[(1000, 250), (2000, ABSENT), (4000, 500)],
        );
        assert!(same(&got, &[0.25, f64::NAN, f64::NAN, 0.5]), "{got:?}");
    }

    #[test]
    fn counters_become_rates_and_a_reset_has_none() {
        let rows = [(0, 100), (1000, 300), (2000, 300), (3000, 50), (4000, 150)];
        let got = points(&NET_IO.def(), 1000, &rows);
        assert!(same(&got, &[200.0, 0.0, f64::NAN, 100.0]), "{got:?}");
    }

    #[test]
    fn a_step_is_the_mean_of_its_rows() {
        let got = points(
            &CPU_UTILIZATION.def(),
            2000,
            &[(2000, 100), (3000, 200), (4000, 900)],
        );
        assert!(same(&got, &[f64::NAN, 0.15, 0.9]), "{got:?}");
    }
}
