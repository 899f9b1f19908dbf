//! Custom metrics: files in the Prometheus text format, and commands that print it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use sysmon_clock::Clock;

use super::background::{Background, Reading, SERIES_MAX};
use super::child::{self, drop_inheritable_capabilities};
use super::prometheus::{CustomSample, parse};
use super::scales::Scales;

const FILES_PERIOD: Duration = Duration::from_secs(10);

const FILES_MAX: usize = 64;
const BYTES_MAX: u64 = 1 << 20;

const COMMAND: child::Bounds = child::Bounds {
    time: Duration::from_secs(10),
    bytes: BYTES_MAX,
};

/// Age past which a file is reported: its writer has probably stopped.
const STALE_AFTER: Duration = Duration::from_hours(24);

pub(super) fn files(dir: PathBuf, clock: Clock) -> Background {
    let mut scales = Scales::default();
    Background::start("textfile", FILES_PERIOD, move || {
        Some(read_files(&dir, &clock, &mut scales))
    })
}

fn read_files(dir: &Path, clock: &Clock, scales: &mut Scales) -> Reading {
    let (mut samples, mut notes, mut left_out) = (Vec::new(), Vec::new(), 0);
    match fs::read_dir(dir) {
        Ok(entries) => {
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.retain(|path| path.extension().is_some_and(|e| e == "prom"));
            paths.sort();
            if paths.len() > FILES_MAX {
                notes.push(format!(
                    "{} has more than {FILES_MAX} files; the others are ignored",
                    dir.display()
                ));
            }
            for path in paths.iter().take(FILES_MAX) {
                left_out += read_file(path, clock, &mut samples, &mut notes);
            }
        }
        Err(error) => notes.push(format!("cannot read {}: {error}", dir.display())),
    }
    store(&samples, left_out, notes, scales)
}

fn store(
    samples: &[CustomSample],
    left_out: usize,
    mut notes: Vec<String>,
    scales: &mut Scales,
) -> Reading {
    let (values, lost) = scales.store(samples);
    notes.extend(lost);
    Reading {
        values,
        notes,
        left_out,
    }
}

/// Adds the metrics of a file; returns how many are beyond the limit.
fn read_file(
    path: &Path,
    clock: &Clock,
    samples: &mut Vec<CustomSample>,
    notes: &mut Vec<String>,
) -> usize {
    let name = path.display();
    let file = match open(path) {
        Ok(file) => file,
        Err(Errno::LOOP) => {
            notes.push(format!(
                "ignored {name}: it is a symbolic link, and the agent may read more than its writer; write a regular file"
            ));
            return 0;
        }
        Err(error) => {
            notes.push(format!("cannot read {name}: {error}"));
            return 0;
        }
    };
    let metadata = file.metadata().ok().filter(fs::Metadata::is_file);
    let Some(metadata) = metadata else {
        notes.push(format!("cannot read {name}: not a regular file"));
        return 0;
    };
    let mut text = Vec::new();
    if let Err(error) = file.take(BYTES_MAX + 1).read_to_end(&mut text) {
        notes.push(format!("cannot read {name}: {error}"));
        return 0;
    }
    if text.len() as u64 > BYTES_MAX {
        notes.push(format!("ignored {name}: larger than {BYTES_MAX} bytes"));
        return 0;
    }
    let age = metadata
        .modified()
        .ok()
        .and_then(|time| clock.system_time().duration_since(time).ok());
    if age.is_some_and(|age| age > STALE_AFTER) {
        notes.push(format!(
            "{name} was last changed more than a day ago; check its writer"
        ));
    }
    parse_into(&name.to_string(), &text, samples, notes)
}

/// Opens a file without following a link that the owner of the directory may have placed, and without waiting for the
/// writer of a pipe.
fn open(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map(File::from)
}

/// Adds the metrics of a text; returns how many are beyond the limit.
fn parse_into(
    name: &str,
    text: &[u8],
    samples: &mut Vec<CustomSample>,
    notes: &mut Vec<String>,
) -> usize {
    let text = String::from_utf8_lossy(text);
    let parsed = parse(&text, SERIES_MAX.saturating_sub(samples.len()));
    samples.extend(parsed.samples);
    if let Some(bad) = parsed.bad {
        notes.push(format!("{name}, line {}: {}", bad.line, bad.reason));
    }
    if parsed.left_out > 0 {
        let count = parsed.left_out;
        notes.push(format!(
            "{name}: {count} metrics left out, because a source has at most {SERIES_MAX}"
        ));
    }
    parsed.left_out
}

/// A command that prints metrics, run by the shell every `period`.
pub(super) fn command(command: String, period: Duration, clock: Clock) -> Background {
    let mut scales = Scales::default();
    let mut is_unprivileged = false;
    Background::start("command", period, move || {
        if !is_unprivileged {
            // Of this thread, from which the command inherits what it may do.
            if let Err(error) = drop_inheritable_capabilities() {
                let reason =
                    format!("not run, because its capabilities cannot be dropped: {error}");
                return Some(problem(&command, &reason));
            }
            is_unprivileged = true;
        }
        let (mut samples, mut notes) = (Vec::new(), Vec::new());
        let left_out = match child::output(&command, COMMAND, &[], &clock) {
            Ok(text) => parse_into(&command, &text, &mut samples, &mut notes),
            Err(reason) => return Some(problem(&command, &reason)),
        };
        Some(store(&samples, left_out, notes, &mut scales))
    })
}

fn problem(command: &str, reason: &str) -> Reading {
    Reading {
        notes: vec![format!("command `{command}`: {reason}")],
        ..Reading::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_their_problems_reported_while_they_last() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("a.prom", "good 1\n\u{1b}[31mbad\n");
        write("b.txt", "not_read 1\n");
        let clock = Clock::system();
        let read = |dir: &Path| read_files(dir, &clock, &mut Scales::default());
        let Reading { values, notes, .. } = read(dir.path());
        assert_eq!(values.len(), 1);
        assert!(notes[0].contains("a.prom, line 2"), "{notes:?}");
        write("a.prom", "good 1\n");
        assert!(read(dir.path()).notes.is_empty());
        let many: String = (0..SERIES_MAX + 3)
            .map(|n| format!("many{{n=\"{n}\"}} 1\n"))
            .collect();
        write("b.prom", &many);
        let reading = read(dir.path());
        assert_eq!((reading.values.len(), reading.left_out), (SERIES_MAX, 4));
        assert!(
            reading.notes[0].contains("b.prom: 4 metrics left out"),
            "{:?}",
            reading.notes
        );
        let missing = read(&dir.path().join("none"));
        assert!(missing.notes[0].contains("cannot read"));
    }

    #[test]
    fn links_and_pipes_in_the_directory_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        fs::write(&secret, "secret 1\n").unwrap();
        std::os::unix::fs::symlink(&secret, dir.path().join("a.prom")).unwrap();
        let pipe = dir.path().join("b.prom");
        rustix::fs::mknodat(
            CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let reading = read_files(dir.path(), &Clock::system(), &mut Scales::default());
        assert!(reading.values.is_empty());
        let notes = reading.notes.join("\n");
        assert!(notes.contains("a.prom: it is a symbolic link"), "{notes}");
        assert!(notes.contains("b.prom: not a regular file"), "{notes}");
    }
}
