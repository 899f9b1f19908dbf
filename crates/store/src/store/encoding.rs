//! Values and keys of series as bytes of columns.

use sysmon_wire::{SeriesKey, SeriesTable, codec};

use super::StoreError;

pub(super) fn bytes_of<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes)?;
    Ok(bytes)
}

pub(super) fn bytes_of_key(key: &SeriesKey) -> Result<Vec<u8>, StoreError> {
    bytes_of(&SeriesTable::new(std::iter::once(key)))
}

/// The key in a table of one series.
pub(super) fn key_of(bytes: &[u8]) -> Result<Option<SeriesKey>, StoreError> {
    let table: SeriesTable = codec::decode(bytes)?;
    Ok(table.keys()?.pop())
}
