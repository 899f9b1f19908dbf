//! What the tests of the collectors share.

use sysmon_wire::ABSENT;

use super::Roots;
use crate::board::Board;

/// Roots under which there is nothing.
pub(super) fn collector_roots() -> Roots {
    Roots {
        proc: "/nonexistent/proc".into(),
        sys: "/nonexistent/sys".into(),
    }
}

/// The value of the series of `metric` whose attributes have these values.
pub(super) fn value(board: &Board, metric: &str, attributes: &[&str]) -> i64 {
    let is_it = |key: &sysmon_wire::SeriesKey| {
        key.metric.name == metric
            && key.attributes.len() == attributes.len()
            && attributes
                .iter()
                .all(|a| key.attributes.iter().any(|(_, v)| v == a))
    };
    let at = board.keys().iter().position(is_it);
    at.map_or(ABSENT, |at| board.values()[at])
}
