//! The audit log: who joined, who was refused, and who changed what, as lines of JSON in the state directory.
//!
//! Refusals have a file of their own and a rate limit, so that a peer that retries all day neither fills the disk
//! nor hides what matters. Each file is rotated at [`FILE_BYTES`]; one older file of each is preserved.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sysmon_link::LogLimiter;
use sysmon_wire::UnixMs;

use crate::lock;

/// Bytes of a file before it is rotated: some 20,000 lines.
const FILE_BYTES: u64 = 4 << 20;

/// Bytes of [`Entry::what`], which may hold text from a peer.
const WHAT_BYTES_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub time_ms: i64,
    /// One of `joined`, `renewed`, `refused`, `revoked`, `token`, `issued`, `authority`, `forgotten`, `renamed`,
    /// `reloaded`, `acknowledged`, `unacknowledged`, `silenced` or `unsilenced`.
    pub event: String,
    /// The peer or token that it is about; may be empty.
    pub who: String,
    /// The peer's address; empty for commands on the hub's machine.
    pub from: String,
    pub what: String,
}

impl Entry {
    pub fn new(now: UnixMs, event: &str, who: &dyn std::fmt::Display) -> Self {
        Self {
            time_ms: now.0,
            event: event.to_owned(),
            who: who.to_string(),
            from: String::new(),
            what: String::new(),
        }
    }

    #[must_use]
    pub fn from(self, address: SocketAddr) -> Self {
        Self {
            from: address.to_string(),
            ..self
        }
    }

    /// With details, cleaned and cut to [`WHAT_BYTES_MAX`].
    #[must_use]
    pub fn what(self, what: &str) -> Self {
        let mut end = what.len().min(WHAT_BYTES_MAX);
        while !what.is_char_boundary(end) {
            end -= 1;
        }
        let what = what.get(..end).unwrap_or_default();
        Self {
            what: sysmon_wire::Label::new(what).to_string(),
            ..self
        }
    }
}

#[derive(Debug)]
pub struct Audit {
    dir: PathBuf,
    refusals: Mutex<LogLimiter>,
}

impl Audit {
    pub fn new(dir: &Path, now: Instant) -> Self {
        Self {
            dir: dir.to_owned(),
            refusals: Mutex::new(LogLimiter::new(now)),
        }
    }

    fn path(&self, is_refusal: bool) -> PathBuf {
        let name = if is_refusal {
            "refused.jsonl"
        } else {
            "audit.jsonl"
        };
        self.dir.join(name)
    }

    pub fn note(&self, entry: &Entry) {
        self.append(false, entry);
    }

    fn append(&self, is_refusal: bool, entry: &Entry) {
        let path = self.path(is_refusal);
        if let Err(error) = write(&path, entry) {
            tracing::error!(path = %path.display(), %error, "cannot write the audit log");
        }
    }

    /// Writes and logs a refusal, unless there were too many lately; those are counted with the next.
    pub fn refused(&self, entry: Entry, now: Instant) {
        let Some(suppressed) = lock(&self.refusals).pass(now) else {
            return;
        };
        tracing::warn!(peer = %entry.who, from = %entry.from, reason = %entry.what, suppressed, "refused");
        let what = match suppressed {
            0 => entry.what.clone(),
            count => format!("{}; {count} earlier refusals suppressed", entry.what),
        };
        self.append(true, &entry.what(&what));
    }

    pub fn since(&self, since: UnixMs) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for is_refusal in [false, true] {
            let path = self.path(is_refusal);
            for path in [older(&path), path] {
                let text = match fs::read_to_string(&path) {
                    Ok(text) => text,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                // A line that a crash cut short is skipped.
                let read = text
                    .lines()
                    .filter_map(|line| serde_json::from_str(line).ok());
                entries.extend(read.filter(|entry: &Entry| entry.time_ms >= since.0));
            }
        }
        entries.sort_by_key(|entry| entry.time_ms);
        Ok(entries)
    }
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("older.jsonl")
}

fn write(path: &Path, entry: &Entry) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|file| file.len() > FILE_BYTES) {
        fs::rename(path, older(path))?;
    }
    let line = serde_json::to_string(entry).map_err(io::Error::other)?;
    Ok(sysmon_files::append_line(path, &line)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_clock::Clock;

    #[test]
    fn files_are_bounded_and_entries_are_clean_and_read_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::new(dir.path(), Clock::system().instant());
        let address: SocketAddr = "10.0.0.1:5".parse().unwrap();
        let entry = |ms, event| Entry::new(UnixMs(ms), event, &"agent a").from(address);
        audit.refused(
            entry(2, "refused").what("a\x1b[2J\u{202e}b"),
            Clock::system().instant(),
        );
        audit.note(&entry(3, "joined"));
        audit.note(&entry(1, "token"));
        let read = audit.since(UnixMs(2)).unwrap();
        assert_eq!(
            read.iter()
                .map(|entry| entry.event.as_str())
                .collect::<Vec<_>>(),
            ["refused", "joined"]
        );
        assert!(!read[0].what.contains('\x1b') && !read[0].what.contains('\u{202e}'));
        let long = entry(4, "token").what(&"ä".repeat(5000));
        assert!(long.what.len() <= WHAT_BYTES_MAX);
        let many = (2 * FILE_BYTES / 300) as i64 + 100;
        for n in 0..many {
            write(
                &audit.path(false),
                &Entry {
                    time_ms: 10 + n,
                    ..long.clone()
                },
            )
            .unwrap();
        }
        let size = |path: PathBuf| fs::metadata(path).unwrap().len();
        assert!(size(audit.path(false)) <= FILE_BYTES + 1000);
        assert!(size(older(&audit.path(false))) <= FILE_BYTES + 1000);
        let read = audit.since(UnixMs(0)).unwrap();
        assert_eq!(read.last().unwrap().time_ms, 9 + many);
    }
}
