//! A program behind a URL, which gets everything as JSON.

use super::{Address, Request, Service};
use crate::notify::notification::Notification;

pub(super) const WEBHOOK: Service = Service {
    form: "https://…",
    name: "webhook",
    requests: |address: &Address, notification: &Notification, _| {
        vec![Request::json(address.url(""), &notification.json())]
    },
    ..Service::PLAIN
};

/// The same with its kind in front.
pub(super) const JSON: Service = Service {
    kind: "json:",
    form: "json:https://…",
    ..WEBHOOK
};
