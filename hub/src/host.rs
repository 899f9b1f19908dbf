//! One host: its series, rows and state, and what is missing of its record. Pure.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use sysmon_alerts::engine::SeriesKeys;
use sysmon_series::{ChunkError, Ring, Table, rate};
use sysmon_wire::limits::RUNS_PER_HOST_MAX;
use sysmon_wire::message::HUB_HOST;
use sysmon_wire::message::{AlertLine, HostHealth, HostState, RunId};
use sysmon_wire::metrics::{ALIASES, SUMMARY};
use sysmon_wire::{
    ABSENT, HostFacts, Kind, Label, ProcessIdentity, Row, SeqSet, SeriesKey, UnixMs,
};

use crate::custom_metrics::CustomSeries;
use crate::limits::HostLimits;
use crate::processes::HostProcesses;
use sysmon_store::{BatchSeries, HostBatch, LoadedHost};

mod series;
mod silence;

use series::LastValue;
pub use series::{SERIES_BYTES_MAX, STORED_SERIES_MAX, is_no_series};
pub use silence::RETURN_MS;

const HOUR_MS: i64 = 3_600_000;

/// A row this far ahead of now is from a wrong clock.
const AHEAD_MS: i64 = 5_000;

const SETTLED_MS: i64 = 1_800_000;

/// Moments of a boot that differ by less are the same boot: uptime has whole seconds, and a clock is corrected.
const BOOT_MS: i64 = 30_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    Machine,
    /// A hub that records its own figures: this one, or one of an earlier name.
    Hub,
}

impl HostKind {
    /// Only the name is stored, so that it decides when a host is added.
    pub fn of_name(name: &Label) -> Self {
        match name.as_str().starts_with(HUB_HOST) {
            true => Self::Hub,
            false => Self::Machine,
        }
    }
}

#[derive(Debug)]
pub struct Host {
    /// From its agent's certificate.
    pub name: Label,
    pub kind: HostKind,
    pub facts: HostFacts,
    /// Rows within the retention and the memory budget.
    pub ring: Ring,
    /// How far its clock is ahead of the hub's; negative if behind.
    pub clock_offset_ms: i64,
    /// The fleet's generation when its values or state last changed.
    pub changed: u64,
    /// The fleet's generation when its line last changed.
    pub line_changed: u64,
    /// The fleet's generation when rows of the past last arrived.
    pub past_changed: u64,
    /// By its silence at the last review.
    pub state: HostState,
    pub is_away: bool,
    pub processes: HostProcesses,
    pub custom: CustomSeries,
    pub notes: Vec<Label>,
    pub limits: HostLimits,
    /// Its firing alerts, the most severe first.
    pub alerts: Vec<AlertLine>,
    /// Rows stored since the hub started, evicted ones included.
    pub rows_stored: u64,
    /// The series that have rows, by index; an index without one has [`no_series`].
    keys: SeriesKeys,
    indices: HashMap<Arc<SeriesKey>, u32>,
    /// By index.
    values: Vec<LastValue>,
    /// The indices without a series: the lowest is used first, so that rows get shorter again.
    free: BTreeSet<u32>,
    /// Bytes that its series use, their names above all.
    series_bytes: usize,
    runs: VecDeque<(RunId, SeqSet)>,
    pub summary: [Option<u32>; SUMMARY],
    /// The index of its uptime.
    uptime: Option<u32>,
    present: Present,
    /// When the machine had booted whose row is the newest.
    boot: Option<UnixMs>,
    pub last_arrival: Option<UnixMs>,
    /// Start of the present hour of events, and how many it has.
    events: (UnixMs, usize),
    duplicate_rows: u64,
    pub refused_rows: u64,
    /// Late rows that were not sealed at the last call of [`Host::settle`].
    late_rows: u32,
    unsaved: Unsaved,
    handed_over: HandedOver,
}

/// Which rows the history was handed, for exports, which see only what is durable.
#[derive(Clone, Copy, Debug, Default)]
struct HandedOver {
    /// The fleet's generation that is durable once the last batch is committed.
    generation: u64,
    newest: Option<UnixMs>,
    /// The newest row of the batches before.
    before: Option<UnixMs>,
}

#[derive(Debug, Default)]
struct Unsaved {
    facts: bool,
    series: BTreeSet<u32>,
    retired: Option<UnixMs>,
    processes: Vec<(ProcessIdentity, UnixMs)>,
    runs: Vec<RunId>,
    /// The oldest row that was not in a chunk when changes were last taken.
    oldest_unsealed: Option<UnixMs>,
    /// The oldest and the newest of the rows that came late.
    late: Option<(UnixMs, UnixMs)>,
}

#[derive(Clone, Copy, Debug)]
struct Present {
    time: UnixMs,
    /// The row's run and sequence number; unknown for restored rows.
    row: Option<(RunId, u64)>,
    /// As received: counters are no rates yet.
    raw: [i64; SUMMARY],
    shown: [i64; SUMMARY],
}

impl Host {
    pub fn new(name: Label, kind: HostKind, ring: Ring) -> Self {
        Self {
            name,
            kind,
            facts: HostFacts::unknown(),
            ring,
            clock_offset_ms: 0,
            changed: 0,
            line_changed: 0,
            past_changed: 0,
            state: HostState::Offline,
            is_away: false,
            processes: HostProcesses::default(),
            custom: CustomSeries::default(),
            notes: Vec::new(),
            limits: HostLimits::default(),
            alerts: Vec::new(),
            rows_stored: 0,
            keys: SeriesKeys::default(),
            indices: HashMap::new(),
            values: Vec::new(),
            free: BTreeSet::new(),
            series_bytes: 0,
            runs: VecDeque::new(),
            summary: [None; SUMMARY],
            uptime: None,
            present: Present {
                time: UnixMs(0),
                row: None,
                raw: [ABSENT; SUMMARY],
                shown: [ABSENT; SUMMARY],
            },
            boot: None,
            last_arrival: None,
            events: (UnixMs(0), 0),
            duplicate_rows: 0,
            refused_rows: 0,
            late_rows: 0,
            unsaved: Unsaved::default(),
            handed_over: HandedOver::default(),
        }
    }

    pub fn knows_run(&self, run: RunId) -> bool {
        self.runs.iter().any(|(known, _)| *known == run)
    }

    /// The rows that are there of each of `runs`, as far as the host's runs are remembered.
    pub fn rows_of_runs(&self, runs: &[RunId]) -> Vec<(RunId, SeqSet)> {
        let is_asked = |(run, _): &&(RunId, SeqSet)| runs.contains(run);
        self.runs.iter().filter(is_asked).cloned().collect()
    }

    /// The newest run with its highest sequence number.
    pub fn newest_run(&self) -> Option<(RunId, u64)> {
        let (run, seqs) = self.runs.back()?;
        Some((*run, seqs.ranges().last()?.1))
    }

    /// Whether there is a row of the same moment that has every value of this one; counted if so.
    pub fn repeats(&mut self, row: &Row) -> bool {
        if self.ring.newest().is_none_or(|newest| row.time > newest) {
            return false;
        }
        let present = (0u32..)
            .zip(&row.values)
            .filter(|(_, value)| **value != ABSENT);
        let (indices, values): (Vec<u32>, Vec<i64>) =
            present.map(|(at, value)| (at, *value)).unzip();
        // A chunk that does not decode is noticed where it is read for an answer.
        let stored = self.ring.at(&indices, row.time, row.time).ok().flatten();
        let repeats = stored.is_some_and(|(time, stored)| time == row.time && stored == values);
        self.duplicate_rows += u64::from(repeats);
        repeats
    }

    /// Marks a row as received; false if it was before.
    pub fn is_new(&mut self, run: RunId, seq: u64) -> bool {
        let known = self.runs.iter().rposition(|(known, _)| *known == run);
        match known {
            Some(at) if at + 1 == self.runs.len() => {}
            // The run that was used last is the last to be forgotten.
            Some(at) => {
                let used = self.runs.remove(at);
                self.runs.extend(used);
            }
            None => {
                if self.runs.len() >= RUNS_PER_HOST_MAX {
                    self.runs.pop_front();
                }
                self.runs.push_back((run, SeqSet::new()));
            }
        }
        let new = self.runs.back_mut().is_some_and(|(_, set)| set.insert(seq));
        if new && !self.unsaved.runs.contains(&run) {
            self.unsaved.runs.push(run);
        }
        self.duplicate_rows += u64::from(!new);
        new
    }

    pub fn set_facts(&mut self, facts: HostFacts) -> bool {
        let is_new = self.facts != facts;
        if is_new {
            self.facts = facts;
            self.unsaved.facts = true;
        }
        is_new
    }

    pub fn name_processes(
        &mut self,
        processes: Vec<ProcessIdentity>,
        now: UnixMs,
        has_history: bool,
    ) {
        if has_history {
            let named = processes.iter().map(|process| (process.clone(), now));
            self.unsaved.processes.extend(named);
        }
        self.processes.name(processes, now);
    }

    /// What changed since the last call; it is durable once the fleet's `generation` is.
    pub fn take_unsaved(&mut self, generation: u64) -> HostBatch {
        self.handed_over = HandedOver {
            generation,
            newest: self.ring.newest(),
            // The history takes a batch when the one before is committed.
            before: self.handed_over.newest,
        };
        let unsaved = &mut self.unsaved;
        let (keys, values) = (&self.keys, &self.values);
        let series = std::mem::take(&mut unsaved.series)
            .into_iter()
            .map(|index| {
                let value = values.get(index as usize).filter(|value| value.has_series);
                let key = value.and_then(|value| Some((value, keys.get(index as usize)?)));
                let series = key.map(|(value, key)| BatchSeries {
                    key: Arc::clone(key),
                    idle_since: value.is_idle.then_some(value.time),
                });
                (index, series)
            });
        let series = series.collect();
        unsaved.oldest_unsealed = self.ring.oldest_unsealed();
        let changed = std::mem::take(&mut unsaved.runs);
        let runs = self.runs.iter().filter(|(run, _)| changed.contains(run));
        HostBatch {
            name: self.name.clone(),
            facts: std::mem::take(&mut unsaved.facts).then(|| self.facts.clone()),
            series,
            retired: unsaved.retired.take(),
            processes: std::mem::take(&mut unsaved.processes),
            runs: runs.cloned().collect(),
            oldest_unsealed: self.ring.oldest_unsealed(),
            late: unsaved.late.take(),
            ring: self.ring.take_changes(),
        }
    }

    /// The newest row that is durable, if everything up to the fleet's generation `durable` is.
    pub fn newest_durable(&self, durable: u64) -> Option<UnixMs> {
        match self.handed_over.generation <= durable {
            true => self.handed_over.newest,
            false => self.handed_over.before,
        }
    }

    /// Notes a row that is not newer than all others, before it is appended.
    pub fn note_late(&mut self, time: UnixMs) {
        if self.ring.newest().is_some_and(|newest| time <= newest) {
            let (first, last) = self.unsaved.late.unwrap_or((time, time));
            self.unsaved.late = Some((first.min(time), last.max(time)));
        }
    }

    /// Restores what the history has; `series` are its series with their keys shared.
    pub fn restore(&mut self, kept: LoadedHost, series: Vec<(u32, BatchSeries)>) {
        self.facts = kept.facts;
        for (index, BatchSeries { key, idle_since }) in series {
            if (index as usize) < STORED_SERIES_MAX {
                self.set_series(index, key, idle_since);
            }
        }
        let count = self.keys.len();
        for (process, seen) in kept.processes {
            self.processes.name(vec![process], seen);
        }
        self.runs = kept.runs.into();
        let [head, late] = &kept.heads;
        self.ring.restore_heads([head, late], count);
        self.handed_over.newest = self.ring.newest().max(kept.newest);
        let all: Vec<u32> = (0..count as u32).collect();
        let newest = self.ring.newest().unwrap_or_default();
        if let Ok(Some((time, values))) = self.ring.at(&all, UnixMs(0), newest) {
            self.observe(time, None, &values);
        }
        // Those that are not idle had a value within an hour of the newest row.
        let newest = kept.newest.max(Some(newest)).unwrap_or_default();
        for last in self.values.iter_mut().filter(|last| !last.is_idle) {
            last.time = newest;
        }
    }

    /// Seals late rows if none arrived since the last call, and all rows of a host silent for [`SETTLED_MS`] or whose
    /// oldest is from before `horizon`; true if there were any.
    pub fn settle(&mut self, now: UnixMs, horizon: UnixMs) -> Result<bool, ChunkError> {
        let late = self.ring.late_rows();
        let is_late_over = late > 0 && late == self.late_rows;
        let is_silent = self.ring.oldest_unsealed().is_some()
            && self
                .ring
                .newest()
                .is_some_and(|newest| now - newest > SETTLED_MS)
            && self
                .last_arrival
                .is_none_or(|arrival| now - arrival > SETTLED_MS);
        let unsealed = self.ring.oldest_unsealed();
        let is_old = unsealed.is_some_and(|oldest| oldest < horizon);
        if is_late_over || is_silent || is_old {
            self.ring.seal_heads(is_silent || is_old)?;
        }
        self.late_rows = self.ring.late_rows();
        Ok(is_late_over || is_silent || is_old)
    }

    /// Counts an event; false if the host has had so many in this hour that it would crowd out the others.
    pub fn counts_event(&mut self) -> bool {
        let now = self.last_arrival.unwrap_or(UnixMs(0));
        if now - self.events.0 > HOUR_MS {
            self.events = (now, 0);
        }
        let counts = self.limits.events.admits(self.events.1);
        self.events.1 += usize::from(counts);
        counts
    }

    /// Whether a row is newer than the present one: within a run by its sequence number, because the machine's clock
    /// may have been set back; between runs by its time, unless the present row is from the future.
    pub fn is_newest(&self, run: RunId, row: &Row, now: UnixMs) -> bool {
        match self.present.row {
            Some((shown, seq)) if shown == run => row.seq > seq,
            _ => row.time > self.present.time || self.present.time - now > AHEAD_MS,
        }
    }

    /// Whether a row is of another boot than the newest row: then counters between the two say nothing.
    pub fn is_of_another_boot(&self, row: &Row) -> bool {
        let boots = self.boot.zip(self.boot_of(row.time, &row.values));
        boots.is_some_and(|(present, new)| (new - present).abs() > BOOT_MS)
    }

    fn boot_of(&self, time: UnixMs, values: &[i64]) -> Option<UnixMs> {
        let uptime = *values.get(self.uptime? as usize)?;
        (uptime != ABSENT).then(|| time - uptime.saturating_mul(1_000))
    }

    /// Ends the counters of the boot before: a row without values follows the newest one.
    pub fn end_boot(&mut self, next: &Row) -> Result<(), ChunkError> {
        let nothing = vec![ABSENT; next.values.len()];
        self.ring.append(next.time - 1, &nothing)?;
        self.present.raw = [ABSENT; SUMMARY];
        self.boot = None;
        Ok(())
    }

    pub fn observe(&mut self, time: UnixMs, row: Option<(RunId, u64)>, values: &[i64]) {
        let raw = self.summary.map(|slot| {
            slot.and_then(|index| values.get(index as usize).copied())
                .unwrap_or(ABSENT)
        });
        let before = (self.present.time, self.present.raw);
        self.boot = self.boot_of(time, values).or(self.boot);
        self.present = Present {
            time,
            row,
            raw,
            shown: shown(before, (time, raw)),
        };
    }

    /// The newest row's time and summary, with counters as rates.
    pub fn present(&self) -> (UnixMs, [i64; SUMMARY]) {
        (self.present.time, self.present.shown)
    }

    /// The newest row's summary as received, with counters as counters.
    pub fn present_raw(&self) -> [i64; SUMMARY] {
        self.present.raw
    }

    /// The summary of the last of these rows, unless it is before `since`.
    pub fn newest_of(table: &Table, since: UnixMs) -> Option<(UnixMs, [i64; SUMMARY])> {
        let row = |n: usize| {
            let time = UnixMs(*table.times.get(n)?);
            if time < since {
                return None;
            }
            let mut raw = [ABSENT; SUMMARY];
            for (value, column) in raw.iter_mut().zip(&table.columns) {
                *value = column.get(n).copied().unwrap_or(ABSENT);
            }
            Some((time, raw))
        };
        let last = table.times.len().checked_sub(1)?;
        let now = row(last)?;
        let before = last
            .checked_sub(1)
            .and_then(row)
            .unwrap_or((now.0, [ABSENT; SUMMARY]));
        Some((now.0, shown(before, now)))
    }

    pub fn health(&self) -> HostHealth {
        HostHealth {
            rows: self.ring.rows(),
            duplicate_rows: self.duplicate_rows,
            missing_rows: self.runs.iter().map(|(_, set)| set.holes()).sum(),
            refused_rows: self.refused_rows,
            oldest: self.ring.oldest().unwrap_or_default(),
            clock_offset_ms: self.clock_offset_ms,
            series: self.indices.len() as u32,
        }
    }
}

fn shown(before: (UnixMs, [i64; SUMMARY]), now: (UnixMs, [i64; SUMMARY])) -> [i64; SUMMARY] {
    let mut out = now.1;
    for ((value, old), alias) in out.iter_mut().zip(before.1).zip(ALIASES) {
        if alias.metric.kind == Kind::Counter {
            let rate = rate((before.0.0, old), (now.0.0, *value));
            *value = rate.map_or(ABSENT, |rate| rate.round() as i64);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::HostView;
    use sysmon_wire::limits::SERIES_PER_HOST_MAX;
    use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO};

    impl Host {
        fn notes_of_limits(&self) -> String {
            let notes: Vec<String> = self.limits.notes().map(|note| note.to_string()).collect();
            notes.join("; ")
        }
    }

    fn host() -> Host {
        let mut host = Host::new("h".into(), HostKind::Machine, Ring::new());
        let rx = NET_IO.series(&[("network.io.direction", "receive")]);
        assert_eq!(
            host.series_index(Arc::new(CPU_UTILIZATION.series(&[])), 0),
            Some(0)
        );
        assert_eq!(host.series_index(Arc::new(rx), 0), Some(1));
        host
    }

    #[test]
    fn the_summary_has_gauges_as_they_are_and_counters_as_rates() {
        let mut host = host();
        host.observe(UnixMs(1000), None, &[120, 5000]);
        assert_eq!(host.present().1[..4], [120, ABSENT, ABSENT, ABSENT]);
        host.observe(UnixMs(3000), None, &[130, 9000]);
        assert_eq!(host.present().1[..4], [130, ABSENT, ABSENT, 2000]);
        let row = |seq, time| Row {
            seq,
            time: UnixMs(time),
            values: Vec::new(),
        };
        let now = UnixMs(3000);
        assert!(
            !host.is_newest(RunId(1), &row(9, 2000), now),
            "an older row"
        );
        host.observe(now, Some((RunId(1), 5)), &[130, 9000]);
        assert!(
            host.is_newest(RunId(1), &row(6, -3_600_000), now),
            "its clock was set back"
        );
        assert!(!host.is_newest(RunId(1), &row(4, 2500), now));
        host.observe(UnixMs(3_600_000), Some((RunId(1), 7)), &[130, 9000]);
        assert!(
            host.is_newest(RunId(2), &row(1, 4000), now),
            "the present row is from the future"
        );
    }

    #[test]
    fn a_past_summary_equals_the_present_one_of_that_time() {
        let mut host = host();
        for (t, values) in [(1000, [120, 5000]), (3000, [130, 9000]), (4000, [1, 9001])] {
            host.ring.append(UnixMs(t), &values).unwrap();
        }
        let rows = HostView::from(&host)
            .summary_rows(UnixMs(0), UnixMs(3500))
            .unwrap();
        let (time, values) = Host::newest_of(&rows, UnixMs(0)).unwrap();
        assert_eq!((time, values[0], values[3]), (UnixMs(3000), 130, 2000));
        assert_eq!(Host::newest_of(&rows, UnixMs(3501)), None);
    }

    #[test]
    fn rows_are_identified_by_run_and_sequence_number() {
        let mut host = host();
        assert!(host.is_new(RunId(1), 5) && host.is_new(RunId(2), 5) && host.is_new(RunId(1), 7));
        assert!(!host.is_new(RunId(1), 5));
        let health = host.health();
        assert_eq!((health.duplicate_rows, health.missing_rows), (1, 1));
    }

    fn of_device(n: usize) -> Arc<SeriesKey> {
        let device = format!("veth{n}");
        Arc::new(NET_IO.series(&[("network.interface.name", &device)]))
    }

    /// Once a host had 4,096 series a day, and everything new was left out after that.
    #[test]
    fn series_of_a_row_are_limited_whatever_there_was_before() {
        let mut host = host();
        for second in 0..12 {
            let mut values = vec![ABSENT; host.keys().len()];
            values.resize(values.len() + 1_000, 1);
            for present in 0..1_000 {
                let index = host.series_index(of_device(second * 1_000 + present), present);
                assert!(index.is_some(), "{second} {present}");
            }
            host.note_values(UnixMs(second as i64 * 1_000), &values);
        }
        assert_eq!(
            (host.health().series, host.notes_of_limits()),
            (12_002, String::new())
        );
        assert_eq!(host.series_since(UnixMs(11_000)).len(), 1_000);
        let max = SERIES_PER_HOST_MAX;
        assert_eq!(host.series_index(of_device(99_999), max), None);
        host.note_values(UnixMs(12_000), &vec![1; max]);
        let note = host.notes_of_limits();
        assert_eq!(
            note,
            "limit of 4096 series at a time reached, 1 left out so far"
        );
        host.note_values(UnixMs(13_000), &[1]);
        assert_eq!(host.notes_of_limits(), "");
    }

    #[test]
    fn the_run_that_was_not_used_for_longest_is_forgotten_first() {
        let mut host = host();
        let live = RunId(1);
        host.is_new(live, 1);
        for run in 2..200 {
            assert!(host.is_new(RunId(run), 1));
            assert!(host.is_new(live, run));
        }
        assert_eq!(host.runs.len(), RUNS_PER_HOST_MAX);
        let rows = host.rows_of_runs(&[live, RunId(199), RunId(2)]);
        let ranges: Vec<_> = rows
            .iter()
            .map(|(run, rows)| (run.0, rows.ranges()))
            .collect();
        assert_eq!(ranges, [(199, &[(1, 1)][..]), (1, &[(1, 199)])]);
    }

    #[test]
    fn a_series_counts_while_it_has_rows_and_another_gets_its_index_afterwards() {
        let mut host = host();
        for n in 2..STORED_SERIES_MAX {
            assert_eq!(host.series_index(of_device(n), 0), Some(n as u32));
        }
        assert_eq!(host.series_index(of_device(99_999), 0), None, "no room");
        assert!(
            host.notes_of_limits()
                .contains("limit of 65536 stored series reached, 1 left out")
        );
        host.note_values(UnixMs(1_000), &vec![1; STORED_SERIES_MAX]);
        host.note_values(UnixMs(9_000_000), &[1, 1, ABSENT, 1]);
        assert!(
            host.retire_series(UnixMs(1_000), UnixMs(9_000_000)),
            "most are idle"
        );
        assert_eq!(
            host.health().series,
            STORED_SERIES_MAX as u32,
            "but have rows"
        );
        let batch = host.take_unsaved(1);
        let idle = batch
            .series
            .iter()
            .filter_map(|(_, series)| series.as_ref()?.idle_since);
        assert_eq!(idle.count(), STORED_SERIES_MAX - 3);
        let (epoch, bytes) = (host.keys().epoch(), host.series_bytes());
        assert!(host.retire_series(UnixMs(1_001), UnixMs(9_000_000)));
        assert_eq!(host.health().series, 3);
        assert_eq!(host.notes_of_limits(), "");
        assert!(host.series_bytes() < bytes / 10_000, "{bytes}");
        let batch = host.take_unsaved(1);
        assert!(batch.series.iter().all(|(_, series)| series.is_none()));
        assert_eq!(
            (batch.series.len(), batch.retired),
            (STORED_SERIES_MAX - 3, Some(UnixMs(1_000)))
        );
        assert_eq!(host.keys().len(), 4, "rows are short again");
        assert!(host.keys().epoch() > epoch, "readers see the change");
        assert_eq!(host.series_index(of_device(99_999), 0), Some(2));
        assert_eq!(host.series_index(of_device(99_998), 0), Some(4));
    }

    /// An attacker's names are as long as they may be.
    #[test]
    fn long_names_use_up_a_limit_of_bytes() {
        let mut host = host();
        let text = |n: usize| format!("{n:0>256}");
        let key = |n: usize| {
            let texts: Vec<String> = (0..8).map(|at| text(n * 8 + at)).collect();
            let attributes: Vec<_> = texts.iter().map(|t| (t.as_str(), t.as_str())).collect();
            Arc::new(NET_IO.series(&attributes))
        };
        let added = (0..).take_while(|n| host.series_index(key(*n), 0).is_some());
        let added = added.count();
        assert!(added < STORED_SERIES_MAX / 7, "{added}");
        assert!(host.series_bytes() < SERIES_BYTES_MAX + 5_000);
        let note = host.notes_of_limits();
        assert!(
            note.contains("bytes of stored series reached, 1 left out"),
            "{note}"
        );
    }
}
