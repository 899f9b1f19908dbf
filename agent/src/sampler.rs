//! One host's samples: the collectors of its system, and the agent's own numbers.

use std::time::Instant;

use sysmon_config::AgentConfig;
use sysmon_wire::metrics::{AGENT_ROWS_DROPPED, AGENT_SAMPLE_TIME, AGENT_SPOOL_ERRORS, UPTIME};
use sysmon_wire::{HostFacts, Label, Process, UnixMs};

use crate::board::{Board, Slot};
use crate::run::Source;
use crate::sample::Sample;
use crate::spool::SpoolHealth;

#[cfg(target_os = "linux")]
use crate::linux::{LinuxCollector as Collector, OwnMetrics, Roots};
#[cfg(not(target_os = "linux"))]
use crate::portable::PortableCollector as Collector;

/// Steps in which the time to take a sample is told, in microseconds: finer ones would change with
/// every sample and cost more to send than they say.
const SAMPLE_TIME_STEP_US: u128 = 50;

/// Takes samples of this machine.
#[derive(Debug)]
pub struct Sampler {
    board: Board,
    collector: Collector,
    tags: Vec<Label>,
    boot: UnixMs,
    all_processes: bool,
    uptime: Slot,
    sample_time: Slot,
    rows_dropped: Slot,
    spool_errors: Slot,
}

impl Sampler {
    /// Begins a run on this machine.
    pub fn new(config: &AgentConfig) -> Self {
        let mut board = Board::new();
        #[cfg(target_os = "linux")]
        let own = OwnMetrics {
            textfiles: config.textfiles.clone(),
            commands: config.commands.clone(),
        };
        #[cfg(target_os = "linux")]
        let collector = Collector::new(Roots::default(), &own, &mut board);
        #[cfg(not(target_os = "linux"))]
        let collector = Collector::new(&mut board);
        Self {
            uptime: board.slot(UPTIME.series(&[])),
            sample_time: board.slot(AGENT_SAMPLE_TIME.series(&[])),
            rows_dropped: board.slot(AGENT_ROWS_DROPPED.series(&[])),
            spool_errors: board.slot(AGENT_SPOOL_ERRORS.series(&[])),
            boot: collector.facts().boot,
            all_processes: false,
            tags: config.tags.iter().map(|tag| Label::new(tag)).collect(),
            board,
            collector,
        }
    }
}

impl Source for Sampler {
    fn facts(&self) -> HostFacts {
        HostFacts {
            tags: self.tags.clone(),
            ..self.collector.facts()
        }
    }

    fn sample(&mut self, now: UnixMs, spool: SpoolHealth) {
        let start = Instant::now();
        self.collector
            .sample(now, self.all_processes, &mut self.board);
        let board = &mut self.board;
        if self.boot.0 > 0 {
            board.set(self.uptime, ((now - self.boot) / 1000).max(0));
        }
        board.set_u64(self.rows_dropped, spool.rows_dropped);
        board.set_u64(self.spool_errors, spool.disk_errors);
        let steps = start.elapsed().as_micros().div_ceil(SAMPLE_TIME_STEP_US);
        board.set_u64(self.sample_time, (steps * SAMPLE_TIME_STEP_US) as u64);
    }

    fn row(&self) -> Sample<'_> {
        Sample {
            series: self.board.keys(),
            values: self.board.values(),
            processes: self.collector.ranked(),
        }
    }

    fn watch_processes(&mut self, all: bool) {
        self.all_processes = all;
    }

    fn processes(&self) -> Vec<Process> {
        self.collector.processes()
    }

    fn notes(&mut self) -> Vec<String> {
        self.collector.notes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::ABSENT;
    use sysmon_wire::metrics::{PROCESS_IDENTITY, alias};

    fn value(sampler: &Sampler, name: &str) -> i64 {
        let alias = alias(name).unwrap();
        let Sample { series, values, .. } = sampler.row();
        series
            .iter()
            .position(|key| alias.is(key))
            .map_or(ABSENT, |at| values[at])
    }

    #[test]
    fn a_sample_of_this_machine_has_what_people_ask_for() {
        let mut sampler = Sampler::new(&AgentConfig {
            tags: vec!["desk".to_owned()],
            ..AgentConfig::default()
        });
        let start = UnixMs::from_system(std::time::SystemTime::now());
        sampler.sample(start, SpoolHealth::default());
        // Until the kernel's tick counter has moved there is no utilization to tell.
        let mut tries = 0;
        while value(&sampler, "cpu") == ABSENT && tries < 1_000_000 {
            sampler.sample(start, SpoolHealth::default());
            tries += 1;
        }
        for name in ["cpu", "mem", "load1", "net.rx", "disk.read", "uptime"] {
            assert_ne!(value(&sampler, name), ABSENT, "{name}");
        }
        assert!((0..=1000).contains(&value(&sampler, "cpu")));
        assert_eq!(sampler.facts().tags, ["desk"]);
        let row = sampler.row();
        assert_eq!(row.series.len(), row.values.len());
        let named: Vec<_> = row
            .processes
            .iter()
            .map(sysmon_wire::ProcessIdentity::id)
            .collect();
        let held = row.series.iter().zip(row.values);
        let held = held
            .filter(|(key, value)| key.metric.name == PROCESS_IDENTITY.name && **value != ABSENT);
        let held: Vec<_> = held.map(|(_, value)| *value).collect();
        assert!(!held.is_empty() || !cfg!(target_os = "linux"));
        assert!(held.iter().all(|id| named.contains(id)));
    }
}
