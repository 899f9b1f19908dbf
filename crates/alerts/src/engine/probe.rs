//! One series as conditions see it: value, rate, forecast, and ten-minute mean. Pure.

use std::collections::VecDeque;

use sysmon_series::rate;
use sysmon_wire::metrics::unscale;
use sysmon_wire::{ABSENT, Kind, MetricDef, UnixMs};

use crate::baseline::{Baseline, SLOT_MS, hour};

/// Slots through which the line of a rate is fitted.
const RATE_SLOTS: i64 = 10;

/// Time from which a forecast is made, and the slots in it.
const FORECAST_MS: i64 = 3_600_000;
const FORECAST_SLOTS: i64 = 60;

/// Share of all pairs of points that has to agree on the direction; noise agrees on none.
const AGREEMENT: f64 = 0.6;

/// What a condition needs of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Value,
    /// The rate of change over so many milliseconds.
    Rate(i64),
    /// The value at a later time.
    Forecast,
    /// The ten-minute mean, with the baseline.
    Baseline,
}

#[derive(Debug)]
pub(super) struct Probe {
    /// Index in the host's rows.
    pub(super) series: u32,
    pub(super) need: Need,
    kind: Kind,
    scale: i8,
    before: Option<(i64, i64)>,
    /// Newest value in the metric's unit, of a counter the rate; none if the newest row has none.
    pub(super) value: Option<f64>,
    /// Whether the newest row has no value.
    pub(super) is_absent: bool,
    trend: Option<Trend>,
    /// Hour of the newest row.
    hour: i64,
    /// Baselines of this hour and the next, once they were set.
    baselines: Vec<(i64, Option<Baseline>)>,
}

impl Probe {
    /// `phase` spreads the slot boundaries of many hosts over time.
    pub(super) fn new(series: u32, need: Need, metric: &MetricDef, phase: i64) -> Self {
        let trend = match need {
            Need::Value => None,
            Need::Rate(over_ms) => Some(Trend::new(over_ms / RATE_SLOTS, RATE_SLOTS, phase)),
            Need::Baseline => Some(Trend::new(SLOT_MS / RATE_SLOTS, RATE_SLOTS, phase)),
            Need::Forecast => {
                let slot_ms = FORECAST_MS / FORECAST_SLOTS;
                Some(Trend::new(slot_ms, FORECAST_SLOTS, phase))
            }
        };
        Self {
            series,
            need,
            kind: metric.kind,
            scale: metric.scale,
            before: None,
            value: None,
            is_absent: false,
            trend,
            hour: 0,
            baselines: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, time: UnixMs, values: &[i64]) {
        let raw = values.get(self.series as usize).copied().unwrap_or(ABSENT);
        self.is_absent = raw == ABSENT;
        self.hour = hour(time);
        self.value = match (raw, self.kind) {
            (ABSENT, _) => {
                // A later series of this name may be another device's.
                self.before = None;
                None
            }
            (raw, Kind::Gauge) => Some(unscale(raw, self.scale)),
            (raw, Kind::Counter) => {
                let now = (time.0, raw);
                let before = self.before.replace(now);
                before
                    .and_then(|before| rate(before, now))
                    .map(|rate| unscale_rate(rate, self.scale))
            }
        };
        if let (Some(trend), Some(value)) = (&mut self.trend, self.value) {
            trend.add(time.0, value);
        }
    }

    /// The next value of a counter has no rate.
    pub(super) fn restart_counter(&mut self) {
        self.before = None;
    }

    /// Change per second; of a counter its mean rate over the time.
    pub(super) fn rate(&self) -> Option<f64> {
        let trend = self.trend.as_ref()?;
        match self.kind {
            Kind::Gauge => trend.slope.map(|slope| slope * 1000.0),
            Kind::Counter => trend.mean(),
        }
    }

    pub(super) fn lacks_baseline(&self, hour: i64) -> bool {
        self.need == Need::Baseline && self.baselines.iter().all(|(of, _)| *of != hour)
    }

    pub(super) fn set_baseline(&mut self, hour: i64, baseline: Option<Baseline>) {
        let near = (hour - 1)..=(hour + 1);
        self.baselines
            .retain(|(of, _)| near.contains(of) && *of != hour);
        self.baselines.push((hour, baseline));
    }

    /// The ten-minute mean and the baseline of this hour.
    pub(super) fn with_baseline(&self) -> Option<(f64, Baseline)> {
        let (_, baseline) = self.baselines.iter().find(|(of, _)| *of == self.hour)?;
        // A line exists only if most of the slots have values.
        let trend = self.trend.as_ref().filter(|trend| trend.slope.is_some())?;
        Some((trend.mean()?, (*baseline)?))
    }

    /// The value in `ahead_ms`, if the trend of the last hour continues.
    pub(super) fn in_ms(&self, ahead_ms: i64) -> Option<f64> {
        let slope = self.trend.as_ref()?.slope?;
        // From the newest value, because the line lags behind.
        Some(self.value? + slope * ahead_ms as f64)
    }
}

fn unscale_rate(rate: f64, scale: i8) -> f64 {
    match scale {
        0.. => rate * 10f64.powi(i32::from(scale)),
        _ => rate / 10f64.powi(-i32::from(scale)),
    }
}

/// Means of the last slots, and the line through them.
#[derive(Debug)]
struct Trend {
    slot_ms: i64,
    slots_max: i64,
    phase: i64,
    /// Number and mean of each complete slot, oldest first.
    slots: VecDeque<(i64, f64)>,
    /// Number, sum and count of the current slot.
    present: (i64, f64, u32),
    /// Change per millisecond, of a line through the slots.
    slope: Option<f64>,
}

impl Trend {
    fn new(slot_ms: i64, slots_max: i64, phase: i64) -> Self {
        let slot_ms = slot_ms.max(1);
        Self {
            slot_ms,
            slots_max,
            phase: phase.rem_euclid(slot_ms),
            slots: VecDeque::new(),
            present: (i64::MIN, 0.0, 0),
            slope: None,
        }
    }

    fn add(&mut self, time: i64, value: f64) {
        let slot = (time + self.phase).div_euclid(self.slot_ms);
        let (number, sum, count) = &mut self.present;
        if slot == *number {
            *sum += value;
            *count += 1;
            return;
        }
        if slot < *number {
            // The clock was set back: earlier slots are of another time.
            self.slots.clear();
            self.slope = None;
        } else if *count > 0 {
            self.slots.push_back((*number, *sum / f64::from(*count)));
        }
        self.present = (slot, value, 1);
        while self
            .slots
            .front()
            .is_some_and(|(old, _)| *old < slot - self.slots_max)
        {
            self.slots.pop_front();
        }
        let is_enough = self
            .slots
            .front()
            .is_some_and(|(old, _)| slot - old >= self.slots_max / 2)
            && self.slots.len() as i64 >= self.slots_max / 4;
        let points: &[(i64, f64)] = self.slots.make_contiguous();
        let is_forecast = self.slots_max == FORECAST_SLOTS;
        self.slope = is_enough.then(|| {
            let slope = match is_forecast {
                true => lasting(points, slot - self.slots_max / 3),
                false => theil_sen(points),
            };
            slope / self.slot_ms as f64
        });
    }

    /// The mean over all slots, including the current one.
    fn mean(&self) -> Option<f64> {
        let (_, sum, count) = self.present;
        let present = (count > 0).then(|| sum / f64::from(count));
        let all = self.slots.iter().map(|(_, mean)| *mean).chain(present);
        let (sum, count) = all.fold((0.0, 0), |(sum, count), mean| (sum + mean, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }
}

/// The slope of the growth, 0 if it has stopped lately.
fn lasting(points: &[(i64, f64)], lately: i64) -> f64 {
    let all = theil_sen(points);
    let at = points.partition_point(|(slot, _)| *slot < lately);
    let late = theil_sen(points.get(at..).unwrap_or_default());
    match all * late > 0.0 {
        true if late.abs() < all.abs() => late,
        true => all,
        false => 0.0,
    }
}

/// The median slope of all pairs (Theil–Sen estimator), 0 if the pairs do not agree on a direction.
fn theil_sen(points: &[(i64, f64)]) -> f64 {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (at, a) in points.iter().enumerate() {
        let later = points.get(at + 1..).unwrap_or_default();
        slopes.extend(later.iter().map(|b| (b.1 - a.1) / (b.0 - a.0) as f64));
    }
    let rising = slopes.iter().filter(|slope| **slope > 0.0).count();
    let falling = slopes.iter().filter(|slope| **slope < 0.0).count();
    let agreed = rising.abs_diff(falling) as f64 / slopes.len().max(1) as f64;
    if agreed < AGREEMENT {
        return 0.0;
    }
    let middle = slopes.len() / 2;
    if slopes.is_empty() {
        return 0.0;
    }
    let (_, median, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
    *median
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sysmon_wire::metrics::{FS_UTILIZATION, OOM_KILLS};

    /// An hour of a filesystem, a value every ten seconds.
    fn hour(value: impl Fn(i64) -> f64) -> Probe {
        let mut probe = Probe::new(0, Need::Forecast, &FS_UTILIZATION.def(), 17_000);
        for second in (0..3_600).step_by(10) {
            let permille = (value(second) * 1000.0).round() as i64;
            probe.add(UnixMs(1_700_000_000_000 + second * 1000), &[permille]);
        }
        probe
    }

    #[test]
    fn steady_growth_is_forecast() {
        let probe = hour(|second| 0.5 + 0.15 * second as f64 / 3_600.0);
        let then = probe.in_ms(4 * 3_600_000).unwrap();
        assert!((then - 1.25).abs() < 0.01, "{then}");
    }

    #[test]
    fn spikes_steps_and_noise_are_not_growth() {
        let spike = hour(|second| {
            if (600..660).contains(&second) {
                0.9
            } else {
                0.5
            }
        });
        assert_eq!(spike.in_ms(14_400_000), Some(0.5));
        let step = hour(|second| if second < 3_000 { 0.5 } else { 0.6 });
        assert!(step.in_ms(14_400_000).unwrap() < 0.61);
        let built = hour(|second| 0.5 + 0.2 * (second - 1_200).clamp(0, 1_200) as f64 / 1_200.0);
        assert!(
            built.in_ms(14_400_000).unwrap() < 0.71,
            "it has stopped growing"
        );
        let saw = hour(|second| 0.5 + 0.1 * (second % 600) as f64 / 600.0);
        assert!(saw.in_ms(14_400_000).unwrap() < 0.61);
        let mut few = Probe::new(0, Need::Forecast, &FS_UTILIZATION.def(), 0);
        for second in 0..900 {
            few.add(UnixMs(second * 1000), &[second]);
        }
        assert_eq!(few.in_ms(1), None, "a quarter of an hour is too little");
    }

    #[test]
    fn the_rate_of_a_counter_is_its_mean_over_the_time() {
        let mut probe = Probe::new(0, Need::Rate(300_000), &OOM_KILLS.def(), 0);
        let mut at = |second: i64, kills: i64| {
            probe.add(UnixMs(second * 1000), &[kills]);
            probe.rate()
        };
        assert_eq!(at(0, 5), None);
        assert_eq!(at(1, 5), Some(0.0));
        assert!(at(2, 6).unwrap() > 0.0);
        assert!((3..300).all(|second| at(second, 6).unwrap() > 0.0));
        assert_eq!(
            (340..700).map(|second| at(second, 6)).last(),
            Some(Some(0.0))
        );
        assert_eq!(at(700, 0), Some(0.0), "a counter reset is not an increase");
    }

    proptest! {
        #[test]
        fn a_tenth_of_wrong_points_hardly_changes_the_slope(
            slope in -100f64..100.0, wrong in proptest::collection::vec((0usize..60, -1e6f64..1e6), 0..6),
        ) {
            let mut points: Vec<(i64, f64)> = (0..60).map(|x| (x, slope * x as f64)).collect();
            for (at, value) in wrong {
                points[at].1 = value;
            }
            prop_assert!((theil_sen(&points) - slope).abs() <= slope.abs() * 0.35 + 1e-9);
        }
    }
}
