//! The spool's files: rows that outlive the process, in the format of [`records`].

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sysmon_files::{create_private_subdir, open_private};
use sysmon_wire::UnixMs;
use sysmon_wire::message::{Push, RunId};

use super::{DiskOp, records};

/// Bytes read of one file: twice what a segment can grow to.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Batches that may queue for a slow disk; past this, appends fail and their rows stay in memory.
const BATCHES_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolFile {
    pub file: String,
    pub run: RunId,
    pub first: u64,
    pub last: u64,
    pub last_time: UnixMs,
    pub bytes: u64,
}

/// Executes [`DiskOp`]s on a thread of its own, so that a slow disk delays no sample.
#[derive(Debug)]
pub struct Journal {
    batches: SyncSender<Vec<DiskOp>>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    results: Vec<AppendResult>,
    /// Files that lack a row. Rows are encoded as differences, so nothing may follow the gap.
    incomplete: HashSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendResult {
    pub file: String,
    /// Whether the data is on stable storage.
    pub ok: bool,
}

impl Journal {
    /// Starts the thread; the folder is created by the first write.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(folder: PathBuf) -> io::Result<Self> {
        let (batches, queue) = sync_channel(BATCHES_MAX);
        let shared = Arc::<Mutex<Shared>>::default();
        let thread_shared = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || execute_all(&folder, &queue, &thread_shared))?;
        Ok(Self { batches, shared })
    }

    /// Queues operations; appends fail immediately while the queue is full.
    pub fn submit(&self, ops: Vec<DiskOp>) {
        if ops.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(ops) | TrySendError::Disconnected(ops)) =
            self.batches.try_send(ops)
        {
            for op in ops {
                if let DiskOp::Append { file, .. } = op {
                    lock(&self.shared).appended(file, false);
                }
            }
        }
    }

    /// The results of appends since the last call, in order.
    pub fn take_results(&self) -> Vec<AppendResult> {
        std::mem::take(&mut lock(&self.shared).results)
    }
}

impl Shared {
    fn appended(&mut self, file: String, ok: bool) {
        if !ok {
            self.incomplete.insert(file.clone());
        }
        self.results.push(AppendResult { file, ok });
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn execute_all(folder: &Path, queue: &Receiver<Vec<DiskOp>>, shared: &Mutex<Shared>) {
    let mut is_failing = false;
    while let Ok(ops) = queue.recv() {
        for op in ops {
            let done = match &op {
                DiskOp::Append { file, .. } if lock(shared).incomplete.contains(file) => {
                    lock(shared).appended(file.clone(), false);
                    continue;
                }
                op => execute(folder, op),
            };
            if let Err(error) = &done
                && !is_failing
            {
                let path = folder.display();
                tracing::warn!(%path, %error, "cannot write to the spool; rows are kept in memory");
            }
            is_failing = done.is_err();
            match op {
                DiskOp::Append { file, .. } => lock(shared).appended(file, done.is_ok()),
                DiskOp::Remove { file } => drop(lock(shared).incomplete.remove(&file)),
            }
        }
    }
}

/// Executes one operation; appended data is on stable storage when it returns.
///
/// # Errors
/// The file cannot be created, written, synced or removed.
pub fn execute(folder: &Path, op: &DiskOp) -> io::Result<()> {
    match op {
        DiskOp::Append { file, frames } => {
            let path = folder.join(file);
            let open = || open_private(&path, OpenOptions::new().append(true));
            let mut file = match open() {
                Err(error) if error.is_not_found() => {
                    create_private_subdir(folder)?;
                    open()?
                }
                other => other?,
            };
            let before = file.metadata()?.len();
            let written = file
                .write_all(&records::encode(frames)?)
                .and_then(|()| file.sync_data());
            if written.is_err() {
                // A partial record would hide everything after it.
                let _ = file.set_len(before);
            }
            written
        }
        DiskOp::Remove { file } => match fs::remove_file(folder.join(file)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        },
    }
}

/// The frames of a file up to the first damaged record.
///
/// # Errors
/// The file cannot be opened or read.
pub fn read(folder: &Path, file: &str) -> io::Result<Vec<Push>> {
    let mut bytes = Vec::new();
    File::open(folder.join(file))?
        .take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(records::decode(&bytes))
}

/// The files that earlier runs left, oldest first. Files without a complete row are removed.
pub fn find(folder: &Path) -> Vec<SpoolFile> {
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
        let frames = read(folder, &file).ok();
        match frames.and_then(|frames| records::span(&frames)) {
            Some((run, first, last, last_time)) => {
                found.push(SpoolFile {
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
                table: 0,
                series: &series,
                values: &[seq as i64],
                processes: &[],
            };
            spool.push(seq, UnixMs(seq as i64 * 1000), &sample);
            for op in spool.take_disk_ops() {
                execute(folder, &op).unwrap();
            }
        }
    }

    fn rows(frames: &[Push]) -> usize {
        let mut decoder = sysmon_wire::RowDecoder::new();
        let mut count = 0;
        for frame in frames {
            let (Push::Keyframe(block) | Push::Rows(block)) = frame else {
                continue;
            };
            let mut bytes = &block.0[..];
            while decoder.decode(&mut bytes, 1).unwrap().is_some() {
                count += 1;
            }
        }
        count
    }

    #[test]
    fn nothing_is_appended_to_a_file_after_a_failed_write() {
        let dir = tempfile::tempdir().unwrap();
        // A file in place of the folder makes every write fail.
        let folder = dir.path().join("spool");
        fs::write(&folder, "").unwrap();
        let journal = Journal::start(folder.clone()).unwrap();
        let append = |file: &str| DiskOp::Append {
            file: file.to_owned(),
            frames: vec![Push::Rows(Blob(vec![1]))],
        };
        let results = |count: usize| {
            let mut all = Vec::new();
            for _ in 0..10_000 {
                all.extend(journal.take_results());
                if all.len() >= count {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            all.into_iter().map(|a| (a.file, a.ok)).collect::<Vec<_>>()
        };
        journal.submit(vec![append("a.rows")]);
        assert_eq!(results(1), [("a.rows".to_owned(), false)]);
        fs::remove_file(&folder).unwrap();
        journal.submit(vec![append("a.rows"), append("b.rows")]);
        let wanted = [("a.rows".to_owned(), false), ("b.rows".to_owned(), true)];
        assert_eq!(results(2), wanted);
        assert!(!folder.join("a.rows").exists());
        assert_eq!(read(&folder, "b.rows").unwrap().len(), 1);
    }

    #[test]
    fn rows_of_a_killed_run_are_found_by_the_next() {
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
        next.acknowledge(RunId(5), &[(1, 9), (11, 250)]);
        let Some(Backfill::File { file, known }) = next.next_backfill(&[]) else {
            panic!("no backfill")
        };
        let frames = read(folder.path(), &file).unwrap();
        assert_eq!(records::span(&frames).unwrap().2, 301);
        let left = records::without(frames, &known);
        let (_, first, last, time) = records::span(&left).unwrap();
        assert_eq!((first, last, time), (10, 301, UnixMs(301_000)));
        assert_eq!(rows(&left), 52, "10 and 251 to 301");
        next.acknowledge(RunId(5), &[(1, 700)]);
        assert_eq!(next.take_disk_ops().len(), 3);
    }

    #[test]
    fn a_file_truncated_at_any_byte_yields_its_complete_rows() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), 5, 20);
        let file = find(folder.path()).remove(0).file;
        let bytes = fs::read(folder.path().join(&file)).unwrap();
        let mut complete = 0;
        for cut in 0..=bytes.len() {
            let last = records::span(&records::decode(&bytes[..cut])).map_or(0, |span| span.2);
            assert!(last >= complete, "a longer file has at least as many rows");
            complete = last;
        }
        assert_eq!(complete, 20);
    }

    #[test]
    fn a_flipped_bit_ends_the_file_at_its_record() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), 5, 20);
        let file = find(folder.path()).remove(0).file;
        let mut bytes = fs::read(folder.path().join(&file)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let rows = records::span(&records::decode(&bytes)).unwrap().2;
        assert!((1..20).contains(&rows), "{rows}");
    }
}
