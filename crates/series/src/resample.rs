//! From rows to the points of a chart: one value per step, counters as rates.

use sysmon_wire::message::Aggregate;
use sysmon_wire::metrics::unscale;
use sysmon_wire::{ABSENT, Kind, MetricDef, UnixMs};

use crate::buckets::{Bucket, column_of};
use crate::rate::{RATE_SCALE, rate, slope};
use crate::{Chunk, ChunkError};

/// Which points to make of a series.
#[derive(Clone, Copy, Debug)]
pub struct Resample {
    /// Beginning of the first step.
    pub from: UnixMs,
    /// The last step contains this moment.
    pub to: UnixMs,
    /// At least 1.
    pub step_ms: i64,
    /// How the values of one step become a point.
    pub aggregate: Aggregate,
}

impl Resample {
    /// Rounds the times down to whole steps, so that charts of different hosts line up.
    pub fn aligned(from: UnixMs, to: UnixMs, step_ms: i64, aggregate: Aggregate) -> Self {
        let step_ms = step_ms.max(1);
        Self {
            from: from.floor(step_ms),
            to: to.floor(step_ms),
            step_ms,
            aggregate,
        }
    }

    /// Number of points; 0 if `to` is before `from`.
    pub fn points(&self) -> usize {
        let steps = (self.to - self.from).div_euclid(self.step_ms);
        usize::try_from(steps.saturating_add(1)).unwrap_or(0)
    }

    /// The points of one series, NaN for a step without rows.
    ///
    /// Counters become rates first; the first step has one only if `times` starts with a row before [`Self::from`].
    pub fn apply(&self, metric: &MetricDef, times: &[i64], values: &[i64]) -> Vec<f64> {
        let mut steps = Steps::new(*self);
        steps.add_rows(metric, times, values);
        steps.points(metric)
    }

    fn place(&self, time: i64) -> Option<usize> {
        let at = (time - self.from.0).div_euclid(self.step_ms);
        usize::try_from(at).ok()
    }
}

/// The steps of one series while they fill, with rows and with [`Buckets`](crate::Buckets) of evicted rows.
#[derive(Clone, Debug)]
pub struct Steps {
    resample: Resample,
    steps: Vec<Step>,
    /// Every value with its step, for quantiles only.
    values: Vec<(usize, f64)>,
    is_quantile: bool,
    /// Index and beginning of the step of the last value.
    at: usize,
    start: i64,
    /// The previous row, for rates.
    before: (i64, i64),
}

impl Steps {
    /// Empty steps.
    pub fn new(resample: Resample) -> Self {
        Self {
            steps: vec![Step::default(); resample.points()],
            resample,
            values: Vec::new(),
            is_quantile: matches!(resample.aggregate, Aggregate::Quantile(_)),
            at: 0,
            start: resample.from.0,
            before: (0, ABSENT),
        }
    }

    /// Whether values become rates of change.
    fn is_rate(&self, metric: &MetricDef) -> bool {
        metric.kind == Kind::Counter || self.resample.aggregate == Aggregate::Rate
    }

    /// Sets the row that the next row's rate is computed from.
    pub fn start_after(&mut self, time: i64, value: i64) {
        self.before = (time, value);
    }

    /// Adds rows in order of time, later than everything added so far.
    pub fn add_rows(&mut self, metric: &MetricDef, times: &[i64], values: &[i64]) {
        let is_rate = self.is_rate(metric);
        let mut before = self.before;
        for (&time, &value) in times.iter().zip(values) {
            let real = match metric.kind {
                Kind::Gauge if is_rate => slope(before, (time, value)),
                Kind::Gauge => (value != ABSENT).then_some(value as f64),
                Kind::Counter => rate(before, (time, value)),
            };
            before = (time, value);
            if let Some(real) = real {
                self.add(time, Step::of(real));
            }
        }
        self.before = before;
    }

    /// Adds the buckets of a series, by its index in the chunk, that begin before `before` and after everything
    /// added so far. Quantiles see only their last values.
    ///
    /// # Errors
    /// The chunk does not decode.
    pub fn add_buckets(
        &mut self,
        metric: &MetricDef,
        chunk: &Chunk,
        series: usize,
        before: UnixMs,
    ) -> Result<(), ChunkError> {
        let is_slope = metric.kind == Kind::Gauge && self.is_rate(metric);
        let scale = match metric.kind {
            Kind::Gauge => 1.0,
            Kind::Counter => 1.0 / RATE_SCALE,
        };
        // Decompress only the column that the aggregate needs.
        let first = match self.resample.aggregate {
            Aggregate::Mean | Aggregate::Sum => Bucket::SUM,
            Aggregate::Rate if !is_slope => Bucket::SUM,
            Aggregate::Min => Bucket::MIN,
            Aggregate::Max => Bucket::MAX,
            Aggregate::Rate | Aggregate::Last | Aggregate::Quantile(_) => Bucket::LAST,
        };
        let (mut times, mut values, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        if !column_of(chunk, series, first, &mut values)? {
            return Ok(());
        }
        if first == Bucket::SUM {
            column_of(chunk, series, Bucket::COUNT, &mut counts)?;
        }
        chunk.times(&mut times)?;
        let mut counts = counts.into_iter();
        for (time, value) in times.into_iter().zip(values) {
            let count = counts.next().unwrap_or(1);
            if time >= before.0 {
                break;
            }
            if value == ABSENT || count < 1 {
                continue;
            }
            let step = if is_slope {
                let now = (time, value);
                let slope = slope(self.before, now).map(Step::of);
                self.before = now;
                slope
            } else {
                Some(Step {
                    count: count.unsigned_abs(),
                    ..Step::of(value as f64 * scale)
                })
            };
            if let Some(step) = step {
                self.add(time, step);
            }
        }
        if metric.kind == Kind::Counter {
            // The next row is not adjacent to a bucket, so its rate is unknown.
            self.before = (0, ABSENT);
        }
        Ok(())
    }

    #[inline]
    fn add(&mut self, time: i64, other: Step) {
        // Almost every value falls into the step of the previous one.
        let since = time - self.start;
        if !(0..self.resample.step_ms).contains(&since) {
            let Some(at) = self.resample.place(time) else {
                return;
            };
            self.at = at;
            self.start = self.resample.from.0 + at as i64 * self.resample.step_ms;
        }
        let Some(step) = self.steps.get_mut(self.at) else {
            return;
        };
        step.merge(&other);
        if self.is_quantile {
            self.values.push((self.at, other.last));
        }
    }

    /// A point for each step in the metric's unit, NaN for an empty step.
    pub fn points(mut self, metric: &MetricDef) -> Vec<f64> {
        let scale = |value: f64| {
            if value.fract() == 0.0 && value.abs() < 9e15 {
                unscale(value as i64, metric.scale)
            } else {
                value * 10f64.powi(i32::from(metric.scale))
            }
        };
        if let Aggregate::Quantile(permille) = self.resample.aggregate {
            let q = f64::from(permille) / 1000.0;
            let mut points = vec![f64::NAN; self.steps.len()];
            self.values
                .sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            for step in self.values.chunk_by(|a, b| a.0 == b.0) {
                let sorted: Vec<f64> = step.iter().map(|(_, value)| *value).collect();
                let place = step.first().and_then(|(at, _)| points.get_mut(*at));
                if let Some(point) = place {
                    *point = scale(quantile(&sorted, q));
                }
            }
            return points;
        }
        self.steps
            .iter()
            .map(|step| scale(step.value(self.resample.aggregate)))
            .collect()
    }
}

/// The quantile `q` (0 to 1) of sorted values, interpolated linearly as in Prometheus; NaN for no values.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(end) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let rank = q.clamp(0.0, 1.0) * end as f64;
    let value = |at: f64| sorted.get(at as usize).copied().unwrap_or(f64::NAN);
    let (low, high) = (value(rank.floor()), value(rank.ceil()));
    low + (high - low) * rank.fract()
}

/// Running aggregates of one step.
#[derive(Clone, Copy, Debug)]
struct Step {
    count: u64,
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
    fn of(value: f64) -> Self {
        Self {
            count: 1,
            sum: value,
            min: value,
            max: value,
            last: value,
        }
    }

    #[inline]
    fn merge(&mut self, later: &Self) {
        self.count += later.count;
        self.sum += later.sum;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.last = later.last;
    }

    fn value(&self, aggregate: Aggregate) -> f64 {
        if self.count == 0 {
            return f64::NAN;
        }
        match aggregate {
            Aggregate::Mean | Aggregate::Rate => self.sum / self.count as f64,
            Aggregate::Min => self.min,
            Aggregate::Max => self.max,
            // `points` computes quantiles from all values.
            Aggregate::Last | Aggregate::Quantile(_) => self.last,
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
    fn a_step_without_a_row_is_nan() {
        let got = points(
            &CPU_UTILIZATION.def(),
            1000,
            &[(1000, 250), (2000, ABSENT), (4000, 500)],
        );
        assert!(same(&got, &[0.25, f64::NAN, f64::NAN, 0.5]), "{got:?}");
    }

    #[test]
    fn counters_become_rates_except_across_a_reset() {
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

    #[test]
    fn quantiles_interpolate_between_neighbours() {
        assert!(quantile(&[], 0.5).is_nan());
        assert_eq!(quantile(&[3.0], 0.99), 3.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        let rows: Vec<(i64, i64)> = (0..=10).map(|n| (1000 + n * 100, n * 100)).collect();
        let (times, values): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let resample =
            Resample::aligned(UnixMs(1000), UnixMs(1999), 1000, Aggregate::Quantile(900));
        let got = resample.apply(&CPU_UTILIZATION.def(), &times, &values);
        assert!(same(&got, &[0.81]), "{got:?}");
    }

    #[test]
    fn the_rate_of_a_gauge_may_fall() {
        let resample = Resample::aligned(UnixMs(1000), UnixMs(2000), 1000, Aggregate::Rate);
        let got = resample.apply(&CPU_UTILIZATION.def(), &[0, 1000, 2000], &[100, 300, 200]);
        assert!(same(&got, &[0.2, -0.1]), "{got:?}");
    }
}
