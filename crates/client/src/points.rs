//! Joins the parts in which a hub sends series that are too long for one frame.

use sysmon_wire::message::Points;

/// Series of one reply, joined from their parts in the order in which they arrive.
#[derive(Clone, Debug, Default)]
pub struct PointsParts(Vec<Points>);

impl PointsParts {
    /// Appends a part to the series that it continues, or begins a new one.
    pub fn push(&mut self, part: Points) {
        match self.0.last_mut() {
            Some(last) if continues(last, &part) => last.values.extend(part.values),
            _ => self.0.push(part),
        }
    }

    /// The series, in the hub's order.
    pub fn into_series(self) -> Vec<Points> {
        self.0
    }
}

fn continues(series: &Points, part: &Points) -> bool {
    let end = series.start
        + series
            .step_ms
            .saturating_mul(i64::try_from(series.values.len()).unwrap_or(i64::MAX));
    part.start == end
        && part.step_ms == series.step_ms
        && part.host == series.host
        && part.metric == series.metric
        && part.attributes == series.attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::UnixMs;

    fn part(host: &str, start: i64, values: &[f64]) -> Points {
        Points {
            host: host.into(),
            metric: "system.cpu.utilization".into(),
            unit: "1".into(),
            attributes: Vec::new(),
            start: UnixMs(start),
            step_ms: 1_000,
            values: values.to_vec(),
        }
    }

    #[test]
    fn parts_are_joined_only_where_they_continue_a_series() {
        let mut parts = PointsParts::default();
        for part in [
            part("a", 1_000, &[0.1, 0.2]),
            part("a", 3_000, &[0.3]),
            part("b", 1_000, &[0.9]),
            part("b", 1_000, &[0.8]),
        ] {
            parts.push(part);
        }
        let series = parts.into_series();
        let found: Vec<_> = series
            .iter()
            .map(|series| (series.host.as_str(), &series.values[..]))
            .collect();
        assert_eq!(
            found,
            [
                ("a", &[0.1, 0.2, 0.3][..]),
                ("b", &[0.9][..]),
                ("b", &[0.8][..])
            ]
        );
    }
}
