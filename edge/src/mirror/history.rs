//! Means of one value over steps of time. Pure.

use std::collections::VecDeque;

use sysmon_wire::message::Spark;
use sysmon_wire::{ABSENT, UnixMs};

pub const STEP_MS: i64 = 10_000;

/// Points of one value: six hours.
pub const POINTS_MAX: usize = 2_160;

/// Means of one value over steps of time; the newest step is incomplete.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    first: i64,
    /// Means, NaN where unknown. Single precision is more than a chart shows.
    steps: VecDeque<f32>,
    filling: (f64, u32),
}

pub(super) fn step(time: UnixMs) -> i64 {
    time.0.div_euclid(STEP_MS)
}

impl History {
    /// Adds a live value; one older than the newest step is ignored.
    pub(super) fn add(&mut self, time: UnixMs, value: i64) {
        if value == ABSENT {
            return;
        }
        let step = step(time);
        if self.steps.is_empty() || step > self.last() {
            self.filling = (0.0, 0);
        } else if step < self.last() {
            return;
        }
        self.filling.0 += value as f64;
        self.filling.1 += 1;
        let mean = self.filling.0 / f64::from(self.filling.1);
        if let Some(place) = self.place(step) {
            *place = mean as f32;
        }
    }

    /// Fills unknown steps up to that of `newest` with older values from the hub.
    pub(super) fn fill(&mut self, spark: &Spark, newest: UnixMs) {
        let (end, newest) = (step(spark.end), step(newest));
        let oldest = newest.saturating_sub(POINTS_MAX as i64);
        for (back, &value) in spark.points.iter().rev().enumerate() {
            let at = end.saturating_sub(back as i64);
            if value == ABSENT || at > newest || at <= oldest {
                continue;
            }
            if let Some(place) = self.place(at).filter(|place| place.is_nan()) {
                *place = value as f32;
            }
        }
    }

    fn last(&self) -> i64 {
        self.first + self.steps.len() as i64 - 1
    }

    /// The place of a step, extending the history to it; none if the step is too old.
    fn place(&mut self, step: i64) -> Option<&mut f32> {
        if self.steps.is_empty() || step.saturating_sub(self.last()) > POINTS_MAX as i64 {
            self.steps.clear();
            self.first = step;
        }
        while self.first > step && self.steps.len() < POINTS_MAX {
            self.steps.push_front(f32::NAN);
            self.first -= 1;
        }
        if step < self.first {
            return None;
        }
        while self.last() < step {
            self.steps.push_back(f32::NAN);
        }
        while self.steps.len() > POINTS_MAX {
            self.steps.pop_front();
            self.first += 1;
        }
        self.steps.get_mut(usize::try_from(step - self.first).ok()?)
    }

    pub(super) fn mean(&self, from: i64, to: i64) -> Option<f64> {
        let known = (from..to).filter_map(|step| {
            let at = usize::try_from(step - self.first).ok()?;
            self.steps.get(at).copied().filter(|mean| !mean.is_nan())
        });
        let (sum, count) = known.fold((0.0, 0u32), |(sum, count), mean| {
            (sum + f64::from(mean), count + 1)
        });
        (count > 0).then(|| sum / f64::from(count))
    }

    pub(super) fn is_known(&self) -> bool {
        !self.steps.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }
}
