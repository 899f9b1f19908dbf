//! A host that replays the recording.

use std::sync::Arc;

use sysmon_agent::run::Source;
use sysmon_agent::sample::Sample;
use sysmon_agent::spool::SpoolHealth;
use sysmon_link::Connector;
use sysmon_wire::{ABSENT, HostFacts, Label, UnixMs};

use crate::VERSION;
use crate::tape::{Position, Tape};

/// Every sample is the next recorded second, regardless of the interval.
#[derive(Debug)]
pub struct Recorded {
    tape: Arc<Tape>,
    position: Position,
    values: Vec<i64>,
}

impl Recorded {
    /// Each number starts at another position of the tape.
    pub fn new(tape: Arc<Tape>, number: u64) -> Self {
        Self {
            position: tape.start(number),
            values: vec![ABSENT; tape.keys().len()],
            tape,
        }
    }

    /// A host for each connector.
    pub(crate) fn assign(
        connectors: Vec<Connector>,
        tape: &Arc<Tape>,
    ) -> impl ExactSizeIterator<Item = (Connector, Self)> {
        let numbered = connectors.into_iter().enumerate();
        numbered.map(|(at, connector)| (connector, Self::new(Arc::clone(tape), at as u64)))
    }
}

impl Source for Recorded {
    fn facts(&self) -> HostFacts {
        HostFacts {
            os: Label::new("Debian GNU/Linux 12 (recorded)"),
            kernel: Label::new("6.18"),
            arch: Label::new("x86_64"),
            cpu_model: Label::new("Recorded"),
            cpus: 2,
            memory_bytes: 25_276_510_208,
            boot: UnixMs(1_700_000_000_000),
            agent_version: Label::new(VERSION),
            tags: vec![Label::new("swarm")],
            ..HostFacts::unknown()
        }
    }

    fn sample(&mut self, _now: UnixMs, _spool: SpoolHealth) {
        self.tape.play(&mut self.position, &mut self.values);
    }

    fn row(&self) -> Sample<'_> {
        Sample {
            table: 0,
            series: self.tape.keys(),
            values: &self.values,
            processes: &[],
        }
    }
}
