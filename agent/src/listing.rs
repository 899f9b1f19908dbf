//! The limit on how many of something a collector shows at a time.

use sysmon_wire::{LimitGauge, LimitState};

#[derive(Debug)]
pub(crate) struct ListLimit {
    gauge: LimitGauge,
    max: usize,
    left_out: usize,
}

impl ListLimit {
    /// The name says in the plural what is listed.
    pub(crate) const fn new(name: &'static str, max: usize) -> Self {
        Self {
            gauge: LimitGauge::new(name, max),
            max,
            left_out: 0,
        }
    }

    /// Sets the number present now; what exceeds the limit is counted once until it no longer does.
    pub(crate) fn set_present(&mut self, present: usize) {
        let left_out = present.saturating_sub(self.max);
        self.gauge.set_current(present);
        let more = left_out.saturating_sub(self.left_out);
        self.gauge.leave_out(more as u64);
        self.left_out = left_out;
    }

    pub(crate) fn state(&self) -> LimitState {
        self.gauge.state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted_once_and_again_when_it_returns() {
        let mut limit = ListLimit::new("disks", 2);
        let mut reached = |present| {
            limit.set_present(present);
            (limit.state().reached_total, limit.state().is_reached())
        };
        assert_eq!(reached(2), (0, false));
        assert_eq!(reached(4), (2, true));
        assert_eq!(reached(4), (2, true));
        assert_eq!(reached(1), (2, false));
        assert_eq!(reached(3), (3, true));
    }
}
