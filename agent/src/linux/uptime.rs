//! How long the host runs: `/proc/uptime` (proc_uptime(5)), and the kernel's clock that process starts refer to
//! (clock_gettime(2), `CLOCK_BOOTTIME`).
//!
//! The time of boot is computed from these whenever it is needed, because the wall clock is set while the host runs: a
//! machine without a battery boots in the past. In a container with lxcfs, uptime is the container's.

use rustix::time::{ClockId, clock_gettime};
use sysmon_wire::UnixMs;
use sysmon_wire::metrics::UPTIME;

use super::parse::{hundredths, words};
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

/// Differences up to this are rounding and scheduling; a greater one means that the wall clock was set.
const TOLERANCE_MS: i64 = 1_500;

#[derive(Debug)]
pub(super) struct Uptime {
    file: KernelFile,
    slot: Slot,
    boot: BootTime,
}

impl Uptime {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        Self {
            file: KernelFile::open(&roots.proc.join("uptime")),
            slot: board.slot(UPTIME.series(&[])),
            boot: BootTime::default(),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        let text = self.file.read(context.buffer);
        let Some(uptime_ms) = text.and_then(uptime_ms) else {
            return;
        };
        context.board.set(self.slot, uptime_ms / 1000);
        self.boot.update(context.now, uptime_ms);
    }

    /// When the host or container booted, by its present wall clock.
    pub(super) fn boot(&self) -> UnixMs {
        self.boot.time()
    }
}

fn uptime_ms(text: &[u8]) -> Option<i64> {
    let seconds = words(text.trim_ascii()).next().and_then(hundredths)?;
    i64::try_from(seconds.checked_mul(10)?).ok()
}

/// Milliseconds since the kernel booted, by the clock that it counts the starts of processes in.
pub(super) fn kernel_uptime_ms() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec
        .saturating_mul(1000)
        .saturating_add(time.tv_nsec / 1_000_000)
}

/// The moment of boot, which only changes when the wall clock is set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BootTime(Option<UnixMs>);

impl BootTime {
    /// Returns whether the moment changed.
    pub(super) fn update(&mut self, now: UnixMs, uptime_ms: i64) -> bool {
        let boot = UnixMs(now.0.saturating_sub(uptime_ms));
        let is_near = |known: UnixMs| boot.0.abs_diff(known.0) <= TOLERANCE_MS.unsigned_abs();
        if self.0.is_some_and(is_near) {
            return false;
        }
        self.0 = Some(boot);
        true
    }

    /// 0 while it is not known.
    pub(super) fn time(self) -> UnixMs {
        self.0.unwrap_or(UnixMs(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_boot_follows_a_step_of_the_wall_clock_and_nothing_else() {
        assert_eq!(uptime_ms(b"350735.47 234388.90\n"), Some(350_735_470));
        assert_eq!(uptime_ms(b"garbage"), None);
        let mut boot = BootTime::default();
        assert!(boot.update(UnixMs(100_000), 10_000));
        assert!(!boot.update(UnixMs(101_400), 11_000), "a late sample");
        assert_eq!(boot.time(), UnixMs(90_000));
        assert!(boot.update(UnixMs(2_801_000), 11_000), "set by 45 minutes");
        assert_eq!(boot.time(), UnixMs(2_790_000));
    }

    #[test]
    fn both_clocks_of_this_machine_run() {
        assert!(kernel_uptime_ms() > 0);
    }
}
