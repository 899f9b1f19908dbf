//! Processes: `/proc/PID`, with idle ones read less often, so that hundreds cost little.
//!
//! The stat file of a process stays open and is read by one `pread`: in every round while the process uses the
//! processor, in every tenth or fewer while it is idle. New processes are found through the last pid that the
//! kernel assigned, and by periodic scans of the directory.

mod arguments;
mod details;
mod entry;
mod files;
mod rank;
mod stat;
mod watched;

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use sysmon_config::Arguments;
use sysmon_wire::limits::{PROCESSES_PER_TABLE_MAX, RANKED_PROCESSES};
use sysmon_wire::{Label, LimitState, Process, ProcessArguments, ProcessIdentity, UnixMs};

use self::details::{Details, Users, leader, storage_bytes, storage_note};
use self::entry::Entry;
use self::files::{ProcDir, READ_BYTES_MAX, read};
use self::rank::{Places, Selection};
use self::stat::{Stat, parse};
use super::listing::ListLimit;
use super::parse::{lines, number, words};
use super::{KernelFile, ReadBuffer};

/// Processes per host; a machine with more has other problems.
const PROCESSES_MAX: usize = 32_768;

/// Stat files kept open, if that is at most half of what the agent may open.
const OPEN_FILES_MAX: u64 = 4096;

/// Rounds between two readings of an idle process while every process is requested.
const IDLE_ROUNDS_WATCHED: u64 = 4;

/// Readings per refresh; on a machine with more processes the others follow in the next.
const READINGS_MAX: usize = 4096;

const NEW_MAX: usize = 2048;

/// New pids that are tried one by one; for more, the directory is scanned.
const PROBE_MAX: u32 = 64;

/// Time between two scans of the directory, with and without knowledge of the kernel's last pid.
const SCAN_MS: (i64, i64) = (30_000, 2_000);

/// The processes that every row contains: some by each of [`measures`], the others by memory, which changes least.
const PLACES: Places = Places {
    all: RANKED_PROCESSES,
    each: RANKED_PROCESSES / 3,
    spare: 1,
};

const DETAILS_MAX: usize = 256;

#[derive(Debug)]
pub struct Processes {
    dir: ProcDir,
    entries: Vec<Entry>,
    users: Users,
    units: KernelUnits,
    last_pid_file: Option<KernelFile>,
    last_pid: Option<u32>,
    scanned: Option<UnixMs>,
    /// When every existing process had last been found.
    complete: Option<UnixMs>,
    round: u64,
    cursor: usize,
    open_files: u64,
    open_files_max: u64,
    selection: Selection<3>,
    scratch: Scratch,
    limit: ListLimit,
    is_storage_denied: bool,
    shown: Arguments,
    /// Arguments that were read or changed since they were last taken.
    arguments: Vec<ProcessArguments>,
}

#[derive(Debug)]
struct Scratch {
    file: Box<[u8; READ_BYTES_MAX]>,
    buffer: ReadBuffer,
    found: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct KernelUnits {
    boot: UnixMs,
    hz: u64,
    page_bytes: u64,
}

impl Processes {
    /// Processes of a kernel that booted at `boot`; `passwd` has the names of their users.
    pub fn new(proc_root: &Path, passwd: PathBuf, boot: UnixMs, shown: Arguments) -> Self {
        let may_open = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self {
            dir: ProcDir::open(proc_root),
            entries: Vec::new(),
            users: Users::new(passwd),
            units: KernelUnits {
                boot,
                hz: rustix::param::clock_ticks_per_second().max(1),
                page_bytes: rustix::param::page_size() as u64,
            },
            last_pid_file: is_own_namespace(proc_root)
                .then(|| KernelFile::open(&proc_root.join("loadavg"))),
            last_pid: None,
            scanned: None,
            complete: None,
            round: 0,
            cursor: 0,
            open_files: 0,
            open_files_max: OPEN_FILES_MAX.min(may_open / 2),
            selection: Selection::default(),
            scratch: Scratch {
                file: Box::new([0; READ_BYTES_MAX]),
                buffer: ReadBuffer::default(),
                found: Vec::new(),
            },
            limit: ListLimit::new("processes", PROCESSES_MAX),
            is_storage_denied: false,
            shown,
            arguments: Vec::new(),
        }
    }

    /// The wall clock was set: the kernel, which counts the starts of processes from its own boot, booted at `boot`.
    pub fn set_boot(&mut self, boot: UnixMs) {
        self.units.boot = boot;
        for entry in self.entries.iter_mut().filter(|e| e.identity.is_some()) {
            entry.identity = Some(self.units.identity(entry).id());
        }
    }

    /// Reads the processes that are due; with `full`, idle ones are due more often.
    pub fn refresh(&mut self, now: UnixMs, full: bool) {
        self.read_due(now, full);
        self.discover(now);
        self.choose();
        self.read_details(now, full);
        self.round += 1;
    }

    pub fn count(&self) -> usize {
        self.entries.len()
    }

    pub fn ranked(&self) -> impl Iterator<Item = Ranked<'_>> {
        let entries = self
            .selection
            .chosen
            .iter()
            .filter_map(|&at| self.entries.get(at as usize));
        entries.map(|entry| Ranked {
            entry,
            units: self.units,
        })
    }

    /// Every process as of its last reading, sorted by pid; if there are too many, those that use most.
    pub fn all(&self) -> Vec<Process> {
        let mut all: Vec<&Entry> = self.entries.iter().collect();
        if all.len() > PROCESSES_PER_TABLE_MAX {
            all.sort_by_key(|entry| {
                std::cmp::Reverse((entry.cpu_permille, entry.stat.resident_pages))
            });
            all.truncate(PROCESSES_PER_TABLE_MAX);
            all.sort_by_key(|entry| entry.pid);
        }
        all.into_iter()
            .map(|entry| self.units.process(entry))
            .collect()
    }

    /// The arguments of processes that were read or changed since the last call; with `again` all that are known.
    pub fn take_arguments(&mut self, again: bool) -> Vec<ProcessArguments> {
        let new = std::mem::take(&mut self.arguments);
        if !again {
            return new;
        }
        let known = self.entries.iter().filter_map(Entry::arguments);
        known.take(PROCESSES_PER_TABLE_MAX).collect()
    }

    /// What is not collected now.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.is_storage_denied.then(storage_note).into_iter()
    }

    pub fn limit(&self) -> LimitState {
        self.limit.state()
    }

    /// [`ReadBuffer::take_out_of_files`] of the last refresh.
    pub fn take_out_of_files(&mut self) -> bool {
        self.scratch.buffer.take_out_of_files()
    }

    fn read_due(&mut self, now: UnixMs, full: bool) {
        let count = self.entries.len();
        let idle_rounds = idle_rounds(count);
        let mut readings = 0;
        let start = self.cursor;
        for step in 0..count {
            let at = (start + step) % count;
            let Some(entry) = self.entries.get_mut(at) else {
                continue;
            };
            let is_watched = full && entry.is_due_every(self.round, IDLE_ROUNDS_WATCHED);
            if !is_watched && !entry.is_due(self.round) {
                continue;
            }
            if readings == READINGS_MAX {
                self.cursor = at;
                break;
            }
            readings += 1;
            let file = &mut self.scratch.file;
            if read_entry(entry, &self.dir, file, now, self.units.hz) == Err(Denied) {
                entry.storage_denied = true;
                self.is_storage_denied = true;
            }
            entry.plan(self.round, idle_rounds);
        }
        let open = &mut self.open_files;
        self.entries.retain(|entry| {
            if entry.gone && entry.file.is_some() {
                *open = open.saturating_sub(1);
            }
            !entry.gone
        });
    }

    fn discover(&mut self, now: UnixMs) {
        let file = self.last_pid_file.as_mut();
        let last = file.and_then(|file| last_pid(file.read(&mut self.scratch.buffer)?));
        let before = std::mem::replace(&mut self.last_pid, last);
        let probe = match (before, last) {
            (Some(before), Some(last)) if last >= before && last - before <= PROBE_MAX => {
                Some(before + 1..=last)
            }
            _ => None,
        };
        let (long, short) = SCAN_MS;
        let wait_ms = if last.is_some() { long } else { short };
        let is_scan_due = self
            .scanned
            .is_none_or(|at| !(0..wait_ms).contains(&(now - at)));
        let jumped = last.is_some() && probe.is_none();
        let mut found = std::mem::take(&mut self.scratch.found);
        found.clear();
        if is_scan_due || jumped || self.complete.is_none() {
            self.scanned = Some(now);
            let entries = &self.entries;
            self.dir.pids(|pid| {
                if position(entries, pid).is_err() {
                    found.push(pid);
                }
            });
        } else if let Some(probe) = probe {
            // Threads get pids too: they are not listed but can be opened.
            found.extend(probe.filter(|pid| self.is_new_process(*pid)));
        } else {
            self.scratch.found = found;
            return;
        }
        self.add_all(&found, now);
        self.scratch.found = found;
    }

    fn is_new_process(&mut self, pid: u32) -> bool {
        let status = self.dir.read(pid, "status", &mut self.scratch.file);
        status.ok().and_then(leader) == Some(pid) && position(&self.entries, pid).is_err()
    }

    fn add_all(&mut self, found: &[u32], now: UnixMs) {
        let since = self.complete;
        // A full table is only found to be one by a process that has no place in it.
        let room = PROCESSES_MAX.saturating_sub(self.entries.len());
        let left_out = found.len().min(NEW_MAX).saturating_sub(room);
        self.limit
            .set_present(self.entries.len() + found.len().min(room) + left_out);
        for &pid in found.iter().take(NEW_MAX) {
            if self.entries.len() >= PROCESSES_MAX {
                break;
            }
            self.add(pid, now, since);
        }
        // Sorted once: inserting each in order would move thousands of entries each time.
        self.entries.sort_by_key(|entry| entry.pid);
        self.complete = (found.len() <= NEW_MAX).then_some(now);
    }

    /// Adds a new process, unless it has already exited.
    fn add(&mut self, pid: u32, now: UnixMs, since: Option<UnixMs>) {
        let file = self.dir.open_file(pid, "stat");
        let Ok(file) = file.inspect_err(|error| self.scratch.buffer.note_failure(*error)) else {
            return;
        };
        let text = read(&file, &mut self.scratch.file);
        let Some(stat) = text.ok().and_then(parse) else {
            return;
        };
        let mut entry = Entry::new(pid, stat, now, since, self.units.hz);
        if self.open_files < self.open_files_max {
            self.open_files += 1;
            entry.file = Some(file);
        }
        self.entries.push(entry);
    }

    fn choose(&mut self) {
        let entries = &self.entries;
        let measure = |index| measures(entries, index);
        self.selection.choose(entries.len(), PLACES, measure);
    }

    /// By processor, memory and disk: of how many processes that use most none is missing from [`Self::ranked`].
    pub fn ranked_depths(&self) -> [usize; 3] {
        let count = self.entries.len();
        self.selection.depths.map(|depth| depth.unwrap_or(count))
    }

    fn read_details(&mut self, now: UnixMs, full: bool) {
        let mut left = DETAILS_MAX;
        let everyone = if full { self.entries.len() as u32 } else { 0 };
        for at in self.selection.chosen.iter().copied().chain(0..everyone) {
            let Some(entry) = self.entries.get_mut(at as usize) else {
                continue;
            };
            if left == 0 || !entry.wants_details(now) {
                continue;
            }
            left -= 1;
            let details = if entry.stat.is_kernel_thread {
                Details::from_name(&entry.stat.name, self.users.name(0))
            } else {
                let (pid, name) = (entry.pid, &entry.stat.name);
                Details::read(&self.dir, pid, name, &mut self.users, self.shown)
            };
            entry.set_details(details, now);
            if entry.identity.is_none() {
                entry.identity = Some(self.units.identity(entry).id());
                self.arguments.extend(entry.arguments());
            }
        }
    }
}

#[derive(Debug)]
pub struct Ranked<'a> {
    entry: &'a Entry,
    units: KernelUnits,
}

impl Ranked<'_> {
    /// [`ProcessIdentity::id`], without building the identity.
    pub fn id(&self) -> Option<i64> {
        self.entry.identity
    }

    pub fn identity(&self) -> ProcessIdentity {
        self.units.identity(self.entry)
    }

    /// Thousandths of one processor, bytes of memory, bytes read and written per second, threads.
    pub fn values(&self) -> [u64; 5] {
        let entry = self.entry;
        let [read, written] = entry.storage_rate;
        let memory = entry
            .stat
            .resident_pages
            .saturating_mul(self.units.page_bytes);
        [
            u64::from(entry.cpu_permille),
            memory,
            read,
            written,
            u64::from(entry.stat.threads),
        ]
    }
}

/// Reading the storage traffic of a process was refused.
#[derive(Debug, PartialEq, Eq)]
struct Denied;

fn read_entry(
    entry: &mut Entry,
    dir: &ProcDir,
    buffer: &mut [u8; READ_BYTES_MAX],
    now: UnixMs,
    hz: u64,
) -> Result<(), Denied> {
    let stat = match &entry.file {
        Some(file) => read(file, buffer),
        None => dir.read(entry.pid, "stat", buffer),
    };
    let stat: Option<Stat> = match stat {
        Ok(text) => parse(text),
        Err(Errno::SRCH | Errno::NOENT) => {
            entry.gone = true;
            return Ok(());
        }
        // For example too many open files: the next reading may succeed.
        Err(_) => None,
    };
    let Some(stat) = stat else { return Ok(()) };
    if stat.start_ticks != entry.stat.start_ticks {
        // The pid was reused; the new process is found by the next scan.
        entry.gone = true;
        return Ok(());
    }
    let Some(elapsed_ms) = entry.update(stat, now, hz) else {
        return Ok(());
    };
    match dir.read(entry.pid, "io", buffer) {
        Ok(text) => {
            if let Some(bytes) = storage_bytes(text) {
                entry.update_storage(bytes, elapsed_ms);
            }
            Ok(())
        }
        Err(Errno::ACCESS | Errno::PERM) => Err(Denied),
        Err(_) => Ok(()),
    }
}

impl KernelUnits {
    fn identity(&self, entry: &Entry) -> ProcessIdentity {
        let stat = &entry.stat;
        let details = entry.details.clone();
        let details = details.unwrap_or_else(|| Details::from_name(&stat.name, Label::new("")));
        let since_boot_ms = u128::from(stat.start_ticks) * 1000 / u128::from(self.hz);
        let since_boot_ms = i64::try_from(since_boot_ms).unwrap_or(i64::MAX);
        ProcessIdentity {
            pid: entry.pid,
            start: UnixMs(self.boot.0.saturating_add(since_boot_ms)),
            user: details.user,
            command: details.command,
            cgroup: details.cgroup,
        }
    }

    fn process(&self, entry: &Entry) -> Process {
        let stat = &entry.stat;
        let [read_bytes_per_s, write_bytes_per_s] = entry.storage_rate;
        Process {
            identity: self.identity(entry),
            parent: stat.parent,
            state: stat.state,
            threads: stat.threads,
            cpu_permille: entry.cpu_permille,
            memory_bytes: stat.resident_pages.saturating_mul(self.page_bytes),
            read_bytes_per_s,
            write_bytes_per_s,
            arguments: Label::default(),
        }
    }
}

fn position(entries: &[Entry], pid: u32) -> Result<usize, usize> {
    entries.binary_search_by_key(&pid, |entry| entry.pid)
}

fn measures(entries: &[Entry], index: usize) -> [u64; 3] {
    entries.get(index).map_or([0; 3], |entry| {
        let [read, written] = entry.storage_rate;
        let cpu = u64::from(entry.cpu_permille);
        [cpu, entry.stat.resident_pages, read.saturating_add(written)]
    })
}

/// Rounds between two readings of an idle process: ten, or more where there are thousands of processes.
fn idle_rounds(count: usize) -> u64 {
    (count as u64 / 100).clamp(10, 60)
}

/// The last pid that the kernel assigned: the last word of `/proc/loadavg` (proc_loadavg(5)).
fn last_pid(text: &[u8]) -> Option<u32> {
    let pid = words(lines(text).next()?).nth(4).and_then(number)?;
    u32::try_from(pid).ok()
}

/// Whether `proc_root` shows the agent's own pid namespace, so that its last pid applies: a container may have the
/// `/proc` of its host mounted.
fn is_own_namespace(proc_root: &Path) -> bool {
    let own = std::fs::read_link(proc_root.join("self")).ok();
    own.is_some_and(|own| own == Path::new(&std::process::id().to_string()))
}

#[cfg(test)]
mod tests;
