//! Slack: <https://api.slack.com/messaging/webhooks>

use serde_json::json;

use super::{Request, Service};
use crate::notify::capacity::Capacity;

pub(super) const SLACK: Service = Service {
    kind: "slack:",
    form: "slack:https://…",
    name: "slack webhook",
    // https://api.slack.com/methods/chat.postMessage#truncating
    capacity: Capacity::people(4_000, escaped_characters),
    requests: |address, notification, _| {
        let body = json!({ "text": escaped(notification.text()) });
        vec![Request::json(address.url(""), &body)]
    },
    ..Service::PLAIN
};

/// Names must not mention people: <https://api.slack.com/reference/surfaces/formatting#escaping>
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Characters after [`escaped`].
fn escaped_characters(text: &str) -> usize {
    let length = |c| match c {
        '&' => "&amp;".len(),
        '<' | '>' => "&lt;".len(),
        _ => 1,
    };
    text.chars().map(length).sum()
}
