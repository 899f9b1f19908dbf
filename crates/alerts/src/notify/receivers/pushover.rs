//! Pushover: <https://pushover.net/api>

use serde_json::json;

use super::{Address, Request, Service};
use crate::notify::capacity::{Capacity, characters, shortened};

const TITLE_MAX: usize = 250;

pub(super) const PUSHOVER: Service = Service {
    kind: "pushover:",
    form: "pushover:TOKEN@USER or pushover:https://HOST/?token=TOKEN&user=USER",
    name: "pushover",
    parse,
    // https://pushover.net/api#limits
    capacity: Capacity::people(1_024, characters),
    requests: |address, notification, _| {
        let body = json!({
            "token": address.value("token"), "user": address.value("user"),
            "title": shortened(&notification.title(), TITLE_MAX, characters),
            "message": notification.text(),
            // 1 is shown during the quiet hours of a user, too.
            "priority": i32::from(notification.is_critical()),
        });
        vec![Request::json(address.url("/1/messages.json"), &body)]
    },
    ..Service::PLAIN
};

fn parse(text: &str) -> Option<Address> {
    if text.contains("://") {
        return Address::with_values(text, &["token", "user"], &[]);
    }
    let (token, user) = text.split_once('@')?;
    let values = vec![("token", token.to_owned()), ("user", user.to_owned())];
    Address::of("https://api.pushover.net", values)
}
