//! Hosts that get another name: their rows have numbers, so only the host and its events change.

use rusqlite::{Connection, params};
use sysmon_wire::timeline::Event;
use sysmon_wire::{Label, codec};

use super::StoreError;
use super::encoding::bytes_of;

pub(super) fn rename(connection: &Connection, from: &Label, to: &Label) -> Result<(), StoreError> {
    let renamed = connection.execute(
        "UPDATE host SET name = ? WHERE name = ?",
        params![to.as_str(), from.as_str()],
    )?;
    if renamed == 0 {
        return Ok(());
    }
    let mut statement = connection.prepare("SELECT id, data FROM event")?;
    let mut rows = statement.query([])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let data = row.get_ref(1)?.as_blob().unwrap_or_default();
        // An event of a kind that this version does not know stays as it is.
        if let Ok(event) = codec::decode::<Event>(data)
            && event.host == *from
        {
            events.push((row.get::<_, i64>(0)?, event));
        }
    }
    for (id, mut event) in events {
        event.host = to.clone();
        let data = bytes_of(&event)?;
        connection.execute("UPDATE event SET data = ? WHERE id = ?", params![data, id])?;
    }
    Ok(())
}
