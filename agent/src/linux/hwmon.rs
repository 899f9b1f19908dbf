//! Temperatures, fans and power: `/sys/class/hwmon` (Documentation/hwmon/sysfs-interface.rst).

use std::path::{Path, PathBuf};

use sysmon_wire::Label;
use sysmon_wire::metrics::{FAN_SPEED, Metric, POWER, TEMPERATURE, TEMPERATURE_LIMIT};

use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

/// Sensors per host; a large server has about 200.
const SENSORS_MAX: usize = 256;

/// Plausible temperatures in thousandths of a degree; others come from sensors that are not connected.
const PLAUSIBLE: std::ops::RangeInclusive<i64> = -60_000..=150_000;

/// Plausible limits in thousandths of a degree; drivers report 0 or 65 261 °C for none.
const LIMITS: std::ops::RangeInclusive<i64> = 30_000..=150_000;

/// Scans per reading of limits, which hardly ever change.
const LIMITS_EVERY: u64 = 20;

#[derive(Debug)]
struct Sensor {
    path: PathBuf,
    file: KernelFile,
    slot: Slot,
    is_temperature: bool,
    limit: Option<(PathBuf, Slot)>,
}

#[derive(Debug)]
pub(super) struct Hwmon {
    sensors: Vec<Sensor>,
    hottest: Option<Slot>,
    scans: u64,
}

impl Hwmon {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let mut hwmon = Self {
            sensors: Vec::new(),
            hottest: None,
            scans: 0,
        };
        hwmon.scan(roots, board);
        hwmon
    }

    pub(super) fn scan(&mut self, roots: &Roots, board: &mut Board) {
        self.sensors.retain_mut(|sensor| {
            let is_present = sensor.path.exists();
            if is_present {
                sensor.file.reopen();
            } else {
                board.clear(sensor.slot);
                sensor.limit.iter().for_each(|(_, slot)| board.clear(*slot));
            }
            is_present
        });
        let mut chips: Vec<_> = entries(&roots.sys.join("class/hwmon"));
        chips.sort();
        for chip in chips {
            let chip_name = text(&chip.join("name")).unwrap_or_else(|| "hwmon".to_owned());
            let mut files = entries(&chip);
            files.sort();
            for path in files {
                self.add(&chip, &chip_name, path, board);
            }
        }
        if self.scans.is_multiple_of(LIMITS_EVERY) {
            self.sensors
                .iter()
                .for_each(|sensor| sensor.update_limit(board));
        }
        self.scans += 1;
    }

    fn add(&mut self, chip: &Path, chip_name: &str, path: PathBuf, board: &mut Board) {
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else {
            return;
        };
        let Some((sensor, metric)) = sensor(file) else {
            return;
        };
        let known = self.sensors.iter().any(|known| known.path == path);
        if known || self.sensors.len() >= SENSORS_MAX {
            return;
        }
        let label =
            text(&chip.join(format!("{sensor}_label"))).unwrap_or_else(|| sensor.to_owned());
        let name = Label::new(&format!("{chip_name} {label}"));
        let mut name = name;
        let mut slot = board.slot(metric.series(&[("hw.name", name.as_str())]));
        if self.sensors.iter().any(|known| known.slot == slot) {
            // Two chips of the same name are distinguished by number.
            let number = chip.file_name().unwrap_or_default().to_string_lossy();
            name = Label::new(&format!("{chip_name} {number} {label}"));
            slot = board.slot(metric.series(&[("hw.name", name.as_str())]));
        }
        let is_temperature = metric == TEMPERATURE;
        if is_temperature && self.hottest.is_none() {
            self.hottest = Some(board.slot(TEMPERATURE.series(&[])));
        }
        let limit = chip.join(format!("{sensor}_crit"));
        let limit = (is_temperature && read_limit(&limit).is_some()).then(|| {
            let key = TEMPERATURE_LIMIT.series(&[("hw.name", name.as_str())]);
            (limit, board.slot(key))
        });
        let sensor = Sensor {
            file: KernelFile::open(&path),
            path,
            slot,
            is_temperature,
            limit,
        };
        sensor.update_limit(board);
        self.sensors.push(sensor);
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        let mut hottest = None;
        for sensor in &mut self.sensors {
            let value = sensor.file.read_i64(context.buffer);
            let value = value.filter(|v| !sensor.is_temperature || PLAUSIBLE.contains(v));
            context.board.set_or_clear(sensor.slot, value);
            if sensor.is_temperature {
                hottest = hottest.max(value);
            }
        }
        if let Some(slot) = self.hottest {
            context.board.set_or_clear(slot, hottest);
        }
    }
}

impl Sensor {
    fn update_limit(&self, board: &mut Board) {
        if let Some((path, slot)) = &self.limit {
            board.set_or_clear(*slot, read_limit(path));
        }
    }
}

fn read_limit(path: &Path) -> Option<i64> {
    let limit = text(path)?.parse().ok();
    limit.filter(|limit| LIMITS.contains(limit))
}

fn sensor(file: &str) -> Option<(&str, Metric)> {
    let metric = match file.trim_end_matches("_input").trim_end_matches("_average") {
        name if name.starts_with("temp") => TEMPERATURE,
        name if name.starts_with("fan") => FAN_SPEED,
        name if name.starts_with("power") => POWER,
        _ => return None,
    };
    let name = file
        .strip_suffix("_input")
        .or_else(|| file.strip_suffix("_average").filter(|_| metric == POWER))?;
    Some((name, metric))
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

pub(super) fn text(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let text = Label::from_bytes(bytes.trim_ascii()).to_string();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::ReadBuffer;
    use crate::linux::testing::{collector_roots, value};
    use sysmon_wire::{ABSENT, UnixMs};

    #[test]
    fn sensors_are_named_by_chip_and_label_and_the_hottest_is_the_hosts_temperature() {
        let dir = tempfile::tempdir().unwrap();
        let chip = dir.path().join("class/hwmon/hwmon0");
        std::fs::create_dir_all(&chip).unwrap();
        for (file, content) in [
            ("name", "coretemp\n"),
            ("temp1_input", "41000\n"),
            ("temp1_label", "Package id 0\n"),
            ("temp2_input", "58500\n"),
            ("temp3_input", "-128000\n"),
            ("temp2_max", "100000\n"),
            ("temp1_crit", "105000\n"),
            ("temp2_crit", "65261850\n"),
            ("temp3_crit", "a lot\n"),
            ("fan1_input", "1200\n"),
            ("power1_average", "15000000\n"),
        ] {
            std::fs::write(chip.join(file), content).unwrap();
        }
        let roots = Roots {
            sys: dir.path().to_owned(),
            ..collector_roots()
        };
        let mut board = Board::new();
        let mut hwmon = Hwmon::new(&roots, &mut board);
        let mut buffer = ReadBuffer::default();
        let mut collect = |hwmon: &mut Hwmon, board: &mut Board| {
            hwmon.collect(&mut Context {
                board,
                buffer: &mut buffer,
                now: UnixMs(0),
            });
        };
        collect(&mut hwmon, &mut board);
        assert_eq!(
            value(&board, "hw.temperature", &["coretemp Package id 0"]),
            41_000
        );
        assert_eq!(value(&board, "hw.temperature", &[]), 58_500);
        assert_eq!(value(&board, "hw.temperature", &["coretemp temp3"]), ABSENT);
        let limit = |board: &Board, name| value(board, "hw.temperature.limit", &[name]);
        assert_eq!(limit(&board, "coretemp Package id 0"), 105_000);
        assert_eq!(limit(&board, "coretemp temp2"), ABSENT, "implausible");
        assert_eq!(value(&board, "hw.fan.speed", &["coretemp fan1"]), 1200);
        assert_eq!(value(&board, "hw.power", &["coretemp power1"]), 15_000_000);
        std::fs::remove_file(chip.join("temp2_input")).unwrap();
        hwmon.scan(&roots, &mut board);
        collect(&mut hwmon, &mut board);
        assert_eq!(value(&board, "hw.temperature", &[]), 41_000);
        std::fs::write(chip.join("temp1_crit"), "100000\n").unwrap();
        for _ in 0..LIMITS_EVERY {
            hwmon.scan(&roots, &mut board);
        }
        assert_eq!(limit(&board, "coretemp Package id 0"), 100_000);
        std::fs::remove_file(chip.join("temp1_input")).unwrap();
        hwmon.scan(&roots, &mut board);
        assert_eq!(limit(&board, "coretemp Package id 0"), ABSENT);
    }
}
