//! Apprise API, which passes messages to other services: <https://github.com/caronc/apprise-api#api-details>

use serde_json::json;

use super::{Address, Request, Service};
use crate::notify::capacity::{Capacity, utf16_units};
use crate::notify::lines::Rank;

pub(super) const APPRISE: Service = Service {
    kind: "apprise:",
    form: "apprise:https://HOST/notify/KEY or apprise:https://HOST/notify/KEY?tag=TAG",
    name: "apprise",
    parse: |text| {
        let address = Address::with_values(text, &[], &["tag"])?;
        let url = address.url("");
        let (_, key) = url.rsplit_once("/notify/")?;
        (!key.is_empty() && !key.contains('/')).then_some(address)
    },
    // What the chats behind it take is unknown here; 2,000 is the limit of Discord.
    capacity: Capacity::people(2_000, utf16_units),
    // The key has no services.
    is_204_failure: true,
    requests: |address, notification, _| {
        let kind = match notification.rank() {
            Rank::Critical => "failure",
            Rank::Warning => "warning",
            Rank::Resolved => "success",
        };
        let mut body = json!({
            "title": notification.title(), "body": notification.text(), "type": kind, "format": "text",
        });
        if !address.value("tag").is_empty() {
            body["tag"] = address.value("tag").into();
        }
        vec![Request::json(address.url(""), &body)]
    },
    ..Service::PLAIN
};
