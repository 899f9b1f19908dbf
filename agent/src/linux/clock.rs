//! Whether the system clock is synchronized: adjtimex(2).

#![expect(
    unsafe_code,
    reason = "no safe crate wraps adjtimex; this file exists for it"
)]

use sysmon_wire::metrics::{CLOCK_ERROR, CLOCK_SYNCHRONIZED};

use super::Context;
use crate::board::{Board, Slot};

/// The kernel's bound on the error of an unsynchronized clock, in microseconds.
const ERROR_MAX_US: i64 = 16_000_000;

#[derive(Debug)]
pub(super) struct ClockStatus {
    synchronized: Slot,
    error: Slot,
}

impl ClockStatus {
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
        // Rounded to 10 ms, because the kernel's estimate grows continuously between corrections.
        context.board.set(
            self.error,
            error_us.clamp(0, ERROR_MAX_US) / 10_000 * 10_000,
        );
    }
}

/// Whether the clock is synchronized, and its maximum error in microseconds.
fn read() -> Option<(bool, i64)> {
    // SAFETY: `timex` consists of integers, for which zero is valid.
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
