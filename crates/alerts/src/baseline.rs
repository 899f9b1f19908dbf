//! The usual values of a series at one hour of the week, from the same hour of earlier weeks. Pure.

use sysmon_wire::{Kind, MetricDef, UnixMs};

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// Milliseconds of the means that are compared.
pub const SLOT_MS: i64 = 600_000;

/// Earlier weeks that are used: the default retention of minutes.
pub const WEEKS_MAX: i64 = 4;

/// Weeks that a baseline needs at least.
pub const WEEKS_MIN: usize = 2;

/// Standard deviation of a normal distribution in median absolute deviations.
const DEVIATIONS: f64 = 1.4826;

/// The spread is at least this share of the usual value.
const SHARE_MIN: f64 = 0.1;

/// The usual band of a series at one hour of the week, in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baseline {
    /// Lowest usual ten-minute mean.
    pub low: f64,
    /// Highest usual ten-minute mean.
    pub high: f64,
    /// How much weeks differ.
    pub spread: f64,
}

impl Baseline {
    /// From the ten-minute means of the hour in each week; none if fewer than [`WEEKS_MIN`] weeks have any.
    ///
    /// Variation within the hour lies between `low` and `high`; `spread` is the median absolute deviation between
    /// weeks, so that one odd week counts for little.
    pub fn of(weeks: &[Vec<f64>], metric: &MetricDef) -> Option<Self> {
        let known = weeks.iter().map(|week| {
            let finite = week.iter().copied().filter(|value| value.is_finite());
            finite.collect::<Vec<f64>>()
        });
        let known: Vec<Vec<f64>> = known.filter(|week| !week.is_empty()).collect();
        if known.len() < WEEKS_MIN {
            return None;
        }
        let of_weeks = |number: fn(&[f64]) -> f64| -> Vec<f64> {
            known.iter().map(|week| number(week)).collect()
        };
        let least = |week: &[f64]| week.iter().copied().fold(f64::INFINITY, f64::min);
        let most = |week: &[f64]| week.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = |week: &[f64]| week.iter().sum::<f64>() / week.len().max(1) as f64;
        let (low, high) = (median(of_weeks(least))?, median(of_weeks(most))?);
        let means = of_weeks(mean);
        let middle = median(means.clone())?;
        let distances = means.iter().map(|mean| (mean - middle).abs());
        let spread = median(distances.collect())? * DEVIATIONS;
        let share = SHARE_MIN * low.abs().max(high.abs());
        Some(Self {
            low,
            high,
            spread: spread.max(share).max(noise(metric)),
        })
    }

    /// The band widened by `spreads` times the spread.
    pub fn within(&self, spreads: f64) -> (f64, f64) {
        let margin = self.spread * spreads;
        (self.low - margin, self.high + margin)
    }
}

/// Hours since the Unix epoch (UTC).
pub fn hour(time: UnixMs) -> i64 {
    time.0.div_euclid(HOUR_MS)
}

/// The time ranges of each earlier week, end exclusive, that make the baseline of an hour: with ten minutes on each
/// side, because a job that begins a little earlier or ends a little later is not unusual.
pub fn windows(hour: i64) -> impl Iterator<Item = (UnixMs, UnixMs)> {
    (1..=WEEKS_MAX).map(move |week| {
        let start = UnixMs(hour.saturating_mul(HOUR_MS)) - week * WEEK_MS;
        (start - SLOT_MS, start + HOUR_MS + SLOT_MS)
    })
}

/// The smallest spread that is significant for a metric, however flat the weeks were.
fn noise(metric: &MetricDef) -> f64 {
    match (metric.unit.as_str(), metric.kind) {
        ("1", _) if metric.scale == -3 => 0.02,
        // The magnitude of a custom metric is unknown.
        ("1", _) if metric.scale < -3 => 1e-6,
        // Seconds per second are a share of time.
        ("s", Kind::Counter) => 0.02,
        ("By", Kind::Counter) => 1e5,
        ("By", Kind::Gauge) => 1e8,
        ("Cel", _) => 2.0,
        ("1", _) => 0.5,
        _ => 1.0,
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO};

    #[test]
    fn one_odd_week_and_the_noise_of_a_flat_series_hardly_change_the_baseline() {
        let cpu = CPU_UTILIZATION.def();
        let weeks = |means: &[f64]| -> Vec<Vec<f64>> {
            means.iter().map(|mean| vec![*mean, mean + 0.01]).collect()
        };
        let baseline = Baseline::of(&weeks(&[0.2, 0.21, 0.95, 0.19]), &cpu).unwrap();
        assert!((0.18..0.22).contains(&baseline.low), "{baseline:?}");
        assert!((0.01..0.05).contains(&baseline.spread), "{baseline:?}");
        let flat = Baseline::of(&weeks(&[0.0, 0.0, 0.0]), &cpu).unwrap();
        assert!(flat.within(4.0).1 >= 0.08, "{flat:?}");
        let flat = Baseline::of(&[vec![0.0], vec![0.0]], &NET_IO.def()).unwrap();
        assert!(flat.within(4.0).1 >= 4e5);
        let own = MetricDef {
            scale: -6,
            ..cpu.clone()
        };
        let seldom = Baseline::of(&[vec![0.001], vec![0.001]], &own).unwrap();
        assert!(seldom.within(4.0).1 < 0.01, "{seldom:?}");
        assert_eq!(Baseline::of(&weeks(&[0.2]), &cpu), None);
        let gap = [vec![f64::NAN], vec![0.2], Vec::new()];
        assert_eq!(
            Baseline::of(&gap, &cpu),
            None,
            "a week without values does not count"
        );
    }

    #[test]
    fn variation_within_the_hour_is_inside_the_band() {
        let backup = vec![0.05, 0.9, 0.9, 0.05, 0.05, 0.05];
        let baseline = Baseline::of(&vec![backup; 3], &CPU_UTILIZATION.def()).unwrap();
        let (low, high) = baseline.within(1.0);
        assert!(low < 0.05 && high > 0.9, "{baseline:?}");
    }

    #[test]
    fn windows_are_the_same_hour_of_earlier_weeks() {
        let now = UnixMs(1_700_000_000_000);
        let spans: Vec<_> = windows(hour(now)).collect();
        assert_eq!(spans.len(), 4);
        let (from, to) = spans[0];
        assert!(from <= now - WEEK_MS && now - WEEK_MS < to);
        assert_eq!(to - from, HOUR_MS + 2 * SLOT_MS);
        assert_eq!(from - spans[1].0, WEEK_MS);
    }

    proptest! {
        #[test]
        fn values_of_identical_weeks_are_inside_the_band(values in proptest::collection::vec(-1e6f64..1e6, 1..9)) {
            let baseline = Baseline::of(&[values.clone(), values.clone()], &NET_IO.def()).unwrap();
            let (low, high) = baseline.within(1.0);
            prop_assert!(values.iter().all(|value| (low..=high).contains(value)));
        }
    }
}
