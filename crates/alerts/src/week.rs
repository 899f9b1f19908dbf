//! What a series usually does at one hour of the week, from the same hour of the weeks before. Pure.

use sysmon_wire::{Kind, MetricDef, UnixMs};

/// Milliseconds of an hour and of a week.
pub const HOUR_MS: i64 = 3_600_000;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// Means over this long are compared.
pub const SLOT_MS: i64 = 600_000;

/// Weeks looked back: as far as minutes are usually kept.
pub const WEEKS_MAX: i64 = 4;

/// Weeks that tell what is usual; fewer tell nothing.
pub const WEEKS_MIN: usize = 2;

/// The standard deviation of what is spread normally, in median absolute deviations.
const DEVIATIONS: f64 = 1.4826;

/// A spread is at least this share of what is usual.
const SHARE_MIN: f64 = 0.1;

/// What a series usually is at one hour of the week.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// From this ten-minute mean.
    pub low: f64,
    /// To this one.
    pub high: f64,
    /// How far one week is from another.
    pub spread: f64,
}

impl Usual {
    /// From the ten-minute means of the hour in each week; none of fewer than two weeks that have any.
    ///
    /// What comes and goes within the hour is between `low` and `high`; how far weeks differ is `spread`, the
    /// median distance from the median, so that one odd week counts for little.
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

    /// The values that are not further than so many spreads from what is usual.
    pub fn within(&self, spreads: f64) -> (f64, f64) {
        let margin = self.spread * spreads;
        (self.low - margin, self.high + margin)
    }
}

/// The hour a moment lies in, counted since 1970 in UTC.
pub fn hour(time: UnixMs) -> i64 {
    time.0.div_euclid(HOUR_MS)
}

/// From when to before when the means lie that tell of an hour, week by week; with the ten minutes on each side,
/// for what begins a little earlier or ends a little later is not unusual.
pub fn windows(hour: i64) -> impl Iterator<Item = (UnixMs, UnixMs)> {
    (1..=WEEKS_MAX).map(move |week| {
        let start = UnixMs(hour.saturating_mul(HOUR_MS)) - week * WEEK_MS;
        (start - SLOT_MS, start + HOUR_MS + SLOT_MS)
    })
}

/// Differences that nobody wants to hear of, however flat the weeks were.
fn noise(metric: &MetricDef) -> f64 {
    match (metric.unit.as_str(), metric.kind) {
        ("1", _) if metric.scale == -3 => 0.02,
        // Of what programs tell of themselves nobody knows how large it is.
        ("1", _) if metric.scale < -3 => 1e-6,
        // Seconds of something a second are a share.
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
    fn one_odd_week_and_noise_of_a_flat_series_count_for_little() {
        let cpu = CPU_UTILIZATION.def();
        let weeks = |means: &[f64]| -> Vec<Vec<f64>> {
            means.iter().map(|mean| vec![*mean, mean + 0.01]).collect()
        };
        let usual = Usual::of(&weeks(&[0.2, 0.21, 0.95, 0.19]), &cpu).unwrap();
        assert!((0.18..0.22).contains(&usual.low), "{usual:?}");
        assert!((0.01..0.05).contains(&usual.spread), "{usual:?}");
        let flat = Usual::of(&weeks(&[0.0, 0.0, 0.0]), &cpu).unwrap();
        assert!(flat.within(4.0).1 >= 0.08, "{flat:?}");
        let flat = Usual::of(&[vec![0.0], vec![0.0]], &NET_IO.def()).unwrap();
        assert!(flat.within(4.0).1 >= 4e5);
        let own = MetricDef {
            scale: -6,
            ..cpu.clone()
        };
        let seldom = Usual::of(&[vec![0.001], vec![0.001]], &own).unwrap();
        assert!(seldom.within(4.0).1 < 0.01, "{seldom:?}");
        assert_eq!(Usual::of(&weeks(&[0.2]), &cpu), None);
        let gap = [vec![f64::NAN], vec![0.2], Vec::new()];
        assert_eq!(Usual::of(&gap, &cpu), None, "a week without values is none");
    }

    #[test]
    fn what_comes_and_goes_within_the_hour_is_usual() {
        let backup = vec![0.05, 0.9, 0.9, 0.05, 0.05, 0.05];
        let usual = Usual::of(&vec![backup; 3], &CPU_UTILIZATION.def()).unwrap();
        let (low, high) = usual.within(1.0);
        assert!(low < 0.05 && high > 0.9, "{usual:?}");
    }

    #[test]
    fn hours_of_the_weeks_before_are_looked_at() {
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
        fn what_the_weeks_had_is_usual_if_they_agree(values in proptest::collection::vec(-1e6f64..1e6, 1..9)) {
            let usual = Usual::of(&[values.clone(), values.clone()], &NET_IO.def()).unwrap();
            let (low, high) = usual.within(1.0);
            prop_assert!(values.iter().all(|value| (low..=high).contains(value)));
        }
    }
}
