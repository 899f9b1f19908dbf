//! Rows that the hub has not yet said to be durable.
//!
//! Rows are kept in *segments* of a few minutes, each of which can be understood by itself. While
//! the hub acknowledges promptly they live in memory only. When it does not, every row also goes
//! to a file (see [`journal`]), so that neither `kill -9` nor a long outage loses it. Past their
//! bounds the oldest segments are dropped first, and the rows in them counted.
//!
//! This file is the pure part: it decides, and says what is to be written as [`DiskOrder`]s.

pub mod journal;
mod segment;
mod written;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use sysmon_wire::message::{Push, RunId};
use sysmon_wire::{SeqSet, SeriesKey, UnixMs};

use crate::sample::Sample;
use segment::{Open, Segment};
use written::Written;

/// Bounds of the spool.
#[derive(Clone, Copy, Debug)]
pub struct SpoolLimits {
    /// Bytes of rows held in memory.
    pub memory_bytes: usize,
    /// Bytes of rows held on disk; 0 for no disk.
    pub disk_bytes: u64,
    /// Age past which rows are dropped.
    pub age: Duration,
}

/// How the spool fares, in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolHealth {
    /// Rows dropped because there was no room for them.
    pub rows_dropped: u64,
    /// Times that something could not be written to disk.
    pub disk_errors: u64,
}

/// Without an acknowledgement for this long rows go to disk as well.
const UNACKNOWLEDGED_MS_MAX: i64 = 3_000;

/// How long a disk that did not take rows is left alone: long enough for somebody to make room.
const DISK_REST_MS: i64 = 60_000;

/// What is to be done on disk, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum DiskOrder {
    /// Append frames to a file, making it if it is not there.
    Append {
        /// The file's name in the spool folder.
        file: String,
        /// What to append.
        frames: Vec<Push>,
    },
    /// Remove a file.
    Remove {
        /// The file's name in the spool folder.
        file: String,
    },
}

/// Something to send on the backfill lane.
#[derive(Clone, Debug, PartialEq)]
pub enum Backfill {
    /// These frames.
    Frames(Vec<Push>),
    /// The frames in this file of the spool folder.
    File(String),
}

/// The rows of this run and of earlier ones that are not acknowledged.
#[derive(Debug)]
pub struct Spool {
    run: RunId,
    limits: SpoolLimits,
    open: Open,
    closed: VecDeque<Segment>,
    /// Rows of this run that went up on the live lane of the present connection.
    sent_live: SeqSet,
    connected: bool,
    /// Whether rows are being written to disk.
    spilling: bool,
    oldest_unacknowledged: Option<UnixMs>,
    dropped_rows: u64,
    orders: Vec<DiskOrder>,
    written: Written,
    disk_errors: u64,
    /// The time of the last row.
    newest: UnixMs,
    /// Nothing is ordered onto a disk that failed before this.
    disk_rests_until: UnixMs,
}

impl Spool {
    /// An empty spool for a new run; `found` are files of earlier runs, oldest first.
    pub fn new(run: RunId, limits: SpoolLimits, found: Vec<journal::Found>) -> Self {
        let closed = found.into_iter().map(Segment::from_file).collect();
        Self {
            run,
            limits,
            open: Open::default(),
            closed,
            sent_live: SeqSet::new(),
            connected: false,
            spilling: false,
            oldest_unacknowledged: None,
            dropped_rows: 0,
            orders: Vec::new(),
            written: Written::default(),
            disk_errors: 0,
            newest: UnixMs(0),
            disk_rests_until: UnixMs(i64::MIN),
        }
    }

    /// This run.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Rows dropped because the spool was full, in this run.
    pub fn dropped_rows(&self) -> u64 {
        self.dropped_rows
    }

    /// How it fares.
    pub fn health(&self) -> SpoolHealth {
        SpoolHealth {
            rows_dropped: self.dropped_rows,
            disk_errors: self.disk_errors,
        }
    }

    /// Keeps a row.
    pub fn push(&mut self, seq: u64, time: UnixMs, sample: &Sample<'_>) {
        let oldest = *self.oldest_unacknowledged.get_or_insert(time);
        let late = time - oldest > UNACKNOWLEDGED_MS_MAX;
        self.newest = time;
        // A clock that is set back must not make the rest longer.
        let rest = self.disk_rests_until - DISK_REST_MS..self.disk_rests_until;
        let may_spill = self.limits.disk_bytes > 0 && !rest.contains(&time);
        if !self.spilling && may_spill && (!self.connected || late) {
            self.spill_all();
        }
        let frames = self.open.push(self.run, seq, time, sample, self.spilling);
        if self.spilling {
            let file = self.open.file(self.run);
            self.order(file, frames);
        }
        if self.open.is_full() {
            self.close_open();
        }
        self.keep_bounds(time);
    }

    fn order(&mut self, file: String, frames: Vec<Push>) {
        self.written.ordered(&file);
        self.orders.push(DiskOrder::Append { file, frames });
    }

    /// A [`DiskOrder::Append`] to this file was carried out, or failed. What is not on disk stays in
    /// memory, and the disk is left alone for a while.
    pub fn appended(&mut self, file: &str, ok: bool) {
        self.written.outcome(file);
        if ok {
            return;
        }
        self.disk_errors += 1;
        self.disk_rests_until = self.newest + DISK_REST_MS;
        self.stop_spilling();
        let is_it = |segment: &&mut Segment| segment.file.as_deref() == Some(file);
        if let Some(segment) = self.closed.iter_mut().find(is_it)
            && segment.block.is_some()
        {
            // The rows that are there may be all that is left after a power cut: they stay.
            segment.lacks_rows_on_disk = true;
        }
    }

    /// Rows in these inclusive ranges are durable on the hub.
    pub fn acknowledge(&mut self, run: RunId, ranges: &[(u64, u64)]) {
        for segment in self.closed.iter_mut().filter(|segment| segment.run == run) {
            segment.acknowledge(ranges);
        }
        if run == self.run {
            self.open.acknowledge(ranges);
        }
        let (orders, written) = (&mut self.orders, &mut self.written);
        self.closed.retain(|segment| {
            let done = segment.is_acknowledged();
            if let (true, Some(file)) = (done, &segment.file) {
                written.forget(file);
                orders.push(DiskOrder::Remove { file: file.clone() });
            }
            !done
        });
        self.oldest_unacknowledged = self.open.oldest_unacknowledged();
        let waiting = self.closed.iter().filter(|segment| segment.run == self.run);
        if let Some(oldest) = waiting.map(|segment| segment.first_time).min() {
            self.oldest_unacknowledged = Some(oldest);
        } else if self.spilling && self.connected {
            // The hub keeps up again: from here on memory is enough.
            self.stop_spilling();
        }
    }

    /// A connection begins: everything not acknowledged has to be sent again.
    pub fn connected(&mut self) {
        self.connected = true;
        self.sent_live = SeqSet::new();
        self.close_open();
        for segment in &mut self.closed {
            segment.sent = false;
        }
    }

    /// The connection is gone: from here on rows go to disk.
    pub fn disconnected(&mut self) {
        self.connected = false;
    }

    /// The row went up on the live lane.
    pub fn sent_live(&mut self, seq: u64) {
        self.sent_live.insert(seq);
    }

    /// The oldest rows that this connection has not sent yet, if there are any.
    pub fn next_backfill(&mut self, series: &[SeriesKey]) -> Option<Backfill> {
        let (run, sent_live) = (self.run, &self.sent_live);
        let went_live = |s: &Segment| s.run == run && sent_live.contains_range(s.first, s.last);
        let segment = self.closed.iter_mut().find(|s| !s.sent && !went_live(s))?;
        segment.sent = true;
        Some(match (&segment.block, &segment.file) {
            (Some(block), _) => Backfill::Frames(block.frames(segment.run, series)),
            (None, Some(file)) => Backfill::File(file.clone()),
            (None, None) => return None,
        })
    }

    /// A file could not be read back: its rows are lost.
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

    /// What is to be done on disk since the last call.
    pub fn take_orders(&mut self) -> Vec<DiskOrder> {
        std::mem::take(&mut self.orders)
    }

    /// Rows that are not acknowledged.
    pub fn waiting_rows(&self) -> u64 {
        self.open.waiting() + self.closed.iter().map(Segment::waiting).sum::<u64>()
    }

    /// Orders everything that is not acknowledged onto disk, before the program ends.
    pub fn persist(&mut self) {
        if self.limits.disk_bytes > 0 {
            self.spill_all();
        }
    }

    fn close_open(&mut self) {
        if let Some(segment) = self.open.close(self.run, self.spilling)
            && !segment.is_acknowledged()
        {
            self.closed.push_back(segment);
        }
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
            if std::mem::take(&mut segment.lacks_rows_on_disk) {
                self.written.forget(&file);
                let file = file.clone();
                self.orders.push(DiskOrder::Remove { file });
            }
            let frames = block.frames(segment.run, &self.open.series);
            segment.file = Some(file.clone());
            segment.disk_bytes = block.bytes() as u64;
            self.written.ordered(&file);
            self.orders.push(DiskOrder::Append { file, frames });
        }
    }

    fn stop_spilling(&mut self) {
        self.close_open();
        self.spilling = false;
    }

    fn keep_bounds(&mut self, now: UnixMs) {
        let horizon = now - i64::try_from(self.limits.age.as_millis()).unwrap_or(i64::MAX);
        while self
            .closed
            .front()
            .is_some_and(|s| s.last_time.is_some_and(|t| t < horizon))
        {
            self.drop_oldest();
        }
        while self.disk_bytes() > self.limits.disk_bytes && self.limits.disk_bytes > 0 {
            if !self.drop_oldest() {
                break;
            }
        }
        let mut memory = self.memory_bytes();
        if memory > self.limits.memory_bytes {
            // What is on disk need not be in memory too.
            let written = &self.written;
            let is_on_disk = |segment: &Segment| {
                let file = segment.file.as_deref();
                !segment.is_only_in_memory() && file.is_some_and(|file| written.holds_all(file))
            };
            for segment in self.closed.iter_mut().filter(|segment| is_on_disk(segment)) {
                memory -= segment.block.take().map_or(0, |block| block.bytes());
            }
        }
        while memory > self.limits.memory_bytes && self.drop_oldest_in_memory() {
            memory = self.memory_bytes();
        }
    }

    /// Drops the oldest segment that only memory has. What is on its way to the disk is waited for: the
    /// queue there is short.
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
        if let Some(file) = &segment.file {
            self.written.forget(file);
            self.orders.push(DiskOrder::Remove { file: file.clone() });
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

/// Where the spool's files are.
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
                Backfill::File(file) => panic!("{file} should be in memory"),
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
        assert_eq!(spool.take_orders(), []);
        assert_eq!(spool.waiting_rows(), 0);
    }

    #[test]
    fn rows_of_an_outage_are_written_at_once_and_sent_when_it_ends() {
        let mut spool = spool(LIMITS);
        spool.connected();
        push(&mut spool, 1..=3);
        (1..=3).for_each(|seq| spool.sent_live(seq));
        spool.acknowledge(RunId(7), &[(1, 1)]);
        spool.disconnected();
        push(&mut spool, 4..=700);
        let mut on_disk = Vec::new();
        for order in spool.take_orders() {
            match order {
                DiskOrder::Append { frames, .. } => on_disk.extend(rows_of_any(&frames)),
                DiskOrder::Remove { file } => panic!("{file} removed"),
            }
        }
        assert_eq!(on_disk.len(), 700, "1 to 3 as one segment, then each row");
        spool.connected();
        let sent = backfilled(&mut spool);
        assert!((2..=700).all(|seq| sent.contains(&seq)));
        spool.acknowledge(RunId(7), &[(2, 700)]);
        assert_eq!(spool.waiting_rows(), 0);
        let orders = spool.take_orders();
        assert!(!orders.is_empty());
        assert!(orders.iter().all(|o| matches!(o, DiskOrder::Remove { .. })));
    }

    /// Sequence numbers of frames that need not begin with a keyframe: how many rows there are.
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
    fn past_its_bounds_the_oldest_rows_go_first_and_are_counted() {
        let mut spool = spool(SpoolLimits {
            memory_bytes: 8_000,
            disk_bytes: 0,
            ..LIMITS
        });
        push(&mut spool, 1..=5000);
        let dropped = spool.dropped_rows();
        assert!(dropped > 0);
        assert_eq!(spool.waiting_rows() + dropped, 5000);
        spool.connected();
        assert_eq!(
            backfilled(&mut spool),
            (dropped + 1..=5000).collect::<Vec<_>>()
        );
    }

    /// Carries out orders on a disk that is full, or is not.
    fn carry_out(spool: &mut Spool, ok: bool) {
        for order in spool.take_orders() {
            if let DiskOrder::Append { file, .. } = order {
                spool.appended(&file, ok);
            }
        }
    }

    #[test]
    fn what_a_full_disk_does_not_take_stays_in_memory_and_is_written_when_there_is_room() {
        let mut spool = spool(SpoolLimits {
            memory_bytes: 16_000,
            ..LIMITS
        });
        for seq in 1..=400 {
            push(&mut spool, seq..=seq);
            carry_out(&mut spool, false);
        }
        assert_eq!((spool.waiting_rows(), spool.dropped_rows()), (400, 0));
        assert!(
            spool.closed.len() < 20,
            "the disk is not tried with every row"
        );
        // Past the bound of memory the oldest rows go, and are counted.
        for seq in 401..=5000 {
            push(&mut spool, seq..=seq);
            carry_out(&mut spool, false);
        }
        let dropped = spool.dropped_rows();
        assert!(dropped > 0);
        assert_eq!(spool.waiting_rows() + dropped, 5000);
        spool.connected();
        let wanted: Vec<_> = (dropped + 1..=5000).collect();
        assert_eq!(backfilled(&mut spool), wanted);
        // There is room again when the program ends.
        spool.persist();
        let mut written = Vec::new();
        for order in spool.take_orders() {
            if let DiskOrder::Append { frames, .. } = order {
                written.extend(rows_of(&frames));
            }
        }
        assert_eq!(written, wanted);
    }

    #[test]
    fn a_disk_that_failed_is_tried_again_after_a_rest_or_when_the_clock_was_set_back() {
        let mut spool = spool(LIMITS);
        push(&mut spool, 5000..=5000);
        carry_out(&mut spool, false);
        assert!(matches!(spool.take_orders()[..], []));
        let sample = Sample {
            series: &series(),
            values: &[1, 1],
            processes: &[],
        };
        let tried = |spool: &mut Spool, seq: u64, time: i64| {
            spool.push(seq, UnixMs(time), &sample);
            let orders = spool.take_orders();
            orders.iter().any(|o| matches!(o, DiskOrder::Append { .. }))
        };
        assert!(!tried(&mut spool, 5001, 5_001_000));
        assert!(!tried(&mut spool, 5002, 5_059_000));
        assert!(tried(&mut spool, 5003, 5_060_000));
        carry_out(&mut spool, false);
        spool.appended(&segment::file_name(RunId(7), 5000), false);
        assert!(tried(&mut spool, 5004, 1_000_000));
    }

    #[test]
    fn only_what_is_known_to_be_on_disk_leaves_memory() {
        let mut spool = spool(SpoolLimits {
            memory_bytes: 2_000,
            ..LIMITS
        });
        for seq in 1..=900 {
            push(&mut spool, seq..=seq);
            carry_out(&mut spool, true);
        }
        assert_eq!(spool.dropped_rows(), 0, "the disk has them");
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
}
