//! One host of the fleet: its facts, its newest values, and their severity.

use sysmon_wire::message::{AlertLine, HostLine, HostState, HostTick};
use sysmon_wire::metrics::{ALIASES, SUMMARY, unscale};
use sysmon_wire::{ABSENT, UnixMs};

use super::rank::Rank;
use crate::model::spark::SparkLine;
use crate::model::step::Steps;
use crate::model::summary::{CPU, FILESYSTEM, MEMORY, place_of};
use crate::theme::Severity;

#[derive(Clone, Debug)]
pub struct HostRow {
    pub line: HostLine,
    pub tick: HostTick,
    pub cpu: SparkLine,
    /// How far each value is above the usual.
    steps: [usize; SUMMARY],
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
            steps: [0; SUMMARY],
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
        }
        if self.tick.time.0 == 0 {
            // Without a sample there is no level to hold.
            self.rank = Rank::default();
        }
        self.tick = tick;
        for place in 0..SUMMARY {
            let value = self.value(place);
            if let Some(step) = self.steps.get_mut(place) {
                *step = value.map_or(0, |value| Steps::of(place).step_after(*step, value));
            }
        }
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

    /// How far a value is above the usual, from 0.
    pub(crate) fn step(&self, place: usize) -> usize {
        self.steps.get(place).copied().unwrap_or(0)
    }

    /// The severity of the rules that fire about a value.
    pub(crate) fn severity_of(&self, place: usize) -> Severity {
        let about = |alert: &&AlertLine| place_of(alert.metric.as_str()) == Some(place);
        let alerts = self.line.alerts.iter().filter(about);
        let severities = alerts.map(|alert| alert.severity.into());
        severities.max().unwrap_or_default()
    }

    pub fn severity(&self) -> Severity {
        self.standing.severity
    }

    fn worst(&self) -> Severity {
        let alerts = self.line.alerts.iter();
        let severities = alerts.map(|alert| alert.severity.into());
        severities.max().unwrap_or_default()
    }

    /// For how long it has been better than its place in the order says.
    pub(crate) fn recovering_since(&self) -> Option<UnixMs> {
        let (held, since) = self.rank.falling()?;
        (held >= WARNING && self.severity() == Severity::None).then_some(since)
    }
}

/// Levels of the order by severity. Nothing in them changes from second to second, so that rows do not jump.
const CRITICAL: u8 = 240;
const WARNING: u8 = 200;
const OFFLINE: u8 = 160;
const STALE: u8 = 120;

/// What a step of memory or filesystems counts more than any use of processors.
const STEP: u8 = 11;

fn level(host: &HostRow) -> u8 {
    match (host.severity(), host.tick.state) {
        (Severity::Critical, _) => CRITICAL,
        (Severity::Warning, _) => WARNING,
        (Severity::None, HostState::Offline) if host.is_unrecorded() => 0,
        (Severity::None, HostState::Offline) => OFFLINE,
        (Severity::None, HostState::Stale) => STALE,
        (Severity::None, HostState::Live) => {
            let space = host.step(MEMORY).max(host.step(FILESYSTEM)) as u8;
            let tens = host.cpu.mean().unwrap_or(0).clamp(0, 1000) / 100;
            1 + space * STEP + tens as u8
        }
    }
}
