//! Firing alerts and silences, and what the hub is asked to change about them.

use sysmon_config::time::format_clock;
use sysmon_wire::UnixMs;
use sysmon_wire::alerts::{AlertState, Alerts, SilenceState};
use sysmon_wire::message::Request;

use crate::context::Context;
use crate::operation::Operation;

/// Firing alerts are requested this often while they are shown.
const FOLLOW_MS: i64 = 2_000;

#[derive(Clone, Debug, Default)]
pub struct OpenAlerts {
    alerts: Vec<AlertState>,
    /// Firing alerts that the hub left out, none of which is more severe.
    more: u32,
    requested: Option<UnixMs>,
    pub(super) request: Option<Request>,
    pub(super) round: u32,
    pending: Option<Operation>,
    silences: Vec<SilenceState>,
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

    /// Asks the hub to change something; it answers with the list.
    pub fn operate(&mut self, operation: Operation) {
        self.send(operation.request());
        self.pending = Some(operation);
    }

    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// The hub refused what it was asked for.
    pub fn refused(&mut self) {
        (self.pending, self.request) = (None, None);
    }

    pub fn answer(&mut self, alerts: &Alerts, context: &Context) -> Option<String> {
        Some(match self.pending.take()? {
            Operation::Acknowledge {
                host,
                rule,
                is_acknowledged,
                ..
            } => {
                let what = match rule {
                    Some(rule) => format!("{rule} on {host}"),
                    None => format!("{host}"),
                };
                match (alerts.changed, is_acknowledged) {
                    (0, _) => format!("{what}: nothing fires any more"),
                    (_, true) => format!("{what} acknowledged; A withdraws it"),
                    (_, false) => format!("{what}: acknowledgement removed"),
                }
            }
            Operation::Silence { scope, until, .. } => {
                let until = format_clock(until.0, &context.zone);
                format!("{scope} silenced until {until}; :silences lists it")
            }
            Operation::Unsilence { scope, .. } => format!("silence of {scope} ended"),
        })
    }

    pub fn forget_requested(&mut self) {
        (self.requested, self.request, self.pending) = (None, None, None);
    }

    /// Replaces the list: neither acknowledged nor silenced alerts first, of those the worst, then the newest.
    pub fn set(&mut self, mut alerts: Vec<AlertState>, more: u32, silences: Vec<SilenceState>) {
        self.more = more;
        self.silences = silences;
        alerts.sort_by_key(|alert| {
            let is_quiet = alert.acknowledged.is_some() || alert.silenced.is_some();
            (is_quiet, std::cmp::Reverse((alert.severity, alert.since)))
        });
        self.alerts = alerts;
    }

    pub fn clear(&mut self) {
        self.alerts.clear();
        self.silences.clear();
        self.more = 0;
        (self.requested, self.request) = (None, None);
    }

    pub fn shown(&self) -> &[AlertState] {
        &self.alerts
    }

    /// The silences that have not ended, the next to end first.
    pub fn silences(&self) -> &[SilenceState] {
        &self.silences
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
