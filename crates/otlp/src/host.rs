//! One host of a sender: its points as rows. Pure.

use std::sync::Arc;

use sysmon_wire::limits::{ROWS_PER_FRAME_MAX, SERIES_PER_HOST_MAX};
use sysmon_wire::{ABSENT, HostFacts, Label, SeriesKey, UnixMs};

use crate::derive::{Inputs, Sizes, State};
use crate::keys::SeriesKeys;
use crate::point::{Input, Reading, Scales};
use crate::rejections::{Reason, Rejections};
use crate::resource::Facts;

/// Points of one collection come apart by milliseconds; those of the next are further away.
const ROW_MS: i64 = 1_000;

/// How long a row waits for points that come in another message: senders split their batches.
pub(crate) const HOLD_MS: i64 = 250;

/// The interval of a host that has sent one row: the usual one of Collectors and SDKs.
const INTERVAL_MS: i64 = 60_000;

/// Gaps between rows that the interval follows from.
const GAPS: usize = 5;

/// Rows of one host that wait at a time, as many as in a frame of an agent.
const ROWS_MAX: usize = ROWS_PER_FRAME_MAX;

/// Points of a row that something is computed from: as many as the series that could follow.
const INPUTS_MAX: usize = 4 * SERIES_PER_HOST_MAX;

/// A row that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyRow {
    /// When its first point was taken.
    pub time: UnixMs,
    /// In the order of the host's series; those at the end may be missing.
    pub values: Vec<i64>,
    /// The machine has booted since the row before.
    pub is_another_boot: bool,
}

/// A row whose points still arrive.
#[derive(Debug)]
struct Draft {
    time: UnixMs,
    opened: UnixMs,
    values: Vec<i64>,
    inputs: Inputs,
    input_count: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Host {
    keys: SeriesKeys,
    pub(crate) scales: Scales,
    state: State,
    facts: Facts,
    sizes: Sizes,
    draft: Option<Draft>,
    ready: Vec<ReadyRow>,
    /// The newest row that is complete.
    newest: Option<UnixMs>,
    gaps_ms: [i64; GAPS],
    gap_count: usize,
    pub(crate) last_heard: UnixMs,
}

impl Host {
    pub(crate) fn describe(&mut self, facts: Facts) {
        self.facts.extend(facts);
    }

    /// Values in the rows that wait.
    pub(crate) fn waiting_values(&self) -> usize {
        self.ready.iter().map(|row| row.values.len()).sum()
    }

    /// Adds the points of one message, of whatever times, as far as their rows fit into `room` values.
    pub(crate) fn add(
        &mut self,
        mut readings: Vec<Reading>,
        mut room: usize,
        now: UnixMs,
        rejections: &mut Rejections,
    ) {
        self.last_heard = now;
        readings.sort_by_key(|reading| reading.time);
        for reading in readings {
            let is_other = |draft: &Draft| !(0..ROW_MS).contains(&(reading.time - draft.time));
            if self.draft.as_ref().is_some_and(is_other) {
                room = room.saturating_sub(self.close());
            }
            if self.draft.is_none() && (room == 0 || self.ready.len() >= ROWS_MAX) {
                rejections.add(Reason::Rows, 1);
                continue;
            }
            let mut draft = match self.draft.take() {
                Some(draft) => draft,
                None => {
                    self.keys.make_room(now);
                    Draft {
                        time: reading.time,
                        opened: now,
                        values: Vec::new(),
                        inputs: Inputs::default(),
                        input_count: 0,
                    }
                }
            };
            if let Some((key, value)) = &reading.value
                && !draft.set(&mut self.keys, key, *value)
            {
                rejections.add(Reason::Series, 1);
            } else if let Some(input) = &reading.input
                && !draft.input(input)
            {
                rejections.add(Reason::Series, 1);
            }
            self.draft = Some(draft);
        }
    }

    /// Completes the row that has waited long enough.
    pub(crate) fn close_due(&mut self, now: UnixMs) {
        if self
            .draft
            .as_ref()
            .is_some_and(|draft| now - draft.opened >= HOLD_MS)
        {
            self.close();
        }
    }

    /// Completes the row; returns how many values it has.
    fn close(&mut self) -> usize {
        let Some(mut draft) = self.draft.take() else {
            return 0;
        };
        let is_newest = self.newest.is_none_or(|newest| draft.time > newest);
        let inputs = std::mem::take(&mut draft.inputs);
        let mut is_another_boot = false;
        if is_newest {
            let (derived, sizes) = inputs.derive(&mut self.state);
            for (key, value) in derived {
                draft.set(&mut self.keys, &key, value);
            }
            is_another_boot = sizes.is_another_boot;
            self.sizes = Sizes {
                cpus: sizes.cpus.or(self.sizes.cpus),
                memory_bytes: sizes.memory_bytes.or(self.sizes.memory_bytes),
                uptime_s: sizes.uptime_s,
                is_another_boot,
            };
            self.note_gap(draft.time);
            self.keys.complete(draft.time, &mut draft.values);
            self.newest = Some(draft.time);
        } else {
            // Of the past: what follows from two readings is not known, the rest is.
            let (derived, _) = inputs.derive(&mut State::default());
            let is_gauge =
                |(key, _): &(SeriesKey, i64)| key.metric.kind == sysmon_wire::Kind::Gauge;
            for (key, value) in derived.into_iter().filter(is_gauge) {
                draft.set(&mut self.keys, &key, value);
            }
        }
        let count = draft.values.len();
        if draft.values.iter().any(|value| *value != ABSENT) {
            self.ready.push(ReadyRow {
                time: draft.time,
                values: draft.values,
                is_another_boot,
            });
        }
        self.forget_scales();
        count
    }

    fn note_gap(&mut self, time: UnixMs) {
        let Some(newest) = self.newest else { return };
        if let Some(gap) = self.gaps_ms.get_mut(self.gap_count % GAPS) {
            *gap = time - newest;
        }
        self.gap_count += 1;
    }

    /// Milliseconds between two rows: the median of the last gaps, so that one outage does not count.
    fn interval_ms(&self) -> i64 {
        let count = self.gap_count.min(GAPS);
        let mut gaps = self.gaps_ms;
        let gaps = gaps.get_mut(..count).unwrap_or_default();
        gaps.sort_unstable();
        let median = gaps.get(count.saturating_sub(1) / 2).copied();
        let median = median.unwrap_or(INTERVAL_MS);
        // In whole seconds, so that it does not change with every row.
        ((median + 500) / 1_000).max(1) * 1_000
    }

    /// Scales of metrics that have no series any more, when they are many.
    fn forget_scales(&mut self) {
        if self.scales.len() < SERIES_PER_HOST_MAX {
            return;
        }
        let keys = self.keys.keys();
        let names: std::collections::HashSet<&Label> =
            keys.iter().map(|key| &key.metric.name).collect();
        self.scales.retain(|name, _| names.contains(name));
    }

    pub(crate) fn take_ready(&mut self) -> Vec<ReadyRow> {
        std::mem::take(&mut self.ready)
    }

    pub(crate) fn table(&self) -> (u64, &[Arc<SeriesKey>]) {
        (self.keys.table(), self.keys.keys())
    }

    pub(crate) fn facts(&self) -> HostFacts {
        let uptime_ms = self
            .sizes
            .uptime_s
            .map(|seconds| (seconds * 1_000.0) as i64);
        let boot = self.newest.zip(uptime_ms).map(|(now, uptime)| now - uptime);
        HostFacts {
            id: Label::new(&self.facts.id),
            os: Label::new(&self.facts.os),
            kernel: Label::new(&self.facts.kernel),
            arch: Label::new(&self.facts.arch),
            cpu_model: Label::new(&self.facts.cpu_model),
            cpus: self.sizes.cpus.unwrap_or(0),
            memory_bytes: self.sizes.memory_bytes.unwrap_or(0),
            // By the minute: uptime has whole seconds.
            boot: boot.map_or(UnixMs(0), |boot| boot.floor(60_000)),
            interval_ms: u32::try_from(self.interval_ms()).unwrap_or(u32::MAX),
            ..HostFacts::unknown()
        }
    }
}

impl Draft {
    /// Sets a value unless there is one; false if the host has too many series.
    fn set(&mut self, keys: &mut SeriesKeys, key: &SeriesKey, value: i64) -> bool {
        let Some(index) = keys.index(key) else {
            return false;
        };
        if index >= self.values.len() {
            self.values.resize(index + 1, ABSENT);
        }
        if let Some(slot) = self.values.get_mut(index).filter(|slot| **slot == ABSENT) {
            *slot = value;
        }
        true
    }

    fn input(&mut self, input: &Input) -> bool {
        self.input_count += 1;
        if self.input_count > INPUTS_MAX {
            return false;
        }
        self.inputs.add(input);
        true
    }
}
