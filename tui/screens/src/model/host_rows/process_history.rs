//! What a process used over time.

use sysmon_wire::metrics::{Metric, PROCESS_CPU, PROCESS_IDENTITY, PROCESS_MEMORY, unscale};
use sysmon_wire::{ABSENT, SeriesKey};

use super::{HostRows, Step};

/// What a process used over time, from the rows that list it among the busiest.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessHistory {
    pub cpu: Vec<Option<Step>>,
    pub memory: Vec<Option<Step>>,
    /// Whether some rows do not list it.
    pub is_missed: bool,
}

impl HostRows {
    /// What a process used, in steps as [`Self::history`] has them.
    pub fn history_of_process(&self, id: i64, points: usize, step_ms: i64) -> ProcessHistory {
        let mut history = ProcessHistory {
            cpu: vec![None; points],
            memory: vec![None; points],
            is_missed: false,
        };
        let end = self.newest().map_or(0, |n| (n + 1).floor(step_ms).0);
        let start = end - step_ms.saturating_mul(points as i64);
        let ranks = self.ranks();
        for (time, values) in &self.rows {
            let step = usize::try_from((*time - start).div_euclid(step_ms));
            let Some(step) = step.ok().filter(|step| *step < points) else {
                continue;
            };
            let value = |at: Option<usize>| at.and_then(|at| values.get(at)).copied();
            let place = ranks.iter().find(|(at, ..)| value(Some(*at)) == Some(id));
            let Some((_, cpu, memory)) = place else {
                history.is_missed = true;
                continue;
            };
            let number = |at| value(at).filter(|v| *v != ABSENT).unwrap_or(0);
            let add = |steps: &mut Vec<Option<Step>>, value: f64| match steps.get_mut(step) {
                Some(Some(step)) => step.add(value),
                Some(none) => *none = Some(Step::of(value)),
                None => {}
            };
            add(&mut history.cpu, unscale(number(*cpu), PROCESS_CPU.scale));
            add(
                &mut history.memory,
                unscale(number(*memory), PROCESS_MEMORY.scale),
            );
        }
        history
    }

    /// Where the places of the busiest processes are among the series: who it is, processor, memory.
    fn ranks(&self) -> Vec<(usize, Option<usize>, Option<usize>)> {
        let place = |(at, key): (usize, &SeriesKey)| {
            let rank = key.attribute("sysmon.rank")?;
            let attributes = [("sysmon.rank", rank.as_str())];
            let of = |metric: &Metric| self.find(metric, &attributes);
            (key.metric.name == PROCESS_IDENTITY.name)
                .then(|| (at, of(&PROCESS_CPU), of(&PROCESS_MEMORY)))
        };
        self.keys.iter().enumerate().filter_map(place).collect()
    }
}
