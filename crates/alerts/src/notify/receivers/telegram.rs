//! Telegram, by a bot: <https://core.telegram.org/bots/api#sendmessage>

use serde_json::json;

use super::address::segment;
use super::{Address, Request, Service};
use crate::notify::capacity::{Capacity, utf16_units};

pub(super) const TELEGRAM: Service = Service {
    kind: "telegram:",
    form: "telegram:TOKEN@CHAT or telegram:https://HOST/?token=TOKEN&chat=CHAT",
    name: "telegram",
    parse,
    // Counted after markup, of which there is none.
    capacity: Capacity::people(4_096, utf16_units),
    requests: |address, notification, _| {
        let path = format!("/bot{}/sendMessage", segment(address.value("token")));
        let mut body = json!({
            "chat_id": address.value("chat"), "text": notification.text(),
            "link_preview_options": { "is_disabled": true },
        });
        if let Ok(thread) = address.value("thread").parse::<i64>() {
            body["message_thread_id"] = thread.into();
        }
        vec![Request::json(address.url(&path), &body)]
    },
    ..Service::PLAIN
};

/// A token never has an `@`, and the name of a channel begins with one.
fn parse(text: &str) -> Option<Address> {
    if text.contains("://") {
        let address = Address::with_values(text, &["token", "chat"], &["thread"])?;
        let thread = address.value("thread");
        return (thread.is_empty() || thread.parse::<i64>().is_ok()).then_some(address);
    }
    let (token, chat) = text.split_once('@')?;
    let values = vec![("token", token.to_owned()), ("chat", chat.to_owned())];
    Address::of("https://api.telegram.org", values)
}
