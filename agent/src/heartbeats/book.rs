//! Which heartbeats there are, and when each was heard. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sysmon_config::time::format_span;
use sysmon_wire::UnixMs;
use sysmon_wire::metrics::{CHECK_UP, HEARTBEAT_TIME};

use crate::background::Reading;

/// Heartbeats of one agent.
pub(super) const HEARTBEATS_MAX: usize = 64;

/// A job that reports regularly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    pub name: String,
    /// Time between two reports.
    pub every_s: u64,
    /// Time that a report may be late.
    pub grace_s: u64,
    /// SHA-256 of the token, in hexadecimal.
    pub token_hash: String,
    /// When it was added; until its first report it counts as heard then.
    pub since_ms: i64,
}

/// The newest report of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    pub at_ms: i64,
    /// The exit status that it reported, if the job failed.
    pub failed: Option<u8>,
}

/// All heartbeats of an agent, with their newest reports.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub definitions: Vec<Definition>,
    pub beats: BTreeMap<String, Beat>,
}

/// What is stored of a token.
pub fn hash(token: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    HEXLOWER.encode(digest.as_ref())
}

impl Book {
    /// Notes a report; the name of its heartbeat, if one has this token.
    pub(super) fn beat(&mut self, token: &str, failed: Option<u8>, now: UnixMs) -> Option<&str> {
        let wanted = hash(token);
        let found = self.definitions.iter().find(|d| d.token_hash == wanted)?;
        let at_ms = now.0;
        self.beats
            .insert(found.name.clone(), Beat { at_ms, failed });
        Some(&found.name)
    }

    /// Why a heartbeat is down; none if it is on time.
    pub fn problem(&self, definition: &Definition, now: UnixMs) -> Option<String> {
        let beat = self.beats.get(&definition.name);
        if let Some(Beat {
            failed: Some(status),
            at_ms,
        }) = beat
        {
            let ago = format_span((now.0 - at_ms).max(0) / 1000 * 1000);
            return Some(format!("failed with status {status} {ago} ago"));
        }
        let heard = beat.map_or(definition.since_ms, |beat| beat.at_ms);
        let Definition {
            every_s, grace_s, ..
        } = definition;
        let allowed = Duration::from_secs(every_s.saturating_add(*grace_s)).as_millis();
        let silent_ms = (now.0 - heard).max(0);
        if silent_ms.unsigned_abs() as u128 <= allowed {
            return None;
        }
        let ago = format_span(silent_ms / 60_000 * 60_000);
        let every = format_span(i64::try_from(*every_s).unwrap_or(i64::MAX / 1000) * 1000);
        let last = match beat {
            Some(_) => format!("heard {ago} ago"),
            None => format!("not heard since it was added {ago} ago"),
        };
        Some(format!("late: {last}, expected every {every}"))
    }

    pub(super) fn reading(&self, now: UnixMs) -> Reading {
        let mut reading = Reading::default();
        for definition in &self.definitions {
            let of = [("sysmon.check.name", definition.name.as_str())];
            let problem = self.problem(definition, now);
            let is_up = i64::from(problem.is_none());
            reading.values.push((CHECK_UP.series(&of), is_up));
            if let Some(beat) = self.beats.get(&definition.name) {
                let heard = beat.at_ms / 1000;
                reading.values.push((HEARTBEAT_TIME.series(&of), heard));
            }
            if let Some(problem) = problem {
                let note = format!("heartbeat {} is {problem}", definition.name);
                reading.notes.push(note.replace("is failed", "failed"));
            }
        }
        reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Book {
        let backup = Definition {
            name: "backup".to_owned(),
            every_s: 86_400,
            grace_s: 3_600,
            token_hash: hash("t"),
            since_ms: 0,
        };
        Book {
            definitions: vec![backup],
            beats: BTreeMap::new(),
        }
    }

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn a_heartbeat_is_late_after_its_time_and_grace_and_a_report_mends_it() {
        let mut book = book();
        let up = |book: &Book, hours: i64| book.reading(UnixMs(hours * HOUR_MS)).values[0].1;
        assert_eq!((up(&book, 25), up(&book, 26)), (1, 0));
        let notes = book.reading(UnixMs(26 * HOUR_MS)).notes;
        assert_eq!(
            notes,
            [
                "heartbeat backup is late: not heard since it was added 1 d 2 h ago, expected every 1 d"
            ]
        );
        assert_eq!(book.beat("wrong", None, UnixMs(26 * HOUR_MS)), None);
        assert_eq!(up(&book, 26), 0);
        assert_eq!(book.beat("t", None, UnixMs(26 * HOUR_MS)), Some("backup"));
        assert_eq!((up(&book, 51), up(&book, 52)), (1, 0));
        let heard = book.reading(UnixMs(30 * HOUR_MS)).values[1].1;
        assert_eq!(heard, 26 * 3_600);
        // A clock that was set back is no reason to alarm.
        assert_eq!(up(&book, 1), 1);
    }

    #[test]
    fn a_job_that_failed_is_down_until_it_reports_success() {
        let mut book = book();
        book.beat("t", Some(3), UnixMs(HOUR_MS));
        let reading = book.reading(UnixMs(2 * HOUR_MS));
        assert_eq!(reading.values[0].1, 0);
        assert_eq!(
            reading.notes,
            ["heartbeat backup failed with status 3 1 h ago"]
        );
        book.beat("t", None, UnixMs(2 * HOUR_MS));
        assert_eq!(book.reading(UnixMs(2 * HOUR_MS)).values[0].1, 1);
    }
}
