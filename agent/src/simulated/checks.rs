//! What simulated hosts check: the outermost ones the shop and its certificate, web servers their database.

use sysmon_wire::UnixMs;
use sysmon_wire::metrics::{
    CHECK_CERTIFICATE_EXPIRY, CHECK_CERTIFICATE_EXPIRY_MIN, CHECK_DURATION, CHECK_UP,
};

use crate::board::{Board, Slot};

const EVERY_MS: i64 = 30_000;

const DAY_S: i64 = 86_400;

/// Name, phases with their milliseconds at rest, and days left to the certificate.
type Checked = (&'static str, &'static [(&'static str, f64)], Option<i64>);

const OUTSIDE: &[Checked] = &[
    (
        "shop",
        &[
            ("dns", 1.5),
            ("connect", 11.0),
            ("tls", 24.0),
            ("first_byte", 60.0),
        ],
        Some(61),
    ),
    (
        "mail",
        &[("dns", 1.5), ("connect", 9.0), ("tls", 22.0)],
        Some(19),
    ),
];
const DATABASE: &[Checked] = &[("database", &[("connect", 0.4)], None)];

#[derive(Debug)]
pub(super) struct Checks {
    checked: &'static [Checked],
    slots: Vec<Slots>,
    tried: Option<UnixMs>,
    random: fastrand::Rng,
}

#[derive(Debug)]
struct Slots {
    up: Slot,
    took: Slot,
    phases: Vec<Slot>,
    expiry: Option<[Slot; 2]>,
}

impl Checks {
    pub(super) fn new(role: &str, number: u64, board: &mut Board) -> Self {
        let checked = match role {
            "edge" => OUTSIDE,
            "web" => DATABASE,
            _ => &[],
        };
        let slots = checked.iter().map(|(name, phases, expiry)| {
            let name = ("sysmon.check.name", *name);
            let phase = |(phase, _): &(&'static str, f64)| {
                board.slot(CHECK_DURATION.series(&[name, ("sysmon.check.phase", *phase)]))
            };
            let phases = phases.iter().map(phase).collect();
            Slots {
                phases,
                up: board.slot(CHECK_UP.series(&[name])),
                took: board.slot(CHECK_DURATION.series(&[name])),
                expiry: expiry.map(|_| {
                    [CHECK_CERTIFICATE_EXPIRY, CHECK_CERTIFICATE_EXPIRY_MIN]
                        .map(|metric| board.slot(metric.series(&[name])))
                }),
            }
        });
        Self {
            checked,
            slots: slots.collect(),
            tried: None,
            random: fastrand::Rng::with_seed(number),
        }
    }

    /// Tries what is due; answers are slower the more there is to do.
    pub(super) fn sample(&mut self, now: UnixMs, demand: f64, board: &mut Board) {
        if self.tried.is_some_and(|tried| now - tried < EVERY_MS) {
            return;
        }
        self.tried = Some(now);
        for ((_, phases, days), slots) in self.checked.iter().zip(&self.slots) {
            board.set(slots.up, 1);
            let mut total = 0;
            for ((_, ms), slot) in phases.iter().zip(&slots.phases) {
                let ms = ms * (0.8 + 0.4 * self.random.f64() + 1.5 * demand.min(2.0).powi(3));
                let us = (ms * 100.0).round() as i64 * 10;
                total += us;
                board.set(*slot, us);
            }
            board.set(slots.took, total);
            if let (Some([left, least]), Some(days)) = (slots.expiry, days) {
                // The certificate is renewed when half of the time has passed.
                let passed = now.0 / 1000 % (days * DAY_S / 2);
                board.set(left, (days * DAY_S - passed) / 60 * 60);
                board.set(least, 14 * DAY_S);
            }
        }
    }
}
