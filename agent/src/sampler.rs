//! Samples of this machine: the collectors of its operating system, and the agent's own metrics.

use std::path::Path;

use sysmon_clock::Clock;
use sysmon_config::AgentConfig;
use sysmon_wire::metrics::{
    AGENT_ROWS_DROPPED, AGENT_SAMPLE_TIME, AGENT_SPOOL_ERRORS, LIMIT_REACHED,
};
use sysmon_wire::{HostFacts, Label, LimitState, Process, ProcessArguments, UnixMs};

use crate::background::Background;
use crate::board::{Board, Slot};
use crate::checks;
use crate::heartbeats::{self, Store};
use crate::run::Source;
use crate::sample::Sample;
use crate::spool::SpoolHealth;

#[cfg(target_os = "linux")]
use crate::linux::{CollectorOptions, LinuxCollector as Collector, Roots};
#[cfg(not(target_os = "linux"))]
use crate::portable::PortableCollector as Collector;

/// Resolution of the sample time metric, in microseconds: a finer one would change with every sample and cost
/// more to send than it is worth.
const SAMPLE_TIME_STEP_US: u128 = 50;

#[derive(Debug)]
pub struct Sampler {
    clock: Clock,
    board: Board,
    collector: Collector,
    tags: Vec<Label>,
    interval_ms: u32,
    all_processes: bool,
    sample_time: Slot,
    rows_dropped: Slot,
    spool_errors: Slot,
    /// Checks and heartbeats.
    background: Vec<Background>,
    /// In the order of [`Source::limits`].
    limits_reached: Vec<Slot>,
}

impl Sampler {
    pub fn new(config: &AgentConfig, clock: &Clock) -> Self {
        let mut board = Board::new();
        #[cfg(target_os = "linux")]
        let options = CollectorOptions {
            filesystems: config.filesystems.clone(),
            textfiles: config.textfiles.clone(),
            commands: config.commands.clone(),
            arguments: config.arguments,
            processes: config.processes.clone(),
            units: config.units.clone(),
            ups: config.ups.clone(),
            updates: config.updates,
        };
        #[cfg(target_os = "linux")]
        let roots = Roots {
            proc: config.proc.clone(),
            sys: config.sys.clone(),
            rootfs: config.rootfs.clone(),
        };
        #[cfg(target_os = "linux")]
        let collector = Collector::new(roots, &options, clock, &mut board);
        #[cfg(not(target_os = "linux"))]
        let collector = Collector::new(&mut board);
        let checks = checks::start(
            config.checks.clone(),
            config.check_networks.clone(),
            clock.clone(),
        );
        Self {
            background: checks.into_iter().collect(),
            clock: clock.clone(),
            sample_time: board.slot(AGENT_SAMPLE_TIME.series(&[])),
            rows_dropped: board.slot(AGENT_ROWS_DROPPED.series(&[])),
            spool_errors: board.slot(AGENT_SPOOL_ERRORS.series(&[])),
            limits_reached: Vec::new(),
            all_processes: false,
            tags: config.tags.iter().map(|tag| Label::new(tag)).collect(),
            interval_ms: u32::try_from(config.interval.as_millis()).unwrap_or(u32::MAX),
            board,
            collector,
        }
    }
}

impl Sampler {
    /// Hears heartbeats at the configured address, if there is one.
    pub fn hear(&mut self, config: &AgentConfig, state: &Path) {
        if let Some(address) = config.heartbeats {
            let heard = heartbeats::start(address, Store::new(state), self.clock.clone());
            self.background.push(heard);
        }
    }

    fn show_limits(&mut self) {
        for (at, limit) in self.limits().iter().enumerate() {
            let key = LIMIT_REACHED.series(&[("limit", limit.name.as_str())]);
            let slot = match self.limits_reached.get(at) {
                Some(slot) => *slot,
                None => {
                    let slot = self.board.slot(key);
                    self.limits_reached.push(slot);
                    slot
                }
            };
            self.board.set_u64(slot, limit.reached_total);
        }
    }
}

impl Source for Sampler {
    fn facts(&self) -> HostFacts {
        HostFacts {
            tags: self.tags.clone(),
            interval_ms: self.interval_ms,
            ..self.collector.facts()
        }
    }

    fn sample(&mut self, now: UnixMs, spool: SpoolHealth) {
        let start = self.clock.instant();
        self.board.tidy();
        self.collector
            .sample(now, self.all_processes, &mut self.board);
        for source in &mut self.background {
            source.collect(&mut self.board);
        }
        let board = &mut self.board;
        board.set_u64(self.rows_dropped, spool.rows_dropped);
        board.set_u64(self.spool_errors, spool.disk_errors);
        self.show_limits();
        let steps = (self.clock.instant() - start)
            .as_micros()
            .div_ceil(SAMPLE_TIME_STEP_US);
        self.board
            .set_u64(self.sample_time, (steps * SAMPLE_TIME_STEP_US) as u64);
    }

    fn row(&self) -> Sample<'_> {
        Sample {
            table: self.board.table(),
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

    fn take_arguments(&mut self, again: bool) -> Vec<ProcessArguments> {
        self.collector.take_arguments(again)
    }

    fn limits(&self) -> Vec<LimitState> {
        let checks = Background::limit("metrics of checks", &self.background);
        let own = [self.board.limit(), checks].into_iter();
        own.chain(self.collector.limits()).collect()
    }

    fn notes(&self) -> Vec<String> {
        let checks = self.background.iter().flat_map(Background::notes).cloned();
        checks.chain(self.collector.notes()).collect()
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
    fn a_sample_of_this_machine_has_the_common_metrics() {
        let config = AgentConfig {
            tags: vec!["desk".to_owned()],
            ..AgentConfig::default()
        };
        let clock = Clock::system();
        let mut sampler = Sampler::new(&config, &clock);
        let start = clock.now();
        sampler.sample(start, SpoolHealth::default());
        // There is no utilization until the kernel's tick counter has advanced.
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
