//! Arbitrary bytes as a series table, and the series that it defines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sysmon_wire::{SeriesTable, codec};

fuzz_target!(|bytes: &[u8]| {
    let Ok(table) = codec::decode::<SeriesTable>(bytes) else {
        return;
    };
    let Ok(keys) = table.keys() else {
        return;
    };
    assert_eq!(keys.len(), table.len());
    assert_eq!(SeriesTable::new(&keys).keys().as_ref(), Ok(&keys));
});
