//! Rows on their way from the sampler to the uplink: into the spool, and encoded for the live lane.

use sysmon_wire::limits::ROWS_PER_FRAME_MAX;
use sysmon_wire::message::{Blob, Lane, Push, RunId};
use sysmon_wire::{HostFacts, ProcessIdentity, RowEncoder, SeriesKey, SeriesTable, UnixMs};

use crate::sample::{ProcessSet, Sample};
use crate::spool::{Backfill, DiskOp, Spool};

/// Bytes of rows that may wait while the hub's flow control blocks; past this the live lane skips ahead, and
/// the skipped rows are backfilled.
const LIVE_BYTES_MAX: usize = 256 * 1024;

/// Processes remembered as sent; past this the set is cleared and they are sent again.
const PROCESSES_MAX: usize = 4096;

#[derive(Debug)]
pub struct Outbox {
    pub(crate) spool: Spool,
    table: u64,
    series: Vec<SeriesKey>,
    facts: HostFacts,
    live: Option<Live>,
}

#[derive(Debug, Default)]
struct Live {
    /// Complete frames that precede the rows.
    frames: Vec<Push>,
    encoder: RowEncoder,
    /// How many series the stream has defined.
    series_sent: usize,
    processes_sent: ProcessSet,
    processes: Vec<ProcessIdentity>,
    rows: Vec<u8>,
    seqs: Vec<u64>,
    keyframe: bool,
}

impl Outbox {
    pub fn new(spool: Spool, facts: HostFacts) -> Self {
        Self {
            spool,
            table: 0,
            series: Vec::new(),
            facts,
            live: None,
        }
    }

    pub fn facts(&self) -> &HostFacts {
        &self.facts
    }

    pub fn set_facts(&mut self, facts: HostFacts) {
        self.facts = facts;
    }

    /// Spools a row, and encodes it for the live lane while connected.
    pub fn push(&mut self, seq: u64, time: UnixMs, sample: &Sample<'_>) {
        if self.table != sample.table {
            self.change_table(sample.table);
        }
        if let Some(new) = sample.series.get(self.series.len()..) {
            self.series.extend_from_slice(new);
        }
        self.spool.push(seq, time, sample);
        let Some(live) = &mut self.live else { return };
        if live.rows.len() > LIVE_BYTES_MAX || live.seqs.len() >= ROWS_PER_FRAME_MAX {
            *live = Live {
                frames: std::mem::take(&mut live.frames),
                series_sent: live.series_sent,
                processes_sent: std::mem::take(&mut live.processes_sent),
                processes: std::mem::take(&mut live.processes),
                ..Live::default()
            };
        }
        if live.encoder.previous().seq == 0 {
            live.keyframe = true;
        }
        live.encoder
            .encode(seq, time, sample.values, &mut live.rows);
        let new = live.processes_sent.insert_all(sample.processes);
        live.processes.extend(new);
        live.seqs.push(seq);
    }

    /// From here on an index means another series: the live lane begins anew, after the rows that it still holds.
    fn change_table(&mut self, table: u64) {
        let frames = self.take_live();
        self.table = table;
        self.series.clear();
        if self.live.is_some() {
            let begin = Push::Begin {
                run: self.spool.run(),
                lane: Lane::Live,
            };
            self.live = Some(Live {
                frames: frames.into_iter().chain([begin]).collect(),
                ..Live::default()
            });
        }
    }

    /// A connection is established: the live lane starts with the next row, earlier rows are backfill.
    pub fn connected(&mut self) {
        self.spool.connected();
        self.live = Some(Live::default());
    }

    /// The hub refuses this machine as a copy of another.
    pub fn refused_as_copy(&mut self) {
        self.spool.refused_as_copy();
    }

    pub fn is_connected(&self) -> bool {
        self.live.is_some()
    }

    pub fn disconnected(&mut self) {
        self.spool.disconnected();
        self.live = None;
    }

    /// The next frames of the live lane; empty if there is no new row.
    pub fn take_live(&mut self) -> Vec<Push> {
        let Some(live) = &mut self.live else {
            return Vec::new();
        };
        if live.rows.is_empty() {
            return Vec::new();
        }
        let mut frames = std::mem::take(&mut live.frames);
        if let Some(new @ [_, ..]) = self.series.get(live.series_sent..) {
            frames.push(Push::Series(SeriesTable::new(new)));
            live.series_sent = self.series.len();
        }
        if !live.processes.is_empty() {
            frames.push(Push::Processes(std::mem::take(&mut live.processes)));
        }
        if live.processes_sent.len() > PROCESSES_MAX {
            live.processes_sent = ProcessSet::default();
        }
        let rows = Blob(std::mem::take(&mut live.rows));
        let keyframe = std::mem::take(&mut live.keyframe);
        frames.push(if keyframe {
            Push::Keyframe(rows)
        } else {
            Push::Rows(rows)
        });
        live.seqs
            .drain(..)
            .for_each(|seq| self.spool.sent_live(seq));
        frames
    }

    pub fn run(&self) -> RunId {
        self.spool.run()
    }

    /// Rows that were lost because the spool was full.
    pub fn dropped_rows(&self) -> u64 {
        self.spool.health().rows_dropped
    }

    /// Drops rows that the hub has on disk.
    pub fn acknowledge(&mut self, run: RunId, ranges: &[(u64, u64)]) {
        self.spool.acknowledge(run, ranges);
    }

    /// The oldest rows that this connection has not sent.
    pub fn next_backfill(&mut self) -> Option<Backfill> {
        self.spool.next_backfill(&self.series)
    }

    /// The operations that put every unacknowledged row on disk, before the program exits.
    pub fn persist(&mut self) -> Vec<DiskOp> {
        self.spool.persist();
        self.spool.take_disk_ops()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::SpoolLimits;
    use std::time::Duration;
    use sysmon_wire::message::RunId;
    use sysmon_wire::metrics::{CPU_UTILIZATION, UPTIME};

    #[test]
    fn the_live_lane_starts_with_series_and_a_keyframe_followed_by_rows() {
        let limits = SpoolLimits {
            memory_bytes: 1 << 20,
            disk_bytes: 0,
            age: Duration::from_secs(60),
        };
        let spool = Spool::new(RunId(1), limits, Vec::new());
        let mut outbox = Outbox::new(spool, HostFacts::unknown());
        let mut series = vec![CPU_UTILIZATION.series(&[])];
        let process = ProcessIdentity {
            pid: 1,
            start: UnixMs(1),
            user: "u".into(),
            command: "c".into(),
            cgroup: "".into(),
        };
        let push = |outbox: &mut Outbox, seq: u64, series: &[SeriesKey], values: &[i64]| {
            let sample = Sample {
                table: 0,
                series,
                values,
                processes: std::slice::from_ref(&process),
            };
            outbox.push(seq, UnixMs(seq as i64 * 1000), &sample);
        };
        push(&mut outbox, 1, &series, &[5]);
        outbox.connected();
        assert_eq!(outbox.take_live(), []);
        push(&mut outbox, 2, &series, &[6]);
        let first = outbox.take_live();
        assert!(
            matches!(&first[..], [Push::Series(s), Push::Processes(p), Push::Keyframe(_)] if s.len() == 1 && p.len() == 1)
        );
        push(&mut outbox, 3, &series, &[7]);
        assert!(matches!(&outbox.take_live()[..], [Push::Rows(_)]));
        series.push(UPTIME.series(&[]));
        push(&mut outbox, 4, &series, &[7, 8]);
        let grown = outbox.take_live();
        assert!(matches!(&grown[..], [Push::Series(s), Push::Rows(_)] if s.len() == 1));
        assert!(
            matches!(outbox.next_backfill(), Some(Backfill::Frames(_))),
            "row 1"
        );
        // The first series is released: from now on the first index means the second.
        push(&mut outbox, 5, &series, &[7, 9]);
        let sample = Sample {
            table: 1,
            series: &series[1..],
            values: &[10],
            processes: std::slice::from_ref(&process),
        };
        outbox.push(6, UnixMs(6000), &sample);
        let renewed = outbox.take_live();
        assert!(
            matches!(&renewed[..], [
                Push::Rows(_),
                Push::Begin { lane: Lane::Live, .. },
                Push::Series(s),
                Push::Processes(_),
                Push::Keyframe(_)
            ] if s.keys().unwrap() == series[1..]),
            "{renewed:?}"
        );
        outbox.disconnected();
        outbox.connected();
        let tables = std::iter::from_fn(|| match outbox.next_backfill()? {
            Backfill::Frames(frames) => match &frames[1] {
                Push::Series(series) => Some(series.keys().unwrap()),
                _ => None,
            },
            Backfill::File { .. } => None,
        });
        let tables: Vec<_> = tables.collect();
        assert!(tables.len() >= 2, "{tables:?}");
        assert_eq!(tables.first(), Some(&series[..1].to_vec()));
        assert_eq!(tables.last(), Some(&series[1..].to_vec()));
    }
}
