//! Steps of a value: how far it is above the usual, though no rule is about it.

use crate::model::summary::{CPU, FILESYSTEM, MEMORY, TEMPERATURE};

/// Steps of a value that is higher than usual.
pub(crate) const STEPS: usize = 4;

/// A step is left only when the value is so far below it, as a part of the first limit.
const HYSTERESIS: f64 = 0.02;

/// The limits of a kind of value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Steps([f64; STEPS - 1]);

impl Steps {
    pub(crate) const CPU: Self = Self([0.6, 0.8, 0.9]);
    /// Memory and filesystems.
    pub(crate) const SPACE: Self = Self([0.8, 0.9, 0.95]);
    pub(crate) const CELSIUS: Self = Self([70.0, 80.0, 90.0]);
    /// Pressure of memory and disks.
    pub(crate) const PRESSURE: Self = Self([0.2, 0.4, 0.6]);
    pub(crate) const NONE: Self = Self([f64::INFINITY; STEPS - 1]);

    /// Those of a value of the summary.
    pub(crate) fn of(place: usize) -> Self {
        match place {
            CPU => Self::CPU,
            MEMORY | FILESYSTEM => Self::SPACE,
            TEMPERATURE => Self::CELSIUS,
            _ => Self::NONE,
        }
    }

    pub(crate) fn step(self, value: f64) -> usize {
        self.0.iter().filter(|limit| value >= **limit).count()
    }

    /// The step of a value that was on another before: it is left only when the value is well below.
    pub(crate) fn step_after(self, before: usize, value: f64) -> usize {
        let margin = self.0.first().map_or(0.0, |first| first * HYSTERESIS);
        let held = self.step(value + margin).min(before);
        self.step(value).max(held)
    }

    /// The style of a value among those of the steps.
    pub(crate) fn style<T>(self, styles: &[T; STEPS], value: f64) -> &T {
        let [first, second, third, fourth] = styles;
        match self.step(value) {
            0 => first,
            1 => second,
            2 => third,
            _ => fourth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_left_only_when_the_value_is_well_below_it() {
        let steps = [0.5, 0.61, 0.595, 0.585, 0.95, 0.895, 0.85];
        let mut step = 0;
        let taken = steps.map(|value| {
            step = Steps::CPU.step_after(step, value);
            step
        });
        assert_eq!(taken, [0, 1, 1, 0, 3, 3, 2]);
        assert_eq!(Steps::of(CPU), Steps::CPU);
        assert_eq!(Steps::of(super::super::summary::LOAD).step(1e9), 0);
    }
}
