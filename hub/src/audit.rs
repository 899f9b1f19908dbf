//! Who came in, who was turned away, and who changed what: lines of JSON beside the history.
//!
//! Each of the two files is cut in halves of [`HALF_BYTES`], of which the older goes. Refusals have a file of their
//! own and a pace, so that whoever knocks all day neither fills the disk nor hides what matters.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sysmon_wire::UnixMs;

/// Bytes of a file before a new one is begun: some 20,000 lines.
const HALF_BYTES: u64 = 4 << 20;

/// Refusals that are told at once, and of which one more is told each second.
const REFUSALS_AT_ONCE: f64 = 60.0;

/// Bytes of what somebody says of himself in a line.
const WHAT_BYTES_MAX: usize = 200;

/// Something that is noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in Unix milliseconds.
    pub time_ms: i64,
    /// What kind: `joined`, `renewed`, `refused`, `revoked`, `token`, `issued`, `authority`, `reloaded`.
    pub event: String,
    /// Whose certificate or token it is about; empty if nobody's.
    pub who: String,
    /// Where they are; empty if on the hub's own machine.
    pub from: String,
    /// More, for people.
    pub what: String,
}

impl Entry {
    /// Something that happened at a moment.
    pub fn new(now: UnixMs, event: &str, who: &dyn std::fmt::Display) -> Self {
        Self {
            time_ms: now.0,
            event: event.to_owned(),
            who: who.to_string(),
            from: String::new(),
            what: String::new(),
        }
    }

    /// Where whoever it is about is.
    #[must_use]
    pub fn from(self, address: SocketAddr) -> Self {
        Self {
            from: address.to_string(),
            ..self
        }
    }

    /// More about it.
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

/// Lets so much pass at once and so much a second, and counts the rest. Pure.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    allowed: f64,
    at: Instant,
    withheld: u64,
}

impl Gate {
    /// One that is open.
    pub fn new(now: Instant) -> Self {
        Self {
            allowed: REFUSALS_AT_ONCE,
            at: now,
            withheld: 0,
        }
    }

    /// Whether something passes; then how much did not since the last that did.
    pub fn pass(&mut self, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.allowed = (self.allowed + passed).min(REFUSALS_AT_ONCE);
        if self.allowed < 1.0 {
            self.withheld += 1;
            return None;
        }
        self.allowed -= 1.0;
        Some(std::mem::take(&mut self.withheld))
    }
}

/// The two files of a hub.
#[derive(Debug)]
pub struct Audit {
    dir: PathBuf,
    gate: Mutex<Gate>,
}

impl Audit {
    /// The files in a state directory.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            gate: Mutex::new(Gate::new(Instant::now())),
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

    /// Notes something; that it cannot be is told in the log.
    pub fn note(&self, entry: &Entry) {
        if let Err(error) = write(&self.path(false), entry) {
            tracing::error!("cannot note in {}: {error}", self.path(false).display());
        }
    }

    /// Notes and logs that somebody was turned away, unless there were too many of late.
    pub fn refused(&self, entry: Entry) {
        let passed = {
            let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            gate.pass(Instant::now())
        };
        let Some(withheld) = passed else {
            return;
        };
        let more = match withheld {
            0 => String::new(),
            count => format!("; {count} more before, which are not told one by one"),
        };
        let at = match (entry.who.as_str(), entry.from.as_str()) {
            ("", from) => from.to_owned(),
            (who, from) => format!("{who} at {from}"),
        };
        tracing::warn!("refused {at}: {}{more}", entry.what);
        let what = format!("{}{more}", entry.what);
        if let Err(error) = write(&self.path(true), &entry.what(&what)) {
            tracing::error!("cannot note in {}: {error}", self.path(true).display());
        }
    }

    /// All that is noted since a moment, in that order.
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
                // A line that was cut short by a crash says nothing.
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
    let mut file = open(path)?;
    if file.metadata()?.len() > HALF_BYTES {
        fs::rename(path, older(path))?;
        file = open(path)?;
    }
    let line = serde_json::to_string(entry).map_err(io::Error::other)?;
    // One write, so that lines of two programs do not mix.
    file.write_all(format!("{line}\n").as_bytes())
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn who_knocks_all_day_is_told_once_a_second_and_counted() {
        let start = Instant::now();
        let mut gate = Gate::new(start);
        let passed = (0..1000).filter(|_| gate.pass(start).is_some()).count();
        assert_eq!(passed, 60);
        assert_eq!(gate.pass(start + Duration::from_millis(500)), None);
        assert_eq!(gate.pass(start + Duration::from_secs(1)), Some(941));
        assert_eq!(gate.pass(start + Duration::from_secs(9)), Some(0));
    }

    #[test]
    fn files_are_bounded_and_clean_and_read_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::new(dir.path());
        let address: SocketAddr = "10.0.0.1:5".parse().unwrap();
        let entry = |ms, event| Entry::new(UnixMs(ms), event, &"agent a").from(address);
        audit.refused(entry(2, "refused").what("a\x1b[2J\u{202e}b"));
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
        let many = (2 * HALF_BYTES / 300) as i64 + 100;
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
        assert!(size(audit.path(false)) <= HALF_BYTES + 1000);
        assert!(size(older(&audit.path(false))) <= HALF_BYTES + 1000);
        let read = audit.since(UnixMs(0)).unwrap();
        assert_eq!(read.last().unwrap().time_ms, 9 + many);
    }
}
