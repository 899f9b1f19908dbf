//! Custom metrics: files in the Prometheus text format, and commands that print it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use sysmon_clock::Clock;

use super::background::{Background, Reading, SERIES_MAX};
use super::prometheus::parse;

const FILES_PERIOD: Duration = Duration::from_secs(10);

const FILES_MAX: usize = 64;
const BYTES_MAX: u64 = 1 << 20;

const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// Age past which a file is reported: its writer has probably stopped.
const STALE_AFTER: Duration = Duration::from_hours(24);

pub(super) fn files(dir: PathBuf, clock: Clock) -> Background {
    let mut reported: Vec<String> = Vec::new();
    Background::start("textfile", FILES_PERIOD, move || {
        Some(read_files(&dir, &clock, &mut reported))
    })
}

fn read_files(dir: &Path, clock: &Clock, reported: &mut Vec<String>) -> Reading {
    let mut reading = Reading::default();
    let mut notes = Vec::new();
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
                read_file(path, clock, &mut reading, &mut notes);
            }
        }
        Err(error) => notes.push(format!("cannot read {}: {error}", dir.display())),
    }
    // Each problem is reported once, and again if it returns.
    reading.notes = notes
        .iter()
        .filter(|note| !reported.contains(note))
        .cloned()
        .collect();
    *reported = notes;
    reading
}

fn read_file(path: &Path, clock: &Clock, reading: &mut Reading, notes: &mut Vec<String>) {
    let name = path.display();
    let mut text = Vec::new();
    // Opening a pipe would block until it has a writer.
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file);
    let Some(metadata) = metadata else {
        notes.push(format!("cannot read {name}: not a regular file"));
        return;
    };
    let read =
        fs::File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut text));
    if let Err(error) = read {
        notes.push(format!("cannot read {name}: {error}"));
        return;
    }
    if text.len() as u64 > BYTES_MAX {
        notes.push(format!("ignored {name}: larger than {BYTES_MAX} bytes"));
        return;
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
    parse_into(&name.to_string(), &text, reading, notes);
}

fn parse_into(name: &str, text: &[u8], reading: &mut Reading, notes: &mut Vec<String>) {
    let text = String::from_utf8_lossy(text);
    let (values, bad) = parse(&text, SERIES_MAX.saturating_sub(reading.values.len()));
    reading.values.extend(values);
    if let Some(bad) = bad {
        notes.push(format!("{name}, line {}: {}", bad.line, bad.reason));
    }
}

/// A command that prints metrics, run by the shell every `period`.
pub(super) fn command(command: String, period: Duration, clock: Clock) -> Background {
    let mut reported = None;
    Background::start("command", period, move || {
        let mut reading = Reading::default();
        let mut notes = Vec::new();
        match output(&command, &clock) {
            Ok(text) => parse_into(&command, &text, &mut reading, &mut notes),
            Err(reason) => notes.push(format!("command `{command}`: {reason}")),
        }
        let note = notes.into_iter().next();
        if note != reported {
            reading.notes.extend(note.clone());
            reported = note;
        }
        Some(reading)
    })
}

fn output(command: &str, clock: &Clock) -> Result<Vec<u8>, String> {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    {
        use std::os::unix::process::CommandExt;
        // A process group of its own, so that its children can be killed with it.
        shell.process_group(0);
    }
    let mut child = shell
        .spawn()
        .map_err(|error| format!("cannot start: {error}"))?;
    let Some(stdout) = child.stdout.take() else {
        return Err("no output".to_owned());
    };
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        let read = stdout.take(BYTES_MAX).read_to_end(&mut text);
        read.map(|_| text)
    });
    let start = clock.instant();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if clock.instant() - start < COMMAND_TIMEOUT => {
                thread::sleep(Duration::from_millis(20));
            }
            _ => {
                kill_group(&mut child);
                let limit_s = COMMAND_TIMEOUT.as_secs();
                return Err(format!("killed: it ran for more than {limit_s} s"));
            }
        }
    };
    kill_group(&mut child);
    if !status.success() {
        return Err(format!("failed: {status}"));
    }
    match reader.join() {
        Ok(Ok(text)) => Ok(text),
        _ => Err("cannot read its output".to_owned()),
    }
}

fn kill_group(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_their_problems_reported_once() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("a.prom", "good 1\n\u{1b}[31mbad\n");
        write("b.txt", "not_read 1\n");
        let (clock, mut reported) = (Clock::system(), Vec::new());
        let mut read = |dir: &Path| read_files(dir, &clock, &mut reported);
        let Reading { values, notes } = read(dir.path());
        assert_eq!(values.len(), 1);
        assert!(notes[0].contains("a.prom, line 2"), "{notes:?}");
        assert!(read(dir.path()).notes.is_empty());
        let missing = read(&dir.path().join("none"));
        assert!(missing.notes[0].contains("cannot read"));
    }

    #[test]
    fn failed_commands_are_reported_and_their_children_killed() {
        let clock = Clock::system();
        assert_eq!(output("echo x 1", &clock).unwrap(), b"x 1\n");
        assert!(output("exit 3", &clock).unwrap_err().contains("failed"));
        // The child in the background would keep the pipe open for longer than a test may run.
        assert!(output("sleep 3600 & echo y 2", &clock).is_ok());
    }
}
