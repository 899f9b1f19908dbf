//! Opsgenie: <https://docs.opsgenie.com/docs/alert-api>

use serde_json::json;

use super::{Address, Request, Service};
use crate::Transition;
use crate::notify::capacity::{Capacity, characters, shortened};
use crate::notify::notification::{Notification, alert_key};
use sysmon_wire::message::Severity;

const MESSAGE_MAX: usize = 130;
const DESCRIPTION_MAX: usize = 15_000;
const ENTITY_MAX: usize = 512;
/// Details have 8,000 characters together.
const DETAIL_MAX: usize = 1_000;

pub(super) const OPSGENIE: Service = Service {
    kind: "opsgenie:",
    form: "opsgenie:KEY or opsgenie:https://api.eu.opsgenie.com/?key=KEY",
    name: "opsgenie",
    parse,
    capacity: Capacity::ONE_ALERT,
    is_keyed: true,
    requests: |address, notification, _| {
        let transitions = notification.transitions().iter();
        let request = |one| {
            let key = format!("GenieKey {}", address.value("key"));
            request(address, notification, one).with("Authorization", key)
        };
        transitions.map(request).collect()
    },
    ..Service::PLAIN
};

fn parse(text: &str) -> Option<Address> {
    if text.contains("://") {
        return Address::with_values(text, &["key"], &[]);
    }
    Address::of("https://api.opsgenie.com", vec![("key", text.to_owned())])
}

fn request(
    address: &Address,
    notification: &Notification,
    Transition { alert, firing }: &Transition,
) -> Request {
    let alias = alert_key(alert);
    if !firing {
        let path = format!("/v2/alerts/{alias}/close?identifierType=alias");
        return Request::json(address.url(&path), &json!({ "source": "sysmon" }));
    }
    let line = notification.line_about(alert);
    let priority = match alert.severity {
        Severity::Critical => "P1",
        Severity::Warning => "P3",
    };
    let mut body = json!({
        "message": shortened(&line, MESSAGE_MAX, characters), "alias": alias,
        "description": shortened(&line, DESCRIPTION_MAX, characters),
        "entity": shortened(&alert.host, ENTITY_MAX, characters),
        "source": "sysmon", "priority": priority,
    });
    if !notification.is_brief() {
        let detail = |text: &str| shortened(text, DETAIL_MAX, characters);
        body["details"] = json!({
            "rule": detail(&alert.rule), "host": detail(&alert.host), "what": detail(&alert.what),
        });
    }
    Request::json(address.url("/v2/alerts"), &body)
}
