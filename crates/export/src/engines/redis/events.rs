//! Events as entries of a stream. Pure.

use redis::{Cmd, Value, cmd};
use sysmon_wire::UnixMs;
use sysmon_wire::timeline::{Event, EventKind};

use crate::EventPosition;

/// Appends an event to the stream.
pub(super) fn entry(key: &str, length: i64, id: &str, event: &Event) -> Cmd {
    let mut add = cmd("XADD");
    add.arg(key).arg("MAXLEN").arg("~").arg(length).arg(id);
    add.arg("time_ms").arg(event.time.0);
    add.arg("host").arg(event.host.as_str());
    let (kind, severity) = match event.kind {
        EventKind::Fired(severity) => ("firing", Some(severity)),
        EventKind::Resolved(severity) => ("resolved", Some(severity)),
        kind => (kind.as_str(), None),
    };
    add.arg("kind").arg(kind);
    if let Some(severity) = severity {
        add.arg("severity").arg(severity.as_str());
    }
    add.arg("text").arg(event.text.as_str());
    add
}

/// The id of the first entry in an answer to `XREVRANGE`.
pub(super) fn stream_id(answer: &Value) -> Option<EventPosition> {
    let Value::Array(entries) = answer else {
        return None;
    };
    let Value::Array(entry) = entries.first()? else {
        return None;
    };
    let Value::BulkString(id) = entry.first()? else {
        return None;
    };
    let (created, id) = std::str::from_utf8(id).ok()?.split_once('-')?;
    Some(EventPosition::Newest {
        created: UnixMs(created.parse().ok()?),
        id: id.parse().ok()?,
    })
}
