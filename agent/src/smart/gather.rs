//! Asks `smartctl` about every disk, and replaces the file of their health. Runs as root.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sysmon_clock::Clock;
use thiserror::Error;

use super::parse::{Device, Found, disk, scan};
use super::report::{Disk, FILE, Report};
use crate::linux::{Bounds, output};

const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(30),
    bytes: 1 << 20,
};

/// A problem, cut to a length that fits into a note.
const PROBLEM_CHARACTERS: usize = 160;

/// What a sleeping disk said last is shown for so long.
const REMEMBERED_MS: i64 = 7 * 86_400_000;

/// The file cannot be replaced.
#[derive(Debug, Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct SmartError {
    path: PathBuf,
    source: std::io::Error,
}

/// Asks `smartctl`, a program or its path, about every disk and writes the report into `dir`, which is returned too.
///
/// # Errors
/// The file cannot be written.
pub fn gather(dir: &Path, smartctl: &str, clock: &Clock) -> Result<Report, SmartError> {
    let earlier = fs::read(dir.join(FILE)).unwrap_or_default();
    let earlier: Report = serde_json::from_slice(&earlier).unwrap_or_default();
    let report = ask_all(smartctl, &earlier.disks, clock);
    let failed = |source| SmartError {
        path: dir.to_owned(),
        source,
    };
    replace(dir, &report).map_err(failed)?;
    Ok(report)
}

fn run(smartctl: &str, arguments: &str, clock: &Clock) -> Result<Vec<u8>, String> {
    // Every bit of the exit status says something of the disk, not of the run; 127 is a missing program.
    let accepted: Vec<i32> = (1..=255).filter(|code| *code != 127).collect();
    let run = output(&format!("{smartctl} {arguments}"), BOUNDS, &accepted, clock);
    run.map_err(|problem| match problem.contains("127") {
        true => format!("{smartctl} is missing: install smartmontools"),
        false => problem,
    })
}

fn ask_all(smartctl: &str, earlier: &[Disk], clock: &Clock) -> Report {
    let mut report = Report {
        time_ms: clock.now().0,
        ..Report::default()
    };
    let scanned = run(smartctl, "--json --scan-open", clock);
    let devices = scanned.and_then(|output| scan(&output));
    let devices = devices.unwrap_or_else(|problem| {
        report.problems.push(problem);
        Vec::new()
    });
    for device in &devices {
        match ask(smartctl, device, clock) {
            Found::Disk(disk) => report.disks.push(*disk),
            Found::Asleep => report.disks.extend(remembered(earlier, device, clock)),
            Found::Nothing(problem) => {
                let problem: String = problem.chars().take(PROBLEM_CHARACTERS).collect();
                report
                    .problems
                    .push(format!("{}: {problem}", device.name()));
            }
        }
    }
    report
}

fn ask(smartctl: &str, device: &Device, clock: &Clock) -> Found {
    // Neither has a character that means something to the shell.
    let Device { path, kind } = device;
    // A disk that sleeps stays asleep.
    let arguments = format!("--json --all -n standby -d {kind} {path}");
    match run(smartctl, &arguments, clock) {
        Ok(output) => disk(&output, device, clock.now().0),
        Err(problem) => Found::Nothing(problem),
    }
}

/// What a disk that sleeps now said last.
fn remembered(earlier: &[Disk], device: &Device, clock: &Clock) -> Option<Disk> {
    let name = device.name();
    let known = earlier.iter().find(|disk| disk.name == name)?;
    let age_ms = clock.now().0 - known.time_ms;
    (age_ms < REMEMBERED_MS).then(|| known.clone())
}

/// Replaces the file, so that the agent never reads half of one. Everybody may read it.
fn replace(dir: &Path, report: &Report) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    let (new, path) = (dir.join("health.new"), dir.join(FILE));
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&new)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    let text = serde_json::to_string_pretty(report)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program in the place of smartctl that prints recorded answers.
    fn smartctl(dir: &Path, script: &str) -> String {
        let path = dir.join("smartctl");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    const SCAN: &str = r#"case "$*" in *scan*) echo '{"devices":[{"name":"/dev/sda","type":"sat"}]}'; exit 0;; esac"#;

    #[test]
    fn a_disk_is_asked_and_a_sleeping_one_keeps_what_it_said() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let clock = Clock::system();
        let answer = r#"echo '{"smart_status":{"passed":true},"power_on_time":{"hours":7},"serial_number":"SECRET"}'; exit 4"#;
        let program = smartctl(dir.path(), &format!("{SCAN}\n{answer}"));
        let report = gather(&out, &program, &clock).unwrap();
        assert_eq!(
            (report.disks.len(), report.disks[0].power_on_hours),
            (1, Some(7))
        );
        let text = fs::read_to_string(out.join(FILE)).unwrap();
        assert!(!text.contains("SECRET"), "{text}");
        let mode = fs::metadata(out.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);

        let asleep = r#"case "$*" in *"-n standby"*) ;; *) echo woken >&2; exit 9;; esac
            echo '{"smartctl":{"exit_status":2,"messages":[{"string":"Device is in STANDBY mode, exit(2)","severity":"information"}]}}'; exit 2"#;
        let program = smartctl(dir.path(), &format!("{SCAN}\n{asleep}"));
        let report = gather(&out, &program, &clock).unwrap();
        assert_eq!(
            (report.disks.len(), report.disks[0].power_on_hours),
            (1, Some(7))
        );
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }

    #[test]
    fn a_missing_or_old_smartctl_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let report = gather(&dir.path().join("a"), "/nonexistent/smartctl", &clock).unwrap();
        assert!(
            report.problems[0].contains("install smartmontools"),
            "{:?}",
            report.problems
        );
        let old = smartctl(
            dir.path(),
            "echo 'smartctl 6.6: invalid option --json'; exit 1",
        );
        let report = gather(&dir.path().join("b"), &old, &clock).unwrap();
        assert!(
            report.problems[0].contains("older than 7.0"),
            "{:?}",
            report.problems
        );
    }
}
