//! Clamps the times in requests to a range in which arithmetic cannot overflow. Pure.

use sysmon_wire::UnixMs;
use sysmon_wire::message::Request;

/// The years 1970 and 10,000: sums and differences of what lies between fit 64 bits.
const MOMENTS: (UnixMs, UnixMs) = (UnixMs(0), UnixMs(253_402_300_800_000));

/// The request with all its moments and spans clamped; there is no data outside of that range.
pub(super) fn bounded(mut request: Request) -> Request {
    let (moments, span) = moments(&mut request);
    for moment in moments.into_iter().flatten() {
        *moment = (*moment).clamp(MOMENTS.0, MOMENTS.1);
    }
    if let Some(span) = span {
        *span = (*span).min(MOMENTS.1.0);
    }
    request
}

fn moments(request: &mut Request) -> ([Option<&mut UnixMs>; 2], Option<&mut i64>) {
    match request {
        Request::Status
        | Request::Burst { .. }
        | Request::Renew { .. }
        | Request::Alerts
        | Request::Acknowledge { .. }
        | Request::Unacknowledge { .. }
        | Request::Unsilence { .. } => ([None, None], None),
        Request::Silence { until, .. } => ([Some(until), None], None),
        Request::Fleet { at, .. }
        | Request::Processes { at, .. }
        | Request::Changes { at, .. }
        | Request::Top { at, .. } => ([at.as_mut(), None], None),
        Request::Host { from, until, .. } => ([Some(from), until.as_mut()], None),
        Request::Timeline { from, to, .. } => ([Some(from), Some(to)], None),
        Request::Query(query) => (
            [Some(&mut query.from), Some(&mut query.to)],
            Some(&mut query.step_ms),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_out_of_range_are_clamped() {
        let host = |from: i64, until: Option<i64>| Request::Host {
            host: "a".into(),
            from: UnixMs(from),
            until: until.map(UnixMs),
        };
        let usual = host(1_700_000_000_000, None);
        assert_eq!(bounded(usual.clone()), usual);
        assert_eq!(
            bounded(host(i64::MIN, Some(i64::MAX))),
            host(0, Some(MOMENTS.1.0))
        );
    }
}
