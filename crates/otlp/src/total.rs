//! A host's counter over devices that appear and disappear. Pure.

use std::collections::BTreeMap;

use sysmon_wire::Label;

/// The sum of what each device counted while it was present: one that disappears subtracts nothing, and one that
/// returns adds nothing by that alone, as in an agent.
#[derive(Debug, Default)]
pub(crate) struct Total {
    before: BTreeMap<Label, f64>,
    sum: f64,
    is_started: bool,
}

impl Total {
    /// The sum after these readings, which replace the ones before.
    pub(crate) fn advance(&mut self, devices: BTreeMap<Label, f64>) -> f64 {
        for (device, now) in &devices {
            self.sum += match self.before.get(device) {
                Some(before) => (now - before).max(0.0),
                None if self.is_started => 0.0,
                None => *now,
            };
        }
        self.is_started = true;
        self.before = devices;
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_that_come_and_go_leave_the_total_as_it_is() {
        let mut total = Total::default();
        let mut advance = |devices: &[(&str, f64)]| {
            let devices = devices
                .iter()
                .map(|(name, value)| (Label::new(name), *value));
            total.advance(devices.collect())
        };
        assert_eq!(advance(&[("a", 100.0), ("b", 50.0)]), 150.0);
        assert_eq!(advance(&[("a", 110.0)]), 160.0);
        assert_eq!(advance(&[("a", 120.0), ("b", 9_000.0)]), 170.0);
        assert_eq!(advance(&[("a", 5.0), ("b", 9_001.0)]), 171.0, "a was reset");
    }
}
