//! One process between two looks: what it used, and when to look again.

use std::os::fd::OwnedFd;

use sysmon_wire::UnixMs;

use super::details::Details;
use super::stat::Stat;

/// Looks after which it is decided whether a process sleeps.
const WINDOW_LOOKS: u8 = 10;

/// Ticks in such a window below which a process counts as asleep: half a hundredth of a processor.
const AWAKE_TICKS: u64 = 5;

/// Share of a processor, in permille, at which a sleeper is awake again.
const AWAKE_PERMILLE: u32 = 10;

/// Looks for which storage traffic is read once there was some, ticks or not.
const STORAGE_LOOKS: u8 = 10;

/// Bounds of the time between two readings of a process's details.
const DETAILS_AGE_MS: (i64, i64) = (1_000, 60_000);

/// A process that is watched.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) pid: u32,
    pub(super) stat: Stat,
    /// Its stat file, unless too many are open.
    pub(super) file: Option<OwnedFd>,
    pub(super) cpu_permille: u32,
    /// Bytes read and written a second.
    pub(super) storage_rate: [u64; 2],
    /// Whether its storage traffic may not be read.
    pub(super) storage_denied: bool,
    pub(super) details: Option<Details>,
    /// The number that stands for its identity, once its details are known.
    pub(super) identity: Option<i64>,
    pub(super) gone: bool,
    details_due: UnixMs,
    found: UnixMs,
    looked: UnixMs,
    /// The round of looking in which it is its turn.
    turn: u64,
    asleep: bool,
    window_looks: u8,
    window_ticks: u64,
    /// Bytes read and written when that was last read.
    storage: Option<[u64; 2]>,
    storage_looks: u8,
}

impl Entry {
    /// A process found at `now`. One that is known to have begun after `since` used all it used
    /// from then on.
    pub(super) fn new(pid: u32, stat: Stat, now: UnixMs, since: Option<UnixMs>, hz: u64) -> Self {
        let elapsed_ms = since.map_or(0, |since| now - since);
        Self {
            pid,
            stat,
            file: None,
            cpu_permille: permille(stat.ticks, hz, elapsed_ms),
            storage_rate: [0; 2],
            storage_denied: false,
            details: None,
            identity: None,
            gone: false,
            details_due: now,
            found: now,
            looked: now,
            turn: 0,
            asleep: false,
            window_looks: 0,
            window_ticks: 0,
            storage: since.map(|_| [0; 2]),
            storage_looks: 0,
        }
    }

    /// Whether it is to be looked at in this round.
    pub(super) fn is_due(&self, round: u64) -> bool {
        round >= self.turn
    }

    /// Whether a sleeper's turn would be in this round if it came every `rounds` rounds.
    pub(super) fn is_turn_of_many(&self, round: u64, rounds: u64) -> bool {
        (round + u64::from(self.pid)).is_multiple_of(rounds)
    }

    /// Takes what was read now. The answer is the time since the last look, if storage traffic is
    /// worth reading.
    pub(super) fn take(&mut self, stat: Stat, now: UnixMs, hz: u64) -> Option<i64> {
        let before = std::mem::replace(&mut self.stat, stat);
        if stat.name != before.name {
            self.details_due = now;
        }
        let elapsed_ms = now - std::mem::replace(&mut self.looked, now);
        let ticks = stat.ticks.saturating_sub(before.ticks);
        if elapsed_ms > 0 {
            self.cpu_permille = permille(ticks, hz, elapsed_ms);
        }
        self.window_looks = self.window_looks.saturating_add(1);
        self.window_ticks = self.window_ticks.saturating_add(ticks);
        // Without processor time no traffic begins; what the disk is slow to answer shows as D.
        let may_do_storage = ticks > 0 || stat.state == b'D' || self.storage_looks > 0;
        self.storage_looks = self.storage_looks.saturating_sub(1);
        if may_do_storage && !stat.is_kernel_thread && !self.storage_denied {
            return Some(elapsed_ms);
        }
        self.storage_rate = [0; 2];
        None
    }

    /// Takes bytes read from and written to storage, `elapsed_ms` after the last look.
    pub(super) fn take_storage(&mut self, bytes: [u64; 2], elapsed_ms: i64) {
        let elapsed_ms = u64::try_from(elapsed_ms).unwrap_or(0);
        let before = self.storage.replace(bytes);
        if let Some(before) = before.filter(|_| elapsed_ms > 0) {
            let places = self.storage_rate.iter_mut().zip(bytes).zip(before);
            for ((rate, now), before) in places {
                *rate = now.saturating_sub(before).saturating_mul(1000) / elapsed_ms;
            }
        }
        if before != Some(bytes) {
            self.storage_looks = STORAGE_LOOKS;
        }
    }

    /// Decides when to look again: each round, or every `sleeper_rounds` rounds while it sleeps.
    pub(super) fn plan(&mut self, round: u64, sleeper_rounds: u64) {
        if self.asleep {
            if self.cpu_permille >= AWAKE_PERMILLE || self.storage_looks > 0 {
                self.asleep = false;
                self.window_looks = 0;
                self.window_ticks = 0;
            }
            self.turn = round + if self.asleep { sleeper_rounds } else { 1 };
            return;
        }
        self.turn = round + 1;
        if self.window_looks >= WINDOW_LOOKS {
            self.asleep = self.window_ticks < AWAKE_TICKS && self.storage_looks == 0;
            self.window_looks = 0;
            self.window_ticks = 0;
            if self.asleep {
                // Spread over the rounds, for many fall asleep at once when the agent starts.
                self.turn = round + 1 + u64::from(self.pid) % sleeper_rounds.max(1);
            }
        }
    }

    /// Whether the details are missing or may have changed.
    pub(super) fn wants_details(&self, now: UnixMs) -> bool {
        self.details.is_none() || self.details_due <= now
    }

    /// Takes details read now. A young process often changes its user yet; an old one seldom.
    pub(super) fn take_details(&mut self, details: Details, now: UnixMs) {
        if self.details.as_ref() != Some(&details) {
            self.identity = None;
        }
        self.details = Some(details);
        let (least, most) = DETAILS_AGE_MS;
        let wait_ms = if self.stat.is_kernel_thread {
            i64::MAX / 2
        } else {
            (now - self.found).clamp(least, most)
        };
        self.details_due = UnixMs(now.0.saturating_add(wait_ms));
    }
}

/// Thousandths of one processor that `ticks` in `elapsed_ms` are.
fn permille(ticks: u64, hz: u64, elapsed_ms: i64) -> u32 {
    let Some(span) = u64::try_from(elapsed_ms)
        .ok()
        .and_then(|ms| ms.checked_mul(hz))
    else {
        return 0;
    };
    if span == 0 {
        return 0;
    }
    let permille = u128::from(ticks) * 1_000_000 / u128::from(span);
    u32::try_from(permille).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::processes::stat::Name;

    const HZ: u64 = 100;

    fn stat(ticks: u64) -> Stat {
        Stat {
            name: Name::new(b"cat"),
            state: b'S',
            parent: 1,
            is_kernel_thread: false,
            ticks,
            threads: 1,
            start_ticks: 0,
            resident_pages: 1,
        }
    }

    fn entry() -> Entry {
        Entry::new(7, stat(100), UnixMs(0), None, HZ)
    }

    #[test]
    fn utilization_is_between_two_looks_however_far_apart() {
        let mut entry = entry();
        assert_eq!(
            entry.cpu_permille, 0,
            "what it used before is not known to be recent"
        );
        entry.take(stat(150), UnixMs(1000), HZ);
        assert_eq!(entry.cpu_permille, 500);
        entry.take(stat(250), UnixMs(11_000), HZ);
        assert_eq!(entry.cpu_permille, 100);
        // A clock set back tells nothing about this look, and the next one is right again.
        entry.take(stat(260), UnixMs(5000), HZ);
        assert_eq!(entry.cpu_permille, 100);
        entry.take(stat(280), UnixMs(6000), HZ);
        assert_eq!(entry.cpu_permille, 200);
        let young = Entry::new(8, stat(30), UnixMs(1000), Some(UnixMs(0)), HZ);
        assert_eq!(young.cpu_permille, 300);
        assert_eq!(permille(u64::MAX, HZ, 1), u32::MAX);
    }

    #[test]
    fn a_process_falls_asleep_and_wakes() {
        let mut entry = entry();
        let mut now = UnixMs(0);
        let mut ticks = 100;
        let mut looks = 0;
        for round in 0..100 {
            now = now + 1000;
            if entry.is_due(round) {
                entry.take(stat(ticks), now, HZ);
                entry.plan(round, 10);
                looks += 1;
            }
        }
        assert!(
            (15..=25).contains(&looks),
            "ten looks, then each tenth second: {looks}"
        );
        ticks += 50;
        let mut awake = 0;
        for round in 100..120 {
            now = now + 1000;
            ticks += 50;
            if entry.is_due(round) {
                entry.take(stat(ticks), now, HZ);
                entry.plan(round, 10);
                awake += 1;
            }
        }
        assert!(awake >= 10, "it is noticed within ten seconds: {awake}");
    }

    #[test]
    fn storage_traffic_is_asked_for_while_there_is_some() {
        let mut entry = entry();
        assert_eq!(entry.take(stat(100), UnixMs(1000), HZ), None);
        assert_eq!(entry.take(stat(101), UnixMs(2000), HZ), Some(1000));
        entry.take_storage([0, 500], 1000);
        assert_eq!(
            entry.storage_rate,
            [0, 0],
            "a first value says nothing of a rate"
        );
        assert_eq!(entry.take(stat(101), UnixMs(3000), HZ), Some(1000));
        entry.take_storage([4096, 1500], 1000);
        assert_eq!(entry.storage_rate, [4096, 1000]);
        for second in 4..40 {
            if let Some(elapsed) = entry.take(stat(101), UnixMs(second * 1000), HZ) {
                entry.take_storage([4096, 1500], elapsed);
            }
        }
        assert_eq!(entry.storage_rate, [0, 0]);
        assert_eq!(entry.take(stat(101), UnixMs(40_000), HZ), None);
    }
}
