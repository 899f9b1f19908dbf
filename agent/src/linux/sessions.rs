//! Who is logged in, and which systemd units failed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sysmon_wire::metrics::{UNITS_FAILED, USERS};

use super::Context;
use super::background::{Background, Found};
use crate::board::{Board, Slot};

/// How often systemd is asked: a question costs it and us some milliseconds.
const UNITS_PERIOD: Duration = Duration::from_secs(60);

/// Failed units that are named.
const UNITS_MAX: usize = 64;

/// Sessions of systemd-logind, one file each.
const SESSIONS: &str = "/run/systemd/sessions";

/// Bytes of a record of utmp(5) on Linux, where its type stands, and the type of a login.
const UTMP_RECORD: usize = 384;
const UTMP_USER_PROCESS: u8 = 7;

/// How many users are logged in.
#[derive(Debug)]
pub(super) struct Sessions {
    folder: PathBuf,
    utmp: PathBuf,
    slot: Slot,
}

impl Sessions {
    pub(super) fn new(board: &mut Board) -> Self {
        Self {
            folder: SESSIONS.into(),
            utmp: "/run/utmp".into(),
            slot: board.slot(USERS.series(&[])),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        context.board.set(self.slot, self.count() as i64);
    }

    fn count(&self) -> usize {
        if let Ok(entries) = std::fs::read_dir(&self.folder) {
            // Beside each session may stand a pipe "N.ref".
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

/// Units of systemd that failed, where systemd runs.
pub(super) fn failed_units() -> Option<Background> {
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    Some(Background::start("systemd", UNITS_PERIOD, || {
        let list = [
            "list-units",
            "--failed",
            "--plain",
            "--no-legend",
            "--no-pager",
        ];
        let asked = Command::new("systemctl")
            .args(list)
            .stdin(Stdio::null())
            .output();
        // Where there is no such command, it is not asked again.
        let text = asked.ok()?.stdout;
        Some(units(&String::from_utf8_lossy(&text)))
    }))
}

fn units(text: &str) -> Found {
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let count = (UNITS_FAILED.series(&[]), names.len() as i64);
    let named = names.iter().take(UNITS_MAX);
    let named = named.map(|name| (UNITS_FAILED.series(&[("systemd.unit.name", name)]), 1));
    Found {
        values: std::iter::once(count).chain(named).collect(),
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_counted_either_way() {
        let dir = tempfile::tempdir().unwrap();
        let mut board = Board::new();
        let mut sessions = Sessions::new(&mut board);
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
    fn failed_units_are_counted_and_named() {
        let found = units(
            "nginx.service loaded failed failed A web server\nx.timer loaded failed failed\n",
        );
        assert_eq!(found.values[0].1, 2);
        assert_eq!(
            found.values[1]
                .0
                .attribute("systemd.unit.name")
                .unwrap()
                .as_str(),
            "nginx.service"
        );
        assert_eq!(units("").values.len(), 1);
    }
}
