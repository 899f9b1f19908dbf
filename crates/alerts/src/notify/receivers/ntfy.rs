//! ntfy: <https://docs.ntfy.sh/publish/>

use super::{Method, Request, Service};
use crate::notify::capacity::Capacity;

pub(super) const NTFY: Service = Service {
    kind: "ntfy:",
    form: "ntfy:https://…",
    name: "ntfy webhook",
    // A longer text becomes an attachment. https://docs.ntfy.sh/publish/#limitations
    capacity: Capacity::people(4_096, str::len),
    requests: |address, notification, _| {
        let priority = match notification.is_critical() {
            true => "urgent",
            false => "default",
        };
        let request = Request {
            method: Method::Post,
            url: address.url(""),
            headers: vec![("Content-Type", "text/plain; charset=utf-8".to_owned())],
            body: notification.text().to_owned(),
        };
        let title = ascii(&notification.title());
        vec![
            request
                .with("Title", title)
                .with("Priority", priority.to_owned()),
        ]
    },
    ..Service::PLAIN
};

/// A header has no other characters.
fn ascii(text: &str) -> String {
    let visible = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    text.chars().map(visible).collect()
}
