//! A burst: ten samples per second for a minute, on request.

use sysmon_wire::message::Request;
use sysmon_wire::{Label, UnixMs};

pub(super) const BURST_INTERVAL_MS: u32 = 100;

pub(super) const BURST_MS: i64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    pub until: UnixMs,
}

impl Burst {
    pub fn new(now: UnixMs) -> Self {
        Self {
            until: now + BURST_MS,
        }
    }

    pub fn left_ms(self, now: UnixMs) -> i64 {
        (self.until - now).clamp(0, BURST_MS)
    }
}

#[derive(Debug, Default)]
pub struct BurstScreen {
    pub asked: Option<Burst>,
    pub(super) request: Option<Request>,
    pub(super) round: u32,
}

impl BurstScreen {
    pub fn start(&mut self, host: Label, now: UnixMs) {
        if self.asked.is_some_and(|burst| burst.left_ms(now) > 0) {
            return;
        }
        self.asked = Some(Burst::new(now));
        self.round = self.round.wrapping_add(1);
        self.request = Some(Request::Burst {
            host,
            interval_ms: BURST_INTERVAL_MS,
            for_ms: BURST_MS as u32,
        });
    }

    pub fn stop(&mut self) {
        self.asked = None;
        self.request = None;
    }
}
