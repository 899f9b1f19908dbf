//! Helpers of the collectors' tests.

use sysmon_wire::ABSENT;

use super::Roots;
use crate::board::Board;

/// Roots without any files.
pub(super) fn collector_roots() -> Roots {
    Roots {
        proc: "/nonexistent/proc".into(),
        sys: "/nonexistent/sys".into(),
        rootfs: "/nonexistent".into(),
    }
}

/// The value of the series of `metric` whose attributes have these values.
pub(super) fn value(board: &Board, metric: &str, attributes: &[&str]) -> i64 {
    let matches = |key: &sysmon_wire::SeriesKey| {
        key.metric.name == metric
            && key.attributes.len() == attributes.len()
            && attributes
                .iter()
                .all(|a| key.attributes.iter().any(|(_, v)| v == a))
    };
    let at = board.keys().iter().position(matches);
    at.map_or(ABSENT, |at| board.values()[at])
}
