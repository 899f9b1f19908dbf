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

    /// Acknowledges the firing alerts of a scope on behalf of `by`.
    pub(super) fn acknowledge(
        &self,
        by: &str,
        host: &str,
        rule: Option<&str>,
        note: &str,
    ) -> Alerts {
        let acknowledged = Acknowledgement {
            by: Label::new(by),
            at: self.now(),
            note: Label::new(note),
        };
        let (scope, count) = self.set_acknowledged(host, rule, Some(&acknowledged));
        tracing::info!(by, %scope, alerts = count, "alerts acknowledged");
        self.alerts_after(count)
    }

    pub(super) fn unacknowledge(&self, by: &str, host: &str, rule: Option<&str>) -> Alerts {
        let (scope, count) = self.set_acknowledged(host, rule, None);
        tracing::info!(by, %scope, alerts = count, "acknowledgements removed");
        self.alerts_after(count)
    }

    fn set_acknowledged(
        &self,
        host: &str,
        rule: Option<&str>,
        acknowledged: Option<&Acknowledgement>,
    ) -> (Scope, usize) {
        let scope = Scope::new(host, rule.unwrap_or("*"));
        let count = self.notifier.acknowledge(&scope, acknowledged);
        (scope, count)
    }

    fn alerts_after(&self, changed: usize) -> Alerts {
        Alerts {
            changed: u32::try_from(changed).unwrap_or(u32::MAX),
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
