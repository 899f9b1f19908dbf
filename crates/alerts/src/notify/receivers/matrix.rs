//! Matrix: <https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>

use serde_json::json;

use super::address::segment;
use super::{Address, Method, Request, Service};
use crate::notify::capacity::{Capacity, json_bytes};
use crate::notify::lines::Rank;

pub(super) const MATRIX: Service = Service {
    kind: "matrix:",
    form: "matrix:https://HOST/?token=TOKEN&room=!ROOM:SERVER",
    name: "matrix",
    parse: |text| {
        let address = Address::with_values(text, &["token", "room"], &[])?;
        // The name of a room, which begins with #, is not its id.
        let is_id = address.value("room").starts_with('!');
        is_id.then_some(address)
    },
    // An event has at most 65,536 bytes. https://spec.matrix.org/latest/client-server-api/#size-limits
    capacity: Capacity::people(30_000, json_bytes),
    requests: |address, notification, _| {
        // The server ignores a second event with the same transaction.
        let path = format!(
            "/_matrix/client/v3/rooms/{}/send/m.room.message/{}",
            segment(address.value("room")),
            notification.id()
        );
        // By default telephones are silent for a notice.
        let kind = match notification.rank() {
            Rank::Resolved => "m.notice",
            Rank::Critical | Rank::Warning => "m.text",
        };
        let body = json!({ "msgtype": kind, "body": notification.text() });
        let request = Request::json(address.url(&path), &body);
        let token = format!("Bearer {}", address.value("token"));
        let method = Method::Put;
        vec![Request { method, ..request }.with("Authorization", token)]
    },
    ..Service::PLAIN
};
