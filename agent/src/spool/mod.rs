//! Rows that the hub has not acknowledged yet.
//!
//! Rows are stored in *segments* of a few minutes, each decodable on its own. While the hub acknowledges
//! promptly they stay in memory. When it does not, every row is also written to a file (see [`journal`]), so
//! that neither `kill -9` nor a long outage loses it. Past the limits the oldest segments are dropped first,
//! and their rows counted.
//!
//! This file is pure: it decides, and returns what is to be done on disk as [`DiskOp`]s.

pub mod journal;
mod pending_writes;
pub(crate) mod records;
mod segment;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sysmon_wire::limits::RUNS_PER_HOST_MAX;
use sysmon_wire::message::{Push, RunId};
use sysmon_wire::{SeqSet, SeriesKey, UnixMs};

use crate::sample::Sample;
use pending_writes::PendingWrites;
use segment::{Open, Segment};

#[derive(Clone, Copy, Debug)]
pub struct SpoolLimits {
    pub memory_bytes: usize,
    /// Encoded rows on disk; 0 to write none.
    pub disk_bytes: u64,
    /// Age past which rows are dropped.
    pub age: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolHealth {
    pub rows_dropped: u64,
    pub disk_errors: u64,
}

/// Without an acknowledgement for this long, rows are also written to disk.
const UNACKNOWLEDGED_MS_MAX: i64 = 3_000;

/// How long rows are stored while the hub refuses this machine as a copy of another: they are not that host's, and would
/// be mixed with its rows once it is gone.
const COPY_MS_MAX: i64 = 60_000;

/// Runs whose rows are sent before those of the first are acknowledged: the hub must remember all of them, and this one.
const RUNS_SENT_MAX: usize = RUNS_PER_HOST_MAX / 2;

/// Time from a failed write to the next attempt: the disk may need space freed first.
const DISK_RETRY_MS: i64 = 60_000;

#[derive(Clone, Debug, PartialEq)]
pub enum DiskOp {
    /// Append frames to a file, which is created if it does not exist.
    Append {
        file: String,
        frames: Vec<Push>,
    },
    Remove {
        file: String,
    },
}

/// Rows to send on the backfill lane.
#[derive(Clone, Debug, PartialEq)]
pub enum Backfill {
    Frames(Vec<Push>),
    File {
        file: String,
        /// Rows of it that need not be sent.
        known: SeqSet,
    },
}

/// The unacknowledged rows of this run and of earlier ones.
#[derive(Debug)]
pub struct Spool {
    run: RunId,
    limits: SpoolLimits,
    open: Open,
    closed: VecDeque<Segment>,
    /// Rows that the current connection has sent on the live lane.
    sent_live: SeqSet,
    connected: bool,
    /// Whether the hub refuses this machine as a copy of another.
    is_copy: bool,
    spilling: bool,
    oldest_unacknowledged: Option<UnixMs>,
    dropped_rows: u64,
    disk_ops: Vec<DiskOp>,
    pending_writes: PendingWrites,
    disk_errors: u64,
    newest: UnixMs,
    /// After a failed write, nothing is written before this.
    disk_retry_at: UnixMs,
}

impl Spool {
    /// A spool for a new run; `files` are those of earlier runs, oldest first.
    pub fn new(run: RunId, limits: SpoolLimits, files: Vec<journal::SpoolFile>) -> Self {
        let closed = files.into_iter().map(Segment::from_file).collect();
        Self {
            run,
            limits,
            open: Open::default(),
            closed,
            sent_live: SeqSet::new(),
            connected: false,
            is_copy: false,
            spilling: false,
            oldest_unacknowledged: None,
            dropped_rows: 0,
            disk_ops: Vec::new(),
            pending_writes: PendingWrites::default(),
            disk_errors: 0,
            newest: UnixMs(0),
            disk_retry_at: UnixMs(i64::MIN),
        }
    }

    pub fn run(&self) -> RunId {
        self.run
    }

    pub fn health(&self) -> SpoolHealth {
        SpoolHealth {
            rows_dropped: self.dropped_rows,
            disk_errors: self.disk_errors,
        }
    }

    pub fn push(&mut self, seq: u64, time: UnixMs, sample: &Sample<'_>) {
        let oldest = *self.oldest_unacknowledged.get_or_insert(time);
        let late = time - oldest > UNACKNOWLEDGED_MS_MAX;
        self.newest = time;
        // A range, so that setting the clock back does not lengthen the wait.
        let no_disk = self.disk_retry_at - DISK_RETRY_MS..self.disk_retry_at;
        let may_spill = self.limits.disk_bytes > 0 && !no_disk.contains(&time);
        if !self.spilling && may_spill && (!self.connected || late) {
            self.spill_all();
        }
        if self.open.table != sample.table {
            self.change_table(sample.table);
        }
        let frames = self.open.push(self.run, seq, time, sample, self.spilling);
        if self.spilling {
            let file = self.open.file(self.run);
            self.append(file, frames);
        }
        if self.open.is_full() {
            self.close_open();
        }
        self.enforce_limits(time);
    }

    /// From here on an index means another series: earlier segments keep the table of their rows.
    fn change_table(&mut self, table: u64) {
        self.close_open();
        self.open.table = table;
        let series = Arc::new(std::mem::take(&mut self.open.series));
        let blocks = self.closed.iter_mut().filter_map(|s| s.block.as_mut());
        for block in blocks {
            block.table.get_or_insert_with(|| Arc::clone(&series));
        }
    }

    fn append(&mut self, file: String, frames: Vec<Push>) {
        self.pending_writes.requested(&file);
        self.disk_ops.push(DiskOp::Append { file, frames });
    }

    /// A [`DiskOp::Append`] to this file succeeded or failed. After a failure the rows stay in memory, and
    /// writing pauses for [`DISK_RETRY_MS`].
    pub fn appended(&mut self, file: &str, ok: bool) {
        self.pending_writes.finished(file);
        if ok {
            return;
        }
        self.disk_errors += 1;
        self.disk_retry_at = self.newest + DISK_RETRY_MS;
        self.stop_spilling();
        let is_segment = |segment: &&mut Segment| segment.file.as_deref() == Some(file);
        if let Some(segment) = self.closed.iter_mut().find(is_segment)
            && segment.block.is_some()
        {
            // The file stays: after a power cut its rows may be all that is left.
            segment.is_file_incomplete = true;
        }
    }

    /// The hub committed the rows in these inclusive ranges.
    pub fn acknowledge(&mut self, run: RunId, ranges: &[(u64, u64)]) {
        for segment in self.closed.iter_mut().filter(|segment| segment.run == run) {
            segment.acknowledge(ranges);
        }
        if run == self.run {
            self.open.acknowledge(ranges);
        }
        let (ops, writes) = (&mut self.disk_ops, &mut self.pending_writes);
        self.closed.retain(|segment| {
            let is_done = segment.is_acknowledged();
            if let (true, Some(file)) = (is_done, &segment.file) {
                writes.forget(file);
                ops.push(DiskOp::Remove { file: file.clone() });
            }
            !is_done
        });
        self.oldest_unacknowledged = self.open.oldest_unacknowledged();
        let waiting = self.closed.iter().filter(|segment| segment.run == self.run);
        if let Some(oldest) = waiting.map(|segment| segment.first_time).min() {
            self.oldest_unacknowledged = Some(oldest);
        } else if self.spilling && self.connected {
            // The hub acknowledges promptly again: memory is enough.
            self.stop_spilling();
        }
    }

    /// A connection is established: everything not acknowledged is sent again.
    pub fn connected(&mut self) {
        self.connected = true;
        self.is_copy = false;
        self.sent_live = SeqSet::new();
        self.close_open();
        for segment in &mut self.closed {
            segment.sent = false;
        }
    }

    /// The connection is lost: from now on rows are written to disk.
    pub fn disconnected(&mut self) {
        self.connected = false;
    }

    /// Another machine is connected with this identity: rows of this run are stored for [`COPY_MS_MAX`] only.
    pub fn refused_as_copy(&mut self) {
        self.is_copy = true;
    }

    pub fn sent_live(&mut self, seq: u64) {
        self.sent_live.insert(seq);
    }

    /// The runs of the rows that are not acknowledged, the oldest first; as many as the hub remembers.
    pub fn runs(&self) -> Vec<RunId> {
        let mut runs = Vec::new();
        for segment in &self.closed {
            if runs.len() < RUNS_PER_HOST_MAX && !runs.contains(&segment.run) {
                runs.push(segment.run);
            }
        }
        runs
    }

    /// The oldest rows that this connection has not sent.
    pub fn next_backfill(&mut self, series: &[SeriesKey]) -> Option<Backfill> {
        let mut runs = self.runs();
        runs.truncate(RUNS_SENT_MAX);
        for segment in &mut self.closed {
            if segment.sent || !runs.contains(&segment.run) {
                continue;
            }
            let sent = (segment.run == self.run).then_some(&self.sent_live);
            let Some(known) = segment.known(sent) else {
                continue;
            };
            segment.sent = true;
            return match (&segment.block, &segment.file) {
                (Some(block), _) => {
                    let frames = block.frames(segment.run, series);
                    Some(Backfill::Frames(records::without(frames, &known)))
                }
                (None, Some(file)) => Some(Backfill::File {
                    file: file.clone(),
                    known,
                }),
                (None, None) => None,
            };
        }
        None
    }

    /// A file could not be read: its rows are dropped.
    pub fn lost_file(&mut self, file: &str) {
        let Some(at) = self
            .closed
            .iter()
            .position(|s| s.file.as_deref() == Some(file))
        else {
            return;
        };
        if let Some(segment) = self.closed.remove(at) {
            self.drop_segment(&segment);
        }
    }

    /// The operations since the last call.
    pub fn take_disk_ops(&mut self) -> Vec<DiskOp> {
        std::mem::take(&mut self.disk_ops)
    }

    pub fn waiting_rows(&self) -> u64 {
        self.open.waiting() + self.closed.iter().map(Segment::waiting).sum::<u64>()
    }

    /// Writes everything that is not acknowledged to disk, before the program exits.
    pub fn persist(&mut self) {
        if self.limits.disk_bytes > 0 {
            self.spill_all();
        }
    }

    fn close_open(&mut self) {
        let Some(segment) = self.open.close(self.run, self.spilling) else {
            return;
        };
        if !segment.is_acknowledged() {
            self.closed.push_back(segment);
        } else if let Some(file) = segment.file {
            self.remove_file(file);
        }
    }

    fn remove_file(&mut self, file: String) {
        self.pending_writes.forget(&file);
        self.disk_ops.push(DiskOp::Remove { file });
    }

    fn spill_all(&mut self) {
        self.close_open();
        self.spilling = true;
        for segment in self
            .closed
            .iter_mut()
            .filter(|segment| segment.is_only_in_memory())
        {
            let Some(block) = &segment.block else {
                continue;
            };
            let file = segment::file_name(segment.run, segment.first);
            if std::mem::take(&mut segment.is_file_incomplete) {
                self.pending_writes.forget(&file);
                let file = file.clone();
                self.disk_ops.push(DiskOp::Remove { file });
            }
            let frames = block.frames(segment.run, &self.open.series);
            segment.file = Some(file.clone());
            segment.disk_bytes = block.bytes() as u64;
            self.pending_writes.requested(&file);
            self.disk_ops.push(DiskOp::Append { file, frames });
        }
    }

    fn stop_spilling(&mut self) {
        self.close_open();
        self.spilling = false;
    }

    fn enforce_limits(&mut self, now: UnixMs) {
        let horizon = now - i64::try_from(self.limits.age.as_millis()).unwrap_or(i64::MAX);
        while self
            .closed
            .front()
            .is_some_and(|s| s.last_time.is_some_and(|t| t < horizon))
        {
            self.drop_oldest();
        }
        if self.is_copy {
            self.drop_rows_of_copy(now);
        }
        while self.disk_bytes() > self.limits.disk_bytes && self.limits.disk_bytes > 0 {
            if !self.drop_oldest() {
                break;
            }
        }
        let mut memory = self.memory_bytes();
        if memory > self.limits.memory_bytes {
            // Rows on disk need not be in memory too.
            let writes = &self.pending_writes;
            let is_on_disk = |segment: &Segment| {
                let file = segment.file.as_deref();
                !segment.is_only_in_memory() && file.is_some_and(|file| writes.is_complete(file))
            };
            for segment in self.closed.iter_mut().filter(|segment| is_on_disk(segment)) {
                memory -= segment.block.take().map_or(0, |block| block.bytes());
            }
        }
        while memory > self.limits.memory_bytes && self.drop_oldest_in_memory() {
            memory = self.memory_bytes();
        }
    }

    fn drop_rows_of_copy(&mut self, now: UnixMs) {
        let is_long = |open: &Open| open.first_time().is_some_and(|t| now - t > COPY_MS_MAX);
        if is_long(&self.open) {
            self.close_open();
        }
        let (run, old) = (self.run, now - COPY_MS_MAX);
        let is_old = |s: &mut Segment| s.run == run && s.last_time.is_some_and(|t| t < old);
        let mut at = 0;
        while let Some(segment) = self.closed.get_mut(at) {
            if !is_old(segment) {
                at += 1;
            } else if let Some(segment) = self.closed.remove(at) {
                self.drop_segment(&segment);
            }
        }
    }

    /// Drops the oldest segment without a file. Segments with pending writes are spared: that queue is short.
    fn drop_oldest_in_memory(&mut self) -> bool {
        let at = self.closed.iter().position(Segment::is_only_in_memory);
        let Some(segment) = at.and_then(|at| self.closed.remove(at)) else {
            return false;
        };
        self.drop_segment(&segment);
        true
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(segment) = self.closed.pop_front() else {
            return false;
        };
        self.drop_segment(&segment);
        true
    }

    fn drop_segment(&mut self, segment: &Segment) {
        self.dropped_rows += segment.waiting();
        if let Some(file) = segment.file.clone() {
            self.remove_file(file);
        }
    }

    fn memory_bytes(&self) -> usize {
        let closed = self
            .closed
            .iter()
            .filter_map(|s| s.block.as_ref())
            .map(segment::Block::bytes);
        self.open.bytes() + closed.sum::<usize>()
    }

    fn disk_bytes(&self) -> u64 {
        let on_disk = self.closed.iter().filter(|s| s.file.is_some());
        on_disk.map(|s| s.disk_bytes).sum()
    }
}

pub fn folder(state: &std::path::Path) -> PathBuf {
    state.join("spool")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::metrics::{CPU_UTILIZATION, UPTIME};

    const LIMITS: SpoolLimits = SpoolLimits {
        memory_bytes: 1 << 20,
        disk_bytes: 1 << 20,
        age: Duration::from_secs(3600),
    };

    fn series() -> Vec<SeriesKey> {
        vec![CPU_UTILIZATION.series(&[]), UPTIME.series(&[])]
    }

    fn spool(limits: SpoolLimits) -> Spool {
        Spool::new(RunId(7), limits, Vec::new())
    }

    fn push(spool: &mut Spool, seqs: std::ops::RangeInclusive<u64>) {
        for seq in seqs {
            let n = seq as i64;
            let sample = Sample {
                table: 0,
                series: &series(),
                values: &[n % 9, n],
                processes: &[],
            };
            spool.push(seq, UnixMs(n * 1000), &sample);
        }
    }

    fn rows_of(frames: &[Push]) -> Vec<u64> {
        let mut decoder = sysmon_wire::RowDecoder::new();
        let mut seqs = Vec::new();
        for frame in frames {
            let bytes = match frame {
                Push::Keyframe(bytes) => {
                    decoder.reset();
                    bytes
                }
                Push::Rows(bytes) => bytes,
                _ => continue,
            };
            let mut bytes = &bytes.0[..];
            while let Some(row) = decoder.decode(&mut bytes, 2).unwrap() {
                seqs.push(row.seq);
            }
        }
        seqs
    }

    fn backfilled(spool: &mut Spool) -> Vec<u64> {
        let mut seqs = Vec::new();
        while let Some(backfill) = spool.next_backfill(&series()) {
            match backfill {
                Backfill::Frames(frames) => seqs.extend(rows_of(&frames)),
                Backfill::File { file, .. } => panic!("{file} should be in memory"),
            }
        }
        seqs
    }

    #[test]
    fn a_hub_that_keeps_up_costs_no_disk_and_no_backfill() {
        let mut spool = spool(LIMITS);
        spool.connected();
        for seq in 1..=2000 {
            push(&mut spool, seq..=seq);
            spool.sent_live(seq);
            spool.acknowledge(RunId(7), &[(seq, seq)]);
            assert_eq!(spool.next_backfill(&series()), None);
        }
        assert_eq!(spool.take_disk_ops(), []);
        assert_eq!(spool.waiting_rows(), 0);
    }

    #[test]
    fn rows_of_an_outage_are_written_immediately_and_sent_when_it_ends() {
        let mut spool = spool(LIMITS);
        spool.connected();
        push(&mut spool, 1..=3);
        (1..=3).for_each(|seq| spool.sent_live(seq));
        spool.acknowledge(RunId(7), &[(1, 1)]);
        spool.disconnected();
        push(&mut spool, 4..=700);
        let mut on_disk = Vec::new();
        for op in spool.take_disk_ops() {
            match op {
                DiskOp::Append { frames, .. } => on_disk.extend(rows_of_any(&frames)),
                DiskOp::Remove { file } => panic!("{file} removed"),
            }
        }
        assert_eq!(on_disk.len(), 700, "1 to 3 as one segment, then each row");
        spool.connected();
        let sent = backfilled(&mut spool);
        assert!((2..=700).all(|seq| sent.contains(&seq)));
        spool.acknowledge(RunId(7), &[(2, 700)]);
        assert_eq!(spool.waiting_rows(), 0);
        let ops = spool.take_disk_ops();
        assert!(!ops.is_empty());
        assert!(ops.iter().all(|o| matches!(o, DiskOp::Remove { .. })));
    }

    fn rows_of_any(frames: &[Push]) -> Vec<()> {
        let blocks = frames
            .iter()
            .filter(|f| matches!(f, Push::Rows(_) | Push::Keyframe(_)));
        let mut rows = Vec::new();
        for frame in blocks {
            match frame {
                Push::Keyframe(_) => {
                    rows.extend(vec![(); rows_of(std::slice::from_ref(frame)).len()]);
                }
                _ => rows.push(()),
            }
        }
        rows
    }

    #[test]
    fn past_the_limits_the_oldest_rows_are_dropped_first_and_counted() {
        let mut spool = spool(SpoolLimits {
            memory_bytes: 8_000,
            disk_bytes: 0,
            ..LIMITS
        });
        push(&mut spool, 1..=5000);
        let dropped = spool.health().rows_dropped;
        assert!(dropped > 0);
        assert_eq!(spool.waiting_rows() + dropped, 5000);
        spool.connected();
        assert_eq!(
            backfilled(&mut spool),
            (dropped + 1..=5000).collect::<Vec<_>>()
        );
    }

    fn finish_writes(spool: &mut Spool, ok: bool) {
        for op in spool.take_disk_ops() {
            if let DiskOp::Append { file, .. } = op {
                spool.appended(&file, ok);
            }
        }
    }

    #[test]
    fn rows_stay_in_memory_while_the_disk_is_full_and_are_written_when_there_is_room() {
        let mut spool = spool(SpoolLimits {
            memory_bytes: 16_000,
            ..LIMITS
        });
        for seq in 1..=400 {
            push(&mut spool, seq..=seq);
            finish_writes(&mut spool, false);
        }
        assert_eq!(
            (spool.waiting_rows(), spool.health().rows_dropped),
            (400, 0)
        );
        assert!(
            spool.closed.len() < 20,
            "a write is not attempted with every row"
        );
        // Past the memory limit the oldest rows are dropped and counted.
        for seq in 401..=5000 {
            push(&mut spool, seq..=seq);
            finish_writes(&mut spool, false);
        }
        let dropped = spool.health().rows_dropped;
        assert!(dropped > 0);
        assert_eq!(spool.waiting_rows() + dropped, 5000);
        spool.connected();
        let wanted: Vec<_> = (dropped + 1..=5000).collect();
        assert_eq!(backfilled(&mut spool), wanted);
        // There is room again when the program exits.
        spool.persist();
        let mut written = Vec::new();
        for op in spool.take_disk_ops() {
            if let DiskOp::Append { frames, .. } = op {
                written.extend(rows_of(&frames));
            }
        }
        assert_eq!(written, wanted);
    }

    #[test]
    fn a_failed_disk_is_retried_after_a_pause_or_when_the_clock_was_set_back() {
        let mut spool = spool(LIMITS);
        push(&mut spool, 5000..=5000);
        finish_writes(&mut spool, false);
        assert!(matches!(spool.take_disk_ops()[..], []));
        let sample = Sample {
            table: 0,
            series: &series(),
            values: &[1, 1],
            processes: &[],
        };
        let is_attempted = |spool: &mut Spool, seq: u64, time: i64| {
            spool.push(seq, UnixMs(time), &sample);
            let ops = spool.take_disk_ops();
            ops.iter().any(|o| matches!(o, DiskOp::Append { .. }))
        };
        assert!(!is_attempted(&mut spool, 5001, 5_001_000));
        assert!(!is_attempted(&mut spool, 5002, 5_059_000));
        assert!(is_attempted(&mut spool, 5003, 5_060_000));
        finish_writes(&mut spool, false);
        spool.appended(&segment::file_name(RunId(7), 5000), false);
        assert!(is_attempted(&mut spool, 5004, 1_000_000));
    }

    #[test]
    fn rows_leave_memory_only_after_their_write_succeeded() {
        let mut spool = spool(SpoolLimits {
            memory_bytes: 2_000,
            ..LIMITS
        });
        for seq in 1..=900 {
            push(&mut spool, seq..=seq);
            finish_writes(&mut spool, true);
        }
        assert_eq!(spool.health().rows_dropped, 0, "they are on disk");
        assert!(spool.memory_bytes() < 4_000);
    }

    #[test]
    fn a_row_that_missed_the_live_lane_is_backfilled() {
        let mut spool = spool(LIMITS);
        spool.connected();
        push(&mut spool, 1..=600);
        (1..=600)
            .filter(|&seq| seq != 5)
            .for_each(|seq| spool.sent_live(seq));
        assert!(backfilled(&mut spool).contains(&5));
    }

    #[test]
    fn a_refused_copy_stores_the_last_rows_only_and_goes_on_after_it_was_let_in() {
        let mut spool = spool(LIMITS);
        push(&mut spool, 1..=400);
        spool.refused_as_copy();
        for seq in 401..=5_000 {
            push(&mut spool, seq..=seq);
            assert!(spool.waiting_rows() < 400, "{seq}");
        }
        let waiting = spool.waiting_rows();
        assert!((1..=130).contains(&waiting), "{waiting}");
        assert_eq!(spool.health().rows_dropped, 5_000 - waiting);
        let files = spool.closed.iter().filter(|s| s.file.is_some()).count();
        assert!(files <= 2, "{files}");
        spool.connected();
        spool.disconnected();
        push(&mut spool, 5_001..=6_000);
        assert_eq!(spool.waiting_rows(), waiting + 1_000);
    }

    #[test]
    fn no_file_is_left_once_every_row_is_acknowledged() {
        let mut spool = spool(LIMITS);
        push(&mut spool, 1..=5);
        spool.connected();
        for seq in 6..=20 {
            push(&mut spool, seq..=seq);
            spool.sent_live(seq);
            spool.acknowledge(RunId(7), &[(1, seq)]);
        }
        let mut files = std::collections::BTreeSet::new();
        for op in spool.take_disk_ops() {
            match op {
                DiskOp::Append { file, .. } => drop(files.insert(file)),
                DiskOp::Remove { file } => assert!(files.remove(&file), "{file}"),
            }
        }
        assert!(files.is_empty(), "{files:?}");
    }

    #[test]
    fn acknowledged_rows_of_a_segment_are_not_sent_again() {
        let mut spool = spool(LIMITS);
        push(&mut spool, 1..=500);
        spool.connected();
        assert_eq!(spool.runs(), [RunId(7)]);
        spool.acknowledge(RunId(7), &[(1, 1), (5, 310), (499, 500)]);
        let left: Vec<u64> = [2..=4, 311..=498].into_iter().flatten().collect();
        assert_eq!(backfilled(&mut spool), left);
    }

    #[test]
    fn no_more_runs_are_sent_at_once_than_the_hub_remembers() {
        let file = |run: u64| journal::SpoolFile {
            file: segment::file_name(RunId(run), 1),
            run: RunId(run),
            first: 1,
            last: 2,
            last_time: UnixMs(run as i64),
            bytes: 100,
        };
        let files = (100..300).map(file).collect();
        let mut spool = Spool::new(RunId(7), LIMITS, files);
        spool.connected();
        assert_eq!(spool.runs().len(), RUNS_PER_HOST_MAX);
        let mut sent = 0;
        while spool.next_backfill(&series()).is_some() {
            sent += 1;
        }
        assert_eq!(sent, RUNS_SENT_MAX);
        spool.acknowledge(RunId(100), &[(1, 2)]);
        let next = spool.next_backfill(&series());
        let wanted = segment::file_name(RunId(100 + RUNS_SENT_MAX as u64), 1);
        assert!(matches!(next, Some(Backfill::File { file, .. }) if file == wanted));
        assert_eq!(spool.next_backfill(&series()), None);
    }
}
