//! Adds silences to a list and ends them. Pure.

use std::io;

use sysmon_wire::UnixMs;
use thiserror::Error;

use super::{SILENCES_MAX, Scope, Silence};

/// The longest silence, in milliseconds: a year. One without an end would hide an alert from the operators who come later.
pub const SILENCE_MS_MAX: i64 = 366 * 86_400_000;

/// Bytes of a reason at most, as long as a label.
const REASON_BYTES_MAX: usize = 256;

/// What an operator wants silenced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSilence {
    /// The alerts that it suppresses.
    pub scope: Scope,
    /// End, exclusive.
    pub until: UnixMs,
    /// The name of the operator's certificate.
    pub by: String,
    /// Shown beside silenced alerts; may be empty.
    pub reason: String,
}

/// Why a silence was neither added nor ended.
#[derive(Debug, Error)]
pub enum SilenceError {
    /// There are as many as there may be.
    #[error("there are {SILENCES_MAX} silences, the limit; end one first")]
    Full,
    /// It would end before it begins.
    #[error("a silence has to end in the future")]
    Over,
    /// It would last longer than [`SILENCE_MS_MAX`].
    #[error("a silence lasts a year at most; choose an earlier end")]
    TooLong,
    /// The reason is too long.
    #[error("a reason has {REASON_BYTES_MAX} bytes at most; shorten it")]
    LongReason,
    /// There is no silence of this number.
    #[error(
        "there is no silence {0:?}; it has ended, or `sysmon-hub alerts silences` lists its number"
    )]
    Unknown(String),
    /// The file cannot be read or written.
    #[error("cannot change the silences: {0}")]
    File(#[from] io::Error),
}

/// Adds a silence under the lowest number that is free.
///
/// # Errors
/// There are too many silences, or the end or the reason is out of range.
pub fn add(
    silences: &mut Vec<Silence>,
    new: NewSilence,
    now: UnixMs,
) -> Result<Silence, SilenceError> {
    silences.retain(|silence| silence.until > now);
    let lasts = new.until - now;
    if lasts <= 0 {
        return Err(SilenceError::Over);
    }
    if lasts > SILENCE_MS_MAX {
        return Err(SilenceError::TooLong);
    }
    if new.reason.len() > REASON_BYTES_MAX {
        return Err(SilenceError::LongReason);
    }
    if silences.len() >= SILENCES_MAX {
        return Err(SilenceError::Full);
    }
    let is_free = |id: &String| silences.iter().all(|other| other.id != *id);
    let id = (1u32..).map(|id| id.to_string()).find(is_free);
    let silence = Silence {
        id: id.unwrap_or_default(),
        scope: new.scope,
        from: now,
        until: new.until,
        by: new.by,
        reason: new.reason,
    };
    silences.push(silence.clone());
    Ok(silence)
}

/// Ends a silence, and returns it.
///
/// # Errors
/// There is none of this number.
pub fn end(silences: &mut Vec<Silence>, id: &str) -> Result<Silence, SilenceError> {
    let at = silences.iter().position(|silence| silence.id == id);
    let at = at.ok_or_else(|| SilenceError::Unknown(id.chars().take(20).collect()))?;
    Ok(silences.remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(until: i64) -> NewSilence {
        NewSilence {
            scope: "db-*".parse().unwrap(),
            until: UnixMs(until),
            by: "jane".to_owned(),
            reason: "new disks".to_owned(),
        }
    }

    #[test]
    fn silences_get_the_lowest_free_number_and_expired_ones_make_room() {
        let (mut silences, now) = (Vec::new(), UnixMs(1_000));
        for until in [2_000, 9_000, 9_000] {
            add(&mut silences, new(until), now).unwrap();
        }
        let ids = |silences: &[Silence]| -> Vec<String> {
            silences.iter().map(|silence| silence.id.clone()).collect()
        };
        assert_eq!(ids(&silences), ["1", "2", "3"]);
        assert_eq!(end(&mut silences, "2").unwrap().by, "jane");
        assert_eq!(add(&mut silences, new(9_000), now).unwrap().id, "2");
        assert_eq!(
            add(&mut silences, new(9_000), UnixMs(2_000)).unwrap().id,
            "1"
        );
        let unknown = end(&mut silences, "7").unwrap_err().to_string();
        assert!(
            unknown.starts_with("there is no silence \"7\""),
            "{unknown}"
        );
    }

    #[test]
    fn an_end_out_of_range_a_long_reason_and_one_silence_too_many_are_refused() {
        let (mut silences, now) = (Vec::new(), UnixMs(1_000));
        let mut refused = |new| add(&mut silences, new, now).unwrap_err().to_string();
        assert!(refused(new(1_000)).contains("in the future"));
        assert!(refused(new(1_001 + SILENCE_MS_MAX)).contains("a year at most"));
        let mut long = new(2_000);
        long.reason = "x".repeat(REASON_BYTES_MAX + 1);
        assert!(refused(long).contains("256 bytes"));
        for _ in 0..SILENCES_MAX {
            add(&mut silences, new(2_000), now).unwrap();
        }
        let full = add(&mut silences, new(2_000), now).unwrap_err().to_string();
        assert!(full.contains("200 silences, the limit"), "{full}");
    }
}
