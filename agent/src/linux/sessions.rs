//! Logged-in users, and systemd units that failed or are being restarted.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sysmon_wire::metrics::{Metric, UNITS_FAILED, UNITS_RESTARTING, USERS};

use super::background::{Background, Reading};
use super::{Context, Roots};
use crate::board::{Board, Slot};

/// Time between two runs of systemctl, which costs some milliseconds here and in systemd.
const UNITS_PERIOD: Duration = Duration::from_secs(60);

const UNITS_MAX: usize = 64;

/// One file per session of systemd-logind.
const SESSIONS: &str = "/run/systemd/sessions";

/// Bytes of a utmp(5) record on Linux, and its first byte for a login.
const UTMP_RECORD: usize = 384;
const UTMP_USER_PROCESS: u8 = 7;

#[derive(Debug)]
pub(super) struct Sessions {
    folder: PathBuf,
    utmp: PathBuf,
    slot: Slot,
}

impl Sessions {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        Self {
            folder: roots.host_file(SESSIONS),
            utmp: roots.host_file("/run/utmp"),
            slot: board.slot(USERS.series(&[])),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        context.board.set(self.slot, self.count() as i64);
    }

    fn count(&self) -> usize {
        if let Ok(entries) = std::fs::read_dir(&self.folder) {
            // Sessions may also have a pipe, "N.ref".
            let names = entries.flatten().map(|entry| entry.file_name());
            return names
                .filter(|name| !name.to_string_lossy().contains('.'))
                .count();
        }
        let records = std::fs::read(&self.utmp).unwrap_or_default();
        let logins = records.chunks_exact(UTMP_RECORD);
        logins
            .filter(|record| record.first() == Some(&UTMP_USER_PROCESS))
            .count()
    }
}

/// systemd units that failed or wait for a restart, where systemd runs and systemctl reaches it.
pub(super) fn failing_units(roots: &Roots) -> Option<Background> {
    if !roots.are_usual() || !Path::new("/run/systemd/system").exists() {
        return None;
    }
    Some(Background::start("systemd", UNITS_PERIOD, || {
        let list = [
            "list-units",
            "--state=failed,auto-restart",
            "--plain",
            "--no-legend",
            "--no-pager",
        ];
        let output = Command::new("systemctl")
            .args(list)
            .stdin(Stdio::null())
            .output();
        // Without systemctl this source ends.
        let text = output.ok()?.stdout;
        Some(units(&String::from_utf8_lossy(&text)))
    }))
}

/// Parses lines of `UNIT LOAD ACTIVE SUB DESCRIPTION`.
fn units(text: &str) -> Reading {
    let in_state = |metric: Metric, sub: &str| {
        let names = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            (words.nth(2) == Some(sub)).then_some(name)
        });
        let names: Vec<_> = names.collect();
        let count = (metric.series(&[]), names.len() as i64);
        let named = names.into_iter().take(UNITS_MAX);
        let named = named.map(|name| (metric.series(&[("systemd.unit.name", name)]), 1));
        std::iter::once(count).chain(named).collect::<Vec<_>>()
    };
    let mut values = in_state(UNITS_FAILED, "failed");
    values.extend(in_state(UNITS_RESTARTING, "auto-restart"));
    Reading {
        values,
        ..Reading::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_counted_from_logind_or_utmp() {
        let dir = tempfile::tempdir().unwrap();
        let mut board = Board::new();
        let mut sessions = Sessions::new(&Roots::default(), &mut board);
        sessions.folder = dir.path().join("none");
        sessions.utmp = dir.path().join("utmp");
        let mut records = vec![0; UTMP_RECORD * 3];
        records[0] = UTMP_USER_PROCESS;
        records[UTMP_RECORD] = 2;
        std::fs::write(&sessions.utmp, &records).unwrap();
        assert_eq!(sessions.count(), 1);
        std::fs::create_dir(&sessions.folder).unwrap();
        for name in ["1", "1.ref", "c2"] {
            std::fs::write(sessions.folder.join(name), "").unwrap();
        }
        assert_eq!(sessions.count(), 2);
    }

    #[test]
    fn failing_units_are_counted_and_named() {
        let found = units(
            "nginx.service loaded failed failed A web server\n\
             app.service loaded activating auto-restart An application\n\
             x.timer loaded failed failed\n",
        );
        let of = |metric: Metric, unit: &[(&str, &str)]| {
            let key = metric.series(unit);
            found
                .values
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, value)| *value)
        };
        assert_eq!(
            (of(UNITS_FAILED, &[]), of(UNITS_RESTARTING, &[])),
            (Some(2), Some(1))
        );
        assert_eq!(
            of(UNITS_FAILED, &[("systemd.unit.name", "nginx.service")]),
            Some(1)
        );
        assert_eq!(
            of(UNITS_RESTARTING, &[("systemd.unit.name", "app.service")]),
            Some(1)
        );
        assert_eq!(units("").values.len(), 2);
    }
}
