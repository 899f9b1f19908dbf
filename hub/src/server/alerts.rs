//! Firing alerts and the state of the routes, as subscribers request them.

use sysmon_wire::alerts::{Acknowledgement, AlertState, Alerts, RouteState};
use sysmon_wire::limits::ALERTS_MAX;
use sysmon_wire::{Label, UnixMs};

use super::Hub;
use sysmon_alerts::active::ActiveAlert;
use sysmon_alerts::notify::RouteHealth;
use sysmon_alerts::silence::Scope;

impl Hub {
    pub fn alerts(&self) -> Alerts {
        let open = self.notifier.active(self.now());
        Alerts {
            changed: 0,
            more: u32::try_from(open.len().saturating_sub(ALERTS_MAX)).unwrap_or(u32::MAX),
            alerts: open.iter().take(ALERTS_MAX).map(alert).collect(),
            routes: self.notifier.health().iter().map(route).collect(),
        }
    }

    /// Acknowledges the firing alerts of a scope on behalf of `by`; without a note, withdraws that.
    pub(super) fn acknowledge(&self, by: &str, scope: &Scope, note: Option<Label>) -> Alerts {
        let acknowledged = note.map(|note| Acknowledgement {
            by: Label::new(by),
            at: self.now(),
            note,
        });
        let alerts = self.notifier.acknowledge(scope, acknowledged.as_ref());
        match acknowledged {
            Some(_) => tracing::info!(by, %scope, alerts, "alerts acknowledged"),
            None => tracing::info!(by, %scope, alerts, "acknowledgements removed"),
        }
        Alerts {
            changed: u32::try_from(alerts).unwrap_or(u32::MAX),
            ..self.alerts()
        }
    }
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
