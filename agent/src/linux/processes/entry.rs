//! One process between two readings: what it used, and when to read it again.

use std::os::fd::OwnedFd;

use sysmon_wire::{ProcessArguments, UnixMs};

use super::details::Details;
use super::stat::Stat;

/// Readings after which it is decided whether a process is idle.
const WINDOW_READINGS: u8 = 10;

/// Ticks in such a window below which a process is idle: half a percent of a processor.
const ACTIVE_TICKS: u64 = 5;

/// Share of a processor, in permille, at which an idle process is active again.
const ACTIVE_PERMILLE: u32 = 10;

/// Readings for which storage traffic is read after there was some, whether or not there are ticks.
const STORAGE_READINGS: u8 = 10;

/// Minimum and maximum time between two readings of the details.
const DETAILS_AGE_MS: (i64, i64) = (1_000, 60_000);

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) pid: u32,
    pub(super) stat: Stat,
    /// Its stat file, kept open unless too many are.
    pub(super) file: Option<OwnedFd>,
    pub(super) cpu_permille: u32,
    pub(super) storage_rate: [u64; 2],
    pub(super) storage_denied: bool,
    pub(super) details: Option<Details>,
    /// [`sysmon_wire::ProcessIdentity::id`], once the details are known.
    pub(super) identity: Option<i64>,
    pub(super) gone: bool,
    details_due: UnixMs,
    found: UnixMs,
    last_read: UnixMs,
    /// The refresh in which it is read next.
    due_round: u64,
    idle: bool,
    window_readings: u8,
    window_ticks: u64,
    /// Total bytes read and written at the last reading of storage.
    storage: Option<[u64; 2]>,
    storage_readings: u8,
}

impl Entry {
    /// A process found at `now`. If it is known to have started after `since`, everything it used counts from
    /// then on.
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
            last_read: now,
            due_round: 0,
            idle: false,
            window_readings: 0,
            window_ticks: 0,
            storage: since.map(|_| [0; 2]),
            storage_readings: 0,
        }
    }

    pub(super) fn is_due(&self, round: u64) -> bool {
        round >= self.due_round
    }

    /// Whether it is due in this round if read every `rounds` rounds.
    pub(super) fn is_due_every(&self, round: u64, rounds: u64) -> bool {
        (round + u64::from(self.pid)).is_multiple_of(rounds)
    }

    /// Applies a reading. Returns the time since the last one if storage traffic should be read too.
    pub(super) fn update(&mut self, stat: Stat, now: UnixMs, hz: u64) -> Option<i64> {
        let before = std::mem::replace(&mut self.stat, stat);
        if stat.name != before.name {
            self.details_due = now;
        }
        let elapsed_ms = now - std::mem::replace(&mut self.last_read, now);
        let ticks = stat.ticks.saturating_sub(before.ticks);
        if elapsed_ms > 0 {
            self.cpu_permille = permille(ticks, hz, elapsed_ms);
        }
        self.window_readings = self.window_readings.saturating_add(1);
        self.window_ticks = self.window_ticks.saturating_add(ticks);
        // Traffic needs processor time; waiting for a slow disk shows as state D.
        let may_do_storage = ticks > 0 || stat.state == b'D' || self.storage_readings > 0;
        self.storage_readings = self.storage_readings.saturating_sub(1);
        if may_do_storage && !stat.is_kernel_thread && !self.storage_denied {
            return Some(elapsed_ms);
        }
        self.storage_rate = [0; 2];
        None
    }

    pub(super) fn update_storage(&mut self, bytes: [u64; 2], elapsed_ms: i64) {
        let elapsed_ms = u64::try_from(elapsed_ms).unwrap_or(0);
        let before = self.storage.replace(bytes);
        if let Some(before) = before.filter(|_| elapsed_ms > 0) {
            let places = self.storage_rate.iter_mut().zip(bytes).zip(before);
            for ((rate, now), before) in places {
                *rate = now.saturating_sub(before).saturating_mul(1000) / elapsed_ms;
            }
        }
        if before != Some(bytes) {
            self.storage_readings = STORAGE_READINGS;
        }
    }

    /// What is shown of its arguments; none of one that has none, or whose details are not known.
    pub(super) fn arguments(&self) -> Option<ProcessArguments> {
        let arguments = &self.details.as_ref()?.arguments;
        let is_empty = arguments.as_str().is_empty();
        (!is_empty).then_some(ProcessArguments {
            id: self.identity?,
            arguments: arguments.clone(),
        })
    }

    /// Schedules the next reading: the next round, or after `idle_rounds` rounds while it is idle.
    pub(super) fn plan(&mut self, round: u64, idle_rounds: u64) {
        if self.idle {
            if self.cpu_permille >= ACTIVE_PERMILLE || self.storage_readings > 0 {
                self.idle = false;
                self.window_readings = 0;
                self.window_ticks = 0;
            }
            self.due_round = round + if self.idle { idle_rounds } else { 1 };
            return;
        }
        self.due_round = round + 1;
        if self.window_readings >= WINDOW_READINGS {
            self.idle = self.window_ticks < ACTIVE_TICKS && self.storage_readings == 0;
            self.window_readings = 0;
            self.window_ticks = 0;
            if self.idle {
                // Spread over the rounds, because many become idle at once after the agent starts.
                self.due_round = round + 1 + u64::from(self.pid) % idle_rounds.max(1);
            }
        }
    }

    /// Whether the details are missing or may have changed.
    pub(super) fn wants_details(&self, now: UnixMs) -> bool {
        self.details.is_none() || self.details_due <= now
    }

    /// Stores details read at `now`. Young processes often change their user or command; old ones rarely.
    pub(super) fn set_details(&mut self, details: Details, now: UnixMs) {
        if self.details.as_ref() != Some(&details) {
            self.identity = None;
        }
        self.details = Some(details);
        let (min, max) = DETAILS_AGE_MS;
        let wait_ms = if self.stat.is_kernel_thread {
            i64::MAX / 2
        } else {
            (now - self.found).clamp(min, max)
        };
        self.details_due = UnixMs(now.0.saturating_add(wait_ms));
    }
}

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
    fn utilization_is_computed_between_two_readings_at_any_distance() {
        let mut entry = entry();
        assert_eq!(entry.cpu_permille, 0, "earlier usage may be long ago");
        entry.update(stat(150), UnixMs(1000), HZ);
        assert_eq!(entry.cpu_permille, 500);
        entry.update(stat(250), UnixMs(11_000), HZ);
        assert_eq!(entry.cpu_permille, 100);
        // Setting the clock back invalidates this reading only.
        entry.update(stat(260), UnixMs(5000), HZ);
        assert_eq!(entry.cpu_permille, 100);
        entry.update(stat(280), UnixMs(6000), HZ);
        assert_eq!(entry.cpu_permille, 200);
        let young = Entry::new(8, stat(30), UnixMs(1000), Some(UnixMs(0)), HZ);
        assert_eq!(young.cpu_permille, 300);
        assert_eq!(permille(u64::MAX, HZ, 1), u32::MAX);
    }

    #[test]
    fn a_process_becomes_idle_and_active_again() {
        let mut entry = entry();
        let mut now = UnixMs(0);
        let mut ticks = 100;
        let mut readings = 0;
        for round in 0..100 {
            now = now + 1000;
            if entry.is_due(round) {
                entry.update(stat(ticks), now, HZ);
                entry.plan(round, 10);
                readings += 1;
            }
        }
        assert!(
            (15..=25).contains(&readings),
            "ten readings, then one per ten seconds: {readings}"
        );
        ticks += 50;
        let mut active = 0;
        for round in 100..120 {
            now = now + 1000;
            ticks += 50;
            if entry.is_due(round) {
                entry.update(stat(ticks), now, HZ);
                entry.plan(round, 10);
                active += 1;
            }
        }
        assert!(active >= 10, "noticed within ten seconds: {active}");
    }

    #[test]
    fn storage_traffic_is_read_while_there_is_some() {
        let mut entry = entry();
        assert_eq!(entry.update(stat(100), UnixMs(1000), HZ), None);
        assert_eq!(entry.update(stat(101), UnixMs(2000), HZ), Some(1000));
        entry.update_storage([0, 500], 1000);
        assert_eq!(entry.storage_rate, [0, 0], "one value has no rate");
        assert_eq!(entry.update(stat(101), UnixMs(3000), HZ), Some(1000));
        entry.update_storage([4096, 1500], 1000);
        assert_eq!(entry.storage_rate, [4096, 1000]);
        for second in 4..40 {
            if let Some(elapsed) = entry.update(stat(101), UnixMs(second * 1000), HZ) {
                entry.update_storage([4096, 1500], elapsed);
            }
        }
        assert_eq!(entry.storage_rate, [0, 0]);
        assert_eq!(entry.update(stat(101), UnixMs(40_000), HZ), None);
    }
}
