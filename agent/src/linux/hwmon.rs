//! Temperatures, fans and power: `/sys/class/hwmon` (Documentation/hwmon/sysfs-interface.rst), and the thermal zones
//! that are not among these: `/sys/class/thermal` (Documentation/driver-api/thermal/sysfs-api.rst).

use std::path::{Path, PathBuf};

use sysmon_wire::metrics::{FAN_SPEED, Metric, POWER, TEMPERATURE, TEMPERATURE_LIMIT};
use sysmon_wire::{Label, LimitState};

use super::listing::ListLimit;
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

/// Trip points of a thermal zone among which the critical one is looked for.
const TRIP_POINTS_MAX: usize = 12;

#[derive(Debug)]
struct Sensor {
    path: PathBuf,
    metric: Metric,
    name: Label,
    file: KernelFile,
    slot: Slot,
    limit: Option<(PathBuf, Slot)>,
}

/// A sensor that exists, before it has a name.
struct Found<'a> {
    path: PathBuf,
    metric: Metric,
    chip: &'a Path,
    /// What the chip and the sensor are called; several may be called the same.
    chip_name: &'a str,
    label: String,
    /// The sensor's number within its chip.
    number: &'a str,
    limit: PathBuf,
}

#[derive(Debug)]
pub(super) struct Hwmon {
    sensors: Vec<Sensor>,
    hottest: Option<Slot>,
    limit: ListLimit,
    left_out: usize,
    scans: u64,
}

impl Hwmon {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let mut hwmon = Self {
            sensors: Vec::new(),
            hottest: None,
            limit: ListLimit::new("sensors", SENSORS_MAX),
            left_out: 0,
            scans: 0,
        };
        hwmon.scan(roots, board);
        hwmon
    }

    pub(super) fn scan(&mut self, roots: &Roots, board: &mut Board) {
        self.sensors.retain(|sensor| {
            let is_present = sensor.path.exists();
            if !is_present {
                board.release(sensor.slot);
                let limit = sensor.limit.iter();
                limit.for_each(|(_, slot)| board.release(*slot));
            }
            is_present
        });
        self.left_out = 0;
        for chip in sorted(&roots.sys.join("class/hwmon")) {
            self.add_chip(&chip, board);
        }
        for zone in sorted(&roots.sys.join("class/thermal")) {
            self.add_zone(&zone, board);
        }
        self.limit.set_present(self.sensors.len() + self.left_out);
        if self.scans.is_multiple_of(LIMITS_EVERY) {
            self.sensors
                .iter()
                .for_each(|sensor| sensor.update_limit(board));
        }
        self.scans += 1;
    }

    pub(super) fn limit(&self) -> LimitState {
        self.limit.state()
    }

    fn add_chip(&mut self, chip: &Path, board: &mut Board) {
        let chip_name = text(&chip.join("name")).unwrap_or_else(|| "hwmon".to_owned());
        for path in sorted(chip) {
            let file = path.file_name().and_then(|name| name.to_str());
            let Some((number, metric)) = file.and_then(sensor) else {
                continue;
            };
            if self.is_known(&path) {
                continue;
            }
            let label = text(&chip.join(format!("{number}_label")));
            let found = Found {
                metric,
                chip,
                chip_name: &chip_name,
                label: label.unwrap_or_else(|| number.to_owned()),
                number,
                limit: chip.join(format!("{number}_crit")),
                path: path.clone(),
            };
            self.add(found, board);
        }
    }

    fn add_zone(&mut self, zone: &Path, board: &mut Board) {
        let path = zone.join("temp");
        let number = zone.file_name().unwrap_or_default().to_string_lossy();
        let files = sorted(zone);
        let mut names = files.iter().filter_map(|file| file.file_name()?.to_str());
        // Most kernels show a zone as a chip too.
        let is_chip = names.any(|name| name.starts_with("hwmon"));
        if !number.starts_with("thermal_zone") || is_chip || self.is_known(&path) {
            return;
        }
        let Some(label) = text(&zone.join("type")) else {
            return;
        };
        let point = |at: usize, what: &str| zone.join(format!("trip_point_{at}_{what}"));
        let critical = (0..TRIP_POINTS_MAX)
            .find(|at| text(&point(*at, "type")).as_deref() == Some("critical"));
        let found = Found {
            path,
            metric: TEMPERATURE,
            chip: zone,
            chip_name: "thermal",
            label,
            number: &number,
            limit: point(critical.unwrap_or(0), "temp"),
        };
        if critical.is_some() {
            self.add(found, board);
        } else {
            let limit = PathBuf::new();
            self.add(Found { limit, ..found }, board);
        }
    }

    fn is_known(&self, path: &Path) -> bool {
        self.sensors.iter().any(|known| known.path == path)
    }

    fn add(&mut self, found: Found<'_>, board: &mut Board) {
        if self.sensors.len() >= SENSORS_MAX {
            self.left_out += 1;
            return;
        }
        let name = self.name(&found);
        let metric = found.metric;
        if metric == TEMPERATURE && self.hottest.is_none() {
            self.hottest = Some(board.slot(TEMPERATURE.series(&[])));
        }
        let has_limit = metric == TEMPERATURE && read_limit(&found.limit).is_some();
        let attributes = [("hw.name", name.as_str())];
        let sensor = Sensor {
            file: KernelFile::open_each_time(found.path.clone()),
            slot: board.slot(metric.series(&attributes)),
            limit: has_limit.then(|| {
                let slot = board.slot(TEMPERATURE_LIMIT.series(&attributes));
                (found.limit, slot)
            }),
            path: found.path,
            metric,
            name,
        };
        sensor.update_limit(board);
        self.sensors.push(sensor);
    }

    /// A name that no other sensor has: sensors with the same label get their number, and chips with the same name get the
    /// name of their device.
    fn name(&self, found: &Found<'_>) -> Label {
        let Found {
            chip,
            chip_name,
            label,
            number,
            ..
        } = found;
        let holder = |name: &Label| {
            let mut same = self.sensors.iter().filter(|s| s.metric == found.metric);
            same.find(|sensor| sensor.name == *name)
        };
        let plain = Label::new(&format!("{chip_name} {label}"));
        let Some(other) = holder(&plain) else {
            return plain;
        };
        let device = std::fs::read_link(chip.join("device")).ok();
        let device = device.as_deref().unwrap_or(chip).file_name();
        let device = device.unwrap_or_default().to_string_lossy();
        let folder = chip.file_name().unwrap_or_default().to_string_lossy();
        let of_chip = [
            format!("{chip_name} {label} {number}"),
            format!("{chip_name} {device} {label}"),
            format!("{chip_name} {device} {label} {number}"),
            format!("{chip_name} {device} {folder} {label} {number}"),
        ];
        let is_same_chip = other.path.parent() == Some(*chip);
        let names = of_chip.iter().skip(usize::from(!is_same_chip));
        let mut names = names.map(|name| Label::new(name));
        names
            .find(|name| holder(name).is_none())
            .unwrap_or_else(|| Label::new(&found.path.to_string_lossy()))
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        let mut hottest = None;
        for sensor in &mut self.sensors {
            let is_temperature = sensor.metric == TEMPERATURE;
            let value = sensor.file.read_i64(context.buffer);
            let value = value.filter(|v| !is_temperature || PLAUSIBLE.contains(v));
            context.board.set_or_clear(sensor.slot, value);
            if is_temperature {
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

fn sorted(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
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
    /// The temperatures and fans of a `/sys` with these files.
    fn sensors_of(files: &[(&str, &str)], links: &[(&str, &str)]) -> Vec<(String, i64)> {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join("class").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        for (path, to) in links {
            std::os::unix::fs::symlink(to, dir.path().join("class").join(path)).unwrap();
        }
        let roots = Roots {
            sys: dir.path().to_owned(),
            ..collector_roots()
        };
        let mut board = Board::new();
        let mut hwmon = Hwmon::new(&roots, &mut board);
        hwmon.collect(&mut Context {
            board: &mut board,
            buffer: &mut ReadBuffer::default(),
            now: UnixMs(0),
        });
        let values = board.keys().iter().zip(board.values());
        let named = values.filter_map(|(key, value)| {
            let is_shown = *value != ABSENT && key.metric.name != TEMPERATURE_LIMIT.name;
            let name = key.attribute("hw.name").filter(|_| is_shown)?;
            Some((name.to_string(), *value))
        });
        named.collect()
    }

    #[test]
    fn sensors_of_equal_label_stay_apart() {
        let found = sensors_of(
            &[
                ("hwmon/hwmon4/name", "dell_smm"),
                ("hwmon/hwmon4/temp1_label", "SODIMM"),
                ("hwmon/hwmon4/temp1_input", "40000"),
                ("hwmon/hwmon4/temp2_label", "SODIMM"),
                ("hwmon/hwmon4/temp2_input", "41000"),
                ("hwmon/hwmon4/temp3_label", "SODIMM"),
                ("hwmon/hwmon4/temp3_input", "42000"),
                ("hwmon/hwmon4/fan1_label", "SODIMM"),
                ("hwmon/hwmon4/fan1_input", "900"),
                ("hwmon/hwmon5/name", "nvme"),
                ("hwmon/hwmon5/temp1_input", "50000"),
                ("hwmon/hwmon6/name", "nvme"),
                ("hwmon/hwmon6/temp1_input", "51000"),
                ("hwmon/hwmon7/name", "nvme"),
                ("hwmon/hwmon7/temp1_input", "52000"),
            ],
            &[
                ("hwmon/hwmon6/device", "../../nvme1"),
                ("hwmon/hwmon7/device", "../../nvme2"),
            ],
        );
        let of = |name: &str, value| (name.to_owned(), value);
        let mut wanted = vec![
            of("dell_smm SODIMM", 900),
            of("dell_smm SODIMM", 40_000),
            of("dell_smm SODIMM temp2", 41_000),
            of("dell_smm SODIMM temp3", 42_000),
            of("nvme temp1", 50_000),
            of("nvme nvme1 temp1", 51_000),
            of("nvme nvme2 temp1", 52_000),
        ];
        let mut found = found;
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
    }

    #[test]
    fn thermal_zones_are_sensors_unless_they_are_chips_too() {
        let found = sensors_of(
            &[
                ("thermal/thermal_zone0/type", "cpu-thermal"),
                ("thermal/thermal_zone0/temp", "70908"),
                ("thermal/thermal_zone0/trip_point_0_type", "passive"),
                ("thermal/thermal_zone0/trip_point_1_type", "critical"),
                ("thermal/thermal_zone0/trip_point_1_temp", "110000"),
                ("thermal/thermal_zone1/type", "cpu-thermal"),
                ("thermal/thermal_zone1/temp", "61000"),
                ("thermal/thermal_zone2/type", "acpitz"),
                ("thermal/thermal_zone2/temp", "27800"),
                ("thermal/thermal_zone2/hwmon0/temp1_input", "27800"),
                ("thermal/cooling_device0/type", "Processor"),
            ],
            &[],
        );
        let wanted = [
            ("thermal cpu-thermal".to_owned(), 70_908),
            ("thermal thermal_zone1 cpu-thermal".to_owned(), 61_000),
        ];
        assert_eq!(found, wanted);
    }
}
