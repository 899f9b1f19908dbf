//! Health of disks, from the file that `sysmon-agent smart` writes as root.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, Mode, OFlags};
use sysmon_wire::metrics::{
    DISK_HEALTH_FAILING, DISK_HEALTH_INTERFACE_ERRORS, DISK_HEALTH_PENDING, DISK_HEALTH_POWER_ON,
    DISK_HEALTH_REALLOCATED, DISK_HEALTH_SELF_TEST, DISK_HEALTH_SPARE, DISK_HEALTH_TEMPERATURE,
    DISK_HEALTH_UNCORRECTABLE, DISK_HEALTH_WEAR, Metric,
};
use sysmon_wire::{Label, UnixMs};

use super::{Context, Roots};
use crate::present::PresentSeries;
use crate::smart::{Disk, FILE, Report};

/// Where the unit `sysmon-smart` writes.
const FOLDER: &str = "/var/lib/sysmon-smart";

const BYTES_MAX: u64 = 256 << 10;

/// The timer runs every half hour.
const STALE_AFTER: Duration = Duration::from_hours(2);

const DISKS_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct DiskHealth {
    path: PathBuf,
    changed: Option<SystemTime>,
    series: PresentSeries,
    report: Report,
    /// Why the file is not used.
    problem: Option<String>,
}

impl DiskHealth {
    pub(super) fn new(roots: &Roots) -> Self {
        Self {
            path: roots.host_file(FOLDER).join(FILE),
            changed: None,
            series: PresentSeries::default(),
            report: Report::default(),
            problem: None,
        }
    }

    /// Reads the file if it has changed; without it, nothing is known and nothing is missing.
    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        let changed = std::fs::symlink_metadata(&self.path);
        let changed = changed.and_then(|metadata| metadata.modified()).ok();
        if changed == self.changed {
            return;
        }
        self.changed = changed;
        (self.report, self.problem) = match changed.map(|_| read(&self.path)) {
            Some(Ok(report)) => (report, None),
            Some(Err(problem)) => (Report::default(), Some(problem)),
            None => (Report::default(), None),
        };
        for disk in self.report.disks.iter().take(DISKS_MAX) {
            let name = Label::new(&disk.name);
            let of = [("system.device", name.as_str())];
            for (metric, value) in values(disk) {
                if let Some(value) = value {
                    self.series.set(context.board, metric.series(&of), value);
                }
            }
        }
        self.series.release_others(context.board);
    }

    pub(super) fn notes(&self, now: UnixMs) -> impl Iterator<Item = String> + '_ {
        let age_ms = now.0.saturating_sub(self.report.time_ms);
        let stale_ms = i64::try_from(STALE_AFTER.as_millis()).unwrap_or(i64::MAX);
        let is_stale = self.report.time_ms > 0 && age_ms > stale_ms;
        let stale = is_stale.then(|| {
            "the health of disks is older than two hours: see systemctl status sysmon-smart.timer"
                .to_owned()
        });
        let told = self.report.problems.iter().take(8);
        let told = told.map(|problem| format!("disk health: {problem}"));
        self.problem.clone().into_iter().chain(stale).chain(told)
    }
}

/// Whether a program of another user than root or this one could have written it.
fn is_foreign(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = metadata.uid();
    owner != 0 && owner != rustix::process::geteuid().as_raw()
}

fn read(path: &Path) -> Result<Report, String> {
    let shown = path.display();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty()).map(File::from);
    let file = file.map_err(|error| format!("cannot read {shown}: {error}"))?;
    let metadata = file.metadata().ok().filter(Metadata::is_file);
    let metadata = metadata.ok_or_else(|| format!("ignored {shown}: it is not a regular file"))?;
    if is_foreign(&metadata) {
        return Err(format!("ignored {shown}: it does not belong to root"));
    }
    let mut text = Vec::new();
    let read = file.take(BYTES_MAX + 1).read_to_end(&mut text);
    read.map_err(|error| format!("cannot read {shown}: {error}"))?;
    if text.len() as u64 > BYTES_MAX {
        return Err(format!("ignored {shown}: larger than {BYTES_MAX} bytes"));
    }
    serde_json::from_slice(&text).map_err(|error| format!("ignored {shown}: {error}"))
}

fn values(disk: &Disk) -> [(Metric, Option<i64>); 10] {
    let count = |count: Option<u64>| count.and_then(|count| i64::try_from(count).ok());
    let hours = |hours: Option<u64>| count(hours).and_then(|hours| hours.checked_mul(3600));
    [
        (DISK_HEALTH_FAILING, disk.is_failing.map(i64::from)),
        (DISK_HEALTH_SELF_TEST, disk.has_failed_test.map(i64::from)),
        (
            DISK_HEALTH_TEMPERATURE,
            disk.temperature.and_then(|t| t.checked_mul(1000)),
        ),
        (DISK_HEALTH_WEAR, disk.wear),
        (DISK_HEALTH_SPARE, disk.spare),
        (DISK_HEALTH_REALLOCATED, count(disk.reallocated)),
        (DISK_HEALTH_PENDING, count(disk.pending)),
        (DISK_HEALTH_UNCORRECTABLE, count(disk.uncorrectable)),
        (DISK_HEALTH_INTERFACE_ERRORS, count(disk.interface_errors)),
        (DISK_HEALTH_POWER_ON, hours(disk.power_on_hours)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Board;
    use crate::linux::ReadBuffer;
    use crate::linux::testing::value;
    use sysmon_wire::ABSENT;

    fn collect(health: &mut DiskHealth, board: &mut Board) {
        health.changed = None;
        health.collect(&mut Context {
            board,
            buffer: &mut ReadBuffer::default(),
            now: UnixMs(0),
        });
    }

    #[test]
    fn the_file_is_read_while_it_is_there_and_its_faults_are_noted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("health.json");
        let mut health = DiskHealth {
            path: path.clone(),
            ..DiskHealth::new(&Roots::default())
        };
        let mut board = Board::new();
        collect(&mut health, &mut board);
        assert_eq!((board.series(), health.notes(UnixMs(0)).count()), (0, 0));
        let report = r#"{"time_ms":1000,"problems":["sdb: no"],"disks":[
            {"name":"sda","is_failing":false,"wear":120,"pending":3,"power_on_hours":2,"temperature":41},
            {"name":"a\u001b[2J","wear":5}], "unknown": 7}"#;
        std::fs::write(&path, report).unwrap();
        collect(&mut health, &mut board);
        let of = |board: &Board, metric: &str| value(board, metric, &["sda"]);
        assert_eq!(of(&board, "hw.physical_disk.failing"), 0);
        assert_eq!(of(&board, "hw.physical_disk.wear"), 120);
        assert_eq!(of(&board, "hw.physical_disk.power_on.time"), 7200);
        assert_eq!(of(&board, "hw.physical_disk.temperature"), 41_000);
        assert_eq!(of(&board, "hw.physical_disk.spare"), ABSENT);
        let notes: Vec<_> = health.notes(UnixMs(8_000_000)).collect();
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].contains("older than two hours") && notes[1].ends_with("sdb: no"));
        for wrong in ["", "[1", "7", "{\"disks\":7}"] {
            std::fs::write(&path, wrong).unwrap();
            collect(&mut health, &mut board);
            assert_eq!(health.notes(UnixMs(0)).count(), 1, "{wrong}");
            assert_eq!(of(&board, "hw.physical_disk.wear"), ABSENT);
        }
        std::fs::write(&path, " ".repeat(300 << 10)).unwrap();
        collect(&mut health, &mut board);
        assert!(health.notes(UnixMs(0)).next().unwrap().contains("larger"));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        collect(&mut health, &mut board);
        assert!(
            health
                .notes(UnixMs(0))
                .next()
                .unwrap()
                .contains("cannot read")
        );
    }
}
