//! The file between `sysmon-agent smart`, which runs as root, and the agent. Serial numbers never enter it.

use serde::{Deserialize, Serialize};

/// Disks of one machine.
pub(crate) const DISKS_MAX: usize = 64;

/// Its name in the folder.
pub const FILE: &str = "health.json";

/// What is known of the disks of a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// When it was gathered, in Unix milliseconds.
    pub time_ms: i64,
    /// Why it is not complete.
    pub problems: Vec<String>,
    pub disks: Vec<Disk>,
}

/// What is known of one disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// `sda`; behind a controller `sda megaraid,4`.
    pub name: String,
    /// When it was asked last; a disk that sleeps is not woken.
    pub time_ms: i64,
    /// The disk's own verdict.
    pub is_failing: Option<bool>,
    /// Whether the newest self-test found something.
    pub has_failed_test: Option<bool>,
    /// In degrees Celsius.
    pub temperature: Option<i64>,
    /// The share of its life that is used, in thousandths; more than 1000 if it lives longer.
    pub wear: Option<i64>,
    /// The share of spare blocks that is left, in thousandths.
    pub spare: Option<i64>,
    pub reallocated: Option<u64>,
    pub pending: Option<u64>,
    /// Errors that the disk could not correct.
    pub uncorrectable: Option<u64>,
    /// Errors on the way to the disk: cables and connectors.
    pub interface_errors: Option<u64>,
    pub power_on_hours: Option<u64>,
}

impl Report {
    /// A line for each disk.
    pub fn to_table(&self) -> String {
        let count = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let share = |value: Option<i64>| {
            value.map_or_else(|| "-".to_owned(), |permille| format!("{} %", permille / 10))
        };
        let mut text = format!(
            "{:<18} {:<8} {:>6} {:>6} {:>6} {:>8} {:>8} {:>8} {:>9}\n",
            "DISK", "VERDICT", "TEMP", "WEAR", "SPARE", "REPLACED", "PENDING", "ERRORS", "ON, DAYS"
        );
        for disk in &self.disks {
            let verdict = match disk.is_failing {
                Some(true) => "FAILING",
                Some(false) => "passed",
                None => "-",
            };
            let degrees = disk
                .temperature
                .map_or_else(|| "-".to_owned(), |t| format!("{t} C"));
            text += &format!(
                "{:<18} {verdict:<8} {degrees:>6} {:>6} {:>6} {:>8} {:>8} {:>8} {:>9}\n",
                disk.name,
                share(disk.wear),
                share(disk.spare),
                count(disk.reallocated),
                count(disk.pending),
                count(disk.uncorrectable),
                count(disk.power_on_hours.map(|hours| hours / 24)),
            );
        }
        text
    }
}
