//! The rank of a host in the order by severity: it rises at once and falls only after a while.

use sysmon_wire::UnixMs;

/// Time for which a live host has to be better before its rank falls, so that rows do not jump.
const FALL_AFTER_MS: i64 = 15_000;

/// A level that is held for a while after it was left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rank {
    held: Option<u8>,
    /// When it became lower, and the highest level since.
    lower: Option<(UnixMs, u8)>,
}

impl Rank {
    pub(super) fn level(self) -> u8 {
        self.held.unwrap_or(0)
    }

    /// The held level and since when it is lower; none while it is what is held.
    pub(super) fn falling(self) -> Option<(u8, UnixMs)> {
        Some((self.held?, self.lower?.0))
    }

    /// Updates the level; returns whether the held level changed.
    pub(super) fn take(&mut self, level: u8, now: UnixMs, is_live: bool) -> bool {
        let before = self.held;
        match before {
            Some(held) if level < held && is_live => {
                let (since, highest) = self.lower.unwrap_or((now, level));
                let highest = highest.max(level);
                if now - since >= FALL_AFTER_MS {
                    (self.held, self.lower) = (Some(highest), None);
                } else {
                    self.lower = Some((since, highest));
                }
            }
            _ => (self.held, self.lower) = (Some(level), None),
        }
        self.held != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_at_once_and_falls_when_it_has_been_lower_for_a_while() {
        let mut rank = Rank::default();
        let mut take = |level, seconds: i64| {
            rank.take(level, UnixMs(seconds * 1000), true);
            rank.level()
        };
        assert_eq!(take(1, 0), 1);
        assert_eq!(take(6, 1), 6);
        assert_eq!(take(1, 2), 6);
        assert_eq!(take(3, 10), 6);
        assert_eq!(take(1, 16), 6);
        assert_eq!(take(1, 17), 3, "the highest of the time since");
        assert_eq!(take(1, 18), 3);
        assert_eq!(take(3, 30), 3, "that counts from anew");
        assert_eq!(take(1, 44), 3);
        assert!(rank.take(5, UnixMs(65_000), false));
        assert!(rank.take(4, UnixMs(66_000), false), "silent: at once");
    }
}
