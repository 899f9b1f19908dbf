//! Signal, by the REST API for signal-cli: <https://github.com/bbernhard/signal-cli-rest-api>

use serde_json::json;

use super::{Address, Request, Service};
use crate::notify::capacity::Capacity;

const RECIPIENTS_MAX: usize = 20;

pub(super) const SIGNAL: Service = Service {
    kind: "signal:",
    form: "signal:http://HOST:8080/?from=+491511234567&to=+491517654321,group.ID (at most 20)",
    name: "signal",
    parse: |text| {
        let address = Address::with_values(text, &["from", "to"], &[])?;
        let are_fit = recipients(&address).all(|one| !one.is_empty());
        (are_fit && recipients(&address).count() <= RECIPIENTS_MAX).then_some(address)
    },
    // A longer text becomes an attachment.
    // https://github.com/signalapp/Signal-Android/blob/main/app/src/main/java/org/thoughtcrime/securesms/util/MessageUtil.java
    capacity: Capacity::people(2_000, str::len),
    requests: |address, notification, _| {
        let recipients: Vec<&str> = recipients(address).collect();
        let body = json!({
            "number": address.value("from"), "recipients": recipients, "message": notification.text(),
        });
        vec![Request::json(address.url("/v2/send"), &body)]
    },
    ..Service::PLAIN
};

fn recipients(address: &Address) -> impl Iterator<Item = &str> {
    address.value("to").split(',')
}
