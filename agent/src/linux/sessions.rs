//! Logged-in users, and systemd units: those that failed or are being restarted, and those that are watched.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sysmon_clock::Clock;
use sysmon_wire::SeriesKey;
use sysmon_wire::metrics::{
    Metric, UNIT_ACTIVE, UNIT_MEMORY, UNIT_RESTARTS, UNITS_FAILED, UNITS_RESTARTING, USERS,
};

use super::background::{Background, Reading};
use super::child::{Bounds, output};
use super::{Context, Roots};
use crate::board::{Board, Slot};

/// Time between two runs of systemctl, which costs some milliseconds here and in systemd.
const UNITS_PERIOD: Duration = Duration::from_secs(60);

/// The same where units are watched.
const WATCHED_PERIOD: Duration = Duration::from_secs(20);

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

/// systemd units that failed or wait for a restart, and the `watched` ones, where systemd runs and systemctl reaches it.
pub(super) fn units(roots: &Roots, watched: &[String], clock: &Clock) -> Option<Background> {
    if !roots.are_usual() || !Path::new("/run/systemd/system").exists() {
        return None;
    }
    let (watched, clock) = (watched.join(" "), clock.clone());
    let period = match watched.is_empty() {
        true => UNITS_PERIOD,
        false => WATCHED_PERIOD,
    };
    let bounds = Bounds {
        time: Duration::from_secs(10),
        bytes: 256 << 10,
    };
    Some(Background::start("systemd", period, move || {
        // 127: without systemctl this source ends.
        let listed = match output(LIST, bounds, &[], &clock) {
            Err(problem) if problem.contains("127") => return None,
            listed => listed,
        };
        let mut reading = match listed {
            Ok(text) => failing(&String::from_utf8_lossy(&text)),
            Err(problem) => noted(&problem),
        };
        if !watched.is_empty() {
            // Their names have no character that means something to the shell.
            let show = format!("systemctl show --property={PROPERTIES} -- {watched}");
            match output(&show, bounds, &[], &clock) {
                Ok(text) => reading
                    .values
                    .extend(states(&String::from_utf8_lossy(&text))),
                Err(problem) => reading.notes.extend(noted(&problem).notes),
            }
        }
        Some(reading)
    }))
}

const LIST: &str =
    "systemctl list-units --state=failed,auto-restart --plain --no-legend --no-pager";

const PROPERTIES: &str = "Id,ActiveState,NRestarts,MemoryCurrent";

fn noted(problem: &str) -> Reading {
    Reading {
        notes: vec![format!("systemd units are not known: systemctl {problem}")],
        ..Reading::default()
    }
}

/// Parses properties of units, with an empty line between two.
fn states(text: &str) -> Vec<(SeriesKey, i64)> {
    let mut values = Vec::new();
    for unit in text.split("\n\n").take(UNITS_MAX) {
        let property = |name: &str| {
            let mut lines = unit.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        };
        let Some(name) = property("Id") else { continue };
        let of = [("systemd.unit.name", name)];
        // A unit that is being reloaded serves meanwhile.
        let is_active = matches!(
            property("ActiveState"),
            Some("active" | "reloading" | "refreshing")
        );
        values.push((UNIT_ACTIVE.series(&of), i64::from(is_active)));
        let number = |name: &str| property(name)?.parse::<i64>().ok();
        if let Some(restarts) = number("NRestarts") {
            values.push((UNIT_RESTARTS.series(&of), restarts));
        }
        if let Some(memory) = number("MemoryCurrent") {
            values.push((UNIT_MEMORY.series(&of), memory));
        }
    }
    values
}

/// Parses lines of `UNIT LOAD ACTIVE SUB DESCRIPTION`.
fn failing(text: &str) -> Reading {
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
    fn watched_units_have_a_state_restarts_and_memory() {
        let values = states(
            "NRestarts=3\nMemoryCurrent=4096\nId=nginx.service\nActiveState=active\n\n\
             Id=backup.timer\nActiveState=inactive\n\n\
             Id=x.service\nActiveState=reloading\nMemoryCurrent=[not set]\nNRestarts=0\n\nActiveState=active\n",
        );
        let shown: Vec<_> = values
            .iter()
            .map(|(key, value)| {
                (
                    key.metric.name.as_str(),
                    key.attributes[0].1.as_str(),
                    *value,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("systemd.unit.active", "nginx.service", 1),
                ("systemd.unit.restarts", "nginx.service", 3),
                ("systemd.unit.memory.usage", "nginx.service", 4096),
                ("systemd.unit.active", "backup.timer", 0),
                ("systemd.unit.active", "x.service", 1),
                ("systemd.unit.restarts", "x.service", 0),
            ]
        );
        assert!(states("").is_empty());
    }

    #[test]
    fn failing_units_are_counted_and_named() {
        let found = failing(
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
        assert_eq!(failing("").values.len(), 2);
    }
}
