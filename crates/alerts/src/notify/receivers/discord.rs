//! Discord: <https://discord.com/developers/docs/resources/webhook#execute-webhook>

use serde_json::json;

use super::{Request, Service};
use crate::notify::capacity::{Capacity, utf16_units};

pub(super) const DISCORD: Service = Service {
    kind: "discord:",
    form: "discord:https://…",
    name: "discord webhook",
    capacity: Capacity::people(2_000, utf16_units),
    requests: |address, notification, _| {
        let body = json!({ "content": notification.text(), "allowed_mentions": { "parse": [] } });
        vec![Request::json(address.url(""), &body)]
    },
    ..Service::PLAIN
};
