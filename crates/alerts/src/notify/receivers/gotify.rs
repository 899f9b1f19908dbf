//! Gotify: <https://gotify.net/docs/pushmsg>

use serde_json::json;

use super::{Address, Request, Service};
use crate::notify::capacity::Capacity;
use crate::notify::lines::Rank;

pub(super) const GOTIFY: Service = Service {
    kind: "gotify:",
    form: "gotify:https://HOST/?token=TOKEN",
    name: "gotify",
    parse: |text| Address::with_values(text, &["token"], &[]),
    // No limit of the server, but of readers.
    capacity: Capacity::people(4_096, str::len),
    requests: |address, notification, _| {
        // Telephones make a sound from 4 on, and vibrate from 8 on.
        let priority = match notification.rank() {
            Rank::Critical => 8,
            Rank::Warning => 5,
            Rank::Resolved => 2,
        };
        let body = json!({
            "title": notification.title(), "message": notification.text(), "priority": priority,
        });
        let request = Request::json(address.url("/message"), &body);
        vec![request.with("X-Gotify-Key", address.value("token").to_owned())]
    },
    ..Service::PLAIN
};
