//! The spool's files: rows that outlive the process.
//!
//! A file is a sequence of records, each `length (u32 LE), CRC-32 of the payload (u32 LE),
//! payload`, where the payload is one encoded [`Push`] frame. The first record that is cut short
//! or does not match its checksum ends the file: that is where the machine lost power.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sysmon_wire::limits::{FRAME_BYTES_MAX, SERIES_PER_HOST_MAX};
use sysmon_wire::message::{Push, RunId};
use sysmon_wire::{RowDecoder, UnixMs, codec};

use super::DiskOrder;

/// Bytes of a file that are read back: twice what a segment can grow to.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Orders that may wait for a slow disk; beyond, rows stay in memory only and are counted.
const ORDERS_MAX: usize = 256;

/// A file of an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name in the spool folder.
    pub file: String,
    /// The run its rows are of.
    pub run: RunId,
    /// The first row.
    pub first: u64,
    /// The last row.
    pub last: u64,
    /// When the last row was taken.
    pub last_time: UnixMs,
    /// Its length.
    pub bytes: u64,
}

/// Carries out [`DiskOrder`]s on a thread of its own, so that a slow disk delays no sample.
#[derive(Debug)]
pub struct Journal {
    orders: SyncSender<Vec<DiskOrder>>,
    shared: Arc<Mutex<Shared>>,
}

/// What the thread and those who give orders both know.
#[derive(Debug, Default)]
struct Shared {
    outcomes: Vec<Appended>,
    /// Files that lack a row. Rows are told as differences, so nothing may follow it there.
    spoiled: HashSet<String>,
}

/// What became of a [`DiskOrder::Append`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The file.
    pub file: String,
    /// Whether what was to be appended is on stable storage.
    pub ok: bool,
}

impl Journal {
    /// Starts the thread; the folder is made when it is first needed.
    pub fn start(folder: PathBuf) -> io::Result<Self> {
        let (orders, queue) = sync_channel(ORDERS_MAX);
        let shared = Arc::<Mutex<Shared>>::default();
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || write_orders(&folder, &queue, &of_thread))?;
        Ok(Self { orders, shared })
    }

    /// Has these orders carried out. Where the disk is so slow that too many wait, they fail.
    pub fn carry_out(&self, orders: Vec<DiskOrder>) {
        if orders.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(orders) | TrySendError::Disconnected(orders)) =
            self.orders.try_send(orders)
        {
            for order in orders {
                if let DiskOrder::Append { file, .. } = order {
                    lock(&self.shared).appended(file, false);
                }
            }
        }
    }

    /// What became of the appends since the last call, in their order.
    pub fn take_outcomes(&self) -> Vec<Appended> {
        std::mem::take(&mut lock(&self.shared).outcomes)
    }
}

impl Shared {
    fn appended(&mut self, file: String, ok: bool) {
        if !ok {
            self.spoiled.insert(file.clone());
        }
        self.outcomes.push(Appended { file, ok });
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_orders(folder: &Path, queue: &Receiver<Vec<DiskOrder>>, shared: &Mutex<Shared>) {
    let mut told = false;
    while let Ok(orders) = queue.recv() {
        for order in orders {
            let done = match &order {
                DiskOrder::Append { file, .. } if lock(shared).spoiled.contains(file) => {
                    lock(shared).appended(file.clone(), false);
                    continue;
                }
                order => carry_out(folder, order),
            };
            if let Err(error) = &done
                && !told
            {
                let folder = folder.display();
                tracing::warn!(
                    "cannot write to the spool in {folder}: {error}; rows wait in memory"
                );
            }
            told = done.is_err();
            match order {
                DiskOrder::Append { file, .. } => lock(shared).appended(file, done.is_ok()),
                DiskOrder::Remove { file } => drop(lock(shared).spoiled.remove(&file)),
            }
        }
    }
}

/// Does one order; what was appended is on stable storage when it returns.
pub fn carry_out(folder: &Path, order: &DiskOrder) -> io::Result<()> {
    match order {
        DiskOrder::Append { file, frames } => {
            let path = folder.join(file);
            let mut options = OpenOptions::new();
            options.create(true).append(true);
            let mut file = match options.open(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir_all(folder)?;
                    options.open(&path)?
                }
                other => other?,
            };
            let before = file.metadata()?.len();
            let written = file
                .write_all(&records(frames)?)
                .and_then(|()| file.sync_data());
            if written.is_err() {
                // Half a record would hide whatever came after it.
                let _ = file.set_len(before);
            }
            written
        }
        DiskOrder::Remove { file } => match fs::remove_file(folder.join(file)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        },
    }
}

fn records(frames: &[Push]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for frame in frames {
        let start = out.len();
        out.extend_from_slice(&[0; 8]);
        codec::encode(frame, &mut out).map_err(io::Error::other)?;
        let (head, payload) = out.split_at_mut(start + 8);
        let length = u32::try_from(payload.len())
            .map_err(io::Error::other)?
            .to_le_bytes();
        let sum = crc32fast::hash(payload).to_le_bytes();
        if let Some(place) = head.get_mut(start..) {
            place.copy_from_slice(&[length, sum].concat());
        }
    }
    Ok(out)
}

/// The frames of a file up to where it is whole.
pub fn read(folder: &Path, file: &str) -> io::Result<Vec<Push>> {
    let mut bytes = Vec::new();
    File::open(folder.join(file))?
        .take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(parse(&bytes))
}

pub(super) fn parse(mut bytes: &[u8]) -> Vec<Push> {
    let mut frames = Vec::new();
    while let Some((frame, rest)) = record(bytes) {
        frames.push(frame);
        bytes = rest;
    }
    frames
}

fn record(bytes: &[u8]) -> Option<(Push, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (payload, rest) = rest.split_at_checked(length.min(FRAME_BYTES_MAX + 1))?;
    let whole = crc32fast::hash(payload) == u32::from_le_bytes(*sum);
    whole
        .then(|| codec::decode(payload).ok())
        .flatten()
        .map(|frame| (frame, rest))
}

/// Files that an earlier run left, oldest first. Those without a whole row are removed.
pub fn find(folder: &Path) -> Vec<Found> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Ok(file) = entry.file_name().into_string() else {
            continue;
        };
        if !file.ends_with(".rows") {
            continue;
        }
        let bytes = entry.metadata().map_or(0, |data| data.len());
        match read(folder, &file).ok().and_then(|frames| span(&frames)) {
            Some((run, first, last, last_time)) => {
                found.push(Found {
                    file,
                    run,
                    first,
                    last,
                    last_time,
                    bytes,
                });
            }
            None => drop(fs::remove_file(entry.path())),
        }
    }
    found.sort_by_key(|file| (file.last_time, file.first));
    found
}

/// The run of the frames, their first and last row, and when the last was taken.
pub(super) fn span(frames: &[Push]) -> Option<(RunId, u64, u64, UnixMs)> {
    let mut decoder = RowDecoder::new();
    let (mut run, mut first, mut last) = (None, None, None);
    for frame in frames {
        let rows = match frame {
            Push::Begin { run: of, .. } => {
                run = Some(*of);
                continue;
            }
            Push::Series(_) | Push::Processes(_) => continue,
            Push::Keyframe(rows) => {
                decoder.reset();
                rows
            }
            Push::Rows(rows) => rows,
        };
        let mut bytes = &rows.0[..];
        while let Some(row) = decoder.decode(&mut bytes, SERIES_PER_HOST_MAX).ok()? {
            first.get_or_insert(row.seq);
            last = Some((row.seq, row.time));
        }
    }
    let (last, time) = last?;
    Some((run?, first?, last, time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use crate::spool::{Backfill, Spool, SpoolLimits};
    use std::time::Duration;
    use sysmon_wire::message::Blob;
    use sysmon_wire::metrics::UPTIME;

    fn fill(folder: &Path, run: u64, rows: u64) {
        let limits = SpoolLimits {
            memory_bytes: 1 << 20,
            disk_bytes: 1 << 20,
            age: Duration::from_secs(3600),
        };
        let mut spool = Spool::new(RunId(run), limits, Vec::new());
        let series = [UPTIME.series(&[])];
        for seq in 1..=rows {
            let sample = Sample {
                series: &series,
                values: &[seq as i64],
                processes: &[],
            };
            spool.push(seq, UnixMs(seq as i64 * 1000), &sample);
            for order in spool.take_orders() {
                carry_out(folder, &order).unwrap();
            }
        }
    }

    #[test]
    fn after_a_row_that_could_not_be_written_nothing_follows_in_its_file() {
        let dir = tempfile::tempdir().unwrap();
        // A file where the folder should be: nothing can be written.
        let folder = dir.path().join("spool");
        fs::write(&folder, "").unwrap();
        let journal = Journal::start(folder.clone()).unwrap();
        let append = |file: &str| DiskOrder::Append {
            file: file.to_owned(),
            frames: vec![Push::Rows(Blob(vec![1]))],
        };
        let outcomes = |count: usize| {
            let end = std::time::Instant::now() + Duration::from_secs(10);
            let mut all = Vec::new();
            while all.len() < count && std::time::Instant::now() < end {
                all.extend(journal.take_outcomes());
                std::thread::yield_now();
            }
            all.into_iter().map(|a| (a.file, a.ok)).collect::<Vec<_>>()
        };
        journal.carry_out(vec![append("a.rows")]);
        assert_eq!(outcomes(1), [("a.rows".to_owned(), false)]);
        fs::remove_file(&folder).unwrap();
        journal.carry_out(vec![append("a.rows"), append("b.rows")]);
        let wanted = [("a.rows".to_owned(), false), ("b.rows".to_owned(), true)];
        assert_eq!(outcomes(2), wanted);
        assert!(!folder.join("a.rows").exists());
        assert_eq!(read(&folder, "b.rows").unwrap().len(), 1);
    }

    #[test]
    fn rows_of_a_killed_run_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), 5, 700);
        let found = find(folder.path());
        let spans: Vec<_> = found.iter().map(|f| (f.run, f.first, f.last)).collect();
        assert_eq!(
            spans,
            [
                (RunId(5), 1, 301),
                (RunId(5), 302, 602),
                (RunId(5), 603, 700)
            ]
        );
        let limits = SpoolLimits {
            memory_bytes: 1 << 20,
            disk_bytes: 1 << 20,
            age: Duration::MAX,
        };
        let mut next = Spool::new(RunId(6), limits, found);
        next.connected();
        let Some(Backfill::File(file)) = next.next_backfill(&[]) else {
            panic!("no backfill")
        };
        assert_eq!(span(&read(folder.path(), &file).unwrap()).unwrap().2, 301);
        next.acknowledge(RunId(5), &[(1, 700)]);
        assert_eq!(next.take_orders().len(), 3);
    }

    #[test]
    fn a_file_cut_at_any_byte_keeps_its_whole_rows() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), 5, 20);
        let file = find(folder.path()).remove(0).file;
        let bytes = fs::read(folder.path().join(&file)).unwrap();
        let mut whole = 0;
        for cut in 0..=bytes.len() {
            let last = span(&parse(&bytes[..cut])).map_or(0, |span| span.2);
            assert!(last >= whole, "a longer file has no fewer rows");
            whole = last;
        }
        assert_eq!(whole, 20);
    }

    #[test]
    fn a_flipped_bit_ends_the_file_there() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), 5, 20);
        let file = find(folder.path()).remove(0).file;
        let mut bytes = fs::read(folder.path().join(&file)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let rows = span(&parse(&bytes)).unwrap().2;
        assert!((1..20).contains(&rows), "{rows}");
    }
}
