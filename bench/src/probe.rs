//! A host whose load encodes the time, so that a screen reveals which moment it shows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sysmon_agent::run::Source;
use sysmon_agent::sample::Sample;
use sysmon_agent::spool::SpoolHealth;
use sysmon_wire::metrics::LOAD_1M;
use sysmon_wire::{HostFacts, Label, SeriesKey, UnixMs};

use crate::VERSION;

pub(crate) const NAME: &str = "probe";

pub(crate) struct Probe {
    past: Duration,
    keys: [SeriesKey; 1],
    values: [i64; 1],
    newest: Arc<Newest>,
}

/// Time of the newest sample, on the wall clock and on the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Newest(Mutex<Option<(UnixMs, Instant)>>);

impl Newest {
    pub(crate) fn get(&self) -> Option<(UnixMs, Instant)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe {
    /// `past` is how far before the start it has rows.
    pub(crate) fn new(past: Duration, newest: Arc<Newest>) -> Self {
        Self {
            past,
            keys: [LOAD_1M.series(&[])],
            values: [0],
            newest,
        }
    }
}

/// The load at a moment, in hundredths: from 10.0 to 99.9, different in every second of 15 minutes.
fn load(time: UnixMs) -> i64 {
    1000 + (time.0.div_euclid(1000) * 7).rem_euclid(900) * 10
}

pub(crate) fn shown(time: UnixMs) -> String {
    format!("{:.1}", load(time) as f64 / 100.0)
}

impl Source for Probe {
    fn facts(&self) -> HostFacts {
        HostFacts {
            agent_version: Label::new(VERSION),
            ..HostFacts::unknown()
        }
    }

    fn past(&self) -> Duration {
        self.past
    }

    fn sample(&mut self, now: UnixMs, _spool: SpoolHealth) {
        self.values = [load(now)];
        let mut newest = self.newest.0.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = Some((now, Instant::now()));
    }

    fn row(&self) -> Sample<'_> {
        Sample {
            table: 0,
            series: &self.keys,
            values: &self.values,
            processes: &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_second_of_fifteen_minutes_has_its_own_load() {
        let all: HashSet<_> = (0..900).map(|s| shown(UnixMs(s * 1000))).collect();
        assert_eq!(all.len(), 900);
        assert!(all.iter().all(|text| text.len() == 4));
    }
}
