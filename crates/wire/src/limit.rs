//! A limit where it is enforced ([`LimitGauge`]), and as it is reported ([`LimitState`]).

use serde::{Deserialize, Serialize};

use crate::Label;

/// A bound that is enforced here, how much of it is in use, and how often something was left out because of it.
///
/// The code that enforces a bound owns a gauge, counts with it what is left out, and lists its [`state`](Self::state) where
/// the program collects them: a `Source` of an agent in `limits`, the hub in `Hub::limits`. Status, notes, the metric
/// `sysmon.limit.reached` and the log follow from that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitGauge {
    name: &'static str,
    max: u64,
    current: u64,
    reached_total: u64,
}

impl LimitGauge {
    /// A gauge of which nothing is in use. The name says in the plural what is counted: `series`.
    pub const fn new(name: &'static str, max: usize) -> Self {
        Self {
            name,
            max: max as u64,
            current: 0,
            reached_total: 0,
        }
    }

    /// Whether one more fits beside `current`; if not, it counts as left out.
    pub fn admits(&mut self, current: usize) -> bool {
        self.set_current(current);
        let fits = self.current < self.max;
        if !fits {
            self.leave_out(1);
        }
        fits
    }

    /// Sets how much is in use.
    pub fn set_current(&mut self, current: usize) {
        self.current = current as u64;
    }

    /// Counts what is left out because of the limit.
    pub fn leave_out(&mut self, count: u64) {
        self.reached_total = self.reached_total.saturating_add(count);
    }

    /// How often something was left out.
    pub fn reached_total(&self) -> u64 {
        self.reached_total
    }

    /// How the limit stands.
    pub fn state(&self) -> LimitState {
        LimitState {
            name: Label::new(self.name),
            max: self.max,
            current: self.current,
            reached_total: self.reached_total,
        }
    }
}

/// How a limit stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitState {
    /// What is limited, in the plural: `series`.
    pub name: Label,
    /// The most there may be at once.
    pub max: u64,
    /// How many there are.
    pub current: u64,
    /// How often something was left out since the program started.
    pub reached_total: u64,
}

impl LimitState {
    /// Whether something is left out now: the limit was reached, and there is no room.
    pub fn is_reached(&self) -> bool {
        self.reached_total > 0 && self.current >= self.max
    }

    /// For a host's notes: `limit of 4096 series reached, 12 left out so far`.
    pub fn note(&self) -> Label {
        Label::new(&format!(
            "limit of {} {} reached, {} left out so far",
            self.max, self.name, self.reached_total
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_the_limit_is_reached_until_there_is_room() {
        let mut gauge = LimitGauge::new("series", 2);
        assert!(gauge.admits(0) && gauge.admits(1));
        gauge.set_current(2);
        assert!(!gauge.state().is_reached(), "full, but nothing is left out");
        assert!(!gauge.admits(2) && !gauge.admits(2));
        assert!(gauge.state().is_reached());
        assert_eq!(
            gauge.state().note(),
            "limit of 2 series reached, 2 left out so far"
        );
        gauge.set_current(1);
        assert!(!gauge.state().is_reached());
        assert_eq!(gauge.reached_total(), 2);
    }
}
