//! Firing alerts and the state of the routes, as subscribers request them.

use std::cmp::Reverse;

use sysmon_wire::alerts::{Acknowledgement, AlertState, Alerts, RouteState};
use sysmon_wire::limits::{ALERTS_MAX, FRAME_BYTES_MAX};
use sysmon_wire::{Label, UnixMs};

use super::Hub;
use sysmon_alerts::active::ActiveAlert;
use sysmon_alerts::notify::RouteHealth;
use sysmon_alerts::silence::Scope;
use sysmon_wire::timeline::EventKind;

/// Bytes of the alerts in one answer, which has to fit into a frame.
const BYTES_MAX: usize = FRAME_BYTES_MAX / 2;

impl Hub {
    pub fn alerts(&self) -> Alerts {
        let (alerts, more) = self.alert_states(|_| true);
        Alerts {
            changed: 0,
            more,
            alerts,
            routes: self.notifier.health().iter().map(route).collect(),
            silences: self.silences(),
        }
    }

    /// The alerts that somebody has acknowledged, the most severe first.
    pub(super) fn acknowledged(&self) -> Vec<AlertState> {
        self.alert_states(|active| active.acknowledged.is_some()).0
    }

    /// As many alerts as an answer has room for, the most severe first, and how many more there are.
    fn alert_states(&self, is_wanted: impl Fn(&ActiveAlert) -> bool) -> (Vec<AlertState>, u32) {
        let mut active = self.notifier.active(self.now());
        active.retain(|(active, _)| is_wanted(active));
        active.sort_by_key(|(active, _)| (Reverse(active.alert.severity), active.alert.since));
        let (all, mut bytes) = (active.len(), 0);
        let states = active.iter().take(ALERTS_MAX).map(alert);
        let fitting = states.take_while(|state| {
            bytes += size(state);
            bytes <= BYTES_MAX
        });
        let fitting: Vec<AlertState> = fitting.collect();
        let more = u32::try_from(all - fitting.len()).unwrap_or(u32::MAX);
        (fitting, more)
    }

    /// Acknowledges the firing alerts of a scope on behalf of `by`; without a note, withdraws that.
    pub(super) fn acknowledge(&self, by: &str, scope: &Scope, note: Option<Label>) -> Alerts {
        let acknowledged = note.map(|note| Acknowledgement {
            by: Label::new(by),
            at: self.now(),
            note,
        });
        let alerts = self.notifier.acknowledge(scope, acknowledged.as_ref());
        if alerts > 0 {
            self.note_acknowledgement(by, scope, acknowledged.as_ref());
        }
        Alerts {
            changed: u32::try_from(alerts).unwrap_or(u32::MAX),
            ..self.alerts()
        }
    }

    fn note_acknowledgement(&self, by: &str, scope: &Scope, what: Option<&Acknowledgement>) {
        let (event, kind) = match what {
            Some(_) => ("acknowledged", EventKind::Acknowledged),
            None => ("unacknowledged", EventKind::Unacknowledged),
        };
        tracing::info!(by, %scope, "alerts {event}");
        let note = match what.map(|what| what.note.as_str()) {
            None | Some("") => String::new(),
            Some(note) => format!(": {note}"),
        };
        self.audit(event, by, &format!("{scope}{note}"));
        let host = scope.hosts().to_string();
        self.note_operation(&host, kind, &format!("{scope} by {by}{note}"));
    }
}

/// About as many bytes as an alert takes in a message.
fn size(alert: &AlertState) -> usize {
    let who = alert.acknowledged.as_ref();
    let who = who.map_or(0, |who| who.by.as_str().len() + who.note.as_str().len());
    let texts = [&alert.host, &alert.rule, &alert.device, &alert.summary];
    let silenced = alert
        .silenced
        .as_ref()
        .map_or(0, |reason| reason.as_str().len());
    texts.iter().map(|text| text.as_str().len()).sum::<usize>() + who + silenced + 64
}

fn alert((open, silenced): &(ActiveAlert, Option<String>)) -> AlertState {
    let alert = &open.alert;
    AlertState {
        host: Label::new(&alert.host),
        rule: Label::new(&alert.rule),
        device: Label::new(&alert.what),
        severity: alert.severity,
        since: alert.since,
        summary: Label::new(&alert.summary),
        acknowledged: open.acknowledged.clone(),
        silenced: silenced.as_deref().map(Label::new),
    }
}

fn route(health: &RouteHealth) -> RouteState {
    let failing = health.failing.as_ref();
    RouteState {
        route: Label::new(&health.route),
        queued: u32::try_from(health.queued).unwrap_or(u32::MAX),
        dropped: health.dropped,
        last_sent: health.sent,
        failing_since: failing.map(|(since, _): &(UnixMs, String)| *since),
        error: Label::new(failing.map_or("", |(_, why)| why)),
    }
}
