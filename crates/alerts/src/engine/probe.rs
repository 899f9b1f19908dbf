//! What is known of one series: its value, and where it has been going. Pure.

use std::collections::VecDeque;

use sysmon_series::rate;
use sysmon_wire::metrics::unscale;
use sysmon_wire::{ABSENT, Kind, MetricDef, UnixMs};

use super::super::week::{SLOT_MS, Usual, hour};

/// Slots that a line is laid through.
const RATE_SLOTS: i64 = 10;

/// Time that tells where a value will be, and the minutes in it.
const FORECAST_MS: i64 = 3_600_000;
const FORECAST_SLOTS: i64 = 60;

/// What share of all pairs of points has to agree on the direction; noise agrees on none.
const AGREEMENT: f64 = 0.6;

/// What a series is looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Its value.
    Value,
    /// How fast it changes over so many milliseconds.
    Rate(i64),
    /// Where it will be.
    Forecast,
    /// Whether it is as it was in earlier weeks.
    Week,
}

/// One series, as far as rules look at it.
#[derive(Debug)]
pub(super) struct Probe {
    /// Its place in the host's rows.
    pub(super) series: u32,
    pub(super) need: Need,
    kind: Kind,
    scale: i8,
    before: Option<(i64, i64)>,
    /// Its newest value in its real unit; of a counter its rate. None if the newest row has none.
    value: Option<f64>,
    /// Whether the newest row says nothing of it.
    is_absent: bool,
    trend: Option<Trend>,
    /// The hour of the newest row.
    hour: i64,
    /// What is usual in this hour and the next, as far as that was looked up.
    weeks: Vec<(i64, Option<Usual>)>,
}

impl Probe {
    /// `phase` spreads the work of many hosts over time.
    pub(super) fn new(series: u32, need: Need, metric: &MetricDef, phase: i64) -> Self {
        let trend = match need {
            Need::Value => None,
            Need::Rate(over_ms) => Some(Trend::new(over_ms / RATE_SLOTS, RATE_SLOTS, phase)),
            Need::Week => Some(Trend::new(SLOT_MS / RATE_SLOTS, RATE_SLOTS, phase)),
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
            weeks: Vec::new(),
        }
    }

    /// Takes the newest row's value.
    pub(super) fn take(&mut self, time: UnixMs, values: &[i64]) {
        let raw = values.get(self.series as usize).copied().unwrap_or(ABSENT);
        self.is_absent = raw == ABSENT;
        self.hour = hour(time);
        self.value = match (raw, self.kind) {
            (ABSENT, _) => {
                // What comes under this name later may be another thing.
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

    pub(super) fn is_absent(&self) -> bool {
        self.is_absent
    }

    pub(super) fn value(&self) -> Option<f64> {
        self.value
    }

    /// How fast it changes a second; of a counter how fast it counted.
    pub(super) fn rate(&self) -> Option<f64> {
        let trend = self.trend.as_ref()?;
        match self.kind {
            Kind::Gauge => trend.line.map(|line| line.slope * 1000.0),
            Kind::Counter => trend.mean(),
        }
    }

    /// Whether it is not known what is usual in an hour.
    pub(super) fn lacks_week(&self, hour: i64) -> bool {
        self.need == Need::Week && self.weeks.iter().all(|(of, _)| *of != hour)
    }

    /// Takes what is usual in an hour; none if nobody knows.
    pub(super) fn take_week(&mut self, hour: i64, usual: Option<Usual>) {
        let near = (hour - 1)..=(hour + 1);
        self.weeks
            .retain(|(of, _)| near.contains(of) && *of != hour);
        self.weeks.push((hour, usual));
    }

    /// Its ten-minute mean, and what is usual in this hour.
    pub(super) fn in_its_week(&self) -> Option<(f64, Usual)> {
        let (_, usual) = self.weeks.iter().find(|(of, _)| *of == self.hour)?;
        // A line says that most of the time has values.
        let trend = self.trend.as_ref().filter(|trend| trend.line.is_some())?;
        Some((trend.mean()?, (*usual)?))
    }

    /// Where it will be in so many milliseconds, if the last hour goes on.
    pub(super) fn in_ms(&self, ahead_ms: i64) -> Option<f64> {
        let line = self.trend.as_ref()?.line?;
        // From where it is, for the line is a little behind.
        Some(self.value? + line.slope * ahead_ms as f64)
    }
}

fn unscale_rate(rate: f64, scale: i8) -> f64 {
    match scale {
        0.. => rate * 10f64.powi(i32::from(scale)),
        _ => rate / 10f64.powi(-i32::from(scale)),
    }
}

/// A straight line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    /// A millisecond.
    slope: f64,
}

/// Means of the last slots of time, and the line through them.
#[derive(Debug)]
struct Trend {
    slot_ms: i64,
    slots_max: i64,
    phase: i64,
    /// Number and mean of each slot that is over, oldest first.
    slots: VecDeque<(i64, f64)>,
    /// Number, sum and count of the present one.
    present: (i64, f64, u32),
    line: Option<Line>,
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
            line: None,
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
            // The clock was set back: what was before is of another time.
            self.slots.clear();
            self.line = None;
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
        let going_on = self.slots_max == FORECAST_SLOTS;
        self.line = is_enough.then(|| {
            let slope = match going_on {
                true => lasting(points, slot - self.slots_max / 3),
                false => theil_sen(points),
            };
            Line {
                slope: slope / self.slot_ms as f64,
            }
        });
    }

    /// The mean over the time, the present slot with it.
    fn mean(&self) -> Option<f64> {
        let (_, sum, count) = self.present;
        let present = (count > 0).then(|| sum / f64::from(count));
        let all = self.slots.iter().map(|(_, mean)| *mean).chain(present);
        let (sum, count) = all.fold((0.0, 0), |(sum, count), mean| (sum + mean, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }
}

/// How it grew, if it goes on doing so: what grew until lately and stands now grows no more.
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

/// The median of the slopes of all pairs (Theil and Sen), or nothing if they do not agree on a direction.
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

    /// A filesystem an hour long, a value every ten seconds.
    fn hour(value: impl Fn(i64) -> f64) -> Probe {
        let mut probe = Probe::new(0, Need::Forecast, &FS_UTILIZATION.def(), 17_000);
        for second in (0..3_600).step_by(10) {
            let permille = (value(second) * 1000.0).round() as i64;
            probe.take(UnixMs(1_700_000_000_000 + second * 1000), &[permille]);
        }
        probe
    }

    #[test]
    fn what_grows_steadily_is_seen_to_be_full() {
        let probe = hour(|second| 0.5 + 0.15 * second as f64 / 3_600.0);
        let then = probe.in_ms(4 * 3_600_000).unwrap();
        assert!((then - 1.25).abs() < 0.01, "{then}");
    }

    #[test]
    fn a_spike_a_step_or_noise_is_no_growth() {
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
        assert!(built.in_ms(14_400_000).unwrap() < 0.71, "it stands now");
        let saw = hour(|second| 0.5 + 0.1 * (second % 600) as f64 / 600.0);
        assert!(saw.in_ms(14_400_000).unwrap() < 0.61);
        let mut few = Probe::new(0, Need::Forecast, &FS_UTILIZATION.def(), 0);
        for second in 0..900 {
            few.take(UnixMs(second * 1000), &[second]);
        }
        assert_eq!(few.in_ms(1), None, "a quarter of an hour is too little");
    }

    #[test]
    fn counters_are_counted_over_the_time() {
        let mut probe = Probe::new(0, Need::Rate(300_000), &OOM_KILLS.def(), 0);
        let mut at = |second: i64, kills: i64| {
            probe.take(UnixMs(second * 1000), &[kills]);
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
        assert_eq!(at(700, 0), Some(0.0), "counting anew is no kill");
    }

    proptest! {
        #[test]
        fn a_line_goes_through_points_on_a_line_whatever_a_fifth_of_them_do(
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
