//! Microsoft Teams: a message with a card.

use serde_json::json;

use super::{Request, Service};
use crate::notify::capacity::{Capacity, json_bytes};

pub(super) const TEAMS: Service = Service {
    kind: "teams:",
    form: "teams:https://…",
    name: "teams webhook",
    // A message has at most 28 KB, and the text is in it twice, in JSON.
    // https://learn.microsoft.com/microsoftteams/platform/bots/how-to/format-your-bot-messages
    capacity: Capacity::people(10_000, json_bytes),
    requests: |address, notification, _| {
        let text = notification.text();
        // A card's text is Markdown, which ignores a single line break.
        let block =
            json!({ "type": "TextBlock", "text": text.replace('\n', "\n\n"), "wrap": true });
        let card = json!({ "type": "AdaptiveCard", "version": "1.4", "body": [block] });
        let attachment =
            json!({ "contentType": "application/vnd.microsoft.card.adaptive", "content": card });
        let body = json!({ "type": "message", "text": text, "attachments": [attachment] });
        vec![Request::json(address.url(""), &body)]
    },
    ..Service::PLAIN
};
