//! Prometheus' Alertmanager, API v2: <https://prometheus.io/docs/alerting/latest/alerts_api/>
//!
//! It holds alerts in memory, and until their end only. A firing alert therefore ends ten minutes after it was sent,
//! and is sent again every minute: that is more than the longest wait between two attempts, so that a receiver that was
//! unreachable resolves nothing, one that was restarted hears of everything, and what a stopped hub has left ends.

use std::time::Duration;

use serde_json::{Value, json};
use sysmon_wire::UnixMs;

use super::{Address, Request, Service, rfc3339};
use crate::Transition;
use crate::notify::notification::Notification;

const REPEAT: Duration = Duration::from_secs(60);
const ENDS_AFTER_MS: i64 = 10 * 60_000;

/// An end in the receiver's future would not count while the earlier one is later. This much its clock may be behind.
const CLOCK_MS: i64 = 60_000;

/// Alerts in one request.
const ALERTS_MAX: usize = 100;

pub(super) const ALERTMANAGER: Service = Service {
    kind: "alertmanager:",
    form: "alertmanager:http://HOST:9093",
    name: "alertmanager",
    parse: |text| Address::with_values(text, &[], &[]),
    is_keyed: true,
    repeat: Some(REPEAT),
    requests: |address, notification, now| {
        let part = |part: &[Transition]| {
            let alerts: Vec<Value> = part
                .iter()
                .map(|one| alert(notification, one, now))
                .collect();
            Request::json(address.url("/api/v2/alerts"), &alerts.into())
        };
        let parts = notification.transitions().chunks(ALERTS_MAX);
        parts.map(part).collect()
    },
    ..Service::PLAIN
};

fn alert(notification: &Notification, one: &Transition, now: UnixMs) -> Value {
    let alert = &one.alert;
    let mut labels = json!({
        "alertname": alert.rule, "host": alert.host, "severity": alert.severity.as_str(),
    });
    if !alert.what.is_empty() {
        labels["what"] = alert.what.as_str().into();
    }
    let summary = match notification.is_brief() {
        true => notification.text(),
        false => &alert.summary,
    };
    let end = match one.firing {
        true => now + ENDS_AFTER_MS,
        false => now - CLOCK_MS,
    };
    json!({
        "labels": labels, "annotations": { "summary": summary },
        // No alert may end before it starts.
        "startsAt": rfc3339(alert.since), "endsAt": rfc3339(end.max(alert.since)),
    })
}
