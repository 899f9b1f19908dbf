//! Your own metrics: files in Prometheus's text format, and commands that print it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::background::{Background, Found, SERIES_MAX};
use super::prometheus::parse;

/// How often the files are read.
const FILES_PERIOD: Duration = Duration::from_secs(10);

/// Files read, and bytes of each file or of what a command prints.
const FILES_MAX: usize = 64;
const BYTES_MAX: u64 = 1 << 20;

/// How long a command may take.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10);

/// A file that has not changed for this long is told of: what writes it has probably stopped.
const STALE: Duration = Duration::from_hours(24);

/// The `*.prom` files of a directory.
pub(super) fn files(dir: PathBuf) -> Background {
    let mut told: Vec<String> = Vec::new();
    Background::start("textfile", FILES_PERIOD, move || {
        Some(read_files(&dir, &mut told))
    })
}

fn read_files(dir: &Path, told: &mut Vec<String>) -> Found {
    let mut found = Found::default();
    let mut notes = Vec::new();
    match fs::read_dir(dir) {
        Ok(entries) => {
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.retain(|path| path.extension().is_some_and(|e| e == "prom"));
            paths.sort();
            if paths.len() > FILES_MAX {
                notes.push(format!(
                    "only {FILES_MAX} files of {} are read",
                    dir.display()
                ));
            }
            for path in paths.iter().take(FILES_MAX) {
                read_file(path, &mut found, &mut notes);
            }
        }
        Err(error) => notes.push(format!("{} cannot be read: {error}", dir.display())),
    }
    // Each trouble is told once, and again after it was gone.
    found.notes = notes
        .iter()
        .filter(|note| !told.contains(note))
        .cloned()
        .collect();
    *told = notes;
    found
}

fn read_file(path: &Path, found: &mut Found, notes: &mut Vec<String>) {
    let name = path.display();
    let mut text = Vec::new();
    // A pipe would wait for a writer for ever.
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file);
    let Some(metadata) = metadata else {
        notes.push(format!("{name} is not a file"));
        return;
    };
    let read =
        fs::File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut text));
    if let Err(error) = read {
        notes.push(format!("{name} cannot be read: {error}"));
        return;
    }
    if text.len() as u64 > BYTES_MAX {
        notes.push(format!("{name} is over the limit of {BYTES_MAX} bytes"));
        return;
    }
    let age = metadata
        .modified()
        .ok()
        .and_then(|time| time.elapsed().ok());
    if age.is_some_and(|age| age > STALE) {
        notes.push(format!("{name} has not changed for more than a day"));
    }
    take(&name.to_string(), &text, found, notes);
}

fn take(name: &str, text: &[u8], found: &mut Found, notes: &mut Vec<String>) {
    let text = String::from_utf8_lossy(text);
    let (values, bad) = parse(&text, SERIES_MAX.saturating_sub(found.values.len()));
    found.values.extend(values);
    if let Some(bad) = bad {
        notes.push(format!("{name}, line {}: {}", bad.line, bad.why));
    }
}

/// A command that prints metrics, run through the shell every `period`.
pub(super) fn command(command: String, period: Duration) -> Background {
    let mut told = None;
    Background::start("command", period, move || {
        let mut found = Found::default();
        let mut notes = Vec::new();
        match output(&command) {
            Ok(text) => take(&command, &text, &mut found, &mut notes),
            Err(why) => notes.push(format!("`{command}` {why}")),
        }
        let note = notes.into_iter().next();
        if note != told {
            found.notes.extend(note.clone());
            told = note;
        }
        Some(found)
    })
}

fn output(command: &str) -> Result<Vec<u8>, String> {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    {
        use std::os::unix::process::CommandExt;
        // A group of its own, so that what it starts can be ended with it.
        shell.process_group(0);
    }
    let mut child = shell
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let Some(stdout) = child.stdout.take() else {
        return Err("has no output".to_owned());
    };
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        let read = stdout.take(BYTES_MAX).read_to_end(&mut text);
        read.map(|_| text)
    });
    let start = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if start.elapsed() < COMMAND_TIME_MAX => {
                thread::sleep(Duration::from_millis(20));
            }
            _ => {
                end(&mut child);
                return Err(format!("took longer than {} s", COMMAND_TIME_MAX.as_secs()));
            }
        }
    };
    end(&mut child);
    if !status.success() {
        return Err(format!("failed: {status}"));
    }
    match reader.join() {
        Ok(Ok(text)) => Ok(text),
        _ => Err("has no output that can be read".to_owned()),
    }
}

/// Ends a command with all it started.
fn end(child: &mut Child) {
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
    fn files_are_read_and_their_faults_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("a.prom", "good 1\n\u{1b}[31mbad\n");
        write("b.txt", "not_read 1\n");
        let mut told = Vec::new();
        let found = read_files(dir.path(), &mut told);
        assert_eq!(found.values.len(), 1);
        assert!(
            found.notes[0].contains("a.prom, line 2"),
            "{:?}",
            found.notes
        );
        assert!(read_files(dir.path(), &mut told).notes.is_empty());
        let gone = read_files(&dir.path().join("none"), &mut told);
        assert!(gone.notes[0].contains("cannot be read"));
    }

    #[test]
    fn commands_that_fail_or_hang_are_told_and_ended() {
        assert_eq!(output("echo x 1").unwrap(), b"x 1\n");
        assert!(output("exit 3").unwrap_err().contains("failed"));
        // What is left running in the background does not keep us waiting.
        let start = Instant::now();
        assert!(output("sleep 100 & echo y 2").is_ok());
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
