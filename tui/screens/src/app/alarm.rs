//! Which critical alerts are new, for the bell. Pure.

use std::collections::BTreeSet;

use sysmon_wire::message::Severity;
use sysmon_wire::{Label, UnixMs};

use crate::fleet::Fleet;

type Known = BTreeSet<(Label, Label, UnixMs)>;

#[derive(Debug)]
pub(super) struct Alarm {
    is_on: bool,
    /// Critical alerts that need somebody; none before the first picture is complete.
    known: Option<Known>,
}

impl Alarm {
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, known: None }
    }

    /// Another connection brings a new picture.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// What to say of the critical alerts that are new; `is_whole` if the picture has just become complete.
    pub(super) fn of(&mut self, fleet: &Fleet, is_whole: bool) -> Option<String> {
        if !self.is_on || (self.known.is_none() && !is_whole) {
            return None;
        }
        let hosts = fleet.all();
        let alerts = hosts.flat_map(|host| {
            let open = host.line.alerts.iter().filter(|alert| {
                alert.severity == Severity::Critical
                    && alert.acknowledged.is_none()
                    && alert.silenced.is_none()
            });
            open.map(|alert| (host.line.name.clone(), alert.rule.clone(), alert.since))
        });
        let now: Known = alerts.collect();
        let before = self.known.replace(now.clone())?;
        let mut new = now.difference(&before);
        let (host, rule, _) = new.next()?;
        Some(match new.count() {
            0 => format!("critical: {rule} on {host}"),
            more => format!("critical: {rule} on {host}, and {more} more"),
        })
    }
}
