//! What `smartctl --json` prints, of ATA, SCSI and NVMe disks and of any version. Pure.

use serde_json::Value;

use super::attributes::{self, whole};
use super::report::{DISKS_MAX, Disk};

/// Bits of the exit status (smartctl(8)).
const OPEN_FAILED: u64 = 1 << 1;
const FAILING: u64 = 1 << 3;
const SELF_TEST_FAILED: u64 = 1 << 7;

/// A disk as `smartctl --scan-open` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) path: String,
    /// As `-d` wants it.
    pub(super) kind: String,
}

impl Device {
    /// `sda`; with the number of the disk where several share a path.
    pub(super) fn name(&self) -> String {
        let base = self.path.rsplit('/').next().unwrap_or_default();
        match self.kind.split_once(',') {
            Some(_) => format!("{base} {}", self.kind),
            None => base.to_owned(),
        }
    }
}

/// What one run found out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    Disk(Box<Disk>),
    /// It sleeps and was not woken.
    Asleep,
    /// It has nothing to say, or cannot be asked: why.
    Nothing(String),
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path)?.as_str()
}

fn number(value: &Value, path: &[&str]) -> Option<u64> {
    whole(at(value, path))
}

/// Only what is safe as an argument and a name.
fn is_plain(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "/_-,+.:".contains(c);
    !text.is_empty() && text.len() <= 128 && text.chars().all(fits)
}

/// The disks of `smartctl --json --scan-open`.
///
/// # Errors
/// The text is not what a version with JSON prints.
pub(super) fn scan(output: &[u8]) -> Result<Vec<Device>, String> {
    let value = json(output)?;
    let device = |entry: &Value| {
        let (path, kind) = (text(entry, &["name"])?, text(entry, &["type"])?);
        let is_safe = path.starts_with("/dev/") && is_plain(path) && is_plain(kind);
        is_safe.then(|| Device {
            path: path.to_owned(),
            kind: kind.to_owned(),
        })
    };
    let devices = at(&value, &["devices"]).and_then(Value::as_array);
    let devices = devices.into_iter().flatten().filter_map(device);
    Ok(devices.take(DISKS_MAX).collect())
}

fn json(output: &[u8]) -> Result<Value, String> {
    if output.iter().all(u8::is_ascii_whitespace) {
        return Err("smartctl printed nothing".to_owned());
    }
    serde_json::from_slice(output).map_err(|_| {
        "smartctl printed no JSON: it is older than 7.0, or its output was too long".to_owned()
    })
}

/// The health of a disk by what `smartctl --json --all -n standby` printed.
pub(super) fn disk(output: &[u8], device: &Device, now_ms: i64) -> Found {
    let value = match json(output) {
        Ok(value) => value,
        Err(problem) => return Found::Nothing(problem),
    };
    let status = number(&value, &["smartctl", "exit_status"]).unwrap_or(0);
    let messages = at(&value, &["smartctl", "messages"]).and_then(Value::as_array);
    let messages = messages.into_iter().flatten();
    let messages: Vec<&str> = messages.filter_map(|one| text(one, &["string"])).collect();
    let is_asleep = |text: &&str| {
        let text = text.to_ascii_uppercase();
        text.contains("STANDBY") || text.contains("SLEEP")
    };
    if status & OPEN_FAILED != 0 {
        return match messages.iter().find(|text| is_asleep(text)) {
            Some(_) => Found::Asleep,
            None => Found::Nothing(first(&messages)),
        };
    }
    let mut disk = Disk {
        name: device.name(),
        time_ms: now_ms,
        ..Disk::default()
    };
    common(&value, status, &mut disk);
    if let Some(table) = at(&value, &["ata_smart_attributes", "table"]) {
        attributes::read(table, &mut disk);
    }
    ata_self_test(&value, &mut disk);
    nvme(&value, &mut disk);
    scsi(&value, &mut disk);
    match disk.is_failing.is_some() || disk.power_on_hours.is_some() || disk.temperature.is_some() {
        true => Found::Disk(Box::new(disk)),
        false => Found::Nothing(first(&messages)),
    }
}

fn first(messages: &[&str]) -> String {
    let message = messages.first().copied();
    message
        .unwrap_or("it tells nothing of its health")
        .to_owned()
}

/// What smartctl says of every kind.
fn common(value: &Value, status: u64, disk: &mut Disk) {
    let passed = at(value, &["smart_status", "passed"]).and_then(Value::as_bool);
    disk.is_failing = match status & FAILING {
        0 => passed.map(|passed| !passed),
        _ => Some(true),
    };
    if status & SELF_TEST_FAILED != 0 {
        disk.has_failed_test = Some(true);
    }
    let celsius = at(value, &["temperature", "current"]).and_then(Value::as_i64);
    // A disk without a sensor says 0 or 255.
    disk.temperature = celsius.filter(|celsius| (-40..=150).contains(celsius) && *celsius != 0);
    disk.power_on_hours = number(value, &["power_on_time", "hours"]);
    let used = number(value, &["endurance_used", "current_percent"]);
    disk.wear = used
        .filter(|used| *used <= 1000)
        .map(|used| used as i64 * 10);
    let spare = number(value, &["spare_available", "current_percent"]);
    disk.spare = spare
        .filter(|spare| *spare <= 100)
        .map(|spare| spare as i64 * 10);
}

/// The newest self-test is the first of its log.
fn ata_self_test(value: &Value, disk: &mut Disk) {
    for log in ["extended", "standard"] {
        let table = at(value, &["ata_smart_self_test_log", log, "table"]);
        let Some(newest) = table.and_then(|table| table.get(0)) else {
            continue;
        };
        // 3 to 8 are failures, in the upper four bits (ACS-5).
        if let Some(status) = number(newest, &["status", "value"]) {
            disk.has_failed_test = Some((3..=8).contains(&(status >> 4)));
        }
        return;
    }
}

fn nvme(value: &Value, disk: &mut Disk) {
    let Some(log) = value.get("nvme_smart_health_information_log") else {
        return;
    };
    if number(log, &["critical_warning"]).is_some_and(|bits| bits != 0) {
        disk.is_failing = Some(true);
    }
    let share = |key: &str| number(log, &[key]).filter(|percent| *percent <= 255);
    disk.wear = share("percentage_used")
        .map(|used| used as i64 * 10)
        .or(disk.wear);
    disk.spare = share("available_spare")
        .map(|left| left as i64 * 10)
        .or(disk.spare);
    disk.uncorrectable = number(log, &["media_errors"]);
    disk.power_on_hours = number(log, &["power_on_hours"]).or(disk.power_on_hours);
    let newest = at(value, &["nvme_self_test_log", "table"]).and_then(|table| table.get(0));
    // 5 to 7 are failures (NVMe, device self-test log).
    if let Some(result) = newest.and_then(|one| number(one, &["self_test_result", "value"])) {
        disk.has_failed_test = Some((5..=7).contains(&result));
    }
}

fn scsi(value: &Value, disk: &mut Disk) {
    if let Some(grown) = number(value, &["scsi_grown_defect_list"]) {
        disk.reallocated = Some(grown);
    }
    if let Some(used) = number(value, &["scsi_percentage_used_endurance_indicator"]) {
        disk.wear = Some(used.min(1000) as i64 * 10);
    }
    if let Some(log) = value.get("scsi_error_counter_log") {
        let errors = ["read", "write", "verify"].into_iter();
        let counts = errors.filter_map(|way| number(log, &[way, "total_uncorrected_errors"]));
        disk.uncorrectable = counts.reduce(u64::saturating_add);
    }
    let newest = number(value, &["scsi_self_test_0", "result", "value"]);
    if let Some(result) = newest {
        // 3 to 7 are failures (SPC-4, self-test results log page).
        disk.has_failed_test = Some((3..=7).contains(&result));
    }
}

#[cfg(test)]
mod tests;
