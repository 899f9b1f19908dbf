//! One host of the fleet: its facts, its newest values, and their severity.

use sysmon_wire::message::{HostLine, HostState, HostTick};
use sysmon_wire::metrics::{ALIASES, SUMMARY, unscale};
use sysmon_wire::{ABSENT, UnixMs};

use super::rank::Rank;
use crate::model::spark::SparkLine;
use crate::model::summary::{CPU, FILESYSTEM, LOAD, MEMORY, RECEIVED, TEMPERATURE};
use crate::theme::Severity;

#[derive(Clone, Debug)]
pub struct HostRow {
    pub line: HostLine,
    pub tick: HostTick,
    pub cpu: SparkLine,
    pub received: SparkLine,
    pub(super) name_place: usize,
    pub(super) rank: Rank,
    standing: Standing,
}

/// State that orders and filters depend on, besides names and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    state: HostState,
    severity: Severity,
    is_unrecorded: bool,
}

impl HostRow {
    pub(super) fn new(line: HostLine, step: i64) -> Self {
        let state = HostState::Offline;
        let tick = HostTick {
            index: line.index,
            state,
            time: UnixMs(0),
            values: vec![ABSENT; SUMMARY],
        };
        Self {
            line,
            tick,
            cpu: SparkLine::new(step),
            received: SparkLine::new(step),
            name_place: 0,
            rank: Rank::default(),
            standing: Standing {
                state,
                severity: Severity::None,
                is_unrecorded: false,
            },
        }
    }

    pub(super) fn take(&mut self, tick: HostTick) {
        if tick.time > self.tick.time {
            let value = |place: usize| tick.values.get(place).copied().unwrap_or(ABSENT);
            self.cpu.push(tick.time, value(CPU));
            self.received.push(tick.time, value(RECEIVED));
        }
        if self.tick.time.0 == 0 {
            // Without a sample there is no level to hold.
            self.rank = Rank::default();
        }
        self.tick = tick;
    }

    /// Updates state and severity at a moment, after its line or values changed; returns whether they differ.
    pub(super) fn stand(&mut self, moment: UnixMs) -> bool {
        let silent = self.tick.state == HostState::Offline && self.tick.time.0 == 0;
        let standing = Standing {
            state: self.tick.state,
            severity: self.worst(),
            is_unrecorded: silent && self.line.health.oldest > moment,
        };
        let is_new = standing != self.standing;
        self.standing = standing;
        let level = level(self);
        let ranked = self
            .rank
            .take(level, moment, self.tick.state == HostState::Live);
        is_new || ranked
    }

    /// Whether the moment shown lies before its first row.
    pub fn is_unrecorded(&self) -> bool {
        self.standing.is_unrecorded
    }

    /// A value of its line in its real unit.
    pub fn value(&self, place: usize) -> Option<f64> {
        let value = self
            .tick
            .values
            .get(place)
            .copied()
            .filter(|value| *value != ABSENT)?;
        Some(unscale(value, ALIASES.get(place)?.metric.scale))
    }

    /// Severity of a value: memory or disk nearly full, a processor that is never idle,
    /// twice as many runnable tasks as processors.
    pub fn severity_of(&self, place: usize) -> Severity {
        let Some(value) = self
            .value(place)
            .filter(|_| self.tick.state == HostState::Live)
        else {
            return Severity::None;
        };
        let (warning, critical) = match place {
            CPU => (0.90, 0.97),
            MEMORY => (0.90, 0.97),
            FILESYSTEM => (0.90, 0.97),
            LOAD => {
                let processors = f64::from(self.line.facts.cpus.max(1));
                (processors * 2.0, processors * 8.0)
            }
            TEMPERATURE => (85.0, 95.0),
            _ => return Severity::None,
        };
        if value >= critical {
            Severity::Critical
        } else {
            Severity::warning_if(value >= warning)
        }
    }

    pub fn severity(&self) -> Severity {
        self.standing.severity
    }

    fn worst(&self) -> Severity {
        let alerts = self.line.alerts.iter().map(|alert| alert.severity.into());
        (0..SUMMARY)
            .map(|place| self.severity_of(place))
            .chain(alerts)
            .max()
            .unwrap_or(Severity::None)
    }
}

/// Shares of the processors in use, and tasks per processor, that raise the rank.
const PRESSED: [f64; 2] = [0.5, 0.75];
const QUEUED: [f64; 2] = [1.0, 1.5];

/// The severity of a host: critical, warning, offline, stale, then by the load of its processors.
fn level(host: &HostRow) -> u8 {
    match (host.severity(), host.tick.state) {
        (Severity::Critical, _) => 7,
        (Severity::Warning, _) => 6,
        (Severity::None, HostState::Offline) if host.is_unrecorded() => 0,
        (Severity::None, HostState::Offline) => 5,
        (Severity::None, HostState::Stale) => 4,
        (Severity::None, HostState::Live) => 1 + pressure(host),
    }
}

fn pressure(host: &HostRow) -> u8 {
    let processors = f64::from(host.line.facts.cpus.max(1));
    let cpu = host.value(CPU).unwrap_or(0.0);
    let load = host.value(LOAD).unwrap_or(0.0) / processors;
    let over = |value: f64, steps: [f64; 2]| steps.iter().filter(|step| value >= **step).count();
    over(cpu, PRESSED).max(over(load, QUEUED)) as u8
}
