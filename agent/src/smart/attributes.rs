//! Attributes of ATA disks, whose numbers mean what each vendor says. Pure.

use serde_json::Value;

use super::report::Disk;

/// Of the largest raw values that are plausible: counts of sectors and errors.
const COUNT_MAX: u64 = 1 << 40;

/// What an attribute says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Reallocated,
    Pending,
    Uncorrectable,
    InterfaceErrors,
    /// Its normalized value is the share of life that is left.
    LifeLeft,
    /// Its raw value is the share of life that is used.
    LifeUsed,
}

/// Numbers of attributes, as smartmontools' database of drives has them. Of those that vendors use for other things the
/// name has to contain a word.
const MEANINGS: [(u64, Meaning, &str); 12] = [
    (5, Meaning::Reallocated, ""),
    (197, Meaning::Pending, ""),
    (198, Meaning::Uncorrectable, ""),
    (199, Meaning::InterfaceErrors, "CRC"),
    (169, Meaning::LifeLeft, "Life"),
    (173, Meaning::LifeLeft, "Wear"),
    (177, Meaning::LifeLeft, "Wear"),
    (202, Meaning::LifeLeft, "Life"),
    (231, Meaning::LifeLeft, "Life"),
    (232, Meaning::LifeLeft, "Life"),
    (233, Meaning::LifeLeft, "Wearout"),
    (245, Meaning::LifeUsed, "Life_Used"),
];

/// A whole number, or one in a text, as versions and kinds of disks differ.
pub(super) fn whole(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.split_whitespace().next()?.parse().ok(),
        _ => None,
    }
}

/// Sets what the table of attributes says.
pub(super) fn read(table: &Value, disk: &mut Disk) {
    for attribute in table.as_array().into_iter().flatten() {
        let id = whole(attribute.get("id"));
        let name = attribute.get("name").and_then(Value::as_str);
        let name = name.unwrap_or_default();
        let found = MEANINGS.iter().find(|(number, _, word)| {
            Some(*number) == id && (word.is_empty() || name.contains(word))
        });
        let Some((_, meaning, _)) = found else {
            continue;
        };
        // The lower 32 bits: some vendors store other counts above them.
        let raw = whole(attribute.get("raw").and_then(|raw| raw.get("value")));
        let count = raw
            .filter(|raw| *raw < COUNT_MAX)
            .map(|raw| raw & u64::from(u32::MAX));
        let normalized = whole(attribute.get("value")).filter(|value| *value <= 100);
        match meaning {
            Meaning::Reallocated => disk.reallocated = count,
            Meaning::Pending => disk.pending = count,
            Meaning::Uncorrectable => disk.uncorrectable = count,
            Meaning::InterfaceErrors => disk.interface_errors = count,
            Meaning::LifeLeft => {
                let used = normalized.map(|left| (100 - left as i64) * 10);
                disk.wear = disk.wear.max(used);
            }
            Meaning::LifeUsed => {
                let used = raw.filter(|used| *used <= 1000);
                disk.wear = disk.wear.max(used.map(|used| used as i64 * 10));
            }
        }
    }
}
