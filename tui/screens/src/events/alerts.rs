//! Firing alerts, and acknowledging them.

use sysmon_wire::alerts::{AlertState, Alerts};
use sysmon_wire::message::Request;
use sysmon_wire::{Label, UnixMs};

/// Firing alerts are requested this often while they are shown.
const FOLLOW_MS: i64 = 2_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    pub host: Label,
    pub rule: Label,
    pub is_acknowledged: bool,
}

#[derive(Clone, Debug, Default)]
pub struct OpenAlerts {
    alerts: Vec<AlertState>,
    /// Firing alerts that the hub left out, none of which is more severe.
    more: u32,
    requested: Option<UnixMs>,
    pub(super) request: Option<Request>,
    pub(super) round: u32,
    pending: Option<Pending>,
}

impl OpenAlerts {
    /// Requests the list once the last request is old enough.
    pub fn follow(&mut self, now: UnixMs) {
        let is_recent = |requested| (0..FOLLOW_MS).contains(&(now - requested));
        if self.pending.is_none() && !self.requested.is_some_and(is_recent) {
            self.requested = Some(now);
            self.send(Request::Alerts);
        }
    }

    fn send(&mut self, request: Request) {
        self.request = Some(request);
        self.round = self.round.wrapping_add(1);
    }

    /// Acknowledges an alert, or withdraws the acknowledgement. The hub answers with the list.
    pub fn acknowledge(&mut self, pending: Pending) {
        let host = pending.host.clone();
        let rule = Some(pending.rule.clone());
        self.send(if pending.is_acknowledged {
            let note = Label::new("");
            Request::Acknowledge { host, rule, note }
        } else {
            Request::Unacknowledge { host, rule }
        });
        self.pending = Some(pending);
    }

    pub fn answer(&mut self, alerts: &Alerts) -> Option<String> {
        let Pending {
            host,
            rule,
            is_acknowledged,
        } = self.pending.take()?;
        Some(match (alerts.changed, is_acknowledged) {
            (0, _) => format!("{rule} on {host} has resolved"),
            (_, true) => format!("{rule} on {host} acknowledged; A withdraws it"),
            (_, false) => format!("{rule} on {host}: acknowledgement removed"),
        })
    }

    pub fn forget_requested(&mut self) {
        (self.requested, self.request, self.pending) = (None, None, None);
    }

    /// Replaces the list: neither acknowledged nor silenced alerts first, of those the worst, then the newest.
    pub fn set(&mut self, mut alerts: Vec<AlertState>, more: u32) {
        self.more = more;
        alerts.sort_by_key(|alert| {
            let is_quiet = alert.acknowledged.is_some() || alert.silenced.is_some();
            (is_quiet, std::cmp::Reverse((alert.severity, alert.since)))
        });
        self.alerts = alerts;
    }

    pub fn clear(&mut self) {
        self.alerts.clear();
        self.more = 0;
        (self.requested, self.request) = (None, None);
    }

    pub fn shown(&self) -> &[AlertState] {
        &self.alerts
    }

    /// How many are firing, acknowledged, silenced, and not listed.
    pub fn counts(&self) -> [usize; 4] {
        let mut counts = [0, 0, 0, self.more as usize];
        for alert in &self.alerts {
            let place = match (&alert.acknowledged, &alert.silenced) {
                (Some(_), _) => 1,
                (None, Some(_)) => 2,
                (None, None) => 0,
            };
            if let Some(count) = counts.get_mut(place) {
                *count += 1;
            }
        }
        counts
    }
}
