//! What a destination does now, and has done.

use std::collections::BTreeMap;

use sysmon_wire::UnixMs;

/// Different reasons of refusals that are counted apart.
const REASONS_MAX: usize = 16;

/// What a destination does now, and has done since the hub started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// What it does now.
    pub state: State,
    /// Age of the oldest committed row that the engine lacks, against the newest.
    pub lag_ms: i64,
    /// Rows that are in the engine.
    pub rows: u64,
    /// Values that are in the engine.
    pub samples: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Values that the engine refused for good, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Host-milliseconds that are pending.
    pub pending_ms: i64,
    /// Hosts of which something is pending.
    pub pending_hosts: usize,
    /// Host-milliseconds that were pending and are no longer in the history.
    pub lost_ms: i64,
    /// When the engine last took something.
    pub last_success: Option<UnixMs>,
}

/// What a destination does now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It has not asked the engine yet.
    #[default]
    Starting,
    /// It sends.
    Running,
    /// It waits until somebody resumes it.
    Paused,
    /// The last attempt failed.
    Failing {
        /// Why, and what to do.
        error: String,
        /// When the first of these attempts failed.
        since: UnixMs,
    },
}

impl State {
    /// In one word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Failing { .. } => "failing",
        }
    }
}

impl Status {
    /// Counts refused values; further reasons than a few count as one.
    pub fn refuse(&mut self, reason: String, samples: u64) {
        let reason = match self.refused.len() < REASONS_MAX || self.refused.contains_key(&reason) {
            true => reason,
            false => "other reasons".to_owned(),
        };
        *self.refused.entry(reason).or_default() += samples;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_few_and_nothing_goes_uncounted() {
        let mut status = Status::default();
        for reason in 0..100 {
            status.refuse(format!("reason {reason}"), 2);
        }
        assert_eq!(status.refused.len(), REASONS_MAX + 1);
        assert_eq!(status.refused.values().sum::<u64>(), 200);
    }
}
