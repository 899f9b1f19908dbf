//! What one try found out, and its values.

use std::time::Duration;

use sysmon_wire::SeriesKey;
use sysmon_wire::metrics::{
    CHECK_CERTIFICATE_EXPIRY, CHECK_CERTIFICATE_EXPIRY_MIN, CHECK_DURATION, CHECK_UP,
};

/// Resolution of durations: a finer one would only cost more to send.
const STEP_US: u128 = 10;

/// Resolution of the time left to a certificate.
const EXPIRY_STEP_S: i64 = 60;

/// How long the parts of a try took, as far as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    pub dns: Option<Duration>,
    pub connect: Option<Duration>,
    pub tls: Option<Duration>,
    /// From the request to the head of the answer.
    pub first_byte: Option<Duration>,
}

impl Phases {
    /// Each with its name as an attribute.
    pub fn all(&self) -> [(&'static str, Option<Duration>); 4] {
        [
            ("dns", self.dns),
            ("connect", self.connect),
            ("tls", self.tls),
            ("first_byte", self.first_byte),
        ]
    }
}

/// What one try found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Or why not.
    pub is_up: Result<(), String>,
    pub took: Duration,
    pub phases: Phases,
    /// Seconds until the certificate expires; negative if it has.
    pub expiry_s: Option<i64>,
}

impl Outcome {
    /// Its values, with the time that a certificate must have left.
    pub(super) fn values(&self, name: &str, expires_in: Duration) -> Vec<(SeriesKey, i64)> {
        const NAME: &str = "sysmon.check.name";
        let of = [(NAME, name)];
        let mut values = vec![(CHECK_UP.series(&of), i64::from(self.is_up.is_ok()))];
        if self.is_up.is_ok() {
            values.push((CHECK_DURATION.series(&of), microseconds(self.took)));
        }
        for (phase, took) in self.phases.all() {
            if let Some(took) = took {
                let key = CHECK_DURATION.series(&[(NAME, name), ("sysmon.check.phase", phase)]);
                values.push((key, microseconds(took)));
            }
        }
        if let Some(left) = self.expiry_s {
            let left = left.div_euclid(EXPIRY_STEP_S) * EXPIRY_STEP_S;
            let least = i64::try_from(expires_in.as_secs()).unwrap_or(i64::MAX);
            values.push((CHECK_CERTIFICATE_EXPIRY.series(&of), left));
            values.push((CHECK_CERTIFICATE_EXPIRY_MIN.series(&of), least));
        }
        values
    }
}

fn microseconds(time: Duration) -> i64 {
    let steps = time.as_micros().div_ceil(STEP_US);
    i64::try_from(steps * STEP_US).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_try_has_the_phases_that_it_reached_and_no_duration() {
        let outcome = Outcome {
            is_up: Err("refused".to_owned()),
            took: Duration::from_millis(7),
            phases: Phases {
                dns: Some(Duration::from_nanos(1_234_567)),
                ..Phases::default()
            },
            expiry_s: Some(-61),
        };
        let values = outcome.values("a", Duration::from_hours(24));
        let shown: Vec<_> = values
            .iter()
            .map(|(key, value)| (key.metric.name.as_str(), key.attributes.len(), *value))
            .collect();
        assert_eq!(
            shown,
            [
                ("sysmon.check.up", 1, 0),
                ("sysmon.check.duration", 2, 1_240),
                ("sysmon.check.certificate.expiry", 1, -120),
                ("sysmon.check.certificate.expiry.min", 1, 86_400),
            ]
        );
    }
}
