//! The log: the newest rows of all hosts, appended by each commit as one blob.
//!
//! A table row for each host and second would cost a B-tree search each. So rows that are not sealed yet go to
//! `log`, one blob for many hosts, and most are never moved: by the time a part of the log is old, its rows have
//! been sealed. The others are then folded into the tables `head` and `run`.
//!
//! ```text
//! part    = time(zigzag) entry… crc32(u32 LE, of all before)
//! entry   = host runs run… head head
//! run     = number(u64 LE) ranges (low length)…
//! head    = restarted(0 or 1) length bytes…
//! ```
//!
//! Integers are LEB128 unless noted.

use std::collections::{HashMap, VecDeque};

use rusqlite::{Connection, Transaction, params};
use sysmon_wire::limits::RUNS_PER_HOST_MAX;
use sysmon_wire::message::RunId;
use sysmon_wire::varint::{get_i64, get_u64, put_i64, put_u64};
use sysmon_wire::{SeqSet, UnixMs};

use super::StoreError;
use super::encoding::bytes_of;
use crate::HostBatch;

/// Size at which another part begins.
const PART_BYTES: usize = 256 << 10;

/// How long parts stay in the log: longer than a ring's head lives at one row per second.
const PART_AGE_MS_MAX: i64 = 600_000;

/// Most parts that one commit folds; more than one commit appends.
const FOLDED_AT_ONCE: usize = 32;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) host: i64,
    pub(super) runs: Vec<(RunId, Vec<(u64, u64)>)>,
    pub(super) heads: [Head; 2],
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) restarted: bool,
    pub(super) bytes: Vec<u8>,
}

/// Which part has the newest state of each run and head; older parts need not be folded.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The part in which a head was last restarted.
    restarted: HashMap<(i64, usize), i64>,
    /// The part with the newest state of a run.
    runs: HashMap<(i64, RunId), i64>,
    /// All parts with their times, oldest first.
    parts: VecDeque<(i64, UnixMs)>,
}

fn put_entry(out: &mut Vec<u8>, host: i64, batch: &HostBatch) {
    put_u64(out, host.unsigned_abs());
    put_u64(out, batch.runs.len() as u64);
    for (run, set) in &batch.runs {
        out.extend_from_slice(&run.0.to_le_bytes());
        put_u64(out, set.ranges().len() as u64);
        for (low, high) in set.ranges() {
            put_u64(out, *low);
            put_u64(out, high - low);
        }
    }
    for head in &batch.ring.heads {
        out.push(u8::from(head.restarted));
        put_u64(out, head.bytes.len() as u64);
        out.extend_from_slice(&head.bytes);
    }
}

fn split<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(first)
}

fn get_entry(bytes: &mut &[u8]) -> Option<Entry> {
    let host = i64::try_from(get_u64(bytes)?).ok()?;
    let mut runs = Vec::new();
    for _ in 0..get_u64(bytes)? {
        let run = u64::from_le_bytes(split(bytes, 8)?.try_into().ok()?);
        let mut ranges = Vec::new();
        for _ in 0..get_u64(bytes)? {
            let low = get_u64(bytes)?;
            ranges.push((low, low.checked_add(get_u64(bytes)?)?));
        }
        runs.push((RunId(run), ranges));
    }
    let mut heads: [Head; 2] = Default::default();
    for head in &mut heads {
        head.restarted = split(bytes, 1)? == [1];
        let length = get_u64(bytes)?;
        head.bytes = split(bytes, length)?.to_vec();
    }
    Some(Entry { host, runs, heads })
}

/// The time and entries of a part; none if it is damaged.
pub(super) fn entries(part: &[u8]) -> Option<(UnixMs, Vec<Entry>)> {
    let (mut body, checksum) = part.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let time = UnixMs(get_i64(&mut body)?);
    let mut entries = Vec::new();
    while !body.is_empty() {
        entries.push(get_entry(&mut body)?);
    }
    Some((time, entries))
}

impl Log {
    /// Appends the changes of hosts; returns the new parts for [`Log::committed`].
    pub(super) fn append<'a>(
        &mut self,
        transaction: &Transaction<'_>,
        hosts: impl Iterator<Item = (i64, &'a HostBatch)>,
        now: UnixMs,
    ) -> Result<Vec<(i64, UnixMs)>, StoreError> {
        let has_changes = |(_, batch): &(i64, &HostBatch)| {
            let idle = |head: &sysmon_series::HeadChanges| !head.restarted && head.bytes.is_empty();
            !(batch.runs.is_empty() && batch.ring.heads.iter().all(idle))
        };
        let mut hosts = hosts.filter(has_changes).peekable();
        let mut parts = Vec::new();
        while hosts.peek().is_some() {
            let (mut part, mut in_part) = (Vec::new(), Vec::new());
            put_i64(&mut part, now.0);
            while let Some((host, batch)) = hosts.next_if(|_| part.len() < PART_BYTES) {
                put_entry(&mut part, host, batch);
                in_part.push((host, batch));
            }
            let checksum = crc32fast::hash(&part);
            part.extend_from_slice(&checksum.to_le_bytes());
            let id: i64 = transaction
                .prepare_cached("INSERT INTO log (data) VALUES (?) RETURNING id")?
                .query_row([part], |row| row.get(0))?;
            for (host, batch) in in_part {
                let runs = batch.runs.iter().map(|(run, _)| *run);
                let heads = batch.ring.heads.iter().map(|head| head.restarted);
                self.note(id, host, runs, heads);
            }
            parts.push((id, now));
        }
        Ok(parts)
    }

    /// Records that a commit succeeded which appended parts and folded those up to `folded`.
    pub(super) fn committed(&mut self, appended: Vec<(i64, UnixMs)>, folded: i64) {
        self.parts.extend(appended);
        while self.parts.front().is_some_and(|(id, _)| *id <= folded) {
            self.parts.pop_front();
        }
    }

    /// Records that a part has the newest state of runs and heads.
    fn note(
        &mut self,
        id: i64,
        host: i64,
        runs: impl Iterator<Item = RunId>,
        heads: impl Iterator<Item = bool>,
    ) {
        for run in runs {
            self.runs.insert((host, run), id);
        }
        for (late, restarted) in heads.enumerate() {
            if restarted {
                self.restarted.insert((host, late), id);
            }
        }
    }

    /// Calls `each` with every entry, oldest first. The rows after a damaged part cannot be decoded, because rows are
    /// encoded as differences: it is removed with all that follow, and the result is false.
    pub(super) fn replay(
        &mut self,
        connection: &Connection,
        mut each: impl FnMut(Entry),
    ) -> Result<bool, StoreError> {
        let mut statement = connection.prepare("SELECT id, data FROM log ORDER BY id")?;
        let mut parts = statement.query([])?;
        while let Some(part) = parts.next()? {
            let id: i64 = part.get(0)?;
            let data = part.get_ref(1)?.as_blob().unwrap_or_default();
            let Some((time, entries)) = entries(data) else {
                tracing::error!(
                    part = id,
                    "the newest rows of the history are damaged: agents send again what they still have"
                );
                connection.execute("DELETE FROM log WHERE id >= ?", [id])?;
                return Ok(false);
            };
            for entry in entries {
                let runs = entry.runs.iter().map(|(run, _)| *run);
                let heads = entry.heads.iter().map(|head| head.restarted);
                self.note(id, entry.host, runs, heads);
                each(entry);
            }
            self.parts.push_back((id, time));
        }
        Ok(true)
    }

    /// Moves old parts into the tables; returns the last of them for [`Log::committed`].
    pub(super) fn fold(
        &mut self,
        transaction: &Transaction<'_>,
        now: UnixMs,
    ) -> Result<i64, StoreError> {
        let is_old = |(_, time): &&(i64, UnixMs)| now - *time > PART_AGE_MS_MAX;
        let old = self.parts.iter().take_while(is_old).take(FOLDED_AT_ONCE);
        let Some((last, _)) = old.last().copied() else {
            return Ok(0);
        };
        {
            let mut statement =
                transaction.prepare_cached("SELECT id, data FROM log WHERE id <= ? ORDER BY id")?;
            let mut parts = statement.query([last])?;
            while let Some(part) = parts.next()? {
                let id = part.get(0)?;
                let data = part.get_ref(1)?.as_blob().unwrap_or_default();
                for entry in entries(data).unwrap_or_default().1 {
                    self.fold_entry(transaction, id, entry)?;
                }
            }
        }
        transaction
            .prepare_cached("DELETE FROM log WHERE id <= ?")?
            .execute([last])?;
        Ok(last)
    }

    fn fold_entry(
        &mut self,
        transaction: &Transaction<'_>,
        id: i64,
        entry: Entry,
    ) -> Result<(), StoreError> {
        let host = entry.host;
        for (run, ranges) in entry.runs {
            if self.runs.get(&(host, run)).is_some_and(|last| *last > id) {
                continue;
            }
            self.runs.remove(&(host, run));
            transaction
                .prepare_cached("INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?)")?
                .execute(params![host, run.0.cast_signed(), id, bytes_of(&ranges)?])?;
            transaction
                .prepare_cached(
                    "DELETE FROM run WHERE host = ?1 AND run NOT IN \
                     (SELECT run FROM run WHERE host = ?1 ORDER BY heard DESC LIMIT ?2)",
                )?
                .execute(params![host, RUNS_PER_HOST_MAX as i64])?;
        }
        for (late, head) in entry.heads.into_iter().enumerate() {
            let restarted = self.restarted.get(&(host, late)).copied();
            if restarted.is_some_and(|last| last > id) {
                continue;
            }
            if head.restarted {
                self.restarted.remove(&(host, late));
                transaction
                    .prepare_cached("DELETE FROM head WHERE host = ? AND late = ?")?
                    .execute(params![host, late as i64])?;
            }
            if !head.bytes.is_empty() {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?)")?
                    .execute(params![host, late as i64, id, head.bytes])?;
            }
        }
        Ok(())
    }
}

pub(super) fn set_of(ranges: &[(u64, u64)]) -> SeqSet {
    let mut set = SeqSet::new();
    ranges
        .iter()
        .for_each(|&(low, high)| set.insert_range(low, high));
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sysmon_series::{Changes, HeadChanges};

    fn batch(runs: Vec<(RunId, SeqSet)>, heads: [HeadChanges; 2]) -> HostBatch {
        HostBatch {
            name: "a".into(),
            facts: None,
            series: Vec::new(),
            retired: None,
            processes: Vec::new(),
            runs,
            oldest_unsealed: None,
            late: None,
            ring: Changes {
                chunks: Vec::new(),
                heads,
            },
        }
    }

    fn part(entries: &[(i64, HostBatch)]) -> Vec<u8> {
        let mut part = Vec::new();
        put_i64(&mut part, 77);
        for (host, batch) in entries {
            put_entry(&mut part, *host, batch);
        }
        let checksum = crc32fast::hash(&part);
        part.extend_from_slice(&checksum.to_le_bytes());
        part
    }

    #[test]
    fn a_part_is_decoded_as_encoded_and_one_flipped_bit_is_detected() {
        let heads = [
            HeadChanges {
                restarted: true,
                bytes: vec![1, 2, 3],
            },
            HeadChanges::default(),
        ];
        let run = (RunId(u64::MAX - 3), set_of(&[(1, 5), (9, u64::MAX)]));
        let mut bytes = part(&[
            (7, batch(vec![run], heads)),
            (8, batch(Vec::new(), Default::default())),
        ]);
        let (time, found) = entries(&bytes).unwrap();
        assert_eq!(time, UnixMs(77));
        assert_eq!(found[0].host, 7);
        assert_eq!(
            found[0].runs,
            [(RunId(u64::MAX - 3), vec![(1, 5), (9, u64::MAX)])]
        );
        assert_eq!(
            (found[0].heads[0].restarted, &found[0].heads[0].bytes[..]),
            (true, &[1, 2, 3][..])
        );
        assert_eq!(
            found[1],
            Entry {
                host: 8,
                ..Entry::default()
            }
        );
        bytes[2] ^= 1;
        assert_eq!(entries(&bytes), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = bytes;
            let checksum = crc32fast::hash(&bytes);
            bytes.extend(checksum.to_le_bytes());
            let _ = entries(&bytes);
        }
    }
}
