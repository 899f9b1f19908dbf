//! The use of processors over the span of the strip, of the fleet or of the open host.

use sysmon_wire::message::{HUB_HOST, Points, Query, Request};
use sysmon_wire::metrics::FLEET_CPU_UTILIZATION;
use sysmon_wire::{Label, UnixMs};

use crate::model::window::Window;

/// Points requested: as many as a strip of usual width has cells.
const POINTS: i64 = 120;

/// It is asked for again this often, however long its points are.
const AGAIN_MS: i64 = 15_000;

#[derive(Clone, Debug, PartialEq)]
struct Asked {
    host: Option<Label>,
    from: UnixMs,
    to: UnixMs,
    step_ms: i64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    asked: Option<Asked>,
    known: Option<(UnixMs, i64, Vec<f64>)>,
}

impl Load {
    /// Asks again after each step, or for another host or span.
    pub(super) fn follow(&mut self, host: Option<&Label>, window: Window) {
        let step_ms = ((window.to - window.from) / POINTS).max(1_000);
        // What is incomplete is asked for again, too.
        let to = window.to.floor(step_ms.min(AGAIN_MS));
        let asked = Asked {
            host: host.cloned(),
            from: to.floor(step_ms) - step_ms * (POINTS - 1),
            to,
            step_ms,
        };
        if self.asked.as_ref() != Some(&asked) {
            let is_other = |before: &Asked| before.host != asked.host;
            if self.asked.as_ref().is_some_and(is_other) {
                self.known = None;
            }
            self.asked = Some(asked);
        }
    }

    pub(super) fn request(&self) -> Option<Request> {
        let asked = self.asked.as_ref()?;
        let (metric, host) = match &asked.host {
            Some(host) => ("cpu", host.clone()),
            None => (FLEET_CPU_UTILIZATION.name, HUB_HOST.into()),
        };
        let query = Query::new(metric.into(), asked.from, asked.to, asked.step_ms);
        let host = Some(host);
        Some(Request::Query(Query { host, ..query }))
    }

    pub(super) fn set(&mut self, points: Points) {
        self.known = Some((points.start, points.step_ms.max(1), points.values));
    }

    pub(super) fn forget(&mut self) {
        self.asked = None;
    }

    /// The share in use in a part of the time; `None` where no row is.
    pub(super) fn mean(&self, from: UnixMs, to: UnixMs) -> Option<f64> {
        let (start, step_ms, values) = self.known.as_ref()?;
        let place = |time: UnixMs| (time - *start).div_euclid(*step_ms).max(0) as usize;
        let first = place(from);
        let last = place(to - 1).max(first).min(values.len().saturating_sub(1));
        let known = values.get(first..=last)?.iter().filter(|v| v.is_finite());
        let count = known.clone().count();
        (count > 0 && from >= *start).then(|| known.sum::<f64>() / count as f64)
    }

    /// Whether anything is known.
    pub(super) fn is_known(&self) -> bool {
        self.known.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(to: i64) -> Window {
        Window {
            from: UnixMs(to - 3_600_000),
            to: UnixMs(to),
        }
    }

    #[test]
    fn it_is_asked_for_again_when_a_step_is_over_and_for_another_host() {
        let mut load = Load::default();
        let mut asked = |host: Option<&str>, to: i64| {
            let before = load.request();
            load.follow(host.map(Label::new).as_ref(), window(to));
            before != load.request()
        };
        assert!(asked(None, 7_200_000));
        assert!(!asked(None, 7_205_000));
        assert!(asked(None, 7_215_000), "half a step later");
        assert!(asked(Some("a"), 7_215_000));
    }

    #[test]
    fn a_part_of_the_time_has_the_mean_of_its_points() {
        let load = Load {
            known: Some((UnixMs(0), 1_000, vec![0.2, 0.4, f64::NAN, 0.6])),
            ..Load::default()
        };
        let mean = |from, to| load.mean(UnixMs(from), UnixMs(to));
        assert!((mean(0, 2_000).unwrap() - 0.3).abs() < 1e-9);
        assert_eq!(mean(2_000, 3_000), None);
        assert_eq!(mean(3_000, 4_000), Some(0.6));
        assert_eq!(mean(9_000, 10_000), None);
        assert_eq!(mean(-5_000, -4_000), None, "before what was asked for");
    }
}
