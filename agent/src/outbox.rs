//! What the sampler hands to the uplink: rows into the spool, and ready-made frames for the live lane.

use sysmon_wire::message::{Blob, Push, RunId};
use sysmon_wire::{HostFacts, ProcessIdentity, RowEncoder, SeriesKey, SeriesTable, UnixMs};

use crate::sample::{Named, Sample};
use crate::spool::{Backfill, DiskOrder, Spool, SpoolHealth};

/// Bytes of rows that may wait while the hub's window is full; then the live lane skips ahead, and
/// what it skipped is backfilled.
const LIVE_BYTES_MAX: usize = 256 * 1024;

/// Processes remembered as told of; past that they are told of again.
const NAMED_MAX: usize = 4096;

/// Rows on their way from the sampler to the hub.
#[derive(Debug)]
pub struct Outbox {
    spool: Spool,
    series: Vec<SeriesKey>,
    facts: HostFacts,
    live: Option<Live>,
}

/// The live lane of the present connection.
#[derive(Debug, Default)]
struct Live {
    encoder: RowEncoder,
    /// Series defined on the stream so far.
    series_sent: usize,
    /// Processes told of on the stream so far, and those to be told of.
    named: Named,
    processes: Vec<ProcessIdentity>,
    rows: Vec<u8>,
    seqs: Vec<u64>,
    keyframe: bool,
}

impl Outbox {
    /// An outbox over `spool` for a host that is `facts`.
    pub fn new(spool: Spool, facts: HostFacts) -> Self {
        Self {
            spool,
            series: Vec::new(),
            facts,
            live: None,
        }
    }

    /// This run.
    pub fn run(&self) -> RunId {
        self.spool.run()
    }

    /// What the host is.
    pub fn facts(&self) -> &HostFacts {
        &self.facts
    }

    /// Takes a row.
    pub fn push(&mut self, seq: u64, time: UnixMs, sample: &Sample<'_>) {
        if let Some(new) = sample.series.get(self.series.len()..) {
            self.series.extend_from_slice(new);
        }
        self.spool.push(seq, time, sample);
        let Some(live) = &mut self.live else { return };
        if live.rows.len() > LIVE_BYTES_MAX {
            *live = Live {
                series_sent: live.series_sent,
                named: std::mem::take(&mut live.named),
                processes: std::mem::take(&mut live.processes),
                ..Live::default()
            };
        }
        if live.encoder.previous().seq == 0 {
            live.keyframe = true;
        }
        live.encoder
            .encode(seq, time, sample.values, &mut live.rows);
        let new = live.named.take_new(sample.processes);
        live.processes.extend(new);
        live.seqs.push(seq);
    }

    /// A connection begins: the live lane starts with the next row, all before it is backfill.
    pub fn connected(&mut self) {
        self.spool.connected();
        self.live = Some(Live::default());
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.live.is_some()
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.spool.disconnected();
        self.live = None;
    }

    /// Frames for the live lane; empty if there is nothing new.
    pub fn take_live(&mut self) -> Vec<Push> {
        let Some(live) = &mut self.live else {
            return Vec::new();
        };
        if live.rows.is_empty() {
            return Vec::new();
        }
        let mut frames = Vec::with_capacity(2);
        if let Some(new @ [_, ..]) = self.series.get(live.series_sent..) {
            frames.push(Push::Series(SeriesTable::new(new)));
            live.series_sent = self.series.len();
        }
        if !live.processes.is_empty() {
            frames.push(Push::Processes(std::mem::take(&mut live.processes)));
        }
        if live.named.len() > NAMED_MAX {
            live.named = Named::default();
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

    /// The oldest rows that this connection has not sent yet.
    pub fn next_backfill(&mut self) -> Option<Backfill> {
        self.spool.next_backfill(&self.series)
    }

    /// A file of the spool could not be read back.
    pub fn lost_file(&mut self, file: &str) {
        self.spool.lost_file(file);
    }

    /// Rows in these ranges are durable on the hub.
    pub fn acknowledge(&mut self, run: RunId, ranges: &[(u64, u64)]) {
        self.spool.acknowledge(run, ranges);
    }

    /// What was ordered to be appended to a file of the spool is there, or could not be written.
    pub fn appended(&mut self, file: &str, ok: bool) {
        self.spool.appended(file, ok);
    }

    /// How the spool fares.
    pub fn health(&self) -> SpoolHealth {
        self.spool.health()
    }

    /// What is to be done on disk since the last call.
    pub fn take_orders(&mut self) -> Vec<DiskOrder> {
        self.spool.take_orders()
    }

    /// Puts everything that is not acknowledged on disk, before the program ends.
    pub fn persist(&mut self) -> Vec<DiskOrder> {
        self.spool.persist();
        self.spool.take_orders()
    }

    /// Rows dropped because the spool was full, in this run.
    pub fn dropped_rows(&self) -> u64 {
        self.spool.dropped_rows()
    }

    /// Rows that are not acknowledged.
    pub fn waiting_rows(&self) -> u64 {
        self.spool.waiting_rows()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::SpoolLimits;
    use std::time::Duration;
    use sysmon_wire::metrics::{CPU_UTILIZATION, UPTIME};

    #[test]
    fn the_live_lane_begins_with_series_and_a_keyframe_and_goes_on_with_rows() {
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
    }
}
