//! Whether the clock can be trusted, and uptime: adjtimex(2) and clock_gettime(2).

#![expect(
    unsafe_code,
    reason = "no safe crate wraps adjtimex; this file exists for it"
)]

use sysmon_wire::metrics::{CLOCK_ERROR, CLOCK_SYNCHRONIZED};

use super::Context;
use crate::board::{Board, Slot};

/// The kernel's bound on the error of a clock that nothing keeps, in microseconds.
const ERROR_MAX_US: i64 = 16_000_000;

#[derive(Debug)]
pub(super) struct Clock {
    synchronized: Slot,
    error: Slot,
}

impl Clock {
    pub(super) fn new(board: &mut Board) -> Self {
        Self {
            synchronized: board.slot(CLOCK_SYNCHRONIZED.series(&[])),
            error: board.slot(CLOCK_ERROR.series(&[])),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        let Some((synchronized, error_us)) = read() else {
            context.board.clear(self.synchronized);
            return;
        };
        context
            .board
            .set(self.synchronized, i64::from(synchronized));
        // In steps of 10 ms: the kernel's estimate grows all the time between two corrections.
        context.board.set(
            self.error,
            error_us.clamp(0, ERROR_MAX_US) / 10_000 * 10_000,
        );
    }
}

/// Whether the clock is synchronized, and its largest error in microseconds.
fn read() -> Option<(bool, i64)> {
    // SAFETY: `timex` is plain numbers, for which zero is a value.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live `timex`; with `modes` 0 the call only reads the clock.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    #[allow(
        clippy::useless_conversion,
        reason = "the field is 32 bits wide on some systems"
    )]
    let error_us = i64::from(timex.maxerror);
    (state >= 0).then_some((timex.status & libc::STA_UNSYNC == 0, error_us))
}
