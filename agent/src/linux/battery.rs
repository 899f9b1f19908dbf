//! Batteries: `/sys/class/power_supply` (Documentation/ABI/testing/sysfs-class-power).

use std::path::Path;

use sysmon_wire::Label;
use sysmon_wire::metrics::{BATTERY_CHARGE, BATTERY_DISCHARGING};

use super::hwmon::text;
use super::{Context, KernelFile, ReadBuffer, Roots};
use crate::board::{Board, Slot};

const BATTERIES_MAX: usize = 8;

#[derive(Debug)]
struct Supply {
    name: String,
    files: Charge,
    charge: Slot,
    status: (KernelFile, Slot),
}

/// Where the charge of a battery is read.
#[derive(Debug)]
enum Charge {
    Percent(KernelFile),
    /// What is left, and what it holds when full: in µAh or µWh.
    Parts([KernelFile; 2]),
}

impl Charge {
    fn find(folder: &Path) -> Option<Self> {
        let file = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
        if let Some(path) = file("capacity") {
            return Some(Self::Percent(KernelFile::open_each_time(path)));
        }
        ["charge", "energy"].iter().find_map(|unit| {
            let left = file(&format!("{unit}_now"))?;
            let full = file(&format!("{unit}_full"))?;
            Some(Self::Parts([left, full].map(KernelFile::open_each_time)))
        })
    }

    /// In permille. The firmware of worn batteries reports more than they hold.
    fn read(&mut self, buffer: &mut ReadBuffer) -> Option<i64> {
        let permille = match self {
            Self::Percent(file) => file.read_i64(buffer)?.saturating_mul(10),
            Self::Parts([left, full]) => {
                let (left, full) = (left.read_i64(buffer)?, full.read_i64(buffer)?);
                left.saturating_mul(1000).checked_div(full)?
            }
        };
        Some(permille.clamp(0, 1000))
    }
}

#[derive(Debug)]
pub(super) struct Battery {
    supplies: Vec<Supply>,
}

impl Battery {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let mut battery = Self {
            supplies: Vec::new(),
        };
        battery.scan(roots, board);
        battery
    }

    pub(super) fn scan(&mut self, roots: &Roots, board: &mut Board) {
        let folder = roots.sys.join("class/power_supply");
        self.supplies.retain(|supply| {
            let is_present = folder.join(&supply.name).exists();
            if !is_present {
                board.release(supply.charge);
                board.release(supply.status.1);
            }
            is_present
        });
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (
                entry.path(),
                entry.file_name().to_string_lossy().into_owned(),
            );
            let known = self.supplies.iter().any(|supply| supply.name == name);
            let is_battery = text(&path.join("type")).as_deref() == Some("Battery");
            if known || !is_battery || self.supplies.len() >= BATTERIES_MAX {
                continue;
            }
            let Some(files) = Charge::find(&path) else {
                continue;
            };
            let label = Label::new(&name);
            let mut slot = |metric: sysmon_wire::metrics::Metric| {
                board.slot(metric.series(&[("hw.name", label.as_str())]))
            };
            self.supplies.push(Supply {
                files,
                charge: slot(BATTERY_CHARGE),
                status: (
                    KernelFile::open_each_time(path.join("status")),
                    slot(BATTERY_DISCHARGING),
                ),
                name,
            });
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        for supply in &mut self.supplies {
            let charge = supply.files.read(context.buffer);
            context.board.set_or_clear(supply.charge, charge);
            if let Some(status) = supply.status.0.read(context.buffer) {
                context.board.set(
                    supply.status.1,
                    i64::from(status.trim_ascii() == b"Discharging"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::{collector_roots, value};
    use sysmon_wire::UnixMs;

    #[test]
    fn batteries_are_read_and_mains_supplies_are_not() {
        let dir = tempfile::tempdir().unwrap();
        for (supply, kind) in [("BAT0", "Battery"), ("AC", "Mains")] {
            let path = dir.path().join("class/power_supply").join(supply);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("type"), kind).unwrap();
            std::fs::write(path.join("capacity"), "87\n").unwrap();
            std::fs::write(path.join("status"), "Discharging\n").unwrap();
        }
        let roots = Roots {
            sys: dir.path().to_owned(),
            ..collector_roots()
        };
        let mut board = Board::new();
        let mut battery = Battery::new(&roots, &mut board);
        let context = &mut Context {
            board: &mut board,
            buffer: &mut ReadBuffer::default(),
            now: UnixMs(0),
        };
        battery.collect(context);
        assert_eq!(board.keys().len(), 2);
        assert_eq!(value(&board, "hw.battery.charge", &["BAT0"]), 870);
        assert_eq!(value(&board, "hw.battery.discharging", &["BAT0"]), 1);
    }
    #[test]
    fn a_charge_is_computed_where_there_is_no_percentage_and_never_exceeds_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        for (file, content) in [
            ("BAT0/type", "Battery"),
            ("BAT0/capacity", "117"),
            ("BAT1/type", "Battery"),
            ("BAT1/charge_now", "1000000"),
            ("BAT1/charge_full", "4000000"),
            ("BAT2/type", "Battery"),
            ("BAT2/energy_now", "5"),
            ("BAT2/energy_full", "0"),
        ] {
            let path = dir.path().join("class/power_supply").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let roots = Roots {
            sys: dir.path().to_owned(),
            ..collector_roots()
        };
        let mut board = Board::new();
        let mut battery = Battery::new(&roots, &mut board);
        battery.collect(&mut Context {
            board: &mut board,
            buffer: &mut ReadBuffer::default(),
            now: UnixMs(0),
        });
        let charge = |name: &str| value(&board, "hw.battery.charge", &[name]);
        assert_eq!((charge("BAT0"), charge("BAT1")), (1000, 250));
        assert_eq!(charge("BAT2"), sysmon_wire::ABSENT);
    }
}
