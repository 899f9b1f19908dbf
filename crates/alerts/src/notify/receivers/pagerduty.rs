//! PagerDuty, Events API v2: <https://developer.pagerduty.com/docs/events-api-v2/trigger-events/>

use serde_json::{Value, json};

use super::{Address, Request, Service, rfc3339};
use crate::Transition;
use crate::notify::capacity::{Capacity, characters, shortened};
use crate::notify::notification::{Notification, alert_key};

const SUMMARY_MAX: usize = 1_024;

pub(super) const PAGERDUTY: Service = Service {
    kind: "pagerduty:",
    form: "pagerduty:KEY or pagerduty:https://events.eu.pagerduty.com/?key=KEY",
    name: "pagerduty",
    parse,
    // An event for each alert. A key takes two a second.
    capacity: Capacity::ONE_ALERT,
    is_keyed: true,
    requests: |address, notification, _| {
        let transitions = notification.transitions().iter();
        let events = transitions.map(|one| event(address.value("key"), notification, one));
        let request = |event| Request::json(address.url("/v2/enqueue"), &event);
        events.map(request).collect()
    },
    ..Service::PLAIN
};

fn parse(text: &str) -> Option<Address> {
    if text.contains("://") {
        return Address::with_values(text, &["key"], &[]);
    }
    Address::of(
        "https://events.pagerduty.com",
        vec![("key", text.to_owned())],
    )
}

fn event(
    key: &str,
    notification: &Notification,
    Transition { alert, firing }: &Transition,
) -> Value {
    if !firing {
        return json!({
            "routing_key": key, "event_action": "resolve", "dedup_key": alert_key(alert),
        });
    }
    let summary = notification.line_about(alert);
    let mut payload = json!({
        "summary": shortened(&summary, SUMMARY_MAX, characters),
        "source": alert.host, "severity": alert.severity.as_str(), "timestamp": rfc3339(alert.since),
    });
    if !notification.is_brief() {
        payload["class"] = alert.rule.as_str().into();
        payload["component"] = alert.what.as_str().into();
        payload["custom_details"] = json!({ "tags": alert.tags, "value": alert.value });
    }
    json!({
        "routing_key": key, "event_action": "trigger", "dedup_key": alert_key(alert),
        "client": "sysmon", "payload": payload,
    })
}
